/* datasets.h: labelled data as people have it in files: TSV, CSV, CoNLL. The content tells the form. */
#ifndef BERTC_DATASETS_H
#define BERTC_DATASETS_H
#include "ir/ir.h"

typedef enum DataForm {
	DATA_LABELS, /* a text (or two) and a label */
	DATA_SCORES, /* two texts and a number */
	DATA_TAGS,   /* words, each with a label */
} DataForm;

typedef struct DataRow {
	const char *text;  /* DATA_TAGS: the words with a space between */
	const char *pair;  /* the second text; NULL: there is one text */
	const char *label; /* DATA_LABELS */
	double score;      /* DATA_SCORES */
	int32_t nwords;    /* DATA_TAGS */
	const char **words, **tags;
	int32_t line; /* where it begins in the file, from 1 */
} DataRow;

typedef struct Dataset {
	DataForm form;
	const char *what; /* "TSV with a header: sentence, label" and the like */
	DataRow *rows;
	int32_t nrows;
	MemArena *mem;
} Dataset;

/* Reads a file of at most DATASET_BYTES_MAX bytes:
 *
 *   TSV      with or without a header, no quoting: two columns (text, label), MRPC's five (label, ids, two
 *            texts), STS-B's seven to nine (the score in the fifth, texts in the sixth and seventh). Other
 *            columns are found by a header that names them
 *   CSV      with a header and RFC 4180 quotes
 *   CoNLL    a word and its label a line (the first and the last column), a blank line between texts: when
 *            the first labels are O, B- and I-, or else (parts of speech) when the first column holds no
 *            spaces and a blank line is there
 *   CoNLL-U  ten columns: the word is the second, its label the fourth
 *
 * A byte-order mark and CRs are dropped. False and messages on error. */
#define DATASET_BYTES_MAX ((size_t)1 << 30)
bool dataset_read(const char *path, Dataset *, Diag *);
/* The same of a file that is said to be CoNLL: its labels may be of any kind. */
bool dataset_read_tags(const char *path, Dataset *, Diag *);
bool dataset_parse(const char *text, size_t bytes, bool csv, Dataset *, Diag *);
void dataset_free(Dataset *);

/* The index of a data label among a head's labels: the same name (whatever the case), else the number it
 * spells. -1: neither. */
int32_t dataset_label(const char *label, const char *const *labels, int32_t nlabels);
#endif
