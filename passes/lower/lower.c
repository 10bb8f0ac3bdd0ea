/* lower.c: chooses a kernel for every op and converts constants to the form that the kernel reads.
 *
 *   %g = const @ln.gamma : f16[8]              %g = const @ln.gamma.f32.N : f32[8]
 *   %y = layernorm %x, %g, %b {eps=0}     ->   %y = layernorm %x, %g, %b {eps=0 kernel="..__avx2"}
 *
 * Only weights of linear and the first table of embed and embed_layernorm are read as they are stored; every
 * other float constant becomes f32. If the consumer quantises with constant scales, the producer writes
 * the codes, when the target has a kernel for that with the same instructions:
 *
 *   %y = linear_i8 %q, %s, %w, %ws, %b {act=gelu}
 *   %r, %t = quantize_static %y, %m, %z
 * ->
 *   %r, %t = linear_i8_codes %q, %s, %w, %ws, %b, %m, %z {act=gelu}
 *
 * and add_layernorm becomes add_layernorm_codes, whose floats the residual connection reads. Values with a
 * shape that the arena cannot hold (IR.md, Arena) and ops without a kernel are refused here. pack-weights
 * lays out the weights; plan-memory assigns the offsets. */
#include "ir/attention.h"
#include "passes/rewrite.h"
#include <string.h>

/* The argument whose element type picks the kernel and is read as stored; -1: none. */
static int32_t stored_argument(const Node *node)
{
	switch (node->op) {
	case OP_EMBED:
	case OP_EMBED_I8:
	case OP_EMBED_I4:
	case OP_EMBED_LAYERNORM: return 0;
	default: return node_weight(node);
	}
}

/* Converts f16 and bf16 constants of all other arguments to f32. All readers of a constant share one new
 * constant. */
static bool widen_constant(Graph *graph, Node *constant, PassRun *run)
{
	Value *old = constant->results[0], *wide = NULL;
	if (!dtype_is_float(old->type.dtype) || old->type.dtype == DT_F32)
		return true;
	for (Node *node = constant->next; node; node = node->next)
		for (int32_t i = 0; i < node->nargs; i++) {
			if (node->args[i] != old || i == stored_argument(node))
				continue;
			if (!wide
				&& !(wide = graph_const(
						 graph, constant->next, tensor_widened(graph, constant->data), constant->origin)))
				return false;
			node->args[i] = wide;
		}
	run->changes += wide != NULL;
	return true;
}

static bool widen_constants(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		if (node->op != OP_CONST)
			continue;
		if (!widen_constant(graph, node, run))
			return false;
		rewrite_erase(graph, node);
	}
	return true;
}

static bool node_lowerable(const Node *node, PassRun *run)
{
	char label[264], type[128];
	const char *op = op_info[node->op].name;
	if (!(op_info[node->op].levels & LEVEL_LOWERED))
		return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
			"%s: %s cannot be compiled; canonicalize and fold-const before lower may remove it",
			value_print(node->results[0], label), op);
	int32_t stored = stored_argument(node);
	if (stored >= 0 && !value_is_const(node->args[stored]))
		return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
			"%s: the %s of %s must be a constant, found a computed value; "
			"use matmul for two computed matrices",
			value_print(node->results[0], label), node_lookups(node) ? "table" : "weight", op);
	for (int32_t i = 0; i < node->nresults; i++) {
		const Value *value = node->results[i];
		int64_t unit_bytes;
		if (type_region(&value->type, &unit_bytes) == REGION_NONE)
			return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
				"%s: %s has no place in the arena; in compiled code a shape has only plain numbers and at "
				"most two factors S",
				value_print(value, label), type_print(&value->type, type));
	}
	return true;
}

/* The usual number of tokens of a text: {tokens=N}, else max_tokens; 0 when unknown. */
static int64_t most_tokens(const PassRun *run)
{
	return pass_option_int(run, "tokens", run->env->max_tokens);
}

/* True when so few words are nonzero that `sparse` is faster than the dense kernel. The limit is lower for
 * fewer tokens: the sparse kernel takes as long for one row as for the 8 or 16 lanes of a register, while the
 * time of the dense kernel shrinks with the rows. In int8 with AVX-512 VNNI both take the same time when 10 %
 * of the words are nonzero at 1 token, 23 % at 8, 48 % at 16, 65 % at 32 and 75 % at 64 or more. */
static bool sparse_pays(
	const Node *node, const KernelInfo *sparse, const Tensor *weight, bool tell, PassRun *run)
{
	const int32_t one = sparse->pays.one, percent = sparse->pays.percent;
	const int64_t tokens = most_tokens(run);
	const bool few = tokens && tokens < sparse->pays.tokens;
	const double share = 100 * sparse_left(weight);
	double most = percent;
	if (few)
		most = one + (double)((percent - one) * (tokens - 1)) / (sparse->pays.tokens - 1);
	if (tell && few && share > most && share <= percent)
		pass_note(run, node,
			"%.1f %% of its words are nonzero: %s would be faster for calls of %d tokens or more; for %lld "
			"tokens "
			"the limit is %.1f %%",
			share, sparse->function, (int)sparse->pays.tokens, (long long)tokens, most);
	return share <= most;
}

/* The sparse kernel with the same required instruction sets, if it is faster than `dense`; else `dense`.
 * {sparse=always} drops both conditions. For f16 and bf16 weights the sparse words are f32; where the sparse
 * kernel wins, they still take fewer bytes. */
static const KernelInfo *node_sparse_kernel(
	const Node *node, const KernelInfo *dense, bool tell, PassRun *run)
{
	const char *mode = pass_option(run, "sparse");
	const Tensor *weight = value_tensor(node->args[node_weight(node)]);
	if (!weight || weight->type.rank != 2 || !strcmp(mode, "never"))
		return dense;
	const DType words = weight->type.dtype == DT_I8 ? DT_I8 : DT_F32;
	const KernelInfo *sparse = kernel_select(dense->op, KERNEL_SPARSE, words, run->env->isa);
	if (!sparse)
		return dense;
	if (!strcmp(mode, "always"))
		return sparse;
	return sparse->needs == dense->needs && sparse_pays(node, sparse, weight, tell, run) ? sparse : dense;
}

/* The kernel variant of its op that a node needs. */
static uint32_t node_variant(const Node *node)
{
	if (node->op == OP_ATTENTION && attention_has_dots(node, 0))
		return KERNEL_RELATIVE;
	if ((node->op == OP_ATTENTION || node->op == OP_RECEIVED) && node->nargs > attention_parts(node))
		return KERNEL_BIASED;
	const bool can_select = node->op == OP_ATTENTION || node->op == OP_SOFTMAX;
	if (can_select && (node->attr.has & A_SELECT))
		return KERNEL_SELECT;
	return node->op == OP_POSITION_IDS && (node->attr.has & A_padding) ? KERNEL_PADDING : 0;
}

/* The kernel that a tuning chose for a linear, else the newest one. A linear that writes codes uses the
 * counterpart of the kernel for linear_i8. A decision for a CPU of the same name but another architecture is
 * ignored. tell: add a note with the reason. */
static const KernelInfo *node_kernel(const Node *node, DType dtype, bool tell, PassRun *run)
{
	TuneRow key;
	const PassEnv *env = run->env;
	const bool codes = node->op == OP_LINEAR_I8_CODES;
	const Op op = codes ? OP_LINEAR_I8 : node->op;
	const TuneRow *tuned = tune_key_linear(node, env->cpu, &key) ? tune_find(env->tune, &key) : NULL;
	const KernelInfo *kernel = tuned && !(tuned->kernel->needs & ~env->isa)
		? tuned->kernel
		: kernel_select(op, node_variant(node), dtype, env->isa);
	if (kernel && (op == OP_LINEAR || op == OP_LINEAR_I8))
		kernel = node_sparse_kernel(node, kernel, tell, run);
	return codes && kernel ? kernel_of_op(kernel, node->op) : kernel;
}

/* True when a node between the two reads the value. */
static bool read_between(const Node *from, const Node *to, const Value *value)
{
	for (const Node *node = from->next; node != to; node = node->next)
		for (int32_t i = 0; i < node->nargs; i++)
			if (node->args[i] == value)
				return true;
	return false;
}

/* Joins a quantize_static with the op that computes its input, if the target has a kernel for that. */
static bool lower_codes(Graph *graph, Node *quantize, PassRun *run)
{
	Node *from = quantize->args[0]->node;
	const bool linear = from && from->op == OP_LINEAR_I8 && from->nargs == 5;
	if ((!linear && !(from && from->op == OP_ADD_LAYERNORM))
		|| read_between(from, quantize, quantize->args[0])
		|| (linear && value_uses(graph, quantize->args[0]) > 1))
		return true;
	const DType dtype = linear ? from->args[2]->type.dtype : DT_F32;
	const Op joined = linear ? OP_LINEAR_I8_CODES : OP_ADD_LAYERNORM_CODES;
	const KernelInfo *kernel = node_kernel(from, dtype, false, run);
	if (!kernel || !kernel_of_op(kernel, joined))
		return true;
	Value *args[ARGS_MAX];
	memcpy(args, from->args, (size_t)from->nargs * sizeof *args);
	args[from->nargs] = quantize->args[1];
	args[from->nargs + 1] = quantize->args[2];
	Node *made = graph_insert(
		graph, quantize, joined, args, from->nargs + 2, &from->attr, from->origin, run->diag);
	if (!made)
		return false;
	for (int32_t i = 0; i < 2; i++)
		rewrite_uses(graph, quantize->results[i], made->results[i + !linear]);
	if (!linear)
		rewrite_uses(graph, from->results[0], made->results[0]);
	rewrite_erase(graph, quantize);
	if (!linear)
		rewrite_erase(graph, from);
	run->changes++;
	return true;
}

static bool node_lower(Node *node, PassRun *run)
{
	if (!node_lowerable(node, run))
		return false;
	int32_t stored = stored_argument(node);
	DType dtype = (node->attr.has & A_bits) && node->attr.bits == 16 ? DT_BF16 : DT_F32;
	if (stored >= 0)
		dtype = node->args[stored]->type.dtype;
	const KernelInfo *kernel = node_kernel(node, dtype, true, run);
	char label[264];
	if (!kernel)
		return diag_error(run->diag, EXIT_UNSUPPORTED, node->line,
			"%s: no kernel computes %s of %s on this target; put 'cast-weights{to=f32}' before lower: every "
			"target reads f32",
			value_print(node->results[0], label), op_info[node->op].name, dtype_names[dtype]);
	if ((node->attr.has & A_kernel) && !strcmp(node->attr.kernel, kernel->function))
		return true;
	node->attr.has |= A_kernel;
	node->attr.kernel = kernel->function;
	run->changes++;
	return true;
}

/* An output must be in the arena. A returned constant is copied there. */
static bool lower_outputs(Graph *graph, PassRun *run)
{
	char type[128];
	for (int32_t i = 0; i < graph->noutputs; i++) {
		Value *value = graph->outputs[i].value;
		if (!value->node || value->type.dtype != DT_F32)
			return diag_error(run->diag, EXIT_UNSUPPORTED, graph->return_line,
				"output %s is %s, %s; expected a computed value of type f32", graph->outputs[i].name,
				value->node ? "a value" : "an input", type_print(&value->type, type));
		if (value->node->op != OP_CONST)
			continue;
		Attrs attr = {.has = A_shape, .shape = {.count = value->type.rank}};
		for (int32_t d = 0; d < value->type.rank; d++)
			attr.shape.at[d] = value->type.dim[d];
		Value *copy = graph_emit(graph, NULL, OP_RESHAPE, &value, 1, &attr, value->node->origin, run->diag);
		if (!copy)
			return false;
		graph->outputs[i].value = copy;
	}
	return true;
}

/* A text that ends at an exit has its outputs copied out of the arena, constants too. Its rows do not exist
 * after the exit, so later ops must not read them. */
static bool lower_exits(Graph *graph, PassRun *run)
{
	const Value *value;
	char label[264], other[264];
	for (Node *node = graph->first; node; node = node->next)
		for (int32_t i = 0; i < node->nargs && node->op == OP_EXIT; i++) {
			Attrs attr = {.has = A_shape, .shape = {.count = node->args[i]->type.rank}};
			for (int32_t d = 0; d < node->args[i]->type.rank; d++)
				attr.shape.at[d] = node->args[i]->type.dim[d];
			if (value_is_const(node->args[i])
				&& !(node->args[i] = graph_emit(
						 graph, node, OP_RESHAPE, &node->args[i], 1, &attr, node->origin, run->diag)))
				return false;
		}
	const Node *reader = graph_exit_crossing(graph, &value);
	return !reader
		|| diag_error(run->diag, EXIT_UNSUPPORTED, reader->line,
			"%s: reads %s, a value from before an exit; compiled code passes one value through an exit, and "
			"computes the graph's outputs after the last exit",
			value_print(reader->results[0], label), value_print(value, other));
}

bool pass_lower(Graph *graph, PassRun *run)
{
	if (!lower_outputs(graph, run) || !lower_exits(graph, run) || !widen_constants(graph, run))
		return false;
	bool good = true;
	for (Node *node = graph->first, *next; node && good; node = next) {
		next = node->next;
		if (node->op == OP_QUANTIZE_STATIC)
			good = lower_codes(graph, node, run);
	}
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		if (node->op != OP_CONST)
			good &= node_lower(node, run);
	}
	if (good)
		graph->level = LEVEL_LOWERED;
	return good;
}
