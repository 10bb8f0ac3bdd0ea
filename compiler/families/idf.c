/* families/idf.c: SparseStaticEmbedding of sentence-transformers: the weight of each token that a text has,
 * such as its inverse document frequency. Queries of sparse encoders use it instead of an encoder ("inference
 * free": Geng et al., "Towards Competitive Search Relevance For Inference-Free Learned Sparse Retrievers",
 * arXiv:2411.04403). Its config.json is made by import/word_embeddings.c. */
#include <string.h>
#include "families.h"

static Value *encoder(Builder *b)
{
	const char *origin = "words";
	return build_bag_once(b, build_tensor(b, "weight", NULL, b->desc->vocab, 0, SIZE_VOCAB, origin), origin);
}

static Value *head(Builder *b, const HeadDesc *desc, const char *origin)
{
	if (strcmp(desc->task, task_names[TASK_SPARSE]) != 0)
		builder_fail(b, EXIT_UNSUPPORTED, "%s: SparseStaticEmbedding has only the task sparse", origin);
	return b->hidden;
}

const Family family_idf = {
	WORD_TABLE("idf"),
	.words = "weight",
	.tokens = TOKENS_PLAIN,
	.bag = true,
	.encoder = encoder,
	.head = {[TASK_FILL_MASK] = {head, .tensors = "weight"}},
};
