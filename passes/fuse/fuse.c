/* fuse.c: replaces groups of primitive ops by the fused ops that have fast kernels. The patterns are in
 * fuse_*.c. This file has their names, their order and the reasons for it.
 *
 *   %q %k %v = linear x 3, reshape, transpose, matmul,     %qkv = linear %x, %w, %b : f32[S,24]
 *   div, softmax, matmul, transpose, reshape          ->   %c = attention %qkv {heads=2 pack=qkv}
 *
 *   mul(0.5 %x, 1 + erf(%x / sqrt 2))                 ->   linear .. {act=gelu}
 *   layernorm(add(%x, %y))                            ->   add_layernorm %x, %y, ..
 *
 * `fuse{only=attention,qkv}` runs only these patterns, in the order below. Results change by rounding only.
 */
#include "fuse.h"
#include "passes/trained.h"
#include <string.h>

static const struct {
	const char *name;
	bool (*run)(Graph *, PassRun *);
} patterns[] = {
	{"activation", fuse_activation}, /* before epilogue, which moves it into the linear */
	{"epilogue", fuse_epilogue},     /* early: a bias that is still an add hides q, k and v */
	{"split", fuse_split},           /* after epilogue: a linear with its bias */
	{"epilogue", fuse_epilogue},     /* again: activations of the parts */
	{"fold-affine", fuse_affine},    /* after epilogue: a linear with its bias */
	{"attention", fuse_attention},
	{"first-row",
		fuse_first_row},        /* after attention: needs its query; before qkv: q has a linear of its own */
	{"fold-scale", fuse_scale}, /* before qkv, while q has a linear of its own */
	{"fold-bias", fuse_bias},   /* likewise k and v */
	{"qkv", fuse_qkv},
	{"embed-layernorm", fuse_embed_layernorm}, /* before add-layernorm, which would take the last add */
	{"add-layernorm", fuse_add_layernorm},
};
enum { PATTERNS = sizeof patterns / sizeof patterns[0] };

/* True when the comma-separated list has name. */
static bool list_has(const char *list, const char *name)
{
	size_t bytes = strlen(name);
	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strcspn(at, ",") == bytes && !memcmp(at, name, bytes))
			return true;
	return false;
}

static bool only_is_valid(const char *only, Diag *diag)
{
	char names[512] = "";
	for (int i = 0; i < PATTERNS; i++)
		if (!strstr(names, patterns[i].name))
			snprintf(
				names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", patterns[i].name);
	for (const char *at = only;; at++) {
		size_t bytes = strcspn(at, ",");
		bool known = false;
		for (int i = 0; i < PATTERNS; i++)
			known |= strlen(patterns[i].name) == bytes && !memcmp(patterns[i].name, at, bytes);
		if (!known)
			return diag_error(diag, EXIT_USAGE, 0, "fuse: there is no pattern \"%.*s\"; the patterns are %s",
				(int)(bytes < 64 ? bytes : 64), at, names);
		at += bytes;
		if (!*at)
			return true;
	}
}

Node *received_of(const Graph *graph, const Node *attention)
{
	if (attention->op != OP_ATTENTION || attention->attr.pack != PACK_NONE)
		return NULL;
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_RECEIVED && node->attr.pack == PACK_NONE && node->args[0] == attention->args[0]
			&& node->args[1] == attention->args[1] && node->attr.heads == attention->attr.heads
			&& (node->attr.has & A_scale ? node->attr.scale : 1)
				== (attention->attr.has & A_scale ? attention->attr.scale : 1))
			return node;
	return NULL;
}

/* True when only user reads the value, or user and the `received` op of the same attention. */
static bool is_read_by(const Graph *graph, const Value *v, const Node *user)
{
	if (value_only_user(graph, v) == user)
		return true;
	const Node *received = received_of(graph, user);
	return received && value_uses(graph, v) == 2 && (received->args[0] == v) != (received->args[1] == v)
		&& (user->args[0] == v) + (user->args[1] == v) + (user->args[2] == v) == 1;
}

Node *linear_of(const Graph *graph, const Value *v, const Node *user)
{
	if (!value_is(v, OP_LINEAR) || !is_read_by(graph, v, user) || (v->node->attr.has & A_panel))
		return NULL;
	for (int32_t i = 1; i < v->node->nargs; i++)
		if (!value_is_const(v->node->args[i]))
			return NULL;
	return v->node;
}

Node *linear_replace(Graph *graph, Node *linear, const Tensor *weight, const Tensor *bias, PassRun *run)
{
	Value *args[3] = {linear->args[0], linear->args[1], NULL};
	if (weight != value_tensor(linear->args[1]))
		args[1] = graph_const(graph, linear, weight, linear->args[1]->node->origin);
	if (bias && bias == linear_bias(linear))
		args[2] = linear->args[2];
	else if (bias)
		args[2] = graph_const(graph, linear, bias, linear->origin);
	Value *by = rewrite_value(graph, linear->results[0], OP_LINEAR, args, bias ? 3 : 2, &linear->attr, run);
	if (!by)
		return NULL;
	rewrite_erase(graph, linear);
	return by->node;
}

bool pass_fuse(Graph *graph, PassRun *run)
{
	const char *only = pass_option(run, "only");
	if (only && !only_is_valid(only, run->diag))
		return false;
	const bool trained = module_has_scales(graph->module);
	for (int i = 0; i < PATTERNS; i++) {
		/* scales of quantisation-aware training hold for the weights and inputs as they were trained */
		if (trained && !strncmp(patterns[i].name, "fold-", 5))
			pass_note(run, NULL,
				"%s: nothing is folded: the checkpoint's scales belong to the unchanged weights",
				patterns[i].name);
		else if ((!only || list_has(only, patterns[i].name)) && !patterns[i].run(graph, run))
			return false;
	}
	if (graph->level == LEVEL_GRAPH)
		graph->level = LEVEL_FUSED;
	return true;
}
