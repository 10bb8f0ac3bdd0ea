/* layernorm__scalar.c: normalises rows to mean 0 and variance 1, then scales and shifts them: alone, after a
 * residual connection (add_layernorm), or on the sum of one to three embedding rows at the start of the
 * encoder (embed_layernorm).
 *
 *   out          [r1][H]   rows r0..r1-1 are written; may be x or y
 *   x, y         [r1][H]   add_layernorm normalises x + y
 *   gamma, beta  [H]
 *   q, s, m, z   [r1][H], [r1], [H], [H]: add_layernorm_codes also writes quantize_static of out, while out
 *                is in L1
 *   t0, ids0     [V0][H], [r1]: the first table, stored as f32, f16 or bf16; the caller has checked the ids
 *   t1, ids1, t2, ids2
 *                more tables in f32; NULL: absent, and so are later ones. The sum is (t0 + t1) + t2 */
#include "math__scalar.h"

/* gamma * (x - mean) / sqrt(variance + eps) + beta of one row. Uses the exact two-pass form, because
 * sum(x^2)/H - mean^2 would cancel. */
RT_INLINE void layernorm_scalar_row(
	float *out, const float *x, const float *gamma, const float *beta, int H, float eps)
{
	double sum = 0, squares = 0;
	for (int i = 0; i < H; i++)
		sum += (double)x[i];
	float mean = (float)(sum / H);
	for (int i = 0; i < H; i++)
		squares += (double)(x[i] - mean) * (double)(x[i] - mean);
	float scale = (float)(1.0 / sqrt(squares / H + (double)eps));
	for (int i = 0; i < H; i++)
		out[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
}

RT_INLINE void layernorm_f32__scalar(
	float *out, const float *x, const float *gamma, const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++)
		layernorm_scalar_row(out + (size_t)r * (size_t)H, x + (size_t)r * (size_t)H, gamma, beta, H, eps);
}

RT_INLINE void add_layernorm_f32__scalar(float *out, const float *x, const float *y, const float *gamma,
	const float *beta, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		for (int i = 0; i < H; i++)
			out[row + (size_t)i] = x[row + (size_t)i] + y[row + (size_t)i];
		layernorm_scalar_row(out + row, out + row, gamma, beta, H, eps);
	}
}

RT_INLINE void add_layernorm_codes_f32__scalar(float *out, int8_t *q, float *s, const float *x,
	const float *y, const float *gamma, const float *beta, const float *m, const float *z, int r0, int r1,
	int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		size_t row = (size_t)r * (size_t)H;
		s[r] = 1;
		add_layernorm_f32__scalar(out, x, y, gamma, beta, r, r + 1, H, eps);
		math_code_row(q + row, out + row, m, z, H);
	}
}

RT_INLINE void embed_layernorm_scalar(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps, int dtype)
{
	for (int r = r0; r < r1; r++) {
		float *row = out + (size_t)r * (size_t)H;
		for (int i = 0; i < H; i++) {
			row[i] = math_stored(t0, (size_t)ids0[r] * (size_t)H + (size_t)i, dtype);
			if (t1)
				row[i] += t1[(size_t)ids1[r] * (size_t)H + (size_t)i];
			if (t2)
				row[i] += t2[(size_t)ids2[r] * (size_t)H + (size_t)i];
		}
		layernorm_scalar_row(row, row, gamma, beta, H, eps);
	}
}

RT_INLINE void embed_layernorm_f32__scalar(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps)
{
	embed_layernorm_scalar(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F32);
}

RT_INLINE void embed_layernorm_f16__scalar(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps)
{
	embed_layernorm_scalar(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_F16);
}

RT_INLINE void embed_layernorm_bf16__scalar(float *out, const void *t0, const int32_t *ids0, const float *t1,
	const int32_t *ids1, const float *t2, const int32_t *ids2, const float *gamma, const float *beta, int r0,
	int r1, int H, float eps)
{
	embed_layernorm_scalar(out, t0, ids0, t1, ids1, t2, ids2, gamma, beta, r0, r1, H, eps, RT_STORED_BF16);
}
