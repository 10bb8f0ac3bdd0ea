/* families.h: all families, and code that related families share. */
#ifndef FAMILIES_H
#define FAMILIES_H
#include "compiler/model/blocks.h"

#define FAMILY(NAME, doc) extern const Family family_##NAME;
#include "families.def"
#undef FAMILY

/* The family of a model_type; NULL: there is none. */
const Family *family_find(const char *model_type);
/* "bert, roberta", for messages. */
const char *family_list(MemArena *);

/* The heads with the same tensor names in every family: a linear over each row. */
#define ROW_HEADS \
	[TASK_TAG] = {head_tokens, .tensors = "classifier", .out = "*"}, \
	[TASK_QA] = {head_tokens, .tensors = "qa_outputs", .out = "*"}

/* bert.c: the encoder of BERT and of its derived families, and the keys of their configs. */
extern const FamilyRefusal bert_refused[];
extern const LayerNames bert_layer;
Value *bert_encoder(Builder *);

/* The Family of these, but for the encoder, the pooler, the heads and for what is special. stem: the prefix
 * of tensor names, without the dot. The numbers are the defaults of config.json. */
#define BERT_CONFIG(type, stem, vocab, hidden, heads, ffn) \
	BERT_KEYS(type, stem, vocab, hidden, heads, ffn), .activation = {"hidden_act", "gelu"}, \
		.layers = "encoder.layer"

/* The same, but for the activation and the names of layers. */
#define BERT_KEYS(type, stem, vocab, hidden, heads, ffn) \
	.model_type = type, \
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, vocab}, \
		[SIZE_HIDDEN] = {"hidden_size", NULL, hidden}, \
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12}, \
		[SIZE_HEADS] = {"num_attention_heads", NULL, heads}, \
		[SIZE_FFN] = {"intermediate_size", NULL, ffn}, \
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512}, \
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}}, \
	.eps = {"layer_norm_eps", 1e-12}, .refused = bert_refused, \
	.prefixes = (const char *const[]){stem ".", "", NULL}, .words = "embeddings.word_embeddings"

#define BERT_ENCODER(type, stem, vocab) \
	BERT_CONFIG(type, stem, vocab, 768, 12, 3072), .pooler = "pooler.dense", .encoder = bert_encoder

/* A family of words without layers: a number or a row for each. Files beside its config.json give the sizes.
 */
#define WORD_TABLE(type) \
	.model_type = type, \
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, 0}, \
		[SIZE_HIDDEN] = {"hidden_size", NULL, 0}, \
		[SIZE_HEADS] = {NULL, NULL, 1}, \
		[SIZE_POSITIONS] = {NULL, NULL, 1 << 14}}, \
	.activation = {NULL, "identity"}, .eps = {NULL, 1e-12}, .prefixes = (const char *const[]){"", NULL}, \
	.attends = ATTENDS_NONE

/* The heads of RoBERTa, which others share. */
#define LM_HEADS \
	{ \
		[TASK_CLASSIFY] = {head_classify, .tensors = "classifier", .pooling = "first", .dense = "*.dense", \
			.activation = "tanh", .out = "*.out_proj"}, \
		ROW_HEADS, \
		[TASK_FILL_MASK] = {head_words, .tensors = "lm_head", .dense = "*.dense", .activation = "gelu", \
			.norm = "*.layer_norm", .out = "*.decoder", .bias = "*.bias"}, \
	}

/* deberta_v2.c: the encoder with these names, and the keys that both versions of DeBERTa have. strict: see
 * there. */
Value *deberta_encoder(Builder *, LayerNames);
bool deberta_read(ModelDesc *, const struct json_t *config, bool strict, const char *path, Diag *);

/* summary.c: reads the keys summary_*, whose defaults for summary_type and summary_use_proj are given. */
bool summary_read(
	ModelDesc *, const struct json_t *config, const char *kind, bool projects, const char *path, Diag *);
/* The same in a model of multiple choice; the other heads of the family have no summary. */
bool summary_read_choice(
	ModelDesc *, const struct json_t *config, const char *kind, bool projects, const char *path, Diag *);
#define SUMMARY_CLASSIFIER(kind, last) \
	head_classify, .tensors = last, .pooling = kind, .dense = "sequence_summary.summary", .out = "*"

/* What both have in common. */
#define DEBERTA_TRAITS \
	(1u << TRAIT_PLACED | 1u << TRAIT_RELATIVE | 1u << TRAIT_TO_PLACE | 1u << TRAIT_FROM_PLACE)
#define DEBERTA_CLASSIFIER \
	head_classify, .tensors = "classifier", .pooling = "first", .dense = "pooler.dense", .out = "*"
#define DEBERTA_PARTS \
	.activation = {"hidden_act", "gelu"}, .head_activation = {"pooler_hidden_act", "gelu"}, \
	.eps = {"layer_norm_eps", 1e-7}, .prefixes = (const char *const[]){"deberta.", "", NULL}, \
	.words = "embeddings.word_embeddings", .layers = "encoder.layer", .typeless = true, \
	.tabled = {head_table_words, .tensors = "lm_predictions.lm_head", .dense = "*.dense", \
		.encoder_act = true, .norm = "*.LayerNorm", .bias = "*.bias"}, \
	.head = { \
		[TASK_CLASSIFY] = {DEBERTA_CLASSIFIER}, \
		ROW_HEADS, \
		[TASK_FILL_MASK] = {head_words, .tensors = "cls.predictions", .dense = "*.transform.dense", \
			.encoder_act = true, .norm = "*.transform.LayerNorm", .out = "*.decoder", .bias = "*.bias"}, \
	}

/* The heads of BERT. Other families have its classifier, or its decoder of masked words. */
#define BERT_CLASSIFIER head_classify, .tensors = "classifier", .pooling = "pooler", .out = "*"
#define POOLED_HEADS [TASK_CLASSIFY] = {BERT_CLASSIFIER}, [TASK_CHOICE] = {BERT_CLASSIFIER}
#define BERT_WORDS \
	head_words, .tensors = "cls.predictions", .dense = "*.transform.dense", .norm = "*.transform.LayerNorm", \
		.out = "*.decoder", .bias = "*.bias", .bias_won = true
#define BERT_HEADS \
	{ \
		POOLED_HEADS, ROW_HEADS, [TASK_FILL_MASK] = { BERT_WORDS } \
	}
#define BERT_PAIR {"cls.seq_relationship", "next-sentence", {"is_next", "not_next"}, false}

/* The Family of RoBERTa and of those that differ from it only in name, vocabulary and tokenizer. */
#define ROBERTA_FAMILY(type, vocab) \
	{ \
		BERT_ENCODER(type, "roberta", vocab), \
		.size[SIZE_PADDING] = {"pad_token_id", NULL, 1}, \
		.skips_padding = true, \
		.head = LM_HEADS, \
		.head[TASK_CHOICE] = {BERT_CLASSIFIER}, \
	}
#endif
