/* cast_weights.c: `cast-weights{to=f16}` stores float weights in another element type. Arithmetic stays in
 * f32.
 *
 *   %w = const @x.weight : f32[8,8]    ->    %w = const @x.weight.f16.N : f16[8,8]
 *
 * Changes the constants that kernels read in any float type: the weights of linear and the tables of embed.
 * These are nearly all bytes of a model. Biases and the vectors of LayerNorm, a thousandth of the bytes, stay
 * unchanged. */
#include "passes/rewrite.h"
#include <math.h>
#include <string.h>

/* The tensor in element type `to`, rounded to nearest even. False when a finite number becomes infinite. */
static bool tensor_convert(const Tensor *from, Tensor *to)
{
	int64_t count = type_count(&from->type);
	void *data = (void *)(uintptr_t)to->data;
	for (int64_t i = 0; i < count; i++) {
		float x = (float)tensor_at(from, i);
		if (to->type.dtype == DT_F16)
			((uint16_t *)data)[i] = half_from_float(x);
		else if (to->type.dtype == DT_BF16)
			((uint16_t *)data)[i] = bfloat_from_float(x);
		else
			((float *)data)[i] = x;
		if (isfinite(x) && !isfinite(tensor_at(to, i)))
			return false;
	}
	return true;
}

/* True when a score bias reads the rows. They are of the heads that prune-heads has left; the bias of all
 * heads stays in f32, too. */
static bool rows_are_bias(const Node *embed)
{
	for (const Node *node = embed->next; node; node = node->next)
		if (node->op == OP_BY_DISTANCE && node->args[0] == embed->results[0])
			return true;
	return false;
}

/* True when every use of the constant accepts any float type. */
static bool const_is_weight(const Graph *graph, const Value *value)
{
	for (const Node *node = graph->first; node; node = node->next)
		for (int32_t i = 0; i < node->nargs; i++) {
			bool weight = (node->op == OP_LINEAR && i == 1)
				|| (node->op == OP_EMBED && i == 0 && !rows_are_bias(node))
				|| (node->op == OP_EMBED_LAYERNORM && i % 2 == 0 && i < node->nargs - 2);
			if (node->args[i] == value && !weight)
				return false;
		}
	return value->type.rank == 2 && !table_is_angles(graph, value);
}

bool pass_cast_weights(Graph *graph, PassRun *run)
{
	const char *word = pass_option(run, "to");
	DType to = DT_F32;
	dtype_parse(word, strlen(word), &to);
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_CONST || !dtype_is_float(node->data->type.dtype) || node->data->type.dtype == to
			|| !const_is_weight(graph, node->results[0]))
			continue;
		Type type = node->data->type;
		type.dtype = to;
		Tensor *tensor = tensor_derived(graph, node->data, word, type);
		if (!tensor_convert(node->data, tensor)) {
			pass_note(run, node, "kept as %s: it holds numbers beyond the range of %s",
				dtype_names[node->data->type.dtype], word);
			continue;
		}
		Value *cast = graph_const(graph, node, tensor, node->origin);
		if (!cast)
			return false;
		rewrite_uses(graph, node->results[0], cast);
		Node *dead = node;
		node = cast->node;
		rewrite_erase(graph, dead);
		run->changes++;
	}
	return true;
}
