/* by_distance__scalar.c: a score bias by distance as a matrix, for tables that no attention reads itself.
 *
 *   out     [heads][tokens][tokens]: out[h][i][t] = table[h][reach + clamp(n, -reach, reach)], where n is
 *           the position of t minus the position of i
 *   table   [heads][2 * reach + 1]
 *   places  [tokens]; NULL: token t has position t */
#include "bias__scalar.h"

RT_INLINE void by_distance_f32__scalar(
	float *out, const float *table, const int32_t *places, int heads, int tokens, int reach)
{
	const RtBias bias = {table, 2 * (size_t)reach + 1, 0, places, reach};
	for (int h = 0; h < heads; h++)
		for (int i = 0; i < tokens; i++)
			for (int t = 0; t < tokens; t++)
				*out++ = bias_by_distance(&bias, h, places ? places[t] - places[i] : t - i);
}
