/* relative__scalar.h: score biases that are products: of a query (axis 1) or a key (axis 2) with the row of a
 * table that the distance picks. He, Liu, Gao, Chen: "DeBERTa: Decoding-enhanced BERT with Disentangled
 * Attention", 2021, section 3.1.
 *
 * There are S x S products, but a block of them needs few rows of the table. A few queries with all keys need
 * the rows of a little more than S distances; a few keys with 32 queries need about 40 rows. Kernels with
 * vectors multiply 8 or 16 rows with these rows of the table, as they compute scores, and then pick. So each
 * table costs 1.2 to 1.5 times q k^T, and memory is linear in the length. */
#ifndef RT_RELATIVE__SCALAR_H
#define RT_RELATIVE__SCALAR_H
#include "../rt.h"

enum { RELATIVE_PANEL = 32, RELATIVE_BLOCK = 32, RELATIVE_MOST = 4 };

/* Adds the product of query i, or by_key of key t, with row index[reach + clamp(t - i, -reach, reach)].
 * Row r of head h is at[h][r / 32][j][r % 32], j < d. */
typedef struct RtRelative {
	const float *at;
	const int32_t *index;
	int panels, reach, by_key;
} RtRelative;

/* Row r of the head is at this address, its elements 32 floats apart; neighbouring rows of a panel lie side
 * by side. */
RT_INLINE const float *relative_row(const RtRelative *r, int head, int d, int row)
{
	const size_t panel = (size_t)head * (size_t)r->panels + (size_t)(row / RELATIVE_PANEL);
	return r->at + panel * (size_t)d * RELATIVE_PANEL + (size_t)(row % RELATIVE_PANEL);
}

RT_INLINE int relative_index(const RtRelative *r, int distance)
{
	return r->index[r->reach + rt_max(-r->reach, rt_min(distance, r->reach))];
}

/* Adds the products of query i, one by one. */
RT_INLINE void relative_add(float *score, const RtRelative *relative, int count, const float *query,
	const float *k, int k_stride, int head, int d, int i, int keys)
{
	for (int b = 0; b < count; b++)
		for (int t = 0; t < keys; t++) {
			const float *row = relative_row(relative + b, head, d, relative_index(relative + b, t - i));
			const float *x = relative[b].by_key ? k + (size_t)t * (size_t)k_stride : query;
			float sum = 0;
			for (int j = 0; j < d; j++)
				sum += x[j] * row[(size_t)j * RELATIVE_PANEL];
			score[t] += sum;
		}
}

/* ---- for kernels with vectors ---------------------------------------------------------------- */

/* Whole vectors may be read past the last distance of a slice. */
enum { RELATIVE_SPARE = 32 };

/* Fills slice[b][x] for each table b with the row for t - i = x or, by_key, for i - t = x; x from 1 - keys to
 * keys + RELATIVE_SPARE - 1. room: int32_t[count][2 * keys + RELATIVE_SPARE]. */
RT_INLINE void relative_slices(
	const int32_t *slice[RELATIVE_MOST], int32_t *room, const RtRelative *relative, int count, int keys)
{
	for (int b = 0; b < count; b++) {
		int32_t *middle = room + (size_t)b * (2 * (size_t)keys + RELATIVE_SPARE) + (size_t)keys;
		for (int x = 1 - keys; x < keys + RELATIVE_SPARE; x++)
			middle[x] = relative_index(relative + b, relative[b].by_key ? -x : x);
		slice[b] = middle;
	}
}

/* The most rows of a table, with those that only fill a panel. */
RT_INLINE size_t relative_most(const RtRelative *relative, int count)
{
	int most = 0;
	for (int b = 0; b < count; b++)
		most = rt_max(most, relative[b].panels * RELATIVE_PANEL);
	return (size_t)most;
}

/* The rows in slice[from .. to] are among `result` rows from *first on, both multiples of 16. */
RT_INLINE int relative_range(const int32_t *slice, int from, int to, int *first)
{
	int low = slice[from], high = low;
	for (int x = from; x <= to; x++) {
		low = rt_min(low, slice[x]);
		high = rt_max(high, slice[x]);
	}
	*first = low & ~15;
	return (high | 15) + 1 - *first;
}

/* Defines NAME: adds to sum[count][keys] the products of one table for queries i0 .. i0 + count - 1 of a
 * head. x: the rows that are multiplied, of these queries or of all keys. products: room for 4 rows of the
 * table's width. PRODUCTS(out, stride, x, x_stride, row, d, mr) writes those of mr <= 4 rows x with 16 rows
 * of the table. */
#define RELATIVE_SUMS(NAME, TARGET, PRODUCTS) \
	RT_INLINE TARGET void NAME(float *sum, float *products, const RtRelative *r, const int32_t *slice, \
		const float *x, int x_stride, int head, int d, int i0, int count, int keys) \
	{ \
		const int rows = r->by_key ? keys : count; \
		for (int y = 0, mr; y < rows; y += mr) { \
			int first; \
			mr = rt_min(4, rows - y); \
			const int from = r->by_key ? i0 - (y + mr - 1) : -(i0 + y + mr - 1); \
			const int to = r->by_key ? i0 + count - 1 - y : keys - 1 - (i0 + y); \
			const int width = relative_range(slice, from, to, &first); \
			for (int c = 0; c < width; c += 16) \
				PRODUCTS(products + c, width, x + (size_t)y * (size_t)x_stride, x_stride, \
					relative_row(r, head, d, first + c), d, mr); \
			for (int m = 0; m < mr; m++) { \
				const float *own = products + (size_t)m * (size_t)width; \
				float *to_row = sum + (size_t)(y + m) * (size_t)(r->by_key ? 1 : keys); \
				const int32_t *at = slice + (r->by_key ? i0 - (y + m) : -(i0 + y + m)); \
				for (int n = 0; n < (r->by_key ? count : keys); n++) \
					to_row[(size_t)n * (size_t)(r->by_key ? keys : 1)] += own[at[n] - first]; \
			} \
		} \
	}
#endif
