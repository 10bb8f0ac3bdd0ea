/* options.c: the command line of the emitted program: options, --help, and options that exclude each other.
 */
#include "program.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>

RT_FN int program_usage(const RtProgram *p, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "%s: error: ", p->model->name);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, " (--help lists the options)\n");
	va_end(arguments);
	return RT_EXIT_USAGE;
}

enum {
	RT_OPT_JSON = 256,
	RT_OPT_IDS,
	RT_OPT_TOKENIZE,
	RT_OPT_LOGITS,
	RT_OPT_HIDDEN,
	RT_OPT_RAW,
	RT_OPT_DIM,
	RT_OPT_PRECISION,
	RT_OPT_RANGES,
	RT_OPT_SIMILARITY,
	RT_OPT_TOKENS,
	RT_OPT_SCHEME,
	RT_OPT_AGGREGATION,
	RT_OPT_FORMAT,
	RT_OPT_THRESHOLD,
	RT_OPT_STRICT,
	RT_OPT_OVERFLOW,
	RT_OPT_ALLOW_NO_ANSWER,
	RT_OPT_NULL_THRESHOLD,
	RT_OPT_PROMPT,
	RT_OPT_QUERY,
	RT_OPT_LABELS,
	RT_OPT_TEMPLATE,
	RT_OPT_MULTI_LABEL,
	RT_OPT_TOP,
	RT_OPT_THREADS,
	RT_OPT_BATCH,
	RT_OPT_SET,
	RT_OPT_ABOUT,
	RT_OPT_BENCH,
	RT_OPT_PROFILE,
	RT_OPT_SEQ,
	RT_OPT_REPEAT,
	RT_OPT_TASK,
	RT_OPT_VERSION,
	RT_OPT_HELP
};
static const struct ProgramOption {
	const char *name, *argument;
	int code;
	const char *help;
} program_options[] = {
	{"json", NULL, RT_OPT_JSON, "print one JSON object per line"},
	{"ids", NULL, RT_OPT_IDS,
		"read token ids instead of text (a tab begins the second segment); no special tokens are added"},
	{"tokenize", NULL, RT_OPT_TOKENIZE, "only print the token ids, in the form that --ids reads"},
	{"logits", NULL, RT_OPT_LOGITS,
		"print the raw output of the head with 9 significant digits, one JSON value per line"},
	{"hidden", NULL, RT_OPT_HIDDEN, "print the last hidden state, [tokens][hidden]"},
	{"raw", NULL, RT_OPT_RAW,
		"print embeddings as bytes: little-endian f32, or codes of --precision; vectors of tokens follow "
		"their number, an int32"},
	{"dim", "N", RT_OPT_DIM, "embeddings: print only the first N numbers, not normalised again"},
	{"precision", "NAME", RT_OPT_PRECISION,
		"embeddings: print each number as float32 (default), a code of 8 bits (int8, uint8) or a bit "
		"(binary, ubinary), as sentence-transformers does; ranges: print the --ranges of the texts instead"},
	{"ranges", "JSON", RT_OPT_RANGES,
		"for int8 and uint8: the least and the greatest number of each dimension, as --precision=ranges "
		"prints them"},
	{"similarity", NULL, RT_OPT_SIMILARITY,
		"embeddings: a line is two texts with a tab between them; print their similarity"},
	{"tokens", NULL, RT_OPT_TOKENS,
		"tagging: print a label for each word (words are separated by white space), that of its first token"},
	{"scheme", "NAME", RT_OPT_SCHEME,
		"tagging: the scheme of the labels: io, iob1, iob2, ioe2, bioes or bilou (default: recognised from "
		"the labels)"},
	{"aggregation", "HOW", RT_OPT_AGGREGATION,
		"tagging: make words and scores as the pipeline of transformers does: simple, first, average or max "
		"(default: the words of the tokenizer, each with the label of its first token)"},
	{"format", "NAME", RT_OPT_FORMAT,
		"tagging: jsonl (as --json), conll (as --tokens), or xml: the text with its spans as elements"},
	{"threshold", "X", RT_OPT_THRESHOLD,
		"multi-label: print all labels with a score of at least X (default 0.5); a tagger prints only the "
		"best of them"},
	{"allow-no-answer", NULL, RT_OPT_ALLOW_NO_ANSWER,
		"question answering: print -1 -1 if the model finds no answer"},
	{"null-threshold", "X", RT_OPT_NULL_THRESHOLD,
		"question answering: print -1 -1 only if the logarithm of the score of no answer is above that of "
		"the best answer by more than X (default 0)"},
	{"prompt", "NAME", RT_OPT_PROMPT,
		"put this prompt of the model (listed below, if it has any) before each text; --prompt= uses none. "
		"If the model has a vector for each token, query and document also choose how a text is encoded"},
	{"query", "TEXT", RT_OPT_QUERY,
		"search and ranking: each text is a document; print its score for this query (of embeddings: their "
		"similarity, with the prompts query and document)"},
	{"top", "K", RT_OPT_TOP,
		"with --query: print only the K best documents, sorted: INDEX (from 0) SCORE DOCUMENT; question "
		"answering: print the K best answers, and a blank line after each text; sparse weights: print only "
		"the K largest"},
	{"labels", "A,B,...", RT_OPT_LABELS,
		"zero-shot classification with a model for natural language inference: choose among these labels"},
	{"template", "TEXT", RT_OPT_TEMPLATE,
		"with --labels: the hypothesis, in which each label replaces {} (default \"This example is {}.\")"},
	{"multi-label", NULL, RT_OPT_MULTI_LABEL,
		"with --labels: score each label by itself; print those with a score of at least --threshold"},
	{"strict", NULL, RT_OPT_STRICT, "refuse invalid UTF-8 (default: it becomes U+FFFD)"},
	{"on-overflow", "RULE", RT_OPT_OVERFLOW,
		"if a text is too long for the model: error, truncate (default, with a note), or window (see below)"},
	{"threads", "N", RT_OPT_THREADS,
		"number of threads (default 1, or BERTC_NUM_THREADS); 0: all CPUs that this process may use"},
	{"batch", "N", RT_OPT_BATCH, "run up to N lines together (default 1); this does not change the output"},
	{"task", "NAME,...", RT_OPT_TASK,
		"for a model with several heads: print only this one; with several names, use the mean of their "
		"logits"},
	{"set", "OPTION=VALUE", RT_OPT_SET,
		"set an option of the library (overflow, strict, prefault, huge_pages) or of the model (listed "
		"below, if it has any)"},
	{"about", NULL, RT_OPT_ABOUT, "print the model, the passes and the sizes of this program as JSON"},
	{"bench", NULL, RT_OPT_BENCH, "time the model on random ids, without the tokenizer"},
	{"profile", NULL, RT_OPT_PROFILE, "time every op on random ids"},
	{"seq", "N,...", RT_OPT_SEQ, "tokens per text for --bench and --profile"},
	{"repeat", "N", RT_OPT_REPEAT, "number of runs for --bench and --profile"},
	{"version", NULL, RT_OPT_VERSION, "print the version"},
	{"help", NULL, RT_OPT_HELP, "print this"},
};
enum { PROGRAM_OPTIONS = sizeof program_options / sizeof *program_options };

static const char *const program_tasks[] = {
	"Prints LABEL and SCORE for each text.",
	"Prints START END LABEL SCORE TEXT for each span (START and END in bytes), and a blank line after each "
	"text.",
	"Prints the embedding of each text as a JSON array.",
	"Prints SCORE for each pair.",
	"Prints START END SCORE ANSWER for each pair of question and context (START and END in bytes of the "
	"context).",
	"Prints the five best TOKEN and SCORE for each mask.",
	"Prints the number of the best choice, from 0, and the SCORE of each. A line is a text and its choices, "
	"separated by tabs.",
	"Prints a vector for each token of each text as a JSON array.",
	"Prints TOKEN and WEIGHT of each weight that is not 0, the largest first.",
};

/* Prints words from a column on, in lines of at most 80 columns; each line begins at that column. */
static void print_wrapped(const char *text, int column)
{
	for (int at = column; *text;) {
		const int n = (int)strcspn(text, " ");
		const int new_line = at > column && at + 1 + n > 80;
		if (new_line)
			printf("\n%*s", column, "");
		else if (at > column)
			putchar(' ');
		at = new_line ? column + n : at + n + (at > column);
		printf("%.*s", n, text);
		text += n + (int)strspn(text + n, " ");
	}
	putchar('\n');
}

/* "FILE: a, b; FILE: c", one file per line. Control characters become '?'. */
RT_FN void help_keys(const char *keys)
{
	printf("  ");
	for (; *keys; keys++) {
		if (strncmp(keys, "; ", 2) == 0) {
			printf("\n  ");
			keys++;
		} else
			putchar((unsigned char)*keys < 32 ? '?' : *keys);
	}
	putchar('\n');
}

RT_FN void program_help(const RtModel *m)
{
	printf("Usage: %s [OPTION...] [TEXT...]\n"
		   "Without TEXT, reads one text per line from standard input. A pair is two texts\n"
		   "separated by a tab.\n",
		m->name);
	if (m->nheads > 0)
		print_wrapped(program_tasks[m->heads[0].task], 0);
	putchar('\n');
	for (int i = 0; i < PROGRAM_OPTIONS; i++) {
		const struct ProgramOption *o = &program_options[i];
		char left[64];
		snprintf(
			left, sizeof left, "--%s%s%s", o->name, o->argument ? "=" : "", o->argument ? o->argument : "");
		printf("  %-22s ", left);
		print_wrapped(o->help, 25);
	}
	for (int32_t i = 0; i < m->noptions; i++)
		printf("%s  %s=%g\n", i ? "" : "\nOptions of the model with their defaults:\n", m->options[i].name,
			m->options[i].value);
	prompt_help(m);
	if (m->unknown_keys) {
		printf("\nThe model's files have keys that bertc did not know. They have no effect:\n");
		help_keys(m->unknown_keys);
	}
	printf("\n"
		   "Windows: --on-overflow=window cuts a text of more than %d tokens into windows\n"
		   "(of a pair, the second text). Logits are averaged over the windows. Embeddings\n"
		   "are averaged, weighted by their numbers of tokens, and normalised again. Of\n"
		   "sparse weights the largest counts. For tags, windows overlap by half, and a\n"
		   "label comes from the window in which the word is nearest to the middle. An\n"
		   "answer is the best of all windows. Answers have at most %d tokens.\n"
		   "BERTC_CPU=NAME runs the program as on that CPU: baseline, native, a level such\n"
		   "as x86-64-v3, or one of the CPUs that --about lists.\n"
		   "Exit status: 0 done, 1 a text failed, 2 usage, 4 not supported by this program\n"
		   "or CPU.\n",
		(int)m->max_tokens, RT_ANSWER_TOKENS);
}

RT_FN int program_integer(const char *text, int least, int most, int *value)
{
	char *end;
	errno = 0;
	const long number = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < least || number > most)
		return 0;
	*value = (int)number;
	return 1;
}

/* Options of the library that are also options of the program; set when the context exists. */
RT_FN int program_library_option(RtProgram *p, const char *text)
{
	RtContext probe = {.overflow = p->options.overflow, .strict = p->options.strict};
	char name[32], *end;
	const char *equals = strchr(text, '=');
	if (!equals || (size_t)(equals - text) >= sizeof name)
		return 0;
	memcpy(name, text, (size_t)(equals - text));
	name[equals - text] = '\0';
	const double value = strtod(equals + 1, &end);
	const int32_t own = rt_option(p->model, name);
	if (own >= 0 && end != equals + 1 && !*end && rt_option_takes(value)) {
		p->options.own[own] = value;
		p->options.has_own |= 1u << own;
		return 1;
	}
	if (end == equals + 1 || *end || rt_set(&probe, name, value) != RT_OK)
		return 0;
	p->options.overflow = probe.overflow;
	p->options.strict = probe.strict;
	p->options.prefault |= strcmp(name, "prefault") == 0;
	p->options.huge_pages |= strcmp(name, "huge_pages") == 0;
	return 1;
}

RT_FN const RtHead *program_head(const RtModel *m, const char *name, size_t bytes)
{
	for (int32_t h = 0; h < m->nheads; h++)
		if (strlen(m->heads[h].name) == bytes && memcmp(m->heads[h].name, name, bytes) == 0)
			return &m->heads[h];
	return NULL;
}

/* --task: from here on the model has only the first named head. The outputs of the other named heads are
 * averaged into its output. */
RT_FN int program_task(RtProgram *p, const char *names)
{
	const RtModel *m = p->model;
	const RtHead *first = NULL;
	p->averaged = 0;
	for (const char *at = names; *at || at == names;) {
		const size_t bytes = strcspn(at, ",");
		const RtHead *head = program_head(m, at, bytes);
		if (!head) {
			char all[512] = "none";
			size_t used = 0;
			for (int32_t h = 0; h < m->nheads && used < sizeof all; h++)
				used += (size_t)snprintf(
					all + used, sizeof all - used, "%s%s", h ? ", " : "", m->heads[h].name);
			return program_usage(
				p, "--task=%s: there is no head %.*s; this program has %s", names, (int)bytes, at, all);
		}
		if (first
			&& (head->task != first->task || head->problem != first->problem
				|| m->outputs[head->output].per_token
				|| m->outputs[head->output].width != m->outputs[first->output].width))
			return program_usage(p,
				"--task=%s: the outputs of %s and %s have different kinds, so they have no mean", names,
				first->name, head->name);
		first = first ? first : head;
		p->averaged |= 1u << head->output;
		at += bytes + (at[bytes] == ',');
	}
	p->head = *first;
	p->chosen = *m;
	p->chosen.heads = &p->head;
	p->chosen.nheads = 1;
	p->model = &p->chosen;
	p->averaged &= ~(1u << first->output);
	return 0;
}

RT_FN int program_option(RtProgram *p, int code, const char *argument)
{
	RtOptions *o = &p->options;
	static const char *const rules[] = {"error", "truncate", "window"};
	char *end;
	switch (code) {
	case RT_OPT_JSON: o->json = 1; break;
	case RT_OPT_IDS: o->ids = 1; break;
	case RT_OPT_TOKENIZE: o->tokenize = 1; break;
	case RT_OPT_LOGITS: o->logits = 1; break;
	case RT_OPT_HIDDEN: o->hidden = 1; break;
	case RT_OPT_RAW: o->raw = 1; break;
	case RT_OPT_RANGES: o->ranges = argument; break;
	case RT_OPT_SIMILARITY: o->similarity = 1; break;
	case RT_OPT_TOKENS: o->tokens = 1; break;
	case RT_OPT_STRICT: o->strict = 1; break;
	case RT_OPT_ABOUT: o->about = 1; break;
	case RT_OPT_BENCH: o->bench = 1; break;
	case RT_OPT_PROFILE: o->profile = 1; break;
	case RT_OPT_SEQ: o->seq = argument; break;
	case RT_OPT_LABELS: o->labels = argument; break;
	case RT_OPT_TEMPLATE: o->pattern = argument; break;
	case RT_OPT_MULTI_LABEL: o->multi_label = 1; break;
	case RT_OPT_PROMPT: o->prompt = argument; break;
	case RT_OPT_QUERY: o->query = argument; break;
	case RT_OPT_ALLOW_NO_ANSWER: o->allow_no_answer = 1; break;
	case RT_OPT_NULL_THRESHOLD:
		o->allow_no_answer = 1;
		o->null_threshold = strtod(argument, &end);
		return end != argument && !*end && o->null_threshold - o->null_threshold == 0
			? 0
			: program_usage(p, "--null-threshold=%s: expected a number", argument);
	case RT_OPT_SCHEME:
		for (o->scheme = RT_SCHEMES; o->scheme > 0; o->scheme--)
			if (strcmp(argument, rt_scheme_name(o->scheme - 1)) == 0)
				return 0;
		return program_usage(p, "--scheme=%s: expected io, iob1, iob2, ioe2, bioes or bilou", argument);
	case RT_OPT_THRESHOLD:
		o->threshold = strtod(argument, &end);
		return end != argument && !*end && o->threshold >= 0 && o->threshold <= 1
			? 0
			: program_usage(p, "--threshold=%s: expected 0 to 1", argument);
	case RT_OPT_OVERFLOW:
		for (int i = 0; i < 3; i++)
			if (strcmp(argument, rules[i]) == 0) {
				o->overflow = i;
				return 0;
			}
		return program_usage(p, "--on-overflow=%s: expected error, truncate or window", argument);
	case RT_OPT_THREADS:
		o->threads = rt_threads_parse(argument);
		return o->threads > 0 ? 0
							  : program_usage(p, "--threads=%s: expected 0 to %d", argument, RT_THREADS_MAX);
	case RT_OPT_BATCH:
		return program_integer(argument, 1, 1 << 16, &o->batch)
			? 0
			: program_usage(p, "--batch=%s: expected 1 to 65536", argument);
	case RT_OPT_TOP:
		return program_integer(argument, 1, 1000000, &o->top)
			? 0
			: program_usage(p, "--top=%s: expected 1 to 1000000", argument);
	case RT_OPT_DIM:
		return program_integer(argument, 1, INT32_MAX, &o->dim)
			? 0
			: program_usage(p, "--dim=%s: expected a number from 1", argument);
	case RT_OPT_PRECISION:
		return embedding_set_precision(o, argument)
			? 0
			: program_usage(
				  p, "--precision=%s: expected float32, int8, uint8, binary, ubinary or ranges", argument);
	case RT_OPT_AGGREGATION:
		return task_set_aggregation(o, argument)
			? 0
			: program_usage(p, "--aggregation=%s: expected simple, first, average or max", argument);
	case RT_OPT_FORMAT:
		return task_set_format(o, argument)
			? 0
			: program_usage(p, "--format=%s: expected jsonl, xml or conll", argument);
	case RT_OPT_REPEAT:
		return program_integer(argument, 1, 1000000, &o->repeat)
			? 0
			: program_usage(p, "--repeat=%s: expected 1 to 1000000", argument);
	case RT_OPT_TASK: return program_task(p, argument);
	case RT_OPT_SET:
		return program_library_option(p, argument)
			? 0
			: program_usage(p, "--set=%s: no such option, or its value is out of range", argument);
	default: return RT_EXIT_USAGE; /* getopt_long has said why */
	}
	return 0;
}

/* Refuses options that this model does not support. Sets the requested outputs. */
RT_FN int program_check(RtProgram *p)
{
	const RtModel *m = p->model;
	const RtOptions *o = &p->options;
	if (o->logits + o->hidden + o->tokenize + o->about + o->bench + o->profile > 1)
		return program_usage(
			p, "--logits, --hidden, --tokenize, --about, --bench and --profile exclude each other");
	if (o->ids && o->tokenize)
		return program_usage(p, "--ids and --tokenize exclude each other");
	if (!m->tokenizer && !o->ids && !o->bench && !o->profile)
		return program_usage(p, "this program has no tokenizer; use --ids");
	int status = prompt_choose(p);
	if (status == 0)
		status = prompt_measure(p);
	if (status == 0)
		status = embedding_check(p);
	if (status)
		return status;
	const int task = m->nheads > 0 ? m->heads[0].task : -1;
	if (o->raw && ((task != RT_TASK_EMBED && task != RT_TASK_SPARSE && !m->late) || o->json))
		return program_usage(p, "--raw is only for embeddings, without --json");
	const char *untagged = task_tags_refuse(m, o);
	if (untagged)
		return program_usage(p, "%s", untagged);
	if (o->hidden) {
		for (int32_t k = 0; k < m->noutputs; k++)
			if (strcmp(m->outputs[k].name, "hidden") == 0 && m->outputs[k].per_token)
				p->mask = 1u << k;
		p->averaged = 0;
		if (!p->mask) {
			fprintf(stderr,
				"%s: error: --hidden: this program does not output the last hidden state; build it with "
				"--outputs=hidden\n",
				m->name);
			return RT_EXIT_UNSUPPORTED;
		}
	} else if (m->nheads == 0 || o->logits) {
		p->mask = 1u << (m->nheads > 0 ? m->heads[0].output : 0);
	} else {
		p->mask = 1u << m->heads[0].output;
		for (int32_t h = 1; h < m->nheads && o->json; h++)
			if (!m->outputs[m->heads[h].output].per_token)
				p->mask |= 1u << m->heads[h].output;
		if (o->json && rt_layers_output(m) >= 0)
			p->mask |= 1u << rt_layers_output(m);
	}
	p->mask |= p->averaged;
	status = zero_shot_check(p);
	return status ? status : rerank_check(p);
}

/* Reads the options. -1: continue; else the exit code, which is 0 after --help, --version or --about. */
RT_FN int program_parse(RtProgram *p, int argc, char **argv)
{
	struct option options[PROGRAM_OPTIONS + 1] = {{NULL, 0, NULL, 0}};
	for (int i = 0; i < PROGRAM_OPTIONS; i++)
		options[i] = (struct option){program_options[i].name,
			program_options[i].argument ? required_argument : no_argument, NULL, program_options[i].code};
	for (int code, status; (code = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		char version[64] = "";
		if (code == RT_OPT_HELP) {
			program_help(p->model);
			return 0;
		}
		if (code == RT_OPT_VERSION) {
			rt_json_find(p->model->about, "bertc", version, sizeof version);
			printf("%s, made by bertc %s\n", p->model->name, version);
			return 0;
		}
		if ((status = program_option(p, code, optarg)) != 0)
			return status;
	}
	if (p->options.about)
		return rt_about(p->model, stdout);
	const int status = program_check(p);
	return status ? status : -1;
}
