/* curve.h: score, time and energy of a program with early exits at several thresholds. */
#ifndef BERTC_CURVE_H
#define BERTC_CURVE_H
#include "energy.h"
#include "score.h"

enum { CURVE_POINTS_MAX = 64 };
typedef struct CurvePoint {
	double threshold, layers; /* exit_entropy; mean number of layers run */
	double work;              /* multiply-adds of all texts; threshold 0: 1 */
	double score, ms;         /* share of right labels; milliseconds per text, fastest round */
	double joules;            /* per text in that round; NAN: energy cannot be read */
} CurvePoint;
typedef struct Curve {
	CurvePoint at[CURVE_POINTS_MAX]; /* ascending; the first is threshold 0: no early exit */
	int32_t count, texts, layers;    /* layers: of the model */
	int rounds;
	double preset;         /* the program's own default */
	const char *no_energy; /* why energy cannot be read; NULL: it can */
} Curve;

/* Parses thresholds, as in "0.1,0.2". NULL: twelve from 0 to the largest entropy of `labels` labels, and the
 * program's default (preset). Adds 0 if it is missing. False: not a list of thresholds. */
bool curve_thresholds(Curve *, const char *list, int32_t labels, double preset);
enum { CURVE_ROUNDS = 5 }; /* enough for a stable minimum */
/* Runs the program on the first `limit` rows (0: all) at every threshold, `rounds` times. Only times and
 * energy differ between rounds. `loaded` is the model after its passes. False and messages if the program has
 * no early exits or the head is not a classifier. */
bool curve_run(const Program *, const Loaded *, const Scored *, const Dataset *, const char *path,
	int32_t limit, const char *list, int rounds, Curve *, Diag *);
void curve_print(const Curve *);
/* timed: include times and energy, which differ from run to run. */
struct json_t *curve_json(const Curve *, bool timed);
#endif
