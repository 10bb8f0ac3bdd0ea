/* inspect.h: the parts of `bertc inspect`: what is observed, and the page that shows it. */
#ifndef BERTC_INSPECT_H
#define BERTC_INSPECT_H
#include <jansson.h>
#include "bertc.h"
#include "datasets.h"

/* ---- inspect_page.c: the file --------------------------------------------------------------------------------------- */
/* A string of any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *page_string(const char *text, size_t bytes);
/* Lines of a text as an array of such strings. */
json_t *page_lines(const char *text);
/* One HTML file that loads nothing: the style, a block `data-KEY` of JSON for each member of `panels`, the script that draws them. */
bool page_write(const json_t *panels, const char *title, FILE *, Diag *);

/* ---- inspect_layers.c: the layers of the model as it was read, on texts -------------------------------------------------- */
/* Texts to look at: of a data file or, with data NULL, built in. */
typedef struct Samples { const char **texts; int32_t count; } Samples;
Samples samples_take(const Dataset *data, MemArena *);
/* {"layers": [...], "tokens": [...]}: cosine of each layer's input and output, whom its heads look at, and how far the outputs
 * turn without it. {"why": "..."} when the model has no layers that can be told apart, or no tokenizer. NULL and messages on error. */
json_t *inspect_layers(const BuildOptions *, Loaded *, const Samples *, Diag *);

/* ---- inspect_measure.c: accuracy and latency of what the model is by now -------------------------------------------------- */
typedef struct Measurer {
	const BuildOptions *options;
	Loaded        *loaded;
	const Dataset *data;
	const char    *path;                /* of data, for messages */
	int32_t        limit;               /* rows of data to score; 0: all */
	bool           timed;
	char          *tail;                /* what the pipeline does from `lower` on */
	const char    *metric;              /* "accuracy", "F1", "Spearman", once something is scored */
	LedgerRow      before;              /* of the row before: score and latency_ms */
} Measurer;
/* Fills score and latency_ms of the row for a program made of the module as it is; the module stays as it is. */
bool measure_program(Measurer *, const Module *, LedgerRow *, Diag *);
/* The same for a pass's row: one that changed nothing, and those from lower on, have the figures of the row before. Nothing without data. */
bool measure_row(Measurer *, LedgerRow *, const Module *, Diag *);
/* What the passes of a pipeline from `lower` on do, as a pipeline of its own; malloc'd, NULL and messages on error. */
char *measure_tail(const char *pipeline, Diag *);
#endif
