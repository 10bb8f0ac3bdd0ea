/* spans.c: from a label for each word to spans, as BIO tagging means it. A span starts at a B- word, or at an
 * I- word that follows O or another type; I- words of the same type go on. A label without B- or I- is a span
 * for each of its words. A word is never cut: spans begin and end where words do. Which label a word has (its
 * first token's) is decided in tasks.c. */
#include "program.h"

/* 'B', 'I', 'O' or 'S' (a label without prefix: a span by itself), and the type it names. */
RT_FN char span_kind(const char *label, const char **type)
{
	*type = label;
	if (strcmp(label, "O") == 0)
		return 'O';
	if ((label[0] != 'B' && label[0] != 'I') || label[1] != '-')
		return 'S';
	*type = label + 2;
	return label[0];
}

RT_FN int32_t rt_spans(const RtWord *words, int32_t n, const char *const *labels, RtSpan *spans)
{
	int32_t count = 0, length = 0; /* length: words of the span that is open; 0: none is */
	double sum = 0;
	for (int32_t i = 0; i < n; i++) {
		const char *type;
		const char kind = span_kind(labels[words[i].label], &type);
		if (kind == 'O') {
			length = 0;
			continue;
		}
		if (kind == 'I' && length > 0 && strcmp(spans[count - 1].type, type) == 0) {
			length++;
		} else {
			spans[count++] = (RtSpan){.start = words[i].start, .type = type};
			length = 1;
			sum = 0;
		}
		sum += words[i].score;
		spans[count - 1].end = words[i].end;
		spans[count - 1].score = (float)(sum / length);
		if (kind == 'S')
			length = 0;
	}
	return count;
}
