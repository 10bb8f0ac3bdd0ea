/* linear_dotbf16__scalar.c: out = act(x W^T + bias) in plain C, both factors rounded to bf16, sums in f32.
 *
 *   out, x, bias, r0, r1, p0, p1, K, N, act   as in linear__scalar.c
 *   w        [P][K/2 rounded up][NR][2] bf16, two neighbouring inputs of an output together; zeros beyond N
 *            and K
 *   scratch  `staged` * (K rounded up to 64) bytes of kernels.def; here the row as bf16
 *
 * Every linear_dotbf16 kernel has this signature. Sums are ordered as in VDPBF16PS (Intel SDM): a sum starts
 * with the bias and, for k = 0, 2, 4, .., first adds the product of input k+1, then that of input k. A
 * product of two bf16 is exact in f32. */
#include "math__scalar.h"

RT_INLINE uint16_t dotbf16_round(float x) /* to nearest even; NaN stays NaN */
{
	uint32_t bits;
	memcpy(&bits, &x, 4);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

RT_INLINE void linear_dotbf16__scalar(float *out, const float *x, const void *w, const float *bias, int r0,
	int r1, int p0, int p1, int K, int N, int act, void *scratch)
{
	enum { NR = 8 };
	uint16_t *row = scratch;
	const int pairs = (K + 1) / 2;
	for (int r = r0; r < r1; r++) {
		for (int k = 0; k < K; k++)
			row[k] = dotbf16_round(x[(size_t)r * (size_t)K + (size_t)k]);
		if (K % 2)
			row[K] = 0;
		for (int p = p0; p < p1; p++) {
			const size_t panel = (size_t)p * (size_t)pairs * NR * 2;
			const int width = rt_min(NR, N - p * NR);
			float acc[NR];
			memcpy(acc, bias + (size_t)p * NR, sizeof acc);
			for (int k = 0; k < 2 * pairs; k += 2)
				for (int j = 0; j < NR; j++)
					for (int i = 1; i >= 0; i--)
						acc[j] += math_stored(row, (size_t)(k + i), RT_STORED_BF16)
							* math_stored(
								w, panel + (size_t)(k / 2 * NR + j) * 2 + (size_t)i, RT_STORED_BF16);
			float *y = out + (size_t)r * (size_t)N + (size_t)p * NR;
			for (int j = 0; j < width; j++)
				y[j] = math_act(acc[j], act);
		}
	}
}
