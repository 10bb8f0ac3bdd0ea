/* prune.h: what prune-heads and prune-ffn share: both remove inputs of the linear that ends a block, and the
 * outputs of the linears in front of it that make them. Internal to passes/. */
#ifndef BERTC_PRUNE_H
#define BERTC_PRUNE_H
#include "calibrate.h"

/* The heads of a layer's attention or the neurons of its feed-forward network. */
typedef struct Group {
	Layer *layer;
	Node *in[3], *out; /* linears; unit u is rows first + u*width.. of each in, columns u*width.. of out */
	int64_t first[3];  /* not 0 where one linear makes both halves of a gated network: it is there twice */
	int32_t nin, count, width; /* count units of width numbers */
	int32_t mixed;             /* out mixes the product of what the last `mixed` of in make */
	double *score;             /* importance of each unit: the least goes first */
	bool *gone;
	int32_t ngone;
} Group;

typedef struct Groups {
	Group *at;
	int32_t count;
} Groups;

/* What the pass calls its units, and the key of the option that lists them: `heads=0.3,4.11`. */
typedef struct UnitName {
	const char *pass, *one, *key;
} UnitName;

/* Memory for a group's scores; ins: as many as are given, the rest NULL. */
void groups_add(Graph *, Groups *, const Group *);
/* Options by=magnitude|activation|accuracy|reconstruction with keep=, share= or a list of LAYER.UNIT: marks
 * the units that go, and fits what is left where that is asked for. False and messages when they make no
 * sense. */
bool groups_choose(Graph *, const Groups *, const UnitName *, PassRun *);
/* prune_refit.c: fits what is left to what the model made with all units, on the texts of option data: of
 * units that are marked, or (marked false) of those that it chooses: all but keep in each group when keep >
 * 0, and then drop of all groups. */
bool groups_refit(
	Graph *, const Groups *, bool marked, int64_t keep, int64_t drop, const UnitName *, PassRun *);
/* The importance of each unit by option by=. False and messages on error. */
bool groups_score(Graph *, const Groups *, const UnitName *, PassRun *);
/* Takes the marked units out of the weights, as new constants, and says which are gone. `fit` puts the shapes
 * of a group right that lost units. False and messages on error. */
bool groups_remove(Graph *, const Groups *, const UnitName *, void (*fit)(Graph *, const Group *), PassRun *);

/* ---- variants.c: scores of graphs that differ in one place ----------------------------------- */
typedef struct Variant Variant;
/* Makes, in the probe's copy of the graph, what stands in for `old`; NULL and messages on error. */
typedef Value *VariantFn(const Probe *, Value *old, const Variant *, Diag *);
struct Variant {
	Value *old;
	VariantFn *make;
	const void *what;
	const bool *units;
};
/* The score of each variant on the labelled data of option `data`, and of the graph itself unless base is
 * NULL. */
bool variants_score(Graph *, const Variant *, int32_t count, OutputScore *, OutputScore *base, PassRun *);
/* Of a Group (`what`), whose out is old's maker: the marked units' columns are zero. */
VariantFn variant_without_units;

/* Euclidean norms: of rows from `first` on in a weight [N,K], of the columns of a unit. */
double rows_norm(const Tensor *weight, int64_t first, int64_t rows);
double unit_columns_norm(const Tensor *weight, int32_t unit, int32_t width);
#endif
