/* families/textcnn.c: convolutions of several widths over the word embeddings (Kim 2014, "Convolutional
 * Neural Networks for Sentence Classification"), a usual student of BERT. A token's features are those of all
 * convolutions; a classifier reads the largest of each over the tokens, a tagger those of every token. The
 * checkpoint says how many convolutions there are, and how wide. docs/students.md specifies the files. */
#include "families.h"

static Value *encoder(Builder *b)
{
	Value *x = build_convs(b, block_words(b), b->desc->activation, "convs");
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
