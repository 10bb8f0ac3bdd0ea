/* emit_tensor.c: wrappers of ops that move or combine whole tensors of one text: matmul, transpose, reshape,
 * slice, concat, shift, convolve, bag, fourier, lstm, gru, and element-wise ops on two tensors. Fused models
 * use few of them; graphs written by hand and -O0 use all of them. */
#include <stdlib.h>
#include <string.h>
#include "emit.h"

static const char *dims_name(Body *b, const Type *type)
{
	const char *name = "";
	for (int32_t i = 0; i < type->rank; i++)
		name = mem_printf(b->e->mem, "%s_%s", name,
			dim_is_number(type->dim[i]) ? mem_printf(b->e->mem, "%lld", (long long)type->dim[i].plus) : "S");
	return name;
}

/* "(const int[]){12, S, 32}" */
static const char *dims_array(Body *b, const Type *type)
{
	const char *list = "";
	for (int32_t i = 0; i < type->rank; i++)
		list = mem_printf(b->e->mem, "%s%s%s", list, i ? ", " : "", body_dim(b, type->dim[i]));
	return mem_printf(b->e->mem, "(const int[]){%s}", type->rank ? list : "1");
}

bool body_matmul(Body *b)
{
	const Type *a = &b->node->args[0]->type, *type = &b->node->results[0]->type;
	int32_t rank = type->rank;
	body_param(b, "a", b->node->args[0]);
	body_param(b, "b", b->node->args[1]);
	b->name = mem_printf(b->e->mem, "matmul%s", dims_name(b, type));
	fprintf(b->code, "\t\t%s(%s, %s, %s, %s, %s, %s, %s);\n", b->kernel->function, body_pointer(b, 0),
		body_pointer(b, 1), body_pointer(b, 2), body_product(b, type, 0, rank - 2),
		body_dim(b, type->dim[rank - 2]), body_dim(b, type->dim[rank - 1]), body_dim(b, a->dim[a->rank - 1]));
	double flops = 2;
	int32_t symbols = 0;
	for (int32_t i = 0; i <= rank; i++) {
		Dim dim = i < rank ? type->dim[i] : a->dim[a->rank - 1];
		if (dim_is_number(dim))
			flops *= (double)dim.plus;
		else
			symbols++;
	}
	if (symbols == 0)
		b->per_text = flops;
	else if (symbols == 1)
		b->per_token = flops;
	else
		b->per_pair = flops;
	return true;
}

bool body_transpose(Body *b)
{
	const Type *type = &b->node->args[0]->type;
	const char *perm = "", *name = "";
	for (int32_t i = 0; i < type->rank; i++) {
		perm = mem_printf(b->e->mem, "%s%s%d", perm, i ? ", " : "", (int)b->node->attr.perm.at[i]);
		name = mem_printf(b->e->mem, "%s%d", name, (int)b->node->attr.perm.at[i]);
	}
	body_param(b, "x", b->node->args[0]);
	b->name = mem_printf(b->e->mem, "transpose_%s%s", name, dims_name(b, type));
	fprintf(b->code, "\t\t%s(%s, %s, %d, %s, (const int[]){%s});\n", b->kernel->function, body_pointer(b, 0),
		body_pointer(b, 1), (int)type->rank, dims_array(b, type), perm);
	return true;
}

/* Thread 0 decides for every text. Then all threads move the remaining rows and copy out the outputs of texts
 * that end. */
bool body_exit(Body *b)
{
	static const char *const names[ARGS_MAX] = {
		"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"};
	const Node *node = b->node;
	const Value *a = node->args[0];
	const int symbol = (int)value_symbol(a);
	b->whole = true;
	b->name = mem_printf(b->e->mem, "exit%s", dims_name(b, &node->args[1]->type));
	for (int32_t i = 0; i < node->nargs; i++)
		body_param(b, names[i], node->args[i]);
	fprintf(b->code,
		"\tif (thread == 0) {\n\t\trt_exit_begin(call, %d);\n\t\tfor (int32_t t = 0; t < call->ntexts; t++)\n"
		"\t\t\trt_exit_decide(call, %d, t, %s(b + (size_t)t * %lld, %lld) < call->options[%d]);\n\t}\n"
		"\trt_team_barrier(call->team);\n",
		symbol, symbol, b->kernel->function, (long long)value_unit(node->args[1]),
		(long long)value_unit(node->args[1]), (int)module_find_option(b->e->module, node->attr.option));
	fprintf(b->code, "\trt_exit_%s(call, thread, %sout, a, %lld);\n",
		value_place(a) == PLACE_TOKENS ? "rows" : "texts",
		value_place(a) == PLACE_TOKENS ? mem_printf(b->e->mem, "%d, ", symbol) : "",
		(long long)value_unit(a) * dtype_bytes[a->type.dtype]);
	for (int32_t i = 1; i < node->nargs; i++)
		fprintf(b->code, "\trt_exit_out(call, thread, %d, %s, %lld, %d, 0);\n", (int)i - 1, names[i],
			(long long)value_unit(node->args[i]), value_place(node->args[i]) == PLACE_TOKENS);
	return true;
}

bool body_reshape(Body *b)
{
	const Type *type = &b->node->results[0]->type;
	body_param(b, "x", b->node->args[0]);
	b->name = mem_printf(b->e->mem, "reshape%s", dims_name(b, type));
	fprintf(b->code, "\t\t%s(%s, %s, %s);\n", b->kernel->function, body_pointer(b, 0), body_pointer(b, 1),
		body_product(b, type, 0, type->rank));
	return true;
}

bool body_slice(Body *b)
{
	const Type *type = &b->node->args[0]->type;
	const Attrs *attr = &b->node->attr;
	int32_t axis = (int32_t)attr->axis;
	body_param(b, "x", b->node->args[0]);
	b->name = mem_printf(b->e->mem, "slice%s", dims_name(b, &b->node->results[0]->type));
	fprintf(b->code, "\t\t%s(%s, %s, %s, %s, %lld, %lld, %s);\n", b->kernel->function, body_pointer(b, 0),
		body_pointer(b, 1), body_product(b, type, 0, axis), body_dim(b, type->dim[axis]),
		(long long)attr->start, (long long)attr->end, body_product(b, type, axis + 1, type->rank));
	return true;
}

bool body_concat(Body *b)
{
	static const char *const names[] = {
		"a", "b", "c", "d", "e", "f", "g", "h", "i0", "j", "k", "l", "m", "n", "o", "p"};
	const Type *type = &b->node->results[0]->type;
	int32_t axis = (int32_t)b->node->attr.axis;
	long long at = 0;
	b->name = mem_printf(b->e->mem, "concat%s", dims_name(b, type));
	for (int32_t i = 0; i < b->node->nargs; i++) {
		Dim size = b->node->args[i]->type.dim[axis];
		body_param(b, names[i], b->node->args[i]);
		fprintf(b->code, "\t\t%s(%s, %s, %s, %s, %lld, %s, %s);\n", b->kernel->function, body_pointer(b, 0),
			body_pointer(b, i + 1), body_product(b, type, 0, axis), body_dim(b, size), at,
			body_dim(b, type->dim[axis]), body_product(b, type, axis + 1, type->rank));
		at += size.plus;
	}
	return true;
}

bool body_shift(Body *b)
{
	const long long width = (long long)value_unit(b->node->results[0]),
					start = (long long)b->node->attr.start;
	body_param(b, "x", b->node->args[0]);
	b->name = mem_printf(b->e->mem, "shift_%s%lld_%lld", start < 0 ? "back" : "", llabs(start), width);
	fprintf(b->code, "\t\t%s(%s, %s, %s, %lld, %lld);\n", b->kernel->function, body_pointer(b, 0),
		body_pointer(b, 1), body_dim(b, b->node->args[0]->type.dim[0]), width, start);
	return true;
}

bool body_convolve(Body *b)
{
	const Node *node = b->node;
	const long long width = (long long)value_unit(node->results[0]),
					heads = node->attr.has & A_heads ? (long long)node->attr.heads : 0;
	const Type *weights = &node->args[1]->type;
	const bool own = weights->rank == 2;
	const long long taps = heads ? weights->dim[own].plus / heads : weights->dim[0].plus;
	body_param(b, "x", node->args[0]);
	body_param(b, "weights", node->args[1]);
	b->name = mem_printf(b->e->mem, "convolve_%s%lld_%lld_%lld", own ? "" : "alike_", width, taps, heads);
	fprintf(b->code, "\t\t%s(%s, %s, %s, %s, %lld, %lld, %lld, %d);\n", b->kernel->function,
		body_pointer(b, 0), body_pointer(b, 1), body_pointer(b, 2), body_dim(b, node->args[0]->type.dim[0]),
		width, taps, heads, own);
	b->per_token = 2.0 * (double)(taps * width);
	return true;
}

bool body_bag(Body *b)
{
	const long long words = (long long)b->node->args[0]->type.dim[0].plus;
	if (!body_check_ids(b, b->node->args[1], words))
		return false;
	body_param(b, "weights", b->node->args[0]);
	body_param(b, "ids", b->node->args[1]);
	b->name = mem_printf(b->e->mem, "bag_%lld", words);
	fprintf(b->code, "\t\t%s(%s, %s, %s, %s, %lld);\n", b->kernel->function, body_pointer(b, 0),
		body_pointer(b, 1), body_pointer(b, 2), body_dim(b, b->node->args[1]->type.dim[0]), words);
	b->per_token = 1;
	return true;
}

bool body_fourier(Body *b)
{
	const long long width = (long long)value_unit(b->node->results[0]);
	body_param(b, "x", b->node->args[0]);
	b->name = mem_printf(b->e->mem, "fourier_%lld", width);
	fprintf(b->code, "\t\t%s(%s, %s, %s, %lld);\n", b->kernel->function, body_pointer(b, 0),
		body_pointer(b, 1), body_dim(b, b->node->args[0]->type.dim[0]), width);
	b->per_pair = 2.0 * (double)width;
	return true;
}

/* lstm and gru. */
bool body_recurrent(Body *b)
{
	static const char *const names[] = {"x", "weights", "bias"};
	const Node *node = b->node;
	const bool reverse = (node->attr.has & A_reverse) && node->attr.reverse;
	const long long width = (long long)value_unit(node->results[0]);
	if (!(node->attr.has & A_panel) || node->attr.panel != b->kernel->panel)
		return diag_error(b->e->diag, EXIT_UNSUPPORTED, node->line,
			"%s: %s reads weights packed in panels of %d; add pack-weights after lower",
			op_info[node->op].name, b->kernel->function, (int)b->kernel->panel);
	for (int32_t i = 0; i < 3; i++)
		body_param(b, names[i], node->args[i]);
	b->name = mem_printf(b->e->mem, "%s%s_%lld", op_info[node->op].name, reverse ? "_back" : "", width);
	fprintf(b->code,
		"\t\t%s(%s, %s, %s, %s, %s, %lld, %d, call->scratch + (size_t)thread * call->scratch_bytes);\n",
		b->kernel->function, body_pointer(b, 0), body_pointer(b, 1), body_pointer(b, 2), body_pointer(b, 3),
		body_dim(b, node->args[0]->type.dim[0]), width, reverse);
	b->per_token = (node->op == OP_LSTM ? 8.0 : 6.0) * (double)(width * width);
	return true;
}

/* ---- two tensors, broadcast as NumPy does ---------------------------------------------------- */

/* The strides of an argument along the dims of the result: 0 where it is repeated. */
static const char *strides(Body *b, const Type *from, const Type *to)
{
	const char *list = "";
	for (int32_t i = 0; i < to->rank; i++) {
		int32_t own = i - (to->rank - from->rank);
		bool repeated = own < 0
			|| (dim_equal(from->dim[own], dim_number(1)) && !dim_equal(to->dim[i], dim_number(1)));
		list = mem_printf(b->e->mem, "%s%s%s", list, i ? ", " : "",
			repeated ? "0" : body_product(b, from, own + 1, from->rank));
	}
	return mem_printf(b->e->mem, "(const int[]){%s}", to->rank ? list : "0");
}

bool body_binary(Body *b)
{
	static const char *const words[OP_COUNT] = {
		[OP_ADD] = "ADD", [OP_SUB] = "SUB", [OP_MUL] = "MUL", [OP_DIV] = "DIV"};
	const Type *type = &b->node->results[0]->type, *left = &b->node->args[0]->type,
			   *right = &b->node->args[1]->type;
	body_param(b, "a", b->node->args[0]);
	body_param(b, "b", b->node->args[1]);
	b->name = mem_printf(b->e->mem, "%s%s", op_info[b->node->op].name, dims_name(b, type));
	int rank = type->rank ? type->rank : 1;
	if (b->form != FORM_TOKENS) {
		b->form = FORM_EACH;
		fprintf(b->code, "\t\t%s(%s, %s, %s, %d, %s, %s, %s, RT_BINARY_%s);\n", b->kernel->function,
			body_pointer(b, 0), body_pointer(b, 1), body_pointer(b, 2), rank, dims_array(b, type),
			strides(b, left, type), strides(b, right, type), words[b->node->op]);
		return true;
	}
	const char *pointers[3], *names[3] = {"out", "a", "b"};
	for (int32_t i = 0; i < 3; i++) {
		const Value *value = b->param[i].value;
		pointers[i] = value_is_const(value)
			? names[i]
			: mem_printf(b->e->mem, "%s + (size_t)s.r0 * %lld", names[i], (long long)value_unit(value));
	}
	const char *dims = "s.r1 - s.r0";
	for (int32_t i = 1; i < rank; i++)
		dims = mem_printf(b->e->mem, "%s, %s", dims, body_dim(b, type->dim[i]));
	fprintf(b->code, "\t%s(%s, %s, %s, %d, (const int[]){%s},\n\t\t%s, %s, RT_BINARY_%s);\n",
		b->kernel->function, pointers[0], pointers[1], pointers[2], rank, dims, strides(b, left, type),
		strides(b, right, type), words[b->node->op]);
	return true;
}
