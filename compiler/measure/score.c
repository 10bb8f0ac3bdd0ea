/* score.c: see score.h. The program runs texts in chunks. A row is one sequence; for embedders it is two, the
 * texts to compare; in multiple choice it is one for each choice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "score.h"
#include "runtime/answers/similarity.h"

enum { CHUNK_TOKENS = 4096, CHUNK_TEXTS = 64, OUTPUTS_MAX = 32 };

const char *const metric_names[] = {"accuracy", "entity F1", "Spearman"};

typedef struct Scorer {
	const Program *program;
	const Scored *what;
	const Dataset *data;
	const char *path;
	Metric metric;
	bool twice;
	int scheme; /* of a tagger's labels */
	int32_t *ids, *types, *start, offsets[2 * CHUNK_TEXTS + 1];
	int32_t sequences, first_row;
	float *out[OUTPUTS_MAX]; /* one per output */
	RowScore *rows;          /* nrows per output */
	int32_t nrows;
	Score *scores;
	Diag *diag;
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

/* Adds -log of the probability of gold, where each label has one of its own. gold -1: none of them. */
static void add_sigmoid_loss(const Scorer *s, RowScore *to, const float *row, int32_t gold)
{
	for (int32_t i = 0; i < s->what->width; i++) {
		const double x = i == gold ? -(double)row[i] : (double)row[i];
		to->loss += x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
	}
	to->labelled++;
}

/* Adds -log softmax(row)[gold]. */
static void add_loss(RowScore *to, const float *row, int32_t n, int32_t gold)
{
	const double top = (double)row[largest(row, n)];
	double sum = 0;
	for (int32_t i = 0; i < n; i++)
		sum += exp((double)row[i] - top);
	to->loss += top + log(sum) - (double)row[gold];
	to->labelled++;
}

/* The tag that programs print for a token: a multi-label head has none below a probability of 0.5. */
static const char *token_tag(const Scorer *s, const float *row)
{
	const int32_t best = largest(row, s->what->width);
	return s->what->head.problem == PROBLEM_MULTI && row[best] < 0 ? "O" : head_label(s, best);
}

static void add_tag_loss(const Scorer *s, RowScore *to, const float *row, const char *tag)
{
	const int32_t gold = dataset_label(tag, s->what->head.labels, s->what->head.nlabels);
	const bool known = gold >= 0 && gold < s->what->width;
	if (s->what->head.problem == PROBLEM_MULTI) {
		if (known || strcmp(tag, "O") == 0)
			add_sigmoid_loss(s, to, row, known ? gold : -1);
	} else if (known) {
		add_loss(to, row, s->what->width, gold);
	}
}

/* The tag of a word is that of its first token; O if the limit of tokens cut the word off. */
static void score_tags(Scorer *s, int32_t k, const DataRow *row, int32_t sequence, RowScore *to)
{
	const int32_t begin = s->offsets[sequence], end = s->offsets[sequence + 1], width = s->what->width;
	const char **tags = checked_calloc((size_t)row->nwords, sizeof *tags);
	int32_t at = begin, byte = 0;
	for (int32_t w = 0; w < row->nwords; w++) {
		const int32_t stop = byte + (int32_t)strlen(row->words[w]);
		while (at < end && s->start[at] < byte)
			at++;
		const float *out = at < end && s->start[at] < stop ? s->out[k] + (size_t)at * (size_t)width : NULL;
		tags[w] = out ? token_tag(s, out) : "O";
		if (out)
			add_tag_loss(s, to, out, row->tags[w]);
		byte = stop + 1;
	}
	metric_spans(row->tags, tags, row->nwords, s->scheme, &to->spans);
	free(tags);
}

int32_t score_gold(const Scored *what, const DataRow *row, const char *path, Diag *diag)
{
	const Head *head = &what->head;
	const int32_t gold = dataset_label(row->label, head->labels, head->nlabels);
	if (gold >= 0 && gold < what->width)
		return gold;
	diag_error_in(diag, EXIT_INPUT, path, row->line,
		"label \"%s\" is neither a label of the model nor its number (%d labels: %s, ..)", row->label,
		head->nlabels, head->nlabels > 0 ? head->labels[0] : "O");
	return -1;
}

static bool score_label(Scorer *s, const DataRow *row, const float *out, RowScore *to)
{
	const int32_t gold = score_gold(s->what, row, s->path, s->diag);
	if (gold < 0)
		return false;
	to->right = largest(out, s->what->width) == gold;
	add_loss(to, out, s->what->width, gold);
	return true;
}

/* out: the logit of each choice. */
static bool score_choice(Scorer *s, const DataRow *row, const float *out, RowScore *to)
{
	char *end;
	const long gold = strtol(row->label, &end, 10);
	if (end == row->label || *end || gold < 0 || gold >= row->nchoices)
		return diag_error_in(s->diag, EXIT_INPUT, s->path, row->line,
			"label \"%s\" is not the number of a choice, 0 to %d", row->label, (int)row->nchoices - 1);
	to->right = largest(out, row->nchoices) == gold;
	add_loss(to, out, row->nchoices, (int32_t)gold);
	return true;
}

/* The similarity of two texts, or the score of one. */
static double predicted_number(const Scorer *s, const float *out)
{
	const int32_t width = s->what->width;
	if (!s->twice)
		return (double)out[width - 1];
	return rt_similarity(s->what->similarity, out, out + width, width);
}

static bool score_number(Scorer *s, const DataRow *row, const float *out, RowScore *to)
{
	char *end = NULL;
	to->gold = s->data->form == DATA_SCORES ? row->score : strtod(row->label, &end);
	if (end && (end == row->label || *end))
		return diag_error_in(s->diag, EXIT_INPUT, s->path, row->line,
			"label \"%s\" is not a number; the model predicts a number", row->label);
	to->predicted = predicted_number(s, out);
	return true;
}

static bool score_row(Scorer *s, int32_t k, int32_t index, int32_t sequence)
{
	const DataRow *row = &s->data->rows[index];
	const float *out = s->out[k] + (size_t)sequence * (size_t)s->what->width;
	RowScore *to = &s->rows[(size_t)k * (size_t)s->nrows + (size_t)index];
	if (s->data->form == DATA_CHOICES)
		return score_choice(s, row, out, to);
	if (s->metric == METRIC_ACCURACY)
		return score_label(s, row, out, to);
	if (s->metric != METRIC_F1)
		return score_number(s, row, out, to);
	score_tags(s, k, row, sequence, to);
	return true;
}

/* The number of sequences of a row. */
static int32_t row_sequences(const Scorer *s, int32_t index)
{
	if (s->data->form == DATA_CHOICES)
		return s->data->rows[index].nchoices;
	return s->twice ? 2 : 1;
}

static bool run_chunk(Scorer *s)
{
	const Scored *what = s->what;
	const int32_t tokens = s->offsets[s->sequences];
	int32_t row = s->first_row;
	float *out[OUTPUTS_MAX] = {NULL};
	size_t floats[OUTPUTS_MAX] = {0};
	uint32_t mask = 0;
	for (int32_t k = 0; k < what->count; k++) {
		out[what->first + k] = s->out[k];
		floats[what->first + k] = (size_t)(what->per_token ? tokens : s->sequences) * (size_t)what->width;
		mask |= 1u << (what->first + k);
	}
	const int status = s->program->run_outputs(
		s->program->context, s->ids, s->types, s->offsets, s->sequences, mask, out, floats);
	if (status)
		return diag_error(s->diag, EXIT_RUN, 0, "%s", s->program->strerror(status));
	for (int32_t k = 0; k < what->count; k++) {
		row = s->first_row;
		for (int32_t i = 0; i < s->sequences; i += row_sequences(s, row), row++)
			if (!score_row(s, k, row, i))
				return false;
	}
	s->first_row = row;
	s->sequences = 0;
	return true;
}

static bool add_text(Scorer *s, const DataRow *row, int which, const char *text, const char *pair)
{
	const int32_t at = s->offsets[s->sequences];
	int32_t n = 0;
	char *all = checked_printf("%s%s", s->what->prompt[which], text);
	const int status = program_tokenize(
		s->program, all, pair, s->ids + at, s->types + at, s->start + at, s->what->max_tokens, &n);
	free(all);
	if (status)
		return diag_error_in(s->diag, EXIT_INPUT, s->path, row->line, "%s", s->program->strerror(status));
	for (int32_t k = 0; k < s->what->count; k++)
		s->scores[k].truncated += n == s->what->max_tokens;
	s->offsets[++s->sequences] = at + n;
	return true;
}

static bool read_rows(Scorer *s, int32_t rows, int32_t room, const char *progress)
{
	bool good = true;
	for (int32_t i = 0; good && i < rows; i++) {
		const DataRow *row = &s->data->rows[i];
		const int32_t more = row_sequences(s, i);
		if (s->sequences + more > 2 * CHUNK_TEXTS
			|| s->offsets[s->sequences] + more * s->what->max_tokens > room) {
			good = run_chunk(s);
			if (progress)
				progress_show(progress, i, rows);
		}
		if (s->data->form == DATA_CHOICES)
			for (int32_t k = 0; good && k < row->nchoices; k++)
				good = add_text(s, row, 0, row->text, row->choices[k]);
		else
			good = good && add_text(s, row, 0, row->text, s->twice ? NULL : row->pair)
				&& (!s->twice || add_text(s, row, 1, row->pair, NULL));
	}
	good = good && (s->sequences == 0 || run_chunk(s));
	progress_clear();
	return good;
}

Score score_rows(Metric metric, const RowScore *rows, const int32_t *numbers, int32_t n)
{
	Score score = {.metric = metric, .of = metric == METRIC_ACCURACY ? n : 0};
	int64_t labelled = 0;
	double *predicted = checked_calloc(2 * (size_t)n, sizeof *predicted), *gold = predicted + n;
	for (int32_t i = 0; i < n; i++) {
		const RowScore *row = &rows[numbers ? numbers[i] : i];
		score.right += row->right;
		score.spans.right += row->spans.right;
		score.spans.spurious += row->spans.spurious;
		score.spans.missed += row->spans.missed;
		score.loss += row->loss;
		labelled += row->labelled;
		predicted[i] = row->predicted;
		gold[i] = row->gold;
	}
	if (metric == METRIC_F1)
		score.value = metric_f1(&score.spans);
	else if (metric == METRIC_ACCURACY)
		score.value = (double)score.right / (double)score.of;
	else
		score.value = metric_spearman(predicted, gold, n);
	score.loss = labelled > 0 ? score.loss / (double)labelled : -score.value;
	free(predicted);
	return score;
}

bool score_metric(const Scored *what, const Dataset *data, const char *path, Metric *metric, Diag *diag)
{
	const Head *head = &what->head;
	const DataForm form = data->form;
	const bool one_number = head->task == TASK_RANK || head->problem == PROBLEM_REGRESSION
		|| head->nlabels == 1;
	if (head->task == TASK_TAG && form == DATA_TAGS)
		*metric = METRIC_F1;
	else if ((task_embeds(head->task) || head->task == TASK_MULTI_VECTOR) && form == DATA_SCORES)
		*metric = METRIC_SPEARMAN;
	else if ((head->task == TASK_CLASSIFY || head->task == TASK_RANK) && one_number && form != DATA_TAGS
		&& form != DATA_CHOICES)
		*metric = METRIC_SPEARMAN;
	else if ((head->task == TASK_CLASSIFY && form == DATA_LABELS)
		|| (head->task == TASK_CHOICE && form == DATA_CHOICES))
		*metric = METRIC_ACCURACY;
	else
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"(%s) does not fit the model's task, %s: expected texts with labels for classifiers, words "
			"with tags for taggers, pairs with scores for embedders and rankers, columns choice0, choice1, "
			".. "
			"for multiple choice",
			data->what, task_names[head->task]);
	return true;
}

static const Head *find_head(const Module *module, const char *name, Diag *diag)
{
	char known[1024] = "";
	for (int32_t i = 0; i < module->nheads; i++) {
		if (!name || strcmp(module->heads[i].name, name) == 0)
			return &module->heads[i];
		snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
			module->heads[i].name);
	}
	if (module->nheads)
		diag_error(diag, EXIT_USAGE, 0, "the model has no head %s; it has %s", name, known);
	else
		diag_error(diag, EXIT_UNSUPPORTED, 0, "the model has no head to score; give --task");
	return NULL;
}

/* As encode of sentence-transformers takes them, or encode_query and encode_document for two kinds of text.
 */
static void find_prompts(const Module *module, Scored *what)
{
	const bool vectors = what->head.task == TASK_MULTI_VECTOR;
	const char *usual = module_meta(module, META_DEFAULT_PROMPT);
	const char *const names[] = {vectors ? "query" : usual, vectors ? "document" : usual};
	for (int i = 0; i < 2; i++) {
		char key[256];
		snprintf(key, sizeof key, "%s%s", META_PROMPT, names[i] ? names[i] : "");
		what->prompt[i] = names[i] ? module_meta(module, key) : NULL;
		if (!what->prompt[i])
			what->prompt[i] = "";
	}
}

bool score_head(const Loaded *loaded, Scored *what, Diag *diag)
{
	return score_head_named(loaded, NULL, what, diag);
}

bool score_head_named(const Loaded *loaded, const char *name, Scored *what, Diag *diag)
{
	const Module *module = loaded->module;
	const Head *head = find_head(module, name, diag);
	if (!head)
		return false;
	if (!loaded->tokenizer)
		return diag_error(
			diag, EXIT_UNSUPPORTED, 0, "the model has no tokenizer; scoring needs one to read text");
	*what = (Scored){.head = *head,
		.count = 1,
		.max_tokens = module->max_tokens,
		.similarity = module_meta(module, META_SIMILARITY),
		.mean = module_meta(module, META_MEAN) != NULL};
	find_prompts(module, what);
	int32_t at = 0;
	/* Before merge-tasks there is one graph per task; their outputs are numbered one after another. */
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (int32_t k = 0; k < module->graphs[g]->noutputs && at < OUTPUTS_MAX; k++, at++) {
			const GraphOutput *output = &module->graphs[g]->outputs[k];
			if (strcmp(output->name, what->head.output) != 0)
				continue;
			const Type *type = &output->value->type;
			const Dim last = type->dim[type->rank > 0 ? type->rank - 1 : 0];
			what->first = at;
			what->width = type->rank > 0 && dim_is_number(last) ? (int32_t)last.plus : 1;
			what->per_token = !type_is_number(type);
		}
	return true;
}

/* Tells a model that does not pool the prompt how many tokens it has; other models have no such option. */
static void tell_prompt(const Scorer *s)
{
	int32_t n = 0;
	if (!*s->what->prompt[0]
		|| program_tokenize(
			s->program, s->what->prompt[0], NULL, s->ids, s->types, s->start, s->what->max_tokens, &n))
		return;
	s->program->set(s->program->context, OPTION_PROMPT, n - (n > 0 && s->start[n - 1] < 0));
}

static bool score_into(Scorer *s, int32_t limit, const char *progress)
{
	const Scored *what = s->what;
	int32_t most = 1;
	for (int32_t i = 0; i < s->data->nrows; i++)
		most = row_sequences(s, i) > most ? row_sequences(s, i) : most;
	const int32_t least = most * what->max_tokens, room = CHUNK_TOKENS > least ? CHUNK_TOKENS : least;
	s->ids = checked_calloc((size_t)room, sizeof(int32_t));
	s->types = checked_calloc((size_t)room, sizeof(int32_t));
	s->start = checked_calloc((size_t)room, sizeof(int32_t));
	s->nrows = limit && limit < s->data->nrows ? limit : s->data->nrows;
	for (int32_t k = 0; k < what->count; k++) {
		s->scores[k] = (Score){0};
		s->out[k] = checked_calloc(
			(size_t)(what->per_token ? room : 2 * CHUNK_TEXTS) * (size_t)what->width, sizeof(float));
	}
	if (!s->rows)
		s->rows = checked_calloc((size_t)what->count * (size_t)s->nrows, sizeof *s->rows);
	else
		memset(s->rows, 0, (size_t)what->count * (size_t)s->nrows * sizeof *s->rows);
	tell_prompt(s);
	const bool good = s->what->head.task == TASK_MULTI_VECTOR
		? score_vectors(s->program, what, s->data, s->path, s->nrows, progress, s->scores, s->rows, s->diag)
		: read_rows(s, s->nrows, room, progress);
	for (int32_t k = 0; k < what->count; k++) {
		const int32_t truncated = s->scores[k].truncated;
		if (good)
			s->scores[k] = score_rows(s->metric, s->rows + (size_t)k * (size_t)s->nrows, NULL, s->nrows);
		s->scores[k].truncated = truncated;
		free(s->out[k]);
	}
	free(s->ids);
	free(s->types);
	free(s->start);
	return good;
}

bool score_program_rows(const Program *program, const Scored *what, const Dataset *data, const char *path,
	int32_t limit, const char *progress, Score *scores, RowScore *rows, Diag *diag)
{
	Scorer s = {.program = program,
		.what = what,
		.data = data,
		.path = path,
		.scores = scores,
		.rows = rows,
		.diag = diag};
	s.twice = task_embeds(what->head.task);
	s.scheme = rt_scheme_of(what->head.labels, what->head.nlabels);
	const bool good = score_metric(what, data, path, &s.metric, diag) && score_into(&s, limit, progress);
	if (!rows)
		free(s.rows);
	return good;
}

bool score_program(const Program *program, const Scored *what, const Dataset *data, const char *path,
	int32_t limit, const char *progress, Score *scores, Diag *diag)
{
	return score_program_rows(program, what, data, path, limit, progress, scores, NULL, diag);
}
