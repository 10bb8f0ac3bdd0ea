/* families.h: all families, and what the members of one line share. */
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

/* bert.c: the encoder of BERT and of the families that only differ in data, and what their configs may say.
 */
extern const FamilyRefusal bert_refused[];
Value *bert_encoder(Builder *);
#endif
