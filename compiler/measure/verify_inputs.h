/* verify_inputs.h: inputs for the comparison of a program with the reference in `bertc verify`. */
#ifndef BERTC_VERIFY_INPUTS_H
#define BERTC_VERIFY_INPUTS_H
#include "compiler/import/import.h"
#include "program.h"

typedef struct Input {
	int32_t *ids, *types, n;
} Input;

typedef struct Inputs {
	Input *at;
	int32_t count;
	size_t capacity;
	int32_t texts;                      /* number of texts read */
	int32_t tokenized, tokenized_right; /* texts with expected ids; those with equal ids */
	char *difference;                   /* describes the first text with other ids; malloc'd or NULL */
	/* prune-vocab renumbers ids. new_id: the program's id for an id of the model's files; old_id: the
	 * reverse. NULL: the ids are the same. */
	const int32_t *new_id;
	int32_t *old_id, nnew, nold;
} Inputs;

/* Switches the inputs to the ids of the program. */
void verify_inputs_renumber(Inputs *, const Loaded *);
/* Adds an input of this many tokens, all zero. The pointer is valid until the next input is added. */
Input *verify_inputs_add(Inputs *, int32_t tokens);
/* Adds up to `most` inputs from the lines of a file. A line is a text, or two texts separated by a tab. In a
 * .jsonl file it is an object with "text", "pair", "ids" and "types". tokenizer: the program has one. False
 * and a message if a line cannot be read. */
bool verify_inputs_read(Inputs *, const char *path, int32_t most, const Program *, bool tokenizer, Diag *);
void verify_inputs_free(Inputs *);
#endif
