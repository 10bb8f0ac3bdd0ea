/* families/ernie.c: ERNIE 1.0 to 3.0 (Sun et al. 2019), as transformers' Ernie* classes compute it: BERT,
 * perhaps with a table of tasks, of which every token gets row 0. */
#include "compiler/support/json_file.h"
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.positions = "embeddings.position_embeddings",
	.norm = "embeddings.LayerNorm",
	.tasks = "embeddings.task_type_embeddings",
};

static Value *encoder(Builder *b)
{
	return block_post_norm_layers(b, &bert_layer, block_embeddings(b, &embeddings));
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	bool tasks = false;
	if (!json_member_bool(config, "use_task_id", &tasks, path, diag))
		return false;
	if (!tasks)
		desc->tasks = 0;
	return true;
}

const Family family_ernie = {
	BERT_CONFIG("ernie", "ernie", 30522, 768, 12, 3072),
	.size[SIZE_TASKS] = {"task_type_vocab_size", NULL, 3},
	.read = read,
	.pooler = "pooler.dense",
	.pair = BERT_PAIR,
	.segments = true,
	.encoder = encoder,
	.head = BERT_HEADS,
};
