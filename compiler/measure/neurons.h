/* neurons.h: ranks a model's neurons by how well they predict the tags of words in a CoNLL file: linguistic
 * correlation analysis (Dalvi, Durrani, Sajjad, Belinkov, Bau, Glass: "What Is One Grain of Sand in the
 * Desert?", 2019). */
#ifndef BERTC_NEURONS_H
#define BERTC_NEURONS_H
#include "calibrate.h"
#include "datasets.h"
#include "elastic_net.h"

/* Words with their tags and activations. The activations of a word are those of its last token. */
typedef struct Words {
	int32_t count, width, ntags;
	float *x;          /* [count,width] */
	int32_t *tag;      /* [count], indices into tags */
	const char **tags; /* [ntags], sorted */
	Dataset data;      /* owns the strings */
} Words;

/* Runs a module with one output f32[S,width] on the first `limit` (0: all) texts of the file. Skips words
 * beyond the model's limit of tokens. Free the result with words_free, even after an error. */
bool words_observe(const BuildRun *, Module *, const char *path, int32_t limit, Words *, Diag *);
/* The same for the outputs of all layers of the loaded model. The Neurons lie in loaded->mem. */
bool neurons_observe(const BuildRun *, const char *path, int32_t limit, Neurons *, Words *, Diag *);
void words_free(Words *);
/* Renumbers the tags of `words` as in `like`. Tags that `like` does not have become -1. */
bool words_retag(Words *, const Words *like);

/* A linear probe on standardised columns (mean 0, deviation 1), and the ranking of neurons by it. Constant
 * columns become 0. */
typedef struct Ranking {
	int32_t width, classes;
	double *mean, *deviation; /* [width] */
	double *weight, *bias;    /* [classes,width], [classes] */
	double *salience;         /* [width]: largest |weight| over the tags */
	int32_t *order;           /* [width]: best predictor first */
	double objective;
	double l1, l2;
} Ranking;

enum { RANK_LIMIT_BYTES_LOG = 33 }; /* at most 8 GiB of activations */
#define NEURONS_L1 1e-3
#define NEURONS_L2 1e-3

/* Fits the probe; standardises words->x in place. Ranks as Dalvi et al., section 3.2: for each tag, take the
 * neurons of largest |weight| until they hold a given share of the tag's total weight. As the share grows
 * from 0 to 1, neurons are ranked in the order in which any tag takes them. */
bool ranking_fit(Words *, double l1, double l2, Ranking *, Diag *);
void ranking_free(Ranking *);
/* Standardises other words with the means and deviations of the fitted words. */
void ranking_standardize(const Ranking *, Words *);
/* Share of words whose tag is predicted from only the neurons in `keep` (NULL: all). */
double ranking_accuracy(const Ranking *, const Words *, const bool *keep);
/* The same from only the first (top) or the last share of the ranking. */
double ranking_accuracy_of(const Ranking *, const Words *, double share, bool top);
/* ranking_parts: [{"share", "top", "bottom"}, ..] for each of these shares. */
enum { RANKING_SHARES = 4 };
extern const double ranking_shares[RANKING_SHARES];
struct json_t *ranking_parts(const Ranking *, const Words *);
/* Number of neurons of the layer in the first tenth of the ranking. */
int32_t ranking_in_layer(const Ranking *, const Neurons *, int32_t layer);

/* PassEnv.rank. */
bool neurons_rank(
	void *calibration, Module *, const char *data, int32_t limit, int32_t *order, double *mean, Diag *);

/* heatmap.c: draws one grid of cells per layer; larger values (0 to 1) are darker. The file appears whole. */
bool heatmap_write(
	const char *path, const char *title, const char *unit, const Neurons *, const double *values, Diag *);
#endif
