/* inspect_layers.c: measures the layers of the original model. Compiled copies of it run some texts. For each
 * layer: the cosine of input and output (drop-layers{strategy=contribution} uses it), the cosine of the
 * model's outputs with and without the layer, and for each head the targets, entropy and distance of its
 * attention (Clark, Khandelwal, Levy, Manning: "What Does BERT Look At?", 2019) and its importance (as
 * prune-heads ranks heads). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compiler/measure/calibrate.h"
#include "inspect.h"

enum { TEXTS_MAX = 64, MAP_TOKENS_MAX = 24, KINDS = 7 };

static const char *const built_in[] = {
	"The film is a quiet triumph, and its last ten minutes are worth the whole evening.",
	"Two hours of noise that I will never get back.",
	"Mutations in the gene cause an inherited form of the disease in about one of a thousand people.",
	"The train to the coast leaves at noon; she had forgotten her ticket on the kitchen table.",
	"Not bad, but not what was promised either.",
	"How many moons does the fourth planet have?",
};

/* The targets of attention. The probabilities of a token sum to 1 over them. */
static const char *const kinds[KINDS] = {
	"[CLS]", "[SEP]", "itself", "previous token", "next token", "2 to 4 away", "farther"};

Samples samples_take(const Dataset *data, const char *path, int32_t limit, MemArena *mem)
{
	int32_t all = sizeof built_in / sizeof *built_in;
	if (data)
		all = limit < data->nrows ? limit : data->nrows;
	Samples samples = {.path = path, .count = all < TEXTS_MAX ? all : TEXTS_MAX};
	samples.texts = mem_alloc(mem, (size_t)(samples.count + 1) * sizeof *samples.texts);
	for (int32_t i = 0; i < samples.count; i++)
		samples.texts[i] = data ? data->rows[i].text : built_in[i];
	return samples;
}

enum { OUTPUTS_MAX = 32 };

/* One text in the program: its ids, and the outputs: the rows of all layers, the model's output, and the
 * model's output without each layer. */
typedef struct Run {
	const Program *program;
	const ExposedLayers *layers;
	int32_t *ids, *types, tokens;
	float *out, *outputs[OUTPUTS_MAX]; /* out: the first of outputs */
	size_t floats[OUTPUTS_MAX];
} Run;

static void run_open(Run *run, const Program *program, const ExposedLayers *layers)
{
	*run = (Run){.program = program, .layers = layers};
	run->ids = checked_calloc((size_t)program->max_tokens, sizeof *run->ids);
	run->types = checked_calloc((size_t)program->max_tokens, sizeof *run->types);
	for (int32_t i = 0; i < 2 + layers->without; i++) {
		const size_t width = (size_t)(i == 0 ? layers->width : layers->out_width);
		run->floats[i] = width * (size_t)(i == 0 || layers->out_per_token ? program->max_tokens : 1);
		run->outputs[i] = checked_calloc(run->floats[i], sizeof(float));
	}
	run->out = run->outputs[0];
}

static void run_close(Run *run)
{
	free(run->ids);
	free(run->types);
	for (int32_t i = 0; i < OUTPUTS_MAX; i++)
		free(run->outputs[i]);
}

static bool run_text(Run *run, const char *text, Diag *diag)
{
	const Program *p = run->program;
	const int32_t count = 2 + run->layers->without;
	int status = program_tokenize(p, text, NULL, run->ids, run->types, NULL, p->max_tokens, &run->tokens);
	const int32_t offsets[2] = {0, run->tokens};
	if (!status)
		status = p->run_outputs(p->context, run->ids, run->types, offsets, 1,
			(uint32_t)(((uint64_t)1 << count) - 1), run->outputs, run->floats);
	return !status || diag_error(diag, EXIT_RUN, 0, "%s", p->strerror(status));
}

static double cosine_of(const float *a, const float *b, size_t n)
{
	double aa = 0, bb = 0, ab = 0;
	for (size_t i = 0; i < n; i++) {
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
		ab += (double)a[i] * (double)b[i];
	}
	if (aa > 0 && bb > 0)
		return ab / sqrt(aa * bb);
	return aa == bb ? 1 : 0;
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct Attention {
	const TokenizerDesc *tokenizer;
	const Run *run;
	const ExposedLayer *layer;
	int64_t stride; /* floats per token */
} Attention;

/* The attention probabilities of token `query` in a head, over all tokens. */
static void probabilities(const Attention *a, int32_t head, int32_t query, double *row)
{
	const float *q = a->run->out + query * a->stride + a->layer->q + head * a->layer->size;
	double top = -INFINITY, sum = 0;
	for (int32_t t = 0; t < a->run->tokens; t++) {
		const float *k = a->run->out + t * a->stride + a->layer->k + head * a->layer->size;
		row[t] = 0;
		for (int32_t i = 0; i < a->layer->size; i++)
			row[t] += (double)q[i] * (double)k[i];
		row[t] *= a->layer->scale;
		top = row[t] > top ? row[t] : top;
	}
	for (int32_t t = 0; t < a->run->tokens; t++) {
		row[t] = exp(row[t] - top);
		sum += row[t];
	}
	for (int32_t t = 0; t < a->run->tokens; t++)
		row[t] /= sum;
}

static int kind_of(const Attention *a, int32_t query, int32_t key)
{
	const int32_t id = a->run->ids[key], away = key - query;
	if (id == a->tokenizer->cls_id || id == a->tokenizer->sep_id)
		return id == a->tokenizer->cls_id ? 0 : 1;
	switch (away) {
	case 0: return 2;
	case -1: return 3;
	case 1: return 4;
	default: return abs(away) <= 4 ? 5 : 6;
	}
}

/* Sums over all query tokens of a head: probability by target, entropy in nats, distance in tokens. */
typedef struct HeadSums {
	double mass[KINDS], entropy, distance;
} HeadSums;

/* Adds a text to sums[heads] of a layer. Unless NULL, `map` gets the probabilities of each head in
 * hundredths. */
static void add_attention(const Attention *a, HeadSums *sums, json_t *map)
{
	double *row = checked_calloc((size_t)a->run->tokens, sizeof *row);
	for (int32_t h = 0; h < a->layer->heads; h++) {
		json_t *cells = map ? json_array() : NULL;
		for (int32_t q = 0; q < a->run->tokens; q++) {
			probabilities(a, h, q, row);
			for (int32_t k = 0; k < a->run->tokens; k++) {
				sums[h].mass[kind_of(a, q, k)] += row[k];
				sums[h].entropy -= row[k] > 0 ? row[k] * log(row[k]) : 0;
				sums[h].distance += row[k] * abs(k - q);
				if (cells)
					json_array_append_new(cells, json_integer((json_int_t)lround(100 * row[k])));
			}
		}
		if (map)
			json_array_append_new(map, cells);
	}
	free(row);
}

static json_t *tokens_json(const Run *run, const TokenizerDesc *tokenizer)
{
	json_t *tokens = json_array();
	for (int32_t i = 0; i < run->tokens; i++) {
		const char *text = run->ids[i] < tokenizer->nvocab ? tokenizer->vocab[run->ids[i]] : NULL;
		json_array_append_new(tokens, page_string(text ? text : "?", strlen(text ? text : "?")));
	}
	return tokens;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Sums of a layer over all texts. */
typedef struct Observed {
	double first, all, without;
	HeadSums *heads;
	json_t *map;
} Observed;

static void observe_layer(const Attention *a, Observed *o, bool maps)
{
	const ExposedLayer *layer = a->layer;
	for (int32_t t = 0; t < a->run->tokens; t++) {
		const float *row = a->run->out + t * a->stride;
		const double cosine = cosine_of(row + layer->input, row + layer->output, (size_t)layer->width);
		o->all += cosine;
		o->first += t == 0 ? cosine : 0;
	}
	if (maps && layer->heads)
		o->map = json_array();
	add_attention(a, o->heads, maps ? o->map : NULL);
}

static json_t *layer_json(const ExposedLayer *layer, Observed *o, int64_t tokens, int32_t texts, bool without)
{
	json_t *heads = json_array(), *entropy = json_array(), *distance = json_array();
	for (int32_t h = 0; h < layer->heads; h++) {
		json_t *mass = json_array();
		for (int32_t k = 0; k < KINDS; k++)
			json_array_append_new(mass, json_real(o->heads[h].mass[k] / (double)tokens));
		json_array_append_new(heads, mass);
		json_array_append_new(entropy, json_real(o->heads[h].entropy / (double)tokens));
		json_array_append_new(distance, json_real(o->heads[h].distance / (double)tokens));
	}
	json_t *json = json_pack("{s:i, s:f, s:f, s:o, s:o, s:o}", "number", layer->number, "cosine_first",
		o->first / texts, "cosine_all", o->all / (double)tokens, "heads", heads, "entropy", entropy,
		"distance", distance);
	if (without)
		json_object_set_new(json, "without", json_real(o->without / texts));
	if (o->map)
		json_object_set(json, "map", o->map);
	return json;
}

/* Runs the exposed copy on the texts. The page gets all probabilities of the first text that is short
 * enough. */
static json_t *observe(const ExposedLayers *layers, const Program *program, const Loaded *loaded,
	const Samples *samples, Diag *diag)
{
	MemArena *mem = mem_new();
	Observed *seen = mem_alloc(mem, (size_t)layers->count * sizeof *seen);
	json_t *tokens = NULL, *result = json_object(), *rows = json_array();
	int64_t count = 0;
	Run run;
	bool good = true;
	run_open(&run, program, layers);
	for (int32_t l = 0; l < layers->count; l++)
		seen[l].heads = mem_alloc(mem, ((size_t)layers->at[l].heads + 1) * sizeof *seen[l].heads);
	for (int32_t i = 0; good && i < samples->count; i++) {
		good = run_text(&run, samples->texts[i], diag);
		const bool maps = good && !tokens && run.tokens <= MAP_TOKENS_MAX;
		if (maps)
			tokens = tokens_json(&run, loaded->tokenizer);
		count += run.tokens;
		for (int32_t l = 0; good && l < layers->count; l++)
			observe_layer(
				&(Attention){loaded->tokenizer, &run, &layers->at[l], layers->width}, &seen[l], maps);
		for (int32_t l = 0; good && l < layers->without; l++)
			seen[l].without += cosine_of(run.outputs[1], run.outputs[2 + l],
				(size_t)layers->out_width * (size_t)(layers->out_per_token ? run.tokens : 1));
		progress_show("observing", i, samples->count);
	}
	progress_clear();
	for (int32_t l = 0; l < layers->count; l++) {
		json_array_append_new(rows,
			layer_json(&layers->at[l], &seen[l], count ? count : 1, samples->count ? samples->count : 1,
				l < layers->without));
		json_decref(seen[l].map);
	}
	json_t *names = json_array();
	for (int32_t k = 0; k < KINDS; k++)
		json_array_append_new(names, json_string(kinds[k]));
	json_object_update_new(result,
		json_pack("{s:o, s:o, s:o, s:i}", "layers", rows, "kinds", names, "tokens",
			tokens ? tokens : json_array(), "texts", samples->count));
	run_close(&run);
	mem_free(mem);
	if (good)
		return result;
	json_decref(result);
	return NULL;
}

/* Adds the importance of each head: by its activations on the texts of a data file, or by the magnitude of
 * its weights without one. Heads that prune-heads cannot remove have none. */
static void add_importance(
	json_t *json, const BuildRun *calibration, const ExposedLayers *layers, const Samples *samples)
{
	PassEnv env = {.max_tokens = calibration->loaded->module->max_tokens};
	Module *copy = module_copy(calibration->loaded->module);
	BuildRun own = *calibration;
	const char *by = samples->path ? "activation" : "magnitude";
	int32_t heads = 0;
	Diag refused;
	diag_init(&refused, NULL);
	calibration_offer(&own, &env);
	for (int32_t l = 0; l < layers->count; l++)
		heads += layers->at[l].heads;
	double *scores = checked_calloc((size_t)heads, sizeof *scores), *at = scores;
	if (heads && heads_score(copy->graphs[0], &env, by, samples->path, samples->count, scores, &refused)) {
		json_object_set_new(json, "importance_by", json_string(by));
		for (int32_t l = 0; l < layers->count; l++) {
			json_t *row = json_array();
			for (int32_t h = 0; h < layers->at[l].heads; h++)
				json_array_append_new(row, json_real(*at++));
			json_object_set_new(
				json_array_get(json_object_get(json, "layers"), (size_t)l), "importance", row);
		}
	}
	free(scores);
	diag_free(&refused);
	module_free(copy);
}

json_t *inspect_layers(const BuildOptions *options, Loaded *loaded, const Samples *samples, Diag *diag)
{
	const BuildRun calibration = {.options = options, .loaded = loaded};
	if (!loaded->tokenizer)
		return json_pack("{s:s}", "why", "The model has no tokenizer, so it cannot be run on texts.");
	Module *copy = module_copy(loaded->module);
	ExposedLayers layers;
	Diag refused;
	diag_init(&refused, diag->file);
	json_t *json = NULL;
	Program program = {0};
	if (!layers_expose(copy, &layers, &refused)) {
		const char *why = refused.count ? refused.messages[0].text : "";
		json = json_pack("{s:o}", "why", page_string(why, strlen(why)));
	} else if (calibration_open(&calibration, copy, &program, diag)) {
		json = observe(&layers, &program, loaded, samples, diag);
		program_close(&program);
		if (json)
			add_importance(json, &calibration, &layers, samples);
	}
	diag_free(&refused);
	module_free(copy);
	return json;
}
