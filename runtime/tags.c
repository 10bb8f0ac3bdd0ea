/* tags.c: labels of words (tag): the words of a text with their labels, and the spans made of them (spans.c),
 * as lines, JSON, inline XML, or a label for each word. aggregate.c has the words of --aggregation. */
#include "program.h"

enum { SPELLING_BYTES = 4096 }; /* of a span's tokens, with --ids */

/* The words of a text, each with the label of its first token. With --ids every token is a word, and offsets
 * count tokens. */
RT_FN int32_t task_words(RtProgram *p, const RtItem *item, const RtHead *head, RtWord *words)
{
	const int32_t labels = p->model->outputs[head->output].width;
	int32_t count = 0;
	for (int32_t i = 0; i < item->npieces; i++) {
		const RtView view = rt_view(p, item, i, head->output);
		const int32_t n = rt_words(&view, head, labels, p->options.threshold, words + count);
		count += n;
		if (item->truncated && n > 0 && !p->options.ids)
			words[count - 1].end = rt_word_end(p->model->tokenizer, item->text, item->text_bytes,
				words[count - 1].start, words[count - 1].end);
	}
	return count;
}

/* --tokens: the label of the first token of each white-space-separated word; O for words that the limit cut
 * off. */
RT_FN void task_print_tokens(
	RtProgram *p, const RtItem *item, const RtHead *head, const RtWord *words, int32_t n)
{
	int some = 0;
	int32_t next = 0;
	if (p->options.json)
		fputs("{\"tokens\": [", p->out);
	for (size_t at = 0; at < item->text_bytes;) {
		size_t end = at;
		while (end < item->text_bytes && !strchr(" \t\n\r\f\v", item->text[end] ? item->text[end] : 'x'))
			end++;
		if (end == at) {
			at++;
			continue;
		}
		while (next < n && (size_t)words[next].start < at)
			next++;
		const int found = next < n && (size_t)words[next].start < end && words[next].label != RT_NO_LABEL;
		const char *label = found ? task_label_text(head, words[next].label) : "O";
		if (p->options.json) {
			fputs(some++ ? ", {\"text\": " : "{\"text\": ", p->out);
			rt_json_string(p->out, item->text + at, end - at);
			fputs(", \"label\": ", p->out);
			rt_json_string(p->out, label, strlen(label));
			putc('}', p->out);
		} else {
			fwrite(item->text + at, 1, end - at, p->out);
			fprintf(p->out, "\t%s\n", label);
		}
		at = end;
	}
	if (p->options.json)
		putc(']', p->out);
}

/* The text of a span, on one line. */
RT_FN void task_print_text(RtProgram *p, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		putc(text[i] == '\n' || text[i] == '\t' || text[i] == '\r' ? ' ' : text[i], p->out);
}

/* The tokens [first, end) of a piece as text, separated by spaces; ids if there is no vocabulary. */
RT_FN size_t task_spelling(
	RtProgram *p, const RtRun *piece, int32_t first, int32_t end, char *text, size_t capacity)
{
	size_t used = 0;
	for (int32_t i = first; i < end; i++) {
		size_t bytes = 0;
		const char *token = p->model->tokenizer
			? rt_token_text(p->model->tokenizer, p->ids[piece->at + i], &bytes)
			: NULL;
		if (!token || used + bytes + 1 >= capacity)
			continue;
		if (used)
			text[used++] = ' ';
		memcpy(text + used, token, bytes);
		used += bytes;
	}
	return used;
}

/* ---- spans ----------------------------------------------------------------------------------- */

/* Text inside XML. Bytes that XML cannot hold become U+FFFD, line ends and tabs spaces. */
RT_FN void tags_xml_text(FILE *out, const char *text, size_t bytes)
{
	static const char *const names[] = {"lt", "gt"};
	for (size_t at = 0; at < bytes;) {
		const unsigned char byte = (unsigned char)text[at];
		const size_t length = json_sequence((const unsigned char *)text + at, bytes - at);
		if (byte == '<' || byte == '>' || byte == '&')
			fprintf(out, "&%s;", byte == '&' ? "amp" : names[byte == '>']);
		else if (byte == '\n' || byte == '\t' || byte == '\r')
			putc(' ', out);
		else if (length == 0 || byte < 0x20
			|| (length == 3 && memcmp(text + at, "\xef\xbf\xbe", 2) == 0
				&& (unsigned char)text[at + 2] >= 0xBE)) /* U+FFFE, U+FFFF */
			fputs("\xef\xbf\xbd", out);
		else
			fwrite(text + at, 1, length, out);
		at += length ? length : 1;
	}
}

/* A label as the name of an element: anything but letters, digits, '.', '-' and '_' becomes '_'. */
RT_FN void tags_xml_name(FILE *out, const char *label)
{
	const unsigned char first = (unsigned char)*label;
	if (!first || (first >= '0' && first <= '9') || first == '-' || first == '.')
		putc('_', out);
	for (; *label; label++) {
		const unsigned char byte = (unsigned char)*label;
		const int letter = ((byte | 32) >= 'a' && (byte | 32) <= 'z') || byte >= 0x80;
		const int fits = letter || (byte >= '0' && byte <= '9') || byte == '.' || byte == '-';
		putc(fits ? byte : '_', out);
	}
}

/* --format=xml: the text with its spans as elements. Tokens of one character have the same place: a span that
 * begins inside the span before it is an element of what is left of it. */
RT_FN void tags_print_xml(RtProgram *p, const RtItem *item, const RtSpan *spans, int32_t n)
{
	size_t done = 0;
	for (int32_t i = 0; i < n; i++) {
		const size_t start = (size_t)spans[i].start > done ? (size_t)spans[i].start : done,
					 end = (size_t)spans[i].end > start ? (size_t)spans[i].end : start;
		tags_xml_text(p->out, item->text + done, start - done);
		putc('<', p->out);
		tags_xml_name(p->out, spans[i].type);
		putc('>', p->out);
		tags_xml_text(p->out, item->text + start, end - start);
		fputs("</", p->out);
		tags_xml_name(p->out, spans[i].type);
		putc('>', p->out);
		done = end;
	}
	tags_xml_text(p->out, item->text + done, item->text_bytes - done);
}

/* text: of the span. */
RT_FN void tags_print_span(RtProgram *p, const RtSpan *span, const char *text, size_t bytes)
{
	if (p->options.json) {
		fprintf(p->out, "{\"start\": %d, \"end\": %d, \"label\": ", (int)span->start, (int)span->end);
		rt_json_string(p->out, span->type, strlen(span->type));
		fputs(", \"score\": ", p->out);
		rt_json_number(p->out, span->score);
		fputs(", \"text\": ", p->out);
		rt_json_string(p->out, text, bytes);
		putc('}', p->out);
		return;
	}
	fprintf(p->out, "%d\t%d\t%s\t%.6f\t", (int)span->start, (int)span->end, span->type, span->score);
	task_print_text(p, text, bytes);
	putc('\n', p->out);
}

RT_FN void tags_print_spans(RtProgram *p, const RtItem *item, const RtSpan *spans, int32_t n, char *spelling)
{
	fputs(p->options.json ? "{\"spans\": [" : "", p->out);
	for (int32_t i = 0; i < n; i++) {
		const RtSpan *span = &spans[i];
		const char *text = p->options.ids ? spelling : item->text + span->start;
		const size_t bytes = p->options.ids
			? task_spelling(p, task_piece(p, item, 0), span->start, span->end, spelling, SPELLING_BYTES)
			: (size_t)(span->end - span->start);
		fputs(p->options.json && i ? ", " : "", p->out);
		tags_print_span(p, span, text, bytes);
	}
	fputs(p->options.json ? "]" : "", p->out);
}

RT_FN void task_print_tags(RtProgram *p, const RtItem *item, const RtHead *head)
{
	const size_t labels = (size_t)p->model->outputs[head->output].width;
	size_t most = 1;
	for (int32_t i = 0; i < item->npieces; i++)
		most += (size_t)task_piece(p, item, i)->count;
	double *mean = rt_scratch(
		p, labels * sizeof *mean + most * (sizeof(RtSpan) + sizeof(RtWord)) + SPELLING_BYTES);
	RtSpan *spans = (RtSpan *)(void *)(mean + labels);
	RtWord *words = (RtWord *)(void *)(spans + most);
	const int32_t nwords = p->options.aggregation ? task_aggregate(p, item, head, words, mean)
												  : task_words(p, item, head, words);
	if (p->options.tokens) {
		task_print_tokens(p, item, head, words, nwords);
		return;
	}
	const int scheme = p->options.scheme ? p->options.scheme - 1 : rt_scheme_of(head->labels, head->nlabels);
	const int32_t n = rt_spans(words, nwords, head->labels, scheme, spans);
	if (p->options.xml)
		tags_print_xml(p, item, spans, n);
	else
		tags_print_spans(p, item, spans, n, (char *)(words + most));
}

/* ---- options --------------------------------------------------------------------------------- */

RT_FN int task_set_aggregation(RtOptions *o, const char *word)
{
	static const char *const words[] = {"simple", "first", "average", "max"};
	o->aggregation = 0;
	for (int i = 0; i < 4; i++)
		if (strcmp(word, words[i]) == 0)
			o->aggregation = RT_AGGREGATE_SIMPLE + i;
	return o->aggregation != 0;
}

RT_FN int task_set_format(RtOptions *o, const char *word)
{
	const int json = strcmp(word, "jsonl") == 0, tokens = strcmp(word, "conll") == 0;
	o->format = 1;
	o->json |= json;
	o->tokens |= tokens;
	o->xml = strcmp(word, "xml") == 0;
	return json || tokens || o->xml;
}

RT_FN const char *task_tags_refuse(const RtModel *m, const RtOptions *o)
{
	const int tags = m->nheads > 0 && m->heads[0].task == RT_TASK_TAG;
	if (o->tokens && (!tags || o->ids))
		return "--tokens is only for taggers with text input";
	if (o->scheme && (!tags || o->tokens))
		return "--scheme is only for the spans of taggers";
	if (o->format && !tags)
		return "--format is only for taggers";
	if (o->xml && (o->ids || o->json || o->tokens))
		return "--format=xml is only for text input, without --json and --tokens";
	if (o->aggregation && (!tags || o->tokens || o->ids || m->heads[0].problem == RT_MULTI))
		return "--aggregation is only for the spans of taggers with text input and one label per word";
	return NULL;
}
