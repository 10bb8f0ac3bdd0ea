/* late.c: models for late interaction, whose texts have a vector for each token. Khattab, Zaharia: "ColBERT:
 * Efficient and Effective Passage Search via Contextualized Late Interaction over BERT", 2020.
 *
 * Queries are filled up to a number of tokens (query expansion, section 3.2 there). Usually no token attends
 * to those that fill, but they attend to the others and have rows. They have a type of their own, after all
 * types of the family: a row of the table of types that equals the first one, and a score bias that hides the
 * keys of this type:
 *
 *   %flag = const [0, 0, -3.4e38] : f32[3,1]
 *   %mask = embed %flag, %types : f32[S,1]
 *   %keys = transpose %mask {perm=[1,0]} : f32[1,S]         .. softmax(scores + %keys) */
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include "family.h"

/* ---- the description ------------------------------------------------------------------------- */

bool description_add_skip(ModelDesc *desc, const char *token, Diag *diag)
{
	LateDesc *late = desc->late;
	if (!text_is_clean(token))
		return diag_error_in(diag, EXIT_UNSUPPORTED, desc->path, 0,
			"tokens without rows have 1 to %d bytes without control characters", NAME_BYTES_MAX);
	if (late->nskip == LATE_SKIP_MAX)
		return diag_error_in(
			diag, EXIT_UNSUPPORTED, desc->path, 0, "more than %d tokens without rows", LATE_SKIP_MAX);
	if (!late->skip)
		late->skip = mem_alloc(desc->mem, LATE_SKIP_MAX * sizeof *late->skip);
	late->skip[late->nskip++] = mem_string(desc->mem, token, strlen(token));
	return true;
}

bool description_settle_late(ModelDesc *desc, int asked, Diag *diag)
{
	LateDesc *late = desc->late;
	const int32_t plain = asked > 0 || !late->limit[LATE_PLAIN] ? desc->max_tokens : late->limit[LATE_PLAIN],
				  most = asked > 0 ? desc->max_tokens : family_longest(desc);
	int32_t longest = late->fill;
	if (late->fill > most)
		return diag_error_in(diag, EXIT_UNSUPPORTED, desc->path, 0,
			"queries are filled up to %d tokens, but the limit is %d tokens", late->fill, most);
	late->limit[LATE_PLAIN] = plain;
	for (int i = 0; i < LATE_COUNT; i++) {
		const int32_t limit = late->limit[i] ? late->limit[i] : plain;
		late->limit[i] = limit < most ? limit : most;
		longest = late->limit[i] > longest ? late->limit[i] : longest;
	}
	if (longest != desc->max_tokens)
		desc->max_tokens_rule = "the largest limit of texts, queries and documents";
	desc->max_tokens = longest;
	return true;
}

/* The number of types that the family itself has. */
static int32_t own_types(const ModelDesc *desc)
{
	return family_has_segments(desc) && desc->types > 1 ? desc->types : 1;
}

bool family_hides(const ModelDesc *desc) { return desc->late && desc->late->fill && !desc->late->attends; }

void description_late_meta(const ModelDesc *desc, Module *module)
{
	const LateDesc *late = desc->late;
	MemArena *mem = module->mem;
	const int32_t *limit = late->limit;
	char *skip = NULL;
	size_t bytes;
	module_set_meta(module, META_LIMITS,
		mem_printf(mem, "%d %d %d", limit[LATE_PLAIN], limit[LATE_QUERY], limit[LATE_DOCUMENT]));
	if (late->fill)
		module_set_meta(module, META_FILL,
			mem_printf(mem, "%d %d", late->fill, family_hides(desc) ? own_types(desc) : 0));
	if (late->fill && late->token)
		module_set_meta(module, META_FILL_TOKEN, late->token);
	if (late->nskip) {
		FILE *lines = text_open(&skip, &bytes);
		for (int32_t i = 0; i < late->nskip; i++)
			fprintf(lines, "%s%s", i ? "\n" : "", late->skip[i]);
		text_close(lines);
		module_set_meta(module, META_SKIP, skip);
		free(skip);
		module_set_meta(module, META_SKIP_TASKS,
			mem_printf(mem, "%d %d %d", late->skips[LATE_PLAIN], late->skips[LATE_QUERY],
				late->skips[LATE_DOCUMENT]));
	}
	for (int i = 0; i < LATE_COUNT; i++)
		if (late->prefix[i])
			module_set_meta(module, mem_printf(mem, "%s%d", META_PREFIX, i), late->prefix[i]);
	if (late->mean)
		module_set_meta(module, META_MEAN, "1");
	if (late->factor > 0) {
		module_set_meta(module, META_CLUSTERS,
			mem_printf(mem, "%d %d %d %d %d", late->protect, late->unit, late->clusters[LATE_PLAIN],
				late->clusters[LATE_QUERY], late->clusters[LATE_DOCUMENT]));
		module_set_meta(module, META_CLUSTER_FACTOR, mem_printf(mem, "%.17g", late->factor));
	}
}

/* ---- the graph ------------------------------------------------------------------------------- */

Value *build_hidden_type(Builder *b, Value *rows, const char *origin)
{
	if (b->failed || !family_hides(b->desc))
		return rows;
	const Attrs first = {.has = A_axis | A_start | A_end, .axis = 0, .start = 0, .end = 1},
				joined = {.has = A_axis, .axis = 0};
	Value *row = build_op(b, OP_SLICE, &rows, 1, &first, origin);
	return build_op(b, OP_CONCAT, (Value *[]){rows, row}, 2, &joined, origin);
}

Value *build_hidden_keys(Builder *b)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "attention.hidden";
	if (b->failed || !family_hides(desc))
		return NULL;
	if (desc->local && desc->late->fill > desc->window / 2 + 1) {
		builder_fail(b, EXIT_UNSUPPORTED,
			"queries are filled up to %d tokens that no token attends to; with local attention to %d tokens, "
			"at most %d are supported",
			desc->late->fill, desc->window, desc->window / 2 + 1);
		return NULL;
	}
	const int32_t types = own_types(desc);
	Tensor *flags = tensor_new(b->module, NULL, type_make(DT_F32, 2, dim_number(types + 1), dim_number(1)));
	tensor_set(flags, types, -FLT_MAX); /* what transformers adds to the scores of padding */
	Value *mask = build_embed(b, graph_const(b->graph, NULL, flags, origin), b->types, origin);
	const Attrs turned = {.has = A_perm, .perm = {2, {1, 0}}};
	return build_op(b, OP_TRANSPOSE, &mask, 1, &turned, origin);
}

Value *head_multi_vector(Builder *b, const HeadDesc *head, const char *origin)
{
	const ModelDesc *desc = b->desc;
	const int32_t depth = family_depth(desc);
	if (family_hides(desc) && (b->hid != depth || desc->family->traits & 1u << TRAIT_RELATIVE)) {
		builder_fail(b, EXIT_UNSUPPORTED,
			"query_expansion without \"attend\": true is not supported in the family %s",
			desc->family->model_type);
		return NULL;
	}
	return build_modules(b, head, true, b->hidden, origin);
}
