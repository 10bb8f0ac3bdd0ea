/* math__avx512.h: exp, softmax and the activations, 16 floats at a time. Lanes are combined only in the sums
 * of softmax. */
#ifndef RT_MATH__AVX512_H
#define RT_MATH__AVX512_H
#include <immintrin.h>
#include <math.h>

/* The mask of the first n of 16 lanes; all for n >= 16, none for n <= 0. */
RT_INLINE RT_TARGET_AVX512 __mmask16 math_avx512_first(int n)
{
	if (n >= 16)
		return 0xffff;
	return n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

/* 16 x 16 floats: element j of row i becomes element i of row j. */
RT_INLINE RT_TARGET_AVX512 void math_avx512_transpose(__m512 r[16])
{
	__m512 t[16];
	RT_UNROLL_FULL for (int i = 0; i < 16; i += 2)
	{
		t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
	}
	RT_UNROLL_FULL for (int i = 0; i < 16; i += 4) RT_UNROLL_FULL for (int j = 0; j < 2; j++)
	{
		__m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + j + 2]);
		r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
		r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
	}
	/* r[4g + c] now holds, in its 128-bit part l, column 4l + c of rows 4g..4g+3 */
	RT_UNROLL_FULL for (int c = 0; c < 4; c++)
	{
		t[c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
		t[4 + c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
		t[8 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
		t[12 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
	}
	RT_UNROLL_FULL for (int c = 0; c < 4; c++)
	{
		r[c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
		r[8 + c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0xdd);
		r[4 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0x88);
		r[12 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0xdd);
	}
}

/* e^x for x <= 0; NaN stays. x = n ln2 + r with |r| <= ln2/2, and e^r by a minimax polynomial of degree 6:
 * relative error 7.6e-8 over [-87, 0]; lower results underflow. */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_exp(__m512 x)
{
	x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x); /* e^-104 rounds to 0; -infinity would become NaN below */
	__m512 n = _mm512_roundscale_ps(
		_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	/* ln2 in two parts, the first of 15 bits: n * it is exact */
	__m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
	r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
	__m512 p = _mm512_set1_ps(0x1.6a23cep-10f);
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.123a2p-7f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.5558f2p-5f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.555492p-3f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fffffcp-2f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
	return _mm512_scalef_ps(p, n);
}

/* 2^x for x <= 0; NaN stays. With r = x - floor(x) in [0, 1), 2^r is a minimax polynomial of degree 5,
 * relative error 9.1e-8. 2^floor(x) is one instruction, which also turns -infinity and underflow into 0. */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_exp2(__m512 x)
{
	const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
	__m512 p = _mm512_set1_ps(0x1.ec320ap-10f);
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.26900cp-7f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.c95446p-5f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.ebd5a8p-3f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.62e4f6p-1f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fffffep-1f));
	return _mm512_scalef_ps(p, x);
}

/* The same with degree 3: relative error 7.5e-5, for results that are then rounded to bf16 (3.9e-3). */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_exp2_low(__m512 x)
{
	const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
	__m512 p = _mm512_set1_ps(0x1.3f96a4p-4f);
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.cefc4cp-3f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.64444cp-1f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fff632p-1f));
	return _mm512_scalef_ps(p, x);
}

/* 1 / (1 + e^-x), computed from e^-|x| to avoid overflow. */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_sigmoid(__m512 x)
{
	const __m512 one = _mm512_set1_ps(1.0f);
	__m512 e = math_avx512_exp(_mm512_or_ps(x, _mm512_set1_ps(-0.0f)));
	__mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
	return _mm512_div_ps(_mm512_mask_mov_ps(one, negative, e), _mm512_add_ps(one, e));
}

/* tanh |x| = (1 - e) / (1 + e) with e = e^-2|x|; below 0.625, where this cancels, x + x^3 P(x^2). */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_tanh(__m512 x)
{
	const __m512 one = _mm512_set1_ps(1.0f), sign = _mm512_set1_ps(-0.0f);
	__m512 e = math_avx512_exp(_mm512_mul_ps(_mm512_or_ps(x, sign), _mm512_set1_ps(2.0f)));
	__m512 large = _mm512_div_ps(_mm512_sub_ps(one, e), _mm512_add_ps(one, e)), z = _mm512_mul_ps(x, x);
	__m512 p = _mm512_set1_ps(-0x1.76aadp-8f);
	p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(0x1.525692p-6f));
	p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-0x1.b8443ep-5f));
	p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(0x1.110768p-3f));
	p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-0x1.555534p-2f));
	__mmask16 small = _mm512_cmp_ps_mask(_mm512_andnot_ps(sign, x), _mm512_set1_ps(0.625f), _CMP_LT_OQ);
	return _mm512_mask_mov_ps(
		_mm512_or_ps(large, _mm512_and_ps(x, sign)), small, _mm512_fmadd_ps(_mm512_mul_ps(x, z), p, x));
}

/* 0.5 erfc(t / sqrt 2) for t >= 0: 15 segments of width 5.4/14.5, centred at 0, 1, .. 14 widths, and zero
 * from 5.4 on. Row k has the coefficients of f^k, where f in [-1/2, 1/2] is the place within the segment.
 * They are minimax fits; the error of GELU is below 2.5e-7. */
static const _Alignas(64) float math_avx512_tail[5][16] __attribute__((unused)) = {
	{0.5f, 0.354792356f, 0.228187978f, 0.13194558f, 0.0681574717f, 0.0312966853f, 0.0127256606f,
		0.00456834631f, 0.00144448935f, 0.000401549914f, 9.7991986e-05f, 2.09675763e-05f, 3.92997845e-06f,
		6.44717773e-07f, 9.25122947e-08f, 0.0f},
	{-0.148571178f, -0.138617024f, -0.112582125f, -0.0795958415f, -0.0489866324f, -0.0262439288f,
		-0.0122388694f, -0.00496834284f, -0.00175563945f, -0.0005400175f, -0.000144585094f, -3.36958183e-05f,
		-6.83531107e-06f, -1.20687514e-06f, -1.85472459e-07f, 0.0f},
	{-6.85003579e-06f, 0.00961377192f, 0.0156139256f, 0.0165582467f, 0.0135876378f, 0.00909943134f,
		0.00509238383f, 0.00241187983f, 0.000974077615f, 0.00033709011f, 0.000100288838f, 2.57121374e-05f,
		5.69059057e-06f, 1.08863173e-06f, 1.80198313e-07f, 0.0f},
	{0.00347277615f, 0.00274519017f, 0.00115870463f, -0.000445150392f, -0.00136723462f, -0.00148913974f,
		-0.00112834934f, -0.000667718123f, -0.000322165928f, -0.000129445165f, -4.38406023e-05f,
		-1.26118484e-05f, -3.09772827e-06f, -6.52035396e-07f, -1.17935741e-07f, 0.0f},
	{-8.8441353e-05f, -0.00032108184f, -0.000438056857f, -0.000332127471f, -0.000122032383f, 4.81347524e-05f,
		0.000116192678f, 0.000105308929f, 6.61416561e-05f, 3.22324631e-05f, 1.27281246e-05f, 4.16278044e-06f,
		1.1421148e-06f, 2.65047561e-07f, 5.23226582e-08f, 0.0f},
};

/* Adding it to a number from 0 to 2^22 rounds the number to an integer in the lowest bits. */
#define MATH_AVX512_ROUND _mm512_set1_ps(12582912.0f)

/* min(|x|, most); NaN becomes `most`. */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_size(__m512 x, float most)
{
	return _mm512_range_ps(x, _mm512_set1_ps(most), 10);
}

/* Looks up 16 lanes in a table of 16 by their lowest four bits, with one permutation. */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_pick(__m512 at, const float *row)
{
	return _mm512_permutexvar_ps(_mm512_castps_si512(at), _mm512_load_ps(row));
}

/* GELU(x) = max(x, 0) - |x| 0.5 erfc(|x| / sqrt 2): without division or exp. */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_gelu(__m512 x)
{
	const __m512 width = _mm512_set1_ps(2.68518519f),
				 t = math_avx512_size(x, 5.58620691f); /* the end of the last segment */
	const __m512 at = _mm512_fmadd_ps(t, width, MATH_AVX512_ROUND);
	const __m512 f = _mm512_fmsub_ps(t, width, _mm512_sub_ps(at, MATH_AVX512_ROUND));
	__m512 q = math_avx512_pick(at, math_avx512_tail[4]);
	q = _mm512_fmadd_ps(q, f, math_avx512_pick(at, math_avx512_tail[3]));
	q = _mm512_fmadd_ps(q, f, math_avx512_pick(at, math_avx512_tail[2]));
	q = _mm512_fmadd_ps(q, f, math_avx512_pick(at, math_avx512_tail[1]));
	q = _mm512_fmadd_ps(q, f, math_avx512_pick(at, math_avx512_tail[0]));
	return _mm512_fnmadd_ps(
		t, q, _mm512_max_ps(_mm512_setzero_ps(), x)); /* max(0, NaN) is NaN in this order */
}

/* The same with degree 3 and segments of width 5/14.5, for inputs that were rounded to int8 or bf16. The
 * error of GELU is below 2.3e-6. The coefficients are those of |x|^k, which is accurate enough for this
 * degree. It takes four instructions less than the full version. Degree 2 (error 4.7e-5) would save two more,
 * but int8 models then had a cosine of only 0.99988 with an emulation; 0.9999 is required. */
static const _Alignas(64) float math_avx512_tail_low[4][16] __attribute__((unused)) = {
	{0.500000119f, 0.50016737f, 0.504526556f, 0.523962915f, 0.55846107f, 0.58031261f, 0.551018357f,
		0.458342046f, 0.32756713f, 0.200024605f, 0.104428016f, 0.0467513315f, 0.0180125814f, 0.00599363772f,
		0.00172791758f, 0.0f},
	{-0.398952127f, -0.400975764f, -0.424712479f, -0.491497338f, -0.577793956f, -0.621464372f, -0.576434791f,
		-0.452966392f, -0.30113861f, -0.170148417f, -0.0821714476f, -0.0341009274f, -0.0122170793f,
		-0.00379318791f, -0.00102393632f, 0.0f},
	{0.000184472534f, 0.0083478326f, 0.052031789f, 0.129005998f, 0.201197758f, 0.230319202f, 0.207236394f,
		0.152354822f, 0.0935554057f, 0.0486864373f, 0.0216862373f, 0.00832674187f, 0.00277047581f,
		0.000801954127f, 0.000202583251f, 0.0f},
	{0.0654366538f, 0.0541648492f, 0.0269466173f, -0.0028150212f, -0.0230100267f, -0.0294891428f,
		-0.0255430117f, -0.0174037553f, -0.00980769936f, -0.00468174601f, -0.0019184089f, -0.000680377299f,
		-0.000210002909f, -5.66306844e-05f, -1.33802578e-05f, 0.0f},
};

RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_gelu_low(__m512 x)
{
	const __m512 t = math_avx512_size(x, 5.17241383f),
				 at = _mm512_fmadd_ps(t, _mm512_set1_ps(2.9f), MATH_AVX512_ROUND);
	__m512 q = math_avx512_pick(at, math_avx512_tail_low[3]);
	q = _mm512_fmadd_ps(q, t, math_avx512_pick(at, math_avx512_tail_low[2]));
	q = _mm512_fmadd_ps(q, t, math_avx512_pick(at, math_avx512_tail_low[1]));
	q = _mm512_fmadd_ps(q, t, math_avx512_pick(at, math_avx512_tail_low[0]));
	return _mm512_fnmadd_ps(t, q, _mm512_max_ps(_mm512_setzero_ps(), x));
}

/* ir/enums.def defines the activations. */
RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_act(__m512 x, int act)
{
	switch (act) {
	case RT_ACT_GELU: return math_avx512_gelu(x);
	case RT_ACT_GELU_TANH: { /* (1 + tanh y) / 2 = sigmoid 2y */
		__m512 cubic = _mm512_fmadd_ps(
			_mm512_mul_ps(x, x), _mm512_set1_ps(0.0713548163f), _mm512_set1_ps(1.59576912f));
		return _mm512_mul_ps(x, math_avx512_sigmoid(_mm512_mul_ps(x, cubic)));
	}
	case RT_ACT_RELU: return _mm512_max_ps(_mm512_setzero_ps(), x);
	case RT_ACT_SILU: return _mm512_mul_ps(x, math_avx512_sigmoid(x));
	case RT_ACT_TANH: return math_avx512_tanh(x);
	case RT_ACT_SIGMOID: return math_avx512_sigmoid(x);
	default: return x;
	}
}

RT_INLINE RT_TARGET_AVX512 __m512 math_avx512_power(__m512 x, int base2)
{
	return base2 ? math_avx512_exp2(x) : math_avx512_exp(x);
}

/* y[n] = b^(x[n] - max(x)) with b = 2 or e; returns 1 / sum(y), 0 for no elements. y may be x. Lane j adds
 * the elements j, j+16, .., so the result depends only on x and n. */
RT_INLINE RT_TARGET_AVX512 float math_avx512_softmax_base(float *y, const float *x, int n, int base2)
{
	if (n <= 0)
		return 0;
	__m512 top = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
	__mmask16 last = math_avx512_first(n - ((n - 1) & ~15));
	int i = 0;
	for (; i < n - 16; i += 16)
		top = _mm512_max_ps(top, _mm512_loadu_ps(x + i));
	top = _mm512_mask_max_ps(top, last, top, _mm512_maskz_loadu_ps(last, x + i));
	top = _mm512_set1_ps(_mm512_reduce_max_ps(top));
	for (i = 0; i < n - 16; i += 16) {
		__m512 e = math_avx512_power(_mm512_sub_ps(_mm512_loadu_ps(x + i), top), base2);
		_mm512_storeu_ps(y + i, e);
		sum = _mm512_add_ps(sum, e);
	}
	__m512 e = math_avx512_power(_mm512_sub_ps(_mm512_maskz_loadu_ps(last, x + i), top), base2);
	_mm512_mask_storeu_ps(y + i, last, e);
	return 1.0f / _mm512_reduce_add_ps(_mm512_mask_add_ps(sum, last, sum, e));
}

RT_INLINE RT_TARGET_AVX512 float math_avx512_softmax(float *y, const float *x, int n)
{
	return math_avx512_softmax_base(y, x, n, 0);
}
RT_INLINE RT_TARGET_AVX512 float math_avx512_softmax2(float *y, const float *x, int n)
{
	return math_avx512_softmax_base(y, x, n, 1);
}

/* 16 static codes as bytes. max(NaN, -127), in this order, returns -127. */
RT_INLINE RT_TARGET_AVX512 __m128i math_avx512_codes(__m512 x, __m512 m, __m512 z)
{
	const __m512 v = _mm512_max_ps(_mm512_add_ps(_mm512_mul_ps(x, m), z), _mm512_set1_ps(-127));
	return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_min_ps(v, _mm512_set1_ps(127))));
}

/* math_code_row. */
RT_INLINE RT_TARGET_AVX512 void math_avx512_code_row(
	int8_t *q, const float *x, const float *m, const float *z, int n)
{
	int k = 0;
	for (; k + 16 <= n; k += 16)
		_mm_storeu_si128((__m128i *)(void *)(q + k),
			math_avx512_codes(_mm512_loadu_ps(x + k), _mm512_loadu_ps(m + k), _mm512_loadu_ps(z + k)));
	if (k < n) {
		const __mmask16 some = math_avx512_first(n - k);
		_mm_mask_storeu_epi8(q + k, some,
			math_avx512_codes(_mm512_maskz_loadu_ps(some, x + k), _mm512_maskz_loadu_ps(some, m + k),
				_mm512_maskz_loadu_ps(some, z + k)));
	}
}
#endif
