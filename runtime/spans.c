/* spans.c: makes spans from the labels of words, by BIO tagging. A span starts at a B- word, or at an I- word
 * after O or after another type. I- words of the same type continue it. A word whose label has neither B- nor
 * I- is a span of its own. Spans begin and end at words. labels.c chooses the label of a word, that of its
 * first token. */
#include "program.h"

/* 'B', 'I', 'O' or 'S' (a label without prefix), and the type of the label. */
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
	int32_t count = 0, length = 0; /* length: words of the open span; 0: none */
	double sum = 0;
	for (int32_t i = 0; i < n; i++) {
		const char *type, *label = words[i].label == RT_NO_LABEL ? "O" : labels[words[i].label];
		const char kind = span_kind(label, &type);
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
