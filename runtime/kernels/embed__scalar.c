/* embed__scalar.c: rows of a table picked by ids. The caller has checked the ids.
 *
 *   out    [r1][H]   rows r0..r1-1 are written
 *   table  [V][H]    stored as f32, f16 or bf16; or [V/panel rounded up][H][panel], the packed weight of a
 *                    linear that is tied to the table. panel 1: [V][H]
 *   ids    [r1] */
#include "math__scalar.h"

/* The first element of row `id`; the stride of its numbers is `panel`. */
RT_INLINE size_t embed_scalar_row(int32_t id, int H, int panel)
{
	return (size_t)(id / panel) * (size_t)panel * (size_t)H + (size_t)(id % panel);
}

RT_INLINE void embed_f32__scalar(
	float *out, const void *table, const int32_t *ids, int r0, int r1, int H, int panel)
{
	for (int r = r0; r < r1; r++) {
		const float *row = (const float *)table + embed_scalar_row(ids[r], H, panel);
		for (int i = 0; i < H; i++)
			out[(size_t)r * (size_t)H + (size_t)i] = row[(size_t)i * (size_t)panel];
	}
}

RT_INLINE void embed_f16__scalar(
	float *out, const void *table, const int32_t *ids, int r0, int r1, int H, int panel)
{
	for (int r = r0; r < r1; r++) {
		const uint16_t *row = (const uint16_t *)table + embed_scalar_row(ids[r], H, panel);
		for (int i = 0; i < H; i++)
			out[(size_t)r * (size_t)H + (size_t)i] = math_from_f16(row[(size_t)i * (size_t)panel]);
	}
}

RT_INLINE void embed_bf16__scalar(
	float *out, const void *table, const int32_t *ids, int r0, int r1, int H, int panel)
{
	for (int r = r0; r < r1; r++) {
		const uint16_t *row = (const uint16_t *)table + embed_scalar_row(ids[r], H, panel);
		for (int i = 0; i < H; i++)
			out[(size_t)r * (size_t)H + (size_t)i] = math_from_bf16(row[(size_t)i * (size_t)panel]);
	}
}

/* out = codes of the table's rows times their scales [V], plus the rows of added unless that is NULL. */
RT_INLINE void embed_i8__scalar(float *out, const void *table, const int32_t *ids, const float *scales,
	const float *added, int r0, int r1, int H)
{
	for (int r = r0; r < r1; r++) {
		const int8_t *codes = (const int8_t *)table + (size_t)ids[r] * (size_t)H;
		const float *plus = added ? added + (size_t)r * (size_t)H : NULL;
		float *y = out + (size_t)r * (size_t)H;
		for (int i = 0; i < H; i++) {
			const float x = (float)codes[i] * scales[ids[r]];
			y[i] = plus ? x + plus[i] : x;
		}
	}
}

/* The same for codes -7..7, two per byte [V][H/2], even columns in the low half; H is even. */
RT_INLINE void embed_i4__scalar(float *out, const void *table, const int32_t *ids, const float *scales,
	const float *added, int r0, int r1, int H)
{
	for (int r = r0; r < r1; r++) {
		const uint8_t *codes = (const uint8_t *)table + (size_t)ids[r] * (size_t)(H / 2);
		const float *plus = added ? added + (size_t)r * (size_t)H : NULL;
		const float scale = scales[ids[r]];
		float *y = out + (size_t)r * (size_t)H;
		for (int i = 0; i < H / 2; i++) {
			const float even = (float)(((codes[i] & 15) ^ 8) - 8) * scale,
						odd = (float)(((codes[i] >> 4) ^ 8) - 8) * scale;
			y[2 * i] = plus ? even + plus[2 * i] : even;
			y[2 * i + 1] = plus ? odd + plus[2 * i + 1] : odd;
		}
	}
}
