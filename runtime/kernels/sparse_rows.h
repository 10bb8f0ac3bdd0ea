/* sparse_rows.h: weights of which most are zero, as pack-weights lays them out (ir/sparse.c says how): the words of four bytes that are not
 * zero of two outputs at a time, and which they are, counted within a block of 96. */
#ifndef RT_SPARSE_ROWS_H
#define RT_SPARSE_ROWS_H
#include "../rt.h"

enum { SPARSE_ROWS_PANEL = 16, SPARSE_ROWS_BLOCK = 96 };

/* Two outputs of a panel: `both` groups of two words that both have (indices k0 k1, words first's k0, second's k0, first's k1, second's k1),
 * then `apart` groups of two words of the first and two of the second (indices and words in this order). */
typedef struct SparsePair {
	int output[2], both, apart;
	const uint8_t *index, *words;
} SparsePair;

RT_INLINE int sparse_rows_blocks(int words) { return (words + SPARSE_ROWS_BLOCK - 1) / SPARSE_ROWS_BLOCK; }

/* Where a panel's outputs of one block of inputs begin. */
RT_INLINE const uint8_t *sparse_rows_piece(const void *w, int piece) { return (const uint8_t *)w + ((const int32_t *)w)[piece]; }

/* The pair at *at, which is left at the next. */
RT_INLINE SparsePair sparse_rows_pair(const uint8_t **at)
{
	const uint8_t *p = *at;
	const int both = p[1], apart = p[2], indices = 2 * both + 4 * apart;
	*at = p + 3 + indices + 16 * (both + apart);
	return (SparsePair){{p[0] & 15, p[0] >> 4}, both, apart, p + 3, p + 3 + indices};
}
#endif
