/* by_distance__scalar.c: score biases by distance as matrices, for tables that no attention reads itself.
 *
 *   out     [heads][tokens][tokens]: out[h][i][t] = table[h][reach + clamp(n, -reach, reach)], where n is
 *           the position of t minus the position of i
 *   table   [heads][2 * reach + 1], or, by_query, of query i: table[i][heads][2 * reach + 1]
 *   places  [tokens]; NULL: token t has position t
 *
 * dot_by_distance multiplies rows x [tokens][heads * d] with rows of a table [..][heads * d]:
 * out[h][i][t] = x of i, or by_key of t, times table[index[reach + clamp(t - i, -reach, reach)]], head h. */
#include "bias__scalar.h"

RT_INLINE void by_distance_f32__scalar(
	float *out, const float *table, const int32_t *places, int heads, int tokens, int reach, int by_query)
{
	const size_t width = 2 * (size_t)reach + 1;
	const RtBias bias = {table, width, by_query ? (size_t)heads * width : 0, places, reach};
	for (int h = 0; h < heads; h++)
		for (int i = 0; i < tokens; i++)
			for (int t = 0; t < tokens; t++)
				*out++ = bias_by_distance(&bias, h, i, places ? places[t] - places[i] : t - i);
}

RT_INLINE void dot_by_distance_f32__scalar(float *out, const float *x, const float *table,
	const int32_t *index, int heads, int tokens, int d, int reach, int by_key)
{
	const size_t width = (size_t)heads * (size_t)d;
	for (int h = 0; h < heads; h++)
		for (int i = 0; i < tokens; i++)
			for (int t = 0; t < tokens; t++) {
				const size_t column = (size_t)h * (size_t)d, own = (size_t)(by_key ? t : i) * width + column;
				const int row = index[reach + rt_max(-reach, rt_min(t - i, reach))];
				float sum = 0;
				for (int j = 0; j < d; j++)
					sum += x[own + (size_t)j] * table[(size_t)row * width + column + (size_t)j];
				*out++ = sum;
			}
}
