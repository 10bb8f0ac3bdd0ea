/* narrow.c: which linears quantize-int8 and compute-bf16 rewrite (narrow.h). */
#include "narrow.h"
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* A head's last linear has one output a label; encoder layers, poolers and dense modules have hundreds. */
enum { OUTPUTS_LEAST = 64 };

/* True when an item of the comma-separated list matches the origin or one of the parts it lies in: "layer.3" has layer.3.ffn.in. */
static bool list_matches(const char *list, const char *origin)
{
	for (const char *at = list; at && origin; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		char *item = strndup(at, strcspn(at, ",")), *inside = NULL;
		bool match = item && *item && (fnmatch(item, origin, 0) == 0
			|| (asprintf(&inside, "%s.*", item) >= 0 && fnmatch(inside, origin, 0) == 0));
		free(item);
		free(inside);
		if (match)
			return true;
	}
	return false;
}

const Tensor *narrow_weight(const Node *node, PassRun *run)
{
	if (node->op != OP_LINEAR || (node->attr.has & A_panel))
		return NULL;
	const Tensor *weight = value_tensor(node->args[1]);
	if (!weight || weight->type.rank != 2 || !dtype_is_float(weight->type.dtype)) {
		pass_note(run, node, "stays: its weight is not a constant matrix of floats");
		return NULL;
	}
	if (list_matches(pass_option(run, "exclude", NULL), node->origin)) {
		pass_note(run, node, "stays: excluded");
		return NULL;
	}
	if (weight->type.dim[0].plus < OUTPUTS_LEAST) {
		pass_note(run, node, "stays: %lld outputs, fewer than %d", (long long)weight->type.dim[0].plus, OUTPUTS_LEAST);
		return NULL;
	}
	return weight;
}

void narrow_attention(Graph *graph, PassRun *run)
{
	for (Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_ATTENTION || (node->attr.has & (A_bits | A_kernel)))
			continue;
		if (list_matches(pass_option(run, "exclude", NULL), node->origin)) {
			pass_note(run, node, "stays in f32: excluded");
			continue;
		}
		node->attr.has |= A_bits;
		node->attr.bits = 16;
		run->changes++;
	}
}
