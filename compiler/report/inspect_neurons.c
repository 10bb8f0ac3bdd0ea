/* inspect_neurons.c: the probe of rank-neurons (neurons.h) for the page, with its weights as small whole
 * numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inspect.h"
#include "compiler/measure/neurons.h"

typedef struct TagCount {
	int32_t tag, words;
} TagCount;

static int commoner_first(const void *a, const void *b)
{
	const TagCount *x = a, *y = b;
	return x->words != y->words ? y->words - x->words : x->tag - y->tag;
}

/* The tags, most frequent first. */
static TagCount *count_tags(const Words *words)
{
	TagCount *counts = checked_calloc((size_t)words->ntags, sizeof *counts);
	for (int32_t k = 0; k < words->ntags; k++)
		counts[k].tag = k;
	for (int32_t i = 0; i < words->count; i++)
		counts[words->tag[i]].words++;
	qsort(counts, (size_t)words->ntags, sizeof *counts, commoner_first);
	return counts;
}

/* The weights of a tag, layer by layer, in hundredths of the largest weight of all tags. */
static json_t *weights_json(const Ranking *r, int32_t tag, double largest)
{
	json_t *weights = json_array();
	for (int32_t n = 0; n < r->width; n++)
		json_array_append_new(weights,
			json_integer((json_int_t)lround(100 * r->weight[(int64_t)tag * r->width + n] / largest)));
	return weights;
}

static json_t *panel(const Ranking *r, const Neurons *neurons, const Words *words, const TagCount *counts)
{
	json_t *tags = json_array(), *tag_words = json_array(), *weights = json_array(), *layers = json_array(),
		   *tenth = json_array(), *order = json_array();
	double largest = 0;
	for (int32_t n = 0; n < r->width; n++)
		largest = fmax(largest, r->salience[n]);
	for (int32_t k = 0; k < words->ntags && k < TAGS_SHOWN; k++) {
		const char *tag = words->tags[counts[k].tag];
		json_array_append_new(tags, page_string(tag, strlen(tag)));
		json_array_append_new(tag_words, json_integer(counts[k].words));
		json_array_append_new(weights, weights_json(r, counts[k].tag, largest > 0 ? largest : 1));
	}
	for (int32_t i = 0; i < neurons->layers; i++) {
		json_array_append_new(layers, json_integer(neurons->at[i]));
		json_array_append_new(tenth, json_integer(ranking_in_layer(r, neurons, i)));
	}
	for (int32_t i = 0; i < r->width; i++)
		json_array_append_new(order, json_integer(r->order[i]));
	return json_pack("{s:i, s:i, s:i, s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "words",
		(int)words->count, "all_tags", (int)words->ntags, "width", (int)neurons->width, "largest", largest,
		"accuracy", ranking_accuracy(r, words, NULL), "parts", ranking_parts(r, words), "layers", layers,
		"tenth", tenth, "tags", tags, "tag_words", tag_words, "order", order, "weights", weights);
}

json_t *inspect_neurons(
	const BuildOptions *options, Loaded *loaded, const char *path, int32_t limit, Diag *diag)
{
	const BuildRun calibration = {.options = options, .loaded = loaded};
	Neurons neurons = {0};
	Words words = {0};
	Ranking ranking = {0};
	json_t *json = NULL;
	if (!loaded->tokenizer)
		return json_pack("{s:s}", "why", "The model has no tokenizer, so it cannot be run on words.");
	progress_show("reading words", 0, 1);
	if (neurons_observe(&calibration, path, limit, &neurons, &words, diag)
		&& ranking_fit(&words, NEURONS_L1, NEURONS_L2, &ranking, diag)) {
		TagCount *counts = count_tags(&words);
		json = panel(&ranking, &neurons, &words, counts);
		free(counts);
	}
	progress_clear();
	ranking_free(&ranking);
	words_free(&words);
	return json;
}
