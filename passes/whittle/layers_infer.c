/* layers_infer.c: finds and names the layers of a graph without layer names in its origins, such as a .bir or
 * an imported graph. An encoder is a chain of residual blocks. The input of each block is the output of the
 * one before:
 *
 *   post-norm   %h = layernorm(add(linear(.. %x ..), %x))
 *   pre-norm    %h = add(linear(.. layernorm %x ..), %x)
 *
 * A block with a softmax between %x and the linear is attention; any other block is a feed-forward network. A
 * layer begins with each attention, and with a feed-forward network that follows another one. The ops get the
 * origins that the importer of a checkpoint would give them ("layer.3.ffn.out"), so that later passes, notes
 * and the printed graph name them too.
 *
 * Nothing is named if there is no such chain, more than one, or an attention outside it; the reason is
 * returned. Each block is walked once and has at most BODY_MAX ops, so the time is linear in the size of the
 * graph. */
#include "layers.h"
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 256, SITES_MAX = 4096, TRAIL_MAX = 8 };

/* A residual block. */
typedef struct Site {
	Node *sum, *out; /* the add, and the linear whose result it adds to `around` */
	Value *around, *result;
	Node **body; /* the ops between around and out, out included, in the order of the graph */
	int32_t nbody;
	bool attends, pre_norm, continued;
	int32_t chain, layer;
	Node *trail[TRAIL_MAX]; /* ops between the previous block and around, last op first */
	int32_t ntrail, before; /* before: the block before this one in the chain; -1: none */
} Site;

/* Tables by a value's id, and the blocks found. */
typedef struct Finder {
	Graph *graph;
	uint32_t *position; /* of the op that makes it, counted from 1; 0: an input */
	int32_t *uses;      /* arguments and outputs that read it */
	Node **user;        /* the last op that reads it */
	uint32_t *seen,
		*depends;  /* the last walk that reached it; the last that found it to depend on `around` */
	int32_t *site; /* 1 + the block that computes it */
	uint32_t walk;
	Site *at;
	int32_t count;
} Finder;

static void finder_open(Finder *f, Graph *graph)
{
	const size_t n = (size_t)graph->next_id + 1;
	MemArena *mem = graph->module->mem;
	*f = (Finder){.graph = graph};
	f->position = mem_alloc(mem, n * sizeof *f->position);
	f->uses = mem_alloc(mem, n * sizeof *f->uses);
	f->user = mem_alloc(mem, n * sizeof *f->user);
	f->seen = mem_alloc(mem, n * sizeof *f->seen);
	f->depends = mem_alloc(mem, n * sizeof *f->depends);
	f->site = mem_alloc(mem, n * sizeof *f->site);
	f->at = mem_alloc(mem, SITES_MAX * sizeof *f->at);
	uint32_t position = 0;
	for (Node *node = graph->first; node; node = node->next) {
		position++;
		for (int32_t i = 0; i < node->nresults; i++)
			f->position[node->results[i]->id] = position;
		for (int32_t i = 0; i < node->nargs; i++) {
			f->uses[node->args[i]->id]++;
			f->user[node->args[i]->id] = node;
		}
	}
	for (int32_t i = 0; i < graph->noutputs; i++)
		f->uses[graph->outputs[i].value->id]++;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* The ops after `around` that `out` needs, in any order. Returns their number, or -1 for more than BODY_MAX.
 */
static int32_t reach_back(Finder *f, Node *out, const Value *around, Node **body)
{
	const uint32_t start = f->position[around->id];
	int32_t count = 0;
	f->walk++;
	body[count++] = out;
	f->seen[out->results[0]->id] = f->walk;
	for (int32_t at = 0; at < count; at++)
		for (int32_t i = 0; i < body[at]->nargs; i++) {
			const Value *arg = body[at]->args[i];
			if (!arg->node || value_is_const(arg) || f->position[arg->id] <= start)
				continue;
			const uint32_t first = arg->node->results[0]->id;
			if (f->seen[first] == f->walk)
				continue;
			if (count == BODY_MAX)
				return -1;
			f->seen[first] = f->walk;
			body[count++] = arg->node;
		}
	return count;
}

static void sort_by_position(const Finder *f, Node **body, int32_t count)
{
	for (int32_t i = 1; i < count; i++) {
		Node *node = body[i];
		int32_t k = i;
		for (; k > 0 && f->position[body[k - 1]->results[0]->id] > f->position[node->results[0]->id]; k--)
			body[k] = body[k - 1];
		body[k] = node;
	}
}

/* Removes ops from the body that do not depend on `around`: a bias or mask computed there belongs to no
 * layer. */
static int32_t keep_dependent(Finder *f, const Value *around, Node **body, int32_t count)
{
	int32_t kept = 0;
	f->depends[around->id] = f->walk;
	for (int32_t at = 0; at < count; at++) {
		bool depends = false;
		for (int32_t i = 0; i < body[at]->nargs; i++)
			depends |= f->depends[body[at]->args[i]->id] == f->walk;
		for (int32_t i = 0; depends && i < body[at]->nresults; i++)
			f->depends[body[at]->results[i]->id] = f->walk;
		if (depends)
			body[kept++] = body[at];
	}
	return kept;
}

static void site_look(const Finder *f, Site *site)
{
	const Node *last = f->user[site->sum->results[0]->id];
	site->pre_norm = true;
	for (int32_t i = 0; i < site->nbody; i++) {
		const Node *node = site->body[i];
		site->attends |= node->op == OP_SOFTMAX;
		for (int32_t k = 0; k < node->nargs; k++)
			site->pre_norm &= node->args[k] != site->around || node->op == OP_LAYERNORM;
	}
	site->result = site->sum->results[0];
	if (!site->pre_norm && f->uses[site->result->id] == 1 && last && last->op == OP_LAYERNORM
		&& last->args[0] == site->result)
		site->result = last->results[0];
}

/* Matches sum = out + around, where out is a linear that depends on `around`. */
static bool find_site(Finder *f, Node *sum, int32_t side)
{
	Value *branch = sum->args[side], *around = sum->args[1 - side];
	Node *out = constant_linear(branch), *body[BODY_MAX];
	if (!out || branch == around || value_is_const(around) || f->uses[branch->id] != 1
		|| !type_equal(&branch->type, &around->type) || !type_is_rows(&around->type) || around->type.rank != 2
		|| f->position[branch->id] <= f->position[around->id])
		return false;
	int32_t count = reach_back(f, out, around, body);
	if (count < 0)
		return false;
	sort_by_position(f, body, count);
	count = keep_dependent(f, around, body, count);
	if (count == 0 || body[count - 1] != out)
		return false;
	Site *site = &f->at[f->count++];
	*site = (Site){.sum = sum, .out = out, .around = around, .nbody = count, .before = -1};
	site->body = mem_alloc(f->graph->module->mem, (size_t)count * sizeof *site->body);
	memcpy(site->body, body, (size_t)count * sizeof *body);
	site_look(f, site);
	f->site[site->result->id] = f->count;
	return true;
}

static const char *find_sites(Finder *f)
{
	for (Node *node = f->graph->first; node; node = node->next) {
		if (node->op != OP_ADD)
			continue;
		if (f->count == SITES_MAX)
			return "it has too many residual blocks for an encoder";
		if (!find_site(f, node, 0))
			find_site(f, node, 1);
	}
	return NULL;
}

/* ---- the chain ------------------------------------------------------------------------------- */

/* The input of an op that at most changes columns one by one. NULL for other ops. */
static Value *passed_on(const Node *node)
{
	Value *rows = NULL;
	if (!node || (!op_is_elementwise(node->op) && node->op != OP_LAYERNORM && node->op != OP_EXIT))
		return NULL;
	if (node->op == OP_EXIT)
		return node->args[0];
	for (int32_t i = 0; i < node->nargs; i++) {
		if (value_is_const(node->args[i]))
			continue;
		if (rows)
			return NULL;
		rows = node->args[i];
	}
	return rows;
}

/* Finds the previous block: the site's input comes from its result. */
static void link_site(const Finder *f, Site *site)
{
	Value *v = site->around;
	while (v && !f->site[v->id] && site->ntrail < TRAIL_MAX) {
		site->trail[site->ntrail++] = v->node;
		v = passed_on(v->node);
	}
	if (v && f->site[v->id])
		site->before = f->site[v->id] - 1;
	else
		site->ntrail = 0;
}

/* Stores the one chain with attention in *chain. */
static const char *find_chain(Finder *f, int32_t *chain)
{
	MemArena *mem = f->graph->module->mem;
	*chain = -1;
	for (int32_t i = 0; i < f->count; i++) {
		Site *site = &f->at[i];
		link_site(f, site);
		if (site->before >= 0 && f->at[site->before].continued)
			return mem_printf(mem, "two residual blocks continue the same block, the second at %s",
				value_print(site->sum->results[0], (char[264]){0}));
		if (site->before >= 0)
			f->at[site->before].continued = true;
		site->chain = site->before >= 0 ? f->at[site->before].chain : i;
		if (site->attends && *chain >= 0 && site->chain != *chain)
			return mem_printf(mem, "there are two chains of residual blocks with attention, around %s and %s",
				value_print(f->at[*chain].around, (char[264]){0}),
				value_print(f->at[site->chain].around, (char[264]){0}));
		if (site->attends)
			*chain = site->chain;
	}
	return *chain >= 0 ? NULL : "no residual block x + linear(..) has a softmax in it";
}

/* Every softmax over tokens must be part of the chain. */
static const char *check_softmaxes(Finder *f, int32_t chain)
{
	f->walk++;
	for (int32_t i = 0; i < f->count; i++)
		for (int32_t k = 0; f->at[i].chain == chain && k < f->at[i].nbody; k++)
			f->seen[f->at[i].body[k]->results[0]->id] = f->walk;
	for (const Node *node = f->graph->first; node; node = node->next)
		if (node->op == OP_SOFTMAX && node->results[0]->type.rank == 3
			&& f->seen[node->results[0]->id] != f->walk)
			return mem_printf(f->graph->module->mem,
				"the softmax %s is in no residual block x + linear(..) of the encoder",
				value_print(node->results[0], (char[264]){0}));
	return NULL;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Names the op and the constants that it reads, unless another layer has already named them. */
static void name_node(Graph *graph, Node *node, int32_t layer, ModelPart part)
{
	const char *origin = origin_in_layer(graph, layer, part);
	node_set_origin(graph, node, origin);
	for (int32_t i = 1; i < node->nargs; i++) {
		Node *constant = value_is_const(node->args[i]) ? node->args[i]->node : NULL;
		if (constant && type_count(&constant->results[0]->type) > 1
			&& (!constant->origin || constant->place.layer == layer))
			node_set_origin(graph, constant, origin);
	}
}

static void name_site(Graph *graph, const Site *site, int32_t layer_before)
{
	const bool attends = site->attends;
	const ModelPart norm = attends ? PART_ATTENTION_NORM : PART_FFN_NORM;
	const ModelPart inside = attends ? PART_ATTENTION : PART_FFN_ACT;
	const int32_t layer = site->layer;
	for (int32_t i = 0; i < site->ntrail; i++)
		if (site->trail[i]->op != OP_EXIT)
			name_node(graph, site->trail[i], layer_before, PART_FFN_NORM);
	for (int32_t i = 0; i < site->nbody; i++) {
		Node *node = site->body[i];
		const bool is_norm = node->op == OP_LAYERNORM && node->args[0] == site->around;
		name_node(graph, node, layer, is_norm ? norm : inside);
	}
	name_node(graph, site->out, layer, attends ? PART_ATTENTION_OUT : PART_FFN_OUT);
	name_node(graph, site->sum, layer, attends ? PART_ATTENTION_RESIDUAL : PART_FFN_RESIDUAL);
	if (site->result != site->sum->results[0])
		name_node(graph, site->result->node, layer, norm);
}

/* Numbers the layers along the chain. */
static void name_chain(Finder *f, int32_t chain)
{
	int32_t layer = -1;
	const Site *before = NULL;
	for (int32_t i = 0; i < f->count; i++) {
		Site *site = &f->at[i];
		if (site->chain != chain)
			continue;
		layer += !before || site->attends || !before->attends;
		site->layer = layer;
		name_site(f->graph, site, before ? before->layer : 0);
		before = site;
	}
}

/* Names the linears at the start of the blocks. */
static void name_linears(Graph *graph, const Layers *layers)
{
	for (int32_t i = 0; i < layers->count; i++) {
		const Layer *layer = &layers->at[i];
		if (layer->has_attention) {
			name_node(graph, layer->q, layer->number, PART_ATTENTION_QUERY);
			name_node(graph, layer->k, layer->number, PART_ATTENTION_KEY);
			name_node(graph, layer->v, layer->number, PART_ATTENTION_VALUE);
		}
		for (int32_t k = 0; k < layer->nffn; k++) {
			if (layer->ffn[k].gate)
				name_node(graph, layer->ffn[k].gate, layer->number, PART_FFN_GATE);
			name_node(graph, layer->ffn[k].in, layer->number, PART_FFN_IN);
		}
	}
}

const char *layers_infer(Graph *graph)
{
	Finder finder;
	Layers layers;
	Diag quiet;
	PassRun run = {.diag = &quiet};
	int32_t chain;
	finder_open(&finder, graph);
	const char *why = find_sites(&finder);
	if (!why)
		why = find_chain(&finder, &chain);
	if (!why)
		why = check_softmaxes(&finder, chain);
	if (why)
		return why;
	name_chain(&finder, chain);
	diag_init(&quiet, NULL);
	if (layers_find_blocks(graph, "layers", &layers, &run))
		name_linears(graph, &layers);
	diag_free(&quiet);
	return NULL;
}
