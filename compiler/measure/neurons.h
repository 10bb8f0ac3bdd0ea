/* neurons.h: what a model's neurons say of the words of a CoNLL file: linguistic correlation analysis, Dalvi,
 * Durrani, Sajjad, Belinkov, Bau, Glass: "What Is One Grain of Sand in the Desert?", 2019. */
#ifndef BERTC_NEURONS_H
#define BERTC_NEURONS_H
#include "calibrate.h"
#include "datasets.h"
#include "elastic_net.h"

/* Activations of words, those of a word's last token, and the words' tags. */
typedef struct Words {
	int32_t count, width, ntags;
	float *x;          /* [count,width] */
	int32_t *tag;      /* [count], of tags */
	const char **tags; /* [ntags], in the order of the alphabet */
	Dataset data;      /* whose strings they are */
} Words;

/* Runs a module with one output f32[S,width] over the first `limit` (0: all) texts of the file. Words that
 * the limit of tokens cuts off are left out. Free it with words_free in any case. */
bool words_observe(const BuildRun *, Module *, const char *path, int32_t limit, Words *, Diag *);
/* The same for the outputs of all layers of a model as it was read; their numbers lie in loaded->mem. */
bool neurons_observe(const BuildRun *, const char *path, int32_t limit, Neurons *, Words *, Diag *);
void words_free(Words *);
/* Numbers the tags of other words as those of these; tags that these do not have become -1. */
bool words_retag(Words *, const Words *like);

/* A probe of words: columns with mean 0 and deviation 1, a column that is constant only moved. */
typedef struct Ranking {
	int32_t width, classes;
	double *mean, *deviation; /* [width] */
	double *weight, *bias;    /* of the standardised columns: [classes,width], [classes] */
	double *salience;         /* [width]: largest |weight| over the tags */
	int32_t *order;           /* [width]: most telling first */
	double objective;
	double l1, l2;
} Ranking;

enum { RANK_LIMIT_BYTES_LOG = 33 }; /* activations may take so much memory */
#define NEURONS_L1 1e-3
#define NEURONS_L2 1e-3

/* Fits the probe; standardises words->x in place. The order is that of Dalvi et al., section 3.2: a neuron
 * comes as early as it belongs to the smallest set of a tag's neurons, largest |weight| first, that holds a
 * share of the tag's weight, as the share grows. */
bool ranking_fit(Words *, double l1, double l2, Ranking *, Diag *);
void ranking_free(Ranking *);
/* Makes the columns of other words as those that were fitted. */
void ranking_standardize(const Ranking *, Words *);
/* Share of the words whose tag is predicted when only those neurons count that `keep` has (NULL: all). */
double ranking_accuracy(const Ranking *, const Words *, const bool *keep);
/* The same with only the first or the last share of the neurons. */
double ranking_accuracy_of(const Ranking *, const Words *, double share, bool top);
/* [{"share", "top", "bottom"}, ..] for each of these shares. */
enum { RANKING_SHARES = 4 };
extern const double ranking_shares[RANKING_SHARES];
struct json_t *ranking_parts(const Ranking *, const Words *);
/* How many of the first tenth of all neurons a layer has. */
int32_t ranking_in_layer(const Ranking *, const Neurons *, int32_t layer);

/* rank of PassEnv. */
bool neurons_rank(
	void *calibration, Module *, const char *data, int32_t limit, int32_t *order, double *mean, Diag *);

/* heatmap.c: a grid of cells a layer, darker for larger values (0 to 1). Written by rename. */
bool heatmap_write(
	const char *path, const char *title, const char *unit, const Neurons *, const double *values, Diag *);
#endif
