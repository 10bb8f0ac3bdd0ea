/* report.h: the common part of the reports: builds a model, scores and times it. */
#ifndef BERTC_REPORT_H
#define BERTC_REPORT_H
#include <jansson.h>
#include "compiler/measure/score.h"

typedef struct ReportOptions {
	BuildOptions build; /* of every build; the report sets the passes */
	const char *kind, *data, *student, *quantize, *prune, *operators;
	int limit, threads, seq, repeat;
	bool json;
} ReportOptions;

typedef struct Measured {
	const char *model;
	char *passes; /* NULL: the plain build */
	Score score;
	int64_t bytes; /* of the library */
	double ms,
		base_ms; /* a text of `seq` tokens, and the same in the plain build; minimum of `repeat` runs */
} Measured;

typedef struct Report {
	const ReportOptions *options;
	Dataset data;
	Program base; /* the plain build, timed in turns with each build */
	int32_t seq, rows;
	int done, of; /* numbers of builds, for progress */
	Diag *diag;
} Report;

/* Reads the data, builds and measures the model without passes. False and messages on error. Call
 * report_close in either case. */
bool report_open(Report *, const ReportOptions *, Measured *plain, Diag *);
void report_close(Report *);
/* Builds the model with the passes (NULL: none) and measures it. Takes ownership of `passes`. */
bool report_measure(Report *, const char *model, char *passes, Measured *);

/* Change against the plain build: points of score, and logarithms of the ratios of size and time. These add
 * up if the effects of operators are independent. */
typedef struct Change {
	double points, size, time;
} Change;
Change report_change(const Measured *, const Measured *plain);
Change change_sum(Change, Change, double sign);

/* Prints a row's figures and its change: "-0.23", "2.05x". */
void report_print_figures(const Measured *, const Measured *plain);
json_t *report_json(const char *name, const Measured *, const Measured *plain);
/* Prints, for each figure, the predicted sum of the parts beside the measured change. */
void report_print_sum(const char *name, Change predicted, Change measured, const Report *);
json_t *change_json(Change);
/* Prints the commands that measure the figures of each row again. */
void report_print_commands(const Report *, const Measured *rows, int n);

int report_eight(const ReportOptions *, Diag *);
int report_order(const ReportOptions *, Diag *);
#endif
