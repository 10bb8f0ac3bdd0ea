/* embeddings.c: embeddings as sentence-transformers gives them: the first numbers (--dim: Kusupati et al.,
 * "Matryoshka Representation Learning", 2022), in fewer bits (--precision, its quantize_embeddings), or the
 * similarity of two texts (--similarity). */
#include "program.h"

enum {
	PRECISION_FLOAT32,
	PRECISION_INT8,
	PRECISION_UINT8,
	PRECISION_BINARY, /* from here on a bit for each number */
	PRECISION_UBINARY,
	PRECISION_RANGES, /* of all texts, for int8 and uint8 */
	PRECISIONS
};
static const char *const precision_names[PRECISIONS] = {
	"float32", "int8", "uint8", "binary", "ubinary", "ranges"};

RT_FN int embedding_set_precision(RtOptions *o, const char *word)
{
	for (o->precision = 0; o->precision < PRECISIONS; o->precision++)
		if (strcmp(word, precision_names[o->precision]) == 0)
			return 1;
	return 0;
}

RT_FN int32_t embedding_width(const RtProgram *p, const RtHead *head)
{
	const int32_t width = p->model->outputs[head->output].width, dim = p->options.dim;
	return dim > 0 && dim < width ? dim : width;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* Reads "[[a, b], [c, d]]": the smallest and the largest number of each of n dimensions. With --dim there may
 * be more dimensions. */
RT_FN int embedding_read_ranges(RtProgram *p, const char *at, int32_t n)
{
	p->ranges = rt_grow(NULL, &(size_t){0}, 2 * (size_t)n * sizeof *p->ranges);
	for (int32_t i = 0; i < 2 * n; i++) {
		char *end;
		at += strspn(at, "[, \n");
		p->ranges[i] = strtof(at, &end);
		if (end == at || !isfinite(p->ranges[i]) || (i >= n && p->ranges[i] < p->ranges[i - n]))
			return 0;
		at = end;
		if (i + 1 == n || i + 1 == 2 * n) {
			at = p->options.dim ? strchr(at, ']') : at + strspn(at, " ");
			if (!at || *at++ != ']')
				return 0;
		}
	}
	return 1;
}

/* Widens the ranges by one embedding. */
RT_FN void embedding_observe(RtProgram *p, const float *row, int32_t n)
{
	const int first = !p->ranges;
	if (first)
		p->ranges = rt_grow(NULL, &(size_t){0}, 2 * (size_t)n * sizeof *p->ranges);
	for (int32_t i = 0; i < n; i++) {
		p->ranges[i] = first ? row[i] : fminf(p->ranges[i], row[i]);
		p->ranges[n + i] = first ? row[i] : fmaxf(p->ranges[n + i], row[i]);
	}
}

RT_FN void embedding_end(RtProgram *p)
{
	if (p->options.precision == PRECISION_RANGES && p->ranges) {
		const int32_t n = embedding_width(p, p->model->heads);
		putc('[', p->out);
		rt_json_row(p->out, p->ranges, n);
		fputs(", ", p->out);
		rt_json_row(p->out, p->ranges + n, n);
		fputs("]\n", p->out);
	}
}

/* ---- what is printed ------------------------------------------------------------------------- */

RT_FN int embedding_check(RtProgram *p)
{
	const RtModel *m = p->model;
	const RtOptions *o = &p->options;
	const int coded = o->precision == PRECISION_INT8 || o->precision == PRECISION_UINT8;
	const int embeds = m->nheads > 0 && m->heads[0].task == RT_TASK_EMBED && !o->logits && !o->hidden;
	if (!embeds && (o->dim || o->precision || o->ranges || o->similarity))
		return program_usage(
			p, "--dim, --precision, --ranges and --similarity are only for embeddings, not for --logits");
	if (o->similarity && (o->ids || o->raw || o->precision))
		return program_usage(p, "--similarity excludes --ids, --raw and --precision");
	const char *ranges = o->ranges ? o->ranges : m->ranges;
	if (coded ? !ranges : o->ranges != NULL)
		return program_usage(p,
			"--precision=int8 and uint8 need --ranges, and only they; --precision=ranges prints those of the "
			"texts that it reads");
	for (int32_t h = 1; coded && o->json && h < m->nheads; h++)
		if (m->heads[h].task == RT_TASK_EMBED)
			return program_usage(p, "--ranges are those of one head; choose it with --task");
	if (coded && !embedding_read_ranges(p, ranges, embedding_width(p, m->heads)))
		return program_usage(p,
			"--ranges: expected [[LEAST, ...], [MOST, ...]] with %d finite numbers each, LEAST <= MOST",
			(int)embedding_width(p, m->heads));
	return 0;
}

/* Code i of n numbers, as quantize_embeddings gives it. */
RT_FN int embedding_code(const RtProgram *p, const float *row, int32_t n, int32_t i)
{
	const int precision = p->options.precision;
	int code = 0;
	if (precision >= PRECISION_BINARY) {
		for (int32_t k = 8 * i; k < rt_min(8 * i + 8, n); k++)
			code |= (row[k] > 0) << (7 - k % 8);
	} else {
		const float least = p->ranges[i], step = (p->ranges[n + i] - least) / 255;
		code = (int)fminf(fmaxf(floorf((row[i] - least) / (step == 0 ? 1 : step)), 0), 255);
	}
	return precision == PRECISION_INT8 || precision == PRECISION_BINARY ? code - 128 : code;
}

RT_FN void embedding_print_codes(RtProgram *p, const float *row, int32_t n)
{
	const int32_t count = p->options.precision >= PRECISION_BINARY ? (n + 7) / 8 : n;
	for (int32_t i = 0; i < count; i++) {
		const int code = embedding_code(p, row, n, i);
		if (p->options.raw)
			putc(code & 255, p->out);
		else
			fprintf(p->out, i ? ", %d" : "[%d", code);
	}
	if (!p->options.raw)
		putc(']', p->out);
}

/* --raw: 32 bits, always little-endian. */
RT_FN void task_print_word(RtProgram *p, const void *word)
{
	uint32_t bits;
	memcpy(&bits, word, sizeof bits);
	for (int shift = 0; shift < 32; shift += 8)
		putc((int)(bits >> shift & 255), p->out);
}

RT_FN void embedding_print_row(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const float *row = task_row(p, item, head);
	const int32_t n = embedding_width(p, head);
	if (p->options.precision)
		embedding_print_codes(p, row, n);
	else if (p->options.raw)
		for (int32_t i = 0; i < n; i++)
			task_print_word(p, &row[i]);
	else
		rt_json_row(p->out, row, n);
}

RT_FN void task_print_embedding(RtProgram *p, const RtItem *item, const RtHead *head)
{
	fputs(p->options.json ? "{\"embedding\": " : "", p->out);
	embedding_print_row(p, item, head);
	fputs(p->options.json || p->options.raw ? "" : "\n", p->out);
}

/* ---- similarity ------------------------------------------------------------------------------ */

RT_FN void embedding_print_similarity(RtProgram *p, const RtItem *item)
{
	const RtHead *head = p->model->heads;
	const size_t width = (size_t)p->model->outputs[head->output].width;
	const RtItem first = task_choice(p, item, 0), second = task_choice(p, item, 1);
	float *rows = rt_scratch(p, 2 * width * sizeof *rows);
	task_row(p, &first, head);
	memcpy(rows + width, rows, width * sizeof *rows);
	task_row(p, &second, head);
	const double score = rt_similarity(p->model->similarity, rows + width, rows, embedding_width(p, head));
	if (p->options.json) {
		fputs("{\"score\": ", p->out);
		rt_json_number(p->out, score);
		task_end_json(p, item);
	} else
		fprintf(p->out, "%.6f\n", score);
}

/* Prints what --similarity or --precision=ranges ask for. False: neither was given. */
RT_FN int embedding_print(RtProgram *p, const RtItem *item)
{
	const RtHead *head = p->model->heads;
	if (p->options.similarity)
		embedding_print_similarity(p, item);
	else if (p->options.precision == PRECISION_RANGES)
		embedding_observe(p, task_row(p, item, head), embedding_width(p, head));
	else
		return 0;
	return 1;
}
