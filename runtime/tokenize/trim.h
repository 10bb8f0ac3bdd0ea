/* trim.h: trim_offsets of the post-processors ByteLevel and RobertaProcessing: offsets of a token exclude
 * white space at its ends. As in the library, characters are counted in the original text, before
 * normalisation. */
#ifndef RT_TRIM_H
#define RT_TRIM_H
#include "word.h"

RT_API void trim_offsets(const RtTokenizer *t, Writer *w, int32_t before, int32_t after)
{
	const int32_t i = w->count - w->skip - 1;
	if (i < 0 || i >= w->limit || !w->starts || !w->ends)
		return;
	int32_t start = w->starts[i], end = w->ends[i];
	if (t->trim_prefix && before == 1 && (i == 0 || start == 0)) /* the space that add_prefix_space added */
		before = 0;
	for (; before > 0 && start < end; before--) {
		int32_t length;
		(void)cursor_decode((const unsigned char *)w->text, start, end, &length);
		start += length;
	}
	for (; after > 0 && end > start; after--)
		do
			end--;
		while (end > start && ((unsigned char)w->text[end] & 0xC0) == 0x80);
	w->starts[i] = start;
	w->ends[i] = end;
}
#endif
