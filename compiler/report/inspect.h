/* inspect.h: the parts of `bertc inspect`: measurements, and the page that shows them. */
#ifndef BERTC_INSPECT_H
#define BERTC_INSPECT_H
#include <jansson.h>
#include "compiler/support/files.h"
#include "compiler/measure/program.h"
#include "compiler/measure/datasets.h"

/* ---- inspect_page.c: the file ---------------------------------------------------------------- */
/* A JSON string of any bytes; bytes that are not UTF-8 become U+FFFD. */
json_t *page_string(const char *text, size_t bytes);
/* The lines of a text as a JSON array of such strings. */
json_t *page_lines(const char *text);
/* Writes one self-contained HTML file: the style, a JSON block `data-KEY` for each member of `panels`, and
 * the script that draws them. */
void page_write(const json_t *panels, const char *title, FILE *);

/* ---- inspect_layers.c: the layers of the original model, on texts ---------------------------- */
/* The first texts of a data file, at most `limit`; or built-in texts, if data and path are NULL. */
typedef struct Samples {
	const char **texts, *path;
	int32_t count;
} Samples;
Samples samples_take(const Dataset *data, const char *path, int32_t limit, MemArena *);
/* {"layers": [...], "tokens": [...]}: for each layer the cosine of its input and output, the cosine of
 * the model's outputs with and without the layer, and for each head its targets, entropy, distance and
 * importance. {"why": "..."} if the model's layers are not recognised or it has no tokenizer. NULL and
 * messages on error. */
json_t *inspect_layers(const BuildOptions *, Loaded *, const Samples *, Diag *);

/* ---- inspect_neurons.c: neurons that predict the tags of words ------------------------------- */
/* The linear probe of rank-neurons on the first `limit` texts of a CoNLL file: its weights in hundredths of
 * the largest (one list for each of the TAGS_SHOWN most frequent tags), the ranking of neurons, and the
 * accuracy with part of them. {"why": ".."} for models without a tokenizer. NULL and messages on error. */
enum { TAGS_SHOWN = 40 };
json_t *inspect_neurons(const BuildOptions *, Loaded *, const char *path, int32_t limit, Diag *);

/* ---- inspect_measure.c: accuracy and latency of the model between passes --------------------- */
typedef struct Measurer {
	const BuildOptions *options;
	Loaded *loaded;
	const Dataset *data;
	const char *path; /* of data, for messages */
	int32_t limit;    /* rows of data to score; 0: all */
	bool timed;
	char *tail;         /* the passes from `lower` on */
	const char *metric; /* "accuracy", "F1" or "Spearman"; NULL: nothing scored yet */
	LedgerRow before;   /* score and latency_ms of the row before */
} Measurer;
/* Measures a program with early exits at several thresholds (curve.h): score, layers and, if timed, time.
 * *curve stays NULL if the program has no early exits or the data has no labels. */
bool measure_curve(Measurer *, const Module *, json_t **curve, Diag *);
/* Fills score and latency_ms of the row for a program made of the module. Does not change the module. */
bool measure_program(Measurer *, const Module *, LedgerRow *, Diag *);
/* The same for the row of a pass. A pass that changed nothing, and passes from lower on, get the figures of
 * the row before. Does nothing without data. */
bool measure_row(Measurer *, LedgerRow *, const Module *, Diag *);
/* The text of the pipeline from `lower` on; malloc'd. */
char *measure_tail(const Pipeline *);
#endif
