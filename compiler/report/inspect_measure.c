/* inspect_measure.c: measures the model after each pass. A copy of the module goes through the passes from
 * `lower` on, is compiled for this machine, scored on labelled data and timed. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "compiler/measure/curve.h"
#include "inspect.h"

enum { TIMED_TEXTS = 16, ROUNDS = 9 };

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The ids of all texts, one after another. */
typedef struct Ids {
	int32_t *ids, *types, offsets[TIMED_TEXTS + 1], count;
} Ids;

static bool ids_take(Ids *ids, const Program *program, const Dataset *data, Diag *diag)
{
	ids->ids = checked_calloc((size_t)TIMED_TEXTS * (size_t)program->max_tokens, sizeof *ids->ids);
	ids->types = checked_calloc((size_t)TIMED_TEXTS * (size_t)program->max_tokens, sizeof *ids->types);
	for (int32_t i = 0; i < data->nrows && i < TIMED_TEXTS; i++) {
		const DataRow *row = &data->rows[i];
		const int32_t at = ids->offsets[i];
		int32_t n = 0;
		const int status = program_tokenize(
			program, row->text, row->pair, ids->ids + at, ids->types + at, NULL, program->max_tokens, &n);
		if (status)
			return diag_error(diag, EXIT_INPUT, row->line, "%s", program->strerror(status));
		ids->offsets[++ids->count] = at + n;
	}
	return true;
}

/* Mean time per text on one thread, in the fastest of several rounds. Disturbances can only add time. */
static bool time_program(const Program *program, const Dataset *data, double *ms, Diag *diag)
{
	Ids ids = {0};
	bool good = ids_take(&ids, program, data, diag);
	const size_t room = (size_t)program->width * (size_t)(program->per_token ? program->max_tokens : 1);
	float *out = checked_calloc(room, sizeof *out);
	double best = 0;
	for (int round = 0; good && round < ROUNDS; round++) {
		const double began = now_ms();
		for (int32_t i = 0; good && i < ids.count; i++) {
			const int32_t at = ids.offsets[i], offsets[2] = {0, ids.offsets[i + 1] - at};
			const int status = program->run_ids(
				program->context, ids.ids + at, ids.types + at, offsets, 1, out, room);
			good = !status || diag_error(diag, EXIT_RUN, 0, "%s", program->strerror(status));
		}
		const double took = (now_ms() - began) / (ids.count ? ids.count : 1);
		best = round == 0 || took < best ? took : best;
	}
	*ms = best;
	free(ids.ids);
	free(ids.types);
	free(out);
	return good;
}

/* Runs a copy of the module through the passes from `lower` on and opens it as a program of this machine. */
static bool open_copy(
	const Measurer *m, const Module *module, Loaded *copy, Scored *what, Program *program, Diag *diag)
{
	const BuildOptions plain = {.load.model = m->options->load.model,
		.run.passes = m->tail,
		.result.is_static = -1,
		.hooks = m->options->hooks,
		.quiet = true,
		.about.command = "bertc"};
	*copy = (Loaded){.module = module_copy(module), .tokenizer = m->loaded->tokenizer};
	return score_head(copy, what, diag) && program_open(&plain, copy, 1, program, diag);
}

bool measure_program(Measurer *m, const Module *module, LedgerRow *row, Diag *diag)
{
	static const char *const names[] = {"accuracy", "F1", "Spearman"};
	Loaded copy;
	Program program = {0};
	Scored what;
	Score scores[32];
	bool good = open_copy(m, module, &copy, &what, &program, diag)
		&& score_program(&program, &what, m->data, m->path, m->limit, m->options->progress ? "scoring" : NULL,
			scores, diag);
	if (good) {
		row->scored = true;
		row->score = scores[0].value;
		m->metric = names[scores[0].metric];
	}
	good = good && (!m->timed || time_program(&program, m->data, &row->latency_ms, diag));
	program_close(&program);
	module_free(copy.module);
	return good;
}

bool measure_curve(Measurer *m, const Module *module, json_t **curve, Diag *diag)
{
	Loaded copy;
	Program program = {0};
	Scored what;
	Curve points;
	bool good = open_copy(m, module, &copy, &what, &program, diag);
	*curve = NULL;
	if (good && what.head.task == TASK_CLASSIFY && m->data->form == DATA_LABELS
		&& (good = curve_run(&program, &copy, &what, m->data, m->path, m->limit, NULL,
				m->timed ? CURVE_ROUNDS : 1, &points, diag)))
		*curve = curve_json(&points, m->timed);
	program_close(&program);
	module_free(copy.module);
	return good;
}

bool measure_row(Measurer *m, LedgerRow *row, const Module *module, Diag *diag)
{
	if (!m->data)
		return true;
	/* the program measured before `lower` already includes these passes */
	if (row->pass && (!row->changes || module->graphs[0]->level == LEVEL_LOWERED)) {
		row->scored = m->before.scored;
		row->score = m->before.score;
		row->latency_ms = m->before.latency_ms;
	} else if (!measure_program(m, module, row, diag)) {
		return false;
	}
	m->before = *row;
	return true;
}

char *measure_tail(const Pipeline *pipeline)
{
	const int32_t lower = pipeline_find(pipeline, "lower"), from = lower < 0 ? pipeline->count : lower;
	const Pipeline tail = {.items = pipeline->items + from, .count = pipeline->count - from};
	return pipeline_text(&tail);
}
