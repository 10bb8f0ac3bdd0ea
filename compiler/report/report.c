/* report.c: see report.h. Every build is scored on all the data. It is timed in turns with the plain build,
 * so that other load on the machine affects both. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "compiler/support/files.h"
#include "report.h"

/* ---- measuring ------------------------------------------------------------------------------- */

/* A program and the size of its library. The model stays loaded, because it owns the head's labels. */
static bool open_build(const Report *r, const char *model, const char *passes, Loaded *loaded,
	Program *program, Scored *what, Measured *to)
{
	BuildOptions build = r->options->build;
	struct stat st;
	build.load.model = model;
	build_set_passes(&build, passes);
	build.run.level_given = passes == NULL; /* ignore the passes in a description */
	build.run.level = 2;
	bool good = model_load(&build.load, loaded, r->diag) && score_head(loaded, what, r->diag)
		&& program_open(&build, loaded, r->options->threads, program, r->diag);
	if (!good)
		return false;
	char *path = checked_printf("%s/model.so", program->directory);
	if (stat(path, &st) == 0)
		to->bytes = st.st_size;
	free(path);
	return true;
}

/* Time of one call on a text of this many tokens. Time does not depend on which tokens. */
static bool time_once(const Report *r, const Program *p, int32_t *ids, float *out, double *least)
{
	const int32_t offsets[2] = {0, r->seq};
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	const int status = p->run_ids(
		p->context, ids, NULL, offsets, 1, out, (size_t)p->width * (size_t)(p->per_token ? r->seq : 1));
	clock_gettime(CLOCK_MONOTONIC, &after);
	const double ms = 1e3 * (double)(after.tv_sec - before.tv_sec)
		+ 1e-6 * (double)(after.tv_nsec - before.tv_nsec);
	*least = *least == 0 || ms < *least ? ms : *least;
	return status == 0 || diag_error(r->diag, EXIT_RUN, 0, "%s", p->strerror(status));
}

static bool time_both(const Report *r, const Program *program, Measured *to)
{
	const size_t width = (size_t)(program->width > r->base.width ? program->width : r->base.width);
	int32_t *ids = checked_calloc((size_t)r->seq, sizeof *ids);
	float *out = checked_calloc((size_t)r->seq * width, sizeof *out);
	bool good = true;
	for (int i = 0; good && i < r->options->repeat; i++)
		good = time_once(r, &r->base, ids, out, &to->base_ms) && time_once(r, program, ids, out, &to->ms);
	free(ids);
	free(out);
	return good;
}

static bool measure(Report *r, const Program *program, const Scored *what, Measured *to)
{
	const bool shown = r->options->build.progress;
	if (program->max_tokens < r->seq)
		return diag_error_in(r->diag, EXIT_USAGE, to->model, 0,
			"takes texts of at most %d tokens; give a smaller --seq", program->max_tokens);
	if (!score_program(
			program, what, &r->data, r->options->data, r->options->limit, NULL, &to->score, r->diag)
		|| !time_both(r, program, to))
		return false;
	r->done++;
	if (shown)
		progress_show(to->passes ? to->passes : to->model, r->done, r->of);
	return true;
}

bool report_measure(Report *r, const char *model, char *passes, Measured *to)
{
	Program program = {0};
	Loaded loaded = {0};
	Scored what;
	*to = (Measured){.model = model, .passes = passes};
	bool good = open_build(r, model, passes, &loaded, &program, &what, to) && measure(r, &program, &what, to);
	program_close(&program);
	model_unload(&loaded);
	return good;
}

bool report_open(Report *r, const ReportOptions *options, Measured *plain, Diag *diag)
{
	Scored what;
	*r = (Report){.options = options, .diag = diag};
	*plain = (Measured){.model = options->build.load.model};
	if (!dataset_read(options->data, &r->data, diag))
		return false;
	r->rows = options->limit && options->limit < r->data.nrows ? options->limit : r->data.nrows;
	Loaded loaded = {0};
	bool good = open_build(r, plain->model, NULL, &loaded, &r->base, &what, plain);
	r->seq = r->base.max_tokens < 128 ? r->base.max_tokens : 128;
	if (options->seq)
		r->seq = options->seq;
	good = good && measure(r, &r->base, &what, plain);
	model_unload(&loaded);
	return good;
}

void report_close(Report *r)
{
	program_close(&r->base);
	dataset_free(&r->data);
	progress_clear();
}

/* ---- figures --------------------------------------------------------------------------------- */

Change report_change(const Measured *m, const Measured *plain)
{
	return (Change){100 * (m->score.value - plain->score.value), log((double)m->bytes / (double)plain->bytes),
		m == plain ? 0 : log(m->ms / m->base_ms)};
}

Change change_sum(Change a, Change b, double sign)
{
	return (Change){a.points + sign * b.points, a.size + sign * b.size, a.time + sign * b.time};
}

void report_print_figures(const Measured *m, const Measured *plain)
{
	const Change c = report_change(m, plain);
	printf("%8.4f %+8.2f %9.2f %7.2fx %9.3f %7.2fx\n", m->score.value, c.points, 1e-6 * (double)m->bytes,
		exp(-c.size), m->ms, exp(-c.time));
}

json_t *change_json(Change c)
{
	return json_pack("{s:f, s:f, s:f}", "points", c.points, "smaller", exp(-c.size), "faster", exp(-c.time));
}

json_t *report_json(const char *name, const Measured *m, const Measured *plain)
{
	json_t *row = json_pack("{s:s, s:s, s:s, s:f, s:f, s:I, s:f}", "name", name, "model", m->model, "passes",
		m->passes ? m->passes : "", "score", m->score.value, "loss", m->score.loss, "bytes",
		(json_int_t)m->bytes, "ms", m->ms);
	json_object_update_new(row, change_json(report_change(m, plain)));
	return row;
}

/* A difference counts if it is larger than one text makes. */
static const char *verdict(double points, const Report *r)
{
	if (!(fabs(points) > 100.5 / r->rows))
		return "additive";
	return points > 0 ? "better" : "worse";
}

void report_print_sum(const char *name, Change predicted, Change measured, const Report *r)
{
	const double more = measured.points - predicted.points;
	printf("%-44s %+8.2f %+8.2f %+8.2f  %-8s %8.2fx %7.2fx %8.2fx %7.2fx\n", name, predicted.points,
		measured.points, more, verdict(more, r), exp(-predicted.size), exp(-measured.size),
		exp(-predicted.time), exp(-measured.time));
}

/* Prints a word quoted for the shell. */
static void print_word(const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./,:=+@%";
	if (*word && !word[strspn(word, plain)]) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	putchar('\'');
}

static void print_option(const char *name, const char *value)
{
	if (value) {
		printf(" --%s=", name);
		print_word(value);
	}
}

/* Prints the report's build options, so that the commands build the same programs. */
static void print_build_options(const BuildOptions *o)
{
	print_option("task", o->load.task);
	print_option("merge", o->load.merge);
	print_option("outputs", o->load.outputs);
	if (o->load.max_tokens)
		printf(" --max-tokens=%d", o->load.max_tokens);
	print_option("weights", o->run.weights);
	print_option("compute", o->run.compute);
	print_option("target", o->result.target);
	print_option("cpu", o->result.cpu);
	print_option("sysroot", o->result.sysroot);
	print_option("cc", o->result.cc);
	print_option("tune-cache", o->run.tune_cache);
	print_option("pack", o->result.pack_small ? "small" : NULL);
	for (int i = 0; o->load.search[i]; i++)
		print_option("search", o->load.search[i]);
}

void report_print_commands(const Report *r, const Measured *rows, int n)
{
	printf("\nMB: size of the library, as `bertc build MODEL --passes=.. --emit=shared` makes it.\n"
		   "ms: time of a text of %d tokens on %d thread%s; `bertc bench MODEL --passes=.. --seq %d "
		   "--threads "
		   "%d` measures it again.\n"
		   "faster: against the plain build, timed in turns with each build.\n"
		   "score: these commands measure it again:\n",
		r->seq, r->options->threads, r->options->threads == 1 ? "" : "s", r->seq, r->options->threads);
	for (int i = 0; i < n; i++) {
		printf("  bertc eval ");
		print_word(rows[i].model);
		printf(" --data ");
		print_word(r->options->data);
		if (r->options->limit)
			printf(" --limit %d", r->options->limit);
		print_build_options(&r->options->build);
		print_option("passes", rows[i].passes);
		putchar('\n');
	}
}
