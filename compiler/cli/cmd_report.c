/* cmd_report.c: `bertc report eight|order MODEL --data FILE`: how compression methods combine. Here are the
 * options; report_eight.c and report_order.c do the rest. */
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/report/report.h"

static const CommandOption table[] = {
	{"data", "FILE", "labelled data, as for `bertc eval`", INTO(ReportOptions, data),
		.needed = "no data: give --data FILE"},
	{"limit", "N", "only the first N rows", INTO(ReportOptions, limit), 1, 1 << 30},
	{"student", "DIR", "eight: a smaller model trained for the same task", INTO(ReportOptions, student)},
	{"quantize", "PIPELINE", "eight: quantisation (default quantize-embeddings,quantize-int8)",
		INTO(ReportOptions, quantize)},
	{"prune", "PIPELINE", "eight: pruning (default prune-heads{share=0.9},prune-ffn{share=0.9})",
		INTO(ReportOptions, prune)},
	{"operators", "PIPELINE",
		"order: 2 to 8 passes (default: prune-blocks, prune-heads and prune-ffn, each with share=0.9; "
		"sparsify{sparsity=0.5}, quantize-embeddings, quantize-int8)",
		INTO(ReportOptions, operators)},
	{"seq", "N", "tokens of the timed text (default 128, or the model's limit)", INTO(ReportOptions, seq), 1,
		1 << 20},
	{"repeat", "N", "timed runs; the fastest counts (default 20)", INTO(ReportOptions, repeat), 1, 1e6},
	{"threads", "N", "threads of the programs (default 1)", INTO(ReportOptions, threads), 1, 256},
	{"json", NULL, "print JSON", INTO(ReportOptions, json)},
	{0},
};

static const char no_kind[] = "no report: give eight or order";

static bool is_eight(const ReportOptions *o) { return strcmp(o->kind, "eight") == 0; }

/* The kind, then the model. */
static void take_word(void *options, char *word, struct argp_state *state)
{
	ReportOptions *o = options;
	if (o->kind)
		option_model(&o->build, word, state);
	else if (strcmp(word, "eight") != 0 && strcmp(word, "order") != 0)
		argp_error(state, "%s", no_kind);
	else
		o->kind = word;
}

static void check(void *options, struct argp_state *state)
{
	const ReportOptions *o = options;
	if (is_eight(o) && !o->student)
		argp_error(state, "no student: give --student DIR, a distilled model");
	else if (o->build.run.passes || o->build.run.level_given)
		argp_error(state,
			"report chooses the pipelines; use --quantize, --prune and --operators instead of --passes and "
			"-O");
}

static int report(void *options, Loaded *loaded, Diag *diag)
{
	(void)loaded;
	return is_eight(options) ? report_eight(options, diag) : report_order(options, diag);
}

int cmd_report(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "eight|order MODEL",
		.doc = "Measure how compression methods combine. `eight` builds all combinations of quantisation, "
			   "distillation and pruning. `order` builds pairs of passes in both orders, and compares the "
			   "sum of "
			   "their effects with the measured effect.\v"
			   "Examples:\n"
			   "  bertc report eight minilm-sst2 --data sst2/dev.tsv \\\n"
			   "    --student minilm-sst2-3layers\n"
			   "  bertc report order minilm-sst2 --data sst2/dev.tsv \\\n"
			   "    --operators='drop-layers{strategy=top keep=5},quantize-int8'",
		.options = table,
		.word = take_word,
		.no_words = no_kind,
		.check = check,
		.work = report,
		.quiet = true,
	};
	ReportOptions options = {.threads = 1,
		.repeat = 20,
		.quantize = "quantize-embeddings,quantize-int8",
		.prune = "prune-heads{share=0.9},prune-ffn{share=0.9}",
		.operators = "prune-blocks{share=0.9},"
					 "prune-heads{share=0.9},prune-ffn{share=0.9},sparsify{sparsity=0.5},quantize-embeddings,"
					 "quantize-int8"};
	return command_run(&usage, argc, argv, &options.build);
}
