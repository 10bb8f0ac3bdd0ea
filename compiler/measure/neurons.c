/* neurons.c: see neurons.h. Activations are computed by compiled code (calibrate.c). */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "neurons.h"

/* ---- activations ----------------------------------------------------------------------------- */

typedef struct Reader {
	Program program;
	Words *words;
	int32_t *ids, *types, *start;
	float *rows;
	Diag *diag;
} Reader;

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int32_t tag_find(const Words *words, const char *tag)
{
	const char **found = bsearch(&tag, words->tags, (size_t)words->ntags, sizeof *words->tags, name_compare);
	return found ? (int32_t)(found - words->tags) : -1;
}

/* Collects the distinct tags of the first rows. */
static void collect_tags(Words *words, int32_t rows, int64_t *total)
{
	*total = 0;
	for (int32_t r = 0; r < rows; r++)
		*total += words->data.rows[r].nwords;
	const char **all = checked_calloc((size_t)*total + 1, sizeof *all);
	int64_t n = 0;
	for (int32_t r = 0; r < rows; r++)
		for (int32_t w = 0; w < words->data.rows[r].nwords; w++)
			all[n++] = words->data.rows[r].tags[w];
	qsort(all, (size_t)n, sizeof *all, name_compare);
	for (int64_t i = 0; i < n; i++)
		if (i == 0 || strcmp(all[i], all[words->ntags - 1]) != 0)
			all[words->ntags++] = all[i];
	words->tags = all;
}

/* The last token of a word is the last one that begins within the word. */
static void add_words(Reader *reader, const DataRow *row, int32_t tokens)
{
	Words *words = reader->words;
	const size_t width = (size_t)words->width;
	int32_t at = 0, byte = 0;
	for (int32_t w = 0; w < row->nwords; w++) {
		const int32_t stop = byte + (int32_t)strlen(row->words[w]);
		int32_t last = -1;
		while (at < tokens && reader->start[at] < stop) {
			if (reader->start[at] >= byte)
				last = at;
			at++;
		}
		if (last >= 0) {
			memcpy(words->x + (size_t)words->count * width, reader->rows + (size_t)last * width,
				width * sizeof(float));
			words->tag[words->count++] = tag_find(words, row->tags[w]);
		}
		byte = stop + 1;
	}
}

static bool read_row(Reader *reader, const DataRow *row)
{
	const Program *p = &reader->program;
	int32_t n = 0;
	int status = program_tokenize(
		p, row->text, NULL, reader->ids, reader->types, reader->start, p->max_tokens, &n);
	if (status)
		return diag_error(reader->diag, EXIT_INPUT, row->line, "%s", p->strerror(status));
	const int32_t offsets[2] = {0, n};
	status = p->run_ids(
		p->context, reader->ids, reader->types, offsets, 1, reader->rows, (size_t)n * (size_t)p->width);
	if (status)
		return diag_error(reader->diag, EXIT_RUN, row->line, "%s", p->strerror(status));
	add_words(reader, row, n);
	return true;
}

static bool reader_open(Reader *reader, int64_t total, Diag *diag)
{
	const size_t tokens = (size_t)reader->program.max_tokens, width = (size_t)reader->program.width;
	Words *words = reader->words;
	words->width = reader->program.width;
	if (((uint64_t)total * width * sizeof(float)) >> RANK_LIMIT_BYTES_LOG)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"%lld words of %d neurons need more than 8 GiB; use fewer texts (--limit)", (long long)total,
			words->width);
	words->x = checked_calloc((size_t)total * width + 1, sizeof(float));
	words->tag = checked_calloc((size_t)total + 1, sizeof(int32_t));
	reader->ids = checked_calloc(tokens, sizeof(int32_t));
	reader->types = checked_calloc(tokens, sizeof(int32_t));
	reader->start = checked_calloc(tokens, sizeof(int32_t));
	reader->rows = checked_calloc(tokens * width, sizeof(float));
	return true;
}

bool words_observe(
	const BuildRun *calibration, Module *module, const char *path, int32_t limit, Words *words, Diag *diag)
{
	Reader reader = {.words = words, .diag = diag};
	int64_t total;
	*words = (Words){0};
	if (!dataset_read_tags(path, &words->data, diag))
		return false;
	if (words->data.form != DATA_TAGS)
		return diag_error_in(diag, EXIT_INPUT, path, 0,
			"(%s): expected CoNLL: a word and its tag per line, a blank line after each text",
			words->data.what);
	const int32_t rows = limit && limit < words->data.nrows ? limit : words->data.nrows;
	const char *before = diag->file;
	collect_tags(words, rows, &total);
	bool good = calibration_open(calibration, module, &reader.program, diag);
	diag->file = path;
	good = good && reader_open(&reader, total, diag);
	for (int32_t r = 0; good && r < rows; r++)
		good = read_row(&reader, &words->data.rows[r]);
	if (good && words->count == 0)
		good = diag_error(diag, EXIT_INPUT, 0, "has no words");
	diag->file = before;
	program_close(&reader.program);
	void *const owned[] = {reader.ids, reader.types, reader.start, reader.rows};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	return good;
}

bool neurons_observe(
	const BuildRun *calibration, const char *path, int32_t limit, Neurons *neurons, Words *words, Diag *diag)
{
	Loaded *loaded = calibration->loaded;
	Module *copy = module_copy(loaded->module); /* words_observe changes its module */
	bool good = neurons_expose(copy->graphs[0], "rank-neurons", neurons, diag);
	if (good) {
		int32_t *numbers = mem_alloc(loaded->mem, (size_t)neurons->layers * sizeof *numbers);
		memcpy(numbers, neurons->at, (size_t)neurons->layers * sizeof *numbers);
		neurons->at = numbers;
	}
	good = good && words_observe(calibration, copy, path, limit, words, diag);
	module_free(copy);
	return good;
}

void words_free(Words *words)
{
	free(words->x);
	free(words->tag);
	free(words->tags);
	dataset_free(&words->data);
	*words = (Words){0};
}

bool words_retag(Words *words, const Words *like)
{
	for (int32_t i = 0; i < words->count; i++)
		words->tag[i] = tag_find(like, words->tags[words->tag[i]]);
	return true;
}

/* ---- the probe ------------------------------------------------------------------------------- */

static void measure_columns(const Words *words, Ranking *r)
{
	for (int32_t i = 0; i < words->count; i++)
		for (int32_t c = 0; c < words->width; c++)
			r->mean[c] += (double)words->x[(size_t)i * (size_t)words->width + (size_t)c] / words->count;
	for (int32_t i = 0; i < words->count; i++)
		for (int32_t c = 0; c < words->width; c++) {
			const double d = (double)words->x[(size_t)i * (size_t)words->width + (size_t)c] - r->mean[c];
			r->deviation[c] += d * d / words->count;
		}
	for (int32_t c = 0; c < words->width; c++)
		r->deviation[c] = r->deviation[c] > 0 ? sqrt(r->deviation[c]) : 1;
}

void ranking_standardize(const Ranking *r, Words *words)
{
	for (int32_t i = 0; i < words->count; i++)
		for (int32_t c = 0; c < words->width; c++) {
			float *x = &words->x[(size_t)i * (size_t)words->width + (size_t)c];
			*x = (float)(((double)*x - r->mean[c]) / r->deviation[c]);
		}
}

typedef struct Ranked {
	double share, weight;
	int32_t neuron;
} Ranked;

static int heavier_first(const void *a, const void *b)
{
	const Ranked *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return x->neuron - y->neuron;
}

static int sooner_first(const void *a, const void *b)
{
	const Ranked *x = a, *y = b;
	if (x->share != y->share)
		return x->share < y->share ? -1 : 1;
	return heavier_first(a, b);
}

static void order_neurons(Ranking *r)
{
	Ranked *all = checked_calloc((size_t)r->width, sizeof *all),
		   *one = checked_calloc((size_t)r->width, sizeof *one);
	for (int32_t n = 0; n < r->width; n++)
		all[n] = (Ranked){1, 0, n};
	for (int32_t k = 0; k < r->classes; k++) {
		double sum = 0, before = 0;
		for (int32_t n = 0; n < r->width; n++) {
			one[n] = (Ranked){0, fabs(r->weight[(size_t)k * (size_t)r->width + (size_t)n]), n};
			sum += one[n].weight;
		}
		qsort(one, (size_t)r->width, sizeof *one, heavier_first);
		for (int32_t i = 0; i < r->width && one[i].weight > 0; i++) {
			Ranked *to = &all[one[i].neuron];
			to->share = before / sum < to->share ? before / sum : to->share;
			to->weight = one[i].weight > to->weight ? one[i].weight : to->weight;
			before += one[i].weight;
		}
	}
	for (int32_t n = 0; n < r->width; n++)
		r->salience[n] = all[n].weight;
	qsort(all, (size_t)r->width, sizeof *all, sooner_first);
	for (int32_t i = 0; i < r->width; i++)
		r->order[i] = all[i].neuron;
	free(all);
	free(one);
}

bool ranking_fit(Words *words, double l1, double l2, Ranking *r, Diag *diag)
{
	const size_t width = (size_t)words->width, classes = (size_t)words->ntags;
	*r = (Ranking){.width = words->width,
		.classes = words->ntags,
		.l1 = l1,
		.l2 = l2,
		.mean = checked_calloc(width, sizeof(double)),
		.deviation = checked_calloc(width, sizeof(double)),
		.weight = checked_calloc(width * classes, sizeof(double)),
		.bias = checked_calloc(classes, sizeof(double)),
		.salience = checked_calloc(width, sizeof(double)),
		.order = checked_calloc(width, sizeof(int32_t))};
	if (words->ntags < 2)
		return diag_error(
			diag, EXIT_INPUT, 0, "all words have the tag %s; expected at least two tags", words->tags[0]);
	measure_columns(words, r);
	ranking_standardize(r, words);
	const ElasticNet net = {words->count, words->width, words->ntags, words->x, words->tag, l1, l2};
	ElasticFit fit = {.weight = r->weight, .bias = r->bias};
	if (!elastic_net_fit(&net, &fit))
		return diag_error(diag, EXIT_RUN, 0,
			"the linear probe of %d neurons on %d words does not converge; give a larger l1 or l2",
			words->width, words->count);
	r->objective = fit.objective;
	order_neurons(r);
	return true;
}

void ranking_free(Ranking *r)
{
	void *const owned[] = {r->mean, r->deviation, r->weight, r->bias, r->salience, r->order};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	*r = (Ranking){0};
}

double ranking_accuracy(const Ranking *r, const Words *words, const bool *keep)
{
	const ElasticNet net = {.width = r->width, .classes = r->classes};
	const ElasticFit fit = {.weight = r->weight, .bias = r->bias};
	int64_t right = 0;
	for (int32_t i = 0; i < words->count; i++)
		right += elastic_net_predict(&net, &fit, words->x + (size_t)i * (size_t)r->width, keep)
			== words->tag[i];
	return words->count ? (double)right / words->count : 0;
}

const double ranking_shares[RANKING_SHARES] = {0.05, 0.1, 0.2, 0.5};

double ranking_accuracy_of(const Ranking *r, const Words *words, double share, bool top)
{
	bool *keep = checked_calloc((size_t)r->width, sizeof *keep);
	const int32_t count = (int32_t)(share * r->width + 0.5);
	for (int32_t i = 0; i < count; i++)
		keep[r->order[top ? i : r->width - 1 - i]] = true;
	const double accuracy = ranking_accuracy(r, words, keep);
	free(keep);
	return accuracy;
}

json_t *ranking_parts(const Ranking *r, const Words *words)
{
	json_t *parts = json_array();
	for (int i = 0; i < RANKING_SHARES; i++)
		json_array_append_new(parts,
			json_pack("{s:f, s:f, s:f}", "share", ranking_shares[i], "top",
				ranking_accuracy_of(r, words, ranking_shares[i], true), "bottom",
				ranking_accuracy_of(r, words, ranking_shares[i], false)));
	return parts;
}

int32_t ranking_in_layer(const Ranking *r, const Neurons *n, int32_t layer)
{
	int32_t count = 0;
	for (int32_t i = 0; i < r->width / 10; i++)
		count += r->order[i] / n->width == layer;
	return count;
}

bool neurons_rank(
	void *context, Module *module, const char *data, int32_t limit, int32_t *order, double *mean, Diag *diag)
{
	Words words;
	Ranking ranking = {0};
	const bool good = words_observe(context, module, data, limit, &words, diag)
		&& ranking_fit(&words, NEURONS_L1, NEURONS_L2, &ranking, diag);
	for (int32_t n = 0; good && n < ranking.width; n++) {
		order[n] = ranking.order[n];
		mean[n] = ranking.mean[n];
	}
	ranking_free(&ranking);
	words_free(&words);
	return good;
}
