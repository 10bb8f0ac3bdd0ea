/* families/bag_of_words.c: BoW of sentence-transformers: the embedding has a number for each word of a list.
 * Its config.json has the words and their weights; there are no tensors. */
#include "families.h"

static Value *encoder(Builder *b) { return build_bag(b); }

const Family family_bag_of_words = {
	WORD_TABLE("bag-of-words"),
	.tokens = TOKENS_ALONE,
	.bag = true,
	.encoder = encoder,
};
