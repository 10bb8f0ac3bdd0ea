/* cmd_report.c: `bertc report eight|order MODEL --data FILE`: how compression methods combine. Here are the
 * options; report_eight.c and report_order.c do the rest. */
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/report/report.h"

enum {
	KEY_DATA = 0x200,
	KEY_LIMIT,
	KEY_STUDENT,
	KEY_QUANTIZE,
	KEY_PRUNE,
	KEY_OPERATORS,
	KEY_THREADS,
	KEY_SEQ,
	KEY_REPEAT,
	KEY_JSON
};

static const struct argp_option table[] = {
	{"data", KEY_DATA, "FILE", 0, "labelled data, as `bertc eval` reads it", 5},
	{"limit", KEY_LIMIT, "N", 0, "only the first N rows", 5},
	{"student", KEY_STUDENT, "DIR", 0, "eight: a smaller model that was trained for the same task", 5},
	{"quantize", KEY_QUANTIZE, "PIPELINE", 0,
		"eight: quantisation (default quantize-embeddings,quantize-int8)", 5},
	{"prune", KEY_PRUNE, "PIPELINE", 0,
		"eight: pruning (default prune-heads{share=0.9},prune-ffn{share=0.9})", 5},
	{"operators", KEY_OPERATORS, "PIPELINE", 0,
		"order: 2 to 8 passes (default prune-blocks{share=0.9},prune-heads{share=0.9},"
		"prune-ffn{share=0.9},sparsify{sparsity=0.5},quantize-embeddings,quantize-int8)",
		5},
	{"seq", KEY_SEQ, "N", 0, "tokens of the text that is timed (default 128, as the model allows)", 5},
	{"repeat", KEY_REPEAT, "N", 0, "runs of it, the fastest of which counts (default 20)", 5},
	{"threads", KEY_THREADS, "N", 0, "threads of the programs (default 1)", 5},
	{"json", KEY_JSON, NULL, 0, "print JSON", 5}, {0}};

static void check(struct argp_state *state, const ReportOptions *o)
{
	if (!o->kind || (strcmp(o->kind, "eight") != 0 && strcmp(o->kind, "order") != 0))
		argp_error(state, "which report: eight or order?");
	else if (!o->build.load.model)
		option_no_model(state);
	else if (!o->data)
		argp_error(state, "no data: give --data FILE");
	else if (strcmp(o->kind, "eight") == 0 && !o->student)
		argp_error(state, "no student: give --student DIR, a distilled model");
	else if (o->build.run.passes || o->build.run.level_given)
		argp_error(state, "a report has pipelines of its own: see --quantize, --prune and --operators");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	ReportOptions *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &o->build; return 0;
	case KEY_DATA: o->data = argument; return 0;
	case KEY_LIMIT: o->limit = (int)option_number(state, "limit", argument, 1, 1 << 30); return 0;
	case KEY_STUDENT: o->student = argument; return 0;
	case KEY_QUANTIZE: o->quantize = argument; return 0;
	case KEY_PRUNE: o->prune = argument; return 0;
	case KEY_OPERATORS: o->operators = argument; return 0;
	case KEY_THREADS: o->threads = (int)option_number(state, "threads", argument, 1, 256); return 0;
	case KEY_SEQ: o->seq = (int)option_number(state, "seq", argument, 1, 1 << 20); return 0;
	case KEY_REPEAT: o->repeat = (int)option_number(state, "repeat", argument, 1, 1e6); return 0;
	case KEY_JSON: o->json = true; return 0;
	case ARGP_KEY_ARG:
		if (!o->kind)
			o->kind = argument;
		else
			option_model(state, &o->build, argument);
		return 0;
	case ARGP_KEY_END: check(state, o); return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

int cmd_report(int argc, char **argv)
{
	ReportOptions options = {.threads = 1,
		.repeat = 20,
		.quantize = "quantize-embeddings,quantize-int8",
		.prune = "prune-heads{share=0.9},prune-ffn{share=0.9}",
		.operators = "prune-blocks{share=0.9},"
					 "prune-heads{share=0.9},prune-ffn{share=0.9},sparsify{sparsity=0.5},quantize-embeddings,"
					 "quantize-int8"};
	build_options_init(&options.build, argc, argv);
	const struct argp_child children[] = {{.argp = &build_argp}, {0}};
	const struct argp argp = {.options = table,
		.parser = parse,
		.args_doc = "eight|order MODEL",
		.children = children,
		.doc = "Measure how compression methods combine: `eight` builds quantisation, distillation and "
			   "pruning in all combinations; `order` "
			   "builds pairs of passes in both orders and compares sums of effects with what is measured.\v"
			   "Examples:\n"
			   "  bertc report eight minilm-sst2 --data sst2/dev.tsv --student minilm-sst2-3layers\n"
			   "  bertc report order minilm-sst2 --data sst2/dev.tsv --operators='drop-layers{strategy=top "
			   "keep=5},quantize-int8'"};
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	options.build.quiet = true;

	Diag diag;
	diag_init(&diag, options.build.load.model);
	int status = strcmp(options.kind, "eight") == 0 ? report_eight(&options, &diag)
													: report_order(&options, &diag);
	return command_end(&options.build, &diag, status);
}
