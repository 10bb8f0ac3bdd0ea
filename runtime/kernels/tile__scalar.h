/* tile__scalar.h: writes the outputs of int8 linears: floats, or static codes for the linear that reads
 * them. */
#ifndef RT_TILE__SCALAR_H
#define RT_TILE__SCALAR_H
#include "math__scalar.h"

/* `at` is float[][N] or, if `codes`, int8_t[][N] with m and z for N columns. `codes` is a literal in each
 * kernel. */
typedef struct TileOut {
	void *at;
	const float *m, *z;
	int codes;
} TileOut;

RT_INLINE TileOut tile_floats(float *out) { return (TileOut){out, NULL, NULL, 0}; }
RT_INLINE TileOut tile_codes(int8_t *out, const float *m, const float *z) { return (TileOut){out, m, z, 1}; }

/* The tile that begins at this row and column. */
RT_INLINE TileOut tile_out(TileOut out, int row, int column, int N)
{
	const size_t at = (size_t)row * (size_t)N + (size_t)column;
	return out.codes ? tile_codes((int8_t *)out.at + at, out.m + column, out.z + column)
					 : tile_floats((float *)out.at + at);
}

/* Writes act(acc * (s * ws) + bias) of one row, or its codes, for a panel of an int8 linear. The product s *
 * ws is rounded to f32, the rest is one fused multiply-add. */
RT_INLINE void tile_scale(
	TileOut to, const int32_t *acc, float s, const float *ws, const float *bias, int width, int act)
{
	enum { WIDEST = 16 };
	float tile[WIDEST], *y = to.codes ? tile : (float *)to.at;
	for (int j = 0; j < width; j++)
		y[j] = math_act(fmaf((float)acc[j], s * ws[j], bias[j]), act);
	if (to.codes)
		math_code_row((int8_t *)to.at, tile, to.m, to.z, width);
}

/* Writes scales of 1: the consumer's weights include the scales of static codes. */
RT_INLINE void tile_scales(float *scales, int r0, int r1, int p0)
{
	for (int r = r0; r < r1 && p0 == 0; r++)
		scales[r] = 1;
}
#endif
