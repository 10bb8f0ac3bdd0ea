/* rows__scalar.c: ops before and after an encoder: positions, pooling, normalised embeddings. */
#include <math.h>

/* out[i] = start + i for the tokens i of a text. */
RT_INLINE void position_ids_i32__scalar(int32_t *out, int tokens, int start)
{
	for (int i = 0; i < tokens; i++)
		out[i] = start + i;
}

RT_INLINE uint32_t top_magnitude(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits & 0x7fffffffu;
}

/* out[H] from x[tokens][H]; mode is RT_POOL_*. MEAN_SQRT divides the sum by sqrt(tokens); MEAN_WEIGHTED gives
 * row i the weight i + 1. The first `skipped` rows do not count; if no row is left, FIRST is row 0 and the
 * others are zeros. A text without tokens gives zeros. */
RT_INLINE void pool_f32__scalar(float *out, const float *x, int tokens, int H, int mode, int skipped)
{
	const int first = mode == RT_POOL_FIRST && skipped >= tokens ? 0 : skipped;
	if (first >= tokens) {
		memset(out, 0, (size_t)H * sizeof *out);
		return;
	}
	enum { COLUMNS = 16 }; /* a cache line of every row at a time */
	double n = tokens - first, weights = n;
	x += (size_t)first * (size_t)H;
	tokens -= first;
	if (mode == RT_POOL_MEAN_WEIGHTED)
		weights = n * (n + 1) / 2 + n * first;
	else if (mode == RT_POOL_MEAN_SQRT)
		weights = sqrt(n);
	else if (mode == RT_POOL_SUM)
		weights = 1;
	for (int i = 0; i < H; i += COLUMNS) {
		const int width = rt_min(COLUMNS, H - i);
		const float *last = x + ((size_t)tokens - 1) * (size_t)H + i;
		double sum[COLUMNS] = {0};
		float top[COLUMNS];
		memcpy(top, x + i, (size_t)width * sizeof *top);
		for (int t = 0; t < tokens && mode != RT_POOL_FIRST && mode != RT_POOL_LAST; t++) {
			const float *row = x + (size_t)t * (size_t)H + i;
			const double weight = mode == RT_POOL_MEAN_WEIGHTED ? first + t + 1 : 1;
			for (int j = 0; j < width; j++) {
				top[j] = row[j] > top[j] ? row[j] : top[j];
				sum[j] += (double)row[j] * weight;
			}
		}
		for (int j = 0; j < width; j++)
			switch (mode) {
			case RT_POOL_FIRST: out[i + j] = x[i + j]; break;
			case RT_POOL_LAST: out[i + j] = last[j]; break;
			case RT_POOL_MAX: out[i + j] = top[j]; break;
			default: out[i + j] = (float)(sum[j] / weights);
			}
	}
}

/* Rows r0..r1-1 of x[r1][H] with the `keep` elements that are largest in magnitude, the earlier one of two
 * equal ones; the others become 0. The bits of magnitudes are ordered as integers, so the least kept one is
 * found bit by bit, from the highest on. out may be x. */
RT_INLINE void top_f32__scalar(float *out, const float *x, int r0, int r1, int H, int keep)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)H;
		float *y = out + (size_t)r * (size_t)H;
		uint32_t least = 0;
		int above = 0;
		for (int bit = 30; bit >= 0; bit--) {
			const uint32_t next = least | 1u << bit;
			int count = 0;
			for (int i = 0; i < H; i++)
				count += top_magnitude(row[i]) >= next;
			if (count >= keep)
				least = next;
		}
		for (int i = 0; i < H; i++)
			above += top_magnitude(row[i]) > least;
		for (int i = 0, equal = keep - above; i < H; i++) {
			const uint32_t magnitude = top_magnitude(row[i]);
			const int stays = magnitude > least || (magnitude == least && equal > 0);
			equal -= magnitude == least;
			y[i] = stays ? row[i] : 0;
		}
	}
}

/* out[r] = x[r] / max(|x[r]|, eps) for rows r0..r1-1 of x[r1][H]; |x| is the Euclidean norm. out may be x. */
RT_INLINE void normalize_f32__scalar(float *out, const float *x, int r0, int r1, int H, float eps)
{
	for (int r = r0; r < r1; r++) {
		const float *row = x + (size_t)r * (size_t)H;
		float *y = out + (size_t)r * (size_t)H;
		double squares = 0;
		for (int i = 0; i < H; i++)
			squares += (double)row[i] * (double)row[i];
		double norm = sqrt(squares);
		float scale = (float)(1.0 / (norm > (double)eps ? norm : (double)eps));
		for (int i = 0; i < H; i++)
			y[i] = row[i] * scale;
	}
}
