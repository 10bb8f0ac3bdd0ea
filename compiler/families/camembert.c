/* families/camembert.c: CamemBERT (Martin et al. 2020): RoBERTa with a French vocabulary. Its tensors have
 * RoBERTa's names. */
#include "families.h"

const Family family_camembert = ROBERTA_FAMILY("camembert", 30522);
