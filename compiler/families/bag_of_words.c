/* families/bag_of_words.c: BoW of sentence-transformers: the embedding has a number for each word of a list.
 * Its config.json has the words and their weights; there are no tensors. */
#include "families.h"

static Value *encoder(Builder *b) { return build_bag(b); }

const Family family_bag_of_words = {
	.model_type = "bag-of-words",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 0},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 0},
		[SIZE_HEADS] = {NULL, NULL, 1},
		[SIZE_POSITIONS] = {NULL, NULL, 1 << 14}},
	.activation = {NULL, "identity"},
	.eps = {NULL, 1e-12},
	.prefixes = (const char *const[]){"", NULL},
	.attends = ATTENDS_NONE,
	.tokens = TOKENS_ALONE,
	.bag = true,
	.encoder = encoder,
};
