/* score.h: scores a built program on labelled data: accuracy for labels, entity F1 for tags, Spearman's rank
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
	double loss;       /* mean cross-entropy of the gold labels; without labels, -value */
	int64_t right, of; /* accuracy */
	SpanCounts spans;  /* entity F1 */
	int32_t truncated; /* texts of max_tokens tokens, which may have been cut */
} Score;

/* The contribution of one row of the data to a score. */
typedef struct RowScore {
	bool right;             /* accuracy */
	SpanCounts spans;       /* entity F1 */
	double loss;            /* sum of the cross-entropies of its gold labels */
	int32_t labelled;       /* number of those labels */
	double predicted, gold; /* Spearman */
} RowScore;

/* The outputs to score: first .. first+count-1 of a program. All have the shape of the head's output; each is
 * scored as if it were the head's. */
typedef struct Scored {
	Head head;
	int32_t first, count, width, max_tokens;
	bool per_token;
	const char *similarity; /* of embeddings, for rt_similarity */
	bool mean;              /* of MaxSim */
	const char *prompt[2];  /* before the first text of a row, and the second one of embedders; "": none */
} Scored;

/* The first head of the model and its output. False and a message if the model has no head or no
 * tokenizer. */
bool score_head(const Loaded *, Scored *, Diag *);
/* The same for the head with this name (NULL: the first). */
bool score_head_named(const Loaded *, const char *name, Scored *, Diag *);
/* The index of the row's label among the head's labels; -1 and a message if the head does not have it. */
int32_t score_gold(const Scored *, const DataRow *, const char *path, Diag *);
/* The metric for this head and data. False and a message if they do not fit. */
bool score_metric(const Scored *, const Dataset *, const char *path, Metric *, Diag *);
/* Scores the program on the first `limit` rows (0: all) of the data, one score per output. path: the data's
 * file, for messages. progress: the text of the progress line, or NULL. False and messages if the data or a
 * row does not fit the head. */
bool score_program(const Program *, const Scored *, const Dataset *, const char *path, int32_t limit,
	const char *progress, Score *scores, Diag *);
/* The same, and the contribution of each row: the rows of the first output, then of the next. The caller
 * allocates `rows`. */
bool score_program_rows(const Program *, const Scored *, const Dataset *, const char *path, int32_t limit,
	const char *progress, Score *scores, RowScore *rows, Diag *);
/* The same for a model with a vector for each token: predicts the first `rows` rows, which have scores. */
bool score_vectors(const Program *, const Scored *, const Dataset *, const char *path, int32_t rows,
	const char *progress, Score *, RowScore *, Diag *);
/* The score of n rows. numbers: their indices, which may repeat, as in a bootstrap; NULL: the first n. */
Score score_rows(Metric, const RowScore *, const int32_t *numbers, int32_t n);
#endif
