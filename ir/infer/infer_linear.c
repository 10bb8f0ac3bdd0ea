/* infer_linear.c: types of matmul and of linears in every number format: dense, packed and sparse, with the
 * codes they read and write. */
#include "infer.h"

/* Whether the weight has the packed form of sparse.c. verify_lowered.c checks its content. */
static bool weights_are_sparse(const Type *weight) { return weight->rank == 1 && weight->dtype == DT_I8; }

/* Packed weights hold `width` outputs in panels, the last one padded with zeros. They are w[P,K,panel],
 * w[P,ceil(K/g),panel,g] if kernels read inputs in groups of g, or sparse, i8[bytes]. Sets the number of
 * outputs and the length of the bias. */
static bool infer_panels(const Node *node, int i, Dim *outputs, Dim *bias, Diag *diag)
{
	int64_t panel = node->attr.panel, width = node->attr.width;
	if (!(node->attr.has & A_width))
		return node_error(node, diag, "has panel without width");
	if (panel < 1 || panel > DIM_MAX || width < 1 || width > DIM_MAX)
		return node_error(node, diag, "panel is %lld and width is %lld, expected at least 1",
			(long long)panel, (long long)width);
	const Type *weight = arg_type(node, i);
	int64_t panels = (width + panel - 1) / panel;
	if (weights_are_sparse(weight)) {
		if (panel != SPARSE_PANEL || !value_is_const(node->args[i]))
			return node_error(node, diag,
				"%s is %s, the type of sparse weights; expected a constant and panels of %d", ARG_TEXT(i),
				SPARSE_PANEL);
	} else {
		if (!expect_rank(node, i, 3, 4, diag))
			return false;
		if (!dim_equal(weight->dim[0], dim_number(panels)) || !dim_equal(weight->dim[2], dim_number(panel)))
			return node_error(node, diag, "%s is %s, expected [%lld,K,%lld] for width %lld", ARG_TEXT(i),
				(long long)panels, (long long)panel, (long long)width);
	}
	*outputs = dim_number(width);
	*bias = dim_number(panels * panel);
	return true;
}

/* Checks that argument i is a matrix of weights [N,K], or its packed form, that fits the rows of argument
 * 0. */
static bool infer_weights(const Node *node, int i, Dim *outputs, Dim *bias, Diag *diag)
{
	if (node->attr.has & A_panel) {
		if (!infer_panels(node, i, outputs, bias, diag))
			return false;
	} else {
		if (node->attr.has & A_width)
			return node_error(node, diag, "has width without panel");
		if (!expect_rank(node, i, 2, 2, diag))
			return false;
		*bias = arg_type(node, i)->dim[0];
		*outputs = *bias;
	}
	const Type *x = arg_type(node, 0), *weight = arg_type(node, i);
	if (!type_is_number(weight))
		return node_error(node, diag,
			"%s is %s, expected weights of a fixed size; use matmul to multiply activations", ARG_TEXT(i));
	int64_t group = weight->rank == 4 ? weight->dim[3].plus : 1;
	Dim inputs = last_dim(x);
	bool fit = dim_is_number(inputs);
	if (!weights_are_sparse(weight) && weight->rank == 4)
		fit = fit && (inputs.plus + group - 1) / group == weight->dim[1].plus;
	else if (!weights_are_sparse(weight))
		fit = dim_equal(inputs, weight->dim[1]);
	return fit
		|| node_error(node, diag, "%s is %s but %s is %s: the inner sizes differ", ARG_TEXT(0), ARG_TEXT(i));
}

static bool infer_linear(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	Dim outputs, bias;
	const bool sparse = (node->attr.has & A_panel) && node->op == OP_LINEAR
		&& weights_are_sparse(arg_type(node, 1)); /* f32 words */
	if (!expect_float(node, 0, diag) || !(sparse || expect_float(node, 1, diag))
		|| !expect_rank(node, 0, 1, RANK_MAX, diag) || !infer_weights(node, 1, &outputs, &bias, diag)
		|| (node->nargs == 3 && !expect_vector(node, 2, bias, diag)))
		return false;
	const Type *x = arg_type(node, 0);
	results[0] = floats_like(x);
	results[0].dim[x->rank - 1] = outputs;
	return true;
}

bool infer_LINEAR(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if ((node->attr.has & A_panel) && !weights_are_sparse(arg_type(node, 1))
		&& !expect_rank(node, 1, 3, 3, diag))
		return false;
	return infer_linear(node, results, diag);
}

bool infer_LINEAR_BF16(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_linear(node, results, diag);
}

static bool expect_dtype(const Node *node, int i, DType dtype, Diag *diag)
{
	return arg_type(node, i)->dtype == dtype
		|| node_error(node, diag, "%s is %s, expected %s", ARG_TEXT(i), dtype_names[dtype]);
}

/* The scales of codes[..,K]: f32[..]. */
static Type type_of_scales(const Type *codes)
{
	Type scales = floats_like(codes);
	scales.rank--;
	return scales;
}

bool infer_QUANTIZE(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_rank(node, 0, 1, RANK_MAX, diag))
		return false;
	results[0] = *arg_type(node, 0);
	results[0].dtype = DT_I8;
	results[1] = type_of_scales(arg_type(node, 0));
	return true;
}

/* The types of quantize_static for `floats`; arguments `at` and `at` + 1 are steps and zero points. */
bool infer_codes(const Node *node, const Type *floats, int32_t at, Type results[2], Diag *diag)
{
	const Dim width = floats->dim[floats->rank - 1];
	results[1] = type_of_scales(floats);
	results[0] = *floats;
	results[0].dtype = DT_I8;
	return expect_vector(node, at, width, diag) && expect_vector(node, at + 1, width, diag);
}

bool infer_QUANTIZE_STATIC(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return expect_float(node, 0, diag) && expect_rank(node, 0, 1, RANK_MAX, diag)
		&& infer_codes(node, arg_type(node, 0), 1, results, diag);
}

/* Arguments: codes, their scales, weights, scales, bias. Argument `at_sums` is the sums of packed weights. */
static bool infer_linear_i8(const Node *node, int32_t at_sums, Type results[RESULTS_MAX], Diag *diag)
{
	Dim outputs, bias;
	if (!expect_dtype(node, 0, DT_I8, diag) || !expect_rank(node, 0, 1, RANK_MAX, diag)
		|| !expect_dtype(node, 2, DT_I8, diag) || !infer_weights(node, 2, &outputs, &bias, diag)
		|| !expect_vector(node, 3, bias, diag) || (node->nargs >= 5 && !expect_vector(node, 4, bias, diag)))
		return false;
	const Type *x = arg_type(node, 0), scales = type_of_scales(x);
	if (!type_equal(arg_type(node, 1), &scales))
		return node_error(node, diag, "%s is %s, expected the scales %s of the codes", ARG_TEXT(1),
			type_print(&scales, (char[128]){0}));
	const Type sums = type_make(DT_I32, 1, bias);
	if (node->nargs > at_sums && !type_equal(arg_type(node, at_sums), &sums))
		return node_error(node, diag, "%s is %s, expected i32%s, the sums of the packed codes",
			ARG_TEXT(at_sums), DIM_TEXT(bias));
	results[0] = floats_like(x);
	results[0].dim[x->rank - 1] = outputs;
	return true;
}

bool infer_LINEAR_I8(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	return infer_linear_i8(node, 5, results, diag);
}

bool infer_LINEAR_I8_CODES(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!infer_linear_i8(node, 7, results, diag))
		return false;
	const Type floats = results[0];
	return infer_codes(node, &floats, 5, results, diag);
}

bool infer_MATMUL(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	if (!expect_float(node, 0, diag) || !expect_float(node, 1, diag)
		|| !expect_rank(node, 0, 2, RANK_MAX, diag))
		return false;
	const Type *a = arg_type(node, 0), *b = arg_type(node, 1);
	bool fit = a->rank == b->rank && dim_equal(last_dim(a), b->dim[a->rank - 2]);
	for (int i = 0; fit && i < a->rank - 2; i++)
		fit = dim_equal(a->dim[i], b->dim[i]);
	if (!fit)
		return node_error(node, diag,
			"%s is %s but %s is %s, expected [..,M,K] and [..,K,N] with equal leading axes", ARG_TEXT(0),
			ARG_TEXT(1));
	results[0] = floats_like(a);
	results[0].dim[a->rank - 1] = last_dim(b);
	return true;
}
