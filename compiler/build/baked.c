/* baked.c: what a program knows without options of its own: the labels and the template of zero-shot
 * classification, as runtime/zero_shot.c reads them, and the ranges of embeddings in 8 bits, as
 * runtime/embeddings.c does. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "baked.h"
#include "compiler/support/json_file.h"

/* --labels and --template, as runtime/zero_shot.c reads them. */
bool baked_check(const ResultOptions *result, Diag *diag)
{
	const char *gap = result->pattern ? strstr(result->pattern, "{}") : NULL;
	if (result->pattern && !result->labels)
		return diag_error(diag, EXIT_USAGE, 0, "--template needs --labels");
	if ((result->labels || result->ranges) && result->emit != EMIT_EXE && result->emit != EMIT_C)
		return diag_error(diag, EXIT_USAGE, 0, "--%s is for programs: only --emit=exe and --emit=c make one",
			result->labels ? "labels" : "ranges");
	if (result->pattern && (!gap || strstr(gap + 2, "{}")))
		return diag_error(
			diag, EXIT_USAGE, 0, "--template=%s: expected one {}, where the label goes", result->pattern);
	for (const char *at = result->labels, *comma; at; at = comma ? comma + 1 : NULL) {
		comma = strchr(at, ',');
		at += strspn(at, " ");
		if (!*at || at == comma)
			return diag_error(diag, EXIT_USAGE, 0, "--labels=%s: a label is empty", result->labels);
	}
	return true;
}

static bool has_entailment(const Head *head)
{
	bool found = false;
	for (int32_t i = 0; i < head->nlabels; i++)
		found |= strncasecmp(head->labels[i], "entail", 6) == 0;
	return found;
}

/* Zero-shot classification needs a classifier of pairs with several labels. */
bool baked_fits(const ResultOptions *result, const Loaded *loaded, Diag *diag)
{
	const Head *head = loaded->module->nheads > 0 ? &loaded->module->heads[0] : NULL;
	if (result->ranges && (!head || head->task != TASK_EMBED))
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "--ranges is only for embeddings");
	if (!result->labels && !result->zero_shot)
		return true;
	if (!head || head->task != TASK_CLASSIFY || head->nlabels < 2 || !loaded->tokenizer
		|| loaded->tokenizer->npair == 0)
		return diag_error(diag, EXIT_UNSUPPORTED, 0,
			"--%s is only for classifiers of pairs, such as models for natural language inference",
			result->zero_shot ? "task=zero-shot" : "labels");
	return !result->zero_shot || has_entailment(head)
		|| diag_error(diag, EXIT_UNSUPPORTED, 0,
			"--task=zero-shot: no label of the model begins with \"entail\" (%d labels: %s, ..); --labels "
			"without --task=zero-shot takes the last one for it",
			head->nlabels, head->labels[0]);
}

/* Whether an array has n numbers that are floats, none below the one in `least` (NULL: no limit). */
static bool is_row(const json_t *row, const json_t *least, int64_t n)
{
	if (!json_is_array(row) || (int64_t)json_array_size(row) != n)
		return false;
	for (size_t i = 0; i < json_array_size(row); i++) {
		const json_t *number = json_array_get(row, i);
		if (!json_is_real(number) || fabs(json_real_value(number)) > (double)FLT_MAX
			|| (least && json_real_value(number) < json_real_value(json_array_get(least, i))))
			return false;
	}
	return true;
}

static int64_t embedding_width(const Module *m)
{
	for (int32_t k = 0; k < m->graphs[0]->noutputs; k++) {
		const Type *type = &m->graphs[0]->outputs[k].value->type;
		if (type->rank > 0 && strcmp(m->graphs[0]->outputs[k].name, m->heads[0].output) == 0)
			return type->dim[type->rank - 1].plus;
	}
	return 0;
}

bool baked_ranges(const ResultOptions *result, const Loaded *loaded, char **text, Diag *diag)
{
	*text = NULL;
	if (!result->ranges)
		return true;
	const int64_t n = embedding_width(loaded->module);
	json_t *ranges = json_read(result->ranges, JSON_CONFIG_BYTES_MAX, JSON_DECODE_INT_AS_REAL, diag);
	if (!ranges)
		return false;
	const json_t *least = json_array_get(ranges, 0);
	const bool good = json_array_size(ranges) == 2 && is_row(least, NULL, n)
		&& is_row(json_array_get(ranges, 1), least, n);
	if (good)
		*text = json_dumps(ranges, JSON_REAL_PRECISION(9));
	json_decref(ranges);
	return good
		|| diag_error_in(diag, EXIT_INPUT, result->ranges, 0,
			"expected [[LEAST, ...], [MOST, ...]] with %lld numbers each, LEAST <= MOST, as the program's "
			"--precision=ranges prints them",
			(long long)n);
}
