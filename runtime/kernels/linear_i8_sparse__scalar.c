/* linear_i8_sparse__scalar.c: linear_i8__scalar.c for sparse weights. The sums are the same integers, so the
 * results have the same bits.
 *
 *   w  sparse_rows.h: the nonzero quads of an output; a quad is four codes of neighbouring inputs
 *
 * Every linear_i8_sparse and linear_i8_sparse_codes kernel has the signature of the dense kernel; a panel has
 * 64 outputs. */
#include "sparse_rows.h"
#include "tile__scalar.h"

/* The product of a quad of weights and the K codes of a row. */
RT_INLINE int32_t linear_i8_sparse_scalar_quad(
	const int8_t *row, int K, const uint16_t *order, int quad, const uint8_t *word)
{
	int32_t sum = 0;
	for (int j = 0; j < 4; j++) {
		const int k = order ? order[4 * quad + j] : 4 * quad + j;
		if (k < K)
			sum += row[k] * (int8_t)word[j];
	}
	return sum;
}

/* acc[o] += the product of a piece, of block b, and the K codes of a row. */
RT_INLINE void linear_i8_sparse_scalar_piece(
	int32_t acc[SPARSE_ROWS_PANEL], const int8_t *row, int K, const uint16_t *order, const uint8_t *at, int b)
{
	for (int i = 0; i < SPARSE_ROWS_PANEL / SPARSE_ROWS_BAND; i++) {
		const SparseBand band = sparse_rows_band(&at);
		for (int j = 0; j < SPARSE_ROWS_BAND * band.count; j++)
			acc[band.output[j % SPARSE_ROWS_BAND]] += linear_i8_sparse_scalar_quad(
				row, K, order, b * SPARSE_ROWS_BLOCK + band.index[j], band.words + 4 * j);
	}
}

RT_INLINE void linear_i8_sparse_scalar(TileOut out, const int8_t *q, const float *s, const void *w,
	const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
	int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, TILE = 16 };
	const int blocks = sparse_rows_blocks((K + 3) / 4);
	const uint16_t *order = sparse_rows_order(w, (N + NR - 1) / NR * blocks);
	(void)sums, (void)scratch;
	for (int p = p0; p < p1; p++) {
		for (int r = r0; r < r1; r++) {
			int32_t acc[NR] = {0};
			for (int b = 0; b < blocks; b++)
				linear_i8_sparse_scalar_piece(
					acc, q + (size_t)r * (size_t)K, K, order, sparse_rows_piece(w, p * blocks + b), b);
			for (int n = p * NR; n < rt_min(p * NR + NR, N); n += TILE)
				tile_scale(tile_out(out, r, n, N), acc + n - p * NR, s[r], ws + n, bias + n,
					rt_min(TILE, N - n), act);
		}
	}
}

RT_INLINE void linear_i8_sparse__scalar(float *out, const int8_t *q, const float *s, const void *w,
	const float *ws, const float *bias, const int32_t *sums, int r0, int r1, int p0, int p1, int K, int N,
	int act, void *scratch)
{
	linear_i8_sparse_scalar(tile_floats(out), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}

RT_INLINE void linear_i8_sparse_codes__scalar(int8_t *out, float *scales, const int8_t *q, const float *s,
	const void *w, const float *ws, const float *bias, const float *m, const float *z, const int32_t *sums,
	int r0, int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	tile_scales(scales, r0, r1, p0);
	linear_i8_sparse_scalar(
		tile_codes(out, m, z), q, s, w, ws, bias, sums, r0, r1, p0, p1, K, N, act, scratch);
}
