/* families/roformer.c: RoFormer (Su et al. 2021), as transformers' RoFormer* classes compute it: BERT with
 * rotary positions instead of a table, without a pooler. The embeddings may be narrower than the layers.
 * Checkpoints hold the sines and cosines of all positions; transformers computes them where they do not. */
#include <math.h>
#include "compiler/support/json_file.h"
#include "families.h"

static const EmbeddingNames embeddings = {
	.types = "embeddings.token_type_embeddings",
	.norm = "embeddings.LayerNorm",
	.project = "embeddings_project",
};

/* The sine (part 0) or cosine (part 1) of pair i of a head of `size` columns at a place. */
static double stored_angle(const Tensor *stored, int64_t place, int32_t part, int32_t i, int32_t size)
{
	if (stored)
		return tensor_at(stored, place * size + part * (size / 2) + i);
	const double angle = (double)place / pow(10000, 2.0 * i / size);
	return part ? cos(angle) : sin(angle);
}

/* For each token the cosines, then the sines of its place. */
static Value *angles(Builder *b)
{
	const ModelDesc *desc = b->desc;
	const char *origin = "attention.angles",
			   *name = builder_text(b, "%sencoder.embed_positions.weight", b->prefix);
	const int32_t size = desc->hidden / desc->heads;
	if (b->failed)
		return NULL;
	if (size % 2 != 0) {
		builder_fail(b, EXIT_INPUT, "%s is %d, but %d heads (%s) of an odd size have no rotary positions",
			size_name(desc, SIZE_HIDDEN), desc->hidden, desc->heads, size_name(desc, SIZE_HEADS));
		return NULL;
	}
	const Tensor *stored = NULL;
	if (builder_has(b, name))
		stored = builder_tensor(b, name, NULL, desc->positions, size, SIZE_POSITIONS, origin);
	if (b->failed
		|| !builder_has_room(b, desc->max_tokens, size, "angles", "give a smaller --max-tokens", origin))
		return NULL;
	const Type type = type_make(DT_F32, 2, dim_number(desc->max_tokens), dim_number(size));
	Tensor *table = tensor_new(b->module, NULL, type);
	for (int32_t place = 0; place < desc->max_tokens; place++)
		for (int32_t i = 0; i < size; i++) {
			const int32_t part = i < size / 2;
			tensor_set(
				table, (int64_t)place * size + i, stored_angle(stored, place, part, i % (size / 2), size));
		}
	Value *places = build_op(b, OP_POSITION_IDS, &b->ids, 1, NULL, origin);
	return build_embed(b, graph_const(b->graph, NULL, table, origin), places, origin);
}

static Value *encoder(Builder *b)
{
	Value *x = block_embeddings(b, &embeddings);
	b->angles = angles(b);
	b->neighbours = true;
	b->turns_values = b->desc->trait[TRAIT_ROTARY_VALUES];
	return block_post_norm_layers(b, &bert_layer, x);
}

static bool read(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	if (!desc->embedding)
		desc->embedding = desc->hidden;
	return json_member_bool(config, "rotary_value", &desc->trait[TRAIT_ROTARY_VALUES], path, diag)
		&& summary_read_choice(desc, config, "last", false, path, diag);
}

const Family family_roformer = {
	.model_type = "roformer",
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 50000},
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768},
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12},
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12},
		[SIZE_EMBEDDING] = {"embedding_size", NULL, 0},
		[SIZE_FFN] = {"intermediate_size", NULL, 3072},
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 1536},
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}},
	.activation = {"hidden_act", "gelu"},
	.eps = {"layer_norm_eps", 1e-12},
	.head_activation = {"summary_activation", "identity"},
	.traits = 1u << TRAIT_ROTARY_VALUES | 1u << TRAIT_BARE_HEAD,
	.read = read,
	.refused = bert_refused,
	.prefixes = (const char *const[]){"roformer.", "", NULL},
	.words = "embeddings.word_embeddings",
	.layers = "encoder.layer",
	.segments = true,
	.encoder = encoder,
	.head =
		{
			[TASK_CLASSIFY] = {head_classify,
				.tensors = "classifier",
				.pooling = "first",
				.dense = "*.dense",
				.encoder_act = true,
				.out = "*.out_proj"},
			[TASK_CHOICE] = {SUMMARY_CLASSIFIER("last", "classifier")},
			ROW_HEADS,
			[TASK_FILL_MASK] = {BERT_WORDS, .encoder_act = true},
		},
};
