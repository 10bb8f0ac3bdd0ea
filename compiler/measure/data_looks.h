/* data_looks.h: recognises the format of a data file for datasets.c. Each function reads the first lines of a
 * text that ends with NUL. */
#ifndef BERTC_DATA_LOOKS_H
#define BERTC_DATA_LOOKS_H
#include <stdbool.h>

/* JSON or JSONL, which datasets.c refuses. */
bool looks_json(const char *text);
/* CoNLL: words with BIO tags. */
bool looks_tagged(const char *text);
/* CoNLL-U: ten columns. */
bool looks_conllu(const char *text);
/* CoNLL: words with tags of any kind. said: the caller knows that the file holds tags; then spaces may
 * separate the columns, and there may be one text only. */
bool looks_worded(const char *text, bool said);
#endif
