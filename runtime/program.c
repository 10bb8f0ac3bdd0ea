/* program.c: the emitted program's main: options, texts in groups of --batch, errors by line. What is printed for a text is in
 * tasks.c. */
#include "program.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>

/* ---- memory and messages --------------------------------------------------------------------------------------------------- */

RT_FN void *rt_grow(void *memory, size_t *have_bytes, size_t want_bytes)
{
	if (want_bytes <= *have_bytes)
		return memory;
	size_t bytes = *have_bytes + *have_bytes / 2;
	if (bytes < want_bytes)
		bytes = want_bytes;
	void *grown = realloc(memory, bytes);
	if (!grown) {
		fputs("error: out of memory\n", stderr);
		exit(RT_EXIT_RUN);
	}
	*have_bytes = bytes;
	return grown;
}

/* The same for `count` int32 of which *capacity are there. */
RT_FN int32_t *program_column(int32_t *column, int32_t capacity, int32_t want)
{
	size_t have = (size_t)capacity * sizeof *column;
	return rt_grow(column, &have, (size_t)want * sizeof *column);
}

RT_FN void rt_complain(RtProgram *p, const RtItem *item, const char *kind, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "%s:%lld: %s: ", p->source, (long long)item->number, kind);
	vfprintf(stderr, format, arguments);
	putc('\n', stderr);
	va_end(arguments);
	if (strcmp(kind, "error") == 0)
		p->failed = 1;
}

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

/* ---- options ------------------------------------------------------------------------------------------------------------ */

enum {
	RT_OPT_JSON = 256, RT_OPT_IDS, RT_OPT_TOKENIZE, RT_OPT_LOGITS, RT_OPT_HIDDEN, RT_OPT_RAW, RT_OPT_TOKENS, RT_OPT_THRESHOLD,
	RT_OPT_STRICT, RT_OPT_OVERFLOW, RT_OPT_ALLOW_NO_ANSWER, RT_OPT_THREADS, RT_OPT_BATCH, RT_OPT_SET, RT_OPT_ABOUT, RT_OPT_BENCH,
	RT_OPT_PROFILE, RT_OPT_SEQ, RT_OPT_REPEAT, RT_OPT_TASK, RT_OPT_VERSION, RT_OPT_HELP
};
static const struct ProgramOption { const char *name, *argument; int code; const char *help; } program_options[] = {
	{"json", NULL, RT_OPT_JSON, "one JSON object a line"},
	{"ids", NULL, RT_OPT_IDS, "read token ids instead of text; a tab starts the second segment; nothing is added to them"},
	{"tokenize", NULL, RT_OPT_TOKENIZE, "print the token ids, as --ids reads them, and stop there"},
	{"logits", NULL, RT_OPT_LOGITS, "print the raw output of the head, 9 significant digits, one JSON value a line"},
	{"hidden", NULL, RT_OPT_HIDDEN, "print the last hidden state, [tokens][hidden]"},
	{"raw", NULL, RT_OPT_RAW, "embeddings as little-endian f32"},
	{"tokens", NULL, RT_OPT_TOKENS, "tagging: a label for each white-space-separated word (its first token's)"},
	{"threshold", "X", RT_OPT_THRESHOLD, "multi-label: print labels at or above X (0.5)"},
	{"allow-no-answer", NULL, RT_OPT_ALLOW_NO_ANSWER, "question answering: -1 -1 when the model holds that there is none"},
	{"strict", NULL, RT_OPT_STRICT, "invalid UTF-8 is an error (else it becomes U+FFFD)"},
	{"on-overflow", "RULE", RT_OPT_OVERFLOW,
		"a text longer than the model takes: error, truncate (default, with a note), or window"},
	{"threads", "N", RT_OPT_THREADS, "threads (1); 0: as many as this machine grants; also BERTC_NUM_THREADS"},
	{"batch", "N", RT_OPT_BATCH, "run up to N lines together (1); results are the same bytes"},
	{"task", "NAME,...", RT_OPT_TASK, "of several heads, the one to print; of those named, the mean of their logits"},
	{"set", "OPTION=VALUE", RT_OPT_SET, "set an option of the library (overflow, strict, prefault, huge_pages) or of the model (see below)"},
	{"about", NULL, RT_OPT_ABOUT, "what this program was made from, as JSON"},
	{"bench", NULL, RT_OPT_BENCH, "time the model on random ids, without the tokenizer"},
	{"profile", NULL, RT_OPT_PROFILE, "time every op on random ids"},
	{"seq", "N,...", RT_OPT_SEQ, "tokens a text for --bench and --profile"},
	{"repeat", "N", RT_OPT_REPEAT, "runs for --bench and --profile"},
	{"version", NULL, RT_OPT_VERSION, "print the version"},
	{"help", NULL, RT_OPT_HELP, "print this"},
};
enum { PROGRAM_OPTIONS = sizeof program_options / sizeof *program_options };

static const char *const program_tasks[] = {
	"LABEL and SCORE a text",
	"START END LABEL SCORE TEXT a span, in bytes; a blank line after each text",
	"the embedding, a JSON array a text",
	"SCORE a pair",
	"START END SCORE ANSWER a question and its context (two texts), in bytes of the context",
	"the five best TOKEN and SCORE for each mask",
};

RT_FN void program_help(const RtModel *m)
{
	printf("Usage: %s [OPTION...] [TEXT...]\n"
		"Reads one text a line from standard input when no TEXT is given; a pair is two texts with a tab between.\n", m->name);
	if (m->nheads > 0)
		printf("Prints %s.\n", program_tasks[m->heads[0].task]);
	putchar('\n');
	for (int i = 0; i < PROGRAM_OPTIONS; i++) {
		const struct ProgramOption *o = &program_options[i];
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? "=" : "", o->argument ? o->argument : "");
		printf("  %-22s %s\n", left, o->help);
	}
	for (int32_t i = 0; i < m->noptions; i++)
		printf("%s  %s=%g\n", i ? "" : "\nOptions of the model, and their values where --set says nothing:\n", m->options[i].name,
			m->options[i].value);
	printf("\n"
		"Windows: a text of more than %d tokens is cut into windows (of a pair, the second text is). Logits are averaged over\n"
		"them; embeddings are averaged by tokens and normalised again; a tag comes from the window where its word lies nearest\n"
		"the middle (windows overlap by half); an answer is the best of all windows. Answers have at most %d tokens.\n"
		"BERTC_CPU=baseline (or a CPU level such as x86-64-v3, or native) makes the program behave as on such a CPU; the name\n"
		"of a CPU in --about makes it run the code for that one.\n"
		"Exit status: 0 done, 1 a text failed, 2 usage, 4 not supported by this program or CPU.\n",
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

/* Options of the library, set once the context is there; these are the same as options of the program. */
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
	if (own >= 0 && end != equals + 1 && !*end && value == value) {
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

/* --task: from here on the model has the first head named, and no other; the outputs of the others are averaged into its own. */
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
				used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", h ? ", " : "", m->heads[h].name);
			return program_usage(p, "--task=%s: there is no head %.*s; this program has %s", names, (int)bytes, at, all);
		}
		if (first && (head->task != first->task || head->problem != first->problem || m->outputs[head->output].per_token
			|| m->outputs[head->output].width != m->outputs[first->output].width))
			return program_usage(p, "--task=%s: %s and %s do not give numbers of one kind, which a mean could be taken of", names,
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
	case RT_OPT_JSON:     o->json = 1; break;
	case RT_OPT_IDS:      o->ids = 1; break;
	case RT_OPT_TOKENIZE: o->tokenize = 1; break;
	case RT_OPT_LOGITS:   o->logits = 1; break;
	case RT_OPT_HIDDEN:   o->hidden = 1; break;
	case RT_OPT_RAW:      o->raw = 1; break;
	case RT_OPT_TOKENS:   o->tokens = 1; break;
	case RT_OPT_STRICT:   o->strict = 1; break;
	case RT_OPT_ABOUT:    o->about = 1; break;
	case RT_OPT_BENCH:    o->bench = 1; break;
	case RT_OPT_PROFILE:  o->profile = 1; break;
	case RT_OPT_SEQ:      o->seq = argument; break;
	case RT_OPT_ALLOW_NO_ANSWER: o->allow_no_answer = 1; break;
	case RT_OPT_THRESHOLD:
		o->threshold = strtod(argument, &end);
		return end != argument && !*end && o->threshold >= 0 && o->threshold <= 1 ? 0
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
		return o->threads > 0 ? 0 : program_usage(p, "--threads=%s: expected 0 to %d", argument, RT_THREADS_MAX);
	case RT_OPT_BATCH:
		return program_integer(argument, 1, 1 << 16, &o->batch) ? 0
			: program_usage(p, "--batch=%s: expected 1 to 65536", argument);
	case RT_OPT_REPEAT:
		return program_integer(argument, 1, 1000000, &o->repeat) ? 0
			: program_usage(p, "--repeat=%s: expected 1 to 1000000", argument);
	case RT_OPT_TASK: return program_task(p, argument);
	case RT_OPT_SET:
		return program_library_option(p, argument) ? 0
			: program_usage(p, "--set=%s: no such option, or its value is out of range", argument);
	default:
		return RT_EXIT_USAGE;   /* getopt_long has said why */
	}
	return 0;
}

/* BERTC_CPU may name a CPU level: go on as if this CPU had no more than that. The bits, or UINT32_MAX for an unknown name. */
RT_FN uint32_t program_level(const char *name)
{
	static const struct { const char *name; uint32_t isa; } levels[] = {
		{"native", UINT32_MAX >> 1}, {"baseline", CPU_NEON64}, {"x86-64", 0}, {"x86-64-v2", 0}, {"x86-64-v3", CPU_AVX2},
		{"x86-64-v4", CPU_AVX2 | CPU_AVX512}, {"armv8-a", CPU_NEON64}, {"armv7-a", 0}, {"armv7-a+neon", CPU_NEON32},
	};
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (strcmp(name, levels[i].name) == 0)
			return levels[i].isa;
	return UINT32_MAX;
}

/* "x86-64-v3, x86-64-v4": what the program was built for. */
RT_FN void program_cpus(const RtModel *m, char *text, size_t bytes)
{
	size_t used = 0;
	text[0] = '\0';
	for (int32_t i = 0; i < m->nvariants && used < bytes; i++)
		used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", m->variants[i].cpu);
}

/* Chooses the code: that which BERTC_CPU names, else the newest for this CPU, or for one of no more than the level BERTC_CPU. */
RT_FN int program_choose(const RtProgram *p, const RtVariant **variant)
{
	const RtModel *m = p->model;
	const char *cpu = getenv("BERTC_CPU");
	const uint32_t isa = rt_cpu_isa();
	const RtVariant *named = NULL;
	char cpus[512];
	program_cpus(m, cpus, sizeof cpus);
	for (int32_t i = 0; cpu && i < m->nvariants; i++)
		if (strcmp(cpu, m->variants[i].cpu) == 0)
			named = &m->variants[i];
	const uint32_t level = program_level(cpu && !named ? cpu : "native");
	if (level == UINT32_MAX)
		return program_usage(p, "BERTC_CPU=%s: expected native, baseline, x86-64-v2, x86-64-v3, x86-64-v4, armv8-a, armv7-a, "
			"armv7-a+neon, or what this program was built for: %s", cpu, cpus);
	*variant = !named ? rt_choose(m, isa & level) : named->isa & ~isa ? NULL : named;
	if (*variant || p->options.tokenize)
		return 0;
	fprintf(stderr, "%s: error: %s lacks %s, which this program was compiled for (%s); build it with --cpu=baseline%s\n", m->name,
		!named && rt_choose(m, isa) ? "BERTC_CPU" : "this CPU", cpu_lacks((named ? named : m->variants)->isa, isa & level),
		cpus, m->nvariants > 1 ? " among others" : "");
	return RT_EXIT_UNSUPPORTED;
}

/* The environment, then the CPU, then the context. */
RT_FN int program_start(RtProgram *p)
{
	const RtModel *m = p->model;
	const RtVariant *variant = NULL;
	const char *threads = getenv("BERTC_NUM_THREADS");
	if (threads && rt_threads_parse(threads) < 0)
		return program_usage(p, "BERTC_NUM_THREADS=%s: expected 0 to %d", threads, RT_THREADS_MAX);
	const int status = program_choose(p, &variant);
	if (status != 0 || p->options.tokenize)
		return status;
	if (p->options.threads == 0)
		p->options.threads = threads ? rt_threads_parse(threads) : 1;
	p->context = rt_new_variant(m, variant, p->options.threads);
	if (!p->context) {
		fprintf(stderr, "%s: error: %s\n", m->name, rt_why(m));
		return RT_EXIT_RUN;
	}
	for (int32_t i = 0; i < m->noptions; i++)
		if (p->options.has_own >> i & 1)
			p->context->options[i] = p->options.own[i];
	if ((p->options.huge_pages && rt_huge_pages(m) != RT_OK) || (p->options.prefault && rt_prefault(m) != RT_OK)) {
		fprintf(stderr, "%s: error: no memory for the weights\n", m->name);
		return RT_EXIT_RUN;
	}
	return 0;
}

/* What the options ask for and this model does not have; sets the outputs that are wanted. */
RT_FN int program_check(RtProgram *p)
{
	const RtModel *m = p->model;
	const RtOptions *o = &p->options;
	if (o->logits + o->hidden + o->tokenize + o->about + o->bench + o->profile > 1)
		return program_usage(p, "--logits, --hidden, --tokenize, --about, --bench and --profile exclude each other");
	if (o->ids && o->tokenize)
		return program_usage(p, "--ids and --tokenize exclude each other");
	if (!m->tokenizer && !o->ids && !o->bench && !o->profile)
		return program_usage(p, "this program has no tokenizer: give it --ids");
	if (o->raw && (m->nheads == 0 || m->heads[0].task != RT_TASK_EMBED || o->json))
		return program_usage(p, "--raw is for embeddings, without --json");
	if (o->tokens && (m->nheads == 0 || m->heads[0].task != RT_TASK_TAG || o->ids))
		return program_usage(p, "--tokens is for taggers that read text");
	if (o->hidden) {
		for (int32_t k = 0; k < m->noutputs; k++)
			if (strcmp(m->outputs[k].name, "hidden") == 0 && m->outputs[k].per_token)
				p->mask = 1u << k;
		p->averaged = 0;
		if (!p->mask) {
			fprintf(stderr, "%s: error: --hidden: this program does not keep the last hidden state; "
				"build it with --outputs=hidden\n", m->name);
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
	return 0;
}

/* ---- from a line to tokens ---------------------------------------------------------------------------------------------- */

/* Room for n more tokens in all columns. */
RT_FN void program_tokens(RtProgram *p, int32_t n)
{
	if (p->tokens_capacity - p->ntokens >= n)
		return;
	const int32_t want = p->ntokens + n;
	p->ids = program_column(p->ids, p->tokens_capacity, want);
	p->types = program_column(p->types, p->tokens_capacity, want);
	p->start = program_column(p->start, p->tokens_capacity, want);
	p->end = program_column(p->end, p->tokens_capacity, want);
	p->word = program_column(p->word, p->tokens_capacity, want);
	p->tokens_capacity = want;
}

RT_FN RtRun *program_piece(RtProgram *p, RtItem *item, int32_t n)
{
	size_t have = (size_t)p->pieces_capacity * sizeof *p->pieces;
	p->pieces = rt_grow(p->pieces, &have, (size_t)(p->npieces + 1) * sizeof *p->pieces);
	p->pieces_capacity = (int32_t)(have / sizeof *p->pieces);
	RtRun *piece = &p->pieces[p->npieces++];
	*piece = (RtRun){.at = p->ntokens, .n = n, .high = SIZE_MAX};
	p->ntokens += n;
	item->npieces++;
	return piece;
}

/* "101 2023\t2003 102": ids as they are. */
RT_FN void program_read_ids(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	const char *at = p->bytes + item->at, *end = at + item->bytes;
	const int32_t limit = m->max_tokens;
	int32_t n = 0, segment = 0, second = 0;
	program_tokens(p, limit);
	while (at < end) {
		if (*at == ' ') {
			at++;
			continue;
		}
		if (*at == '\t') {
			if (++segment > 1) {
				rt_complain(p, item, "error", "more than two segments");
				return;
			}
			second = n;
			at++;
			continue;
		}
		int64_t id = 0;
		const char *word = at;
		while (at < end && *at >= '0' && *at <= '9' && id <= INT32_MAX)
			id = 10 * id + (*at++ - '0');
		if (at == word || (at < end && *at != ' ' && *at != '\t')) {
			rt_complain(p, item, "error", "\"%.*s\": expected token ids, numbers with spaces between",
				(int)rt_min((int)strcspn(word, " \t"), (int)(end - word) < 40 ? (int)(end - word) : 40), word);
			return;
		}
		if (id >= m->vocab) {
			rt_complain(p, item, "error", "token id %lld: the vocabulary has ids 0 to %d", (long long)id, (int)m->vocab - 1);
			return;
		}
		if (n < limit) {
			p->ids[p->ntokens + n] = (int32_t)id;
			p->types[p->ntokens + n] = segment < m->type_vocab ? segment : 0;
		}
		n++;
	}
	item->total = n;
	if (n > limit && p->options.overflow != RT_OVERFLOW_TRUNCATE) {
		rt_complain(p, item, "error", "%d tokens, at most %d%s", (int)n, (int)limit,
			p->options.overflow == RT_OVERFLOW_WINDOW ? "; windows need text" : "");
		return;
	}
	item->truncated = n > limit;
	RtRun *piece = program_piece(p, item, rt_min(n, limit));
	piece->count = piece->n;
	if (m->nheads > 0 && m->heads[0].task == RT_TASK_QA) {   /* the context: all of the second segment but its separator */
		piece->first = rt_min(segment ? second : 0, piece->n);
		piece->count = rt_max(piece->n - piece->first - 1, 0);
	}
}

/* What a text must have once it is tokens: ids of the model's own (its tokenizer may know more) and, for fill-mask, a mask. */
RT_FN void program_check_tokens(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	const int to_fill = m->nheads > 0 && m->heads[0].task == RT_TASK_FILL_MASK && !p->options.logits && !p->options.hidden;
	if (p->options.tokenize || item->npieces == 0)
		return;
	const RtRun *first = &p->pieces[item->first_piece];
	int32_t masks = 0, unknown = -1;
	for (int32_t i = first->at; i < p->ntokens; i++) {
		unknown = p->ids[i] >= m->vocab ? p->ids[i] : unknown;
		masks += task_is_mask(m, p->ids[i]);
	}
	if (unknown >= 0)
		rt_complain(p, item, "error", "token id %d of the tokenizer: the model has ids 0 to %d", (int)unknown,
			(int)m->vocab - 1);
	else if (to_fill && masks == 0)
		rt_complain(p, item, "error", m->tokenizer ? "no mask%s in the text"
			: "without a tokenizer no token is known as the mask%s; --logits prints every token's scores",
			item->truncated ? " within the limit" : "");
	else
		return;
	p->ntokens = first->at;
	p->npieces = item->first_piece;
	item->npieces = 0;
}

/* Whether the first head reads one text, a pair, or either. */
RT_FN const char *program_pairing(const RtProgram *p, RtItem *item, const char *tab)
{
	const RtModel *m = p->model;
	const int task = m->nheads > 0 ? m->heads[0].task : RT_TASK_EMBED;
	const int needs = task == RT_TASK_QA || task == RT_TASK_RANK,
		refuses = task == RT_TASK_TAG || task == RT_TASK_EMBED || !m->takes_pairs;
	if (tab && refuses && !needs)
		return "a tab, but this model takes one text";
	if (!tab && needs && item->text_bytes > 0)
		return "no tab: this model takes two texts with a tab between";
	if (tab && memchr(tab + 1, '\t', item->text_bytes - (size_t)(tab + 1 - item->text)))
		return "more than one tab";
	item->pair = tab ? tab + 1 : needs ? item->text : NULL;
	item->pair_bytes = tab ? item->text_bytes - (size_t)(tab + 1 - item->text) : 0;
	item->text_bytes = tab ? (size_t)(tab - item->text) : item->text_bytes;
	return NULL;
}

/* A text as one piece, or in windows. */
RT_FN void program_read_text(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	item->text = p->bytes + item->at;
	item->text_bytes = item->bytes;
	const char *wrong = item->bytes > INT32_MAX ? "too long a line"
		: program_pairing(p, item, memchr(item->text, '\t', item->bytes));
	if (wrong) {
		rt_complain(p, item, "error", "%s", wrong);
		return;
	}
	const int task = m->nheads > 0 ? m->heads[0].task : RT_TASK_EMBED;
	const int overlap = p->options.hidden || task == RT_TASK_QA || m->outputs[m->nheads > 0 ? m->heads[0].output : 0].per_token;
	const int windows = p->options.overflow == RT_OVERFLOW_WINDOW && task != RT_TASK_FILL_MASK && !p->options.tokenize;
	const int32_t ntokens = p->ntokens, npieces = p->npieces;
	for (size_t from = 0, low = 0, next; from != SIZE_MAX; from = next) {
		RtEncoding e;
		program_tokens(p, m->max_tokens);
		const int32_t at = p->ntokens;
		int status;
		if (windows) {
			status = rt_window(m, item->text, item->text_bytes, item->pair, item->pair_bytes, from, overlap,
				p->ids + at, p->types + at, p->start + at, p->end + at, p->word + at, &e, &next);
		} else {
			status = rt_tokenize(m->tokenizer, item->text, item->text_bytes, item->pair, item->pair_bytes, m->max_tokens,
				p->ids + at, p->types + at, p->start + at, p->end + at, p->word + at, &e);
			next = SIZE_MAX;
		}
		const int cut = status == RT_OK && e.total > e.n && !(windows && next != SIZE_MAX);
		if (status != RT_OK)
			rt_complain(p, item, "error", "%s", rt_strerror(status));
		else if (p->options.strict && e.replaced)
			rt_complain(p, item, "error", "invalid UTF-8 (%d sequences)", (int)e.replaced);
		else if (cut && p->options.overflow == RT_OVERFLOW_ERROR)
			rt_complain(p, item, "error", "%d tokens, at most %d", (int)e.total, (int)m->max_tokens);
		else {
			RtRun *piece = program_piece(p, item, e.n);
			piece->count = rt_window_tokens(&e, item->pair != NULL, p->start + at, &piece->first);
			piece->low = low;
			if (next != SIZE_MAX && overlap)
				piece->high = low = rt_window_boundary(&e, item->pair != NULL, p->start + at, p->word + at, next);
			item->truncated |= cut;
			item->total = e.total;
			continue;
		}
		p->ntokens = ntokens;
		p->npieces = npieces;
		item->npieces = 0;
		return;
	}
}

/* ---- running a group ---------------------------------------------------------------------------------------------------- */

/* --tokenize: what --ids reads; in JSON also what each token is. */
RT_FN void program_print_ids(RtProgram *p, const RtItem *item)
{
	static const char *const keys[] = {"{\"ids\": [", "], \"types\": [", "], \"starts\": [", "], \"ends\": ["};
	const RtRun *piece = &p->pieces[item->first_piece];
	const int32_t *const columns[] = {p->ids, p->types, p->start, p->end};
	if (!p->options.json) {
		/* all types are 0 then */
		const int32_t second = item->pair && p->model->type_vocab <= 1 ? piece->at + piece->first : -1;
		for (int32_t i = piece->at; i < piece->at + piece->n; i++)
			fprintf(p->out, "%s%d", i == piece->at ? "" : i == second || p->types[i] != p->types[i - 1] ? "\t" : " ",
				(int)p->ids[i]);
		putc('\n', p->out);
		return;
	}
	for (int k = 0; k < 4; k++) {
		fputs(keys[k], p->out);
		for (int32_t i = piece->at; i < piece->at + piece->n; i++)
			fprintf(p->out, i == piece->at ? "%d" : ", %d", (int)columns[k][i]);
	}
	fputs("], \"tokens\": [", p->out);
	for (int32_t i = piece->at; i < piece->at + piece->n; i++) {
		size_t bytes = 0;
		const char *token = rt_token_text(p->model->tokenizer, p->ids[i], &bytes);
		fputs(i == piece->at ? "" : ", ", p->out);
		rt_json_string(p->out, token ? token : "", bytes);
	}
	fputs(item->truncated ? "], \"truncated\": true}\n" : "]}\n", p->out);
}

RT_FN float *rt_rows(RtProgram *p, int32_t output, const RtRun *piece)
{
	const RtOutput *o = &p->model->outputs[output];
	return p->rows[output] + (size_t)o->width * (size_t)(o->per_token ? piece->at : piece - p->pieces);
}

/* The chosen head's rows become the mean of all heads that were named. */
RT_FN void program_average(RtProgram *p)
{
	const int32_t output = p->model->heads[0].output;
	const size_t count = (size_t)p->model->outputs[output].width * (size_t)p->npieces;
	for (size_t i = 0; i < count; i++) {
		double sum = (double)p->rows[output][i];
		int n = 1;
		for (int32_t k = 0; k < p->model->noutputs; k++)
			if (p->averaged >> k & 1) {
				sum += (double)p->rows[k][i];
				n++;
			}
		p->rows[output][i] = (float)(sum / n);
	}
}

RT_FN int program_run(RtProgram *p)
{
	size_t have = (size_t)p->offsets_capacity * sizeof *p->offsets;
	p->offsets = rt_grow(p->offsets, &have, (size_t)(p->npieces + 1) * sizeof *p->offsets);
	p->offsets_capacity = (int32_t)(have / sizeof *p->offsets);
	for (int32_t i = 0; i < p->npieces; i++)
		p->offsets[i] = p->pieces[i].at;
	p->offsets[p->npieces] = p->ntokens;
	for (int32_t k = 0; k < p->model->noutputs; k++) {
		if (!(p->mask >> k & 1))
			continue;
		size_t bytes = p->rows_floats[k] * sizeof(float);
		const RtOutput *o = &p->model->outputs[k];
		p->rows[k] = rt_grow(p->rows[k], &bytes,
			((size_t)o->width * (size_t)(o->per_token ? p->ntokens : p->npieces) + 1) * sizeof(float));
		p->rows_floats[k] = bytes / sizeof(float);
	}
	const int status = rt_run_outputs(p->context, p->ids, p->types, p->offsets, p->npieces, p->mask, p->rows, p->rows_floats);
	if (status == RT_OK && p->averaged)
		program_average(p);
	return status;
}

/* All texts of the group: to tokens, through the model, and out. */
RT_FN int program_group(RtProgram *p)
{
	p->ntokens = p->npieces = 0;
	for (int32_t i = 0; i < p->nitems; i++) {
		RtItem *item = &p->items[i];
		item->first_piece = p->npieces;
		if (p->options.ids)
			program_read_ids(p, item);
		else
			program_read_text(p, item);
		program_check_tokens(p, item);
	}
	int status = p->options.tokenize || p->npieces == 0 ? RT_OK : program_run(p);
	if (status != RT_OK) {
		fprintf(stderr, "%s: error: %s\n", p->model->name, rt_strerror(status));
		return RT_EXIT_RUN;
	}
	for (int32_t i = 0; i < p->nitems; i++) {
		const RtItem *item = &p->items[i];
		if (item->npieces == 0)
			continue;
		if (item->truncated)
			rt_complain(p, item, "note", "%d tokens, cut to %d", (int)item->total, (int)p->model->max_tokens);
		if (p->options.tokenize)
			program_print_ids(p, item);
		else if (p->options.hidden)
			rt_print_numbers(p, item, (int32_t)__builtin_ctz(p->mask));
		else if (p->options.logits || p->model->nheads == 0)
			rt_print_numbers(p, item, (int32_t)__builtin_ctz(p->mask));
		else
			rt_task_print(p, item);
		if (fflush(p->out) != 0 || ferror(p->out)) {
			fprintf(stderr, "%s: error: cannot write: %s\n", p->model->name, strerror(errno));
			return RT_EXIT_RUN;
		}
	}
	p->nitems = 0;
	p->bytes_used = 0;
	return 0;
}

RT_FN int program_add(RtProgram *p, int64_t number, const char *text, size_t bytes)
{
	p->bytes = rt_grow(p->bytes, &p->bytes_capacity, p->bytes_used + bytes + 1);
	memcpy(p->bytes + p->bytes_used, text, bytes);
	p->bytes[p->bytes_used + bytes] = '\0';
	p->items[p->nitems++] = (RtItem){.number = number, .at = p->bytes_used, .bytes = bytes};
	p->bytes_used += bytes + 1;
	return p->nitems == p->options.batch ? program_group(p) : 0;
}

RT_FN int program_lines(RtProgram *p)
{
	RtLines lines = {.descriptor = 0};
	const char *line;
	size_t bytes;
	int got, status = 0;
	for (int64_t number = 1; status == 0 && (got = rt_lines_next(&lines, &line, &bytes)) != 0; number++) {
		if (got > 0)
			status = program_add(p, number, line, bytes);
		else
			rt_complain(p, &(RtItem){.number = number}, "error", "a line of more than %d bytes", RT_LINE_BYTES_MAX);
	}
	if (lines.failed) {
		fprintf(stderr, "%s: error: cannot read standard input\n", p->model->name);
		p->failed = 1;
	}
	free(lines.data);
	return status;
}

/* ---- main --------------------------------------------------------------------------------------------------------------- */

RT_FN int program_main(RtProgram *p, int argc, char **argv)
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
	int status = program_check(p);
	if (status == 0)
		status = program_start(p);
	if (status == 0 && p->options.bench)
		return rt_bench(p);
	if (status == 0 && p->options.profile)
		return rt_profile(p);
	p->items = status == 0 ? rt_grow(NULL, &(size_t){0}, (size_t)p->options.batch * sizeof *p->items) : NULL;
	p->source = optind < argc ? "argument" : "<stdin>";
	for (int i = optind; i < argc && status == 0; i++)
		status = program_add(p, i - optind + 1, argv[i], strlen(argv[i]));
	if (status == 0 && optind == argc)
		status = program_lines(p);
	if (status == 0 && p->nitems > 0)
		status = program_group(p);
	return status ? status : p->failed ? RT_EXIT_RUN : 0;
}

RT_FN int rt_main(const RtModel *m, int argc, char **argv)
{
	RtProgram p = {.model = m, .out = stdout,
		.options = {.overflow = RT_OVERFLOW_TRUNCATE, .batch = 1, .threshold = 0.5}};
	int status = program_main(&p, argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
		status = RT_EXIT_RUN;
	rt_free(p.context);
	void *const owned[] = {p.bytes, p.items, p.pieces, p.ids, p.types, p.start, p.end, p.word, p.offsets, p.scratch};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	for (int k = 0; k < RT_OUTPUTS_MAX; k++)
		free(p.rows[k]);
	return status;
}
