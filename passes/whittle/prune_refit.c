/* prune_refit.c: removes heads and neurons and refits the rest. The remaining weights and the bias of a
 * block's last linear are fitted by least squares, on the texts of option data, to its result before pruning
 * (He, Zhang, Sun: "Channel Pruning for Accelerating Very Deep Neural Networks", 2017, equation 3):
 *
 *   %h = linear %a, %wo, %bo : f32[S,8]        ->        %h = linear %a, %wo2, %bo2 : f32[S,8]
 *
 *   refit=yes             refits after removing the units that by= or a list selects
 *   by=reconstruction     the fit also selects the units, a few at a time: those that the other units can
 *                         replace best, over all layers (eliminate.c). Errors are divided by the variance of
 *                         the rows before LayerNorm, as LayerNorm does
 *   ridge=X               how strongly the weights are held at their old values (0.01)
 *
 * All layers are fitted at once to the results of the model before this pass. The data is run once. */
#include "eliminate.h"
#include "prune.h"
#include <stdlib.h>
#include <string.h>

/* The observations and the fit of a group. */
typedef struct Refit {
	Group *group;
	Covariance inputs;
	double variance; /* of the rows after adding the block's result, summed over all rows seen */
	int32_t outputs;
	Elimination elimination;
} Refit;

typedef struct Refits {
	Refit *at;
	int32_t count;
} Refits;

/* ---- observations ---------------------------------------------------------------------------- */

static void add_sum(Refit *refit, const float *row)
{
	double mean = 0, square = 0;
	for (int32_t i = 0; i < refit->outputs; i++)
		mean += (double)row[i] / refit->outputs;
	for (int32_t i = 0; i < refit->outputs; i++)
		square += ((double)row[i] - mean) * ((double)row[i] - mean);
	refit->variance += square;
}

/* One row per token: for each group the inputs of out, then the sum. */
static void add_text(void *argument, const float *row, int32_t width, int32_t tokens)
{
	const Refits *all = argument;
	(void)width;
	for (int32_t t = 0; t < tokens; t++)
		for (int32_t i = 0; i < all->count; i++) {
			Refit *refit = &all->at[i];
			covariance_add(&refit->inputs, row);
			row += refit->inputs.width;
			add_sum(refit, row);
			row += refit->outputs;
		}
}

static bool see(Graph *graph, Refits *all, PassRun *run)
{
	Value **values = mem_alloc(graph->module->mem, 2 * (size_t)all->count * sizeof *values);
	Probe probe;
	probe_open(&probe, graph, 0);
	for (int32_t i = 0; i < all->count; i++) {
		const Group *group = all->at[i].group;
		const Block *block = group->network ? &group->network->block : &group->layer->attention;
		values[2 * i] = probe_value(&probe, group->out->args[0]);
		values[2 * i + 1] = probe_value(&probe, block->sum->results[0]);
	}
	Value *rows = concat_all(probe.graph, values, 2 * all->count, 1, run->diag);
	const bool good = rows && probe_rows(&probe, rows, add_text, all, run);
	probe_close(&probe);
	return good
		&& (all->at[0].inputs.rows > 0
			|| diag_error_in(run->diag, EXIT_INPUT, pass_option(run, "data"), 0, "has no texts"));
}

/* ---- selection ------------------------------------------------------------------------------- */

/* About 128 steps remove all neurons; heads are removed one by one. */
static int32_t lot_of(const Group *group)
{
	const int32_t lot = group->count / 128;
	if (lot < 1)
		return 1;
	return lot > LOT_MAX ? LOT_MAX : lot;
}

static bool failed(const Refit *refit, const UnitName *name, PassRun *run)
{
	return diag_error(run->diag, EXIT_RUN, 0,
		"%s: the %ss of layer %d compute NaN or infinite numbers; a larger ridge= may help", name->pass,
		name->one, refit->group->layer->number);
}

static bool remove_units(Refit *refit, const int32_t *unit, int32_t n, const UnitName *name, PassRun *run)
{
	for (int32_t i = 0; i < n; i++) {
		refit->group->ngone += !refit->group->gone[unit[i]];
		refit->group->gone[unit[i]] = true;
	}
	return elimination_remove(&refit->elimination, unit, n) || failed(refit, name, run);
}

/* Removes `drop` units of groups [from, to). */
static bool remove_cheapest(
	const Refits *all, int32_t from, int32_t to, int64_t drop, const UnitName *name, PassRun *run)
{
	int32_t unit[LOT_MAX], least[LOT_MAX];
	while (drop > 0) {
		Refit *chosen = NULL;
		double price = 0;
		int32_t n = 0;
		for (int32_t i = from; i < to; i++) {
			Refit *refit = &all->at[i];
			const int32_t room = refit->elimination.live - 1, lot = lot_of(refit->group);
			int32_t some = room < lot ? room : lot;
			some = drop < some ? (int32_t)drop : some;
			if (some <= 0)
				continue;
			const double own = elimination_least(&refit->elimination, some, unit) / refit->variance;
			if (!chosen || own <= price) {
				{
					chosen = refit;
					price = own;
					n = some;
				}
				memcpy(least, unit, sizeof least);
			}
		}
		if (!chosen)
			return true;
		if (!remove_units(chosen, least, n, name, run))
			return false;
		drop -= n;
	}
	return true;
}

static bool remove_marked(Refit *refit, const UnitName *name, PassRun *run)
{
	for (int32_t u = 0; u < refit->group->count; u++)
		if (refit->group->gone[u] && !remove_units(refit, &u, 1, name, run))
			return false;
	return true;
}

/* ---- the weights ----------------------------------------------------------------------------- */

/* W' over all units, zero at those that are gone, and b' = b + (W - W') E[x]; the caller slices. */
static void set_weights(Graph *graph, const Refit *refit)
{
	const Elimination *e = &refit->elimination;
	Node *out = refit->group->out;
	const Tensor *weight = value_tensor(out->args[1]), *bias = linear_bias(out);
	const int64_t columns = weight->type.dim[1].plus;
	Tensor *fitted = tensor_derived(graph, weight, "refit", weight->type);
	Tensor *moved = tensor_derived(graph, bias ? bias : weight, "refit",
		bias ? bias->type : type_numbers(DT_F32, 1, (int64_t[]){e->outputs}));
	double *row = mem_alloc(graph->module->mem, (size_t)columns * sizeof *row);
	for (int64_t n = 0; n < e->outputs; n++) {
		double sum = bias ? tensor_at(bias, n) : 0;
		memset(row, 0, (size_t)columns * sizeof *row);
		for (int32_t p = 0; p < e->live; p++)
			memcpy(row + (int64_t)e->unit[p] * e->width, e->weight + n * e->ld + (int64_t)p * e->width,
				(size_t)e->width * sizeof *row);
		for (int64_t k = 0; k < columns; k++) {
			tensor_set(fitted, n * columns + k, row[k]);
			sum += (tensor_at(weight, n * columns + k) - tensor_at(fitted, n * columns + k))
				* refit->inputs.sum[k];
		}
		tensor_set(moved, n, sum);
	}
	out->args[1] = graph_const(graph, out, fitted, out->args[1]->node->origin);
	out->args[2] = graph_const(graph, out, moved, bias ? out->args[2]->node->origin : out->origin);
	out->nargs = 3;
}

/* ---- the whole pass -------------------------------------------------------------------------- */

static bool open_elimination(Refit *refit, double ridge, const UnitName *name, PassRun *run)
{
	const Group *group = refit->group;
	const Tensor *weight = value_tensor(group->out->args[1]);
	const int64_t count = type_count(&weight->type);
	float *numbers = checked_calloc((size_t)count, sizeof *numbers);
	covariance_finish(&refit->inputs);
	refit->variance /= (double)refit->inputs.rows;
	tensor_floats(weight, 0, count, numbers);
	if (!(refit->variance > 0))
		refit->variance = 1; /* all rows are constant: nothing to compare with */
	const bool good = elimination_open(
		&refit->elimination, &refit->inputs, group->count, group->width, refit->outputs, numbers, ridge);
	free(numbers);
	return good || failed(refit, name, run);
}

static bool choose(const Refits *all, int64_t keep, int64_t drop, const UnitName *name, PassRun *run)
{
	for (int32_t i = 0; i < all->count; i++)
		if (keep > 0 && !remove_cheapest(all, i, i + 1, all->at[i].group->count - keep, name, run))
			return false;
	return remove_cheapest(all, 0, all->count, drop, name, run);
}

bool groups_refit(Graph *graph, const Groups *groups, bool marked, int64_t keep, int64_t drop,
	const UnitName *name, PassRun *run)
{
	Refits all = {mem_alloc(graph->module->mem, (size_t)groups->count * sizeof *all.at), 0};
	const double ridge = pass_option_real(run, "ridge", 0);
	bool good = true;
	for (int32_t g = 0; good && g < groups->count; g++)
		if (!marked || groups->at[g].ngone) {
			Refit *refit = &all.at[all.count++];
			refit->group = &groups->at[g];
			refit->outputs = (int32_t)refit->group->out->args[1]->type.dim[0].plus;
			covariance_open(&refit->inputs, (int64_t)refit->group->count * refit->group->width);
		}
	good = good && (all.count == 0 || see(graph, &all, run));
	for (int32_t i = 0; good && i < all.count; i++)
		good = open_elimination(&all.at[i], ridge, name, run)
			&& (!marked || remove_marked(&all.at[i], name, run));
	good = good && (marked || choose(&all, keep, drop, name, run));
	for (int32_t i = 0; i < all.count; i++) {
		if (good && all.at[i].group->ngone)
			set_weights(graph, &all.at[i]);
		elimination_close(&all.at[i].elimination);
		covariance_close(&all.at[i].inputs);
	}
	return good;
}
