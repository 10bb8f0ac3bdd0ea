/* spans.c: makes spans from the labels of words, by the scheme of the labels (schemes.h). Spans begin and end
 * at words. Neighbours with the same label without prefix are one span. tags.c chooses the label of a word,
 * that of its first token. */
#include "program.h"

RT_FN int32_t rt_spans(const RtWord *words, int32_t n, const char *const *labels, int scheme, RtSpan *spans)
{
	int32_t count = 0, length = 0; /* length: words of the open span */
	double sum = 0;
	const char *before = NULL, *type;
	for (int32_t i = 0; i < n; i++) {
		const char *label = words[i].label == RT_NO_LABEL ? "O" : labels[words[i].label];
		if (rt_tag_kind(label, scheme, &type) == 'O') {
			before = NULL;
			continue;
		}
		if (rt_tag_begins(before, label, scheme)) {
			spans[count++] = (RtSpan){.start = words[i].start, .type = type};
			length = 0;
			sum = 0;
		}
		length++;
		sum += words[i].score;
		spans[count - 1].end = words[i].end;
		spans[count - 1].score = (float)(sum / length);
		before = label;
	}
	return count;
}
