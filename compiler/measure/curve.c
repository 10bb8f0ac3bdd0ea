/* curve.c: see curve.h. Texts are tokenized once and run one per call, as in a service without batching. A
 * round runs all thresholds in turn, so that other load on the machine affects all of them alike. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "curve.h"

enum { ENDS_MAX = 257 };

typedef struct Texts {
	int32_t n, *ids, *types, *gold;
	int64_t *offsets;
} Texts;

/* The exits of a graph, its end last: the number of layers run at each, and its node (NULL at the end). */
typedef struct Ends {
	const Graph *graph;
	int32_t count;
	double layers[ENDS_MAX];
	const Node *exit[ENDS_MAX];
} Ends;

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

bool curve_thresholds(Curve *curve, const char *list, int32_t labels, double preset)
{
	static const double shares[] = {0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1};
	double found[CURVE_POINTS_MAX] = {0};
	int32_t n = 1;
	for (const char *at = list; at && *at; n++) {
		char *end;
		found[n] = strtod(at, &end);
		if (end == at || !(found[n] >= 0 && found[n] < INFINITY) || (*end && (*end != ',' || !end[1]))
			|| n + 1 == CURVE_POINTS_MAX)
			return false;
		at = *end ? end + 1 : end;
	}
	for (size_t i = 0; !list && i < sizeof shares / sizeof *shares; i++)
		found[n++] = shares[i] * log(labels);
	if (!list)
		found[n++] = preset;
	qsort(found, (size_t)n, sizeof *found, by_size);
	*curve = (Curve){.preset = preset};
	for (int32_t i = 0; i < n; i++)
		if (curve->count == 0 || found[i] > curve->at[curve->count - 1].threshold)
			curve->at[curve->count++] = (CurvePoint){.threshold = found[i], .ms = INFINITY, .joules = NAN};
	return n > 1;
}

static bool read_texts(const Program *p, const Scored *what, const Dataset *data, const char *path, int32_t n,
	Texts *texts, Diag *diag)
{
	const size_t room = (size_t)n * (size_t)what->max_tokens + 1;
	*texts = (Texts){.n = n,
		.ids = checked_calloc(room, sizeof(int32_t)),
		.types = checked_calloc(room, sizeof(int32_t)),
		.gold = checked_calloc((size_t)n + 1, sizeof(int32_t)),
		.offsets = checked_calloc((size_t)n + 1, sizeof(int64_t))};
	for (int32_t i = 0; i < n; i++) {
		const DataRow *row = &data->rows[i];
		const int64_t at = texts->offsets[i];
		int32_t tokens = 0;
		const int status = program_tokenize(
			p, row->text, row->pair, texts->ids + at, texts->types + at, NULL, what->max_tokens, &tokens);
		if (status)
			return diag_error_in(diag, EXIT_INPUT, path, row->line, "%s", p->strerror(status));
		if ((texts->gold[i] = score_gold(what, row, path, diag)) < 0)
			return false;
		texts->offsets[i + 1] = at + tokens;
	}
	return true;
}

/* A constant number in the graph, before or after lowering. NaN: v is not constant. */
static double constant_of(const Value *v)
{
	double number = NAN;
	while (v->node && v->node->op == OP_RESHAPE)
		v = v->node->args[0];
	value_is_scalar(v, &number);
	return number;
}

static void find_ends(const Graph *graph, int32_t output, Ends *ends)
{
	*ends = (Ends){.graph = graph};
	for (const Node *node = graph->first; node && ends->count + 1 < ENDS_MAX; node = node->next)
		if (node->op == OP_EXIT) {
			ends->layers[ends->count] = constant_of(node->args[output + 1]);
			ends->exit[ends->count++] = node;
		}
	ends->layers[ends->count] = constant_of(graph->outputs[output].value);
	ends->exit[ends->count++] = NULL;
}

/* Multiply-adds of a text that runs this number of layers. The number of layers alone would overstate the
 * gain: the last layer of a classifier computes few rows, and long texts exit later. */
static double work_of(const Ends *ends, double layers, int64_t tokens)
{
	int32_t end = 0;
	double macs = 0;
	int64_t symbols[SYMBOLS_MAX] = {0, tokens};
	while (end + 1 < ends->count && ends->layers[end] != layers)
		end++;
	for (const Node *node = ends->graph->first; node && node != ends->exit[end]; node = node->next)
		macs += (double)node_macs(node, symbols);
	return macs;
}

/* Runs all texts at the current threshold. */
static bool run_texts(const Program *p, const Scored *what, int32_t layers_output, const Texts *texts,
	const Ends *ends, CurvePoint *point, Diag *diag)
{
	float *layers = checked_calloc((size_t)texts->n, sizeof *layers),
		  *row = checked_calloc((size_t)what->width + 1, sizeof *row), *out[32] = {NULL};
	size_t floats[32] = {0};
	int64_t right = 0;
	double sum = 0;
	int status = 0;
	out[what->first] = row;
	floats[what->first] = (size_t)what->width;
	floats[layers_output] = 1;
	Energy before, after;
	const char *why;
	const bool metered = energy_read(ENERGY_DIRECTORY, &before, &why);
	const double began = seconds();
	for (int32_t i = 0; status == 0 && i < texts->n; i++) {
		const int64_t at = texts->offsets[i];
		const int32_t offsets[2] = {0, (int32_t)(texts->offsets[i + 1] - at)};
		out[layers_output] = &layers[i];
		status = p->run_outputs(p->context, texts->ids + at, texts->types + at, offsets, 1,
			1u << what->first | 1u << layers_output, out, floats);
		int32_t best = 0;
		for (int32_t k = 1; k < what->width && status == 0; k++)
			best = row[k] > row[best] ? k : best;
		right += best == texts->gold[i];
	}
	const double ms = (seconds() - began) * 1e3 / texts->n;
	if (ms < point->ms) {
		point->ms = ms;
		point->joules = metered && energy_read(ENERGY_DIRECTORY, &after, &why)
			? energy_between(&before, &after) / texts->n
			: NAN;
	}
	point->work = 0;
	for (int32_t i = 0; status == 0 && i < texts->n; i++) {
		sum += (double)layers[i];
		point->work += work_of(ends, (double)layers[i], texts->offsets[i + 1] - texts->offsets[i]);
	}
	point->layers = sum / texts->n;
	point->score = (double)right / texts->n;
	free(row);
	free(layers);
	return status == 0 || diag_error(diag, EXIT_RUN, 0, "%s", p->strerror(status));
}

static int32_t find_layers(const Program *p, const Module *module)
{
	if (module_find_option(module, "exit_entropy") < 0)
		return -1;
	for (int32_t k = 0; k < 32 && p->output(k); k++)
		if (strcmp(p->output(k), "layers") == 0)
			return k;
	return -1;
}

bool curve_run(const Program *p, const Loaded *loaded, const Scored *what, const Dataset *data,
	const char *path, int32_t limit, const char *list, int rounds, Curve *curve, Diag *diag)
{
	const Module *module = loaded->module;
	const int32_t output = find_layers(p, module), n = limit && limit < data->nrows ? limit : data->nrows;
	if (output < 0 || what->head.task != TASK_CLASSIFY || data->form != DATA_LABELS || n == 0)
		return diag_error(diag, EXIT_USAGE, 0,
			"--curve needs a classifier with early exits and texts with labels; give "
			"--passes='early-exit{data=FILE},O2'");
	if (!curve_thresholds(
			curve, list, what->width, module->options[module_find_option(module, "exit_entropy")].value))
		return diag_error(diag, EXIT_USAGE, 0,
			"--curve=%s: expected at most %d entropies, 0 or larger, separated by commas", list,
			CURVE_POINTS_MAX - 1);
	Texts texts;
	Ends ends;
	Energy energy;
	curve->texts = n;
	curve->rounds = rounds;
	find_ends(module->graphs[0], output, &ends);
	bool good = read_texts(p, what, data, path, n, &texts, diag);
	for (int32_t round = 0; good && round < rounds; round++)
		for (int32_t i = 0; good && i < curve->count; i++)
			good = p->set(p->context, "exit_entropy", curve->at[i].threshold) == 0
				&& run_texts(p, what, output, &texts, &ends, &curve->at[i], diag);
	for (int32_t i = curve->count - 1; i >= 0; i--)
		curve->at[i].work /= curve->at[0].work;
	curve->layers = (int32_t)lround(curve->at[0].layers);
	if (energy_read(ENERGY_DIRECTORY, &energy, &curve->no_energy))
		curve->no_energy = NULL;
	p->set(p->context, "exit_entropy", curve->preset);
	free(texts.ids);
	free(texts.types);
	free(texts.gold);
	free(texts.offsets);
	return good;
}

void curve_print(const Curve *curve)
{
	const CurvePoint *whole = &curve->at[0];
	printf("\n%d texts, one per call, fastest of %d rounds; speed-up over threshold 0: measured, by "
		   "multiply-adds, by layers (of %d)\n"
		   "exit_entropy    score   points    ms/text  measured  by work  by layers  layers    J/text\n",
		curve->texts, curve->rounds, curve->layers);
	for (int32_t i = 0; i < curve->count; i++) {
		const CurvePoint *point = &curve->at[i];
		printf("%12.4f%s %7.4f %+8.2f %10.3f %9.3f %8.3f %10.3f %7.3f", point->threshold,
			point->threshold == curve->preset ? "*" : " ", point->score, 100 * (point->score - whole->score),
			point->ms, whole->ms / point->ms, 1 / point->work, curve->layers / point->layers, point->layers);
		if (isnan(point->joules))
			printf("  %8s\n", "-");
		else
			printf("  %8.5f\n", point->joules);
	}
	printf("The default of exit_entropy is %.4f; --set changes it.%s%s\n", curve->preset,
		curve->no_energy ? " Energy cannot be read here: " : "", curve->no_energy ? curve->no_energy : "");
}

json_t *curve_json(const Curve *curve, bool timed)
{
	json_t *rows = json_array();
	for (int32_t i = 0; i < curve->count; i++) {
		const CurvePoint *point = &curve->at[i];
		json_t *row = json_pack("{s:f, s:f, s:f, s:f}", "exit_entropy", point->threshold, "layers",
			point->layers, "work", point->work, "score", point->score);
		if (timed)
			json_object_update_new(row,
				json_pack("{s:f, s:f, s:o}", "ms", point->ms, "speed_up", curve->at[0].ms / point->ms,
					"joules", isnan(point->joules) ? json_null() : json_real(point->joules)));
		json_array_append_new(rows, row);
	}
	json_t *json = json_pack("{s:i, s:i, s:f, s:o}", "texts", (int)curve->texts, "layers", (int)curve->layers,
		"default", curve->preset, "points", rows);
	if (timed)
		json_object_set_new(json, "energy", json_string(curve->no_energy ? curve->no_energy : "RAPL"));
	return json;
}
