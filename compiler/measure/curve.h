/* curve.h: what a program whose texts may end early gives and costs at one threshold after another. */
#ifndef BERTC_CURVE_H
#define BERTC_CURVE_H
#include "energy.h"
#include "score.h"

enum { CURVE_POINTS_MAX = 64 };
typedef struct CurvePoint {
	double threshold, layers; /* exit_entropy; layers run on the average */
	double work;              /* multiply-adds of all texts, as a share of what they are at threshold 0 */
	double score, ms; /* share of labels that are right; a text, one text a call, the least of the rounds */
	double joules;    /* a text, of the same round; NAN: not readable */
} CurvePoint;
typedef struct Curve {
	CurvePoint at[CURVE_POINTS_MAX]; /* the first is threshold 0: no text ends early */
	int32_t count, texts, layers;    /* layers: of the whole model */
	int rounds;
	double preset;         /* the program's own default */
	const char *no_energy; /* why there are no joules; NULL: there are */
} Curve;

/* "0.1,0.2" as thresholds; NULL: twelve from 0 to the largest entropy of `labels` labels, and the default. 0
 * is always there. False: no such list. */
bool curve_thresholds(Curve *, const char *list, int32_t labels, double preset);
enum { CURVE_ROUNDS = 5 }; /* enough for the least of them to be steady */
/* Runs the program over the first `limit` rows (0: all) at every threshold, `rounds` times: times differ, the
 * rest does not. loaded: after its passes ran. False and messages when no text can end early, or the head
 * does not classify. */
bool curve_run(const Program *, const Loaded *, const Scored *, const Dataset *, const char *path,
	int32_t limit, const char *list, int rounds, Curve *, Diag *);
void curve_print(const Curve *);
/* timed: with times and energy, which differ from run to run. */
struct json_t *curve_json(const Curve *, bool timed);
#endif
