/* node.c: checks a node against its row of ops.def, and formats messages about nodes. infer/ checks
 * shapes. */
#include <stdarg.h>
#include <stdlib.h>
#include "ir.h"

bool node_error(const Node *node, Diag *diag, const char *format, ...)
{
	char result[264];
	va_list args;
	va_start(args, format);
	char *message = checked_vprintf(format, args);
	va_end(args);
	bool named = node->nresults > 0 && node->results[0];
	diag_error(diag, EXIT_INPUT, node->line, "%s%s%s%s%s: %s", node->origin ? node->origin : "",
		node->origin ? ": " : "", named ? value_print(node->results[0], result) : "", named ? " = " : "",
		op_info[node->op].name, message);
	free(message);
	return false;
}

#define ATTR(name, KIND, doc) [AI_##name] = #name,
static const char *const attr_names[AI_COUNT] = {
#include "attrs.def"
};
#undef ATTR

static bool check_attributes(const Node *node, Diag *diag)
{
	const OpInfo *info = &op_info[node->op];
	bool good = true;
	for (int i = 0; i < AI_COUNT; i++) {
		uint32_t bit = (uint32_t)1 << i;
		if ((info->required & bit) && !(node->attr.has & bit))
			good = node_error(node, diag, "attribute %s is missing", attr_names[i]);
		if ((node->attr.has & bit) && !((info->required | info->optional) & bit))
			good = node_error(node, diag, "takes no attribute %s", attr_names[i]);
	}
	if ((node->attr.has & A_act) && (unsigned)node->attr.act >= ACT_COUNT)
		good = node_error(node, diag, "act is %d, which is not an activation", (int)node->attr.act);
	if ((node->attr.has & A_mode) && (unsigned)node->attr.mode >= POOL_COUNT)
		good = node_error(node, diag, "mode is %d, which is not a pooling mode", (int)node->attr.mode);
	return good;
}

bool node_infer(const Node *node, Type results[RESULTS_MAX], Diag *diag)
{
	const OpInfo *info = &op_info[node->op];
	if (node->nargs < info->least_args || node->nargs > info->most_args) {
		if (info->least_args == info->most_args)
			return node_error(node, diag, "%d arguments, expected %d", node->nargs, info->least_args);
		return node_error(
			node, diag, "%d arguments, expected %d to %d", node->nargs, info->least_args, info->most_args);
	}
	return check_attributes(node, diag) && info->infer(node, results, diag);
}

/* ---- chains that end in a pool (IR.md, Chains) --------------------------------------------------- */

const Node *node_pooled(const Node *node)
{
	const Node *next = node->next;
	if (!(node->attr.has & A_chain)
		|| (node->op != OP_LINEAR && node->op != OP_LINEAR_I8 && node->op != OP_LINEAR_BF16))
		return NULL;
	while (next && next->op == OP_CONST)
		next = next->next;
	return next && next->op == OP_POOL && (next->attr.has & A_chain) && next->attr.chain == node->attr.chain
			&& !(next->attr.has & A_option) && next->args[0] == node->results[0]
		? next
		: NULL;
}

int64_t value_inner_bytes(const Value *value, int64_t bytes)
{
	const int64_t most = POOLED_COLUMNS * dtype_bytes[value->type.dtype];
	return node_pooled(value->node) && bytes > most ? most : bytes;
}
