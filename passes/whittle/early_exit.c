/* early_exit.c: `early-exit{layers=1,2,3 data=train.tsv held=dev.tsv max-drop=0.5}` lets a text end after a
 * layer when the layer's own head is certain.
 *
 *   %h1 = layer.0(%h0)                         %h1 = layer.0(%h0)
 *                                              %r = pool %h1 {mode=mean}
 *                                        ->    %e = linear %r, %w, %b
 *                                              %x = exit %h1, %e, %one {option="exit_entropy"}
 *   %h2 = layer.1(%h1)                         %h2 = layer.1(%x)
 *   return logits=%l                           return logits=%l, layers=%two
 *
 * A text ends when the entropy of the softmax of the layer's head, in nats, is below the run-time option
 * exit_entropy. This is the rule of DeeBERT (Xin, Tang, Lee, Yu, Lin, ACL 2020, section 3.2). PABEE waits
 * until several layers give the same answer. FastBERT divides the entropy by its maximum. With exit_entropy=0
 * no text ends early. The encoder does not change; only heads are added, as in DeeBERT's second stage of
 * training. target=logits is FastBERT's target.
 *
 *   layers=      after which layers; default: all but the last
 *   from=        checkpoint: encoder.highway.N.pooler.dense and .classifier, as DeeBERT's code names
 *                them; fit: logistic regression (logistic.c) on the layer's pooled rows. Default:
 *                checkpoint if it has such tensors, else fit
 *   pool=        for fit: mean (default) or first. In encoders that learned sentence embeddings, [CLS]
 *                carries no information before the last layers
 *   target=      logits (default): the model's own probabilities; labels: those of the data
 *   data=,limit= texts to fit on, at most this many (10000); their labels are read only for target=labels
 *                and for a threshold
 *   held=        labelled texts that choose the threshold, the default of exit_entropy. Default: every
 *                fifth text of data=, on which the heads are then not fitted
 *   max-drop=    largest loss of accuracy on held=, in points (0.5). The chosen threshold is the largest
 *                one up to which no threshold loses more
 *   entropy=     the threshold itself, instead of a choice on held=
 *   l2=          penalty of the fit (0.001)
 *
 * After prune-tokens, an exit's head pools the remaining tokens and is fitted on them.
 *
 * The output `layers` is the number of layers that a text went through. */
#include "calibrate.h"
#include "early_exit.h"
#include "statistics.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_EACH = 5, STEPS = 200 };

/* ---- options --------------------------------------------------------------------------------- */

static bool refuse(const EarlyExit *e, const char *why)
{
	return diag_error(e->run->diag, EXIT_UNSUPPORTED, 0, "early-exit: %s", why);
}

static bool find_output(EarlyExit *e)
{
	const Module *module = e->graph->module;
	if (module->nheads != 1 || module->heads[0].task != TASK_CLASSIFY
		|| module->heads[0].problem != PROBLEM_SINGLE)
		return refuse(
			e, "the rule needs probabilities of labels: the model must have exactly one head, a classifier");
	if (e->graph->noutputs != 1)
		return refuse(
			e, "a text that ends early has no other output than its label; build without --outputs");
	e->output = &e->graph->outputs[0];
	const Type *type = &e->output->value->type;
	if (type->rank != 1 || !dim_is_number(type->dim[0]) || type->dim[0].plus < 2)
		return refuse(e, "the head must have at least two labels");
	e->classes = (int32_t)type->dim[0].plus;
	for (const Node *node = e->graph->first; node; node = node->next)
		if (node->op == OP_EXIT)
			return refuse(e, "the graph has exits already");
	return true;
}

static bool add_exit(EarlyExit *e, const Layers *layers, int32_t index)
{
	Layer *layer = &layers->at[index];
	const int32_t run = index + 1;
	if (run == layers->count)
		return diag_error(e->run->diag, EXIT_USAGE, 0,
			"early-exit: layer %d is the last; its head is the model's own", layer->number);
	if (e->count == EXITS_MAX)
		return diag_error(e->run->diag, EXIT_USAGE, 0,
			"early-exit: more than %d layers would have an exit; give at most %d in layers=", EXITS_MAX,
			EXITS_MAX);
	if (e->count && run <= e->at[e->count - 1].run)
		return diag_error(e->run->diag, EXIT_USAGE, 0, "early-exit: layers=%s, expected ascending numbers",
			pass_option(e->run, "layers"));
	e->at[e->count++] = (Exit){.layer = layer, .run = run};
	return true;
}

/* After an exit, ops must not read other values from before it, except through the exit. */
static bool check_shared(const EarlyExit *e, const Layers *layers)
{
	for (int32_t i = e->at[0].run; i < layers->count; i++)
		for (int32_t k = 0; k < layers->at[i].nshared; k++)
			if (!exit_remakes(layers->at[i].shared[k]))
				return diag_error(e->run->diag, EXIT_UNSUPPORTED, 0,
					"early-exit: layer %d reads %s, which is computed before all layers; after an exit it "
					"would still have the rows of texts that have ended",
					layers->at[i].number, value_print(layers->at[i].shared[k], (char[264]){0}));
	return true;
}

/* Finds the layers. What they share and only depends on constants is computed now: it is the same for all
 * texts. */
static bool find_layers(EarlyExit *e, Layers *layers)
{
	int32_t shared = 0;
	if (!layers_find_thinned(e->graph, "early-exit", layers, e->run->diag))
		return false;
	for (int32_t i = 0; i < layers->count; i++)
		shared += layers->at[i].nshared;
	return shared == 0
		|| (pass_fold_const(e->graph, e->run)
			&& layers_find_thinned(e->graph, "early-exit", layers, e->run->diag));
}

static bool choose_layers(EarlyExit *e, const Layers *layers)
{
	int32_t *chosen = mem_alloc(e->graph->module->mem, (size_t)layers->count * sizeof *chosen);
	int32_t count = layers->count - 1;
	for (int32_t i = 0; i < count; i++)
		chosen[i] = i;
	if (pass_option(e->run, "layers") && !layers_listed(e->graph, layers, "layers", chosen, &count, e->run))
		return false;
	for (int32_t i = 0; i < count; i++)
		if (!add_exit(e, layers, chosen[i]))
			return false;
	if (e->count == 0)
		return refuse(e, "no layer but the last can have an exit");
	const Type *type = &e->at[0].layer->output->type;
	e->hidden = (int32_t)type->dim[type->rank - 1].plus;
	return (type_is_rows(type) || refuse(e, "the outputs of the layers do not have one row per token"))
		&& check_shared(e, layers);
}

/* ---- heads of the checkpoint ----------------------------------------------------------------- */

/* The tensor of that name, with or without the encoder's prefix. */
static const Tensor *find_tensor(const EarlyExit *e, const Exit *exit, const char *part)
{
	const Module *module = e->graph->module;
	const char *name = mem_printf(module->mem, "encoder.highway.%d.%s", exit->layer->number, part);
	const size_t length = strlen(name);
	for (int32_t f = 0; f < module->nfiles; f++)
		for (int32_t t = 0; t < tensor_file_count(module->files[f]); t++) {
			const Tensor *tensor = tensor_file_get(module->files[f], t);
			const size_t all = strlen(tensor->name);
			if (all < length || strcmp(tensor->name + all - length, name) != 0)
				continue;
			if (all == length || tensor->name[all - length - 1] == '.')
				return tensor;
		}
	return NULL;
}

static bool has_shape(const Tensor *tensor, int64_t rows, int64_t columns)
{
	const Type *type = &tensor->type;
	return dtype_is_float(type->dtype) && type->dtype != DT_F64 && type->rank == (columns ? 2 : 1)
		&& type->dim[0].plus == rows && (!columns || type->dim[1].plus == columns);
}

static bool take_heads(EarlyExit *e)
{
	static const char *const parts[] = {
		"pooler.dense.weight", "pooler.dense.bias", "classifier.weight", "classifier.bias"};
	for (int32_t i = 0; i < e->count; i++) {
		Exit *exit = &e->at[i];
		const Tensor **const to[] = {&exit->pooler[0], &exit->pooler[1], &exit->head[0], &exit->head[1]};
		for (int k = 0; k < 4; k++) {
			const int64_t rows = k < 2 ? e->hidden : e->classes;
			*to[k] = find_tensor(e, exit, parts[k]);
			if (!*to[k])
				return diag_error(e->run->diag, EXIT_INPUT, 0,
					"early-exit: the checkpoint has no encoder.highway.%d.%s; leave this layer out of "
					"layers=, or fit all heads with from=fit",
					exit->layer->number, parts[k]);
			if (!has_shape(*to[k], rows, k % 2 ? 0 : e->hidden))
				return diag_error(e->run->diag, EXIT_INPUT, 0,
					"early-exit: %s is %s, expected floats, [%lld%s]", (*to[k])->name,
					type_print(&(*to[k])->type, (char[128]){0}), (long long)rows,
					k % 2 ? "" : mem_printf(e->graph->module->mem, ",%d", e->hidden));
		}
	}
	e->pool = POOL_FIRST;
	return true;
}

/* ---- outputs on texts ------------------------------------------------------------------------ */

/* For each text: the input of each exit's head, then the model's own logits. */
static bool see(const EarlyExit *e, const char *path, int32_t limit, bool labelled, LabelledRows *seen)
{
	Probe probe;
	probe_open(&probe, e->graph, e->count + 1);
	bool good = true;
	for (int32_t i = 0; i < e->count && good; i++) {
		Value *row = exit_row(e, &e->at[i], probe.graph, NULL, probe_value(&probe, e->at[i].layer->output));
		good = row != NULL;
		if (good)
			probe_want(&probe, row);
	}
	if (good)
		probe_want(&probe, probe_value(&probe, e->output->value));
	good = good && probe_labelled(&probe, path, limit, labelled, seen, e->run);
	probe_close(&probe);
	return good;
}

/* ---- fitting --------------------------------------------------------------------------------- */

static bool fit_exit(const EarlyExit *e, int32_t index, const LogisticData *data, double l2)
{
	Exit *exit = (Exit *)&e->at[index];
	Module *module = e->graph->module;
	Tensor *weight = tensor_new(module, mem_printf(module->mem, "exit.%d.weight", exit->layer->number),
		type_numbers(DT_F32, 2, (int64_t[]){e->classes, e->hidden}));
	Tensor *bias = tensor_new(module, mem_printf(module->mem, "exit.%d.bias", exit->layer->number),
		type_numbers(DT_F32, 1, (int64_t[]){e->classes}));
	exit->head[0] = weight;
	exit->head[1] = bias;
	return logistic_fit(data, l2, (float *)(uintptr_t)weight->data, (float *)(uintptr_t)bias->data)
		|| diag_error(e->run->diag, EXIT_RUN, 0, "early-exit: layer %d computes NaN or infinite numbers",
			exit->layer->number);
}

/* Fits all heads on the texts that are not held back. */
static bool fit_heads(EarlyExit *e, const LabelledRows *seen, bool hold, bool labels)
{
	const double l2 = pass_option_real(e->run, "l2", 0);
	double *p = checked_calloc((size_t)e->classes, sizeof *p);
	float *target = checked_calloc((size_t)seen->n * (size_t)e->classes, sizeof *target),
		  *rows = checked_calloc((size_t)seen->n * (size_t)seen->width, sizeof *rows);
	LogisticData data = {.width = e->hidden, .classes = e->classes, .stride = seen->width, .target = target};
	for (int32_t i = 0; i < seen->n; i++) {
		if (hold && i % HELD_EACH == HELD_EACH - 1)
			continue;
		const float *row = labelled_row(seen, i), *logits = row + (int64_t)e->count * e->hidden;
		memcpy(rows + (int64_t)data.n * seen->width, row, (size_t)seen->width * sizeof *row);
		for (int32_t c = 0; c < e->classes; c++)
			p[c] = (double)logits[c];
		log_softmax(p, e->classes);
		for (int32_t c = 0; c < e->classes; c++)
			target[(int64_t)data.n * e->classes + c] = labels ? seen->labels[i] == c : (float)exp(p[c]);
		data.n++;
	}
	bool good = data.n > 0 || refuse(e, "there are no texts to fit heads on");
	for (int32_t i = 0; good && i < e->count; i++) {
		data.x = rows + (int64_t)i * e->hidden;
		good = fit_exit(e, i, &data, l2);
	}
	free(p);
	free(target);
	free(rows);
	return good;
}

/* ---- the threshold --------------------------------------------------------------------------- */

/* For each held-back text: the entropy and whether the label is right, for each exit and then for the model
 * itself. */
typedef struct Held {
	int32_t n, heads;
	double *entropy;
	bool *right;
} Held;

static int32_t judge(double *x, int32_t n, double *entropy)
{
	int32_t best = 0;
	for (int32_t i = 1; i < n; i++)
		best = x[i] > x[best] ? i : best;
	log_softmax(x, n);
	*entropy = 0;
	for (int32_t i = 0; i < n; i++)
		*entropy -= exp(x[i]) > 0 ? exp(x[i]) * x[i] : 0;
	return best;
}

static bool held_judge(const EarlyExit *e, const LabelledRows *seen, bool hold, Held *held)
{
	*held = (Held){.heads = e->count + 1};
	held->entropy = checked_calloc((size_t)seen->n * (size_t)held->heads, sizeof *held->entropy);
	held->right = checked_calloc((size_t)seen->n * (size_t)held->heads, sizeof *held->right);
	double *x = checked_calloc((size_t)e->classes, sizeof *x);
	for (int32_t i = 0; i < seen->n; i++) {
		if (hold && i % HELD_EACH != HELD_EACH - 1)
			continue;
		for (int32_t h = 0; h < held->heads; h++) {
			const float *row = labelled_row(seen, i) + (int64_t)h * e->hidden;
			for (int32_t c = 0; c < e->classes; c++) {
				x[c] = h == e->count ? (double)row[c] : tensor_at(e->at[h].head[1], c);
				for (int32_t j = 0; j < e->hidden && h < e->count; j++)
					x[c] += (double)row[j] * tensor_at(e->at[h].head[0], (int64_t)c * e->hidden + j);
			}
			const int64_t at = (int64_t)held->n * held->heads + h;
			held->right[at] = judge(x, e->classes, &held->entropy[at]) == seen->labels[i];
		}
		held->n++;
	}
	free(x);
	return held->n > 0
		|| refuse(e,
			"there are too few texts to hold one back for the choice of the threshold; give more data, held= "
			"or entropy=");
}

/* The number of texts labelled right at a threshold. *layers: layers run, summed over all texts. */
static int32_t held_right(
	const EarlyExit *e, const Held *held, double threshold, int32_t last, int64_t *layers)
{
	int32_t right = 0;
	*layers = 0;
	for (int32_t i = 0; i < held->n; i++) {
		int32_t h = 0;
		while (h < e->count && held->entropy[(int64_t)i * held->heads + h] >= threshold)
			h++;
		right += held->right[(int64_t)i * held->heads + h];
		*layers += h < e->count ? e->at[h].run : last;
	}
	return right;
}

/* The largest of STEPS thresholds such that no threshold up to it costs more than `points`. */
static double choose_threshold(const EarlyExit *e, const Held *held, int32_t last, double points)
{
	const double most = log(e->classes), floor = -points / 100 * held->n - 1e-9;
	int64_t layers;
	const int32_t whole = held_right(e, held, 0, last, &layers);
	int32_t step = 1;
	while (step <= STEPS && held_right(e, held, most * step / STEPS, last, &layers) - whole >= floor)
		step++;
	const double threshold = most * (step - 1) / STEPS;
	const int32_t right = held_right(e, held, threshold, last, &layers);
	for (int32_t h = 0; h < held->heads; h++) {
		int32_t alone = 0;
		for (int32_t i = 0; i < held->n; i++)
			alone += held->right[(int64_t)i * held->heads + h];
		pass_note(e->run, NULL, "%s %d: %.4f of %d texts right",
			h < e->count ? "the head after layer" : "the model, layers",
			h < e->count ? e->at[h].layer->number : last, (double)alone / held->n, held->n);
	}
	pass_note(e->run, NULL, "exit_entropy=%.4g: %.3f of %d layers run on average, %.4f right", threshold,
		(double)layers / held->n, last, (double)right / held->n);
	return threshold;
}

/* ---- the pass -------------------------------------------------------------------------------- */

/* Fits the heads and chooses the threshold. */
static bool learn(EarlyExit *e, bool fit, int32_t last, double *threshold)
{
	PassRun *run = e->run;
	const char *path = pass_option(run, "data"), *other = pass_option(run, "held");
	const bool chosen = pass_option(run, "entropy"), hold = !other && !chosen && fit;
	const bool to_labels = pass_option_is(run, "target", "labels");
	const int64_t limit = pass_option_int(run, "limit", 0);
	const double points = pass_option_real(run, "max-drop", 0);
	*threshold = pass_option_real(run, "entropy", *threshold);
	if (fit ? !path : !path && !other && !chosen)
		return diag_error(run->diag, EXIT_USAGE, 0,
			fit ? "early-exit: heads are fitted on texts; give data=FILE"
				: "early-exit: give entropy=, or data=FILE on which it is chosen");
	if (!run->env->observe || !run->env->labels)
		return (!fit && chosen)
			|| diag_error(run->diag, EXIT_UNSUPPORTED, 0,
				"early-exit: %s runs the model on texts, which needs its tokenizer; use 'bertc build' "
				"instead of 'bertc opt'",
				run->item->text);
	LabelledRows seen = {0};
	Held held = {0};
	bool good = !fit
		|| (see(e, path, (int32_t)limit, to_labels || hold, &seen) && fit_heads(e, &seen, hold, to_labels));
	if (good && !chosen && (other || !fit)) {
		labelled_rows_free(&seen);
		good = see(e, other ? other : path, other ? 0 : (int32_t)limit, true, &seen);
	}
	good = good && (chosen || held_judge(e, &seen, hold, &held));
	if (good && !chosen)
		*threshold = choose_threshold(e, &held, last, points);
	labelled_rows_free(&seen);
	free(held.entropy);
	free(held.right);
	return good;
}

bool pass_early_exit(Graph *graph, PassRun *run)
{
	EarlyExit e = {.graph = graph, .run = run, .pool = POOL_MEAN};
	Layers layers;
	double threshold = 0;
	const char *from = pass_option(run, "from");
	if (!find_output(&e) || !find_layers(&e, &layers) || !choose_layers(&e, &layers))
		return false;
	if (pass_option_is(run, "pool", "first"))
		e.pool = POOL_FIRST;
	const bool fit = from ? strcmp(from, "fit") == 0 : !find_tensor(&e, &e.at[0], "classifier.weight");
	if ((!fit && !take_heads(&e)) || !learn(&e, fit, layers.count, &threshold))
		return false;
	module_set_option(graph->module, EXIT_OPTION, threshold);
	for (int32_t i = 0; i < e.count; i++)
		if (!exit_emit(&e, &layers, &e.at[i]))
			return false;
	graph_add_output(graph, "layers", exit_number(graph, NULL, layers.count, "layers"));
	return true;
}
