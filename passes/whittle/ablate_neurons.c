/* ablate_neurons.c: `ablate-neurons{which=top share=0.1 data=FILE.conll}` sets neurons to zero, or with
 * to=mean to their mean over the words of the file. which=top selects the neurons of all layers that predict
 * the file's tags best, which=bottom those that predict them worst. This is the ablation of Dalvi et al.:
 * "What Is One Grain of Sand in the Desert?", 2019, section 4, done in the model. The ranking is the one of
 * `bertc rank-neurons`. neurons=0.17,3.5 names the neurons instead; then only to=mean needs data.
 *
 *   %h = layernorm %r, %g, %b          ->      %h = layernorm %r, %g2, %b2
 *
 * For these neurons g2 is 0, and b2 is 0 or the mean.
 *
 * The model does not get smaller: a constant neuron keeps its column. */
#include "affine.h"
#include "calibrate.h"
#include <math.h>
#include <string.h>

typedef struct Ablation {
	Neurons neurons;
	bool *gone;   /* per neuron, over all layers */
	double *mean; /* per neuron; zeros without data */
	int32_t *order;
} Ablation;

/* neurons=0.17,3-5.0-99 */
static bool mark_listed(Graph *graph, const Ablation *a, PassRun *run)
{
	const Neurons *n = &a->neurons;
	LayerList list = layer_list_open(run, "neurons");
	while (layer_list_next(&list)) {
		int32_t i = 0;
		while (i < n->layers && n->at[i] != list.layer)
			i++;
		if (i == n->layers)
			return layer_list_refuse(&list, "there is no neuron %d.%d; the layers are %s", list.layer,
				list.unit, layer_list_print(graph->module->mem, n->at, n->layers));
		if (list.unit >= n->width)
			return layer_list_refuse(
				&list, "there is no neuron %d.%d; a layer has %d neurons", list.layer, list.unit, n->width);
		bool *gone = &a->gone[(int64_t)i * n->width + list.unit];
		if (*gone)
			return layer_list_refuse(&list, "neuron %d.%d is named twice", list.layer, list.unit);
		*gone = true;
	}
	return !list.failed;
}

/* Ranks the neurons and computes their means by running a copy of the graph over the data. */
static bool rank(const Graph *graph, const Ablation *a, const char *data, int64_t limit, PassRun *run)
{
	Probe probe;
	Neurons again;
	if (!run->env->rank)
		return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"ablate-neurons: %s runs the model on texts, which needs its tokenizer; use 'bertc build' "
			"instead of 'bertc opt'",
			run->item->text);
	probe_open(&probe, graph, 0);
	const bool good = neurons_expose(probe.graph, "ablate-neurons", &again, run->diag)
		&& run->env->rank(
			run->env->calibration, probe.module, data, (int32_t)limit, a->order, a->mean, run->diag);
	probe_close(&probe);
	return good;
}

static bool mark_ranked(const Ablation *a, double share, bool top)
{
	const int64_t all = (int64_t)a->neurons.layers * a->neurons.width, count = llround(share * (double)all);
	for (int64_t i = 0; i < count; i++)
		a->gone[a->order[top ? i : all - 1 - i]] = true;
	return true;
}

/* Reads the options. Finds the neurons to hold, and their means if needed. */
static bool choose(Graph *graph, const Ablation *a, bool mean, PassRun *run)
{
	const char *list = pass_option(run, "neurons"), *which = pass_option(run, "which"),
			   *data = pass_option(run, "data");
	const int64_t limit = pass_option_int(run, "limit", 0);
	const double share = pass_option_real(run, "share", -1);
	const bool top = pass_option_is(run, "which", "top");
	if ((list != NULL) == (which != NULL) || (which != NULL) != (share >= 0))
		return diag_error(run->diag, EXIT_USAGE, 0,
			"ablate-neurons: give which= and share=, or neurons= (the neurons to hold constant)");
	if (!data && (which || mean))
		return diag_error(run->diag, EXIT_USAGE, 0,
			"ablate-neurons: %s needs words with tags; give data=FILE.conll", run->item->text);
	if (data && !rank(graph, a, data, limit, run))
		return false;
	return list ? mark_listed(graph, a, run) : mark_ranked(a, share, top);
}

static bool ablate_layer(
	Graph *graph, Value *output, const bool *gone, const double *mean, int32_t number, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	const int64_t width = output->type.dim[1].plus;
	double *scale = mem_alloc(mem, (size_t)width * sizeof *scale),
		   *shift = mem_alloc(mem, (size_t)width * sizeof *shift);
	int32_t count = 0;
	for (int64_t i = 0; i < width; i++) {
		scale[i] = !gone[i];
		shift[i] = gone[i] && mean ? mean[i] : 0;
		count += gone[i];
	}
	pass_note(run, NULL, "layer %d: %d of %lld neurons held constant", number, count, (long long)width);
	return count == 0
		|| affine_apply(graph, output, &(Affine){.width = width, .scale = scale, .shift = shift}, run);
}

bool pass_ablate_neurons(Graph *graph, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	const bool mean = pass_option_is(run, "to", "mean");
	Layers layers;
	if (!layers_find(graph, "ablate-neurons", &layers, run->diag))
		return false;
	const int32_t width = (int32_t)layers.at[0].output->type.dim[layers.at[0].output->type.rank - 1].plus;
	const size_t all = (size_t)layers.count * (size_t)width;
	int32_t *numbers = mem_alloc(mem, (size_t)layers.count * sizeof *numbers);
	for (int32_t i = 0; i < layers.count; i++) {
		numbers[i] = layers.at[i].number;
		const Type *type = &layers.at[i].output->type;
		if (type->rank != 2 || !type_equal(type, &layers.at[0].output->type))
			return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
				"ablate-neurons: the outputs of layers %d and %d differ in width", numbers[i], numbers[0]);
	}
	const Ablation a = {{layers.count, width, numbers}, mem_alloc(mem, all * sizeof(bool)),
		mem_alloc(mem, all * sizeof(double)), mem_alloc(mem, all * sizeof(int32_t))};
	if (!choose(graph, &a, mean, run))
		return false;
	for (int32_t i = 0; i < layers.count; i++)
		if (!ablate_layer(graph, layers.at[i].output, a.gone + (int64_t)i * width,
				mean ? a.mean + (int64_t)i * width : NULL, numbers[i], run))
			return false;
	if (run->changes)
		graph_sweep(graph);
	return true;
}
