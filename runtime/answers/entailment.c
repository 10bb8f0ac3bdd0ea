/* entailment.c: zero-shot classification with a model for natural language inference: a text and a hypothesis
 * are a pair. Only the text is cut if the pair is too long. */
#include "answering.h"
#include <strings.h>

RT_API int32_t rt_entailment(const RtHead *head)
{
	for (int32_t i = 0; i < head->nlabels; i++)
		if (strncasecmp(head->labels[i], "entail", 6) == 0)
			return i;
	return -1;
}

RT_API int32_t rt_pair_specials(const RtTokenizer *t)
{
	int32_t count = 0;
	for (int32_t i = 0; i < t->npair; i++)
		count += t->pair[i].piece == RT_PIECE_TOKEN;
	return count;
}

RT_API int32_t rt_join(const RtTokenizer *t, const int32_t *text, int32_t ntext, const int32_t *hypothesis,
	int32_t nhypothesis, int32_t limit, int32_t *ids, int32_t *types)
{
	const int32_t kept = rt_min(ntext, limit - rt_pair_specials(t) - nhypothesis);
	int32_t n = 0;
	for (int32_t i = 0; i < t->npair; i++) {
		const RtPiece *piece = &t->pair[i];
		const int32_t *from = piece->piece == RT_PIECE_TOKEN ? &piece->id : hypothesis;
		int32_t count = piece->piece == RT_PIECE_TOKEN ? 1 : nhypothesis;
		if (piece->piece == RT_PIECE_A) {
			from = text + (t->cut_left ? ntext - kept : 0);
			count = kept;
		}
		memcpy(ids + n, from, (size_t)count * sizeof *from);
		for (int32_t j = 0; j < count; j++)
			types[n + j] = piece->type;
		n += count;
	}
	return n;
}

RT_API float rt_entails(const RtHead *head, const float *logits, int32_t entailment, int multi)
{
	return logits[entailment] - (multi ? logits[rt_contradiction(head, entailment)] : 0);
}
