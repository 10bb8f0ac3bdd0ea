/* cmd_tune.c: `bertc tune MODEL --data FILE --max-drop 1.0`: the smallest and fastest program with the
 * required accuracy. search.c finds it; this file has the options and the printing. (`bertc build --tune` is
 * different: it times kernels.) */
#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bertc.h"
#include "compiler/report/chart.h"
#include "compiler/search/search.h"

typedef struct TuneOptions {
	Search search;
	const char *journal, *json, *svg;
} TuneOptions;

static const char *const prefer_names[] = {"both", "speed", "size"};

#define SEARCH(member) INTO(TuneOptions, search.member)

static const CommandOption table[] = {
	{"data", "FILE", "labelled data: TSV, CSV or CoNLL; a third of it is held back from the search",
		SEARCH(data_path), .needed = "no data: give --data FILE"},
	{"corpus", "FILE", "texts whose words the program must know; prune-vocab may remove other words",
		SEARCH(corpus)},
	{"calibration", "FILE",
		"texts that passes learn from: plain text, one per line, or a file as for --data; labels are ignored "
		"(default: --data)",
		SEARCH(calibration)},
	{"max-drop", "X",
		"largest loss against plain fp32, in points (hundredths; default 1, unless another limit is given)",
		SEARCH(max_drop), 0, 100},
	{"max-bytes", "N", "limit of the bytes of weights and tables", SEARCH(max_bytes), 1, 1e15},
	{"max-latency", "MS", "limit of milliseconds per text of the data; implies --measure", SEARCH(max_ms),
		1e-6, 1e9},
	{"prefer", "WHAT", "goal within the limits: both (time x bytes, default), speed (time) or size (bytes)",
		SEARCH(prefer), WORDS(prefer_names)},
	{"measure", NULL, "decide by measured times, not by the cost model", SEARCH(measure)},
	{"seed", "N", "seed of the held-back rows and of the bootstrap (default 1)", SEARCH(seed), 0, 9e15},
	{"jobs", "N", "candidates at once (default: one per core)", SEARCH(jobs), 1, 256},
	{"candidates", "N", "try at most N combinations (default 24)", SEARCH(limit), 0, 100000},
	{"journal", "FILE", "keep all results in this file; the same command continues from it",
		INTO(TuneOptions, journal)},
	{"json", "FILE", "write all results as JSON", INTO(TuneOptions, json)},
	{"svg", "FILE", "draw accuracy against time as SVG", INTO(TuneOptions, svg)},
	{0},
};

static void check(void *options, struct argp_state *state)
{
	Search *s = &((TuneOptions *)options)->search;
	if (s->build.run.passes || s->build.run.level_given)
		argp_error(state, "tune chooses the passes itself; leave --passes and -O out");
	if (isnan(s->max_drop) && isnan(s->max_bytes) && isnan(s->max_ms))
		s->max_drop = 1;
	if (!isnan(s->max_ms))
		s->measure = true;
}

/* ---- what is printed ------------------------------------------------------------------------- */

static void print_row(const Search *s, const Candidate *c, const char *mark)
{
	char *pipeline = search_pipeline(s, c->level), expected[16] = "", ms[16] = "";
	const Estimate estimate = search_estimate(s, c, SHARE_ALL);
	if (c->expected > 0)
		snprintf(expected, sizeof expected, "%.4f", c->expected);
	if (c->ms > 0)
		snprintf(ms, sizeof ms, "%.3f", c->ms);
	pipeline_hide_folders(pipeline);
	printf("%-2s%8.4f %9s %8.4f %+7.2f  %+6.2f..%-+6.2f %6.2f~%-4.2f %7.2f %8s %7.1f  %s\n", mark,
		c->score[SHARE_SEARCH].value, expected, c->score[SHARE_HELD].value, -search_drop(s, c, SHARE_ALL),
		-c->high, -c->low, 0 - estimate.points, estimate.error, s->done[0].cost.time / c->cost.time, ms,
		(double)c->cost.bytes / 1e6, *pipeline ? pipeline : "(fp32)");
	free(pipeline);
}

static void print_heading(const Search *s)
{
	printf("%s on %s: %s on %d rows of the search, %d rows held back; points on all rows, counted and "
		   "estimated\n",
		s->build.load.model, s->data_path, metric_names[s->metric], s->nsearch, s->nheld);
	printf("  %8s %9s %8s %7s  %14s %11s %7s %8s %7s  %s\n", "searched", "predicted", "held", "points",
		"95 %", "estimate", "faster", "ms", "MB", "pipeline");
}

static void print_result(const Search *s, const int32_t *front, int32_t nfront)
{
	print_heading(s);
	print_row(s, &s->done[0], "");
	for (int32_t i = 0; i < nfront; i++)
		if (front[i] != 0)
			print_row(s, &s->done[front[i]], front[i] == s->winner ? "*" : "");
	if (s->winner < 0) {
		printf("\nno candidate is within the limits\n");
		return;
	}
	printf("\nthe winner (*) without each of its passes\n");
	for (int32_t m = 0; m < s->nmoves; m++)
		for (int32_t i = 0; s->done[s->winner].level[m] && i < s->ndone; i++) {
			int8_t level[MOVES_MAX];
			memcpy(level, s->done[s->winner].level, sizeof level);
			level[m] = 0;
			if (s->done[i].built && !memcmp(level, s->done[i].level, sizeof level))
				print_row(s, &s->done[i], "");
		}
	char *pipeline = search_pipeline(s, s->done[s->winner].level);
	printf("\n%s\n", *pipeline ? pipeline : "O2");
	free(pipeline);
}

static json_t *candidate_json(const Search *s, const Candidate *c, bool on_front)
{
	char *pipeline = search_pipeline(s, c->level);
	json_t *row = json_pack("{s:s, s:b, s:b, s:b}", "pipeline", pipeline, "built", c->built, "front",
		on_front, "winner", s->winner >= 0 && c == &s->done[s->winner]);
	free(pipeline);
	if (!c->built)
		return row;
	const Estimate estimate = search_estimate(s, c, SHARE_ALL);
	json_object_update_new(row,
		json_pack("{s:f, s:f, s:f, s:[f,f], s:f, s:f, s:f, s:f, s:I}", "searched",
			c->score[SHARE_SEARCH].value, "held", c->score[SHARE_HELD].value, "points",
			-search_drop(s, c, SHARE_ALL), "interval", -c->high, -c->low, "estimate", 0 - estimate.points,
			"estimate_error", estimate.error, "differs", c->apart[SHARE_ALL], "faster",
			s->done[0].cost.time / c->cost.time, "bytes", (json_int_t)c->cost.bytes));
	if (c->expected > 0)
		json_object_update_new(row,
			json_pack("{s:f, s:f, s:f}", "predicted", c->expected, "predicted_faster",
				s->done[0].cost.time / c->expected_time, "predicted_bytes", c->expected_bytes));
	if (c->ms > 0)
		json_object_set_new(row, "ms", json_real(c->ms));
	return row;
}

static bool write_json(const Search *s, const char *path, const int32_t *front, int32_t nfront, Diag *diag)
{
	AtomicFile file;
	if (!atomic_open(&file, path, diag))
		return false;
	json_t *rows = json_array();
	for (int32_t i = 0; i < s->ndone; i++) {
		bool on_front = false;
		for (int32_t f = 0; f < nfront; f++)
			on_front |= front[f] == i;
		json_array_append_new(rows, candidate_json(s, &s->done[i], on_front));
	}
	json_t *all = json_pack("{s:s, s:s, s:i, s:i, s:I, s:o}", "model", s->build.load.model, "metric",
		metric_names[s->metric], "searched_rows", s->nsearch, "held_rows", s->nheld, "seed",
		(json_int_t)s->seed, "candidates", rows);
	json_dumpf(all, file.stream, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putc('\n', file.stream);
	json_decref(all);
	return atomic_commit(&file, diag);
}

static bool write_chart(const Search *s, const char *path, const int32_t *front, int32_t nfront, Diag *diag)
{
	AtomicFile file;
	if (!atomic_open(&file, path, diag))
		return false;
	ChartPoint *points = checked_calloc((size_t)(s->ndone + nfront), sizeof *points);
	char **labels = checked_calloc((size_t)(s->ndone + nfront), sizeof *labels);
	int32_t n = 0;
	for (int32_t i = 0; i < s->ndone + nfront; i++) {
		const int32_t which = i < s->ndone ? i : front[i - s->ndone];
		const Candidate *c = &s->done[which];
		if (!c->built)
			continue;
		char *pipeline = search_pipeline(s, c->level);
		pipeline_hide_folders(pipeline);
		labels[n] = checked_printf("%.4f, %.2f times faster, %.1f MB: %s", c->score[SHARE_SEARCH].value,
			s->done[0].cost.time / c->cost.time, (double)c->cost.bytes / 1e6, *pipeline ? pipeline : "fp32");
		const ChartMark front_mark = which == s->winner ? CHART_CHOSEN : CHART_FRONT;
		points[n] = (ChartPoint){s->done[0].cost.time / c->cost.time, c->score[SHARE_SEARCH].value, labels[n],
			i < s->ndone ? CHART_PLAIN : front_mark};
		free(pipeline);
		n++;
	}
	const Chart chart = {"Accuracy and speed of each pipeline", "times faster than fp32 (cost model)",
		metric_names[s->metric], .points = points, .count = n};
	chart_scatter(&chart, file.stream);
	for (int32_t i = 0; i < n; i++)
		free(labels[i]);
	free(labels);
	free(points);
	return atomic_commit(&file, diag);
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Everything besides the pipeline that results depend on. */
static bool make_key(Search *s, const Loaded *loaded, Diag *diag)
{
	char seed[32];
	size_t bytes = 0;
	const char *const files[] = {s->data_path, s->corpus, s->calibration};
	snprintf(seed, sizeof seed, "%llu", (unsigned long long)s->seed);
	s->key = journal_key(journal_key(journal_key(0, BERTC_VERSION), loaded->graph_sha256), seed);
	for (int32_t i = 0; i < loaded->module->nmeta; i++)
		s->key = journal_key(journal_key(s->key, loaded->module->meta[i].key), loaded->module->meta[i].value);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char *text = files[i] ? file_read(files[i], DATASET_BYTES_MAX, &bytes, diag) : NULL;
		if (files[i] && !text)
			return false;
		s->key = journal_key(s->key, text);
		free(text);
	}
	return true;
}

/* Facts about model and data for the search. */
static bool prepare(TuneOptions *o, Diag *diag)
{
	Search *s = &o->search;
	Loaded loaded = {0};
	Scored what;
	bool good = dataset_read(s->data_path, &s->data, diag) && model_load(&s->build.load, &loaded, diag)
		&& score_head(&loaded, &what, diag) && score_metric(&what, &s->data, s->data_path, &s->metric, diag);
	if (good) {
		s->apart = task_embeds(what.head.task);
		search_look(s, loaded.module->graphs[0]);
		s->words = loaded.tokenizer->nvocab;
	}
	for (int32_t i = 0; good && i < s->data.nrows;
		i++) /* an error in the data is reported here, before anything is built */
		good = s->data.form != DATA_LABELS || score_gold(&what, &s->data.rows[i], s->data_path, diag) >= 0;
	good = good && make_key(s, &loaded, diag);
	model_unload(&loaded);
	return good && (!o->journal || journal_open(s, o->journal, diag));
}

/* The entry in the program's --about: its score, the score of plain fp32, and the data. Lost points are over
 * all rows. */
static json_t *winner_figures(const Search *s)
{
	const Candidate *plain = &s->done[0], *c = &s->done[s->winner];
	const char *slash = strrchr(s->data_path, '/');
	const Estimate estimate = search_estimate(s, c, SHARE_ALL);
	json_t *figures = json_pack("{s:s, s:s, s:{s:i, s:f, s:f}, s:{s:i, s:f, s:f}}", "data",
		slash ? slash + 1 : s->data_path, "metric", metric_names[s->metric], "searched", "rows", s->nsearch,
		"fp32", plain->score[SHARE_SEARCH].value, "score", c->score[SHARE_SEARCH].value, "held", "rows",
		s->nheld, "fp32", plain->score[SHARE_HELD].value, "score", c->score[SHARE_HELD].value);
	json_object_update_new(figures,
		json_pack("{s:f, s:f, s:[f,f], s:f, s:f, s:f, s:I, s:I}", "points_lost", search_drop(s, c, SHARE_ALL),
			"standard_error", c->error, "interval", c->low, c->high, "estimate", estimate.points,
			"estimate_error", estimate.error, "faster_by_cost", plain->cost.time / c->cost.time, "bytes",
			(json_int_t)c->cost.bytes, "fp32_bytes", (json_int_t)plain->cost.bytes));
	return figures;
}

static bool build_winner(const Search *s, Diag *diag)
{
	BuildOptions build = s->build;
	build.about.tuned = winner_figures(s);
	char *pipeline = search_pipeline(s, s->done[s->winner].level);
	Loaded loaded = {0};
	build_set_passes(&build, *pipeline ? pipeline : "O2");
	const bool good = model_load(&build.load, &loaded, diag) && build_check(&build, diag)
		&& build_loaded(&build, &loaded, NULL, diag);
	model_unload(&loaded);
	json_decref(build.about.tuned);
	free(pipeline);
	return good;
}

/* Times the plain build and the winner, or under --measure all of the front: passes that learn from data take
 * longer than timing does. */
static bool time_front(Search *s, const int32_t *front, int32_t nfront, Diag *diag)
{
	const int32_t firsts[2] = {0, s->winner};
	bool good = true;
	for (int32_t i = -2; good && i < (s->measure ? nfront : 0); i++) {
		const int32_t which = i < 0 ? firsts[i + 2] : front[i];
		if (s->build.progress)
			progress_show("timing", i + 2, (s->measure ? nfront : 0) + 2);
		good = which < 0 || s->done[which].ms > 0 || candidate_time(s, &s->done[which], diag);
	}
	progress_clear();
	return good;
}

/* Checks that the results can be written, before the search, which takes minutes. */
static bool results_check(const TuneOptions *o, Diag *diag)
{
	const char *const results[] = {o->search.build.result.out, o->json, o->svg};
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		char *folder = results[i] ? checked_strdup(results[i]) : NULL;
		const bool good = !folder || access(dirname(folder), W_OK) == 0
			|| diag_error_in(diag, EXIT_RUN, results[i], 0, "cannot be written: %s", strerror(errno));
		free(folder);
		if (!good)
			return false;
	}
	return build_check(&o->search.build, diag);
}

static int search(TuneOptions *o, Diag *diag)
{
	Search *s = &o->search;
	if (!results_check(o, diag) || !prepare(o, diag) || !search_run(s, diag))
		return EXIT_RUN;
	int32_t *front = checked_calloc((size_t)s->ndone, sizeof *front);
	const int32_t nfront = search_front(s, front);
	bool good = time_front(s, front, nfront, diag);
	if (good && s->measure)
		search_decide(s);
	if (good)
		print_result(s, front, nfront);
	good = good && (!o->json || write_json(s, o->json, front, nfront, diag))
		&& (!o->svg || write_chart(s, o->svg, front, nfront, diag));
	free(front);
	if (!good)
		return EXIT_RUN;
	if (s->winner < 0)
		return EXIT_LIMIT;
	return !s->build.result.out || build_winner(s, diag) ? EXIT_DONE : EXIT_RUN;
}

static int tune(void *options, Loaded *loaded, Diag *diag)
{
	(void)loaded; /* each candidate loads the model again */
	TuneOptions *o = options;
	const int status = search(o, diag);
	search_free(&o->search);
	return status;
}

int cmd_tune(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL",
		.doc = "Search for the smallest and fastest program that keeps the required accuracy on labelled "
			   "data. "
			   "Tries passes alone and together: they remove blocks, heads, neurons, tokens and words, store "
			   "tables in four or eight bits, and multiply in int8.\v"
			   "Among candidates within the budget of points, the one with the smallest time x bytes wins "
			   "(with --prefer: the smallest time or bytes). A cost model predicts the time, so the same "
			   "seed "
			   "gives the same result; measured times are printed too. The loss of a candidate is estimated "
			   "from the points counted and from the square of the share of changed answers, which is less "
			   "noisy. A third of the rows is held back: a candidate can win only if its estimate on these "
			   "rows is within the budget too. Without --calibration, passes learn from the texts of the "
			   "first 250 rows that are not held back. Exit 5 if no candidate is within the limits.\n\n"
			   "Examples:\n"
			   "  bertc tune minilm-sst2 --data sst2/dev.tsv --max-drop 1.0 -o sst2\n"
			   "  bertc tune minilm-sst2 --data sst2/dev.tsv \\\n"
			   "    --corpus sst2/train.tsv --calibration sst2/train.tsv \\\n"
			   "    --journal sst2.journal --svg sst2.svg\n"
			   "  bertc tune minilm-ncbi --data ncbi/devel.tsv --max-bytes 20e6",
		.options = table,
		.check = check,
		.work = tune,
		.quiet = true,
	};
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	TuneOptions options = {.search = {.max_drop = NAN,
							   .max_bytes = NAN,
							   .max_ms = NAN,
							   .seed = 1,
							   .jobs = cores > 1 ? (int32_t)cores : 1,
							   .limit = 24}};
	return command_run(&usage, argc, argv, &options.search.build);
}
