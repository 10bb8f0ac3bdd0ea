/* emit_linear.c: wrappers of linears, and of linears whose rows are pooled at once. */
#include <string.h>
#include "emit.h"

/* The parameters of a linear kernel before the ranges, and after the activation. */
typedef struct LinearForm {
	const char *parameters, *arguments, *tail_parameter, *tail_argument;
	int32_t weight;
} LinearForm;

static LinearForm linear_form(const Node *node)
{
	switch (node->op) {
	case OP_LINEAR_I8:
		return (LinearForm){"float *out, const int8_t *q, const float *s, const void *w, const float *ws, "
							"const float *bias, const int32_t *sums",
			"out, q, s, w, ws, bias, sums", ", void *scratch", ", scratch", 2};
	case OP_LINEAR_I8_CODES:
		return (LinearForm){"int8_t *out, float *scales, const int8_t *q, const float *s, const void *w, "
							"const float *ws, const float *bias, "
							"const float *m, const float *z, const int32_t *sums",
			"out, scales, q, s, w, ws, bias, m, z, sums", ", void *scratch", ", scratch", 2};
	case OP_LINEAR_BF16:
		return (LinearForm){"float *out, const float *x, const void *w, const float *bias", "out, x, w, bias",
			", void *scratch", ", scratch", 1};
	default:
		return node->args[1]->type.rank == 1 /* sparse */
			? (LinearForm){"float *out, const float *x, const void *w, const float *bias", "out, x, w, bias",
				  ", void *scratch", ", scratch", 1}
			: (LinearForm){"float *out, const float *x, const void *w, const float *bias", "out, x, w, bias",
				  "", "", 1};
	}
}

/* A function that calls the kernel with a literal K. K must be a constant: with unknown strides the loop over
 * K spills row pointers and loses 40 % of its speed. Outputs and activation stay parameters, so all linears
 * of equal K share the function. Clang needs a quarter of a second for its dozen tiles.
 */
static const char *linear_core(Emitter *e, const Node *node, const KernelInfo *kernel, long long inputs)
{
	const LinearForm form = linear_form(node);
	const char *name = mem_printf(e->mem, "%s_k%lld", kernel->function, inputs);
	for (int32_t i = 0; i < e->nwrappers; i++)
		if (e->wrappers[i].is_core && strcmp(e->wrappers[i].name, name) == 0)
			return name;
	const char *text = mem_printf(e->mem,
		"(%s, int r0, int r1, int p0, int p1, int N, int act%s)\n{\n"
		"\t%s(%s, r0, r1, p0, p1, %lld, N, act%s);\n}\n",
		form.parameters, form.tail_parameter, kernel->function, form.arguments, inputs, form.tail_argument);
	e->wrappers[e->nwrappers++] = (Wrapper){name, text, isa_attribute(kernel->needs), kernel, true};
	return name;
}

/* The arguments of a packed linear; sets *count. */
static const char *const *linear_names(Op op, int32_t *count)
{
	static const char *const names[] = {"x", "w", "bias"};
	static const char *const names_i8[] = {"q", "qs", "w", "ws", "bias", "sums"};
	static const char *const names_codes[] = {"q", "qs", "w", "ws", "bias", "m", "z", "sums"};
	switch (op) {
	case OP_LINEAR_I8: *count = 6; return names_i8;
	case OP_LINEAR_I8_CODES: *count = 8; return names_codes;
	default: *count = 3; return names;
	}
}

/* False and a message if the weight is not packed as the kernel reads it. */
static bool check_packed(Body *b, const Node *node, int32_t nargs)
{
	if (!(node->attr.has & A_panel) || !(node->attr.has & A_width) || node->nargs != nargs)
		return diag_error(b->e->diag, EXIT_UNSUPPORTED, node->line,
			"%s: the weight is not packed; add pack-weights after lower", op_info[node->op].name);
	const Type *packed = &node->args[linear_form(node).weight]->type;
	const bool sparse = packed->rank == 1;
	if (node->attr.panel != b->kernel->panel || sparse != kernel_is_sparse(b->kernel)
		|| (!sparse && (packed->rank == 4 ? packed->dim[3].plus : 1) != b->kernel->group))
		return diag_error(b->e->diag, EXIT_INPUT, node->line,
			"%s: the weight is packed in %spanels of %lld, but %s reads %spanels of %d",
			op_info[node->op].name, sparse ? "sparse " : "", (long long)node->attr.panel, b->kernel->function,
			kernel_is_sparse(b->kernel) ? "sparse " : "", (int)b->kernel->panel);
	return true;
}

bool body_linear(Body *b)
{
	const Node *node = b->node;
	const LinearForm form = linear_form(node);
	int32_t nargs;
	const char *const *names = linear_names(node->op, &nargs);
	if (!check_packed(b, node, nargs))
		return false;
	const Type *type = &node->results[0]->type, *x = &node->args[0]->type;
	long long inputs = x->dim[x->rank - 1].plus, width = node->attr.width,
			  panels = (width + node->attr.panel - 1) / node->attr.panel;
	Act act = node->attr.has & A_act ? node->attr.act : ACT_NONE;
	for (int32_t i = 0; i < node->nargs; i++)
		body_param(b, names[i], node->args[i]);
	b->name = mem_printf(b->e->mem, "%s_%lld_%lld%s%s", body_op_name(b), inputs, width, act ? "_" : "",
		act ? body_lower(b, emit_act_words[act]) : "");
	double flops = 2.0 * (double)inputs * (double)width;
	const char *rows = body_product(b, type, body_first_dim(b), type->rank - 1);
	const char *indent = b->form == FORM_EACH ? "\t\t" : "\t";
	if (*form.tail_argument)
		fprintf(b->code, "%schar *scratch = call->scratch + (size_t)thread * call->scratch_bytes;\n", indent);
	if (b->form == FORM_EACH) {
		fprintf(b->code, "\t\t%s(", linear_core(b->e, node, b->kernel, inputs));
		body_print_params(b);
		fprintf(b->code, ", 0, %s, 0, %lld", rows, panels);
	} else {
		const char *times = strcmp(rows, "1") ? mem_printf(b->e->mem, " * %s", rows) : "";
		if (b->form == FORM_TOKENS)
			fprintf(b->code, "\tconst RtShare s = rt_chain_linear(call, chain, thread, %lld);\n", panels);
		else
			fprintf(b->code, "\tconst RtShare s = rt_share_linear(call, thread, rows, %lld);\n", panels);
		b->whole = true;
		fprintf(b->code, "\t%s(", linear_core(b->e, node, b->kernel, inputs));
		body_print_params(b);
		fprintf(b->code, ", s.r0%s, s.r1%s, s.p0, s.p1", times, times);
		flops *= (double)(value_unit(node->results[0]) / (width ? width : 1));
	}
	fprintf(b->code, ", %lld, RT_ACT_%s%s);\n", width, emit_act_words[act], form.tail_argument);
	*(b->form == FORM_TEXTS ? &b->per_text : &b->per_token) = flops;
	return true;
}

/* ---- a linear whose rows are pooled ---------------------------------------------------------- */

/* An argument of the kernel from panel p on, or from row `row` on. */
static const char *pooled_argument(Body *b, const Node *linear, int32_t i, const char *name)
{
	const Type *type = &linear->args[i]->type;
	const int64_t unit = value_unit(linear->args[i]);
	if (!value_is_const(linear->args[i])) /* the rows, and their scales */
		return mem_printf(b->e->mem, "%s + row * %lld", name, (long long)unit);
	if (i != linear_form(linear).weight)
		return mem_printf(b->e->mem, "(const %s *)%s + p * %lld", type->dtype == DT_I32 ? "int32_t" : "float",
			name, (long long)linear->attr.panel);
	return mem_printf(b->e->mem, "(const char *)%s + (size_t)p * %lld", name,
		(long long)(unit / type->dim[0].plus * dtype_bytes[type->dtype]));
}

/* pool {mode=max} of a linear: the threads divide the panels of its weight. A thread takes a few panels
 * through the rows of all texts, a block of rows at a time, and keeps the largest of each output. So there is
 * no value with all outputs of all rows. */
bool body_pooled(Body *b)
{
	const Node *linear = b->node->args[0]->node;
	const LinearForm form = linear_form(linear);
	int32_t nargs;
	const char *const *names = linear_names(linear->op, &nargs);
	if (!check_packed(b, linear, nargs))
		return false;
	if (kernel_is_sparse(b->kernel))
		return diag_error(b->e->diag, EXIT_INPUT, b->node->line,
			"%s: sparse weights have no panels to divide; let chain-rows make chains", op_info[OP_POOL].name);
	const Type *x = &linear->args[0]->type;
	const long long inputs = x->dim[x->rank - 1].plus, width = linear->attr.width, panel = linear->attr.panel,
					rows = linear->attr.rows;
	const int32_t symbol = value_symbol(b->node->args[0]);
	const Act act = linear->attr.has & A_act ? linear->attr.act : ACT_NONE;
	b->name = mem_printf(b->e->mem, "pool_max_%s_%lld_%lld", op_info[linear->op].name, inputs, width);
	b->whole = true;
	if (symbol)
		fprintf(b->code, "\tconst int32_t *offsets = rt_offsets(call, %d);\n", (int)symbol);
	else
		fputs("\tconst int32_t *offsets = call->offsets;\n", b->code);
	if (*form.tail_argument)
		fputs("\tchar *scratch = call->scratch + (size_t)thread * call->scratch_bytes;\n", b->code);
	fprintf(b->code,
		"\tfloat *tile = (float *)(void *)(call->blocks + (size_t)thread * call->block_bytes + %lld);\n"
		"\tconst int end = rt_part(%lld, thread + 1, call->threads);\n"
		"\tfor (int p = rt_part(%lld, thread, call->threads), n; p < end; p += n) {\n"
		"\t\tn = rt_min(%lld, end - p);\n"
		"\t\tconst int columns = rt_min(n * %lld, %lld - p * %lld);\n"
		"\t\tfor (int i = 0; i < call->ntexts; i++) {\n"
		"\t\t\tfloat *to = out + (size_t)i * %lld + p * %lld;\n"
		"\t\t\trt_pool_begin(to, columns, offsets[i + 1] - offsets[i]);\n"
		"\t\t\tfor (int r = offsets[i]; r < offsets[i + 1]; r += %lld) {\n"
		"\t\t\t\tconst int rows = rt_min(%lld, offsets[i + 1] - r);\n"
		"\t\t\t\tconst size_t row = (size_t)r;\n"
		"\t\t\t\t%s(tile",
		(long long)(linear->attr.offset.at[0] * rows), (width + panel - 1) / panel,
		(width + panel - 1) / panel, POOLED_COLUMNS / panel, panel, width, panel, width, panel, rows, rows,
		linear_core(b->e, linear, b->kernel, inputs));
	for (int32_t i = 0; i < nargs; i++) {
		body_param(b, names[i], linear->args[i]);
		fprintf(b->code, ", %s", pooled_argument(b, linear, i, names[i]));
	}
	fprintf(b->code,
		", 0, rows, 0, n, columns, RT_ACT_%s%s);\n"
		"\t\t\t\trt_pool_max(to, tile, rows, columns);\n\t\t\t}\n\t\t}\n\t}\n",
		emit_act_words[act], form.tail_argument);
	b->per_token = 2.0 * (double)inputs * (double)width;
	return true;
}
