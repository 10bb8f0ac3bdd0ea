/* emit_step.c: writes each op of a lowered graph as one line of the emitted program, a call of a wrapper:
 *
 *     linear_384_1152(call, thread, &c, rt_chain_tokens(call, &c, 1536, 4608),
 *         rt_chain_inner(&c, 0), w + 64, w + 896);   // v12 layer.0
 *
 * The wrapper has the literal dimensions and calls the kernel on the thread's share. Layers of equal shape
 * share a wrapper. emit_ops.c, emit_attention.c and emit_tensor.c write the wrappers of each op. Ops over the
 * rows of all tokens are in the loop of their chain. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "runtime/rt.h"

/* ---- arguments ------------------------------------------------------------------------------- */

/* The type of a wrapper's parameter. Constants are bytes of the blob, so their type is void. */
static const char *param_type(const Value *value, bool result)
{
	if (!result && value_is_const(value))
		return "const void *";
	switch (value->type.dtype) {
	case DT_I32: return result ? "int32_t *" : "const int32_t *";
	case DT_I8: return result ? "int8_t *" : "const int8_t *";
	default: return result ? "float *" : "const float *";
	}
}

static bool value_is_inner(const Value *value)
{
	return value->node && (value->node->attr.has & A_inner) && (value->node->attr.inner >> value->index & 1);
}

static void print_constant(Emitter *e, const Value *value)
{
	const PlacedTensor *place = weights_place(&e->weights, value_tensor(value));
	fprintf(e->variant->calls, ", %c + %zu", place->coded ? 'u' : 'w', place->offset);
}

/* The same for an op over rows of tokens: the start of the chain's current block. */
static void print_block_argument(Emitter *e, const Value *value)
{
	Place place = value_place(value);
	if (place == PLACE_IDS)
		fputs(value->index == 0 ? ", call->ids + c.first" : ", call->types + c.first", e->variant->calls);
	else if (place == PLACE_CONST)
		print_constant(e, value);
	else if (value_is_inner(value))
		fprintf(e->variant->calls, ", rt_chain_inner(&c, %lld)",
			(long long)value->node->attr.offset.at[value->index]);
	else
		fprintf(e->variant->calls, ", rt_chain_tokens(call, &c, %lld, %lld)",
			(long long)value->node->attr.offset.at[value->index],
			(long long)value_unit(value) * dtype_bytes[value->type.dtype]);
}

/* Prints the argument for a value in the call. */
static void print_argument(Emitter *e, const Value *value)
{
	static const char *const bases[] = {
		[PLACE_TOKENS] = "rt_tokens", [PLACE_TEXTS] = "rt_texts", [PLACE_PAIRS] = "rt_pairs"};
	Place place = value_place(value);
	if (place == PLACE_IDS)
		fputs(value->index == 0 ? ", call->ids" : ", call->types", e->variant->calls);
	else if (place == PLACE_CONST)
		print_constant(e, value);
	else
		fprintf(e->variant->calls, ", %s(call, %lld)", bases[place],
			(long long)value->node->attr.offset.at[value->index]);
}

/* ---- forms ----------------------------------------------------------------------------------- */

/* All rows at once if the op treats each row alone, that is, all operands have one row per token, or all have
 * one row per text. */
static Form row_form(const Node *node)
{
	if (node_is_rowwise(node))
		return FORM_TOKENS;
	bool texts = value_place(node->results[0]) == PLACE_TEXTS, computed = false;
	for (int32_t i = 0; i < node->nargs; i++) {
		if (value_is_const(node->args[i]))
			continue;
		computed = true;
		texts &= value_place(node->args[i]) == PLACE_TEXTS;
	}
	return computed && texts ? FORM_TEXTS : FORM_EACH;
}

static BodyFn *const body_of[OP_COUNT] = {
	[OP_EMBED] = body_rows,
	[OP_EMBED_I8] = body_rows,
	[OP_EMBED_I4] = body_rows,
	[OP_EMBED_LAYERNORM] = body_rows,
	[OP_LAYERNORM] = body_rows,
	[OP_ADD_LAYERNORM] = body_rows,
	[OP_NORMALIZE] = body_rows,
	[OP_TOP] = body_rows,
	[OP_RMSNORM] = body_rows,
	[OP_ROTARY] = body_rows,
	[OP_SOFTMAX] = body_rows,
	[OP_ACTIVATION] = body_rows,
	[OP_ERF] = body_unary,
	[OP_TANH] = body_unary,
	[OP_RELU] = body_unary,
	[OP_SIGMOID] = body_unary,
	[OP_EXP] = body_unary,
	[OP_SQRT] = body_unary,
	[OP_LOG1P] = body_unary,
	[OP_ADD] = body_binary,
	[OP_SUB] = body_binary,
	[OP_MUL] = body_binary,
	[OP_DIV] = body_binary,
	[OP_LINEAR] = body_linear,
	[OP_LINEAR_I8] = body_linear,
	[OP_LINEAR_BF16] = body_linear,
	[OP_QUANTIZE] = body_rows,
	[OP_QUANTIZE_STATIC] = body_rows,
	[OP_LINEAR_I8_CODES] = body_linear,
	[OP_ADD_LAYERNORM_CODES] = body_rows,
	[OP_ATTENTION] = body_attention,
	[OP_RECEIVED] = body_received,
	[OP_BY_DISTANCE] = body_by_distance,
	[OP_DOT_BY_DISTANCE] = body_dot_by_distance,
	[OP_THIN] = body_thin,
	[OP_GATHER] = body_gather,
	[OP_SPREAD] = body_spread,
	[OP_POSITION_IDS] = body_position_ids,
	[OP_POOL] = body_pool,
	[OP_MATMUL] = body_matmul,
	[OP_TRANSPOSE] = body_transpose,
	[OP_RESHAPE] = body_reshape,
	[OP_SLICE] = body_slice,
	[OP_CONCAT] = body_concat,
	[OP_SHIFT] = body_shift,
	[OP_CONVOLVE] = body_convolve,
	[OP_BAG] = body_bag,
	[OP_FOURIER] = body_fourier,
	[OP_LSTM] = body_recurrent,
	[OP_GRU] = body_recurrent,
	[OP_EXIT] = body_exit,
};

/* ---- wrappers -------------------------------------------------------------------------------- */

const char *isa_attribute(uint32_t needs)
{
	static const struct {
		uint32_t bit;
		const char *attribute;
	} rows[] = {
#define ISA(NAME, bit, TARGET, brief, text) {1u << bit, "RT_TARGET_" #TARGET " "},
#include "runtime/isa.def"
#undef ISA
	};
	for (size_t i = sizeof rows / sizeof *rows; i-- > 0;)
		if (needs & rows[i].bit)
			return rows[i].attribute;
	return "";
}

/* The text of the wrapper after its name. */
static const char *wrapper_text(Body *b, const char *statements)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = text_open(&text, &bytes);
	static const char *const ranges[] = {
		[FORM_TOKENS] = ", const RtChain *chain", [FORM_TEXTS] = ", int rows", [FORM_EACH] = ""};
	fprintf(out, "(const RtCall *call, int32_t thread%s", ranges[b->form]);
	for (int32_t i = 0; i < b->nparams; i++)
		fprintf(out, ", %s%s", param_type(b->param[i].value, i < b->node->nresults), b->param[i].name);
	fputs(")\n{\n", out);
	if (!b->whole && b->form == FORM_TOKENS)
		fputs("\tconst RtShare s = rt_chain_rows(call, chain, thread);\n", out);
	else if (!b->whole)
		fprintf(out, "\tconst RtShare s = rt_share_rows(call, thread, %s);\n",
			b->form == FORM_EACH ? "call->ntexts" : "rows");
	if (b->form == FORM_EACH && !b->whole) {
		fputs("\tfor (int i = s.r0; i < s.r1; i++) {\n", out);
		body_text_rows(b, out);
	}
	fputs(statements, out);
	fputs(b->form == FORM_EACH && !b->whole ? "\t}\n}\n" : "}\n", out);
	text_close(out);
	const char *kept = mem_string(b->e->mem, text, bytes);
	free(text);
	return kept;
}

/* The name of the wrapper with this text. Adds the wrapper if it is new. */
static const char *wrapper_name(Emitter *e, const Body *b, const char *text)
{
	int32_t same_name = 0;
	size_t length = strlen(b->name);
	for (int32_t i = 0; i < e->nwrappers; i++) {
		const char *other = e->wrappers[i].name;
		bool base = strncmp(other, b->name, length) == 0
			&& (!other[length] || strncmp(other + length, "_v", 2) == 0);
		if (base && strcmp(e->wrappers[i].text, text) == 0)
			return other;
		same_name += base;
	}
	const char *name = same_name ? mem_printf(e->mem, "%s_v%d", b->name, (int)same_name + 1) : b->name;
	e->wrappers[e->nwrappers++] = (Wrapper){name, text, isa_attribute(b->kernel->needs), b->kernel, false};
	return name;
}

static void use_kernel(Emitter *e, const KernelInfo *kernel)
{
	for (int32_t i = 0; i < e->nkernels; i++)
		if (strcmp(e->kernels[i]->function, kernel->function) == 0)
			return;
	e->kernels[e->nkernels++] = kernel;
}

/* Kernels count elements with int, so no value in a call may have more than INT_MAX. pooled: the result of
 * the node is never there as a whole. */
static bool check_sizes(Emitter *e, const Node *node, bool pooled)
{
	ModelSizes sizes = e->sizes;
	for (int32_t i = 0; i < node->nargs + (pooled ? 0 : node->nresults); i++) {
		const Value *value = i < node->nargs ? node->args[i] : node->results[i - node->nargs];
		Place place = value_place(value);
		double count = (double)value_unit(value);
		if (place == PLACE_TOKENS)
			count *= sizes.batch_tokens;
		if (place == PLACE_PAIRS)
			count *= (double)sizes.max_tokens * sizes.max_tokens;
		char type[128];
		if (place == PLACE_NOWHERE)
			return diag_error(e->diag, EXIT_UNSUPPORTED, node->line,
				"%s: compiled code does not support values of type %s", op_info[node->op].name,
				type_print(&value->type, type));
		if (place != PLACE_CONST && count > INT_MAX)
			return diag_error(e->diag, EXIT_UNSUPPORTED, node->line,
				"%s: %s is too large for compiled code at %d tokens; lower --max-tokens",
				op_info[node->op].name, type_print(&value->type, type), (int)sizes.max_tokens);
	}
	return true;
}

static bool check_planned(Emitter *e, const Node *node)
{
	const char *lacks = NULL;
	if (!(node->attr.has & A_kernel))
		lacks = "lower";
	else if (!(node->attr.has & A_offset) || !e->variant->graph->arena.planned)
		lacks = "plan-memory";
	if (lacks)
		return diag_error(e->diag, EXIT_UNSUPPORTED, node->line,
			"%s: cannot be compiled yet: the pipeline lacks %s", op_info[node->op].name, lacks);
	return true;
}

/* The indent of a line: deeper inside `if (call->want & ..)`. */
static const char *indent(const Emitter *e) { return e->guard ? "\t" : ""; }

static void end_chain(Emitter *e)
{
	const char *in = indent(e);
	if (e->chain)
		fprintf(e->variant->calls, "%s\t\t}\n%s\t\tat = rt_chain_end(call, &c, thread, %d, at);\n%s\t}\n", in,
			in, (int)e->variant->nsteps - 1, in);
	e->chain = 0;
}

void emit_end(Emitter *e)
{
	end_chain(e);
	if (e->guard)
		fputs("\t}\n", e->variant->calls);
	e->guard = 0;
}

static uint32_t node_reaches(const Emitter *e, const Node *node)
{
	uint32_t reached = 0;
	for (int32_t i = 0; i < node->nresults; i++)
		reached |= e->variant->reached[node->results[i]->id];
	return reached;
}

/* The outputs that need the node or any other op of its chain, because a chain runs as a whole. 0: all
 * outputs. */
static uint32_t node_guard(const Emitter *e, const Node *node)
{
	const int32_t outputs = e->variant->graph->noutputs;
	const uint32_t all = outputs < 32 ? (1u << outputs) - 1 : UINT32_MAX;
	uint32_t reached = node_reaches(e, node);
	for (int back = 0; back < 2 && (node->attr.has & A_chain); back++)
		for (const Node *other = node; other
			&& (other->op == OP_CONST
				|| ((other->attr.has & A_chain) && other->attr.chain == node->attr.chain));
			other = back ? other->prev : other->next)
			reached |= other->op == OP_CONST ? 0 : node_reaches(e, other);
	return reached == all ? 0 : reached;
}

/* Opens or closes `if (call->want & ..)`: a program runs only steps that the requested outputs need. */
static void enter_guard(Emitter *e, const Node *node)
{
	const uint32_t guard = node_guard(e, node);
	if (guard == e->guard)
		return;
	emit_end(e);
	e->guard = guard;
	if (guard)
		fprintf(e->variant->calls, "\tif (call->want & 0x%xu) {\n", (unsigned)guard);
}

/* Ends the open chain and begins the node's chain, if they differ. An op without a chain becomes a chain of
 * one op with one block. */
static void enter_chain(Emitter *e, const Node *node, Form form)
{
	const bool named = node->attr.has & A_chain;
	if (form == FORM_TOKENS && named && node->attr.chain == e->chain)
		return;
	end_chain(e);
	if (form != FORM_TOKENS)
		return;
	e->chain = named ? node->attr.chain : -1;
	const int32_t symbol = value_symbol(node->results[0]);
	const char *rows = symbol ? mem_printf(e->mem, "rt_thinned_rows(call, %d)", (int)symbol)
							  : "call->ntokens",
			   *in = indent(e);
	const char *most = named ? mem_printf(e->mem, "%lld", (long long)node->attr.rows)
							 : mem_printf(e->mem, "%s + 1", rows);
	fprintf(e->variant->calls, "%s\t{\n%s\t\tRtChain c = rt_chain_begin(call, thread, %s, %s);\n", in, in,
		rows, most);
	fprintf(e->variant->calls, "%s\t\twhile (rt_chain_next(&c)) {\n", in);
}

/* Prints the step: the call of its wrapper, and the end of the step. */
static void print_step(Emitter *e, Body *body, const char *wrapper)
{
	const Node *node = body->node;
	const bool in_chain = body->form == FORM_TOKENS;
	enter_guard(e, node);
	enter_chain(e, node, body->form);
	const char *texts = body->form == FORM_TEXTS ? ", call->ntexts" : "";
	fprintf(e->variant->calls, "%s%s%s(call, thread%s", indent(e), in_chain ? "\t\t\t" : "\t", wrapper,
		in_chain ? ", &c" : texts);
	for (int32_t i = 0; i < body->nparams; i++)
		(in_chain ? print_block_argument : print_argument)(e, body->param[i].value);
	fprintf(e->variant->calls, ");   /* v%u", node->results[0]->id);
	if (node->origin) {
		putc(' ', e->variant->calls);
		c_comment(e->variant->calls, node->origin);
	}
	fprintf(e->variant->calls,
		in_chain ? " */\n%s\t\t\tat = rt_chain_step(call, &c, thread, %d, at);\n"
				 : " */\n%s\tat = rt_step_end(call, thread, %d, at);\n",
		indent(e), (int)e->variant->nsteps);
	e->variant->steps[e->variant->nsteps++] = (Step){node->origin, body->kernel->function, body->per_token,
		body->per_text, body->per_pair, value_symbol(node->results[0])};
}

bool emit_step(Emitter *e, const Node *node)
{
	if (!check_planned(e, node))
		return false;
	if (node_pooled(node) && value_is_inner(node->results[0]))
		return true; /* the pool's step computes it */
	const Node *linear = node->op == OP_POOL ? node->args[0]->node : NULL;
	const bool pooled = linear && node_pooled(linear) == node && value_is_inner(node->args[0]);
	if (!check_sizes(e, pooled ? linear : node, pooled))
		return false;
	const KernelInfo *kernel = kernel_find(pooled ? linear->attr.kernel : node->attr.kernel);
	if (!kernel || !body_of[node->op])
		return diag_error(e->diag, EXIT_UNSUPPORTED, node->line, "%s: there is no kernel %s",
			op_info[node->op].name, node->attr.kernel);
	if (kernel->needs & ~e->variant->cpu->isa)
		return diag_error(e->diag, EXIT_UNSUPPORTED, node->line,
			"%s: the kernel %s needs instructions that the CPU %s lacks; lower the module again for it",
			op_info[node->op].name, kernel->function, e->variant->cpu->name);
	Body body = {.e = e, .node = node, .kernel = kernel};
	body.form = op_info[node->op].domain == DOMAIN_ROWS ? row_form(node) : FORM_EACH;
	if ((node->attr.has & A_chain) && body.form != FORM_TOKENS && !pooled)
		return diag_error(e->diag, EXIT_INPUT, node->line,
			"%s: is in a chain, but its rows depend on each other", op_info[node->op].name);
	static const char *const outs[] = {"out", "out1", "out2", "out3"};
	_Static_assert(sizeof outs / sizeof *outs == RESULTS_MAX, "a name for each result");
	for (int32_t i = 0; i < node->nresults; i++)
		body_param(&body, outs[i], node->results[i]);
	char *statements = NULL;
	size_t bytes;
	body.code = text_open(&statements, &bytes);
	const bool good = pooled ? body_pooled(&body) : body_of[node->op](&body);
	text_close(body.code);
	if (good) {
		Variant *v = e->variant;
		const char *text = wrapper_text(&body, statements);
		use_kernel(e, kernel);
		print_step(e, &body, wrapper_name(e, &body, text));
		if (node->op == OP_EXIT)
			fprintf(v->calls,
				"\tconst RtCall rest%u = rt_exit_rest(call);\n\tcall = &rest%u;\n\tif (call->ntexts == "
				"0)\n\t\treturn;\n",
				node->results[0]->id, node->results[0]->id);
		v->isa |= kernel->needs;
	}
	free(statements);
	return good;
}
