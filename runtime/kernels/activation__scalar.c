/* activation__scalar.c: element-wise functions.
 *
 *   activation_f32   rows r0..r1-1 of out[r1][H] = act(x[r1][H]); act is RT_ACT_*
 *   unary_f32        elements n0..n1-1 of out = op(x); op is RT_UNARY_*
 * out may be x. */
#include "math__scalar.h"

RT_INLINE void activation_f32__scalar(float *out, const float *x, int r0, int r1, int H, int act)
{
	for (size_t i = (size_t)r0 * (size_t)H; i < (size_t)r1 * (size_t)H; i++)
		out[i] = math_act(x[i], act);
}

RT_INLINE void unary_f32__scalar(float *out, const float *x, int n0, int n1, int op)
{
	for (int i = n0; i < n1; i++)
		switch (op) {
		case RT_UNARY_ERF: out[i] = erff(x[i]); break;
		case RT_UNARY_TANH: out[i] = tanhf(x[i]); break;
		case RT_UNARY_RELU: out[i] = math_act(x[i], RT_ACT_RELU); break;
		case RT_UNARY_SIGMOID: out[i] = math_sigmoid(x[i]); break;
		case RT_UNARY_EXP: out[i] = expf(x[i]); break;
		case RT_UNARY_SQRT: out[i] = sqrtf(x[i]); break;
		case RT_UNARY_LOG1P: out[i] = log1pf(x[i]); break;
		}
}
