/* cmd_rank_neurons.c: `bertc rank-neurons MODEL --data FILE.conll`: which neurons of which layer say most of
 * the words' tags: a linear probe with an elastic net over the outputs of all layers, its ranking, and what
 * the probe still tells with part of the neurons. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/measure/neurons.h"

enum { KEY_DATA = 0x200, KEY_TEST, KEY_LIMIT, KEY_L1, KEY_L2, KEY_TOP, KEY_HEATMAP, KEY_JSON };

typedef struct Options {
	BuildOptions build;
	const char *data, *test, *heatmap;
	int limit, top;
	double l1, l2;
	bool json;
} Options;

static const struct argp_option table[] = {{"data", KEY_DATA, "FILE", 0, "words and their tags: CoNLL", 5},
	{"test", KEY_TEST, "FILE", 0, "more of them, to score the probe on (default: the same file)", 5},
	{"limit", KEY_LIMIT, "N", 0, "only the first N texts of each", 5},
	{"l1", KEY_L1, "X", 0, "weight of the sum of |weights| (default 0.001)", 5},
	{"l2", KEY_L2, "X", 0, "weight of the sum of their squares (default 0.001)", 5},
	{"top", KEY_TOP, "N", 0, "print the first N neurons (default 20)", 5},
	{"heatmap", KEY_HEATMAP, "FILE.svg", 0, "draw the neurons of each layer", 5},
	{"json", KEY_JSON, NULL, 0, "print JSON: all neurons, in order", 5}, {0}};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	Options *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->build; return 0;
	case KEY_DATA: o->data = argument; return 0;
	case KEY_TEST: o->test = argument; return 0;
	case KEY_LIMIT: o->limit = (int)option_number(state, "limit", argument, 1, 1 << 30); return 0;
	case KEY_L1: o->l1 = option_number(state, "l1", argument, 0, 1e6); return 0;
	case KEY_L2: o->l2 = option_number(state, "l2", argument, 0, 1e6); return 0;
	case KEY_TOP: o->top = (int)option_number(state, "top", argument, 0, 1 << 30); return 0;
	case KEY_HEATMAP: o->heatmap = argument; return 0;
	case KEY_JSON: o->json = true; return 0;
	case ARGP_KEY_ARG: option_model(state, &o->build, argument); return 0;
	case ARGP_KEY_END:
		if (!o->build.load.model)
			argp_error(state, "no model: give a Hugging Face directory or a model.xml");
		else if (!o->data)
			argp_error(state, "no data: give --data FILE, words and tags");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

/* ---- what comes out -------------------------------------------------------------------------- */

/* The tag for which a neuron weighs most. */
static int32_t tag_of(const Ranking *r, int32_t neuron)
{
	int32_t best = 0;
	for (int32_t k = 1; k < r->classes; k++)
		if (fabs(r->weight[(size_t)k * (size_t)r->width + (size_t)neuron])
			> fabs(r->weight[(size_t)best * (size_t)r->width + (size_t)neuron]))
			best = k;
	return best;
}

static void print_table(
	const Options *o, const Ranking *r, const Neurons *n, const Words *words, const Words *test)
{
	int32_t used = 0;
	for (int32_t i = 0; i < r->width; i++)
		used += r->salience[i] > 0;
	printf("%s on %s: %d words, %d tags, %d layers of %d neurons; %d weigh anything\n", o->build.load.model,
		o->data, words->count, r->classes, n->layers, n->width, used);
	printf("probe on %s: accuracy %.4f\n\n%-10s %8s %8s\n", o->test ? o->test : o->data,
		ranking_accuracy(r, test, NULL), "neurons", "top", "bottom");
	for (int i = 0; i < RANKING_SHARES; i++)
		printf("%8.0f %% %8.4f %8.4f\n", 100 * ranking_shares[i],
			ranking_accuracy_of(r, test, ranking_shares[i], true),
			ranking_accuracy_of(r, test, ranking_shares[i], false));
	printf("\n%-10s %s\n", "layer", "of the first tenth");
	for (int32_t i = 0; i < n->layers; i++)
		printf("%-10d %d\n", n->at[i], ranking_in_layer(r, n, i));
	printf("\n%-10s %9s  %s\n", "neuron", "weight", "tag");
	for (int32_t i = 0; i < r->width && i < o->top; i++) {
		const int32_t c = r->order[i], tag = tag_of(r, c);
		char name[32];
		snprintf(name, sizeof name, "%d.%d", n->at[c / n->width], c % n->width);
		printf("%-10s %+9.4f  %s\n", name, r->weight[(size_t)tag * (size_t)r->width + (size_t)c],
			words->tags[tag]);
	}
}

static json_t *json_neuron(const Ranking *r, const Neurons *n, int32_t c)
{
	json_t *weights = json_array();
	for (int32_t k = 0; k < r->classes; k++)
		json_array_append_new(weights, json_real(r->weight[(size_t)k * (size_t)r->width + (size_t)c]));
	return json_pack("{s:i, s:i, s:f, s:f, s:f, s:o}", "layer", n->at[c / n->width], "neuron", c % n->width,
		"salience", r->salience[c], "mean", r->mean[c], "deviation", r->deviation[c], "weights", weights);
}

static void print_json(const Ranking *r, const Neurons *n, const Words *words, const Words *test)
{
	json_t *list = json_array(), *tags = json_array(), *bias = json_array();
	for (int32_t k = 0; k < r->classes; k++) {
		json_array_append_new(tags, json_string(words->tags[k]));
		json_array_append_new(bias, json_real(r->bias[k]));
	}
	for (int32_t i = 0; i < r->width; i++)
		json_array_append_new(list, json_neuron(r, n, r->order[i]));
	json_t *all = json_pack("{s:i, s:o, s:f, s:f, s:f, s:f, s:o, s:o, s:o}", "words", words->count, "tags",
		tags, "l1", r->l1, "l2", r->l2, "objective", r->objective, "accuracy",
		ranking_accuracy(r, test, NULL), "parts", ranking_parts(r, test), "bias", bias, "neurons", list);
	char *text = json_dumps(all, JSON_REAL_PRECISION(12) | JSON_COMPACT);
	puts(text ? text : "{}");
	free(text);
	json_decref(all);
}

static bool rank(const Options *o, Loaded *loaded, Diag *diag)
{
	Neurons neurons = {0};
	Words words = {0}, other = {0};
	Ranking ranking = {0};
	const BuildRun calibration = {.options = &o->build, .loaded = loaded};
	bool good = loaded->tokenizer
		|| diag_error(diag, EXIT_UNSUPPORTED, 0, "has no tokenizer; rank-neurons reads text");
	good = good && neurons_observe(&calibration, o->data, o->limit, &neurons, &words, diag)
		&& ranking_fit(&words, o->l1, o->l2, &ranking, diag);
	if (good && o->test)
		good = neurons_observe(&calibration, o->test, o->limit, &neurons, &other, diag)
			&& words_retag(&other, &words);
	if (good) {
		ranking_standardize(&ranking, &other);
		const Words *test = o->test ? &other : &words;
		if (o->json)
			print_json(&ranking, &neurons, &words, test);
		else
			print_table(o, &ranking, &neurons, &words, test);
	}
	if (good && o->heatmap)
		good = heatmap_write(o->heatmap, "largest |weight| of each neuron in the linear probe", "neuron",
			&neurons, ranking.salience, diag);
	ranking_free(&ranking);
	words_free(&words);
	words_free(&other);
	return good;
}

int cmd_rank_neurons(int argc, char **argv)
{
	Options options = {.top = 20, .l1 = NEURONS_L1, .l2 = NEURONS_L2};
	build_options_init(&options.build, argc, argv);
	const struct argp_child children[] = {{.argp = &build_argp}, {0}};
	const struct argp argp = {.options = table,
		.parser = parse,
		.args_doc = "MODEL",
		.children = children,
		.doc = "Rank the neurons of all layers by what they say of the tags of words: a linear probe with an "
			   "elastic net.\v"
			   "A word is its last token. `bertc build --passes='ablate-neurons{which=top share=0.1 "
			   "data=FILE}'` holds neurons constant.\n\n"
			   "Examples:\n"
			   "  bertc rank-neurons minilm-ncbi --data ncbi_disease/train.tsv --limit 500 --test "
			   "ncbi_disease/test.tsv --heatmap=neurons.svg"};
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	options.build.quiet = true;

	Diag diag;
	diag_init(&diag, options.build.load.model);
	Loaded loaded = {0};
	bool good = model_load(&options.build.load, &loaded, &diag);
	if (good) {
		good = rank(&options, &loaded, &diag);
		model_unload(&loaded);
	}
	return command_end(&options.build, &diag, good ? EXIT_DONE : EXIT_RUN);
}
