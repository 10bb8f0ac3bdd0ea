/* cost.h: the cost model for lowered models. It is computed, not measured: the same graph and CPU give the
 * same cost on every machine. */
#ifndef BERTC_COST_H
#define BERTC_COST_H
#include "compiler/build/build.h"

typedef struct Cost {
	double time;   /* of one text of so many tokens, in units of an fp32 multiply-add of an AVX-512 core */
	int64_t bytes; /* of all constants of the graph */
} Cost;
/* A text's length, and how many of its tokens begin a word or stand around all: what thin never takes from a
 * tagger. */
typedef struct CostText {
	int32_t tokens, begin;
} CostText;
Cost cost_model(const Module *, CostText);
#endif
