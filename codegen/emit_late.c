/* emit_late.c: the table for late interaction of a multi-vector model (RtLate in runtime/model.h), from its
 * meta lines (META_LIMITS in ir.h, and so on). Words become token ids here, after all passes that renumber
 * them. */
#include <stdlib.h>
#include <string.h>
#include "emit.h"

bool emit_is_late(const Module *m) { return m->nheads > 0 && m->heads[0].task == TASK_MULTI_VECTOR; }

/* Reads `count` numbers separated by spaces; those that are missing keep their value. */
static void read_numbers(const Module *m, const char *key, int32_t *numbers, int count)
{
	const char *at = module_meta(m, key);
	for (int i = 0; at && i < count; i++) {
		char *end;
		const long number = strtol(at, &end, 10);
		if (end == at || number < 0 || number > INT32_MAX)
			return;
		numbers[i] = (int32_t)number;
		at = end;
	}
}

static bool read_fill(Emitter *e, const int32_t *fill, int32_t *token)
{
	const TokenizerDesc *t = e->options->tokenizer;
	const char *word = module_meta(e->module, META_FILL_TOKEN);
	*token = 0;
	if (!t || !fill[0])
		return true;
	*token = word ? tokenizer_token_id(t, word, strlen(word)) : t->mask_id;
	if (*token < 0)
		return diag_error(e->diag, EXIT_UNSUPPORTED, 0,
			"queries are filled up with the token %s, which the vocabulary does not have",
			word ? word : "for masks");
	return (*token < e->sizes.vocab && fill[0] <= e->sizes.max_tokens
			   && fill[1] < (e->sizes.type_vocab > 1 ? e->sizes.type_vocab : 1))
		|| diag_error(e->diag, EXIT_INPUT, 0,
			"queries are filled up to %d tokens with token %d of type %d, which are not all in the model",
			(int)fill[0], (int)*token, (int)fill[1]);
}

/* Writes the ids of tokens without rows, and returns how many. Words that are no token are left out. */
static int32_t print_skip(const Emitter *e, FILE *c)
{
	const char *words = module_meta(e->module, META_SKIP);
	int32_t count = 0;
	for (const char *at = words && e->options->tokenizer ? words : ""; *at;) {
		const size_t bytes = strcspn(at, "\n");
		const int32_t id = tokenizer_token_id(e->options->tokenizer, at, bytes);
		if (id >= 0 && count++ == 0)
			fprintf(c, "static const int32_t %s_skip[] = {", e->options->name);
		if (id >= 0)
			fprintf(c, "%d, ", (int)id);
		at += bytes + (at[bytes] == '\n');
	}
	fputs(count ? "};\n" : "", c);
	return count;
}

/* The last members of RtLate. */
static void print_clusters(const Module *m, FILE *c)
{
	int32_t numbers[5] = {0};
	const char *text = module_meta(m, META_CLUSTER_FACTOR);
	const double factor = text ? strtod(text, NULL) : 0;
	if (factor >= 1)
		read_numbers(m, META_CLUSTERS, numbers, 5);
	fprintf(c, "{%d, %d, %d}, ", (int)numbers[2], (int)numbers[3], (int)numbers[4]);
	c_real(c, factor >= 1 ? factor : 0);
	fprintf(c, ", %d, %d};\n", (int)numbers[0], (int)numbers[1]);
}

bool emit_late(Emitter *e, FILE *c)
{
	const Module *m = e->module;
	if (!emit_is_late(m))
		return true;
	int32_t limits[3] = {e->sizes.max_tokens, e->sizes.max_tokens, e->sizes.max_tokens}, skips[3] = {0},
			fill[2] = {0}, token;
	read_numbers(m, META_LIMITS, limits, 3);
	read_numbers(m, META_SKIP_TASKS, skips, 3);
	read_numbers(m, META_FILL, fill, 2);
	for (int i = 0; i < 3; i++)
		limits[i] = limits[i] < e->sizes.max_tokens ? limits[i] : e->sizes.max_tokens;
	if (!read_fill(e, fill, &token))
		return false;
	const int32_t nskip = print_skip(e, c);
	fprintf(c, "static const RtLate %s_late = {{%d, %d, %d}, %d, %d, %d, %d, {%d, %d, %d}, ",
		e->options->name, (int)limits[0], (int)limits[1], (int)limits[2], (int)fill[0], (int)token,
		(int)fill[1], module_meta(m, META_MEAN) != NULL, (int)skips[0], (int)skips[1], (int)skips[2]);
	if (nskip)
		fprintf(c, "%s_skip, %d, ", e->options->name, (int)nskip);
	else
		fputs("NULL, 0, ", c);
	print_clusters(m, c);
	return true;
}
