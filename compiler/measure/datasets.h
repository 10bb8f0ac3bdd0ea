/* datasets.h: reads labelled data and texts: TSV, CSV, CoNLL and plain text. The format is found from the
 * content. */
#ifndef BERTC_DATASETS_H
#define BERTC_DATASETS_H
#include "ir/ir.h"

typedef enum DataForm {
	DATA_LABELS,  /* a text (or two) and a label */
	DATA_SCORES,  /* two texts and a number */
	DATA_TAGS,    /* words, each with a tag */
	DATA_CHOICES, /* a text, several that may go on with it, and the number of the right one */
	DATA_TEXTS,   /* a text (or two) without a label; only for DATA_FOR_TEXTS */
} DataForm;

/* What the caller needs from a file. */
typedef enum DataUse {
	DATA_FOR_LABELS,
	DATA_FOR_TAGS,  /* the file is known to be CoNLL; its tags may be of any kind */
	DATA_FOR_TEXTS, /* texts only */
} DataUse;

typedef struct DataRow {
	const char *text;  /* DATA_TAGS: the words, joined by spaces */
	const char *pair;  /* the second text; NULL: there is one text */
	const char *label; /* DATA_LABELS, DATA_CHOICES */
	int32_t nchoices;  /* DATA_CHOICES; `pair` is the first */
	const char **choices;
	double score;   /* DATA_SCORES */
	int32_t nwords; /* DATA_TAGS */
	const char **words, **tags;
	int32_t line; /* first line in the file, from 1 */
} DataRow;

typedef struct Dataset {
	DataForm form;
	const char *what; /* the form, as in "two columns: text, label" */
	DataRow *rows;
	int32_t nrows;
	MemArena *mem;
} Dataset;

/* Reads a file of at most DATASET_BYTES_MAX bytes:
 *
 *   TSV      No quoting. With a header that names the columns, or without a header in one of three forms:
 *            text, label; MRPC's five columns (label, two ids, two texts); STS-B's seven to nine (score in
 *            the fifth, texts in the sixth and seventh). Columns choice0, choice1, .. of a header are
 *            choices, and the label is the number of the right one.
 *   CSV      With a header and RFC 4180 quotes. The name of the file ends in .csv.
 *   CoNLL    One word per line: the word in the first column, its tag in the last. A blank line separates
 *            texts. Recognised if the first tags are O, B-TYPE or I-TYPE; or if the first column has no
 *            spaces and a blank line separates two texts (parts of speech).
 *   CoNLL-U  Ten columns: the word is the second, its tag the fourth.
 *   plain    Only for DATA_FOR_TEXTS. One text per line, no tabs. A file that has none of the forms above.
 *
 * For DATA_FOR_TEXTS, a header need not name a column of labels: a first line "text" or "sentence" is a
 * header. JSON and JSONL are refused: their first line is a JSON object or array, or opens one.
 * A byte-order mark and CRs are removed. False and messages on error. */
#define DATASET_BYTES_MAX ((size_t)1 << 30)
bool dataset_read(const char *path, Dataset *, Diag *);
bool dataset_read_tags(const char *path, Dataset *, Diag *);
bool dataset_read_texts(const char *path, Dataset *, Diag *);
bool dataset_parse(const char *text, size_t bytes, bool csv, DataUse, Dataset *, Diag *);
void dataset_free(Dataset *);

/* The index of a label of the data among a head's labels: the label with the same name, else the same name in
 * other case, else the number that it spells. -1: none. */
int32_t dataset_label(const char *label, const char *const *labels, int32_t nlabels);
#endif
