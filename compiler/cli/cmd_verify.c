/* cmd_verify.c: `bertc verify MODEL`: compares the built program with the reference evaluator. The evaluator
 * runs the imported graph, before any pass, in double precision. Inputs are random ids with a fixed seed, or
 * texts. If a text comes with ids, the tokenizer is compared too. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/measure/metrics.h"
#include "compiler/measure/verify_inputs.h"
#include "compiler/support/json_file.h"
#include "compiler/build/verified.h"

enum {
	INPUTS_MAX = 100000,
	/* random inputs are short, because the evaluator takes about 0.3 s per token of MiniLM */
	INPUT_TOKENS = 32,
};

typedef struct VerifyOptions {
	BuildOptions build;
	const char *data;
	double min_cosine, max_abs; /* NAN: no limit */
	bool json;
	int count, tokens, seed, threads;
} VerifyOptions;

static const CommandOption table[] = {
	{"data", "FILE",
		"texts, one per line (pairs: separated by a tab); or .jsonl with \"text\", \"pair\", \"ids\", "
		"\"types\"",
		INTO(VerifyOptions, data)},
	{"min-cosine", "X", "exit 5 if the cosine of an output is below X", INTO(VerifyOptions, min_cosine), -1,
		1},
	{"max-abs", "X", "exit 5 if an output differs by more than X * max(1, its largest value)",
		INTO(VerifyOptions, max_abs), 0, 1e30},
	{"count", "N", "inputs to compare (default 6 random ones, or 20 texts)", INTO(VerifyOptions, count), 1,
		INPUTS_MAX},
	{"tokens", "N", "longest random input (default 32, or the model's limit)", INTO(VerifyOptions, tokens), 1,
		1 << 20},
	{"seed", "N", "seed of the random ids", INTO(VerifyOptions, seed), 0, 1 << 30},
	{"threads", "N", "threads of the program (default 1)", INTO(VerifyOptions, threads), 1, 256},
	{"json", NULL, "print JSON, for `bertc build --verified`", INTO(VerifyOptions, json)},
	{0},
};

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Rows of the table that an input of the graph indexes; 1 when none does. */
static int32_t table_rows(const Graph *graph, int32_t input)
{
	const Node *lookup = graph_lookup(graph, input, NULL);
	return lookup ? (int32_t)node_table_rows(lookup, 0) : 1;
}

static uint32_t next_random(uint32_t *state) /* xorshift, Marsaglia 2003 */
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

/* Lengths go evenly from 1 to the limit. If the model has types, the last tokens of each input have type
 * 1. */
static void random_inputs(const VerifyOptions *o, const Graph *graph, int32_t max_tokens, Inputs *inputs)
{
	const int32_t vocab = inputs->old_id ? inputs->nnew : table_rows(graph, 0), kinds = table_rows(graph, 1);
	const int32_t count = o->count ? o->count : 6, asked = o->tokens ? o->tokens : INPUT_TOKENS,
				  longest = asked < max_tokens ? asked : max_tokens;
	uint32_t state = (uint32_t)o->seed * 2654435761u + 2463534242u;
	for (int32_t i = 0; i < count; i++) {
		Input *input = verify_inputs_add(
			inputs, count > 1 ? 1 + (int32_t)((int64_t)i * (longest - 1) / (count - 1)) : longest);
		for (int32_t t = 0; t < input->n; t++) {
			input->ids[t] = (int32_t)(next_random(&state) % (uint32_t)vocab);
			input->types[t] = t > input->n / 2 ? kinds - 1 : 0;
		}
	}
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* The comparison of one output over all inputs. */
typedef struct Row {
	const char *name;
	double max_abs, relative, largest,
		cosine;          /* relative: max_abs / max(1, largest) of the worst input; cosine: the least */
	int64_t top, top_of; /* rows with the same largest element; 0 of 0 for outputs without labels */
	bool labelled;
} Row;

/* True when both have the largest element of a row at the same place, or when the program's choice is within
 * rounding of the reference's largest: values may be equal in float but not in double. */
static bool same_top(const double *reference, const float *x, int64_t width)
{
	int64_t best = 0, chosen = 0;
	for (int64_t j = 1; j < width; j++) {
		if (reference[j] > reference[best])
			best = j;
		if (x[j] > x[chosen])
			chosen = j;
	}
	return best == chosen || reference[best] - reference[chosen] <= 1e-6 * fmax(1, fabs(reference[best]));
}

/* The reference on one input. */
static bool evaluate_input(
	const Graph *graph, const Input *input, const int32_t *old_id, EvalArray *outputs, Diag *diag)
{
	int32_t *ids = checked_calloc((size_t)input->n, sizeof *ids);
	for (int32_t t = 0; t < input->n; t++)
		ids[t] = old_id && input->ids[t] >= 0 ? old_id[input->ids[t]] : input->ids[t];
	const int32_t *types = graph->ninputs > 1 ? input->types : NULL;
	const bool good = graph_eval_ids(graph, ids, types, input->n, outputs, diag);
	free(ids);
	return good;
}

static bool compare_input(const Module *reference, const Program *program, const Input *input,
	const int32_t *old_id, Row *rows, Diag *diag)
{
	const Graph *graph = reference->graphs[0];
	EvalArray outputs[32] = {{0}};
	float *out[32] = {NULL};
	size_t floats[32] = {0};
	const int32_t offsets[2] = {0, input->n};
	if (graph->noutputs > 32)
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "more than 32 outputs");
	if (!evaluate_input(graph, input, old_id, outputs, diag))
		return false;
	for (int32_t k = 0; k < graph->noutputs; k++) {
		floats[k] = (size_t)outputs[k].count;
		out[k] = checked_calloc(floats[k], sizeof(float));
	}
	const uint32_t all = graph->noutputs == 32 ? UINT32_MAX : (1u << graph->noutputs) - 1;
	const int32_t *types = graph->ninputs > 1 ? input->types : NULL;
	const int status = program->run_outputs(
		program->context, input->ids, types, offsets, 1, all, out, floats);
	const bool good = status == 0 || diag_error(diag, EXIT_RUN, 0, "%s", program->strerror(status));
	for (int32_t k = 0; k < graph->noutputs; k++) {
		const EvalArray *o = &outputs[k];
		double *values = good ? checked_calloc((size_t)o->count, sizeof *values) : NULL;
		for (int64_t i = 0; values && i < o->count; i++)
			values[i] = eval_at(o, i);
		if (values) {
			const Closeness c = metric_closeness(values, out[k], o->count);
			rows[k].max_abs = fmax(rows[k].max_abs, c.max_abs);
			rows[k].relative = fmax(rows[k].relative, c.max_abs / fmax(1, c.largest));
			rows[k].largest = fmax(rows[k].largest, c.largest);
			rows[k].cosine = fmin(rows[k].cosine, c.cosine);
			const int64_t width = o->rank ? o->dim[o->rank - 1] : 1;
			for (int64_t at = 0; rows[k].labelled && width > 0 && at < o->count; at += width) {
				rows[k].top_of++;
				rows[k].top += same_top(values + at, out[k] + at, width);
			}
		}
		free(values);
		free(out[k]);
		eval_array_free(&outputs[k]);
	}
	return good;
}

/* Outputs whose largest element is a decision: single-label classes and tags, answers' starts and ends,
 * candidates. */
static bool is_labelled(const Module *module, const char *output)
{
	for (int32_t h = 0; h < module->nheads; h++) {
		const Head *head = &module->heads[h];
		if (strcmp(head->output, output) == 0)
			return head->task == TASK_FILL_MASK
				|| ((head->task == TASK_TAG || head->task == TASK_CLASSIFY) && head->problem == PROBLEM_SINGLE
					&& head->nlabels > 1);
	}
	return false;
}

/* ---- reporting ------------------------------------------------------------------------------- */

static int64_t count_tokens(const Inputs *inputs)
{
	int64_t tokens = 0;
	for (int32_t i = 0; i < inputs->count; i++)
		tokens += inputs->at[i].n;
	return tokens;
}

static void print_table(const VerifyOptions *o, const Inputs *inputs, const Row *rows, int32_t n)
{
	printf("%s: %d %s, %lld tokens, against the reference evaluator\n", o->build.load.model, inputs->count,
		o->data ? "texts" : "random inputs", (long long)count_tokens(inputs));
	if (inputs->tokenized)
		printf("token ids identical: %d of %d%s%s\n", inputs->tokenized_right, inputs->tokenized,
			inputs->difference ? "; " : "", inputs->difference ? inputs->difference : "");
	printf("%-16s %12s %12s %12s  %s\n", "output", "max abs", "largest", "cosine", "top-1");
	for (int32_t k = 0; k < n; k++) {
		printf("%-16s %12.3e %12.5g %12.9f", rows[k].name, rows[k].max_abs, rows[k].largest, rows[k].cosine);
		if (rows[k].labelled)
			printf("  %lld of %lld", (long long)rows[k].top, (long long)rows[k].top_of);
		putchar('\n');
	}
}

/* The figures in the form of verified.h. The CPU is the one for which the code that ran was compiled. */
static json_t *figures_json(const VerifyOptions *o, const Program *program, const Inputs *inputs,
	const Row *rows, int32_t n, bool pass)
{
	json_t *outputs = json_array(), *said = json_loads(program->about(), 0, NULL),
		   *build = verified_build(said);
	const char *slash = o->data ? strrchr(o->data, '/') : NULL;
	for (int32_t k = 0; k < n; k++) {
		json_t *row = json_pack("{s:s, s:o, s:o, s:o}", "output", rows[k].name, "max_abs",
			verified_real(rows[k].max_abs), "largest", verified_real(rows[k].largest), "cosine",
			verified_real(rows[k].cosine));
		if (rows[k].labelled) {
			json_object_set_new(row, "top1", json_integer(rows[k].top));
			json_object_set_new(row, "top1_of", json_integer(rows[k].top_of));
		}
		json_array_append_new(outputs, row);
	}
	json_t *figures = json_pack("{s:o, s:i, s:I, s:i, s:i, s:o, s:b}", "build", build, "inputs",
		inputs->count, "tokens", (json_int_t)count_tokens(inputs), "texts_with_ids", inputs->tokenized,
		"token_ids_identical", inputs->tokenized_right, "outputs", outputs, "pass", (int)pass);
	json_object_set_new(build, "cpu", json_string(program->cpu(program->context)));
	if (o->data)
		json_object_set_new(figures, "data", json_string(slash ? slash + 1 : o->data));
	else
		json_object_set_new(figures, "seed", json_integer(o->seed));
	json_decref(said);
	return figures;
}

/* A NaN fails every limit. */
static bool within_limits(const VerifyOptions *o, const Inputs *inputs, const Row *rows, int32_t n)
{
	bool good = inputs->tokenized_right == inputs->tokenized;
	for (int32_t k = 0; k < n; k++) {
		good = good && (isnan(o->min_cosine) || rows[k].cosine >= o->min_cosine);
		good = good && (isnan(o->max_abs) || rows[k].relative <= o->max_abs);
	}
	return good;
}

/* Prints the figures. With -o, and if all limits are met, builds the program once more with the figures. */
static int report(const VerifyOptions *o, Loaded *loaded, const Program *program, const Inputs *inputs,
	const Row *rows, int32_t n, Diag *diag)
{
	const bool pass = within_limits(o, inputs, rows, n);
	json_t *figures = figures_json(o, program, inputs, rows, n, pass);
	if (o->json)
		json_print(figures, JSON_REAL_PRECISION(VERIFIED_DIGITS));
	else
		print_table(o, inputs, rows, n);
	if (pass && o->build.result.out) {
		BuildOptions build = o->build;
		Ledger ledger = {0};
		build.about.figures = figures;
		build.run.print_pipeline = false;
		build_loaded(&build, loaded, &ledger, diag);
		ledger_free(&ledger);
	}
	json_decref(figures);
	if (!pass)
		fprintf(stderr, "%s: error: a requested limit is not met\n", o->build.load.model);
	return pass ? EXIT_DONE : EXIT_LIMIT;
}

static int compare(const VerifyOptions *o, Loaded *loaded, Diag *diag)
{
	Module *reference = module_copy(loaded->module); /* building changes the graph in place */
	Module *again = module_copy(loaded->module);     /* and may do so twice */
	/* a pipeline with merge-tasks merges them itself */
	const bool merged = reference->graphs[0]->level == LEVEL_LOWERED || merge_graphs(reference, diag);
	const Graph *graph = reference->graphs[0];
	Program program = {0};
	Inputs inputs = {0};
	Row *rows = checked_calloc((size_t)graph->noutputs, sizeof *rows);
	bool good = merged && program_open(&o->build, loaded, o->threads, &program, diag);
	if (good && o->tokens > program.max_tokens)
		good = diag_error(diag, EXIT_USAGE, 0, "--tokens=%d: a text has at most %d tokens; give at most %d",
			o->tokens, program.max_tokens, program.max_tokens);
	if (good && loaded->renumbered && loaded->module->nheads > 0
		&& loaded->module->heads[0].task == TASK_FILL_MASK)
		good = diag_error(diag, EXIT_UNSUPPORTED, 0,
			"prune-vocab changes the number of logits, so they cannot be compared with the reference; verify "
			"the other passes without it");
	if (good)
		verify_inputs_renumber(&inputs, loaded);
	const int32_t most = o->count ? o->count : 20;
	if (good && o->data)
		good = verify_inputs_read(&inputs, o->data, most, &program, loaded->tokenizer != NULL, diag);
	else if (good)
		random_inputs(o, graph, program.max_tokens, &inputs);
	for (int32_t k = 0; good && k < graph->noutputs; k++)
		rows[k] = (Row){.name = graph->outputs[k].name,
			.cosine = 1,
			.labelled = is_labelled(reference, graph->outputs[k].name)};
	for (int32_t i = 0; good && i < inputs.count; i++) {
		if (o->build.progress)
			progress_show("comparing", i, inputs.count);
		good = compare_input(reference, &program, &inputs.at[i], inputs.old_id, rows, diag);
	}
	progress_clear();
	int status = EXIT_RUN;
	if (good) {
		Loaded whole = *loaded;
		whole.module = again;
		status = report(o, &whole, &program, &inputs, rows, graph->noutputs, diag);
	}
	verify_inputs_free(&inputs);
	program_close(&program);
	module_free(again);
	module_free(reference);
	free(rows);
	return status;
}

static int verify(void *options, Loaded *loaded, Diag *diag)
{
	const VerifyOptions *o = options;
	if (o->build.result.out && o->build.result.emit == EMIT_BIR)
		diag_error(diag, EXIT_USAGE, 0,
			"--emit=bir: verify keeps the program, library or C that it ran, not a graph");
	else if (build_check(&o->build, diag) && model_load(&o->build.load, loaded, diag))
		return compare(o, loaded, diag);
	return EXIT_RUN;
}

int cmd_verify(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL",
		.doc = "Build a model and compare the program with the reference evaluator (the imported graph in "
			   "double precision).\v"
			   "With -o the program is kept if it is within the limits, and its --about prints the figures."
			   "\n\n"
			   "Examples:\n"
			   "  bertc verify minilm-sst2 --min-cosine 0.99999 --max-abs 1e-4 -o sst2\n"
			   "  bertc verify minilm-sst2 --json >sst2.json &&\n"
			   "    bertc build minilm-sst2 --verified=sst2.json -o sst2\n"
			   "  bertc verify minilm-sst2 --weights=bf16 --data sentences.txt",
		.options = table,
		.work = verify,
		.quiet = true,
	};
	VerifyOptions options = {.min_cosine = NAN, .max_abs = NAN, .seed = 1, .threads = 1};
	return command_run(&usage, argc, argv, &options.build);
}
