/* relative__avx512.h: products by distance (relative__scalar.h) for attention__avx512.c, which has up to 32
 * queries in lanes. */
#ifndef RT_RELATIVE__AVX512_H
#define RT_RELATIVE__AVX512_H
#include "attention__avx512.h"
#include "relative__scalar.h"

/* row[at[0] - first], .. row[at[15] - first]. Neighbouring distances mostly have neighbouring rows. A gather
 * takes 20 cycles. */
RT_INLINE RT_TARGET_AVX512 __m512 relative_avx512_pick(const float *row, const int32_t *at, int first)
{
	const __m512i steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	const __m512i back = _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	const __m512i places = _mm512_loadu_si512(at), begin = _mm512_set1_epi32(*at);
	const float *from = row + (*at - first);
	if (_mm512_cmpeq_epi32_mask(places, _mm512_add_epi32(begin, steps)) == 0xffff)
		return _mm512_loadu_ps(from);
	if (_mm512_cmpeq_epi32_mask(places, _mm512_sub_epi32(begin, steps)) == 0xffff)
		return _mm512_permutexvar_ps(back, _mm512_loadu_ps(from - 15));
	return _mm512_i32gather_ps(_mm512_sub_epi32(places, _mm512_set1_epi32(first)), row, 4);
}

/* Adds the products of 16 queries from i0 on, `count` of them, to the lanes of sum[t]; transposed: the
 * elements of query 0, 32 floats apart. */
RT_INLINE RT_TARGET_AVX512 void relative_avx512_of_queries(float *sum, float *products, const RtRelative *r,
	const int32_t *slice, const float *transposed, int head, int d, int i0, int count, int keys)
{
	static const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	int first;
	const int width = relative_range(slice, 1 - i0 - count, ((keys + 15) & ~15) - 1 - i0, &first);
	for (int c = 0, nv; c < width; c += 16 * nv) {
		const float *rows = relative_row(r, head, d, first + c);
		nv = (first + c) % RELATIVE_PANEL == 0 && c + 16 < width ? 2 : 1;
		for (int i = 0; i < count; i += 8) {
			float *out = products + (size_t)i * (size_t)width + c;
			if (nv == 2)
				attention_avx512_values(out, width, transposed + i, rows, RELATIVE_PANEL, d, 32, ones, 8, 2);
			else
				attention_avx512_values(out, width, transposed + i, rows, RELATIVE_PANEL, d, 16, ones, 8, 1);
		}
	}
	for (int t0 = 0; t0 < keys; t0 += 16) {
		__m512 x[16];
		RT_UNROLL_FULL for (int i = 0; i < 16; i++)
		{
			const int own = i < count ? i : 0;
			x[i] = relative_avx512_pick(products + (size_t)own * (size_t)width, slice + t0 - i0 - own, first);
		}
		math_avx512_transpose(x);
		RT_UNROLL_FULL for (int t = 0; t < 16; t++) if (t0 + t < keys)
		{
			float *at = sum + 32 * (size_t)(t0 + t);
			_mm512_storeu_ps(at, _mm512_add_ps(_mm512_loadu_ps(at), x[t]));
		}
	}
}

/* Adds the products of mr keys from t0 on to `lanes` lanes of sum[t]; k: their rows. */
RT_INLINE RT_TARGET_AVX512 void relative_avx512_of_keys(float *sum, float *products, const RtRelative *r,
	const int32_t *slice, const float *k, int head, int d, int i0, int lanes, int t0, int mr)
{
	const int wide = (d + 15) & ~15;
	__m512 top[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}; /* not needed */
	int first;
	const int width = relative_range(slice, i0 - (t0 + mr - 1), i0 + lanes - 1 - t0, &first);
	for (int c = 0, nv; c < width; c += 16 * nv) {
		const float *rows = relative_row(r, head, d, first + c);
		nv = (first + c) % RELATIVE_PANEL == 0 && c + 16 < width ? 2 : 1;
		if (nv == 2)
			attention_avx512_keys(products + c, width, rows, k, d, wide, top, mr, 2);
		else
			attention_avx512_keys(products + c, width, rows, k, d, wide, top, mr, 1);
	}
	RT_UNROLL_FULL for (int t = 0; t < mr; t++) for (int i = 0; i < lanes; i += 16)
	{
		float *at = sum + 32 * (size_t)(t0 + t) + i;
		const __m512 x = relative_avx512_pick(
			products + (size_t)t * (size_t)width, slice + i0 + i - (t0 + t), first);
		_mm512_storeu_ps(at, _mm512_add_ps(_mm512_loadu_ps(at), x));
	}
}

/* sum[t][..] = the products of all tables for `count` <= 32 queries from i0 on. products: room for 16 rows of
 * a table's width. */
RT_INLINE RT_TARGET_AVX512 void relative_avx512_sums(float *sum, float *products, const RtRelative *relative,
	const int32_t *const *slices, int nrelative, const float *transposed, const float *k, int head, int d,
	int i0, int count, int keys)
{
	memset(sum, 0, 32 * (size_t)keys * sizeof *sum);
	for (int b = 0; b < nrelative; b++) {
		const RtRelative *r = relative + b;
		for (int w = 0; w < count && !r->by_key; w += 16)
			relative_avx512_of_queries(sum + w, products, r, slices[b], transposed + w, head, d, i0 + w,
				rt_min(16, count - w), keys);
		for (int t = 0, mr; t < keys && r->by_key; t += mr) {
			const float *row = k + (size_t)t * (size_t)((d + 15) & ~15);
			mr = attention_avx512_height(keys - t);
#define RELATIVE_KEYS(m) \
	case m: \
		relative_avx512_of_keys(sum, products, r, slices[b], row, head, d, i0, count > 16 ? 32 : 16, t, m); \
		break;
			switch (mr) {
				RELATIVE_KEYS(1) RELATIVE_KEYS(2) RELATIVE_KEYS(4) RELATIVE_KEYS(8)
			}
#undef RELATIVE_KEYS
		}
	}
}
#endif
