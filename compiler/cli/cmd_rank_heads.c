/* cmd_rank_heads.c: `bertc rank-heads MODEL --data FILE`: reports for each attention head the entropy of its
 * attention and its distance in tokens (Clark, Khandelwal, Levy, Manning: "What Does BERT Look At?", 2019,
 * sections 3 and 4), and its importance (Michel, Levy, Neubig: "Are Sixteen Heads Really Better than One?",
 * 2019), as prune-heads ranks it. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/measure/neurons.h"
#include "compiler/support/json_file.h"

typedef struct Options {
	BuildOptions build;
	const char *data, *by, *heatmap;
	int limit;
	bool json;
} Options;

static const CommandOption table[] = {
	{"data", "FILE", "texts: plain text, one per line, or a file as for `bertc eval`", INTO(Options, data),
		.needed = "no data: give --data FILE"},
	{"limit", "N", "only the first N rows", INTO(Options, limit), 1, 1 << 30},
	{"by", "WAY",
		"how to measure importance: activation (default), magnitude, or accuracy (the loss without the head)",
		INTO(Options, by)},
	{"heatmap", "FILE.svg", "draw the importance of each head", INTO(Options, heatmap)},
	{"json", NULL, "print JSON", INTO(Options, json)},
	{0},
};

/* Means over all query tokens: entropy in nats, distance in tokens. */
typedef struct Looks {
	HeadMap map;
	double *entropy, *distance, *scores;
	int32_t room;
	int64_t tokens;
} Looks;

/* Adds one query of one head: q, and the first k; `step`: floats from one token to the next. */
static void look(
	Looks *looks, const float *q, const float *k, int32_t step, int32_t at, int32_t tokens, int32_t head)
{
	double top = -INFINITY, sum = 0;
	for (int32_t j = 0; j < tokens; j++) {
		double score = 0;
		for (int32_t d = 0; d < looks->map.size; d++)
			score += (double)q[d] * (double)k[(size_t)j * (size_t)step + (size_t)d];
		looks->scores[j] = score * looks->map.scale;
		top = looks->scores[j] > top ? looks->scores[j] : top;
	}
	for (int32_t j = 0; j < tokens; j++)
		sum += exp(looks->scores[j] - top);
	for (int32_t j = 0; j < tokens; j++) {
		const double log_p = looks->scores[j] - top - log(sum), p = exp(log_p);
		looks->entropy[head] -= p * log_p;
		looks->distance[head] += p * abs(j - at);
	}
}

static void look_text(void *argument, const float *rows, int32_t width, int32_t tokens)
{
	Looks *looks = argument;
	const int32_t heads = looks->map.heads, size = looks->map.size;
	if (tokens > looks->room)
		return;
	for (int32_t h = 0; h < looks->map.layers * heads; h++) {
		const float *q = rows + (size_t)(h / heads) * 2 * (size_t)(heads * size)
			+ (size_t)(h % heads) * (size_t)size;
		for (int32_t i = 0; i < tokens; i++)
			look(looks, q + (size_t)i * (size_t)width, q + heads * size, width, i, tokens, h);
	}
	looks->tokens += tokens;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void print_table(const Options *o, const Looks *l, const double *importance)
{
	printf("%s on %s: %lld tokens; %d layers of %d heads\n%-6s %8s %9s  importance by %s\n",
		o->build.load.model, o->data, (long long)l->tokens, l->map.layers, l->map.heads, "head", "entropy",
		"distance", o->by);
	for (int32_t h = 0; h < l->map.layers * l->map.heads; h++) {
		char name[32];
		snprintf(name, sizeof name, "%d.%d", l->map.at[h / l->map.heads], h % l->map.heads);
		printf("%-6s %8.4f %9.3f  %.5g\n", name, l->entropy[h], l->distance[h], importance[h]);
	}
}

static void print_json(const Options *o, const Looks *l, const double *importance)
{
	json_t *list = json_array();
	for (int32_t h = 0; h < l->map.layers * l->map.heads; h++)
		json_array_append_new(list,
			json_pack("{s:i, s:i, s:f, s:f, s:f}", "layer", l->map.at[h / l->map.heads], "head",
				h % l->map.heads, "entropy", l->entropy[h], "distance", l->distance[h], "importance",
				importance[h]));
	json_t *all = json_pack("{s:I, s:s, s:o}", "tokens", (json_int_t)l->tokens, "by", o->by, "heads", list);
	json_print(all, JSON_REAL_PRECISION(9));
	json_decref(all);
}

static int rank(void *options, Loaded *loaded, Diag *diag)
{
	const Options *o = options;
	BuildRun calibration = {.options = &o->build, .loaded = loaded};
	PassEnv env = {.max_tokens = loaded->module->max_tokens};
	Looks looks = {.room = loaded->module->max_tokens};
	calibration_offer(&calibration, &env);
	if (!env.observe) {
		diag_error(diag, EXIT_UNSUPPORTED, 0, "has no tokenizer; rank-heads reads text");
		return EXIT_UNSUPPORTED;
	}
	Module *copy = module_copy(loaded->module);
	bool good = heads_expose(copy->graphs[0], "rank-heads", &looks.map, diag);
	const size_t heads = (size_t)(looks.map.layers * looks.map.heads);
	looks.entropy = mem_alloc(loaded->mem, heads * sizeof(double));
	looks.distance = mem_alloc(loaded->mem, heads * sizeof(double));
	looks.scores = mem_alloc(loaded->mem, (size_t)looks.room * sizeof(double));
	double *importance = mem_alloc(loaded->mem, heads * sizeof(double));
	good = good && heads_score(loaded->module->graphs[0], &env, o->by, o->data, o->limit, importance, diag)
		&& env.observe(&calibration, copy, o->data, o->limit, look_text, &looks, diag);
	if (good && looks.tokens == 0)
		good = diag_error_in(diag, EXIT_INPUT, o->data, 0, "has no texts");
	for (size_t h = 0; good && h < heads; h++) {
		looks.entropy[h] /= (double)looks.tokens;
		looks.distance[h] /= (double)looks.tokens;
		if (!isfinite(looks.entropy[h] + importance[h]))
			good = diag_error(diag, EXIT_RUN, 0,
				"head %d of layer %d: its probabilities or its importance on %s are NaN or infinite; are the "
				"model's weights damaged?",
				(int)(h % (size_t)looks.map.heads), (int)(h / (size_t)looks.map.heads), o->data);
	}
	if (good && o->json)
		print_json(o, &looks, importance);
	else if (good)
		print_table(o, &looks, importance);
	if (good && o->heatmap)
		good = heatmap_write(o->heatmap, "importance of attention heads", "head",
			&(Neurons){looks.map.layers, looks.map.heads, looks.map.at}, importance, diag);
	module_free(copy);
	return good ? EXIT_DONE : EXIT_RUN;
}

int cmd_rank_heads(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL",
		.doc = "Report for each attention head the entropy of its attention (in nats), its mean distance (in "
			   "tokens) and its importance.\v"
			   "Examples:\n"
			   "  bertc rank-heads minilm-sst2 --data sst2/dev.tsv --limit 200 --by=accuracy",
		.options = table,
		.work = rank,
		.loads = true,
		.quiet = true,
	};
	Options options = {.by = "activation"};
	return command_run(&usage, argc, argv, &options.build);
}
