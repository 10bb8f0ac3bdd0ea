/* blocks.c: recognises the blocks of a layer from their ops, in every form that fuse recognises:
 *
 *   attention   linear of the joined heads of softmax(q k^T) v; q, k and v are linears of one value;
 *               then x + out
 *   ffn         linear of act(in(x)), or of act(in(x)) * gate(x); in and gate are linears; then x + out
 *
 * The linears read x itself or, in pre-norm encoders, its LayerNorm. */
#include "layers.h"

Node *constant_linear(const Value *v)
{
	Node *node = value_is(v, OP_LINEAR) && !v->node->attr.has ? v->node : NULL;
	for (int32_t i = 1; node && i < node->nargs; i++)
		if (!value_is_const(node->args[i]))
			node = NULL;
	return node;
}

/* The linear that is the only reader of `inner`, and the sum that is the only reader of the linear. */
static bool find_residual(const Graph *graph, const Value *inner, Block *block)
{
	Node *user = value_only_user(graph, inner);
	block->out = user && user->args[0] == inner ? constant_linear(user->results[0]) : NULL;
	block->sum = block->out ? value_only_user(graph, block->out->results[0]) : NULL;
	if (!block->sum || block->sum->op != OP_ADD)
		return false;
	block->around = block->sum->args[block->sum->args[0] == block->out->results[0] ? 1 : 0];
	return type_equal(&block->around->type, &block->sum->results[0]->type);
}

/* True when only the attention reads the linear's result: once for its scores, and in biases of products
 * along an axis. */
static bool is_read_once(const Graph *graph, const AttentionMatch *heads, const Node *linear, int32_t axis)
{
	int32_t dots = 0;
	for (int32_t i = 0; i < heads->nbiases; i++)
		dots += axis && heads->bias[i].axis == axis;
	const int32_t uses = value_uses(graph, linear->results[0]);
	return value_only_user(graph, linear->results[0]) || (dots > 0 && uses == 1 + dots);
}

static const char *find_attention(const Graph *graph, Layer *layer, const Node *softmax)
{
	const char *why = attention_match(graph, softmax, &layer->heads);
	if (why)
		return *why ? why : "there is a softmax, but not the other ops of attention";
	layer->q = constant_linear(unrotated(layer->heads.q.rows));
	layer->k = constant_linear(unrotated(layer->heads.k.rows));
	layer->v = constant_linear(unrotated(layer->heads.v.rows));
	if (!layer->q || !layer->k || !layer->v || layer->q == layer->k || layer->q == layer->v
		|| layer->k == layer->v)
		return "q, k and v are not three separate linears with constant weights";
	if (!is_read_once(graph, &layer->heads, layer->q, DOT_QUERIES)
		|| !is_read_once(graph, &layer->heads, layer->k, DOT_KEYS)
		|| !is_read_once(graph, &layer->heads, layer->v, 0))
		return "q, k or v has other uses";
	return find_residual(graph, layer->heads.result, &layer->attention) ? NULL
																		: "its result is not read by exactly "
																		  "one linear that leads to the "
																		  "residual sum";
}

bool op_is_elementwise(Op op)
{
	switch (op) {
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_ERF:
	case OP_TANH:
	case OP_RELU:
	case OP_SIGMOID:
	case OP_EXP:
	case OP_SQRT:
	case OP_LOG1P: return true;
	default: return false;
	}
}

/* ---- feed-forward networks ------------------------------------------------------------------- */

/* The source values of a feed-forward network's neurons, and all values computed elementwise from them. */
typedef struct Neck {
	Value *at[32]; /* gelu_tanh, the longest activation, has nine ops, and a gate one more */
	int32_t count;
	Value *source[2]; /* results of linears, or slices of one linear's result */
	int32_t nsources;
} Neck;

static bool is_source(const Value *v)
{
	return value_is(v, OP_LINEAR) || (value_is(v, OP_SLICE) && value_is(v->node->args[0], OP_LINEAR));
}

static bool neck_add(Neck *neck, Value *v)
{
	for (int32_t i = 0; i < neck->count; i++)
		if (neck->at[i] == v)
			return true;
	if (neck->count == sizeof neck->at / sizeof *neck->at)
		return false;
	neck->at[neck->count++] = v;
	return true;
}

/* Walks back from the input of the last linear to the sources. False when other ops are found. */
static bool neck_walk(Neck *neck, Value *v)
{
	*neck = (Neck){0};
	neck_add(neck, v);
	for (int32_t at = 0; at < neck->count; at++) {
		Value *x = neck->at[at];
		double scalar;
		if (value_is_scalar(x, &scalar))
			continue;
		if (!x->node || !type_equal(&x->type, &v->type))
			return false;
		if (is_source(x)) {
			if (neck->nsources == 2)
				return false;
			neck->source[neck->nsources++] = x;
			continue;
		}
		if (!op_is_elementwise(x->node->op))
			return false;
		for (int32_t i = 0; i < x->node->nargs; i++)
			if (!neck_add(neck, x->node->args[i]))
				return false;
	}
	return neck->nsources > 0;
}

/* True when only the network itself reads the values that change their width. */
static bool neck_is_private(const Graph *graph, const Neck *neck, const Node *user)
{
	for (int32_t at = 0; at < neck->count; at++) {
		int32_t inside = 0;
		if (value_is_const(neck->at[at]))
			continue;
		for (int32_t k = -1; k < neck->count; k++) {
			const Node *reader = k < 0 ? user : neck->at[k]->node;
			if (!reader || (k >= 0 && is_source(neck->at[k])))
				continue;
			for (int32_t i = 0; i < reader->nargs; i++)
				inside += reader->args[i] == neck->at[at];
		}
		if (inside != value_uses(graph, neck->at[at]))
			return false;
	}
	return true;
}

/* The source that is a factor without an activation: the gate of act(in) * gate. */
static int32_t gate_of(const Neck *neck)
{
	const Node *last = neck->at[0]->node;
	for (int32_t i = 0; last->op == OP_MUL && i < 2; i++)
		for (int32_t k = 0; k < 2; k++)
			if (last->args[i] == neck->source[k] && last->args[1 - i] != neck->source[k])
				return k;
	return 1;
}

/* in and gate are the two halves of one linear's result. */
static bool find_halves(const Graph *graph, Network *network, Value *in, Value *gate)
{
	Node *first = in->node, *second = gate->node;
	const Value *whole = first->args[0];
	const int64_t width = value_width(in);
	if (second->op != OP_SLICE || second->args[0] != whole || value_width(whole) != 2 * width
		|| value_uses(graph, whole) != 2)
		return false;
	if (first->attr.axis != whole->type.rank - 1 || second->attr.axis != first->attr.axis
		|| first->attr.start * second->attr.start != 0 || first->attr.start + second->attr.start != width)
		return false;
	network->gate = constant_linear(whole);
	network->in = network->gate;
	network->half[0] = first;
	network->half[1] = second;
	return network->in != NULL;
}

/* act(in(x)) or act(in(x)) * gate(x), in and gate linears of their own or halves of one linear. */
static bool find_neurons(const Graph *graph, Network *network, const Neck *neck)
{
	const int32_t gate = neck->nsources == 2 ? gate_of(neck) : 1;
	Value *first = neck->source[1 - gate];
	if (first->node->op == OP_SLICE)
		return neck->nsources == 2 && find_halves(graph, network, first, neck->source[gate]);
	network->in = constant_linear(first);
	if (neck->nsources == 1)
		return network->in != NULL;
	network->gate = constant_linear(neck->source[gate]);
	return network->in && network->gate && network->in->args[0] == network->gate->args[0];
}

static bool is_of_attention(const Layer *layer, const Node *linear)
{
	return linear == layer->q || linear == layer->k || linear == layer->v || linear == layer->attention.out;
}

static bool find_ffn(const Graph *graph, const Layer *layer, Node *out, Network *network)
{
	Neck neck;
	*network = (Network){0};
	if (is_of_attention(layer, out) || !neck_walk(&neck, out->args[0]) || !neck_is_private(graph, &neck, out)
		|| !find_neurons(graph, network, &neck))
		return false;
	return !is_of_attention(layer, network->in) && (!network->gate || !is_of_attention(layer, network->gate))
		&& find_residual(graph, out->args[0], &network->block);
}

static void add_ffn(Graph *graph, Layer *layer, const Network *network)
{
	if (!layer->ffn)
		layer->ffn = mem_alloc(graph->module->mem, NETWORKS_MAX * sizeof *layer->ffn);
	if (layer->nffn < NETWORKS_MAX)
		layer->ffn[layer->nffn++] = *network;
}

bool layers_find_blocks(Graph *graph, const char *pass, Layers *layers, PassRun *run)
{
	if (!layers_find(graph, pass, layers, run->diag))
		return false;
	/* attention first, so that its linears are not taken for the FFN's */
	for (Node *node = graph->first; node; node = node->next) {
		Layer *layer = layers_number(layers, node->op == OP_SOFTMAX ? node_layer(node) : -1);
		const char *why = layer && !layer->has_attention ? find_attention(graph, layer, node) : NULL;
		if (why)
			pass_note(run, node, "the attention of layer %d is not recognised: %s", layer->number, why);
		else if (layer && !layer->has_attention) {
			layer->has_attention = true;
			layer->softmax = node;
		}
	}
	for (Node *node = graph->first; node; node = node->next) {
		Layer *layer = layers_number(layers, node->op == OP_LINEAR ? node_layer(node) : -1);
		Network network;
		if (layer && find_ffn(graph, layer, node, &network))
			add_ffn(graph, layer, &network);
	}
	return true;
}
