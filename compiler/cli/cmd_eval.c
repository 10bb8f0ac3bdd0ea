/* cmd_eval.c: `bertc eval MODEL --data FILE`: scores built programs on labelled data: accuracy for labels,
 * entity F1 for tags, Spearman's rank correlation for gold scores. Reports the plain fp32 build and the build
 * with the given passes. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bertc.h"
#include "compiler/measure/curve.h"
#include "compiler/support/json_file.h"

enum { TASKS_MAX = 16 };

/* A head and its data. */
typedef struct EvalTask {
	const char *head, *path;
	Dataset data;
} EvalTask;

typedef struct EvalOptions {
	BuildOptions build;
	EvalTask tasks[TASKS_MAX]; /* head NULL: the model's first */
	int ntasks;
	const char *head; /* for --data without HEAD: */
	int limit, threads;
	double min_score, max_drop; /* NAN: no limit; max_drop in points */
	bool json, curve;           /* curve: of a program with early exits */
	const char *thresholds;     /* thresholds of the curve; NULL: the default */
} EvalOptions;

/* HEAD:FILE, where HEAD is a name and the whole word is not an existing file. */
static void add_data(const CommandOption *option, void *options, char *argument, struct argp_state *state)
{
	(void)option;
	EvalOptions *o = options;
	if (o->ntasks == TASKS_MAX)
		argp_error(state, "--data may be given %d times at most", TASKS_MAX);
	EvalTask *task = &o->tasks[o->ntasks++];
	char *colon = strchr(argument, ':');
	*task = (EvalTask){.path = argument};
	if (!colon || colon == argument || strcspn(argument, "/") < (size_t)(colon - argument)
		|| access(argument, F_OK) == 0)
		return;
	*colon = '\0';
	task->head = argument;
	task->path = colon + 1;
}

static void set_curve(const CommandOption *option, void *options, char *thresholds, struct argp_state *state)
{
	(void)option, (void)state;
	EvalOptions *o = options;
	o->curve = true;
	o->thresholds = thresholds;
}

static const CommandOption table[] = {
	{"data", "[HEAD:]FILE",
		"labelled data: TSV, CSV or CoNLL, recognised by content; for several heads, repeat the option",
		.call = add_data},
	{"head", "NAME", "the head to score on --data=FILE (default: the first)", INTO(EvalOptions, head)},
	{"limit", "N", "only the first N rows", INTO(EvalOptions, limit), 1, 1 << 30},
	{"min-score", "X", "exit 5 if the score (0 to 1) is below X", INTO(EvalOptions, min_score), -1, 1},
	{"max-drop", "X", "exit 5 if the given passes lose more than X points (hundredths) against fp32",
		INTO(EvalOptions, max_drop), 0, 100},
	{"threads", "N", "threads of the program (default 1)", INTO(EvalOptions, threads), 1, 256},
	{"curve", "X,...",
		"for a build with early-exit: print score, time, energy and layers for each of these values of "
		"exit_entropy",
		.call = set_curve, .optional = true},
	{"json", NULL, "print JSON", INTO(EvalOptions, json)},
	{0},
};

static void check(void *options, struct argp_state *state)
{
	const EvalOptions *o = options;
	if (!o->ntasks)
		argp_error(state, "no data: give --data FILE");
	else if (o->curve && o->ntasks > 1)
		argp_error(state, "--curve measures one head; give one --data");
}

/* ---- one program over the data --------------------------------------------------------------- */

typedef struct Result {
	const char *variant; /* "fp32", or the given passes */
	Score score;
	double seconds;
	Curve curve; /* count 0: no --curve */
	bool recipe; /* the description names passes of its own */
} Result;

/* The program of a build, and each head on its data: results[0 .. ntasks-1]. */
static bool evaluate(const EvalOptions *o, const BuildOptions *build, bool curve, Result *results, Diag *diag)
{
	Program program = {0};
	Loaded loaded = {0};
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	bool good = model_load(&build->load, &loaded, diag)
		&& program_open(build, &loaded, o->threads, &program, diag);
	for (int i = 0; i < o->ntasks && good; i++) {
		const EvalTask *task = &o->tasks[i];
		Result *result = &results[i];
		Scored what;
		result->recipe = loaded.passes != NULL;
		good = score_head_named(&loaded, task->head, &what, diag)
			&& score_program(&program, &what, &task->data, task->path, o->limit,
				build->progress ? result->variant : NULL, &result->score, diag);
		good = good
			&& (!curve
				|| curve_run(&program, &loaded, &what, &task->data, task->path, o->limit, o->thresholds,
					CURVE_ROUNDS, &result->curve, diag));
		clock_gettime(CLOCK_MONOTONIC, &after);
		result->seconds = (double)(after.tv_sec - before.tv_sec)
			+ 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
		before = after;
	}
	program_close(&program);
	model_unload(&loaded);
	return good;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void describe_counts(const Score *r, int32_t rows, char *text, size_t capacity)
{
	if (r->metric == METRIC_F1)
		snprintf(text, capacity, "%lld right, %lld spurious, %lld missed", (long long)r->spans.right,
			(long long)r->spans.spurious, (long long)r->spans.missed);
	else if (r->metric == METRIC_ACCURACY)
		snprintf(text, capacity, "%lld of %lld", (long long)r->right, (long long)r->of);
	else
		snprintf(text, capacity, "%d pairs", rows);
}

static void print_table(const EvalOptions *o, const EvalTask *task, const Result *results, int n)
{
	const int32_t rows = o->limit && o->limit < task->data.nrows ? o->limit : task->data.nrows;
	printf("%s%s%s on %s: %d rows (%s)\n%-10s %-10s %8s %8s %8s  %s\n", o->build.load.model,
		task->head ? ", " : "", task->head ? task->head : "", task->path, rows, task->data.what, "build",
		"figure", "score", "points", "seconds", "counts");
	for (int i = 0; i < n; i++, results += o->ntasks) {
		const Score *r = &results->score;
		char counts[128], drop[32] = "";
		describe_counts(r, rows, counts, sizeof counts);
		if (i > 0)
			snprintf(drop, sizeof drop, "%+.2f", 100 * (r->value - results[-o->ntasks].score.value));
		printf("%-10s %-10s %8.4f %8s %8.1f  %s\n", results->variant, metric_names[r->metric], r->value, drop,
			results->seconds, counts);
		if (r->truncated)
			printf("%-10s %d texts reach the limit of tokens and may have been cut\n", "", r->truncated);
	}
}

/* One line per head. */
static void print_json(const EvalOptions *o, const EvalTask *task, const Result *results, int n)
{
	static const char *const keys[] = {"accuracy", "f1", "spearman"};
	json_t *builds = json_array();
	for (int i = 0; i < n; i++, results += o->ntasks) {
		const Score *r = &results->score;
		json_t *row = json_pack("{s:s, s:s, s:o, s:f}", "build", results->variant, "metric", keys[r->metric],
			"score", isfinite(r->value) ? json_real(r->value) : json_null(), "seconds", results->seconds);
		if (r->metric == METRIC_F1)
			json_object_update_new(row,
				json_pack("{s:I, s:I, s:I}", "right", (json_int_t)r->spans.right, "spurious",
					(json_int_t)r->spans.spurious, "missed", (json_int_t)r->spans.missed));
		if (r->metric == METRIC_ACCURACY)
			json_object_update_new(
				row, json_pack("{s:I, s:I}", "right", (json_int_t)r->right, "of", (json_int_t)r->of));
		if (results->curve.count)
			json_object_set_new(row, "curve", curve_json(&results->curve, true));
		json_array_append_new(builds, row);
	}
	json_t *all = json_pack("{s:i, s:s, s:o}", "rows",
		o->limit && o->limit < task->data.nrows ? o->limit : task->data.nrows, "form", task->data.what,
		"builds", builds);
	if (task->head)
		json_object_set_new(all, "head", json_string(task->head));
	json_print(all, JSON_REAL_PRECISION(9));
	json_decref(all);
}

static bool is_below(const EvalOptions *o, double plain, double score)
{
	return (!isnan(o->min_score) && !(score >= o->min_score))
		|| (!isnan(o->max_drop) && !(100 * (plain - score) <= o->max_drop));
}

static int score(const EvalOptions *o, Diag *diag)
{
	Result results[2 * TASKS_MAX], *plain = results, *given = results + o->ntasks;
	BuildOptions base = o->build;
	const char *given_name = o->build.run.weights ? o->build.run.weights : "given";
	if (o->build.run.passes)
		given_name = "passes";
	for (int i = 0; i < o->ntasks; i++) {
		plain[i] = (Result){.variant = "fp32"};
		given[i] = (Result){.variant = given_name};
	}
	build_set_passes(&base, NULL);
	base.run.weights = NULL;
	base.run.level = 2;
	base.run.level_given = true;
	int builds = o->build.run.passes || o->build.run.weights || o->build.run.level_given ? 2 : 1;
	if (!evaluate(o, &base, false, plain, diag))
		return EXIT_RUN;
	if (plain->recipe)
		builds = 2;
	if (builds == 2 && !evaluate(o, &o->build, o->curve, given, diag))
		return EXIT_RUN;
	if (o->curve && builds == 1)
		diag_error(
			diag, EXIT_USAGE, 0, "--curve is for a build with passes: --passes='early-exit{data=FILE},O2'");
	const Result *last = builds == 2 ? given : plain;
	bool below = false;
	for (int i = 0; i < o->ntasks; i++) {
		if (o->json)
			print_json(o, &o->tasks[i], &results[i], builds);
		else
			print_table(o, &o->tasks[i], &results[i], builds);
		below |= is_below(o, plain[i].score.value, last[i].score.value);
	}
	if (!o->json && last->curve.count)
		curve_print(&last->curve);
	if (below)
		fprintf(stderr, "%s: error: a requested limit is not met\n", o->build.load.model);
	return below ? EXIT_LIMIT : EXIT_DONE;
}

/* Reads all files before anything is built. */
static bool read_data(EvalOptions *o, Diag *diag)
{
	for (int i = 0; i < o->ntasks; i++) {
		if (!o->tasks[i].head)
			o->tasks[i].head = o->head;
		if (!dataset_read(o->tasks[i].path, &o->tasks[i].data, diag))
			return false;
	}
	return true;
}

static int eval(void *options, Loaded *loaded, Diag *diag)
{
	(void)loaded; /* each build loads the model again */
	EvalOptions *o = options;
	const int status = read_data(o, diag) ? score(o, diag) : EXIT_RUN;
	for (int i = 0; i < o->ntasks; i++)
		dataset_free(&o->tasks[i].data);
	return status;
}

int cmd_eval(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL",
		.doc = "Score the built program on labelled data: the plain fp32 build, and the build with the given "
			   "passes.\v"
			   "Labels are matched by name, else by number. Texts longer than the model takes are "
			   "truncated.\n\n"
			   "Examples:\n"
			   "  bertc eval minilm-sst2 --data sst2/dev.tsv\n"
			   "  bertc eval minilm-ncbi --data ncbi_disease/test.tsv \\\n"
			   "    --weights=bf16 --max-drop 0.5\n"
			   "  bertc eval minilm-l6 --merge=stsb=bitfit-stsb,mrpc=bitfit-mrpc \\\n"
			   "    --data stsb:stsb/test.csv --data mrpc:mrpc/test.tsv",
		.options = table,
		.check = check,
		.work = eval,
		.quiet = true,
	};
	EvalOptions options = {.threads = 1, .min_score = NAN, .max_drop = NAN};
	return command_run(&usage, argc, argv, &options.build);
}
