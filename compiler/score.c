/* score.c: see score.h. Texts go through the program in chunks; a row is one sequence, or two when an embedder compares texts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "score.h"

enum { CHUNK_TOKENS = 4096, CHUNK_TEXTS = 64, OUTPUTS_MAX = 32 };

typedef struct Scorer {
	const Program *program;
	const Scored  *what;
	const Dataset *data;
	const char    *path;
	Metric   metric;
	bool     twice;
	int32_t *ids, *types, *start, offsets[2 * CHUNK_TEXTS + 1];
	int32_t  sequences, first_row;
	float   *out[OUTPUTS_MAX];          /* one an output */
	double  *predicted[OUTPUTS_MAX], *gold;   /* Spearman */
	int64_t  labelled[OUTPUTS_MAX];     /* rows or words that count in the loss */
	Score   *scores;
	Diag    *diag;
} Scorer;

static const char *head_label(const Scorer *s, int32_t i)
{
	return i >= 0 && i < s->what->head.nlabels ? s->what->head.labels[i] : "O";
}

static int32_t largest(const float *row, int32_t n)
{
	int32_t best = 0;
	for (int32_t i = 1; i < n; i++)
		if (row[i] > row[best])
			best = i;
	return best;
}

/* -log softmax(row)[gold] */
static void add_loss(Scorer *s, int32_t k, const float *row, int32_t gold)
{
	const double top = (double)row[largest(row, s->what->width)];
	double sum = 0;
	for (int32_t i = 0; i < s->what->width; i++)
		sum += exp((double)row[i] - top);
	s->scores[k].loss += top + log(sum) - (double)row[gold];
	s->labelled[k]++;
}

/* Each word's label is that of its first token; O when the limit left none of it. */
static bool score_tags(Scorer *s, int32_t k, const DataRow *row, int32_t sequence)
{
	const int32_t begin = s->offsets[sequence], end = s->offsets[sequence + 1], width = s->what->width;
	const char **tags = calloc((size_t)row->nwords + 1, sizeof *tags);
	int32_t at = begin, byte = 0;
	for (int32_t w = 0; tags && w < row->nwords; w++) {
		const int32_t stop = byte + (int32_t)strlen(row->words[w]);
		while (at < end && s->start[at] < byte)
			at++;
		const float *out = at < end && s->start[at] < stop ? s->out[k] + (size_t)at * (size_t)width : NULL;
		const int32_t gold = dataset_label(row->tags[w], s->what->head.labels, s->what->head.nlabels);
		tags[w] = out ? head_label(s, largest(out, width)) : "O";
		if (out && gold >= 0 && gold < width)
			add_loss(s, k, out, gold);
		byte = stop + 1;
	}
	if (tags)
		metric_spans(row->tags, tags, row->nwords, &s->scores[k].spans);
	free(tags);
	return tags || diag_error(s->diag, EXIT_RUN, 0, "out of memory");
}

int32_t score_gold(const Scored *what, const DataRow *row, const char *path, Diag *diag)
{
	const Head *head = &what->head;
	const int32_t gold = dataset_label(row->label, head->labels, head->nlabels);
	if (gold >= 0 && gold < what->width)
		return gold;
	diag_error_in(diag, EXIT_INPUT, path, row->line, "label \"%s\" is neither a label of the model nor the number of one (it has %d: %s, ..)",
		row->label, head->nlabels, head->nlabels > 0 ? head->labels[0] : "O");
	return -1;
}

static bool score_label(Scorer *s, int32_t k, const DataRow *row, const float *out)
{
	const int32_t gold = score_gold(s->what, row, s->path, s->diag);
	if (gold < 0)
		return false;
	s->scores[k].of++;
	s->scores[k].right += largest(out, s->what->width) == gold;
	add_loss(s, k, out, gold);
	return true;
}

static bool score_number(Scorer *s, int32_t k, int32_t index, const float *out)
{
	const DataRow *row = &s->data->rows[index];
	const int32_t width = s->what->width;
	char *end = NULL;
	s->gold[index] = s->data->form == DATA_SCORES ? row->score : strtod(row->label, &end);
	if (end && (end == row->label || *end))
		return diag_error_in(s->diag, EXIT_INPUT, s->path, row->line,
			"\"%s\" is not a number, which a model that gives one is scored on", row->label);
	s->predicted[k][index] = s->twice ? metric_cosine(out, out + width, width) : (double)out[width - 1];
	return true;
}

static bool score_row(Scorer *s, int32_t k, int32_t index, int32_t sequence)
{
	const DataRow *row = &s->data->rows[index];
	const float *out = s->out[k] + (size_t)sequence * (size_t)s->what->width;
	switch (s->metric) {
	case METRIC_F1: return score_tags(s, k, row, sequence);
	case METRIC_ACCURACY: return score_label(s, k, row, out);
	default: return score_number(s, k, index, out);
	}
}

static bool run_chunk(Scorer *s)
{
	const Scored *what = s->what;
	const int32_t tokens = s->offsets[s->sequences], per_row = s->twice ? 2 : 1;
	float *out[OUTPUTS_MAX] = {NULL};
	size_t floats[OUTPUTS_MAX] = {0};
	uint32_t mask = 0;
	for (int32_t k = 0; k < what->count; k++) {
		out[what->first + k] = s->out[k];
		floats[what->first + k] = (size_t)(what->per_token ? tokens : s->sequences) * (size_t)what->width;
		mask |= 1u << (what->first + k);
	}
	const int status = s->program->run_outputs(s->program->context, s->ids, s->types, s->offsets, s->sequences, mask, out,
		floats);
	if (status)
		return diag_error(s->diag, EXIT_RUN, 0, "%s", s->program->strerror(status));
	for (int32_t k = 0; k < what->count; k++)
		for (int32_t i = 0; i < s->sequences; i += per_row)
			if (!score_row(s, k, s->first_row + i / per_row, i))
				return false;
	s->first_row += s->sequences / per_row;
	s->sequences = 0;
	return true;
}

static bool add_text(Scorer *s, const DataRow *row, const char *text, const char *pair)
{
	const int32_t at = s->offsets[s->sequences];
	int32_t n = 0;
	const int status = s->program->tokenize(s->program->context, text, strlen(text), pair, pair ? strlen(pair) : 0,
		s->ids + at, s->types + at, s->start + at, NULL, s->what->max_tokens, &n);
	if (status)
		return diag_error_in(s->diag, EXIT_INPUT, s->path, row->line, "%s", s->program->strerror(status));
	for (int32_t k = 0; k < s->what->count; k++)
		s->scores[k].truncated += n == s->what->max_tokens;
	s->offsets[++s->sequences] = at + n;
	return true;
}

static bool score_rows(Scorer *s, int32_t rows, int32_t room, const char *progress)
{
	bool good = true;
	for (int32_t i = 0; good && i < rows; i++) {
		const DataRow *row = &s->data->rows[i];
		if (s->sequences >= 2 * CHUNK_TEXTS - 2 || s->offsets[s->sequences] + 2 * s->what->max_tokens > room) {
			good = run_chunk(s);
			if (progress)
				progress_show(progress, i, rows);
		}
		good = good && add_text(s, row, row->text, s->twice ? NULL : row->pair)
			&& (!s->twice || add_text(s, row, row->pair, NULL));
	}
	good = good && (s->sequences == 0 || run_chunk(s));
	progress_clear();
	return good;
}

static void finish(Scorer *s, int32_t rows)
{
	for (int32_t k = 0; k < s->what->count; k++) {
		Score *score = &s->scores[k];
		score->value = s->metric == METRIC_F1 ? metric_f1(&score->spans) : s->metric == METRIC_ACCURACY
			? (double)score->right / (double)score->of : metric_spearman(s->predicted[k], s->gold, rows);
		score->loss = s->labelled[k] > 0 ? score->loss / (double)s->labelled[k] : -score->value;
	}
}

/* Which figure fits the head and the data. */
static bool choose_metric(Scorer *s)
{
	const Head *head = &s->what->head;
	const DataForm form = s->data->form;
	const bool one_number = head->task == TASK_RANK || head->problem == PROBLEM_REGRESSION || head->nlabels == 1;
	s->twice = head->task == TASK_EMBED;
	if (head->task == TASK_TAG && form == DATA_TAGS)
		s->metric = METRIC_F1;
	else if (head->task == TASK_EMBED && form == DATA_SCORES)
		s->metric = METRIC_SPEARMAN;
	else if ((head->task == TASK_CLASSIFY || head->task == TASK_RANK) && one_number && form != DATA_TAGS)
		s->metric = METRIC_SPEARMAN;
	else if (head->task == TASK_CLASSIFY && form == DATA_LABELS)
		s->metric = METRIC_ACCURACY;
	else
		return diag_error_in(s->diag, EXIT_UNSUPPORTED, s->path, 0,
			"(%s) does not fit the model's task, %s: eval scores classifiers on labels, taggers on words with labels, embedders "
			"and rankers on pairs with scores", s->data->what, task_names[head->task]);
	return true;
}

bool score_head(const Loaded *loaded, Scored *what, Diag *diag)
{
	const Module *module = loaded->module;
	const Graph *graph = module->graphs[0];
	if (module->nheads == 0)
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "has no head to score; give --task");
	if (!loaded->tokenizer)
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "has no tokenizer; eval reads text");
	*what = (Scored){.head = module->heads[0], .count = 1, .max_tokens = module->max_tokens};
	for (int32_t k = 0; k < graph->noutputs && k < OUTPUTS_MAX; k++) {
		if (strcmp(graph->outputs[k].name, what->head.output) != 0)
			continue;
		const Type *type = &graph->outputs[k].value->type;
		const Dim last = type->dim[type->rank > 0 ? type->rank - 1 : 0];
		what->first = k;
		what->width = type->rank > 0 && dim_is_number(last) ? (int32_t)last.plus : 1;
		what->per_token = !type_is_number(type);
	}
	return true;
}

bool score_program(const Program *program, const Scored *what, const Dataset *data, const char *path, int32_t limit,
	const char *progress, Score *scores, Diag *diag)
{
	Scorer s = {.program = program, .what = what, .data = data, .path = path, .scores = scores, .diag = diag};
	if (!choose_metric(&s))
		return false;
	const int32_t rows = limit && limit < data->nrows ? limit : data->nrows;
	const int32_t room = CHUNK_TOKENS > 2 * what->max_tokens ? CHUNK_TOKENS : 2 * what->max_tokens;
	bool good = (s.ids = calloc((size_t)room, sizeof(int32_t))) && (s.types = calloc((size_t)room, sizeof(int32_t)))
		&& (s.start = calloc((size_t)room, sizeof(int32_t))) && (s.gold = calloc((size_t)rows + 1, sizeof(double)));
	for (int32_t k = 0; k < what->count; k++) {
		scores[k] = (Score){.metric = s.metric};
		s.out[k] = calloc((size_t)(what->per_token ? room : 2 * CHUNK_TEXTS) * (size_t)what->width, sizeof(float));
		s.predicted[k] = calloc((size_t)rows + 1, sizeof(double));
		good = good && s.out[k] && s.predicted[k];
	}
	good = good ? score_rows(&s, rows, room, progress) : diag_error(diag, EXIT_RUN, 0, "out of memory");
	if (good)
		finish(&s, rows);
	for (int32_t k = 0; k < what->count; k++) {
		free(s.out[k]);
		free(s.predicted[k]);
	}
	void *const owned[] = {s.ids, s.types, s.start, s.gold};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	return good;
}
