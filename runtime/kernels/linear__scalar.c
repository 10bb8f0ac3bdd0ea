/* linear__scalar.c: out = act(x W^T + bias) in plain C, weights stored as f32, f16 or bf16, arithmetic in
 * f32.
 *
 *   out   [r1][N]        only rows r0..r1-1 and columns p0*NR..min(p1*NR, N)-1 are written
 *   x     [r1][K]
 *   w     [P][K][NR]     "packed": panel p has outputs p*NR..p*NR+NR-1; zeros beyond N; P = ceil(N/NR)
 *   bias  [P*NR]         zeros beyond N
 *
 * Every linear kernel has this signature and this layout; NR is the column `panel` of kernels.def. A sum
 * starts with the bias and adds x[k]*w[k] for k = 0, 1, .. K-1 in this order, for any rows and panels of the
 * call. */
#include "math__scalar.h"

RT_INLINE void linear_scalar(float *out, const float *x, const void *w, const float *bias, int r0, int r1,
	int p0, int p1, int K, int N, int act, int dtype)
{
	enum { NR = 8 };
	for (int p = p0; p < p1; p++) {
		size_t panel = (size_t)p * (size_t)K * NR;
		int width = rt_min(NR, N - p * NR);
		for (int r = r0; r < r1; r++) {
			const float *row = x + (size_t)r * (size_t)K;
			float acc[NR];
			memcpy(acc, bias + (size_t)p * NR, sizeof acc);
			for (int k = 0; k < K; k++)
				for (int j = 0; j < NR; j++)
					acc[j] += row[k] * math_stored(w, panel + (size_t)k * NR + (size_t)j, dtype);
			float *y = out + (size_t)r * (size_t)N + (size_t)p * NR;
			for (int j = 0; j < width; j++)
				y[j] = math_act(acc[j], act);
		}
	}
}

RT_INLINE void linear_f32__scalar(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act)
{
	linear_scalar(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F32);
}

RT_INLINE void linear_f16__scalar(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act)
{
	linear_scalar(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_F16);
}

RT_INLINE void linear_bf16__scalar(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act)
{
	linear_scalar(out, x, w, bias, r0, r1, p0, p1, K, N, act, RT_STORED_BF16);
}
