/* report.h: what the reports share: one build of a model, measured. */
#ifndef BERTC_REPORT_H
#define BERTC_REPORT_H
#include <jansson.h>
#include "compiler/measure/score.h"

typedef struct ReportOptions {
	BuildOptions build; /* of every build; its passes are the report's business */
	const char *kind, *data, *student, *quantize, *prune, *operators;
	int limit, threads, seq, repeat;
	bool json;
} ReportOptions;

typedef struct Measured {
	const char *model;
	char *passes; /* NULL: the plain build */
	Score score;
	int64_t bytes;      /* of the library */
	double ms, base_ms; /* a text of `seq` tokens on one thread, and the plain build between: least of
						   `repeat` each */
} Measured;

typedef struct Report {
	const ReportOptions *options;
	Dataset data;
	Program base; /* the plain build of the model, timed in turn with every other */
	int32_t seq, rows;
	int done, of; /* builds, for progress */
	Diag *diag;
} Report;

/* Reads the data and builds and measures the model as it is. False and messages on error; closed either way
 * by report_close. */
bool report_open(Report *, const ReportOptions *, Measured *plain, Diag *);
void report_close(Report *);
/* Builds model with passes (which it takes; NULL: none) and measures it. */
bool report_measure(Report *, const char *model, char *passes, Measured *);

/* Against the plain build, in what adds up when operators do: points of score, and logarithms of size and
 * time. */
typedef struct Change {
	double points, size, time;
} Change;
Change report_change(const Measured *, const Measured *plain);
Change change_sum(Change, Change, double sign);

/* A row's figures and a change in words: "-0.23", "2.05x"; and their JSON. */
void report_print_figures(const Measured *, const Measured *plain);
json_t *report_json(const char *name, const Measured *, const Measured *plain);
/* "sum of parts, measured, and what the difference is called" of each figure. */
void report_print_sum(const char *name, Change predicted, Change measured, const Report *);
json_t *change_json(Change);
/* The commands that give a row's figures again. */
void report_print_commands(const Report *, const Measured *rows, int n);

int report_eight(const ReportOptions *, Diag *);
int report_order(const ReportOptions *, Diag *);
#endif
