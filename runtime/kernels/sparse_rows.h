/* sparse_rows.h: reads sparse weights in the layout of ir/sparse.c: for four outputs at a time, the nonzero
 * words of four bytes and their indices within a block of 96. */
#ifndef RT_SPARSE_ROWS_H
#define RT_SPARSE_ROWS_H
#include "../rt.h"

enum { SPARSE_ROWS_PANEL = 64, SPARSE_ROWS_BAND = 4, SPARSE_ROWS_BLOCK = 96 };

/* Four outputs of a panel, with `count` indices and `count` words each; `count` is even. */
typedef struct SparseBand {
	int output[SPARSE_ROWS_BAND], count;
	const uint8_t *index, *words;
} SparseBand;

RT_INLINE int sparse_rows_blocks(int words) { return (words + SPARSE_ROWS_BLOCK - 1) / SPARSE_ROWS_BLOCK; }

/* The start of a piece: a panel's outputs in one block of inputs. */
RT_INLINE const uint8_t *sparse_rows_piece(const void *w, int piece)
{
	return (const uint8_t *)w + ((const int32_t *)w)[piece];
}

/* Reads the band at *at and moves *at to the next. */
RT_INLINE SparseBand sparse_rows_band(const uint8_t **at)
{
	const uint8_t *p = *at;
	const int count = p[SPARSE_ROWS_BAND];
	const uint8_t *index = p + SPARSE_ROWS_BAND + 1;
	*at = index + 5 * SPARSE_ROWS_BAND * count;
	return (SparseBand){{p[0], p[1], p[2], p[3]}, count, index, index + SPARSE_ROWS_BAND * count};
}

/* The order of inputs: order[4 * k] and the following three are the inputs of word k. NULL: neighbours.
 * pieces: number of all pieces. */
RT_INLINE const uint16_t *sparse_rows_order(const void *w, int pieces)
{
	const int32_t *start = w;
	return start[0] > 4 * (pieces + 1) ? (const uint16_t *)(start + pieces + 1) : NULL;
}

/* The band without its first `outputs` outputs, for kernels that lack registers for all of them. */
RT_INLINE SparseBand sparse_rows_rest(SparseBand band, int outputs)
{
	RT_UNROLL_FULL for (int j = 0; j + outputs < SPARSE_ROWS_BAND; j++) band.output[j] = band.output[j
		+ outputs];
	band.index += outputs;
	band.words += 4 * outputs;
	return band;
}

/* Loads the indices of two steps early. Loaded late, they would delay all loads of inputs (Zen 5, 64 rows in
 * int8: 3.1 cycles per word; 2.5 if loaded one turn ahead and with words broadcast from registers; the
 * products alone take 2). Reading past the last step is safe, because the words follow. */
RT_INLINE uint64_t sparse_rows_indices(const uint8_t *index)
{
	uint64_t at;
	memcpy(&at, index, 8);
	__asm__ volatile("" : "+r"(at));
	return at;
}
#endif
