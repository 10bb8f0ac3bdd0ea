/* cmd_eval.c: `bertc eval MODEL --data FILE`: scores built programs on labelled data: accuracy for labels, entity F1 for tags,
 * Spearman's rank correlation for gold scores. The plain fp32 build stands beside the one with the given passes. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bertc.h"
#include "datasets.h"
#include "metrics.h"

enum { KEY_DATA = 0x200, KEY_LIMIT, KEY_MIN_SCORE, KEY_MAX_DROP, KEY_JSON, KEY_THREADS, CHUNK_TOKENS = 4096, CHUNK_TEXTS = 64 };

typedef struct EvalOptions {
	BuildOptions build;
	const char *data;
	int    limit, threads;
	double min_score, max_drop;         /* NAN: no limit; max_drop in points */
	bool   json;
} EvalOptions;

static const struct argp_option table[] = {
	{"data", KEY_DATA, "FILE", 0, "labelled data: TSV, CSV or CoNLL; the form is found from the content", 5},
	{"limit", KEY_LIMIT, "N", 0, "only the first N rows", 5},
	{"min-score", KEY_MIN_SCORE, "X", 0, "exit 5 when the score (0 to 1) is below X", 5},
	{"max-drop", KEY_MAX_DROP, "X", 0, "exit 5 when the given passes lose more than X points (hundredths) against fp32", 5},
	{"threads", KEY_THREADS, "N", 0, "threads of the program (default 1)", 5},
	{"json", KEY_JSON, NULL, 0, "print JSON", 5},
	{0}
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	EvalOptions *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->build; return 0;
	case KEY_DATA: o->data = argument; return 0;
	case KEY_LIMIT: o->limit = (int)option_number(state, "limit", argument, 1, 1 << 30); return 0;
	case KEY_MIN_SCORE: o->min_score = option_number(state, "min-score", argument, -1, 1); return 0;
	case KEY_MAX_DROP: o->max_drop = option_number(state, "max-drop", argument, 0, 100); return 0;
	case KEY_THREADS: o->threads = (int)option_number(state, "threads", argument, 1, 256); return 0;
	case KEY_JSON: o->json = true; return 0;
	case ARGP_KEY_ARG: option_model(state, &o->build, argument); return 0;
	case ARGP_KEY_END:
		if (!o->build.model)
			argp_error(state, "no model: give a Hugging Face directory, a model.xml or a .bir file");
		else if (!o->data)
			argp_error(state, "no data: give --data FILE");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

/* ---- one program over the data ------------------------------------------------------------------------------------------ */

typedef enum Metric { METRIC_ACCURACY, METRIC_F1, METRIC_SPEARMAN } Metric;
static const char *const metric_names[] = {"accuracy", "entity F1", "Spearman"};

typedef struct Result {
	const char *variant;                /* "fp32", or what was asked for */
	Metric  metric;
	double  score, seconds;
	int64_t right, of;                  /* accuracy */
	SpanCounts spans;                   /* entity F1 */
	bool    recipe;                     /* the description names passes of its own */
	int32_t truncated;                  /* texts that were cut at max_tokens, as far as tokens tell: those of exactly the limit */
} Result;

/* A chunk of sequences on its way through the program; a row is one sequence, or two when an embedder compares texts. */
typedef struct Scorer {
	const EvalOptions *options;
	const Dataset *data;
	Program  program;
	Head     head;
	int32_t  output, width, max_tokens;
	bool     per_token, twice;
	int32_t *ids, *types, *start, offsets[2 * CHUNK_TEXTS + 1];
	int32_t  sequences, first_row;
	float   *out;
	double  *predicted, *gold;          /* Spearman */
	Result  *result;
	Diag    *diag;
} Scorer;

static const char *head_label(const Scorer *s, int32_t i)
{
	return i >= 0 && i < s->head.nlabels ? s->head.labels[i] : "O";
}

static int32_t largest(const float *row, int32_t n)
{
	int32_t best = 0;
	for (int32_t i = 1; i < n; i++)
		if (row[i] > row[best])
			best = i;
	return best;
}

/* Each word's label is that of its first token; O when the limit left none of it. */
static bool score_tags(Scorer *s, const DataRow *row, int32_t sequence)
{
	const int32_t begin = s->offsets[sequence], end = s->offsets[sequence + 1];
	const char **tags = calloc((size_t)row->nwords + 1, sizeof *tags);
	int32_t at = begin, byte = 0;
	for (int32_t w = 0; tags && w < row->nwords; w++) {
		const int32_t stop = byte + (int32_t)strlen(row->words[w]);
		while (at < end && s->start[at] < byte)
			at++;
		tags[w] = at < end && s->start[at] < stop
			? head_label(s, largest(s->out + (size_t)at * (size_t)s->width, s->width)) : "O";
		byte = stop + 1;
	}
	if (tags)
		metric_spans(row->tags, tags, row->nwords, &s->result->spans);
	free(tags);
	return tags || diag_error(s->diag, EXIT_RUN, 0, "out of memory");
}

static bool score_row(Scorer *s, int32_t index, int32_t sequence)
{
	const DataRow *row = &s->data->rows[index];
	const float *out = s->out + (size_t)sequence * (size_t)s->width;
	switch (s->result->metric) {
	case METRIC_F1:
		return score_tags(s, row, sequence);
	case METRIC_ACCURACY: {
		const int32_t gold = dataset_label(row->label, s->head.labels, s->head.nlabels);
		if (gold < 0)
			return diag_error_in(s->diag, EXIT_INPUT, s->options->data, row->line,
				"label \"%s\" is neither a label of the model nor the number of one (it has %d: %s, ..)",
				row->label, s->head.nlabels, head_label(s, 0));
		s->result->of++;
		s->result->right += largest(out, s->width) == gold;
		return true;
	}
	default: {
		char *end = NULL;
		s->gold[index] = s->data->form == DATA_SCORES ? row->score : strtod(row->label, &end);
		if (end && (end == row->label || *end))
			return diag_error_in(s->diag, EXIT_INPUT, s->options->data, row->line,
				"\"%s\" is not a number, which a model that gives one is scored on", row->label);
		s->predicted[index] = s->twice ? metric_cosine(out, out + s->width, s->width) : (double)out[s->width - 1];
		return true;
	}
	}
}

static bool run_chunk(Scorer *s)
{
	const int32_t tokens = s->offsets[s->sequences], per_row = s->twice ? 2 : 1;
	float *out[32] = {NULL};
	size_t floats[32] = {0};
	out[s->output] = s->out;
	floats[s->output] = (size_t)(s->per_token ? tokens : s->sequences) * (size_t)s->width;
	const int status = s->program.run_outputs(s->program.context, s->ids, s->types, s->offsets, s->sequences, 1u << s->output,
		out, floats);
	if (status)
		return diag_error(s->diag, EXIT_RUN, 0, "%s", s->program.strerror(status));
	for (int32_t i = 0; i < s->sequences; i += per_row)
		if (!score_row(s, s->first_row + i / per_row, i))
			return false;
	s->first_row += s->sequences / per_row;
	s->sequences = 0;
	return true;
}

static bool add_text(Scorer *s, const DataRow *row, const char *text, const char *pair)
{
	const int32_t at = s->offsets[s->sequences];
	int32_t n = 0;
	const int status = s->program.tokenize(s->program.context, text, strlen(text), pair, pair ? strlen(pair) : 0,
		s->ids + at, s->types + at, s->start + at, NULL, s->max_tokens, &n);
	if (status)
		return diag_error_in(s->diag, EXIT_INPUT, s->options->data, row->line, "%s", s->program.strerror(status));
	s->result->truncated += n == s->max_tokens;
	s->offsets[++s->sequences] = at + n;
	return true;
}

static bool score_all(Scorer *s)
{
	const int32_t rows = s->options->limit && s->options->limit < s->data->nrows ? s->options->limit : s->data->nrows;
	const int32_t room = CHUNK_TOKENS > 2 * s->max_tokens ? CHUNK_TOKENS : 2 * s->max_tokens;
	s->ids = calloc((size_t)room, sizeof(int32_t));
	s->types = calloc((size_t)room, sizeof(int32_t));
	s->start = calloc((size_t)room, sizeof(int32_t));
	s->out = calloc((size_t)(s->per_token ? room : 2 * CHUNK_TEXTS) * (size_t)s->width, sizeof(float));
	s->predicted = calloc((size_t)rows, sizeof(double));
	s->gold = calloc((size_t)rows, sizeof(double));
	bool good = s->ids && s->types && s->start && s->out && s->predicted && s->gold;
	if (!good)
		return diag_error(s->diag, EXIT_RUN, 0, "out of memory");
	for (int32_t i = 0; good && i < rows; i++) {
		const DataRow *row = &s->data->rows[i];
		if (s->sequences >= 2 * CHUNK_TEXTS - 2 || s->offsets[s->sequences] + 2 * s->max_tokens > room) {
			good = run_chunk(s);
			if (s->options->build.progress)
				progress_show(s->result->variant, i, rows);
		}
		good = good && add_text(s, row, row->text, s->twice ? NULL : row->pair)
			&& (!s->twice || add_text(s, row, row->pair, NULL));
	}
	good = good && (s->sequences == 0 || run_chunk(s));
	progress_clear();
	Result *r = s->result;
	r->score = r->metric == METRIC_F1 ? metric_f1(&r->spans) : r->metric == METRIC_ACCURACY ? (double)r->right / (double)r->of
		: metric_spearman(s->predicted, s->gold, rows);
	return good;
}

/* Which figure fits the head and the data. */
static bool choose_metric(Scorer *s)
{
	const Head *head = &s->head;
	const DataForm form = s->data->form;
	const bool one_number = head->task == TASK_RANK || head->problem == PROBLEM_REGRESSION || head->nlabels == 1;
	s->twice = head->task == TASK_EMBED;
	if (head->task == TASK_TAG && form == DATA_TAGS)
		s->result->metric = METRIC_F1;
	else if (head->task == TASK_EMBED && form == DATA_SCORES)
		s->result->metric = METRIC_SPEARMAN;
	else if ((head->task == TASK_CLASSIFY || head->task == TASK_RANK) && one_number && form != DATA_TAGS)
		s->result->metric = METRIC_SPEARMAN;
	else if (head->task == TASK_CLASSIFY && form == DATA_LABELS)
		s->result->metric = METRIC_ACCURACY;
	else
		return diag_error_in(s->diag, EXIT_UNSUPPORTED, s->options->data, 0,
			"(%s) does not fit the model's task, %s: eval scores classifiers on labels, taggers on words with labels, embedders "
			"and rankers on pairs with scores", s->data->what, task_names[head->task]);
	return true;
}

/* The head that is scored and where its numbers are. */
static bool choose_head(Scorer *s, const Loaded *loaded)
{
	const Module *module = loaded->module;
	const Graph *graph = module->graphs[0];
	if (module->nheads == 0)
		return diag_error(s->diag, EXIT_UNSUPPORTED, 0, "has no head to score; give --task");
	if (!loaded->tokenizer)
		return diag_error(s->diag, EXIT_UNSUPPORTED, 0, "has no tokenizer; eval reads text");
	s->head = module->heads[0];
	s->max_tokens = module->max_tokens;
	for (int32_t k = 0; k < graph->noutputs && k < 32; k++) {
		if (strcmp(graph->outputs[k].name, s->head.output) != 0)
			continue;
		const Type *type = &graph->outputs[k].value->type;
		const Dim last = type->dim[type->rank > 0 ? type->rank - 1 : 0];
		s->output = k;
		s->width = type->rank > 0 && dim_is_number(last) ? (int32_t)last.plus : 1;
		s->per_token = !type_is_number(type);
	}
	return true;
}

static bool evaluate(const EvalOptions *o, const BuildOptions *build, const Dataset *data, Result *result, Diag *diag)
{
	Scorer s = {.options = o, .data = data, .result = result, .diag = diag};
	Loaded loaded = {0};
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	bool good = model_load(build, &loaded, diag);
	result->recipe = loaded.passes != NULL;
	good = good && choose_head(&s, &loaded) && choose_metric(&s)
		&& program_open(build, &loaded, o->threads, &s.program, diag) && score_all(&s);
	clock_gettime(CLOCK_MONOTONIC, &after);
	result->seconds = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
	void *const owned[] = {s.ids, s.types, s.start, s.out, s.predicted, s.gold};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	program_close(&s.program);
	model_unload(&loaded);
	return good;
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

static void describe_counts(const Result *r, int32_t rows, char *text, size_t capacity)
{
	if (r->metric == METRIC_F1)
		snprintf(text, capacity, "%lld right, %lld spurious, %lld missed",
			(long long)r->spans.right, (long long)r->spans.spurious, (long long)r->spans.missed);
	else if (r->metric == METRIC_ACCURACY)
		snprintf(text, capacity, "%lld of %lld", (long long)r->right, (long long)r->of);
	else
		snprintf(text, capacity, "%d pairs", rows);
}

static void print_table(const EvalOptions *o, const Dataset *data, const Result *results, int n)
{
	const int32_t rows = o->limit && o->limit < data->nrows ? o->limit : data->nrows;
	printf("%s on %s: %d rows (%s)\n%-10s %-10s %8s %8s %8s  %s\n", o->build.model, o->data, rows, data->what,
		"build", "figure", "score", "points", "seconds", "counts");
	for (int i = 0; i < n; i++) {
		const Result *r = &results[i];
		char counts[128], drop[32] = "";
		describe_counts(r, rows, counts, sizeof counts);
		if (i > 0)
			snprintf(drop, sizeof drop, "%+.2f", 100 * (r->score - results[0].score));
		printf("%-10s %-10s %8.4f %8s %8.1f  %s\n", r->variant, metric_names[r->metric], r->score, drop, r->seconds, counts);
		if (r->truncated)
			printf("%-10s %d texts reach the limit of tokens and may have been cut\n", "", r->truncated);
	}
}

static void print_json(const EvalOptions *o, const Dataset *data, const Result *results, int n)
{
	static const char *const keys[] = {"accuracy", "f1", "spearman"};
	json_t *builds = json_array();
	for (int i = 0; i < n; i++) {
		const Result *r = &results[i];
		json_t *row = json_pack("{s:s, s:s, s:o, s:f}", "build", r->variant, "metric", keys[r->metric], "score",
			isfinite(r->score) ? json_real(r->score) : json_null(), "seconds", r->seconds);
		if (r->metric == METRIC_F1)
			json_object_update_new(row, json_pack("{s:I, s:I, s:I}", "right", (json_int_t)r->spans.right,
				"spurious", (json_int_t)r->spans.spurious, "missed", (json_int_t)r->spans.missed));
		if (r->metric == METRIC_ACCURACY)
			json_object_update_new(row, json_pack("{s:I, s:I}", "right", (json_int_t)r->right, "of", (json_int_t)r->of));
		json_array_append_new(builds, row);
	}
	json_t *all = json_pack("{s:i, s:s, s:o}", "rows", o->limit && o->limit < data->nrows ? o->limit : data->nrows,
		"form", data->what, "builds", builds);
	char *text = json_dumps(all, JSON_REAL_PRECISION(9));
	puts(text ? text : "{}");
	free(text);
	json_decref(all);
}

static int eval(const EvalOptions *o, const Dataset *data, Diag *diag)
{
	Result results[2] = {
		{.variant = "fp32"},
		{.variant = o->build.passes ? "passes" : o->build.weights ? o->build.weights : "given"}};
	BuildOptions plain = o->build;
	plain.passes = plain.weights = NULL;
	plain.level = 2;
	plain.level_given = true;
	int builds = o->build.passes || o->build.weights || o->build.level_given ? 2 : 1;
	if (!evaluate(o, &plain, data, &results[0], diag))
		return EXIT_RUN;
	if (results[0].recipe)
		builds = 2;
	if (builds == 2 && !evaluate(o, &o->build, data, &results[1], diag))
		return EXIT_RUN;
	if (o->json)
		print_json(o, data, results, builds);
	else
		print_table(o, data, results, builds);
	const double score = results[builds - 1].score, drop = 100 * (results[0].score - score);
	if ((isnan(o->min_score) || score >= o->min_score) && (isnan(o->max_drop) || drop <= o->max_drop))
		return EXIT_DONE;
	fprintf(stderr, "%s: error: below the limit that was asked for\n", o->build.model);
	return EXIT_LIMIT;
}

int cmd_eval(int argc, char **argv)
{
	EvalOptions options = {.threads = 1, .min_score = NAN, .max_drop = NAN};
	build_options_init(&options.build, argc, argv);
	const struct argp_child children[] = {{.argp = &build_argp}, {0}};
	const struct argp argp = {.options = table, .parser = parse, .args_doc = "MODEL", .children = children, .doc =
		"Score the built program on labelled data, the plain fp32 build beside the one with the given passes.\v"
		"Labels are matched by name, else by number. Texts longer than the model takes are truncated.\n\n"
		"Examples:\n"
		"  bertc eval minilm-sst2 --data sst2/dev.tsv\n"
		"  bertc eval minilm-ncbi --data ncbi_disease/test.tsv --weights=bf16 --max-drop 0.5"};
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	options.build.quiet = true;

	Diag diag;
	diag_init(&diag, options.build.model);
	Dataset data;
	int status = EXIT_RUN;
	if (dataset_read(options.data, &data, &diag))
		status = eval(&options, &data, &diag);
	dataset_free(&data);
	diag_print(&diag, stderr);
	if (diag.errors)
		status = (int)diag.code;
	diag_free(&diag);
	free(options.build.command);
	return status;
}
