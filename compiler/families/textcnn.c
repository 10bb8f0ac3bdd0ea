/* families/textcnn.c: convolutions of several widths over the word embeddings (Kim 2014, "Convolutional
 * Neural Networks for Sentence Classification"), a usual student of BERT. A token's features are those of all
 * convolutions; a classifier reads the largest of each over the tokens, a tagger those of every token. The
 * checkpoint says how many convolutions there are, and how wide. docs/students.md specifies the files. */
#include "families.h"

enum { CONVS_MOST = 16 }; /* arguments of a concat */

static const char *conv_stem(Builder *b, int32_t i) { return builder_text(b, "%sconvs.%d", b->prefix, i); }

static bool has_conv(Builder *b, int32_t i)
{
	return builder_has(b, builder_text(b, "%s.weight", conv_stem(b, i)));
}

/* act(conv(x)), one beside the other. */
static Value *features(Builder *b, Value *x)
{
	Value *conv[CONVS_MOST];
	int32_t count = 0;
	do {
		const char *origin = builder_text(b, "convs.%d", count);
		Value *made = build_conv(b, x, conv_stem(b, count), 0, 0, 1, origin);
		conv[count++] = build_activation(b, b->desc->activation, made, origin);
	} while (!b->failed && count < CONVS_MOST && has_conv(b, count));
	if (!b->failed && has_conv(b, count))
		builder_fail(b, EXIT_UNSUPPORTED, "there are more than %d convolutions", CONVS_MOST);
	const Attrs columns = {.has = A_axis, .axis = 1};
	return count == 1 || b->failed ? conv[0] : build_op(b, OP_CONCAT, conv, count, &columns, "convs");
}

static Value *encoder(Builder *b)
{
	Value *x = features(b, block_words(b));
	if (x && x->type.dim[1].plus != b->desc->hidden)
		builder_fail(b, EXIT_INPUT, "the convolutions have %jd filters, expected %s %d",
			(intmax_t)x->type.dim[1].plus, size_name(b->desc, SIZE_HIDDEN), b->desc->hidden);
	return x;
}

const Family family_textcnn = {
	.model_type = "textcnn",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 30522},
		[SIZE_EMBEDDING] = {"embedding_size", NULL, 300},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 300},
		[SIZE_HEADS] = {NULL, NULL, 1},
		[SIZE_POSITIONS] = {NULL, NULL, 1 << 14}},
	.activation = {"hidden_act", "relu"},
	.eps = {NULL, 1e-12},
	.prefixes = (const char *const[]){"", NULL},
	.words = "embeddings",
	.attends = ATTENDS_NONE,
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify, .tensors = "classifier", .pooling = "max", .out = "*"},
			[TASK_TAG] = {head_tokens, .tensors = "classifier", .out = "*"},
		},
};
