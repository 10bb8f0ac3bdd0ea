/* score.h: a built program on labelled data: accuracy for labels, entity F1 for tags, Spearman's rank
 * correlation for gold scores. */
#ifndef BERTC_SCORE_H
#define BERTC_SCORE_H
#include "compiler/support/files.h"
#include "program.h"
#include "datasets.h"
#include "metrics.h"

typedef enum Metric { METRIC_ACCURACY, METRIC_F1, METRIC_SPEARMAN } Metric;
extern const char *const metric_names[]; /* as tables and pages print them */

typedef struct Score {
	Metric metric;
	double value;      /* 0 to 1; Spearman: -1 to 1 */
	double loss;       /* mean cross-entropy of the gold labels; where there are none, minus value */
	int64_t right, of; /* accuracy */
	SpanCounts spans;  /* entity F1 */
	int32_t truncated; /* texts of max_tokens tokens: they were cut, as far as tokens tell */
} Score;

/* What one row of the data adds to a figure. */
typedef struct RowScore {
	bool right;             /* accuracy */
	SpanCounts spans;       /* entity F1 */
	double loss;            /* cross-entropy of its gold labels, summed; */
	int32_t labelled;       /* how many they are */
	double predicted, gold; /* Spearman */
} RowScore;

/* What is scored: the outputs first .. first+count-1 of a program, each as if it were that of the head (they
 * have one shape). */
typedef struct Scored {
	Head head;
	int32_t first, count, width, max_tokens;
	bool per_token;
} Scored;

/* The first head of the model and its output. False and a message when there is none, or no tokenizer. */
bool score_head(const Loaded *, Scored *, Diag *);
/* The head of that name (NULL: the first). */
bool score_head_named(const Loaded *, const char *name, Scored *, Diag *);
/* The number of the row's label among the head's; -1 and a message when it is none of them. */
int32_t score_gold(const Scored *, const DataRow *, const char *path, Diag *);
/* Which figure fits the head and the data; false and a message when none does. */
bool score_metric(const Scored *, const Dataset *, const char *path, Metric *, Diag *);
/* Runs the program over the first `limit` rows (0: all) of the data, read from `path`; one score an output.
 * progress: what to show meanwhile, or NULL. False and messages when data and head do not fit, or a row does
 * not. */
bool score_program(const Program *, const Scored *, const Dataset *, const char *path, int32_t limit,
	const char *progress, Score *scores, Diag *);
/* The same, and what each row of the data adds, the scored rows of each output in turn: the caller's. */
bool score_program_rows(const Program *, const Scored *, const Dataset *, const char *path, int32_t limit,
	const char *progress, Score *scores, RowScore *rows, Diag *);
/* The figure of some rows, by their numbers; NULL: of the first n. A number may stand several times, as in a
 * bootstrap. */
Score score_rows(Metric, const RowScore *, const int32_t *numbers, int32_t n);
#endif
