/* families/roberta.c: RoBERTa (Liu et al. 2019), as transformers' Roberta* classes compute it: BERT whose
 * positions start after the padding id. Almost all checkpoints have one segment type (type_vocab_size 1),
 * and every token gets its row. With more types the graph has the input %types, as for BERT. */
#include "families.h"

const Family family_roberta = ROBERTA_FAMILY("roberta", 50265);
