/* prune.c: selects the heads or neurons to remove, and slices the weights. See prune.h. The passes adapt the
 * rest of the layer.
 *
 *   by=magnitude        |rows of the last linear in| * |columns of out|, for gated networks also * |rows of
 *                       the gate|: the possible effect of a unit, without data
 *   by=activation       root of sum over its columns c of E[x_c^2] * |column c of out|^2: its actual effect
 *                       on data
 *   by=reconstruction   how well the other units can replace it (prune_refit.c)
 *   by=accuracy         increase of the loss on labelled data without it; accuracy is too coarse for such
 *                       small changes
 *
 * The first two are divided by their Euclidean norm over the layer, as Michel, Levy, Neubig, "Are Sixteen
 * Heads Really Better than One?", 2019, section 4.1 do with theirs, so that layers can be compared. */
#include "prune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void groups_add(Graph *graph, Groups *groups, const Group *group)
{
	MemArena *mem = graph->module->mem;
	Group *all = mem_alloc(mem, ((size_t)groups->count + 1) * sizeof *all);
	if (groups->count)
		memcpy(all, groups->at, (size_t)groups->count * sizeof *all);
	all[groups->count] = *group;
	all[groups->count].score = mem_alloc(mem, (size_t)group->count * sizeof *group->score);
	all[groups->count].gone = mem_alloc(mem, (size_t)group->count * sizeof *group->gone);
	all[groups->count].leader = groups_leader(groups, group);
	for (int32_t g = 0; g < groups->count; g++)
		if (all[g].layer == group->layer)
			all[groups->count].number = all[g].number + all[g].count;
	groups->at = all;
	groups->count++;
}

/* ---- importance ------------------------------------------------------------------------------ */

static double square(double x) { return x * x; }

double rows_norm(const Tensor *weight, int64_t first, int64_t rows)
{
	const int64_t columns = weight->type.dim[1].plus;
	double sum = 0;
	for (int64_t i = 0; i < rows * columns; i++)
		sum += square(tensor_at(weight, first * columns + i));
	return sqrt(sum);
}

double unit_columns_norm(const Tensor *weight, int32_t unit, int32_t width)
{
	const int64_t rows = weight->type.dim[0].plus, columns = weight->type.dim[1].plus;
	double sum = 0;
	for (int64_t n = 0; n < rows; n++)
		for (int32_t c = 0; c < width; c++)
			sum += square(tensor_at(weight, n * columns + (int64_t)unit * width + c));
	return sqrt(sum);
}

static void normalize_scores(Group *group)
{
	double sum = 0;
	for (int32_t u = 0; u < group->count; u++)
		sum += square(group->score[u]);
	for (int32_t u = 0; u < group->count && sum > 0; u++)
		group->score[u] /= sqrt(sum);
}

static double unit_magnitude(const Group *group, int32_t unit)
{
	double size = unit_columns_norm(value_tensor(group->out->args[1]), unit, group->width);
	for (int32_t k = group->nin - group->mixed; k < group->nin; k++)
		size *= rows_norm(value_tensor(group->in[k]->args[1]), group->first[k] + (int64_t)unit * group->width,
			group->width);
	return size;
}

static bool score_magnitude(Graph *graph, const Groups *groups, const UnitName *name, PassRun *run)
{
	(void)graph;
	(void)name;
	(void)run;
	for (int32_t g = 0; g < groups->count; g++) {
		Group *group = &groups->at[g];
		for (int32_t u = 0; u < group->count; u++)
			group->score[u] = unit_magnitude(group, u);
		normalize_scores(group);
	}
	return true;
}

static bool score_activation(Graph *graph, const Groups *groups, const UnitName *name, PassRun *run)
{
	(void)name;
	MemArena *mem = graph->module->mem;
	Value **values = mem_alloc(mem, (size_t)groups->count * sizeof *values);
	size_t width = 0;
	for (int32_t g = 0; g < groups->count; g++) {
		values[g] = groups->at[g].out->args[0];
		width += (size_t)groups->at[g].count * (size_t)groups->at[g].width;
	}
	double *squares = mem_alloc(mem, width * sizeof *squares);
	if (!observe_squares(graph, values, groups->count, squares, run))
		return false;
	for (int32_t g = 0; g < groups->count; g++) {
		Group *group = &groups->at[g];
		const Tensor *out = value_tensor(group->out->args[1]);
		for (int32_t u = 0; u < group->count; u++) {
			double sum = 0;
			for (int32_t c = 0; c < group->width; c++, squares++)
				sum += *squares * square(unit_columns_norm(out, u * group->width + c, 1));
			group->score[u] = sqrt(sum);
		}
		normalize_scores(group);
	}
	return true;
}

/* ---- importance by accuracy ------------------------------------------------------------------ */

/* The number of lots of a layer; the units of a lot are measured together. A few heads are measured one by
 * one, neurons in PARTS lots of similar magnitude. */
enum { ALONE_MAX = 64, PARTS = 8 };

typedef struct Ranked {
	double score;
	int32_t unit;
} Ranked;

static int ranked_compare(const void *a, const void *b)
{
	const Ranked *x = a, *y = b;
	if (x->score != y->score)
		return x->score < y->score ? -1 : 1;
	return x->unit - y->unit;
}

/* Assigns a lot to each unit, smallest magnitudes to lot 0. Returns the number of lots. */
static int32_t divide_into_lots(MemArena *mem, const Group *group, int32_t *lot)
{
	const int32_t lots = group->count <= ALONE_MAX ? group->count : PARTS;
	Ranked *ranked = mem_alloc(mem, (size_t)group->count * sizeof *ranked);
	for (int32_t u = 0; u < group->count; u++)
		ranked[u] = (Ranked){group->score[u], u};
	qsort(ranked, (size_t)group->count, sizeof *ranked, ranked_compare);
	for (int32_t i = 0; i < group->count; i++)
		lot[ranked[i].unit] = (int32_t)((int64_t)i * lots / group->count);
	return lots;
}

/* Divides a lot's loss among its units. Their magnitudes order them within the lot. */
static void share_out(Group *group, const int32_t *lot, int32_t lots, const OutputScore *scores, double base)
{
	const double per_lot = (double)group->count / lots;
	for (int32_t u = 0; u < group->count; u++)
		group->score[u] = (scores[lot[u]].loss - base) / per_lot + 1e-12 * group->score[u];
}

static bool score_accuracy(Graph *graph, const Groups *groups, const UnitName *name, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	int32_t nvariants = 0;
	for (int32_t g = 0; g < groups->count; g++)
		nvariants += groups->at[g].count <= ALONE_MAX ? groups->at[g].count : PARTS;
	Variant *variants = mem_alloc(mem, (size_t)nvariants * sizeof *variants), *variant = variants;
	int32_t **lot = mem_alloc(mem, (size_t)groups->count * sizeof *lot);
	score_magnitude(graph, groups, name, run);
	for (int32_t g = 0; g < groups->count; g++) {
		Group *group = &groups->at[g];
		lot[g] = mem_alloc(mem, (size_t)group->count * sizeof **lot);
		const int32_t lots = divide_into_lots(mem, group, lot[g]);
		for (int32_t i = 0; i < lots; i++, variant++) {
			bool *units = mem_alloc(mem, (size_t)group->count * sizeof *units);
			for (int32_t u = 0; u < group->count; u++)
				units[u] = lot[g][u] == i;
			*variant = (Variant){group->out->results[0], variant_without_units, group, units};
		}
	}
	OutputScore *scores = mem_alloc(mem, (size_t)nvariants * sizeof *scores), base;
	if (!variants_score(graph, variants, nvariants, scores, &base, run))
		return false;
	pass_note(run, NULL, "unchanged: score %.4f, loss %.4f", base.value, base.loss);
	for (int32_t g = 0; g < groups->count; g++) {
		const int32_t lots = groups->at[g].count <= ALONE_MAX ? groups->at[g].count : PARTS;
		share_out(&groups->at[g], lot[g], lots, scores, base.loss);
		scores += lots;
	}
	return true;
}

/* ---- how many -------------------------------------------------------------------------------- */

static void remove_unit(Group *group, int32_t unit)
{
	group->ngone += !group->gone[unit];
	group->gone[unit] = true;
}

typedef struct Candidate {
	double score;
	int32_t group, unit;
} Candidate;

/* Ties: the later unit comes first. */
static int candidate_compare(const void *a, const void *b)
{
	const Candidate *x = a, *y = b;
	if (x->score != y->score)
		return x->score < y->score ? -1 : 1;
	return x->group != y->group ? y->group - x->group : y->unit - x->unit;
}

static bool leads(const Groups *groups, int32_t g) { return groups->at[g].leader == g; }

/* Marks the `count` units with the lowest scores in groups[from..to), of those that lead. One unit stays in
 * each group. */
static void remove_least(Graph *graph, const Groups *groups, int32_t from, int32_t to, int64_t count)
{
	size_t n = 0;
	for (int32_t g = from; g < to; g++)
		n += (size_t)groups->at[g].count;
	Candidate *candidates = mem_alloc(graph->module->mem, n * sizeof *candidates);
	n = 0;
	for (int32_t g = from; g < to; g++)
		for (int32_t u = 0; leads(groups, g) && u < groups->at[g].count; u++)
			candidates[n++] = (Candidate){groups->at[g].score[u], g, u};
	qsort(candidates, n, sizeof *candidates, candidate_compare);
	for (size_t i = 0; i < n && count > 0; i++) {
		Group *group = &groups->at[candidates[i].group];
		if (group->count - group->ngone > 1) {
			remove_unit(group, candidates[i].unit);
			count--;
		}
	}
}

static char *print_group_layers(Graph *graph, const Groups *groups)
{
	MemArena *mem = graph->module->mem;
	int32_t *numbers = mem_alloc(mem, (size_t)groups->count * sizeof *numbers);
	for (int32_t g = 0; g < groups->count; g++)
		numbers[g] = groups->at[g].layer->number;
	return groups->count ? layer_list_print(mem, numbers, groups->count) : "none";
}

/* heads=0.3,4.0-7: the units to remove. */
static bool remove_listed(Graph *graph, const Groups *groups, const UnitName *name, PassRun *run)
{
	LayerList list = layer_list_open(run, name->key);
	while (layer_list_next(&list)) {
		Group *group = NULL;
		for (int32_t g = 0; g < groups->count; g++)
			if (groups->at[g].layer->number == list.layer && groups->at[g].number <= list.unit)
				group = &groups->at[g];
		const int32_t unit = group ? list.unit - group->number : 0;
		if (!group)
			return layer_list_refuse(&list, "there is no %s %d.%d; the layers that have %ss: %s", name->one,
				list.layer, list.unit, name->one, print_group_layers(graph, groups));
		if (unit >= group->count)
			return layer_list_refuse(&list, "there is no %s %d.%d; layer %d has %d %ss", name->one,
				list.layer, list.unit, list.layer, group->number + group->count, name->one);
		if (group->gone[unit])
			return layer_list_refuse(&list, "%s %d.%d is named twice", name->one, list.layer, list.unit);
		remove_unit(group, unit);
		if (group->ngone == group->count)
			return diag_error(run->diag, EXIT_USAGE, 0,
				"%s: %s=%s leaves no %s in %slayer %d; prune-blocks removes whole blocks", name->pass,
				name->key, pass_option(run, name->key), name->one, group->network ? "a network of " : "",
				list.layer);
	}
	return !list.failed;
}

/* A layer may have fewer units than keep=; then it loses none. */
static bool check_keep(const Groups *groups, int64_t keep, const UnitName *name, PassRun *run)
{
	int32_t most = 0;
	for (int32_t g = 0; g < groups->count; g++)
		most = groups->at[g].count > most ? groups->at[g].count : most;
	return pass_option_fits(run, "keep", keep, most, "a layer has at most", name->one);
}

bool groups_score(Graph *graph, const Groups *groups, const UnitName *name, PassRun *run)
{
	static const struct {
		const char *by;
		bool (*score)(Graph *, const Groups *, const UnitName *, PassRun *);
	} ways[] = {
		{"magnitude", score_magnitude},
		{"activation", score_activation},
		{"accuracy", score_accuracy},
	};
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
		if (pass_option_is(run, "by", ways[i].by))
			return ways[i].score(graph, groups, name, run);
	return diag_error(run->diag, EXIT_USAGE, 0, "%s: by=%s does not score single %ss", name->pass,
		pass_option(run, "by"), name->one);
}

bool groups_choose(Graph *graph, const Groups *groups, const UnitName *name, PassRun *run)
{
	const char *list = pass_option(run, name->key);
	int64_t total = 0;
	const int64_t keep = pass_option_int(run, "keep", 0);
	const double share = pass_option_real(run, "share", -1);
	const bool has_share = share >= 0;
	if ((list != NULL) + (keep > 0) + has_share != 1)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"%s: give keep= (number of %ss that stay in each layer), share= (share of all that stays) or %s= "
			"(those to remove)",
			name->pass, name->one, name->key);
	if (groups->count == 0 && !list)
		return true;
	if (!check_keep(groups, keep, name, run))
		return false;
	for (int32_t g = 0; g < groups->count; g++)
		total += leads(groups, g) ? groups->at[g].count : 0;
	const int64_t drop = has_share ? total - llround(share * (double)total) : 0;
	const bool chooses = !list && pass_option_is(run, "by", "reconstruction"),
			   refits = chooses || pass_option_is(run, "refit", "yes");
	if (refits && !groups_may_refit(groups, name, run))
		return false;
	if (chooses)
		return groups_refit(graph, groups, false, keep, drop, name, run);
	if (list ? !remove_listed(graph, groups, name, run) || !groups_agree(graph, groups, name, run)
			 : !groups_score(graph, groups, name, run))
		return false;
	groups_average(graph, groups);
	for (int32_t g = 0; keep > 0 && g < groups->count; g++)
		remove_least(graph, groups, g, g + 1, groups->at[g].count - keep);
	remove_least(graph, groups, 0, groups->count, drop);
	groups_follow(groups);
	return !refits || groups_refit(graph, groups, true, 0, 0, name, run);
}

/* ---- slicing --------------------------------------------------------------------------------- */

/* Removes the marked places from axis 0 or 1 of a tensor; `left` places stay. */
static const Tensor *slice(Graph *graph, const Tensor *from, int32_t axis, const bool *gone, int64_t left)
{
	const int64_t inner = axis == 0 && from->type.rank == 2 ? from->type.dim[1].plus : 1,
				  block = inner * dtype_bytes[from->type.dtype],
				  outer = axis == 1 ? from->type.dim[0].plus : 1, places = from->type.dim[axis].plus;
	Type type = from->type;
	type.dim[axis] = dim_number(left);
	Tensor *to = tensor_derived(graph, from, "pruned", type);
	uint8_t *target = (uint8_t *)(uintptr_t)to->data;
	const uint8_t *source = from->data;
	for (int64_t i = 0; i < outer; i++)
		for (int64_t k = 0; k < places; k++, source += block)
			if (!gone[k]) {
				memcpy(target, source, (size_t)block);
				target += block;
			}
	return to;
}

/* Marks the rows or columns of the removed units, from `first` on. Returns their number. */
static int64_t mark_places(const Group *group, int64_t first, bool *gone)
{
	for (int32_t u = 0; u < group->count; u++)
		memset(gone + first + (int64_t)u * group->width, group->gone[u], (size_t)group->width);
	return (int64_t)group->ngone * group->width;
}

static void slice_argument(
	Graph *graph, Node *linear, int32_t i, int32_t axis, const bool *gone, int64_t left)
{
	const Node *old = linear->args[i]->node;
	linear->args[i] = graph_const(graph, linear, slice(graph, old->data, axis, gone, left), old->origin);
}

/* Removes rows of in[k], in both halves if it computes two. */
static void slice_rows(Graph *graph, const Group *group, int32_t k)
{
	Node *linear = group->in[k];
	int64_t left = linear->args[1]->type.dim[0].plus;
	bool *gone = mem_alloc(graph->module->mem, (size_t)left * sizeof *gone);
	for (int32_t other = 0; other < group->nin; other++)
		if (group->in[other] == linear && other < k)
			return; /* done with that one */
		else if (group->in[other] == linear)
			left -= mark_places(group, group->first[other], gone);
	for (int32_t i = 1; i < linear->nargs; i++)
		slice_argument(graph, linear, i, 0, gone, left);
}

/* The slices that the leader has made of the same weights. */
static void share_slices(const Group *leader, const Group *group)
{
	for (int32_t k = 0; k < group->nin; k++)
		for (int32_t i = 1; i < group->in[k]->nargs; i++)
			group->in[k]->args[i] = leader->in[k]->args[i];
	group->out->args[1] = leader->out->args[1];
}

static void group_slice(Graph *graph, const Group *group)
{
	const int64_t columns = group->out->args[1]->type.dim[1].plus;
	bool *gone = mem_alloc(graph->module->mem, (size_t)columns * sizeof *gone);
	for (int32_t k = 0; k < group->nin; k++)
		slice_rows(graph, group, k);
	const int64_t marked = mark_places(group, 0, gone);
	slice_argument(graph, group->out, 1, 1, gone, columns - marked);
}

static void group_note(const Group *group, const UnitName *name, PassRun *run)
{
	char text[256] = "";
	size_t used = 0;
	for (int32_t u = 0; u < group->count && used < sizeof text - 16; u++)
		if (group->gone[u])
			used += (size_t)snprintf(text + used, sizeof text - used, " %d", group->number + u);
	pass_note(run, NULL, "layer %d: %d of %d %ss stay, removed:%s%s", group->layer->number,
		group->count - group->ngone, group->count, name->one, text, used >= sizeof text - 16 ? " .." : "");
}

bool groups_remove(Graph *graph, const Groups *groups, const UnitName *name,
	bool (*fit)(Graph *, const Group *, PassRun *), PassRun *run)
{
	for (int32_t g = 0; g < groups->count; g++) {
		const Group *group = &groups->at[g];
		group_note(group, name, run);
		if (!group->ngone)
			continue;
		if (leads(groups, g))
			group_slice(graph, group);
		else
			share_slices(&groups->at[group->leader], group);
		if (!fit(graph, group, run))
			return false;
		run->changes += group->ngone;
	}
	if (run->changes)
		graph_sweep(graph);
	return graph_retype(graph, run->diag);
}
