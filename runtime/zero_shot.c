/* zero_shot.c: --labels: classification by any labels with a model for natural language inference (Yin, Hay,
 * Roth: "Benchmarking Zero-shot Text Classification", 2019), as the pipeline zero-shot-classification of
 * transformers does it. A label makes a hypothesis, such as "This example is sports.". A text and a
 * hypothesis are a pair. The score of a label compares the logits "entailment" of all hypotheses or, with
 * --multi-label, the logits "entailment" and "contradiction" of its own.
 *
 * The hypotheses are tokenized once, and a text once for all of them. If a pair is too long, only the text is
 * cut (only_first). */
#include "program.h"

typedef struct RtZeroShot {
	char *text;               /* malloc'd: copies of the labels, then the hypotheses */
	const char **labels;      /* malloc'd; the RtHead's */
	int32_t nlabels, special; /* special: tokens of the template of pairs */
	int32_t **ids, *counts;   /* malloc'd: the tokens of each hypothesis */
	int32_t *held;            /* malloc'd: those of the current text, at most the model's limit */
	int32_t entailment;       /* column of the model's output */
	RtHead head;              /* a classifier with these labels */
} RtZeroShot;

/* Without a label "entailment", the last counts. */
RT_FN void zero_shot_columns(RtProgram *p, RtZeroShot *z, const RtHead *head)
{
	z->entailment = rt_entailment(head);
	if (z->entailment >= 0)
		return;
	z->entailment = head->nlabels - 1;
	fprintf(stderr,
		"%s: note: no label of the model begins with \"entail\"; the last one, %s, counts as entailment\n",
		p->model->name, head->labels[z->entailment]);
}

/* Cuts "a, b" at commas. Spaces around a label do not count. NULL, or what is wrong. */
RT_FN const char *zero_shot_labels(RtZeroShot *z, char *text)
{
	for (char *at = text, *comma; at; at = comma) {
		comma = strchr(at, ',');
		char *end = comma ? comma : at + strlen(at);
		comma = comma ? comma + 1 : NULL;
		at += strspn(at, " ");
		while (end > at && end[-1] == ' ')
			end--;
		*end = '\0';
		if (!*at)
			return "a label is empty";
		z->labels[z->nlabels++] = at;
	}
	return NULL;
}

/* Tokenizes "This example is sports." for each label. */
RT_FN int zero_shot_hypotheses(RtProgram *p, RtZeroShot *z, const char *pattern, const char *gap)
{
	const RtModel *m = p->model;
	z->special = rt_pair_specials(m->tokenizer);
	for (int32_t k = 0; k < z->nlabels; k++) {
		const size_t bytes = strlen(pattern) - 2 + strlen(z->labels[k]);
		char *hypothesis = rt_grow(NULL, &(size_t){0}, bytes + 1);
		int32_t total, replaced;
		snprintf(hypothesis, bytes + 1, "%.*s%s%s", (int)(gap - pattern), pattern, z->labels[k], gap + 2);
		z->ids[k] = rt_grow(NULL, &(size_t){0}, (size_t)m->max_tokens * sizeof(int32_t));
		z->counts[k] = rt_tokenize_one(
			m->tokenizer, hypothesis, bytes, m->max_tokens, z->ids[k], &total, &replaced);
		free(hypothesis);
		if (total > m->max_tokens - z->special)
			return program_usage(p, "--labels: the hypothesis of label %s has %d tokens, at most %d fit",
				z->labels[k], (int)total, (int)(m->max_tokens - z->special));
	}
	return 0;
}

RT_FN int zero_shot_check(RtProgram *p)
{
	const RtModel *m = p->model;
	RtOptions *o = &p->options;
	if (!o->labels && !o->ids && !o->logits && !o->hidden && !o->query)
		o->labels = m->labels;
	if (o->labels && !*o->labels)
		return program_usage(p, "this program is for zero-shot classification: give --labels");
	if (o->labels && !o->pattern)
		o->pattern = m->pattern;
	const char *pattern = o->pattern ? o->pattern : "This example is {}.", *gap = strstr(pattern, "{}");
	if (!o->labels)
		return o->pattern || o->multi_label ? program_usage(p, "--template and --multi-label need --labels")
											: 0;
	const RtHead *head = m->nheads > 0 ? m->heads : NULL;
	if (!head || head->task != RT_TASK_CLASSIFY || head->nlabels < 2 || !m->takes_pairs)
		return program_usage(
			p, "--labels is only for classifiers of pairs, such as models for natural language inference");
	if (o->ids || o->logits || o->hidden || o->query || o->overflow == RT_OVERFLOW_WINDOW)
		return program_usage(
			p, "--labels excludes --ids, --logits, --hidden, --query and --on-overflow=window");
	if (!gap || strstr(gap + 2, "{}"))
		return program_usage(p, "--template=%s: expected one {}, where the label goes", pattern);
	RtZeroShot *z = p->zero_shot = rt_grow(NULL, &(size_t){0}, sizeof *z);
	*z = (RtZeroShot){.text = rt_grow(NULL, &(size_t){0}, strlen(o->labels) + 1)};
	strcpy(z->text, o->labels);
	size_t nmost = 1;
	for (const char *at = o->labels; *at; at++)
		nmost += *at == ',';
	z->labels = rt_grow(NULL, &(size_t){0}, nmost * sizeof *z->labels);
	const char *wrong = zero_shot_labels(z, z->text);
	if (wrong)
		return program_usage(p, "--labels=%s: %s", o->labels, wrong);
	z->ids = rt_grow(NULL, &(size_t){0}, (size_t)z->nlabels * sizeof *z->ids);
	memset(z->ids, 0, (size_t)z->nlabels * sizeof *z->ids);
	z->counts = rt_grow(NULL, &(size_t){0}, (size_t)z->nlabels * sizeof *z->counts);
	z->held = rt_grow(NULL, &(size_t){0}, (size_t)m->max_tokens * sizeof *z->held);
	zero_shot_columns(p, z, head);
	z->head = rt_hypotheses(head, z->nlabels, o->multi_label);
	z->head.labels = z->labels;
	return zero_shot_hypotheses(p, z, pattern, gap);
}

/* The pair of the text and hypothesis k, from their tokens: `held` of the text's `total`. */
RT_FN void zero_shot_pair(RtProgram *p, RtItem *item, int32_t held, int32_t total, int32_t k)
{
	const RtModel *m = p->model;
	const RtZeroShot *z = p->zero_shot;
	program_tokens(p, m->max_tokens);
	const int32_t at = p->ntokens,
				  n = rt_join(m->tokenizer, z->held, held, z->ids[k], z->counts[k], m->max_tokens,
					  p->ids + at, p->types + at);
	for (int32_t i = at; i < at + n; i++) {
		p->start[i] = RT_SPECIAL;
		p->end[i] = RT_SPECIAL;
		p->word[i] = -1;
	}
	program_piece(p, item, n);
	item->total = rt_max(item->total, total + z->special + z->counts[k]);
}

RT_FN int zero_shot_read(RtProgram *p, RtItem *item)
{
	const RtModel *m = p->model;
	RtZeroShot *z = p->zero_shot;
	int32_t total, replaced;
	const int32_t held = rt_tokenize_one(
		m->tokenizer, item->text, item->text_bytes, m->max_tokens, z->held, &total, &replaced);
	if (p->options.strict && replaced) {
		rt_complain(p, item, "error", "invalid UTF-8 (%d sequences)", (int)replaced);
		return 0;
	}
	for (item->choices = 0; item->choices < z->nlabels; item->choices++)
		zero_shot_pair(p, item, held, total, item->choices);
	item->truncated = item->total > m->max_tokens;
	if (item->truncated && p->options.overflow == RT_OVERFLOW_ERROR) {
		rt_complain(p, item, "error", "%d tokens with the longest hypothesis, at most %d", (int)item->total,
			(int)m->max_tokens);
		return 0;
	}
	return 1;
}

RT_FN void zero_shot_print(RtProgram *p, const RtItem *item)
{
	const RtZeroShot *z = p->zero_shot;
	float *row = rt_scratch(p, (size_t)z->nlabels * sizeof *row);
	for (int32_t k = 0; k < z->nlabels; k++) {
		const float *logits = rt_rows(p, z->head.output, task_piece(p, item, k));
		row[k] = rt_entails(p->model->heads, logits, z->entailment, z->head.problem == RT_MULTI);
	}
	if (p->options.json) {
		putc('{', p->out);
		task_json_classify(p, &z->head, row, z->nlabels);
		task_end_json(p, item);
	} else
		task_plain_classify(p, &z->head, row, z->nlabels);
}

RT_FN void zero_shot_free(RtProgram *p)
{
	RtZeroShot *z = p->zero_shot;
	for (int32_t k = 0; z && z->ids && k < z->nlabels; k++)
		free(z->ids[k]);
	if (z) {
		free(z->text);
		free(z->labels);
		free(z->ids);
		free(z->counts);
		free(z->held);
	}
	free(z);
}
