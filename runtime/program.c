/* program.c: the main of emitted programs. Runs texts in groups of --batch and reports errors by line.
 * options.c has the options, read.c makes tokens of lines, tasks.c prints the answers. */
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

/* The ids of one piece. */
RT_FN void program_print_piece(RtProgram *p, const RtItem *item, const RtRun *piece)
{
	static const char *const keys[] = {
		"{\"ids\": [", "], \"types\": [", "], \"starts\": [", "], \"ends\": ["};
	const int32_t *const columns[] = {p->ids, p->types, p->start, p->end};
	if (!p->options.json) {
		/* here all types are 0 */
		const int32_t second = item->pair && p->model->type_vocab <= 1 ? piece->at + piece->first : -1;
		for (int32_t i = piece->at; i < piece->at + piece->n; i++) {
			if (i > piece->at)
				putc(i == second || p->types[i] != p->types[i - 1] ? '\t' : ' ', p->out);
			for (int32_t k = 1; i > piece->at && k < p->types[i] - p->types[i - 1]; k++)
				putc('\t', p->out); /* the type of a query's filling (text.c) comes behind all others */
			program_print_id(p->out, p->ids[i]);
		}
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
	fputs(item->truncated ? "], \"truncated\": true}" : "]}", p->out);
}

/* --tokenize: prints what --ids reads; in JSON also the text of each token, and choices as a list. */
RT_FN void program_print_ids(RtProgram *p, const RtItem *item)
{
	const int list = p->options.json && item->choices > 0;
	fputs(list ? "[" : "", p->out);
	for (int32_t i = 0; i < item->npieces; i++) {
		if (i > 0)
			fputs(list ? ", " : " | ", p->out);
		program_print_piece(p, item, &p->pieces[item->first_piece + i]);
	}
	fputs(list ? "]\n" : "\n", p->out);
}

RT_FN float *rt_rows(RtProgram *p, int32_t output, const RtRun *piece)
{
	const RtOutput *o = &p->model->outputs[output];
	return p->rows[output] + (size_t)o->width * (size_t)(o->per_token ? piece->at : piece - p->pieces);
}

RT_FN RtView rt_view(RtProgram *p, const RtItem *item, int32_t i, int32_t output)
{
	const RtRun *piece = task_piece(p, item, i);
	const int text = !p->options.ids;
	return (RtView){.ids = p->ids + piece->at,
		.start = text ? p->start + piece->at : NULL,
		.end = text ? p->end + piece->at : NULL,
		.word = text ? p->word + piece->at : NULL,
		.rows = rt_rows(p, output, piece),
		.n = piece->n,
		.first = piece->first,
		.count = piece->count,
		.low = piece->low,
		.high = piece->high};
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
		program_read(p, item);
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
		else if (p->zero_shot)
			zero_shot_print(p, item);
		else if (p->options.query)
			rerank_print(p, item);
		else if (!embedding_print(p, item))
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
	if (status == 0)
		status = rerank_start(p);
	for (int i = optind; i < argc && status == 0; i++)
		status = program_add(p, i - optind + 1, argv[i], strlen(argv[i]));
	if (status == 0 && optind == argc)
		status = program_lines(p);
	if (status == 0 && p->nitems > 0)
		status = program_group(p);
	rerank_end(p);
	embedding_end(p);
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
	zero_shot_free(&p);
	void *const owned[] = {p.bytes, p.items, p.pieces, p.ids, p.types, p.start, p.end, p.word, p.offsets,
		p.scratch, p.prompted, p.query, p.vectors, p.ranges};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	for (int k = 0; k < RT_OUTPUTS_MAX; k++)
		free(p.rows[k]);
	return status;
}
