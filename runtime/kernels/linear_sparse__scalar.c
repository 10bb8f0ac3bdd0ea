/* linear_sparse__scalar.c: linear__scalar.c for sparse weights, in plain C.
 *
 *   w        sparse_rows.h: the nonzero weights of an output, one f32 per word
 *   scratch  float x[K rounded up to 64][8]: eight rows side by side, so that each lookup of a weight
 *            serves several rows
 *
 * Every linear_sparse kernel has this signature, which is that of linear plus scratch; a panel has 64
 * outputs. A sum starts with the bias and adds products in the order of the stored words, for any rows and
 * panels of the call. */
#include "sparse_rows.h"
#include "math__scalar.h"

enum { LINEAR_SPARSE_SCALAR_ROWS = 8 };

/* x[k][i] = rows[i][k] for `rows` rows; those beyond them repeat the last. */
RT_INLINE void linear_sparse_scalar_bring(float *x, const float *from, int rows, int K)
{
	enum { ROWS = LINEAR_SPARSE_SCALAR_ROWS };
	for (int i = 0; i < ROWS; i++) {
		const float *row = from + (size_t)rt_min(i, rows - 1) * (size_t)K;
		for (int k = 0; k < K; k++)
			x[(size_t)k * ROWS + (size_t)i] = row[k];
	}
}

RT_INLINE void linear_sparse_scalar_add(
	float sum[LINEAR_SPARSE_SCALAR_ROWS], const float *x, int k, const uint8_t *word)
{
	enum { ROWS = LINEAR_SPARSE_SCALAR_ROWS };
	float w;
	memcpy(&w, word, 4);
	for (int i = 0; i < ROWS; i++)
		sum[i] += w * x[k * ROWS + i];
}

/* acc[o] += the product of one piece and eight rows. */
RT_INLINE void linear_sparse_scalar_piece(
	float (*acc)[LINEAR_SPARSE_SCALAR_ROWS], const float *x, const uint8_t *at)
{
	for (int i = 0; i < SPARSE_ROWS_PANEL / SPARSE_ROWS_BAND; i++) {
		const SparseBand band = sparse_rows_band(&at);
		for (int j = 0; j < SPARSE_ROWS_BAND * band.count; j++)
			linear_sparse_scalar_add(
				acc[band.output[j % SPARSE_ROWS_BAND]], x, band.index[j], band.words + 4 * j);
	}
}

RT_INLINE void linear_f32_sparse__scalar(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = SPARSE_ROWS_PANEL, ROWS = LINEAR_SPARSE_SCALAR_ROWS };
	const int blocks = sparse_rows_blocks(K);
	for (int first = r0; first < r1; first += ROWS) {
		const int rows = rt_min(ROWS, r1 - first);
		linear_sparse_scalar_bring(scratch, x + (size_t)first * (size_t)K, rows, K);
		for (int p = p0; p < p1; p++) {
			float acc[NR][ROWS];
			for (int o = 0; o < NR; o++)
				for (int i = 0; i < ROWS; i++)
					acc[o][i] = bias[p * NR + o];
			for (int b = 0; b < blocks; b++)
				linear_sparse_scalar_piece(acc, (const float *)scratch + (size_t)b * SPARSE_ROWS_BLOCK * ROWS,
					sparse_rows_piece(w, p * blocks + b));
			for (int i = 0; i < rows; i++)
				for (int o = 0; o < rt_min(NR, N - p * NR); o++)
					out[(size_t)(first + i) * (size_t)N + (size_t)(p * NR + o)] = math_act(acc[o][i], act);
		}
	}
}
