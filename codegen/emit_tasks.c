/* emit_tasks.c: functions of the C API for the task of the model's first head: the answers that the program
 * prints, as data (runtime/answers/library.c). A library has only those of its task. */
#include <string.h>
#include <strings.h>
#include "emit.h"

/* The first head; NULL: there is none, or its output is not the first one, which these functions run. */
static const Head *first_head(const Emitter *e)
{
	const Module *m = e->module;
	const bool first = m->nheads > 0 && strcmp(m->heads[0].output, e->graph->outputs[0].name) == 0;
	return first && e->options->tokenizer ? &m->heads[0] : NULL;
}

static bool takes_pairs(const Emitter *e) { return e->options->tokenizer->npair > 0; }

static bool has_one_score(const Emitter *e) { return value_unit(e->graph->outputs[0].value) == 1; }

static bool classifies(const Emitter *e, const Head *head)
{
	(void)e;
	return head->task == TASK_CLASSIFY || head->task == TASK_RANK;
}

static bool ranks(const Emitter *e, const Head *head)
{
	return classifies(e, head) && has_one_score(e) && takes_pairs(e);
}

static bool entails(const Emitter *e, const Head *head)
{
	bool named = false;
	for (int32_t i = 0; i < head->nlabels; i++)
		named |= strncasecmp(head->labels[i], "entail", 6) == 0;
	return head->task == TASK_CLASSIFY && named && head->nlabels > 1 && takes_pairs(e);
}

static bool chooses(const Emitter *e, const Head *head)
{
	return head->task == TASK_CHOICE && takes_pairs(e);
}

static bool tags(const Emitter *e, const Head *head)
{
	(void)e;
	return head->task == TASK_TAG && head->nlabels > 0;
}

static bool answers(const Emitter *e, const Head *head) { return head->task == TASK_QA && takes_pairs(e); }

static bool fills(const Emitter *e, const Head *head)
{
	return head->task == TASK_FILL_MASK && e->options->tokenizer->mask_id >= 0;
}

static bool compares(const Emitter *e, const Head *head)
{
	(void)e;
	return head->task == TASK_EMBED || head->task == TASK_SPARSE;
}

static bool has_vectors(const Emitter *e, const Head *head)
{
	(void)e;
	return head->task == TASK_MULTI_VECTOR;
}

static bool weighs(const Emitter *e, const Head *head)
{
	(void)e;
	return head->task == TASK_SPARSE;
}

/* Whether the answers are ids of tokens. */
static bool spells(const Emitter *e, const Head *head)
{
	return fills(e, head) || (weighs(e, head) && value_unit(e->graph->outputs[0].value) == e->sizes.vocab);
}

/* comment: without the marks of a comment, a line each; parameters and arguments as in C. */
static const struct {
	bool (*has)(const Emitter *, const Head *);
	const char *comment, *type, *function, *parameters, *body;
} functions[] = {
	{classifies,
		"Scores of texts or pairs: NAME_OUTPUT_WIDTH floats per text, in the order of NAME_label. They are\n"
		"probabilities, unless the model gives none. best (may be NULL): for each text the number of the "
		"label\n"
		"with the largest score. pair is NULL for single texts.",
		"int", "classify",
		"NAME *, const char *const *text, const size_t *bytes, const char *const *pair, const size_t "
		"*pair_bytes,\n\tint32_t ntext, float *scores, size_t nscores, int32_t *best",
		"NAME *c, const char *const *text, const size_t *bytes, const char *const *pair, const size_t "
		"*pair_bytes,\n\tint32_t ntext, float *scores, size_t nscores, int32_t *best)\n{\n\treturn "
		"rt_lib_classify((RtContext *)c, text, bytes, pair, pair_bytes, ntext, scores, nscores, best);\n}\n"},
	{ranks,
		"The scores of n documents for a query. order (may be NULL) receives the numbers of the documents,\n"
		"best first; documents with equal scores keep their order.",
		"int", "rank",
		"NAME *, const char *query, size_t bytes, const char *const *document, const size_t *document_bytes,"
		"\n\tint32_t n, float *scores, int32_t *order",
		"NAME *c, const char *query, size_t bytes, const char *const *document, const size_t *document_bytes,"
		"\n\tint32_t n, float *scores, int32_t *order)\n{\n\treturn rt_lib_rank((RtContext *)c, query, "
		"bytes, "
		"document, document_bytes, n, scores, order);\n}\n"},
	{entails,
		"Zero-shot classification: the scores of n hypotheses about a text, such as \"This example is "
		"sports.\"."
		"\nThey are the probabilities of one label among n or, with multi_label 1, each has a probability of "
		"its"
		"\nown. best (may be NULL): the hypothesis with the largest score. Only the text is cut if it is too "
		"long;\nwindows are not used.",
		"int", "zero_shot",
		"NAME *, const char *text, size_t bytes, const char *const *hypothesis, const size_t "
		"*hypothesis_bytes,\n\tint32_t n, int multi_label, float *scores, int32_t *best",
		"NAME *c, const char *text, size_t bytes, const char *const *hypothesis, const size_t "
		"*hypothesis_bytes,\n\tint32_t n, int multi_label, float *scores, int32_t *best)\n{\n\treturn "
		"rt_lib_zero_shot((RtContext *)c, text, bytes, hypothesis, hypothesis_bytes, n, multi_label, scores, "
		"best);\n}\n"},
	{chooses,
		"Multiple choice: the probabilities of n choices for a text. best (may be NULL): the\n"
		"number of the best one; -1 if n is 0.",
		"int", "choose",
		"NAME *, const char *text, size_t bytes, const char *const *choice, const size_t *choice_bytes,\n"
		"\tint32_t n, float *scores, int32_t *best",
		"NAME *c, const char *text, size_t bytes, const char *const *choice, const size_t *choice_bytes,\n"
		"\tint32_t n, float *scores, int32_t *best)\n{\n\treturn rt_lib_choose((RtContext *)c, text, bytes, "
		"choice, choice_bytes, n, scores, best);\n}\n"},
	{tags,
		"The spans of a text: start and end in bytes of the text, a label without its prefix, which lives "
		"as\n"
		"long as the program, and a score from 0 to 1. The arrays have room for `capacity` spans; *n "
		"receives\n"
		"how many there are. If they do not fit, the function returns NAME_E_CAPACITY.",
		"int", "spans",
		"NAME *, const char *text, size_t bytes, int32_t *byte_start, int32_t *byte_end, const char "
		"**label,\n\tfloat *score, int32_t capacity, int32_t *n",
		"NAME *c, const char *text, size_t bytes, int32_t *byte_start, int32_t *byte_end, const char "
		"**label,\n\tfloat *score, int32_t capacity, int32_t *n)\n{\n\treturn rt_lib_spans((RtContext *)c, "
		"text, bytes, byte_start, byte_end, label, score, capacity, n);\n}\n"},
	{answers,
		"The part of a context that answers a question: start and end in bytes of the context; -1 and -1 if\n"
		"there is none. score and null_score (may be NULL): the probabilities, from 0 to 1, of this answer "
		"and\n"
		"of no answer. At most 256 answers are compared: in longer contexts those with the least scores "
		"go.",
		"int", "answer",
		"NAME *, const char *question, size_t bytes, const char *context, size_t context_bytes,\n"
		"\tint32_t *byte_start, int32_t *byte_end, float *score, float *null_score",
		"NAME *c, const char *question, size_t bytes, const char *context, size_t context_bytes,\n"
		"\tint32_t *byte_start, int32_t *byte_end, float *score, float *null_score)\n{\n\treturn "
		"rt_lib_answer((RtContext *)c, question, bytes, context, context_bytes, byte_start, byte_end, score, "
		"null_score);\n}\n"},
	{fills,
		"The best tokens for each mask of a text, best first: ids and scores have room for capacity * top\n"
		"numbers; mask i has those from i * top on. *nmasks receives how many masks there are; if they do "
		"not\n"
		"fit, the function returns NAME_E_CAPACITY. Scores are probabilities. Windows are not used.",
		"int", "fill",
		"NAME *, const char *text, size_t bytes, int32_t top, int32_t *ids, float *scores, int32_t capacity,"
		"\n\tint32_t *nmasks",
		"NAME *c, const char *text, size_t bytes, int32_t top, int32_t *ids, float *scores, int32_t capacity,"
		"\n\tint32_t *nmasks)\n{\n\treturn rt_lib_fill((RtContext *)c, text, bytes, top, ids, scores, "
		"capacity, "
		"nmasks);\n}\n"},
	{compares,
		"The similarity of two rows of NAME_run_text by the similarity function of the model: cosine, unless "
		"it\nnames dot, or euclidean or manhattan, which are negative distances. More is nearer.",
		"double", "similarity", "const float *row, const float *other",
		"const float *row, const float *other)\n{\n\treturn rt_similarity(NAME_model.similarity, row, other, "
		"NAME_model.outputs->width);\n}\n"},
	{has_vectors,
		"The score (MaxSim) of a document for a query, from their rows of NAME_run_text. Encode queries "
		"after\nNAME_set(c, \"task\", 1) and documents after NAME_set(c, \"task\", 2).",
		"double", "maxsim",
		"const float *query, int32_t query_rows, const float *document, int32_t document_rows",
		"const float *query, int32_t query_rows, const float *document, int32_t document_rows)\n{\n\treturn "
		"rt_maxsim(query, query_rows, document, document_rows, NAME_model.outputs->width, "
		"NAME_model.late->mean);\n}\n"},
	{weighs,
		"The weights of a text that are not 0, the largest first, and the ids of their tokens. *n receives "
		"how\nmany there are; if there are more than `capacity`, only the largest are written.",
		"int", "sparse",
		"NAME *, const char *text, size_t bytes, int32_t *ids, float *weights, int32_t capacity, int32_t *n",
		"NAME *c, const char *text, size_t bytes, int32_t *ids, float *weights, int32_t capacity, int32_t *n)"
		"\n{\n\treturn rt_lib_sparse((RtContext *)c, text, bytes, ids, weights, capacity, n);\n}\n"},
	{spells,
		"The spelling of a token in the vocabulary and its length in bytes; no NUL ends it. NULL: no such "
		"id.",
		"const char *", "token", "int32_t id, size_t *bytes",
		"int32_t id, size_t *bytes) { return rt_token_text(NAME_model.tokenizer, id, bytes); }\n"},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static bool has(const Emitter *e, int i)
{
	const Head *head = first_head(e);
	return head && functions[i].has(e, head);
}

bool emit_has_task_functions(const Emitter *e)
{
	for (int i = 0; i < FUNCTIONS; i++)
		if (has(e, i))
			return true;
	return false;
}

/* The lines of the text as one comment. */
static void print_comment(const char *text, const char *name, FILE *h)
{
	fputs("/* ", h);
	for (const char *line = text, *end; *line; line = end) {
		char part[256];
		end = strchr(line, '\n') ? strchr(line, '\n') + 1 : line + strlen(line);
		snprintf(part, sizeof part, "%.*s", (int)(end - line), line);
		c_named(h, part, name);
		fputs(end[-1] == '\n' ? " * " : " */\n", h);
	}
}

void emit_task_declarations(const Emitter *e, FILE *h)
{
	const char *name = e->options->name;
	if (emit_has_task_functions(e))
		fputs("\n/* Answers, as the program prints them, of the first head. Functions that return int return "
			  "0 or an error. After "
			  "an "
			  "error the results\n * are undefined. The option \"overflow\" decides about texts that are too "
			  "long. */\n",
			h);
	for (int i = 0; i < FUNCTIONS; i++) {
		if (!has(e, i))
			continue;
		print_comment(functions[i].comment, name, h);
		fprintf(h, "%s%s%s_%s(", functions[i].type, strchr(functions[i].type, '*') ? "" : " ", name,
			functions[i].function);
		c_named(h, functions[i].parameters, name);
		fputs(");\n", h);
	}
}

void emit_task_functions(const Emitter *e, FILE *c)
{
	const char *name = e->options->name;
	for (int i = 0; i < FUNCTIONS; i++) {
		if (!has(e, i))
			continue;
		fprintf(c, "%s%s%s_%s(", functions[i].type, strchr(functions[i].type, '*') ? "" : " ", name,
			functions[i].function);
		c_named(c, functions[i].body, name);
	}
}
