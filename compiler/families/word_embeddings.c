/* families/word_embeddings.c: WordEmbeddings of sentence-transformers: a row for each word, such as a vector
 * of GloVe or word2vec. Its config.json is made by import/word_embeddings.c. WordWeights, CNN and LSTM may
 * follow as modules (model/word_modules.c). */
#include "families.h"

static Value *encoder(Builder *b) { return block_words(b); }

const Family family_word_embeddings = {
	.model_type = "word-embeddings",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 0},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 0},
		[SIZE_HEADS] = {NULL, NULL, 1},
		[SIZE_POSITIONS] = {NULL, NULL, 1 << 14}},
	.activation = {NULL, "identity"},
	.eps = {NULL, 1e-12},
	.prefixes = (const char *const[]){"", NULL},
	.words = "emb_layer",
	.attends = ATTENDS_NONE,
	.encoder = encoder,
};
