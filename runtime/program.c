/* program.c: the main of emitted programs. Reads texts in groups of --batch and reports errors by line.
 * options.c has the options, tasks.c prints the answers. */
#include "program.h"
#include <getopt.h>
#include <stdarg.h>

/* ---- memory and messages --------------------------------------------------------------------- */

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

/* rt_grow for a column of int32: `capacity` elements exist, `want` are needed. */
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

/* ---- from a line to tokens ------------------------------------------------------------------- */

/* Makes room for n more tokens in all columns. */
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

/* Reads a line of ids: "101 2023\t2003 102". */
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
			rt_complain(p, item, "error", "\"%.*s\": expected token ids: numbers separated by spaces",
				(int)rt_min((int)strcspn(word, " \t"), (int)(end - word) < 40 ? (int)(end - word) : 40),
				word);
			return;
		}
		if (id >= m->vocab) {
			rt_complain(p, item, "error", "token id %lld: the vocabulary has ids 0 to %d", (long long)id,
				(int)m->vocab - 1);
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
	if (m->nheads > 0
		&& m->heads[0].task == RT_TASK_QA) { /* the context: all of the second segment but its separator */
		piece->first = rt_min(segment ? second : 0, piece->n);
		piece->count = rt_max(piece->n - piece->first - 1, 0);
	}
}

/* Checks the tokens of a text: the model must have all ids (its tokenizer may have more), and fill-mask needs
 * a mask. */
RT_FN void program_check_tokens(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	const int to_fill = m->nheads > 0 && m->heads[0].task == RT_TASK_FILL_MASK && !p->options.logits
		&& !p->options.hidden;
	if (p->options.tokenize || item->npieces == 0)
		return;
	const RtRun *first = &p->pieces[item->first_piece];
	int32_t masks = 0, unknown = -1;
	for (int32_t i = first->at; i < p->ntokens; i++) {
		unknown = p->ids[i] >= m->vocab ? p->ids[i] : unknown;
		masks += task_is_mask(m, p->ids[i]);
	}
	if (unknown >= 0)
		rt_complain(p, item, "error", "token id %d from the tokenizer: the model has ids 0 to %d",
			(int)unknown, (int)m->vocab - 1);
	else if (to_fill && masks == 0)
		rt_complain(p, item, "error",
			m->tokenizer ? "no mask%s in the text"
						 : "without a tokenizer the mask is unknown%s; --logits prints every "
						   "token's scores",
			item->truncated ? " within the limit" : "");
	else
		return;
	p->ntokens = first->at;
	p->npieces = item->first_piece;
	item->npieces = 0;
}

/* An error if the line has one text but the first head needs a pair, or the reverse; NULL: none. */
RT_FN const char *program_pairing(const RtProgram *p, RtItem *item, const char *tab)
{
	const RtModel *m = p->model;
	const int task = m->nheads > 0 ? m->heads[0].task : RT_TASK_EMBED;
	const int needs = task == RT_TASK_QA || task == RT_TASK_RANK,
			  refuses = task == RT_TASK_TAG || task == RT_TASK_EMBED || !m->takes_pairs;
	if (tab && refuses && !needs)
		return "the line has a tab, but this model takes one text";
	if (!tab && needs && item->text_bytes > 0)
		return "the line has no tab; this model takes two texts separated by a tab";
	if (tab && memchr(tab + 1, '\t', item->text_bytes - (size_t)(tab + 1 - item->text)))
		return "more than one tab";
	if (!tab) {
		item->pair = needs ? item->text : NULL;
		item->pair_bytes = 0;
		return NULL;
	}
	item->pair = tab + 1;
	item->pair_bytes = item->text_bytes - (size_t)(tab + 1 - item->text);
	item->text_bytes = (size_t)(tab - item->text);
	return NULL;
}

/* Reads a text as one piece, or as windows. */
RT_FN void program_read_text(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	item->text = p->bytes + item->at;
	item->text_bytes = item->bytes;
	const char *wrong = item->bytes > INT32_MAX
		? "the line is too long"
		: program_pairing(p, item, memchr(item->text, '\t', item->bytes));
	if (wrong) {
		rt_complain(p, item, "error", "%s", wrong);
		return;
	}
	const int task = m->nheads > 0 ? m->heads[0].task : RT_TASK_EMBED;
	const int overlap = p->options.hidden || task == RT_TASK_QA
		|| m->outputs[m->nheads > 0 ? m->heads[0].output : 0].per_token;
	const int windows = p->options.overflow == RT_OVERFLOW_WINDOW && task != RT_TASK_FILL_MASK
		&& !p->options.tokenize;
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
			status = rt_tokenize(m->tokenizer, item->text, item->text_bytes, item->pair, item->pair_bytes,
				m->max_tokens, p->ids + at, p->types + at, p->start + at, p->end + at, p->word + at, &e);
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
			if (next != SIZE_MAX && overlap) {
				low = rt_window_boundary(&e, item->pair != NULL, p->start + at, p->word + at, next);
				piece->high = low;
			}
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

/* ---- running a group ------------------------------------------------------------------------- */

/* As fprintf would, which takes as long as the tokenizer itself. */
RT_FN void program_print_id(FILE *out, int32_t id)
{
	char digits[12];
	int at = sizeof digits;
	do
		digits[--at] = (char)('0' + id % 10);
	while ((id /= 10) > 0);
	fwrite(digits + at, 1, sizeof digits - (size_t)at, out);
}

/* --tokenize: prints what --ids reads; in JSON also the text of each token. */
RT_FN void program_print_ids(RtProgram *p, const RtItem *item)
{
	static const char *const keys[] = {
		"{\"ids\": [", "], \"types\": [", "], \"starts\": [", "], \"ends\": ["};
	const RtRun *piece = &p->pieces[item->first_piece];
	const int32_t *const columns[] = {p->ids, p->types, p->start, p->end};
	if (!p->options.json) {
		/* here all types are 0 */
		const int32_t second = item->pair && p->model->type_vocab <= 1 ? piece->at + piece->first : -1;
		for (int32_t i = piece->at; i < piece->at + piece->n; i++) {
			if (i > piece->at)
				putc(i == second || p->types[i] != p->types[i - 1] ? '\t' : ' ', p->out);
			program_print_id(p->out, p->ids[i]);
		}
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

/* Sets the rows of the chosen head to the mean over all named heads. */
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
	const int status = rt_run_outputs(
		p->context, p->ids, p->types, p->offsets, p->npieces, p->mask, p->rows, p->rows_floats);
	if (status == RT_OK && p->averaged)
		program_average(p);
	return status;
}

/* Tokenises, runs and prints all texts of the group. */
RT_FN int program_group(RtProgram *p)
{
	p->npieces = 0;
	p->ntokens = 0;
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
			rt_complain(
				p, &(RtItem){.number = number}, "error", "a line of more than %d bytes", RT_LINE_BYTES_MAX);
	}
	if (lines.failed) {
		fprintf(stderr, "%s: error: cannot read standard input\n", p->model->name);
		p->failed = 1;
	}
	free(lines.data);
	return status;
}

/* ---- main ------------------------------------------------------------------------------------ */

RT_FN int program_main(RtProgram *p, int argc, char **argv)
{
	int status = program_parse(p, argc, argv);
	if (status >= 0)
		return status;
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
	if (status == 0 && p->failed)
		status = RT_EXIT_RUN;
	return status;
}

RT_API int rt_main(const RtModel *m, int argc, char **argv)
{
	RtProgram p = {.model = m,
		.out = stdout,
		.options = {.overflow = RT_OVERFLOW_TRUNCATE, .batch = 1, .threshold = 0.5}};
	int status = program_main(&p, argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
		status = RT_EXIT_RUN;
	rt_free(p.context);
	void *const owned[] = {
		p.bytes, p.items, p.pieces, p.ids, p.types, p.start, p.end, p.word, p.offsets, p.scratch};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	for (int k = 0; k < RT_OUTPUTS_MAX; k++)
		free(p.rows[k]);
	return status;
}
