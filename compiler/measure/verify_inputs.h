/* verify_inputs.h: the inputs on which `bertc verify` compares a program with the reference. */
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
	int32_t texts;                      /* lines of text that were read */
	int32_t tokenized, tokenized_right; /* texts whose ids were given, and those where the tokenizer agrees */
	char *difference;                   /* the first text whose ids differ, and where; malloc'd or NULL */
	/* After prune-vocab the program's ids are not the reference's. new_id: from ids of the model's files;
	 * old_id: back again. NULL: they are the same. */
	const int32_t *new_id;
	int32_t *old_id, nnew, nold;
} Inputs;

/* From here on ids are those of the program. */
void verify_inputs_renumber(Inputs *, const Loaded *);
/* One more input of so many tokens, all zero; valid until the next is added. */
Input *verify_inputs_add(Inputs *, int32_t tokens);
/* Lines of a file until there are `most` inputs: a text, two with a tab between, or with the suffix .jsonl an
 * object of "text", "pair", "ids" and "types". tokenizer: whether the program has one. False and a message
 * when a line cannot be read. */
bool verify_inputs_read(Inputs *, const char *path, int32_t most, const Program *, bool tokenizer, Diag *);
void verify_inputs_free(Inputs *);
#endif
