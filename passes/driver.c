/* driver.c: runs a pipeline. Each pass runs over every graph; then the driver verifies, compares numbers,
 * prints, dumps and records. The list of passes and the pipeline parser are in pipeline.c. */
#include "driver.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* The driver warns when a pass that should keep the numbers changes them by more than this. Folding a factor
 * into f32 weights stays below. */
static const double CHANGE_MAX = 1e-4;

typedef struct Driver {
	Module *module;
	const PassEnv *env;
	const DriverOptions *options;
	Diag *diag;
	Module *before; /* copy of the module before the running pass, when a failure must leave a file */
	Sample sample;  /* --check-each: outputs before the running pass */
	char *text;     /* --print-ir-after=changed: the IR before the running pass */
} Driver;

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- printing and dumping ------------------------------------------------------------------- */

static bool driver_print(Driver *d, const PassItem *item)
{
	const char *when = d->options->print_after;
	if (!when)
		return true;
	bool show = !strcmp(when, "all") || !strcmp(when, pass_info[item->pass].name);
	if (!strcmp(when, "changed")) {
		char *text = module_text(d->module, &(PrintOptions){.elide_constants = true});
		show = !d->text || strcmp(text, d->text) != 0;
		free(d->text);
		d->text = text;
	}
	if (show) {
		fprintf(stderr, "# IR after %s\n", item->text);
		module_print(d->module, stderr, &(PrintOptions){.elide_constants = true});
		fputc('\n', stderr);
	}
	return true;
}

/* DIR/07-plan-memory.bir */
static bool driver_dump(Driver *d, int32_t number, const char *name)
{
	if (!d->options->dump_dir)
		return true;
	char *path = checked_printf("%s/%02d-%s.bir", d->options->dump_dir, number, name);
	bool good = module_write(d->module, path, &(PrintOptions){.elide_constants = true}, d->diag);
	free(path);
	return good;
}

static bool driver_make_dump_dir(Driver *d)
{
	const char *dir = d->options->dump_dir;
	if (dir && mkdir(dir, 0777) && errno != EEXIST)
		return diag_error_in(
			d->diag, EXIT_RUN, dir, 0, "--dump-ir cannot make this directory: %s", strerror(errno));
	return true;
}

/* ---- failures ------------------------------------------------------------------------------- */

static bool file_write(const char *path, const char *head, const char *body, size_t bytes)
{
	FILE *out = fopen(path, "wb");
	if (!out)
		return false;
	bool good = fputs(head, out) >= 0 && fwrite(body, 1, bytes, out) == bytes;
	return !fclose(out) && good;
}

/* Puts `# COMMAND` in front of the text of a file. Control characters in the command become spaces, so that
 * it stays on one line. */
static bool file_prefix(const char *path, char *command)
{
	for (char *c = command; *c; c++)
		*c = (unsigned char)*c < ' ' ? ' ' : *c;
	FILE *in = fopen(path, "rb");
	char *body = NULL, *head = checked_printf("# %s\n", command);
	size_t bytes = 0;
	bool good = in
		&& getdelim(&body, &bytes, EOF, in) >= 0; /* .bir text holds no byte 255: this reads all of it */
	if (in)
		fclose(in);
	good = good && file_write(path, head, body, strlen(body));
	free(body);
	free(head);
	return good;
}

/* Writes the module as it was before the pass. The first line is the command that repeats the failure. */
static void driver_leave_failure(Driver *d, const PassItem *item)
{
	const char *path = d->options->failure_path;
	if (!d->before)
		return;
	Diag diag;
	char *command = checked_printf("bertc opt %s '--passes=%s' --verify-each%s%s", path, item->text,
		d->options->reproduce ? "   # found in: " : "", d->options->reproduce ? d->options->reproduce : "");
	diag_init(&diag, path);
	bool good = module_write(d->before, path, &(PrintOptions){0}, &diag) && file_prefix(path, command);
	if (good)
		diag_note(d->diag, 0, "%s failed; the graph before it and the command that repeats it are in %s",
			item->text, path);
	else
		diag_note(d->diag, 0, "%s failed; the graph before it could not be written to %s", item->text, path);
	free(command);
	diag_free(&diag);
}

/* ---- one pass ------------------------------------------------------------------------------- */

/* False and a message when the pass must come before the stage that the graph has reached. */
static bool pass_may_follow(int32_t pass, const char *done, const char *stage, const Graph *graph, Diag *diag)
{
	const char *why = pass_order_why(pass, pass_find(done));
	return !why
		|| diag_error(diag, EXIT_USAGE, graph->line,
			"graph @%s has been through %s already, and %s must come before it: %s", graph->name, stage,
			pass_info[pass].name, why);
}

/* A graph that is read as lowered or planned counts as having had that pass. Passes that must come before
 * fuse look for ops that lowered code no longer has. */
static bool graph_takes_pass(const Graph *graph, int32_t pass, Diag *diag)
{
	const bool lowered = graph->level == LEVEL_LOWERED;
	if (lowered && !pass_may_follow(pass, "fuse", "lower", graph, diag))
		return false;
	if (lowered && !pass_may_follow(pass, "lower", "lower", graph, diag))
		return false;
	return !graph->arena.planned || pass_may_follow(pass, "plan-memory", "plan-memory", graph, diag);
}

static bool driver_check(Driver *d, const PassItem *item, LedgerRow *row)
{
	if (!d->options->check_each)
		return true;
	Sample after;
	if (!sample_run(d->module, d->env, &after, d->diag))
		return false;
	if (pass_info[item->pass].flags & PASS_IDS) {
		sample_free(&d->sample);
		d->sample = after;
		return true;
	}
	Sample common = after;
	if ((pass_info[item->pass].flags & PASS_OUTPUTS) && after.count > d->sample.count)
		common.count = d->sample.count;
	if (!sample_compare(&d->sample, &common, &row->max_abs, &row->cosine)) {
		sample_free(&after);
		return diag_error(d->diag, EXIT_RUN, 0, "%s: the size of the outputs has changed", item->text);
	}
	double largest = 1;
	for (int64_t i = 0; i < d->sample.count; i++)
		largest = fabs(d->sample.v[i]) > largest ? fabs(d->sample.v[i]) : largest;
	row->checked = true;
	sample_free(&d->sample);
	d->sample = after;
	if (!(row->max_abs <= CHANGE_MAX * largest) && !(pass_info[item->pass].flags & PASS_NUMBERS))
		diag_warn(d->diag, 0,
			"%s changed the outputs on sample input by %.3g (cosine %.9f), more than rounding", item->text,
			row->max_abs, row->cosine);
	return true;
}

#ifndef NDEBUG
/* Checks that print, parse, print gives the same text. Only for modules that the text holds completely: no
 * checkpoint, no large new constants. */
static bool driver_round_trip(const Driver *d, const PassItem *item)
{
	if (d->module->weights || module_has_loose_constants(d->module))
		return true;
	const PrintOptions plain = {0};
	char *text = module_text(d->module, &plain);
	Module *read = module_parse(text, strlen(text), ".", NULL, d->diag);
	char *again = read ? module_text(read, &plain) : NULL;
	bool same = again && !strcmp(text, again);
	free(text);
	free(again);
	module_free(read);
	return same
		|| diag_error(d->diag, EXIT_RUN, 0, "%s: the printed IR changes when it is parsed and printed again",
			item->text);
}
#endif

/* Release builds verify once at the end, or after every pass on request. Debug builds verify after every pass
 * and check the text form too. */
static bool driver_verify(const Driver *d, const PassItem *item)
{
#ifdef NDEBUG
	(void)item;
	return !d->options->verify_each || module_verify(d->module, d->diag);
#else
	return module_verify(d->module, d->diag) && driver_round_trip(d, item);
#endif
}

/* Makes a graph for each CPU, over the same constants. The first keeps its name; the others are called
 * @main.znver4. */
static bool driver_split(Driver *d)
{
	Module *module = d->module;
	if (module->ngraphs != 1 || module->graphs[0]->level == LEVEL_LOWERED)
		return true;
	for (int32_t i = 1; i < d->env->ncpus; i++) {
		Graph *copy = graph_copy(module, module->graphs[0]);
		copy->name = mem_printf(module->mem, "%.200s.%s", copy->name, d->env->cpus[i].name);
	}
	if (!d->options->check_each)
		return true;
	sample_free(&d->sample);
	return sample_run(module, d->env, &d->sample, d->diag);
}

/* The target as a pass over graph g sees it. */
static PassEnv driver_env(const Driver *d, int32_t g)
{
	PassEnv env = *d->env;
	if (d->module->ngraphs == env.ncpus) {
		env.isa = env.cpus[g].isa;
		env.cpu = env.cpus[g].name;
	}
	return env;
}

static bool driver_run_item(Driver *d, const PassItem *item, LedgerRow *row)
{
	const PassInfo *pass = &pass_info[item->pass];
	PassRun run = {.item = item, .diag = d->diag, .row = row};
	row->pass = checked_strdup(item->text);
	d->before = d->options->failure_path ? module_copy(d->module) : NULL;
	double start = now_ms();
	bool good = !(pass->flags & PASS_SPLITS) || driver_split(d);
	for (int32_t g = 0; g < d->module->ngraphs && good; g++) {
		const PassEnv env = driver_env(d, g);
		run.env = &env;
		good = graph_takes_pass(d->module->graphs[g], item->pass, d->diag)
			&& pass->run(d->module->graphs[g], &run);
	}
	row->ms = now_ms() - start;
	row->changes = run.changes;
	/* A pass that refuses its input with a message (a shape, an option, its order) has not failed. */
	bool refused = !good && (d->diag->code == EXIT_UNSUPPORTED || d->diag->code == EXIT_USAGE);
	good = good && driver_verify(d, item) && driver_check(d, item, row);
	if (!good && !refused)
		driver_leave_failure(d, item);
	module_free(d->before);
	d->before = NULL;
	if (good)
		module_measure(d->module, row);
	return good;
}

static void driver_explain(const Driver *d, const LedgerRow *row)
{
	for (int32_t i = 0; d->options->explain && i < row->nnotes; i++)
		fprintf(stderr, "%s: %s\n", row->pass, row->notes[i]);
}

static bool driver_begin(Driver *d)
{
	const DriverOptions *options = d->options;
	if (options->print_after && !strcmp(options->print_after, "changed"))
		d->text = module_text(d->module, &(PrintOptions){.elide_constants = true});
	return driver_make_dump_dir(d) && driver_dump(d, 0, "input")
		&& (!options->check_each || sample_run(d->module, d->env, &d->sample, d->diag));
}

static bool driver_run(Driver *d, const Pipeline *pipeline, Ledger *ledger)
{
	const DriverOptions *options = d->options;
	bool good = driver_begin(d);
	if (ledger->count == 0)
		module_measure(d->module, &ledger->start);
	for (int32_t i = 0; i < pipeline->count && good; i++) {
		const PassItem *item = &pipeline->items[i];
		const char *name = pass_info[item->pass].name;
		LedgerRow *row = &ledger->rows[ledger->count++];
		if (options->progress)
			options->progress(options->progress_arg, name, i, pipeline->count);
		good = (!options->before || options->before(options->before_arg, name, d->module, d->diag))
			&& driver_run_item(d, item, row);
		driver_explain(d, row);
		good = good && driver_print(d, item) && driver_dump(d, i + 1, name)
			&& (!options->after || options->after(options->after_arg, row, d->module, d->diag));
		if (options->stop_after && !strcmp(name, options->stop_after))
			break;
	}
	good = good && module_verify(d->module, d->diag);
	if (good && options->progress)
		options->progress(options->progress_arg, NULL, pipeline->count, pipeline->count);
	if (options->time_passes)
		for (int32_t i = 0; i < ledger->count; i++)
			fprintf(stderr, "%9.2f ms  %s\n", ledger->rows[i].ms, ledger->rows[i].pass);
	sample_free(&d->sample);
	free(d->text);
	return good;
}

static bool names_a_pass(const char *name, const char *option, bool words, Diag *diag)
{
	bool known = !name || (words && (!strcmp(name, "all") || !strcmp(name, "changed")));
	for (int32_t i = 0; i < pass_count && !known; i++)
		known = !strcmp(pass_info[i].name, name);
	return known
		|| diag_error(
			diag, EXIT_USAGE, 0, "%s=%.64s: there is no such pass; 'bertc passes' lists them", option, name);
}

bool pipeline_run(const Pipeline *pipeline, Module *module, const PassEnv *env, const DriverOptions *options,
	Ledger *ledger, Diag *diag)
{
	static const DriverOptions plain;
	Ledger own = {0};
	Driver d = {.module = module, .env = env, .options = options ? options : &plain, .diag = diag};
	if (!names_a_pass(d.options->print_after, "--print-ir-after", true, diag)
		|| !names_a_pass(d.options->stop_after, "--stop-after", false, diag))
		return false;
	ledger = ledger ? ledger : &own;
	ledger->rows = checked_grow(
		ledger->rows, &ledger->capacity, (size_t)(ledger->count + pipeline->count), sizeof *ledger->rows);
	memset(ledger->rows + ledger->count, 0, (size_t)pipeline->count * sizeof *ledger->rows);
	bool good = driver_run(&d, pipeline, ledger);
	ledger_free(&own);
	return good;
}
