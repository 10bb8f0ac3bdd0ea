/* answering.h: answers from the rows of an output: probabilities, the words and spans of a tagger, the answer
 * to a question, candidates for a mask. Programs (program.h) and the C API (library.c) share this code, so
 * their answers are the same. It allocates nothing. */
#ifndef RT_ANSWERING_H
#define RT_ANSWERING_H
#include "../api.h"
#include "schemes.h"
#include "similarity.h"

/* ---- scores.c -------------------------------------------------------------------------------- */
/* In place: exp(x - max) / sum. Returns the index of the largest. */
RT_API int32_t rt_softmax(float *x, int32_t n);
RT_API float rt_sigmoid(float x);
/* Turns logits into the printed scores, in place. Returns the best label. */
RT_API int32_t rt_scores(const RtHead *, float *row, int32_t n);
/* The score of a ranker. With several labels it is the probability of the last one, by convention "relevant"
 * or "entailed". */
RT_API float rt_rank(const RtHead *, float *row, int32_t n);
/* Whether a document ranks before another one that comes earlier. A score that is not a number is the worst.
 */
RT_INLINE int rt_ranks_before(double score, double other)
{
	return score > other || (score == score && other != other);
}
/* Sorts the numbers of scores: the best first, and of equal scores the lower number. */
RT_API void rt_sort(const float *scores, int32_t *order, int32_t n);
/* The numbers of the largest weights that are not 0, at most `most`, in this order; *count receives how many
 * are not 0. Returns how many were written. */
RT_API int32_t rt_largest(const float *weights, int32_t n, int32_t most, int32_t *numbers, int32_t *count);
/* The best tokens of a row of logits, best first: at most `top`; *count receives how many. Returns what
 * rt_candidate divides by. */
RT_API double rt_candidates(const float *row, int32_t n, int32_t top, int32_t *ids, int32_t *count);
/* The probability of a candidate; best: the first of them. */
RT_API double rt_candidate(const float *row, int32_t id, int32_t best, double sum);

/* ---- spans.c --------------------------------------------------------------------------------- */
enum { RT_NO_LABEL = -1 };
/* Bytes, and the label of the first token or RT_NO_LABEL. */
typedef struct RtWord {
	int32_t start, end, label;
	float score;
} RtWord;
typedef struct RtSpan {
	int32_t start, end;
	const char *type;
	float score;
} RtSpan;
/* Makes spans of words, one word after another. */
typedef struct RtSpans {
	const char *const *labels;
	int scheme;
	int32_t count, length; /* of the spans begun; of the words of the last one */
	double sum;            /* of their scores */
	const char *before;    /* label of the word before; NULL: O, or none */
	RtSpan open;           /* the last span so far */
} RtSpans;
/* Whether the word is of a span: spans->open, number spans->count - 1. */
RT_API int rt_spans_add(RtSpans *, const RtWord *);
/* Spans of n words in order; spans has room for n. Returns how many. */
RT_API int32_t rt_spans(const RtWord *, int32_t n, const char *const *labels, int scheme, RtSpan *spans);
/* Label and probability of one token, from the logits of its n labels. Each label of a multi-label head has a
 * probability of its own; a token below the threshold has no label. */
RT_API RtWord rt_tag(const RtHead *, const float *logits, int32_t n, double threshold);
/* The words of a window, each with the label of its first token; at most view->count. Returns how many. */
RT_API int32_t rt_words(const RtView *, const RtHead *, int32_t width, double threshold, RtWord *words);
/* The end of the word that starts at byte `start` and ends at `end` or, if the limit cut some of its tokens,
 * behind. */
RT_API int32_t rt_word_end(const RtTokenizer *, const char *text, size_t bytes, int32_t start, int32_t end);

/* ---- answers.c ------------------------------------------------------------------------------- */
enum { RT_ANSWER_TOKENS = 15 }; /* longest answer, as in the question-answering pipeline of transformers */
typedef struct RtAnswer {
	int32_t first, last;
	double score;
} RtAnswer; /* tokens */
/* The best spans, at most `most`, best first; returns how many. logits[tokens][2]; answers are within tokens
 * [from, to); token 0 ([CLS]) stands for "no answer", which scores *null_score. scratch: 2 * tokens
 * doubles. */
RT_API int32_t rt_answers(const float *logits, int32_t tokens, int32_t from, int32_t to, double *scratch,
	RtAnswer *best, int32_t most, double *null_score);
/* Texts that answer, found in one or more windows. start, end: bytes of whole words or, without a context,
 * tokens. */
typedef struct RtFoundText {
	double score;
	int32_t start, end, window;
} RtFoundText;
typedef struct RtFound {
	const char *context; /* NULL: ids */
	RtFoundText *list;
	int32_t capacity, count, top, windows; /* top: how many answers are wanted */
	double null_score;                     /* the least of all windows */
} RtFound;
enum { RT_FOUND_SPANS = 10 }; /* spans of a window beside 2 for each answer, as in transformers */
/* Adds the 2 * top + RT_FOUND_SPANS best spans of a window, for which `spans` has room. Spans with the same
 * text are one answer, whose score is their sum. If the list is full, the answer with the least score goes.
 */
RT_API void rt_found_add(RtFound *, const RtView *, RtAnswer *spans, double *scratch);
/* Best first; the earlier wins a tie. */
RT_API void rt_found_sort(RtFound *);

/* ---- entailment.c ---------------------------------------------------------------------------- */
/* The column of a model for natural language inference whose label begins with "entail", in any case; -1:
 * none. */
RT_API int32_t rt_entailment(const RtHead *);
/* The opposite of column `entailment`: column 0 or, if that is entailment, the last. */
RT_INLINE int32_t rt_contradiction(const RtHead *head, int32_t entailment)
{
	return entailment == 0 ? head->nlabels - 1 : 0;
}
/* Tokens of the template of pairs. */
RT_API int32_t rt_pair_specials(const RtTokenizer *);
/* The pair of a text and a hypothesis, from their tokens, in at most `limit` tokens. Only the text is cut
 * (only_first). Returns the number of tokens. */
RT_API int32_t rt_join(const RtTokenizer *, const int32_t *text, int32_t ntext, const int32_t *hypothesis,
	int32_t nhypothesis, int32_t limit, int32_t *ids, int32_t *types);
/* What the score of a hypothesis is made of. multi: each has a score of its own. */
RT_API float rt_entails(const RtHead *, const float *logits, int32_t entailment, int multi);
/* The head that turns these numbers of n hypotheses into scores. */
RT_INLINE RtHead rt_hypotheses(const RtHead *head, int32_t n, int multi)
{
	RtHead own = *head;
	own.nlabels = n;
	own.problem = multi || n == 1 ? RT_MULTI : RT_SINGLE;
	return own;
}

/* ---- library.c: functions of the C API, see NAME.h -------------------------------------------- */
RT_API int rt_lib_classify(RtContext *, const char *const *text, const size_t *bytes, const char *const *pair,
	const size_t *pair_bytes, int32_t ntext, float *scores, size_t nscores, int32_t *best);
RT_API int rt_lib_rank(RtContext *, const char *query, size_t bytes, const char *const *document,
	const size_t *document_bytes, int32_t n, float *scores, int32_t *order);
RT_API int rt_lib_choose(RtContext *, const char *text, size_t bytes, const char *const *choice,
	const size_t *choice_bytes, int32_t n, float *scores, int32_t *best);
RT_API int rt_lib_spans(RtContext *, const char *text, size_t bytes, int32_t *byte_start, int32_t *byte_end,
	const char **label, float *score, int32_t capacity, int32_t *n);
RT_API int rt_lib_answer(RtContext *, const char *question, size_t bytes, const char *context,
	size_t context_bytes, int32_t *byte_start, int32_t *byte_end, float *score, float *null_score);
RT_API int rt_lib_fill(RtContext *, const char *text, size_t bytes, int32_t top, int32_t *ids, float *scores,
	int32_t capacity, int32_t *nmasks);
RT_API int rt_lib_zero_shot(RtContext *, const char *text, size_t bytes, const char *const *hypothesis,
	const size_t *hypothesis_bytes, int32_t n, int multi_label, float *scores, int32_t *best);
RT_API int rt_lib_sparse(
	RtContext *, const char *text, size_t bytes, int32_t *ids, float *weights, int32_t capacity, int32_t *n);
#endif
