/* qat.c: stores the scales of quantisation-aware training in the module as meta lines. qat.def lists their
 * tensors. passes/narrow/trained_scales.c reads the lines for quantize-int8{scheme=static}:
 *
 *   meta "scales.layer.0.ffn.in" "0.0247 -12 bert...dense.weight bert...dense.weight_fake_quant.scale 1"
 *
 * The five fields are
 *   1  the step of the codes of the linear's input; 0: the checkpoint has none
 *   2  the code of zero, -128..127
 *   3  the tensor of the linear's weight; "-": its scales are not in the checkpoint
 *   4  the tensor of the weight's scales, one for all rows or one for each row; "-" likewise
 *   5  the unit: a step of the weight's codes is scale / unit
 *
 * A scale that is not a finite number above 0 is an error, because the model's results would be useless. */
#include <math.h>
#include <string.h>
#include "builder.h"

enum Of { OF_LINEAR, OF_MAKER, OF_OUTSIDE };
static const struct {
	const char *scale, *zero;
	double unit;
} weight_scales[] = {
#define WEIGHT(scale, zero, unit) {scale, zero, unit},
#define INPUT(of, scale, zero, unit)
#include "qat.def"
#undef WEIGHT
#undef INPUT
};
static const struct {
	enum Of of;
	const char *scale, *zero;
	double unit;
} input_scales[] = {
#define WEIGHT(scale, zero, unit)
#define INPUT(of, scale, zero, unit) {OF_##of, scale, zero, unit},
#include "qat.def"
#undef WEIGHT
#undef INPUT
};

void builder_made_by(Builder *b, const Value *value, const char *stem)
{
	b->made = value;
	b->maker = stem;
}

/* The module that computes a linear's input (for a pooler: the input's first row). NULL: a module without
 * scales. */
static const char *maker_of(const Builder *b, const Value *x)
{
	if (x->node && x->node->op == OP_POOL)
		x = x->node->args[0];
	return x == b->made ? b->maker : NULL;
}

static const Tensor *find(Builder *b, const char *stem, const char *suffix)
{
	return suffix ? builder_find(b, builder_text(b, "%s.%s", stem, suffix)) : NULL;
}

/* Checks that the scales are `count` valid numbers, or one for all. False and a message if not. */
static bool check_scales(Builder *b, const Tensor *scales, int64_t count, bool zeros, const char *origin)
{
	char found[128];
	const int64_t n = type_count(&scales->type);
	if (!dtype_is_float(scales->type.dtype) || (n != 1 && n != count))
		return builder_fail(b, EXIT_INPUT,
			"%s: %s is %s, expected one float, or one for each of the weight's %jd rows; was the checkpoint "
			"changed after quantisation-aware training?",
			origin, scales->name, type_print(&scales->type, found), (intmax_t)count);
	for (int64_t i = 0; i < n; i++) {
		const double scale = tensor_at(scales, i);
		if (!isfinite(scale) || scale < 0 || (scale == 0 && !zeros))
			return builder_fail(b, EXIT_INPUT,
				"%s: %s is %g at %jd, expected a finite number above 0; calibrate the model in PyTorch, or "
				"delete its scales",
				origin, scales->name, scale, (intmax_t)i);
	}
	return true;
}

/* False if fake_quant_enabled is 0 beside the scale. */
static bool is_enabled(Builder *b, const char *stem, const char *scale)
{
	const char *dot = strrchr(scale, '.');
	const Tensor *enabled = dot
		? find(b, stem, builder_text(b, "%.*s.fake_quant_enabled", (int)(dot - scale), scale))
		: NULL;
	return !enabled || type_count(&enabled->type) != 1 || tensor_at(enabled, 0) != 0;
}

/* Finds the code of zero in -128..127. Codes of torch are signed or unsigned, and no tensor states which. A
 * zero point outside one of the two ranges decides, else the observed range, else a zero point of 0, which
 * only signed codes have. */
static bool signed_zero(Builder *b, const char *stem, const char *scale, const Tensor *zero, double step,
	double *out, const char *origin)
{
	const double at = tensor_at(zero, 0);
	if (type_count(&zero->type) != 1 || !(at >= -128 && at <= 255) || at != rint(at))
		return builder_fail(b, EXIT_INPUT, "%s: %s is %g, expected one whole number from -128 to 255", origin,
			zero->name, at);
	const Tensor *low = find(b, stem,
		builder_text(b, "%.*s.activation_post_process.min_val", (int)(strrchr(scale, '.') - scale), scale));
	bool has_sign = at <= 0;
	if (at >= 0 && at <= 127 && low && type_count(&low->type) == 1 && isfinite(tensor_at(low, 0))) {
		const double least = fmin(tensor_at(low, 0), 0);
		has_sign = fabs((-128 - at) * step - least) < fabs(-at * step - least);
	}
	*out = has_sign && at <= 127 ? at : at - 128;
	return true;
}

static bool read_input(
	Builder *b, const Value *x, const char *linear, double *step, double *zero, const char *origin)
{
	*zero = 0;
	*step = 0;
	for (size_t i = 0; i < sizeof input_scales / sizeof *input_scales; i++) {
		const char *stem = input_scales[i].of == OF_LINEAR ? linear : maker_of(b, x),
				   *dot = stem ? strrchr(stem, '.') : NULL;
		if (stem && input_scales[i].of == OF_OUTSIDE)
			stem = dot ? builder_text(b, "%.*s", (int)(dot - stem), stem) : NULL;
		const Tensor *scale = stem ? find(b, stem, input_scales[i].scale) : NULL;
		if (!scale || !is_enabled(b, stem, input_scales[i].scale))
			continue;
		if (!check_scales(b, scale, 1, false, origin))
			return false;
		*step = tensor_at(scale, 0) / input_scales[i].unit;
		const Tensor *at = find(b, stem, input_scales[i].zero);
		return !at || signed_zero(b, stem, input_scales[i].scale, at, *step, zero, origin);
	}
	return true;
}

/* Finds the scales of a weight; *found NULL: it has none. */
static bool read_weight(
	Builder *b, const char *stem, int64_t rows, const Tensor **found, double *unit, const char *origin)
{
	*found = NULL;
	*unit = 1;
	for (size_t i = 0; i < sizeof weight_scales / sizeof *weight_scales && !*found; i++) {
		const Tensor *scale = find(b, stem, weight_scales[i].scale),
					 *zero = find(b, stem, weight_scales[i].zero);
		if (!scale || !is_enabled(b, stem, weight_scales[i].scale))
			continue;
		if (!check_scales(b, scale, rows, weight_scales[i].unit != 1, origin))
			return false;
		for (int64_t k = 0; zero && k < type_count(&zero->type); k++)
			if (tensor_at(zero, k) != 0)
				return builder_fail(b, EXIT_INPUT,
					"%s: %s is %g at %jd, expected 0: weights in int8 are symmetric here; train with "
					"qscheme=torch.per_channel_symmetric and dtype=torch.qint8",
					origin, zero->name, tensor_at(zero, k), (intmax_t)k);
		*found = scale;
		*unit = weight_scales[i].unit;
	}
	return true;
}

void build_scales(Builder *b, const Value *x, const Tensor *weight, const char *stem, const char *origin)
{
	double step, zero, unit;
	const Tensor *scales;
	if (b->failed || !read_input(b, x, stem, &step, &zero, origin)
		|| !read_weight(b, stem, weight->type.dim[0].plus, &scales, &unit, origin) || (step == 0 && !scales))
		return;
	if (strpbrk(weight->name, " \t\n") || (scales && strpbrk(scales->name, " \t\n"))) {
		builder_fail(b, EXIT_UNSUPPORTED, "%s: scales of %s: tensor names with blanks are not supported",
			origin, weight->name);
		return;
	}
	module_set_meta(b->module, builder_text(b, "scales.%s", origin),
		builder_text(b, "%.17g %g %s %s %g", step, zero, scales ? weight->name : "-",
			scales ? scales->name : "-", unit));
}

void refuse_scales(Builder *b, const Value *x, const char *stem, int64_t rows, const char *origin)
{
	double step = 0, zero, unit;
	const Tensor *scales = NULL;
	if (b->failed || !read_input(b, x, stem, &step, &zero, origin)
		|| !read_weight(b, stem, rows, &scales, &unit, origin))
		return;
	if (step != 0 || scales)
		builder_fail(b, EXIT_UNSUPPORTED,
			"%s: %s has scales of quantisation-aware training, which are not supported for linears that are "
			"split or repeated",
			origin, stem);
}
