/* cmd_rank_neurons.c: `bertc rank-neurons MODEL --data FILE.conll`: ranks the neurons of all layers by how
 * well they predict the words' tags. Fits a linear probe with an elastic net on the outputs of all layers,
 * and reports its ranking and its accuracy with part of the neurons. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/measure/neurons.h"
#include "compiler/support/json_file.h"

typedef struct Options {
	BuildOptions build;
	const char *data, *test, *heatmap;
	int limit, top;
	double l1, l2;
	bool json;
} Options;

static const CommandOption table[] = {
	{"data", "FILE", "words and their tags: CoNLL", INTO(Options, data),
		.needed = "no data: give --data FILE, words and tags"},
	{"test", "FILE", "words and tags to score the probe on (default: --data)", INTO(Options, test)},
	{"limit", "N", "only the first N texts of each file", INTO(Options, limit), 1, 1 << 30},
	{"l1", "X", "penalty on the sum of |weights| (default 0.001)", INTO(Options, l1), 0, 1e6},
	{"l2", "X", "penalty on the sum of squared weights (default 0.001)", INTO(Options, l2), 0, 1e6},
	{"top", "N", "print the first N neurons, or all if there are fewer (default 20)", INTO(Options, top), 0,
		1 << 30},
	{"heatmap", "FILE.svg", "draw the neurons of each layer", INTO(Options, heatmap)},
	{"json", NULL, "print JSON with all neurons, best first", INTO(Options, json)},
	{0},
};

/* ---- output ---------------------------------------------------------------------------------- */

/* The tag with the largest weight of a neuron. */
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
	printf("%s on %s: %d words, %d tags, %d layers of %d neurons; %d have a nonzero weight\n",
		o->build.load.model, o->data, words->count, r->classes, n->layers, n->width, used);
	printf("probe on %s: accuracy %.4f\n\n%-10s %8s %8s\n", o->test ? o->test : o->data,
		ranking_accuracy(r, test, NULL), "neurons", "top", "bottom");
	for (int i = 0; i < RANKING_SHARES; i++)
		printf("%8.0f %% %8.4f %8.4f\n", 100 * ranking_shares[i],
			ranking_accuracy_of(r, test, ranking_shares[i], true),
			ranking_accuracy_of(r, test, ranking_shares[i], false));
	printf("\n%-10s %s\n", "layer", "in the first tenth");
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
	json_print(all, JSON_REAL_PRECISION(12) | JSON_COMPACT);
	json_decref(all);
}

static int rank(void *options, Loaded *loaded, Diag *diag)
{
	const Options *o = options;
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
	return good ? EXIT_DONE : EXIT_RUN;
}

int cmd_rank_neurons(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL",
		.doc = "Rank the neurons of all layers by how well they predict the tags of words, with a linear "
			   "probe and an elastic net.\v"
			   "The neurons of a word are those of its last token. `bertc build "
			   "--passes='ablate-neurons{which=top share=0.1 data=FILE}'` sets the best neurons to zero.\n\n"
			   "Examples:\n"
			   "  bertc rank-neurons minilm-ncbi --data ncbi_disease/train.tsv \\\n"
			   "    --limit 500 --test ncbi_disease/test.tsv --heatmap=neurons.svg",
		.options = table,
		.work = rank,
		.loads = true,
		.quiet = true,
	};
	Options options = {.top = 20, .l1 = NEURONS_L1, .l2 = NEURONS_L2};
	return command_run(&usage, argc, argv, &options.build);
}
