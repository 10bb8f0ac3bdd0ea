/* emit_ops.c: wrappers of row-wise ops and pooling. emit_step.c writes the frame around the
 * statements (the thread's share, the loop over texts). runtime/kernels has the signatures of the kernels. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"

/* A double in C, in the emitter's arena. */
static const char *real_text(Body *b, double value)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = text_open(&text, &bytes);
	c_real(out, value);
	text_close(out);
	const char *kept = mem_string(b->e->mem, text, bytes);
	free(text);
	return kept;
}

const char *body_real(Body *b, double value)
{
	return mem_printf(b->e->mem, "%sf", real_text(b, (double)(float)value));
}

/* The number of keys or rows, among n, that are kept. */
static const char *kept_text(Body *b, const char *n)
{
	const Attrs *attr = &b->node->attr;
	if (attr->has & A_keep)
		return mem_printf(b->e->mem, "%lld", (long long)attr->keep);
	if (!(attr->has & A_share))
		return n;
	return mem_printf(b->e->mem, "rt_share(%s, %s)", n, real_text(b, attr->share));
}

const char *body_selection(Body *b, const char *n)
{
	const Attrs *attr = &b->node->attr;
	return mem_printf(
		b->e->mem, ", %s, %s", kept_text(b, n), body_real(b, attr->has & A_threshold ? attr->threshold : 0));
}

const char *body_op_name(Body *b)
{
	const char *name = op_info[b->node->op].name;
	for (int32_t i = 0; i < KERNEL_VARIANTS; i++)
		if (b->kernel->variant >> i & 1)
			name = mem_printf(b->e->mem, "%s%s", name, kernel_variant_text[i]);
	return name;
}

const char *body_lower(Body *b, const char *word)
{
	char *text = mem_printf(b->e->mem, "%s", word);
	for (char *at = text; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return text;
}

/* The dimensions of a type from `first` on, for names: "12_S_32". */
static const char *dims_name(Body *b, const Type *type, int32_t first)
{
	const char *name = "";
	for (int32_t i = first; i < type->rank; i++)
		name = mem_printf(b->e->mem, "%s_%s", name,
			dim_is_number(type->dim[i]) ? mem_printf(b->e->mem, "%lld", (long long)type->dim[i].plus) : "S");
	return *name ? name : "_1"; /* "sqrt" alone is a function of libm */
}

/* Prints all parameters as arguments of the kernel; FORM_EACH: pointers to the text's part. Absent ones are
 * NULL. */
void body_print_params(Body *b)
{
	for (int32_t i = 0; i < b->nparams; i++)
		fprintf(b->code, "%s%s", i ? ", " : "", b->form == FORM_EACH ? body_pointer(b, i) : b->param[i].name);
}

/* Prints the range of rows in units of the kernel, `factor` units per token or text. */
static void print_range(Body *b, const char *factor, const char *rows_of_text)
{
	if (b->form == FORM_EACH)
		fprintf(b->code, ", 0, %s", rows_of_text);
	else if (strcmp(factor, "1") == 0)
		fputs(", s.r0, s.r1", b->code);
	else
		fprintf(b->code, ", s.r0 * %s, s.r1 * %s", factor, factor);
}

/* FORM_TOKENS: a value's first dim is its rows. FORM_TEXTS: every dim belongs to the text. */
int32_t body_first_dim(const Body *b) { return b->form == FORM_TOKENS ? 1 : 0; }

static void print_kernel(Body *b)
{
	fprintf(b->code, "%s%s(", b->form == FORM_EACH && !b->whole ? "\t\t" : "\t", b->kernel->function);
}

/* ---- kernels of the form KERNEL(out, arguments, r0, r1, row length, ...) --------------------- */

/* Ids must be checked before they are used: the API checks inputs; all other ids must be known here. */
bool body_check_ids(Body *b, const Value *ids, int64_t rows)
{
	if (!ids->node || ids->node->op == OP_POSITION_IDS)
		return true; /* emit_sizes derives their limit */
	if (!value_is_const(ids))
		return diag_error(b->e->diag, EXIT_UNSUPPORTED, b->node->line,
			"%s: ids come from %s, expected inputs, position_ids or constants", op_info[b->node->op].name,
			op_info[ids->node->op].name);
	const Tensor *tensor = value_tensor(ids);
	for (int64_t i = 0, n = type_count(&tensor->type); i < n; i++)
		if (tensor_at(tensor, i) < 0 || tensor_at(tensor, i) >= (double)rows)
			return diag_error(b->e->diag, EXIT_INPUT, b->node->line,
				"%s: id %.0f is outside the table of %lld rows", op_info[b->node->op].name,
				tensor_at(tensor, i), (long long)rows);
	return true;
}

/* Adds the (table, ids) pairs of embed and embed_layernorm. False: ids may be outside the table. */
static bool add_tables(Body *b, int32_t pairs)
{
	static const char *const tables[] = {"table", "table1", "table2"}, *const ids[] = {"ids", "ids1", "ids2"};
	for (int32_t i = 0; i < pairs; i++) {
		if (!body_check_ids(b, b->node->args[2 * i + 1], node_table_rows(b->node, i)))
			return false;
		body_param(b, tables[i], b->node->args[2 * i]);
		body_param(b, ids[i], b->node->args[2 * i + 1]);
	}
	return true;
}

/* The size of a head, the columns of the angles, the number of rotated heads, and the distance of a pair. */
static const char *rotary_sizes(Body *b)
{
	const Attrs *attr = &b->node->attr;
	const Type *x = &b->node->args[0]->type, *angles = &b->node->args[1]->type;
	const long long columns = (long long)angles->dim[angles->rank - 1].plus;
	return mem_printf(b->e->mem, ", %lld, %lld, %lld, %lld",
		(long long)(x->dim[x->rank - 1].plus / attr->heads), columns,
		(long long)(attr->has & A_end ? attr->end : attr->heads),
		attr->has & A_apart ? (long long)attr->apart : columns / 2);
}

bool body_rows(Body *b)
{
	const Node *node = b->node;
	const Type *type = &node->results[0]->type;
	const Attrs *attr = &node->attr;
	int32_t axis = type->rank - 1, missing = 0;
	const char *tail = "", *detail = "";
	static const char *const names_codes[] = {"x", "y", "gamma", "beta", "m", "z"};
	switch (node->op) {
	case OP_EMBED:
		if (!add_tables(b, 1))
			return false;
		tail = mem_printf(b->e->mem, ", %d", (attr->has & A_panel) ? (int)attr->panel : 1);
		detail = (attr->has & A_panel) ? mem_printf(b->e->mem, "_panel%d", (int)attr->panel) : "";
		break;
	case OP_EMBED_I8:
	case OP_EMBED_I4:
		if (!add_tables(b, 1))
			return false;
		body_param(b, "scales", node->args[2]);
		if (node->nargs == 4)
			body_param(b, "added", node->args[3]);
		detail = node->nargs == 4 ? "_added" : "";
		break;
	case OP_EMBED_LAYERNORM:
		if (!add_tables(b, (node->nargs - 2) / 2))
			return false;
		missing = 3 - (node->nargs - 2) / 2;
		detail = mem_printf(b->e->mem, "_%d", (int)(3 - missing));
		body_param(b, "gamma", node->args[node->nargs - 2]);
		body_param(b, "beta", node->args[node->nargs - 1]);
		break;
	case OP_ADD_LAYERNORM_CODES:
		for (int32_t i = 0; i < node->nargs; i++)
			body_param(b, names_codes[i], node->args[i]);
		break;
	case OP_LAYERNORM:
	case OP_ADD_LAYERNORM:
		body_param(b, "x", node->args[0]);
		if (node->op == OP_ADD_LAYERNORM)
			body_param(b, "y", node->args[1]);
		body_param(b, "gamma", node->args[node->nargs - 2]);
		body_param(b, "beta", node->args[node->nargs - 1]);
		break;
	case OP_QUANTIZE_STATIC:
		body_param(b, "x", node->args[0]);
		body_param(b, "m", node->args[1]);
		body_param(b, "z", node->args[2]);
		break;
	case OP_RMSNORM:
		body_param(b, "x", node->args[0]);
		body_param(b, "gamma", node->args[1]);
		break;
	case OP_ROTARY:
		body_param(b, "x", node->args[0]);
		body_param(b, "angles", node->args[1]);
		tail = rotary_sizes(b);
		break;
	default: body_param(b, "x", node->args[0]);
	}
	if (attr->has & A_eps)
		tail = mem_printf(b->e->mem, ", %s", body_real(b, attr->eps));
	if (attr->has & A_act) {
		tail = mem_printf(b->e->mem, ", RT_ACT_%s", emit_act_words[attr->act]);
		detail = mem_printf(b->e->mem, "_%s", body_lower(b, emit_act_words[attr->act]));
	}
	if (node->op == OP_TOP)
		tail = mem_printf(b->e->mem, ", %lld", (long long)attr->keep);
	if (node->op == OP_SOFTMAX && (attr->has & A_SELECT))
		tail = body_selection(b, body_dim(b, type->dim[axis]));
	b->name = mem_printf(
		b->e->mem, "%s%s%s", body_op_name(b), detail, dims_name(b, type, b->form == FORM_TOKENS));
	print_kernel(b);
	if (missing) { /* NULLs for absent tables go between the tables and gamma */
		int32_t nparams = b->nparams;
		b->nparams -= 2;
		body_print_params(b);
		for (int32_t i = 0; i < missing; i++)
			fputs(", NULL, NULL", b->code);
		b->nparams = nparams;
		for (int32_t i = nparams - 2; i < nparams; i++)
			fprintf(b->code, ", %s", b->form == FORM_EACH ? body_pointer(b, i) : b->param[i].name);
	} else {
		body_print_params(b);
		if ((node->op == OP_EMBED_I8 || node->op == OP_EMBED_I4) && node->nargs == 3)
			fputs(", NULL", b->code);
	}
	print_range(b, body_product(b, type, body_first_dim(b), axis),
		b->form == FORM_EACH ? body_product(b, type, 0, axis) : "");
	fprintf(b->code, ", %s%s);\n", body_dim(b, type->dim[axis]), tail);
	return true;
}

bool body_unary(Body *b)
{
	static const char *const words[OP_COUNT] = {[OP_ERF] = "ERF",
		[OP_TANH] = "TANH",
		[OP_RELU] = "RELU",
		[OP_SIGMOID] = "SIGMOID",
		[OP_EXP] = "EXP",
		[OP_SQRT] = "SQRT",
		[OP_LOG1P] = "LOG1P"};
	const Type *type = &b->node->results[0]->type;
	body_param(b, "x", b->node->args[0]);
	b->name = mem_printf(b->e->mem, "%s%s", op_info[b->node->op].name, dims_name(b, type, 0));
	print_kernel(b);
	body_print_params(b);
	print_range(b, body_product(b, type, body_first_dim(b), type->rank),
		b->form == FORM_EACH ? body_product(b, type, 0, type->rank) : "");
	fprintf(b->code, ", RT_UNARY_%s);\n", words[b->node->op]);
	return true;
}

/* ---- a text as a whole ----------------------------------------------------------------------- */

bool body_position_ids(Body *b)
{
	const Attrs *attr = &b->node->attr;
	const long long start = attr->has & A_start ? attr->start : 0;
	const char *padding = "";
	b->name = mem_printf(b->e->mem, "position_ids_%lld", start);
	if (attr->has & A_padding) {
		body_param(b, "ids", b->node->args[0]);
		padding = mem_printf(b->e->mem, ", %lld", (long long)attr->padding);
		b->name = mem_printf(b->e->mem, "%s_%lld", b->name, (long long)attr->padding);
	}
	print_kernel(b);
	body_print_params(b);
	fprintf(b->code, ", %s, %lld%s);\n", body_dim(b, b->node->results[0]->type.dim[0]), start, padding);
	return true;
}

bool body_pool(Body *b)
{
	const char *mode = emit_pool_words[b->node->attr.mode];
	long long width = (long long)value_unit(b->node->results[0]);
	body_param(b, "x", b->node->args[0]);
	b->name = mem_printf(b->e->mem, "pool_%s_%lld", body_lower(b, mode), width);
	print_kernel(b);
	body_print_params(b);
	const char *skipped = "0";
	if (b->node->attr.has & A_option)
		skipped = mem_printf(b->e->mem, "rt_count(call->options[%d])",
			(int)module_find_option(b->e->module, b->node->attr.option));
	fprintf(b->code, ", %s, %lld, RT_POOL_%s, %s);\n", body_dim(b, b->node->args[0]->type.dim[0]), width,
		mode, skipped);
	return true;
}

/* ---- thinning -------------------------------------------------------------------------------- */

/* Only indices from thin are known to be within the text. */
static bool check_places(Body *b, const Value *places)
{
	return (places->node && places->node->op == OP_THIN)
		|| diag_error(b->e->diag, EXIT_UNSUPPORTED, b->node->line, "%s: expected indices from thin",
			op_info[b->node->op].name);
}

/* Two passes over the texts. The first counts the rows that each keeps, because all offsets must be known
 * before the second writes the indices. */
bool body_thin(Body *b)
{
	const Node *node = b->node;
	const Type *x = &node->args[0]->type;
	const int32_t made = value_symbol(node->results[0]);
	if (value_is_const(node->args[0]) || !type_is_rows(x)
		|| (node->nargs == 2 && value_is_const(node->args[1])))
		return diag_error(b->e->diag, EXIT_UNSUPPORTED, node->line, "thin: expected computed rows");
	body_param(b, "x", node->args[0]);
	if (node->nargs == 2)
		body_param(b, "must", node->args[1]);
	b->whole = true;
	b->name = mem_printf(b->e->mem, "thin_%d_%lld", (int)made, (long long)x->dim[1].plus);
	const char *must = node->nargs == 2 ? body_pointer(b, 2) : "NULL", *from = body_pointer(b, 1),
			   *rows = body_dim(b, x->dim[0]);
	fprintf(b->code,
		"\tint32_t *offsets%d = rt_thinned(call, %d);\n"
		"\tconst RtShare s = rt_share_rows(call, thread, call->ntexts);\n"
		"\tfor (int i = s.r0; i < s.r1; i++) {\n",
		(int)made, (int)made);
	body_text_rows(b, b->code);
	if (node->nargs < 2)
		fprintf(b->code, "\t\t(void)begin%s;\n", body_suffix(b, value_symbol(node->args[0])));
	fprintf(b->code,
		"\t\toffsets%d[i + 1] = thin_count(%s, %s, %s);\n\t}\n"
		"\trt_thin_meet(call, thread, %d);\n"
		"\tfor (int i = s.r0; i < s.r1; i++) {\n",
		(int)made, must, rows, kept_text(b, rows), (int)made);
	body_text_rows(b, b->code);
	fprintf(b->code,
		"\t\t%s(out + offsets%d[i], %s, %s, %s, %lld, offsets%d[i + 1] - offsets%d[i],\n"
		"\t\t\tcall->scratch + (size_t)thread * call->scratch_bytes);\n\t}\n",
		b->kernel->function, (int)made, from, must, rows, (long long)x->dim[1].plus, (int)made, (int)made);
	return true;
}

bool body_gather(Body *b)
{
	const long long width = (long long)value_unit(b->node->results[0]);
	if (!check_places(b, b->node->args[1]))
		return false;
	body_param(b, "x", b->node->args[0]);
	body_param(b, "places", b->node->args[1]);
	b->name = mem_printf(b->e->mem, "gather_%lld", width);
	print_kernel(b);
	body_print_params(b);
	fprintf(b->code, ", %s, %lld);\n", body_dim(b, b->node->results[0]->type.dim[0]), width);
	return true;
}

bool body_spread(Body *b)
{
	const long long width = (long long)value_unit(b->node->results[0]);
	if (!check_places(b, b->node->args[1]))
		return false;
	body_param(b, "x", b->node->args[0]);
	body_param(b, "places", b->node->args[1]);
	b->name = mem_printf(b->e->mem, "spread_%lld", width);
	print_kernel(b);
	body_print_params(b);
	fprintf(b->code, ", %s, %s, %lld);\n", body_dim(b, b->node->results[0]->type.dim[0]),
		body_dim(b, b->node->args[0]->type.dim[0]), width);
	return true;
}
