/* families/xlm_roberta.c: XLM-RoBERTa (Conneau et al. 2020): RoBERTa with a vocabulary of 100 languages. Its
 * tensors have RoBERTa's names. */
#include "families.h"

const Family family_xlm_roberta = ROBERTA_FAMILY("xlm-roberta", 30522);
