/* math__avx2.h: exp, softmax and the activations, 8 floats at a time. Lanes are combined only in the sums of
 * softmax. */
#ifndef RT_MATH__AVX2_H
#define RT_MATH__AVX2_H
#include <immintrin.h>
#include <math.h>

/* The mask of the first n of 8 lanes; all for n >= 8, none for n <= 0. */
RT_INLINE RT_TARGET_AVX2 __m256i math_avx2_first(int n)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n floats at p, zeros after them; n may be 8 or more. */
RT_INLINE RT_TARGET_AVX2 __m256 math_avx2_load(const float *p, int n)
{
	return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, math_avx2_first(n));
}

RT_INLINE RT_TARGET_AVX2 void math_avx2_store(float *p, __m256 v, int n)
{
	if (n >= 8)
		_mm256_storeu_ps(p, v);
	else
		_mm256_maskstore_ps(p, math_avx2_first(n), v);
}

/* 8 x 8 floats: element j of row i becomes element i of row j. */
RT_INLINE RT_TARGET_AVX2 void math_avx2_transpose(__m256 r[8])
{
	__m256 t[8];
	RT_UNROLL_FULL for (int i = 0; i < 8; i += 2)
	{
		t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
	}
	RT_UNROLL_FULL for (int i = 0; i < 8; i += 4)
	{
		r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
		r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
		r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
		r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
	}
	/* r[4g + c] now holds, in its 128-bit part l, column 4l + c of rows 4g..4g+3 */
	RT_UNROLL_FULL for (int c = 0; c < 4; c++)
	{
		t[c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x20);
		t[4 + c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x31);
	}
	RT_UNROLL_FULL for (int c = 0; c < 8; c++) r[c] = t[c];
}

RT_INLINE RT_TARGET_AVX2 float math_avx2_sum(__m256 v)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

RT_INLINE RT_TARGET_AVX2 float math_avx2_max(__m256 v)
{
	__m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	s = _mm_max_ps(s, _mm_movehl_ps(s, s));
	return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/* e^x for x <= 0, zero below -87.3 (where floats become subnormal); NaN stays. As in math__avx512.h: x = n
 * ln2 + r. */
RT_INLINE RT_TARGET_AVX2 __m256 math_avx2_exp(__m256 x)
{
	const __m256 least = _mm256_set1_ps(-87.3f);
	__m256 keep = _mm256_cmp_ps(x, least, _CMP_NLT_UQ), one = _mm256_set1_ps(1.0f);
	x = _mm256_max_ps(least, x);
	__m256 n = _mm256_round_ps(
		_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x);
	r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
	__m256 p = _mm256_set1_ps(0x1.6a23cep-10f);
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.123a2p-7f));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5558f2p-5f));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555492p-3f));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffffcp-2f));
	p = _mm256_fmadd_ps(p, r, one);
	p = _mm256_fmadd_ps(p, r, one);
	__m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
	return _mm256_and_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(power)), keep);
}

/* 1 / (1 + e^-x), computed from e^-|x| to avoid overflow. */
RT_INLINE RT_TARGET_AVX2 __m256 math_avx2_sigmoid(__m256 x)
{
	const __m256 one = _mm256_set1_ps(1.0f);
	__m256 e = math_avx2_exp(_mm256_or_ps(x, _mm256_set1_ps(-0.0f)));
	__m256 negative = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ);
	return _mm256_div_ps(_mm256_blendv_ps(one, e, negative), _mm256_add_ps(one, e));
}

/* tanh |x| = (1 - e) / (1 + e) with e = e^-2|x|; below 0.625, where this cancels, x + x^3 P(x^2). */
RT_INLINE RT_TARGET_AVX2 __m256 math_avx2_tanh(__m256 x)
{
	const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
	__m256 e = math_avx2_exp(_mm256_mul_ps(_mm256_or_ps(x, sign), _mm256_set1_ps(2.0f)));
	__m256 large = _mm256_div_ps(_mm256_sub_ps(one, e), _mm256_add_ps(one, e)), z = _mm256_mul_ps(x, x);
	__m256 p = _mm256_set1_ps(-0x1.76aadp-8f);
	p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(0x1.525692p-6f));
	p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(-0x1.b8443ep-5f));
	p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(0x1.110768p-3f));
	p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(-0x1.555534p-2f));
	__m256 small = _mm256_cmp_ps(_mm256_andnot_ps(sign, x), _mm256_set1_ps(0.625f), _CMP_LT_OQ);
	return _mm256_blendv_ps(
		_mm256_or_ps(large, _mm256_and_ps(x, sign)), _mm256_fmadd_ps(_mm256_mul_ps(x, z), p, x), small);
}

/* GELU(x) = max(x, 0) - |x| 0.5 erfc(|x| / sqrt 2), and with t = |x|: 0.5 erfc(t / sqrt 2) = e^(-t^2/2) P(1 /
 * (1 + 0.3 t)), P a minimax polynomial of degree 6 without constant: the error of GELU is below 2e-7. */
RT_INLINE RT_TARGET_AVX2 __m256 math_avx2_gelu(__m256 x)
{
	const __m256 one = _mm256_set1_ps(1.0f);
	__m256 t = _mm256_min_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x), _mm256_set1_ps(10.0f));
	__m256 e = math_avx2_exp(_mm256_mul_ps(_mm256_mul_ps(t, t), _mm256_set1_ps(-0.5f)));
	__m256 u = _mm256_div_ps(one, _mm256_fmadd_ps(t, _mm256_set1_ps(0.3f), one));
	__m256 p = _mm256_set1_ps(-0x1.12fa36p-4f);
	p = _mm256_fmadd_ps(p, u, _mm256_set1_ps(0x1.6351f8p-3f));
	p = _mm256_fmadd_ps(p, u, _mm256_set1_ps(0x1.b69534p-5f));
	p = _mm256_fmadd_ps(p, u, _mm256_set1_ps(0x1.661bd2p-4f));
	p = _mm256_fmadd_ps(p, u, _mm256_set1_ps(0x1.1687c4p-3f));
	p = _mm256_fmadd_ps(p, u, _mm256_set1_ps(0x1.dde03ap-4f));
	__m256 tail = _mm256_mul_ps(_mm256_mul_ps(e, u), _mm256_mul_ps(p, t));
	return _mm256_sub_ps(_mm256_max_ps(_mm256_setzero_ps(), x), tail); /* max(0, NaN) is NaN in this order */
}

/* ir/enums.def defines the activations. */
RT_INLINE RT_TARGET_AVX2 __m256 math_avx2_act(__m256 x, int act)
{
	switch (act) {
	case RT_ACT_GELU: return math_avx2_gelu(x);
	case RT_ACT_GELU_TANH: { /* (1 + tanh y) / 2 = sigmoid 2y */
		__m256 cubic = _mm256_fmadd_ps(
			_mm256_mul_ps(x, x), _mm256_set1_ps(0.0713548163f), _mm256_set1_ps(1.59576912f));
		return _mm256_mul_ps(x, math_avx2_sigmoid(_mm256_mul_ps(x, cubic)));
	}
	case RT_ACT_RELU: return _mm256_max_ps(_mm256_setzero_ps(), x);
	case RT_ACT_SILU: return _mm256_mul_ps(x, math_avx2_sigmoid(x));
	case RT_ACT_TANH: return math_avx2_tanh(x);
	case RT_ACT_SIGMOID: return math_avx2_sigmoid(x);
	default: return x;
	}
}

/* y[n] = exp(x[n] - max(x)); returns 1 / sum(y), 0 for no elements. y may be x. Lane j adds the elements j,
 * j+8, .., so the result depends only on x and n. */
RT_INLINE RT_TARGET_AVX2 float math_avx2_softmax(float *y, const float *x, int n)
{
	const __m256 nothing = _mm256_set1_ps(-INFINITY);
	__m256 top = nothing, sum = _mm256_setzero_ps();
	for (int i = 0; i < n; i += 8) {
		__m256 some = _mm256_castsi256_ps(math_avx2_first(n - i));
		top = _mm256_max_ps(top, _mm256_blendv_ps(nothing, math_avx2_load(x + i, n - i), some));
	}
	top = _mm256_set1_ps(math_avx2_max(top));
	for (int i = 0; i < n; i += 8) {
		__m256 e = math_avx2_exp(_mm256_sub_ps(math_avx2_load(x + i, n - i), top));
		math_avx2_store(y + i, e, n - i);
		sum = _mm256_add_ps(sum, _mm256_and_ps(e, _mm256_castsi256_ps(math_avx2_first(n - i))));
	}
	return n > 0 ? 1.0f / math_avx2_sum(sum) : 0;
}

/* 8 static codes, as 32-bit integers, of the floats at x. max(NaN, -127), in this order, returns -127. */
RT_INLINE RT_TARGET_AVX2 __m256i math_avx2_codes(const float *x, const float *m, const float *z, int n)
{
	const __m256 v = _mm256_add_ps(
		_mm256_mul_ps(math_avx2_load(x, n), math_avx2_load(m, n)), math_avx2_load(z, n));
	return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(v, _mm256_set1_ps(-127)), _mm256_set1_ps(127)));
}

/* math_code_row. */
RT_INLINE RT_TARGET_AVX2 void math_avx2_code_row(
	int8_t *q, const float *x, const float *m, const float *z, int n)
{
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packing works within 128-bit halves */
	for (int k = 0; k < n; k += 32) {
		__m256i code[4];
		RT_UNROLL_FULL for (int i = 0; i < 4; i++)
		{
			const int at = k + 8 * i;
			if (n - k >= 32)
				code[i] = math_avx2_codes(x + at, m + at, z + at, 8);
			else if (n > at)
				code[i] = math_avx2_codes(x + at, m + at, z + at, n - at);
			else
				code[i] = _mm256_setzero_si256();
		}
		const __m256i bytes = _mm256_permutevar8x32_epi32(
			_mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3])),
			order);
		if (n - k >= 32) {
			_mm256_storeu_si256((__m256i *)(void *)(q + k), bytes);
		} else {
			int8_t some[32];
			_mm256_storeu_si256((__m256i *)(void *)some, bytes);
			memcpy(q + k, some, (size_t)(n - k));
		}
	}
}
#endif
