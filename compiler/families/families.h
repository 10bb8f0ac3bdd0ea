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
Value *bert_encoder(Builder *);

/* The Family of these, but for the heads and for what is special. vocab: the default of vocab_size. */
#define BERT_ENCODER(type, vocab) \
	.model_type = type, \
	.size = {[SIZE_VOCAB] = {"vocab_size", NULL, vocab}, \
		[SIZE_HIDDEN] = {"hidden_size", NULL, 768}, \
		[SIZE_LAYERS] = {"num_hidden_layers", NULL, 12}, \
		[SIZE_HEADS] = {"num_attention_heads", NULL, 12}, \
		[SIZE_FFN] = {"intermediate_size", NULL, 3072}, \
		[SIZE_POSITIONS] = {"max_position_embeddings", NULL, 512}, \
		[SIZE_TYPES] = {"type_vocab_size", NULL, 2}}, \
	.activation = {"hidden_act", "gelu"}, .eps = {"layer_norm_eps", 1e-12}, .refused = bert_refused, \
	.prefixes = (const char *const[]){type ".", "", NULL}, .words = "embeddings.word_embeddings", \
	.layers = "encoder.layer", .pooler = "pooler.dense", .encoder = bert_encoder
#endif
