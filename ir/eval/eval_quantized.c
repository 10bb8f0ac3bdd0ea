/* eval_quantized.c: reference implementation of the ops on int8, int4 and bf16. The other ops compute in
 * double. These follow the f32 arithmetic of the kernels step by step, so that kernels make the same codes
 * and sums, bit for bit. */
#include <math.h>
#include "eval.h"

/* A row with a smaller maximum counts as all zero, because 127 / max|a| would overflow. */
static const float LEAST_SCALED = 1e-30f;

bool eval_QUANTIZE(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	int64_t depth = args[0]->dim[args[0]->rank - 1];
	for (int64_t row = 0; depth > 0 && row < args[0]->count / depth; row++) {
		float largest = 0;
		for (int64_t k = 0; k < depth; k++)
			largest = fmaxf(largest, fabsf((float)eval_at(args[0], row * depth + k)));
		const float inverse = largest < LEAST_SCALED ? 0 : 127.0f / largest;
		results[1].v[row] = largest < LEAST_SCALED ? 0 : largest * (1.0f / 127.0f);
		for (int64_t k = 0; k < depth; k++) {
			const float code = nearbyintf((float)eval_at(args[0], row * depth + k) * inverse);
			results[0].v[row * depth + k] = isnan(code) ? 0 : fminf(fmaxf(code, -127), 127);
		}
	}
	return true;
}

/* codes = floats * m + z, scales = 1. codes may alias floats. NaN becomes the least code, which lets x86
 * clamp with one instruction. */
static void codes_of(const EvalArray *floats, const EvalArray *m, const EvalArray *z, EvalArray codes[2])
{
	int64_t depth = floats->dim[floats->rank - 1];
	for (int64_t i = 0; i < floats->count; i++) {
		const float product = (float)eval_at(floats, i) * (float)eval_at(m, i % depth);
		const float code = nearbyintf(product + (float)eval_at(z, i % depth));
		codes[0].v[i] = isnan(code) ? -127 : fminf(fmaxf(code, -127), 127);
	}
	for (int64_t row = 0; depth > 0 && row < floats->count / depth; row++)
		codes[1].v[row] = 1;
}

bool eval_QUANTIZE_STATIC(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	codes_of(args[0], args[1], args[2], results);
	return true;
}

bool eval_ADD_LAYERNORM_CODES(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	if (!eval_ADD_LAYERNORM(node, args, results, diag))
		return false;
	codes_of(&results[0], args[4], args[5], results + 1);
	return true;
}

/* A 4-bit code from a byte; the even column is in the low half. */
static double nibble(double byte, int64_t column)
{
	const int both = (int)byte, half = column % 2 ? both >> 4 : both & 15;
	return (half & 15) < 8 ? half & 15 : (half & 15) - 16;
}

static bool embed_codes(
	const Node *node, const EvalArray *const *args, int64_t codes_a_byte, EvalArray *results, Diag *diag)
{
	int64_t stored = args[0]->dim[1], hidden = stored * codes_a_byte;
	for (int64_t t = 0; t < args[1]->count; t++) {
		int64_t id = (int64_t)eval_at(args[1], t);
		if (id < 0 || id >= args[0]->dim[0])
			return node_error(node, diag, "id %lld of token %lld is outside the table of %lld rows",
				(long long)id, (long long)t, (long long)args[0]->dim[0]);
		const float scale = (float)eval_at(args[2], id);
		for (int64_t j = 0; j < hidden; j++) {
			const double byte = eval_at(args[0], id * stored + j / codes_a_byte);
			const float code = (float)(codes_a_byte == 2 ? nibble(byte, j) : byte) * scale;
			results[0].v[t * hidden + j] = node->nargs == 4 ? code + (float)eval_at(args[3], t * hidden + j)
															: code;
		}
	}
	return true;
}

bool eval_EMBED_I8(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	return embed_codes(node, args, 1, results, diag);
}

bool eval_EMBED_I4(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	return embed_codes(node, args, 2, results, diag);
}

/* The sum is exact: at most 127 * 127 * 2^32, and a double holds 2^53. */
bool eval_LINEAR_I8(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	const Act act = node->attr.has & A_act ? node->attr.act : ACT_NONE;
	const int64_t width = eval_products(node, args[0], args[2], results);
	for (int64_t i = 0; i < results[0].count; i++) {
		const int64_t t = i / width, n = i % width;
		const float sum = (float)results[0].v[i], scale = (float)eval_at(args[3], n),
					both = (float)eval_at(args[1], t) * scale,
					bias = node->nargs >= 5 ? (float)eval_at(args[4], n) : 0;
		results[0].v[i] = eval_act(act, (double)fmaf(sum, both, bias));
	}
	return true;
}

bool eval_LINEAR_I8_CODES(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	if (!eval_LINEAR_I8(node, args, results, diag))
		return false;
	codes_of(&results[0], args[5], args[6], results);
	return true;
}

/* VDPBF16PS (Intel SDM): adds the second product of each pair of inputs first. Each sum is rounded to nearest
 * even. Products of two bf16 are exact in f32. Inputs and sums below 2^-126 in magnitude count as zero. */
bool eval_LINEAR_BF16(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	int64_t depth = args[0]->dim[args[0]->rank - 1], width = results[0].dim[results[0].rank - 1],
			rows = args[0]->count / depth;
	Act act = node->attr.has & A_act ? node->attr.act : ACT_NONE;
	double *row = checked_calloc((size_t)depth, sizeof *row);
	float *floats = checked_calloc((size_t)depth, sizeof *floats),
		  *x = checked_calloc((size_t)args[0]->count, sizeof *x);
	for (int64_t i = 0; i < args[0]->count; i++)
		x[i] = bfloat_to_float(bfloat_from_float((float)eval_at(args[0], i)));
	for (int64_t n = 0; rows > 0 && n < width; n++) {
		const float bias = node->nargs == 3 ? (float)eval_at(args[2], n) : 0;
		eval_weight_row(node, args[1], n, depth, floats, row);
		for (int64_t k = 0; k < depth; k++)
			floats[k] = bfloat_to_float(bfloat_from_float((float)row[k]));
		for (int64_t t = 0; t < rows; t++) {
			float sum = bias;
			for (int64_t k = 0; k < depth; k += 2) {
				if (k + 1 < depth)
					sum += x[t * depth + k + 1] * floats[k + 1];
				sum += x[t * depth + k] * floats[k];
			}
			results[0].v[t * width + n] = eval_act(act, (double)sum);
		}
	}
	free(row);
	free(floats);
	free(x);
	return true;
}
