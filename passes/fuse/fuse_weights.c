/* fuse_weights.c: moves constant factors and biases around attention into the weights of the linears next to
 * it.
 *
 *   %q = linear %x, %wq, %bq                              %q = linear %x, %wq2, %bq2
 *   %k = linear %x, %wk, %bk                              %k = linear %x, %wk
 *   %v = linear %x, %wv, %bv                       ->     %v = linear %x, %wv
 *   %c = attention %q, %k, %v {heads=2 scale=0.5}         %c = attention %q, %k, %v {heads=2}
 *   %h = linear %c, %wo, %bo                              %h = linear %c, %wo, %bo2
 *
 * with wq2 = wq * scale, bq2 = bq * scale and bo2 = bo + wo bv; the biases bk and bv are gone.
 *
 * The reasons: a key bias adds the same q . bk to all scores of a query, and softmax cancels it. If a score
 * bias multiplies k itself (DeBERTa), it stays: the products differ from key to key. Probabilities sum to
 * one, so attention passes a value bias on unchanged. */
#include "fuse.h"
#include <math.h>

/* True when from * factor fits the element type of from: f16 and bf16 must be exact, f32 must not overflow.
 */
static bool tensor_scales(const Tensor *from, double factor)
{
	DType dtype = from->type.dtype;
	for (int64_t i = 0; i < type_count(&from->type); i++) {
		double product = tensor_at(from, i) * factor, stored = dtype_round(dtype, product);
		if (dtype == DT_F32 ? !isfinite(stored) : stored != product)
			return false;
	}
	return true;
}

Tensor *tensor_scaled(Graph *graph, const Tensor *from, double factor)
{
	Tensor *to = tensor_derived(graph, from, "scaled", from->type);
	for (int64_t i = 0; i < type_count(&from->type); i++)
		tensor_set(to, i, tensor_at(from, i) * factor);
	return to;
}

/* The linear that computes v, perhaps rotated: a factor passes through a rotation. NULL: another op does. */
static Node *rotated_linear(const Graph *graph, Value *v, const Node *user)
{
	if (!value_is(v, OP_ROTARY))
		return linear_of(graph, v, user);
	return value_only_user(graph, v) == user ? linear_of(graph, v->node->args[0], v->node) : NULL;
}

bool fuse_scale(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_ATTENTION || !(node->attr.has & A_scale) || node->attr.pack == PACK_QKV)
			continue;
		if (attention_has_dots(node, DOT_QUERIES)) {
			pass_note(run, node, "fold-scale: scale=%.9g stays: a score bias reads q too", node->attr.scale);
			continue;
		}
		double scale = node->attr.scale;
		Node *q = rotated_linear(graph, node->args[0], node), *received = received_of(graph, node);
		if (!q || q->attr.has) {
			pass_note(run, node, "fold-scale: scale=%.9g stays: q does not have a linear of its own", scale);
			continue;
		}
		const Tensor *weight = value_tensor(q->args[1]), *bias = linear_bias(q);
		if (!tensor_scales(weight, scale)) {
			pass_note(run, node,
				"fold-scale: scale=%.9g stays: its product with the weights of q is not exact in %s", scale,
				dtype_names[q->args[1]->type.dtype]);
			continue;
		}
		bias = bias ? tensor_widened(graph, bias) : NULL;
		if (bias && !tensor_scales(bias, scale)) {
			pass_note(
				run, node, "fold-scale: scale=%.9g stays: its product with the bias of q overflows", scale);
			continue;
		}
		if (!linear_replace(graph, q, tensor_scaled(graph, weight, scale),
				bias ? tensor_scaled(graph, bias, scale) : NULL, run))
			return false;
		if (received)
			received->attr.has &= ~(uint32_t)A_scale;
		node->attr.has &= ~(uint32_t)A_scale;
		run->changes++;
	}
	return true;
}

/* bias + weight * x as f32, summed in double: the new bias of a linear when x is added to its argument. */
static Tensor *bias_through(Graph *graph, const Tensor *weight, const Tensor *bias, const Tensor *x)
{
	int64_t outputs = weight->type.dim[0].plus, inputs = weight->type.dim[1].plus;
	Tensor *to = tensor_derived(graph, bias ? bias : weight, "with-v", type_numbers(DT_F32, 1, &outputs));
	for (int64_t n = 0; n < outputs; n++) {
		double sum = bias ? tensor_at(bias, n) : 0;
		for (int64_t k = 0; k < inputs; k++)
			sum += tensor_at(weight, n * inputs + k) * tensor_at(x, k);
		tensor_set(to, n, sum);
	}
	return to;
}

static bool drop_key_bias(Graph *graph, Node *attention, PassRun *run)
{
	Node *k = linear_of(graph, attention->args[1], attention);
	if (!k || k->attr.has || !linear_bias(k))
		return true;
	if (attention_has_dots(attention, DOT_KEYS)) {
		pass_note(run, attention, "fold-bias: the bias of k stays: a score bias reads k too");
		return true;
	}
	pass_note(run, attention, "fold-bias: the bias of k is dropped: softmax cancels it");
	run->changes++;
	return linear_replace(graph, k, value_tensor(k->args[1]), NULL, run) != NULL;
}

static bool move_value_bias(Graph *graph, Node *attention, PassRun *run)
{
	Node *v = linear_of(graph, attention->args[2], attention);
	if (!v || v->attr.has || !linear_bias(v))
		return true;
	Node *user = value_only_user(graph, attention->results[0]);
	Node *out = user && user->op == OP_LINEAR && user->args[0] == attention->results[0] ? user : NULL;
	for (int32_t i = 1; out && i < out->nargs; i++)
		if (!value_is_const(out->args[i]) || (out->attr.has & A_panel))
			out = NULL;
	if (!out) {
		pass_note(
			run, attention, "fold-bias: the bias of v stays: the result is not read by exactly one linear");
		return true;
	}
	const Tensor *weight = value_tensor(out->args[1]);
	run->changes++;
	return linear_replace(
			   graph, out, weight, bias_through(graph, weight, linear_bias(out), linear_bias(v)), run)
		&& linear_replace(graph, v, value_tensor(v->args[1]), NULL, run);
}

bool fuse_bias(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_ATTENTION && node->attr.pack == PACK_NONE
			&& (!drop_key_bias(graph, node, run) || !move_value_bias(graph, node, run)))
			return false;
	return true;
}
