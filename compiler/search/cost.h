/* cost.h: the cost model for lowered models. Costs are computed, not measured. The same graph and CPU give
 * the same cost on every machine. */
#ifndef BERTC_COST_H
#define BERTC_COST_H
#include "compiler/build/build.h"

typedef struct Cost {
	double time;   /* of one text; unit: one fp32 multiply-add of an AVX-512 core */
	int64_t bytes; /* of all constants of the graph */
} Cost;
/* The number of tokens of a text. begin: those that begin a word or are special; thin never drops these from
 * a tagger. */
typedef struct CostText {
	int32_t tokens, begin;
} CostText;
Cost cost_model(const Module *, CostText);
#endif
