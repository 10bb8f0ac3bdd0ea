/* prune.h: code shared by prune-heads and prune-ffn. Both remove inputs of a block's last linear, and the
 * outputs of the earlier linears that compute these inputs. Internal to passes/. */
#ifndef BERTC_PRUNE_H
#define BERTC_PRUNE_H
#include "calibrate.h"

/* The heads of a layer's attention or the neurons of one of its feed-forward networks. */
typedef struct Group {
	Layer *layer;
	const Network *network; /* NULL: heads */
	Node *in[3],
		*out; /* linears; unit u: rows from first + u*width of each in, columns from u*width of out */
	int64_t
		first[3]; /* not 0 when one linear computes both halves of a gated network; then `in` has it twice */
	int32_t nin, count, width; /* count units of width numbers */
	int32_t number;            /* of the first unit within the layer; a layer may have several networks */
	int32_t mixed;             /* out reads a product of the results of the last `mixed` linears of in */
	int32_t leader;            /* the first group with the same weights, often this one (prune_shared.c) */
	double *score;             /* importance of each unit; the lowest is removed first */
	bool *gone;
	int32_t ngone;
} Group;

typedef struct Groups {
	Group *at;
	int32_t count;
} Groups;

/* The pass's word for a unit, and the option that lists units: `heads=0.3,4.11`. */
typedef struct UnitName {
	const char *pass, *one, *key;
} UnitName;

/* Makes a group and allocates its scores. Unused ins are NULL. */
void groups_add(Graph *, Groups *, const Group *);
/* Options by=magnitude|activation|accuracy|reconstruction with keep=, share= or a list of LAYER.UNIT: marks
 * the units to remove, and refits the remaining weights if requested. False and messages for invalid options.
 */
bool groups_choose(Graph *, const Groups *, const UnitName *, PassRun *);
/* ---- prune_shared.c: layers with the same weights lose the same units ------------------------- */
/* The index of the first group with the weights of `group`; groups->count: none of them has. */
int32_t groups_leader(const Groups *, const Group *);
/* Refuses a fit for each layer when layers share weights. */
bool groups_may_refit(const Groups *, const UnitName *, PassRun *);
/* The score of a leader becomes the mean of its own and those of the groups with the same weights. */
void groups_average(Graph *, const Groups *);
/* Refuses lists of units that differ between groups with the same weights. */
bool groups_agree(Graph *, const Groups *, const UnitName *, PassRun *);
/* Marks in all groups the units that are marked in their leaders. */
void groups_follow(const Groups *);

/* prune_refit.c: refits the remaining weights to the outputs of the unpruned model, on the texts of option
 * data. With marked, the marked units are removed. Otherwise it chooses them: with keep > 0 all but keep in
 * each group, and then drop units over all groups. */
bool groups_refit(
	Graph *, const Groups *, bool marked, int64_t keep, int64_t drop, const UnitName *, PassRun *);
/* The importance of each unit by option by=. False and messages on error. */
bool groups_score(Graph *, const Groups *, const UnitName *, PassRun *);
/* Removes the marked units from the weights (as new constants) and adds a note with their numbers. `fit`
 * corrects the shapes of each group that lost units. False and messages on error. */
bool groups_remove(
	Graph *, const Groups *, const UnitName *, bool (*fit)(Graph *, const Group *, PassRun *), PassRun *);

/* ---- variants.c: scores of graphs that differ in one place ----------------------------------- */
typedef struct Variant Variant;
/* Builds the replacement for `old` in the probe's copy of the graph. NULL and messages on error. */
typedef Value *VariantFn(const Probe *, Value *old, const Variant *, Diag *);
struct Variant {
	Value *old;
	VariantFn *make;
	const void *what;
	const bool *units;
};
/* The score of each variant on the labelled data of option `data`. *base gets the score of the unchanged
 * graph, unless base is NULL. */
bool variants_score(Graph *, const Variant *, int32_t count, OutputScore *, OutputScore *base, PassRun *);
/* A variant of a Group (`what`) with zero columns for the marked units; group->out computes old. */
VariantFn variant_without_units;

/* Euclidean norms of a unit in a weight [N,K]: of its rows from `first` on, of its columns. */
double rows_norm(const Tensor *weight, int64_t first, int64_t rows);
double unit_columns_norm(const Tensor *weight, int32_t unit, int32_t width);
#endif
