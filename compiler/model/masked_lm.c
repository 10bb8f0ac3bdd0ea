/* masked_lm.c: the head of masked language models: a decoder with one row and one bias for each entry of the
 * vocabulary. A checkpoint may hold the decoder's matrix, the word table or both, and its bias under two
 * names. They count as transformers 5 reads them (tie_weights of PreTrainedModel; T: tie_word_embeddings):
 *
 *   T      stored matrices          decoder            T      stored biases         bias
 *   true   table                    table              true   one of both           that one
 *   true   decoder                  decoder, and it    true   both                  the decoder's
 *                                   is the table       false  the decoder's         the decoder's
 *   true   both, equal or not       decoder            false  the head's            none
 *   false  both                     decoder
 *   false  table                    refused: transformers would draw random numbers
 *
 * transformers 4.57 reads some of them in another way. A note then names the difference. */
#include "family.h"

/* True if both hold the same numbers in the same shape. */
static bool same_numbers(const Tensor *a, const Tensor *b)
{
	Type type = a->type;
	type.dtype = b->type.dtype;
	if (!type_equal(&type, &b->type))
		return false;
	if (a->type.dtype == b->type.dtype)
		return tensor_equal(a, b);
	for (int64_t i = 0; i < type_count(&type); i++)
		if (tensor_at(a, i) != tensor_at(b, i))
			return false;
	return true;
}

/* The words of messages for an untied, or a tied decoder. */
static const char *tied_words(const ModelDesc *desc)
{
	if (desc->from_config)
		return desc->untied ? "tie_word_embeddings is false" : "tie_word_embeddings is true";
	return desc->untied ? "tied is \"false\"" : "tied is \"true\"";
}

const char *head_tied_table(Builder *b)
{
	for (int32_t i = 0; i < b->desc->nheads && !b->desc->untied; i++) {
		const HeadDesc *head = &b->desc->head[i];
		if (!head_scores_words(head))
			continue;
		const HeadSpec *spec = &b->desc->family->head[TASK_FILL_MASK];
		const char *name = builder_text(b, "%s.weight", head_stem(b, head, spec->out));
		if (builder_has(b, name))
			return name;
	}
	return NULL;
}

/* The tensor of the checkpoint that the table of words was read from. */
static const Tensor *stored_words(const Builder *b)
{
	const Tensor *words = value_tensor(b->words);
	return builder_find(b, words->source ? words->source : words->name);
}

/* The number of columns of the decoder, and its name. */
static int32_t decoder_columns(const ModelDesc *desc, Size *size)
{
	*size = desc->embedding ? SIZE_EMBEDDING : SIZE_HIDDEN;
	if (!desc->output)
		return family_columns(desc);
	*size = SIZE_OUTPUT;
	return desc->output;
}

/* The matrix [vocab,H]. */
static Value *word_decoder(Builder *b, const char *name, int64_t vocab, const char *origin)
{
	const Tensor *own = builder_find(b, name), *words = stored_words(b);
	if (!b->desc->untied && (!own || same_numbers(own, words)))
		return b->words;
	if (!own) {
		builder_fail(b, EXIT_INPUT,
			"%s: %s, but %s holds no tensor %s; if the decoder is the word table, make it true", origin,
			tied_words(b->desc), b->desc->weights, name);
		return NULL;
	}
	Size size;
	Value *decoder = build_tensor(b, name, NULL, vocab, decoder_columns(b->desc, &size), SIZE_VOCAB, origin);
	if (decoder && !b->desc->untied)
		diag_note(b->diag, 0,
			"%s: %s, but %s differs from %s; the program uses both, as transformers 5 does; transformers "
			"4.57 uses only the second",
			origin, tied_words(b->desc), name, words->name);
	return decoder;
}

static bool is_zero(const Tensor *tensor)
{
	for (int64_t i = 0; i < type_count(&tensor->type); i++)
		if (tensor_at(tensor, i) != 0)
			return false;
	return true;
}

/* Says that transformers 4.57 adds `shared` where the program adds `own`, or nothing if that is NULL. */
static void note_bias(Builder *b, const Tensor *own, const Tensor *shared, const char *origin)
{
	const HeadSpec *spec = &b->desc->family->head[TASK_FILL_MASK];
	if (own ? !spec->bias_won || same_numbers(own, shared) : is_zero(shared))
		return;
	diag_note(b->diag, 0, "%s: %s, and the decoder adds %s, as in transformers 5; transformers 4.57 adds %s",
		origin, tied_words(b->desc), own ? own->name : "nothing", shared->name);
}

/* The bias [vocab]: own is the decoder's name of it, shared the head's or NULL. NULL: no bias, or an error.
 */
static Value *word_bias(Builder *b, const char *own, const char *shared, int64_t vocab, const char *origin)
{
	if (b->desc->unbiased[BIAS_DECODER])
		return NULL;
	const bool has_own = builder_has(b, own), has_shared = shared && builder_has(b, shared);
	if (!shared || (has_own && !has_shared))
		return build_tensor(b, own, NULL, vocab, 0, SIZE_VOCAB, origin);
	if (!has_shared && b->desc->untied)
		return NULL;
	/* transformers refuses a wrong shape of either */
	const Tensor *other = builder_tensor(b, shared, NULL, vocab, 0, SIZE_VOCAB, origin),
				 *mine = has_own ? builder_tensor(b, own, NULL, vocab, 0, SIZE_VOCAB, origin) : NULL;
	if (b->failed)
		return NULL;
	const bool tied = !b->desc->untied && (!mine || same_numbers(mine, other));
	if (!tied)
		note_bias(b, mine, other, origin);
	const char *name = tied ? shared : own;
	return tied || mine ? build_tensor(b, name, NULL, vocab, 0, SIZE_VOCAB, origin) : NULL;
}

/* The scores of the columns `from` on of the state x, where the table of words has fewer: x times the matrix
 * [H - from,vocab]. */
static Value *rest_of_words(Builder *b, Value *x, const char *stem, int64_t from, const char *origin)
{
	const int64_t hidden = b->desc->hidden, vocab = b->words->type.dim[0].plus;
	const Attrs behind = {.has = A_axis | A_start | A_end, .axis = 1, .start = from, .end = hidden};
	Value *matrix = build_tensor(
		b, builder_text(b, "%s.weight", stem), NULL, hidden - from, vocab, SIZE_EMBEDDING, origin);
	return build_binary(b, OP_MATMUL, build_op(b, OP_SLICE, &x, 1, &behind, origin), matrix, origin);
}

/* Fails if the checkpoint has the tensors of the family's other form of this head, and not those of `spec`:
 * config.json chooses, with `legacy`. */
static void check_form(
	Builder *b, const HeadDesc *head, const HeadSpec *spec, const HeadSpec *other, const char *origin)
{
	if (b->failed || !other->build || !b->desc->from_config)
		return;
	const HeadDesc of_other = {.tensors = other->tensors};
	const char *expected = builder_text(b, "%s.weight", head_stem(b, head, spec->dense)),
			   *found = builder_text(b, "%s.weight", head_stem(b, &of_other, other->dense));
	if (!builder_has(b, expected) && builder_has(b, found))
		builder_fail(b, EXIT_INPUT,
			"%s: %s has %s, but not %s; write \"legacy\": %s into config.json to use the head that it has",
			origin, b->desc->weights, found, expected, other == &b->desc->family->tabled ? "false" : "true");
}

Value *head_words(Builder *b, const HeadDesc *head, const char *origin)
{
	const HeadSpec *spec = &b->desc->family->head[TASK_FILL_MASK];
	Size size;
	const int32_t columns = decoder_columns(b->desc, &size), hidden = b->desc->hidden;
	if (spec->rest)
		size = SIZE_HIDDEN;
	check_form(b, head, spec, &b->desc->family->tabled, origin);
	Value *x = head_transform(b, head, b->hidden, spec->rest ? hidden : columns, size, origin), *rest = NULL;
	if (b->failed)
		return NULL;
	if (spec->rest && columns > hidden) {
		builder_fail(b, EXIT_INPUT,
			"%s: %s is %d, expected at most %d (%s), because the word table has a part "
			"of the decoder's columns",
			origin, size_name(b->desc, SIZE_EMBEDDING), columns, hidden, size_name(b->desc, SIZE_HIDDEN));
		return NULL;
	}
	if (spec->rest && columns < hidden) {
		const Attrs front = {.has = A_axis | A_start | A_end, .axis = 1, .end = columns};
		rest = rest_of_words(b, x, head_stem(b, head, spec->rest), columns, origin);
		x = build_op(b, OP_SLICE, &x, 1, &front, origin);
	}
	const int64_t vocab = b->words->type.dim[0].plus;
	const char *stem = head_stem(b, head, spec->out);
	Value *decoder = word_decoder(b, builder_text(b, "%s.weight", stem), vocab, origin);
	const char *shared = spec->bias ? head_stem(b, head, spec->bias) : NULL;
	Value *bias = word_bias(b, builder_text(b, "%s.bias", stem), shared, vocab, origin);
	Value *scores = build_op(b, OP_LINEAR, (Value *[]){x, decoder, bias}, bias ? 3 : 2, NULL, origin);
	return rest ? build_binary(b, OP_ADD, scores, rest, origin) : scores;
}

Value *head_table_words(Builder *b, const HeadDesc *head, const char *origin)
{
	const HeadSpec *spec = &b->desc->family->tabled;
	check_form(b, head, spec, &b->desc->family->head[TASK_FILL_MASK], origin);
	Value *x = head_transform(b, head, b->hidden, b->desc->hidden, SIZE_HIDDEN, origin);
	if (b->failed)
		return NULL;
	Value *bias = build_tensor(
		b, head_stem(b, head, spec->bias), NULL, b->words->type.dim[0].plus, 0, SIZE_VOCAB, origin);
	return build_op(b, OP_LINEAR, (Value *[]){x, b->words, bias}, 3, NULL, origin);
}
