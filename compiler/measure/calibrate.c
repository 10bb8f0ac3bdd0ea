/* calibrate.c: runs changed copies of a model on data, for passes that learn from data (PassEnv in passes.h).
 * A copy is compiled, always for this machine, so that a large file takes seconds. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "calibrate.h"
#include "neurons.h"
#include "score.h"

/* These passes create no new weights. A graph that computes a layer many times would otherwise hold many
 * copies of them. */
#define PASSES \
	"canonicalize,fold-const,cse,fuse{only=activation,epilogue,attention,first-row,embed-layernorm,add-" \
	"layernorm}," \
	"fold-const,cse,dce"
enum { THREADS_MAX = 8 };

/* The user's options do not apply to these builds. The numbers do not depend on the number of threads. */
bool calibration_open(const BuildRun *calibration, Module *module, Program *program, Diag *diag)
{
	const BuildOptions plain = {.load.model = calibration->options->load.model,
		.run.passes = PASSES,
		.result.is_static = -1,
		.quiet = true,
		.about.command = "bertc"};
	Loaded copy = {.module = module, .tokenizer = calibration->loaded->tokenizer};
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	const int threads = cores > 1 ? (int)cores : 1;
	return program_open(&plain, &copy, threads > THREADS_MAX ? THREADS_MAX : threads, program, diag);
}

typedef struct Observation {
	Program program;
	ObserveFn *each;
	void *argument;
	int32_t *ids, *types, offsets[2];
	float *row;
	Diag *diag;
} Observation;

static bool observe_text(Observation *o, const char *text, const char *pair, int32_t line)
{
	const Program *p = &o->program;
	int32_t n = 0;
	int status = program_tokenize(p, text, pair, o->ids, o->types, NULL, p->max_tokens, &n);
	if (status)
		return diag_error(o->diag, EXIT_INPUT, line, "%s", p->strerror(status));
	o->offsets[1] = n;
	const size_t rows = p->per_token ? (size_t)n : 1;
	status = p->run_ids(p->context, o->ids, o->types, o->offsets, 1, o->row, rows * (size_t)p->width);
	if (status)
		return diag_error(o->diag, EXIT_RUN, line, "%s", p->strerror(status));
	o->each(o->argument, o->row, p->width, n);
	return true;
}

static bool observe_rows(Observation *o, const Dataset *data, bool apart, bool progress)
{
	bool good = true;
	for (int32_t i = 0; i < data->nrows && good; i++) {
		const DataRow *row = &data->rows[i];
		good = observe_text(o, row->text, apart ? NULL : row->pair, row->line)
			&& (!apart || !row->pair || observe_text(o, row->pair, NULL, row->line));
		if (progress && i % 64 == 0)
			progress_show("observing", i, data->nrows);
	}
	return good;
}

static bool observe(void *context, Module *module, const char *path, int32_t limit, ObserveFn *each,
	void *argument, Diag *diag)
{
	const BuildRun *calibration = context;
	const Module *whole = calibration->loaded->module;
	const bool apart = whole->nheads > 0
		&& task_embeds(whole->heads[0].task); /* an embedder embeds the two texts separately */
	Observation o = {.each = each, .argument = argument, .diag = diag};
	Dataset data = {0};
	bool good = dataset_read_texts(path, &data, diag)
		&& calibration_open(calibration, module, &o.program, diag);
	if (limit && limit < data.nrows)
		data.nrows = limit;
	if (good) {
		const char *before = diag->file;
		diag->file = path;
		o.ids = checked_calloc((size_t)o.program.max_tokens, sizeof *o.ids);
		o.types = checked_calloc((size_t)o.program.max_tokens, sizeof *o.types);
		o.row = checked_calloc(
			(size_t)(o.program.per_token ? o.program.max_tokens : 1) * (size_t)o.program.width,
			sizeof *o.row);
		good = observe_rows(&o, &data, apart, calibration->options->progress);
		diag->file = before;
	}
	free(o.ids);
	free(o.types);
	free(o.row);
	program_close(&o.program);
	dataset_free(&data);
	return good;
}

static bool score(
	void *context, Module *module, const char *path, int32_t limit, OutputScore *out, Diag *diag)
{
	const BuildRun *calibration = context;
	const Graph *graph = module->graphs[0];
	Scored what;
	Score scores[32];
	Program program = {0};
	Dataset data = {0};
	bool good = score_head(calibration->loaded, &what, diag) && dataset_read(path, &data, diag);
	what.first = 0;
	what.count = graph->noutputs;
	good = good && calibration_open(calibration, module, &program, diag)
		&& score_program(&program, &what, &data, path, limit,
			calibration->options->progress ? "scoring" : NULL, scores, diag);
	for (int32_t i = 0; good && i < what.count; i++)
		out[i] = (OutputScore){scores[i].value, scores[i].loss};
	program_close(&program);
	dataset_free(&data);
	return good;
}

static bool labels(
	void *context, const char *path, int32_t limit, int32_t **labels, int32_t *count, Diag *diag)
{
	const BuildRun *calibration = context;
	Scored what;
	Dataset data = {0};
	bool good = score_head(calibration->loaded, &what, diag) && dataset_read(path, &data, diag);
	if (good && data.form != DATA_LABELS)
		good = diag_error_in(diag, EXIT_INPUT, path, 0, "(%s): expected texts with labels", data.what);
	*count = limit && limit < data.nrows ? limit : data.nrows;
	*labels = good ? checked_calloc((size_t)*count, sizeof **labels) : NULL;
	for (int32_t i = 0; good && i < *count; i++)
		good = ((*labels)[i] = score_gold(&what, &data.rows[i], path, diag)) >= 0;
	dataset_free(&data);
	return good;
}

void calibration_offer(BuildRun *calibration, PassEnv *env)
{
	if (!calibration->loaded->tokenizer)
		return;
	env->calibration = calibration;
	env->observe = observe;
	env->score = score;
	env->labels = labels;
	env->rank = neurons_rank;
	env->vocab_used = vocabulary_used;
	env->vocab_never = vocabulary_never;
	env->vocab_continues = vocabulary_continues;
	env->vocab_renumber = vocabulary_renumber;
}
