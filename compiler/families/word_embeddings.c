/* families/word_embeddings.c: WordEmbeddings of sentence-transformers: a row for each word, such as a vector
 * of GloVe or word2vec. Its config.json is made by import/word_embeddings.c. WordWeights, CNN and LSTM may
 * follow as modules (model/word_modules.c). */
#include "families.h"

static Value *encoder(Builder *b) { return block_words(b); }

const Family family_word_embeddings = {
	WORD_TABLE("word-embeddings"),
	.words = "emb_layer",
	.encoder = encoder,
};
