/* sparse_rows.h: weights of which most are zero, as pack-weights lays them out (ir/sparse.c says how): of
 * four outputs at a time the words of four bytes that are not zero, and which they are, counted within a
 * block of 96. */
#ifndef RT_SPARSE_ROWS_H
#define RT_SPARSE_ROWS_H
#include "../rt.h"

enum { SPARSE_ROWS_PANEL = 64, SPARSE_ROWS_BAND = 4, SPARSE_ROWS_BLOCK = 96 };

/* Four outputs of a panel: `count` times an index of each, and `count` times a word of each; the count is
 * even. */
typedef struct SparseBand {
	int output[SPARSE_ROWS_BAND], count;
	const uint8_t *index, *words;
} SparseBand;

RT_INLINE int sparse_rows_blocks(int words) { return (words + SPARSE_ROWS_BLOCK - 1) / SPARSE_ROWS_BLOCK; }

/* Where a panel's outputs of one block of inputs begin. */
RT_INLINE const uint8_t *sparse_rows_piece(const void *w, int piece)
{
	return (const uint8_t *)w + ((const int32_t *)w)[piece];
}

/* The band at *at, which is left at the next. */
RT_INLINE SparseBand sparse_rows_band(const uint8_t **at)
{
	const uint8_t *p = *at;
	const int count = p[SPARSE_ROWS_BAND];
	const uint8_t *index = p + SPARSE_ROWS_BAND + 1;
	*at = index + 5 * SPARSE_ROWS_BAND * count;
	return (SparseBand){{p[0], p[1], p[2], p[3]}, count, index, index + SPARSE_ROWS_BAND * count};
}

/* Which inputs word k's four codes are of: order[4 * k] and on; NULL: of neighbours. pieces: all of the
 * weights'. */
RT_INLINE const uint16_t *sparse_rows_order(const void *w, int pieces)
{
	const int32_t *start = w;
	return start[0] > 4 * (pieces + 1) ? (const uint16_t *)(start + pieces + 1) : NULL;
}

/* The outputs of a band behind its first `outputs`, for kernels that have registers for no more at once. */
RT_INLINE SparseBand sparse_rows_rest(SparseBand band, int outputs)
{
	RT_UNROLL_FULL for (int j = 0; j + outputs < SPARSE_ROWS_BAND; j++) band.output[j] = band.output[j
		+ outputs];
	band.index += outputs;
	band.words += 4 * outputs;
	return band;
}

/* The indices of two steps, loaded where this stands and not where they are needed: loads of inputs that wait
 * for them would hold up all others (Zen 5, 64 rows in int8: 3.1 cycles a word, 2.5 a turn of the loop ahead
 * and with words broadcast from registers; 2 are the products alone). Behind the last step lie words. */
RT_INLINE uint64_t sparse_rows_indices(const uint8_t *index)
{
	uint64_t at;
	memcpy(&at, index, 8);
	__asm__ volatile("" : "+r"(at));
	return at;
}
#endif
