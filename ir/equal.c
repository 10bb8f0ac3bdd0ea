/* equal.c: whether attributes, tensors or whole graphs are equal. Ids, names, origins and the order of nodes
 * do not matter. */
#include <stdlib.h>
#include <string.h>
#include "value_map.h"

bool tensor_equal(const Tensor *a, const Tensor *b)
{
	return a == b
		|| (type_equal(&a->type, &b->type) && a->bytes == b->bytes
			&& (a->data == b->data || !memcmp(a->data, b->data, (size_t)a->bytes)));
}

static bool ints_equal(const Ints *a, const Ints *b)
{
	return a->count == b->count && !memcmp(a->at, b->at, (size_t)a->count * sizeof a->at[0]);
}

static bool dims_equal(const Dims *a, const Dims *b)
{
	bool equal = a->count == b->count;
	for (int32_t i = 0; i < a->count && equal; i++)
		equal = dim_equal(a->at[i], b->at[i]);
	return equal;
}

#define EQUAL_REAL(x, y) (!memcmp(&(x), &(y), sizeof(x))) /* bits: -0 is not 0 */
#define EQUAL_INT(x, y) ((x) == (y))
#define EQUAL_PACK EQUAL_INT
#define EQUAL_ACT EQUAL_INT
#define EQUAL_POOL EQUAL_INT
#define EQUAL_INTS(x, y) ints_equal(&(x), &(y))
#define EQUAL_DIMS(x, y) dims_equal(&(x), &(y))
#define EQUAL_TEXT(x, y) (!strcmp((x), (y)))
bool attrs_equal(const Attrs *a, const Attrs *b)
{
	if (a->has != b->has)
		return false;
#define ATTR(name, KIND, doc) \
	if ((a->has & A_##name) && !EQUAL_##KIND(a->name, b->name)) \
		return false;
#include "attrs.def"
#undef ATTR
	return true;
}

/* Pairs of values of two graphs a and b that must correspond. Each value of a is in one pair. */
typedef struct Pairs {
	const Value **a, **b;
	int32_t count;
	ValueMap of_a;         /* number of a value of a: index into partner */
	const Value **partner; /* its value of b */
} Pairs;

static bool pair_values(Pairs *pairs, const Value *a, const Value *b)
{
	int32_t number = value_map_find(&pairs->of_a, a);
	if (pairs->partner[number])
		return pairs->partner[number] == b;
	pairs->partner[number] = b;
	pairs->a[pairs->count] = a;
	pairs->b[pairs->count++] = b;
	return type_equal(&a->type, &b->type) && a->index == b->index && !a->node == !b->node;
}

static bool pair_nodes(Pairs *pairs, const Node *a, const Node *b)
{
	bool same = a->op == b->op && a->nargs == b->nargs && attrs_equal(&a->attr, &b->attr)
		&& (a->op != OP_CONST || tensor_equal(a->data, b->data));
	for (int32_t i = 0; same && i < a->nargs; i++)
		same = pair_values(pairs, a->args[i], b->args[i]);
	return same;
}

bool graph_equal(const Graph *a, const Graph *b, const Node **where)
{
	Pairs pairs = {0};
	value_map_init(&pairs.of_a, a);
	pairs.a = checked_calloc((size_t)pairs.of_a.count + 1, sizeof *pairs.a);
	pairs.b = checked_calloc((size_t)pairs.of_a.count + 1, sizeof *pairs.b);
	pairs.partner = checked_calloc((size_t)pairs.of_a.count + 1, sizeof *pairs.partner);
	bool same = a->noutputs == b->noutputs && a->ninputs == b->ninputs;
	*where = NULL;
	for (int32_t i = 0; same && i < a->noutputs; i++) {
		same = !strcmp(a->outputs[i].name, b->outputs[i].name)
			&& pair_values(&pairs, a->outputs[i].value, b->outputs[i].value);
		*where = same ? NULL : a->outputs[i].value->node;
	}
	for (int32_t at = 0; same && at < pairs.count; at++)
		if (pairs.a[at]->node) {
			same = pair_nodes(&pairs, pairs.a[at]->node, pairs.b[at]->node);
			*where = same ? NULL : pairs.a[at]->node;
		}
	value_map_free(&pairs.of_a);
	free(pairs.a);
	free(pairs.b);
	free(pairs.partner);
	return same;
}
