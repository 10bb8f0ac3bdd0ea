/* quantize__scalar.c: rows of floats as int8 codes, each row with a scale of its own, in plain C.
 *
 *   q  [r1][K]  round(x * (127 / max|x|)), ties to even: symmetric, -127..127
 *   s  [r1]     max|x| / 127: x is about q * s; 0 for a row of zeros, or if max|x| is below 1e-30
 *
 * With static scales, which are known at compile time:
 *
 *   q  [r1][K]  round(x * m[k] + z[k]) within -127..127: product, then sum is rounded; NaN gets -127
 *   s  [r1]     1
 *
 * The scale of a row depends only on that row, so a text's codes do not depend on the other texts of the
 * call. All kernels perform the same steps in f32, so codes and scales have the same bits everywhere. */
#include "math__scalar.h"

/* A rounded number as a code: NaN gets 0. */
RT_INLINE int8_t quantize_scalar_code(float rounded)
{
	if (rounded < -127)
		return -127;
	if (rounded > 127)
		return 127;
	return (int8_t)(rounded == rounded ? rounded : 0);
}

RT_INLINE void quantize_f32__scalar(int8_t *q, float *s, const float *x, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)K;
		int8_t *codes = q + (size_t)r * (size_t)K;
		float largest = 0;
		for (int k = 0; k < K; k++)
			largest = fabsf(row[k]) > largest ? fabsf(row[k]) : largest;
		const float inverse = largest < 1e-30f ? 0 : 127.0f / largest;
		s[r] = largest < 1e-30f ? 0 : largest * (1.0f / 127.0f);
		for (int k = 0; k < K; k++) {
			const float code = nearbyintf(row[k] * inverse);
			codes[k] = quantize_scalar_code(code);
		}
	}
}

RT_INLINE void quantize_static_f32__scalar(
	int8_t *q, float *s, const float *x, const float *m, const float *z, int r0, int r1, int K)
{
	for (int r = r0; r < r1; r++) {
		s[r] = 1;
		math_code_row(q + (size_t)r * (size_t)K, x + (size_t)r * (size_t)K, m, z, K);
	}
}
