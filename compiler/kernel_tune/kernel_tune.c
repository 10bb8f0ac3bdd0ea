/* kernel_tune.c: times the candidates of the cost model (passes/lower/tune.c) on this machine, in this
 * process. Every candidate is a shared object, as `build --emit=shared` makes it. For a linear, it holds the
 * model's linears of that shape, one after another, each with its own weights: short texts then pay for
 * reading weights, as they do in the model. For a chain, it holds the model up to the end of the chain.
 *
 * The first candidate is the default. Candidates run in turns, the default twice a turn. The time of a
 * candidate is the minimum of RUNS runs of at least RUN_MS of CPU time each. Its score is the ratio to the
 * default's time, averaged over the lengths. A gain below 2 % is noise: the default stays. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "compiler/build/tunings.h"
#include "compiler/measure/program.h"
#include "compiler/support/files.h"
#include "kernel_tune.h"

#define CODE "lower,pack-weights,chain-rows,plan-memory"
enum { LENGTHS = 3, RUNS = 7, LINEARS_MAX = 8, CHAIN_LEAST = 2 };
enum {
	WEIGHT_BYTES = 8 << 20 /* weights of one candidate: more than an L2 cache */,
	CACHE_BYTES = 1 << 20 /* assumed if the size of the L2 is unknown */
};
static const double RUN_MS = 3, GAIN = 0.98;
static const int32_t linear_lengths[LENGTHS] = {8, 32, 128}, chain_lengths[LENGTHS] = {64, 128, 256};

typedef struct Candidate {
	Program program;
	double ms[LENGTHS]; /* shortest call so far at each length; 0: none yet */
} Candidate;

typedef struct Contest {
	const BuildRun *run;
	Candidate candidates[TUNE_CANDIDATES_MAX];
	int32_t count, calls_of; /* calls_of: linears that a call runs */
	const int32_t *lengths;
	int32_t *ids; /* zeros: an id of every model */
	float *out;
	size_t floats;
	Diag *diag;
} Contest;

static double now_ms(void) /* CPU time of this thread; excludes other programs */
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- candidates as programs ------------------------------------------------------------------ */

/* Builds the module with the current decisions of the table and opens it as the next candidate. The module
 * is changed. */
static bool contest_add(Contest *contest, Module *module, const char *passes)
{
	const BuildOptions *options = contest->run->options;
	const BuildOptions plain = {.load.model = options->load.model,
		.run.passes = passes,
		.result.cpu = options->result.cpu,
		.result.cc = options->result.cc,
		.result.sysroot = options->result.sysroot,
		.result.no_cache = options->result.no_cache,
		.result.is_static = -1,
		.quiet = true,
		.about.command = "bertc",
		.run.tunings = contest->run->tunings};
	Loaded loaded = {.module = module};
	Candidate *candidate = &contest->candidates[contest->count];
	*candidate = (Candidate){0};
	bool good = program_open(&plain, &loaded, 1, &candidate->program, contest->diag);
	contest->count += good;
	return good;
}

static void contest_close(Contest *contest)
{
	for (int32_t i = 0; i < contest->count; i++)
		program_close(&contest->candidates[i].program);
	free(contest->ids);
	free(contest->out);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static bool call(const Contest *contest, const Candidate *candidate, int32_t tokens, int repeat, double *ms)
{
	const Program *p = &candidate->program;
	const int32_t offsets[2] = {0, tokens};
	const double start = now_ms();
	for (int i = 0; i < repeat; i++) {
		const int status = p->run_ids(
			p->context, contest->ids, NULL, offsets, 1, contest->out, contest->floats);
		if (status)
			return diag_error(contest->diag, EXIT_RUN, 0, "--tune: %s", p->strerror(status));
	}
	*ms = (now_ms() - start) / repeat;
	return true;
}

static bool time_candidate(Contest *contest, int32_t which, int32_t length, int repeat)
{
	double ms = 0, *least = &contest->candidates[which].ms[length];
	if (!call(contest, &contest->candidates[which], contest->lengths[length], repeat, &ms))
		return false;
	*least = *least == 0 || ms < *least ? ms : *least;
	return true;
}

static bool time_length(Contest *contest, int32_t length)
{
	double ms = 0;
	for (int32_t i = contest->count - 1; i >= 0; i--) /* the first call loads pages and code */
		for (int warm = 0; warm < 2; warm++)
			if (!call(contest, &contest->candidates[i], contest->lengths[length], 1, &ms))
				return false;
	const int repeat = ms < RUN_MS ? (int)(RUN_MS / fmax(ms, 1e-4)) + 1 : 1;
	for (int run = 0; run < RUNS; run++)
		for (int32_t i = 0; i <= contest->count; i++)
			if (!time_candidate(contest, i % contest->count, length, repeat))
				return false;
	return true;
}

/* Index of the winner; -1 and a message on error. */
static int32_t contest_run(Contest *contest)
{
	const Program *p = &contest->candidates[0].program;
	int32_t winner = 0, longest = contest->lengths[LENGTHS - 1];
	double least = GAIN;
	contest->floats = (size_t)p->width * (size_t)(p->per_token ? longest : 1);
	contest->ids = checked_calloc((size_t)longest, sizeof *contest->ids);
	contest->out = checked_calloc(contest->floats, sizeof *contest->out);
	for (int32_t length = 0; length < LENGTHS; length++)
		if (!time_length(contest, length))
			return -1;
	for (int32_t i = 1; i < contest->count; i++) {
		double ratio = 0;
		for (int32_t length = 0; length < LENGTHS; length++)
			ratio += contest->candidates[i].ms[length] / contest->candidates[0].ms[length] / LENGTHS;
		if (ratio < least) {
			least = ratio;
			winner = i;
		}
	}
	return winner;
}

/* Prints one line of the table: the shape, milliseconds of the default and of the winner at each length, and
 * the winner. */
static void print_decision(const Contest *contest, int32_t winner, const TuneRow *row)
{
	if (contest->run->options->quiet)
		return;
	progress_clear();
	tune_key_print(row, stdout);
	for (int32_t side = 0; side < 2; side++) {
		fputs(side ? "  chosen" : "  default", stdout);
		for (int32_t length = 0; length < LENGTHS; length++)
			printf("%c%.4f", length ? '/' : ' ',
				contest->candidates[side ? winner : 0].ms[length] / contest->calls_of);
	}
	printf(" ms at %d/%d/%d tokens  ", (int)contest->lengths[0], (int)contest->lengths[1],
		(int)contest->lengths[2]);
	if (row->is_chain)
		printf("%lld rows%s\n", (long long)row->rows, winner ? "" : " (default)");
	else
		printf("%s%s\n", row->kernel->function, winner ? "" : " (default)");
	fflush(stdout);
}

/* ---- linears --------------------------------------------------------------------------------- */

/* True if the file of --tune-cache decides this key. */
static bool is_decided(const TuneTable *table, const TuneRow *key)
{
	const TuneRow *row = tune_find(table, key);
	return row && row->own;
}

static bool is_constant_from(const Node *node, int32_t first)
{
	for (int32_t i = first; i < node->nargs; i++)
		if (!value_is_const(node->args[i]))
			return false;
	return true;
}

/* The key of a linear with one row per token. Linears with one row per text take no time worth tuning. */
static bool linear_key(const Node *node, const char *cpu, TuneRow *key)
{
	return tune_key_linear(node, cpu, key) && type_is_rows(&node->args[0]->type)
		&& is_constant_from(node, node->op == OP_LINEAR_I8 ? 2 : 1);
}

static bool keys_equal(const TuneRow *a, const TuneRow *b)
{
	return a->op == b->op && a->dtype == b->dtype && a->inputs == b->inputs && a->outputs == b->outputs
		&& a->act == b->act;
}

/* Emits a copy of the model's linear over x (and its scale). Shares the constants. NULL: an error. */
static Value *linear_again(Graph *graph, const Node *node, Value *const *x, int32_t nx, Diag *diag)
{
	Value *args[ARGS_MAX];
	for (int32_t i = 0; i < node->nargs; i++)
		args[i] = i < nx ? x[i] : graph_const(graph, NULL, value_tensor(node->args[i]), NULL);
	const Attrs attr = {.has = node->attr.has & A_act, .act = node->attr.act};
	return graph_emit(graph, NULL, node->op, args, node->nargs, &attr, NULL, diag);
}

/* A module of up to LINEARS_MAX of the model's linears of one shape, side by side; *linears: their number.
 * NULL and a message on error. */
static Module *linears_module(const Graph *from, const TuneRow *key, int32_t *linears, Diag *diag)
{
	Module *module = module_new("tune");
	module->max_tokens = linear_lengths[LENGTHS - 1];
	Graph *graph = graph_new(module, "main");
	graph->level = LEVEL_FUSED;
	Value *ids = graph_add_input(graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
	Tensor *table = tensor_new(module, "table", type_make(DT_F32, 2, dim_number(1), dim_number(key->inputs)));
	for (int64_t i = 0; i < key->inputs; i++)
		tensor_set(table, i, (double)(i % 17) / 8 - 1);
	Value *x[2] = {graph_emit(
		graph, NULL, OP_EMBED, (Value *[]){graph_const(graph, NULL, table, NULL), ids}, 2, NULL, NULL, diag)};
	const Node *quantize = key->op == OP_LINEAR_I8 && x[0]
		? graph_insert(graph, NULL, OP_QUANTIZE, x, 1, NULL, NULL, diag)
		: NULL;
	if (quantize)
		memcpy(x, quantize->results, sizeof x);
	Value *y = x[0];
	int64_t bytes = 0;
	*linears = 0;
	for (const Node *node = from->first; node && y && *linears < LINEARS_MAX && bytes < WEIGHT_BYTES;
		node = node->next) {
		TuneRow own;
		if (!linear_key(node, key->cpu, &own) || !keys_equal(&own, key))
			continue;
		y = linear_again(graph, node, x, quantize ? 2 : 1, diag);
		bytes += value_tensor(node->args[quantize ? 2 : 1])->bytes;
		++*linears;
	}
	const Attrs first = {.has = A_mode, .mode = POOL_FIRST};
	Value *row = y ? graph_emit(graph, NULL, OP_POOL, &y, 1, &first, NULL, diag) : NULL;
	if (row) {
		graph_add_output(graph, "embedding", row);
		return module;
	}
	module_free(module);
	return NULL;
}

/* Times the kernels for one shape and adds the decision to the table. While candidates are built, the row
 * holds the kernel of the current candidate. */
static bool tune_linear(const BuildRun *run, const Graph *graph, const TuneRow *key, Diag *diag)
{
	const TuneRow *before = tune_find(run->tunings, key);
	const KernelInfo *kernels[TUNE_CANDIDATES_MAX],
		*usual = before && !(before->kernel->needs & ~run->target->isa)
		? before->kernel
		: kernel_select(key->op, 0, key->dtype, run->target->isa);
	const int32_t count = tune_kernels(key, usual, kernels), at = run->tunings->count;
	if (count < 2)
		return true;
	Contest contest = {.run = run, .lengths = linear_lengths, .diag = diag};
	tune_add(run->tunings, key);
	run->tunings->rows[at].own = true;
	bool good = true;
	for (int32_t i = 0; i < count && good; i++) {
		run->tunings->rows[at].kernel = kernels[i];
		Module *module = linears_module(graph, key, &contest.calls_of, diag);
		good = module && contest_add(&contest, module, CODE);
		module_free(module);
	}
	const int32_t winner = good ? contest_run(&contest) : -1;
	if (winner >= 0) {
		run->tunings->rows[at].kernel = kernels[winner];
		print_decision(&contest, winner, &run->tunings->rows[at]);
	}
	contest_close(&contest);
	return winner >= 0;
}

static bool tune_linears(const BuildRun *run, const Graph *graph, Diag *diag)
{
	int32_t done = 0, all = 0;
	TuneRow key;
	for (const Node *node = graph->first; node; node = node->next)
		all += linear_key(node, run->target->cpus[0].name, &key) && !is_decided(run->tunings, &key);
	for (const Node *node = graph->first; node; node = node->next) {
		if (!linear_key(node, run->target->cpus[0].name, &key) || is_decided(run->tunings, &key))
			continue;
		if (run->options->progress)
			progress_show("timing linears", done, all);
		if (!tune_linear(run, graph, &key, diag))
			return false;
		done++;
	}
	return true;
}

/* ---- chains ---------------------------------------------------------------------------------- */

static int64_t cache_bytes(void)
{
	const long known = sysconf(_SC_LEVEL2_CACHE_SIZE);
	return known > 0 ? known : CACHE_BYTES;
}

/* A copy of the model with one output, the value with that id; NULL: the model has no such value. */
static Module *model_up_to(const Module *model, uint32_t id)
{
	Module *module = module_copy(model);
	Graph *graph = module->graphs[0];
	module->nheads = 0;
	for (Node *node = graph->first; node; node = node->next)
		for (int32_t i = 0; i < node->nresults; i++)
			if (node->results[i]->id == id) {
				graph->noutputs = 0;
				graph_add_output(graph, "hidden", node->results[i]);
				return module;
			}
	module_free(module);
	return NULL;
}

static bool tune_chain(
	const BuildRun *run, const Module *model, const TuneRow *key, int64_t usual, uint32_t id, Diag *diag)
{
	int64_t rows[TUNE_CANDIDATES_MAX];
	const int32_t count = tune_rows(key, usual, cache_bytes(), rows), at = run->tunings->count;
	if (count < 2)
		return true;
	Contest contest = {.run = run, .lengths = chain_lengths, .calls_of = 1, .diag = diag};
	tune_add(run->tunings, key);
	run->tunings->rows[at].own = true;
	bool good = true;
	for (int32_t i = 0; i < count && good; i++) {
		run->tunings->rows[at].rows = rows[i];
		Module *module = model_up_to(model, id);
		good = module ? contest_add(&contest, module, "dce," CODE)
					  : diag_error(diag, EXIT_RUN, 0,
							"--tune: the model has no value at the end of a chain (a fault of bertc)");
		module_free(module);
	}
	const int32_t winner = good ? contest_run(&contest) : -1;
	if (winner >= 0) {
		run->tunings->rows[at].rows = rows[winner];
		print_decision(&contest, winner, &run->tunings->rows[at]);
	}
	contest_close(&contest);
	return winner >= 0;
}

/* The node after the chain that begins at first. *last: the chain's last node; *linears: its number of
 * linears. */
static const Node *chain_end(const Node *first, const Node **last, int32_t *linears)
{
	const Node *end = first;
	*linears = 0;
	for (const Node *node = first; node; node = node->next) {
		if (node->op == OP_CONST)
			continue;
		if (!(node->attr.has & A_chain) || node->attr.chain != first->attr.chain)
			break;
		*linears += node->op == OP_LINEAR || node->op == OP_LINEAR_I8 || node->op == OP_LINEAR_I8_CODES
			|| node->op == OP_LINEAR_BF16;
		end = node;
		*last = node;
	}
	return end->next;
}

/* Times chains of at least two linears. In those the second linear reads the output of the first, so the size
 * of a block of rows matters. `lowered` is the model with chains; its values keep the ids of the model. */
static bool tune_lowered(const BuildRun *run, const Module *model, const Graph *lowered, Diag *diag)
{
	for (const Node *node = lowered->first, *end; node; node = end) {
		const Node *last = node;
		int32_t linears = 0;
		TuneRow key;
		end = node->next;
		if (!(node->attr.has & A_chain))
			continue;
		end = chain_end(node, &last, &linears);
		if (linears < CHAIN_LEAST || last->results[0]->type.dtype != DT_F32
			|| !tune_key_chain(node, end, run->target->cpus[0].name, &key) || is_decided(run->tunings, &key))
			continue;
		if (run->options->progress)
			progress_show("timing blocks of rows", node->attr.chain, node->attr.chain);
		if (!tune_chain(run, model, &key, node->attr.rows, last->results[0]->id, diag))
			return false;
	}
	return true;
}

static bool tune_chains(const BuildRun *run, const Module *model, Diag *diag)
{
	if (model->max_tokens < chain_lengths[LENGTHS - 1])
		return true;
	Module *module = module_copy(model);
	const PassEnv env = {.isa = run->target->isa,
		.cpus = run->target->cpus,
		.ncpus = 1,
		.max_tokens = model->max_tokens,
		.tune = run->tunings};
	Pipeline *pipeline = pipeline_parse("lower,pack-weights,chain-rows", diag);
	bool good = pipeline && pipeline_run(pipeline, module, &env, NULL, NULL, diag)
		&& tune_lowered(run, model, module->graphs[0], diag);
	pipeline_free(pipeline);
	module_free(module);
	return good;
}

/* ---- the whole ------------------------------------------------------------------------------- */

bool tune_check(const Target *target, Diag *diag)
{
	if (target->ncpus > 1)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"--tune times one CPU at a time, not %s: tune on a machine of each CPU with the same "
			"--tune-cache, then build for all of them",
			target->cpu);
	if (!target_runs_here(target))
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"--tune times code on this machine, which cannot run code for %s (%s): tune on a machine "
			"that can, then build here with its file as --tune-cache",
			target->cpu, target->triple);
	return true;
}

/* Saves new decisions. Without any, writes the file only if it does not exist, so that --tune-cache finds
 * one. */
static bool tune_end(const BuildRun *run, int32_t measured, Diag *diag)
{
	if ((measured || file_is_absent(run->options->run.tune_cache))
		&& !tune_save(run->tunings, run->options->run.tune_cache, diag))
		return false;
	if (!run->options->quiet)
		printf("%d shapes timed%s; decisions are in %s\n", (int)measured,
			measured ? "" : " (the file decides the others, or only one kernel fits)",
			run->options->run.tune_cache);
	return true;
}

bool tune_before(void *argument, const char *pass, Module *module, Diag *diag)
{
	const BuildRun *run = argument;
	const int32_t before = run->tunings->count;
	if (strcmp(pass, "lower") != 0 || module->ngraphs != 1)
		return true;
	bool good = tune_linears(run, module->graphs[0], diag)
		&& (!run->chains || tune_chains(run, module, diag));
	if (run->options->progress)
		progress_clear();
	return good && tune_end(run, run->tunings->count - before, diag);
}
