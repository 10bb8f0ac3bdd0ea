/* inspect.h: the parts of `bertc inspect`: what is observed, and the page that shows it. */
#ifndef BERTC_INSPECT_H
#define BERTC_INSPECT_H
#include <jansson.h>
#include "compiler/support/files.h"
#include "compiler/measure/program.h"
#include "compiler/measure/datasets.h"

/* ---- inspect_page.c: the file ---------------------------------------------------------------- */
/* A string of any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *page_string(const char *text, size_t bytes);
/* Lines of a text as an array of such strings. */
json_t *page_lines(const char *text);
/* One HTML file that loads nothing: the style, a block `data-KEY` of JSON for each member of `panels`, the
 * script that draws them. */
void page_write(const json_t *panels, const char *title, FILE *);

/* ---- inspect_layers.c: the layers of the model as it was read, on texts ---------------------- */
/* Texts to look at: the first of a data file, `limit` at most, or, with data and path NULL, built in. */
typedef struct Samples {
	const char **texts, *path;
	int32_t count;
} Samples;
Samples samples_take(const Dataset *data, const char *path, int32_t limit, MemArena *);
/* {"layers": [...], "tokens": [...]}: cosine of each layer's input and output, whom its heads look at, how
 * spread, how far and how much they matter, and how far the outputs turn without the layer. {"why": "..."}
 * when the model has no layers that can be told apart, or no tokenizer. NULL and messages on error. */
json_t *inspect_layers(const BuildOptions *, Loaded *, const Samples *, Diag *);

/* ---- inspect_neurons.c: what neurons say of words -------------------------------------------- */
/* The linear probe of rank-neurons over the first `limit` texts of a CoNLL file: its weights in hundredths of
 * the largest, a list a tag (the commonest, TAGS_SHOWN at most), the order of the neurons, and how well part
 * of them does. {"why": ".."} for models without tokenizer. NULL and messages on error. */
enum { TAGS_SHOWN = 40 };
json_t *inspect_neurons(const BuildOptions *, Loaded *, const char *path, int32_t limit, Diag *);

/* ---- inspect_measure.c: accuracy and latency of what the model is by now --------------------- */
typedef struct Measurer {
	const BuildOptions *options;
	Loaded *loaded;
	const Dataset *data;
	const char *path; /* of data, for messages */
	int32_t limit;    /* rows of data to score; 0: all */
	bool timed;
	char *tail;         /* what the pipeline does from `lower` on */
	const char *metric; /* "accuracy", "F1", "Spearman", once something is scored */
	LedgerRow before;   /* of the row before: score and latency_ms */
} Measurer;
/* Score, layers run and, if timed, time of a program whose texts may end early, at one threshold after
 * another: what curve.h measures, as JSON. *curve stays NULL where no text ends early or the data has no
 * labels for it. */
bool measure_curve(Measurer *, const Module *, json_t **curve, Diag *);
/* Fills score and latency_ms of the row for a program made of the module, which stays as it is. */
bool measure_program(Measurer *, const Module *, LedgerRow *, Diag *);
/* The same for a pass's row: one that changed nothing, and those from lower on, have the figures of the row
 * before. Nothing without data. */
bool measure_row(Measurer *, LedgerRow *, const Module *, Diag *);
/* The passes of a pipeline from `lower` on, as a pipeline of its own; malloc'd. */
char *measure_tail(const Pipeline *);
#endif
