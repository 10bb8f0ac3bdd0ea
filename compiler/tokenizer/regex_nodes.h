/* regex_nodes.h: a regular expression between its parser (regex.c) and its automaton (regex_automaton.c). */
#ifndef REGEX_NODES_H
#define REGEX_NODES_H
#include "regex.h"

enum {
	SETS_MAX = 32,
	ITEMS_MAX = 512,
	PARTS_MAX = 2048,
	CODE_MAX = 1024,
	STATES_MAX = 2048,
	CLASSES_MAX = 200
};
enum { REPEAT_MAX = 64, MANY = -1 };

/* ---- sets of characters ---------------------------------------------------------------------- */
typedef enum Property { RANGE, CATEGORY, SPACE, WORD, RUST_WORD, CALL } Property;
typedef struct Item {
	Property property;
	int32_t low, high;         /* RANGE */
	char category[2];          /* CATEGORY: "L", or "Lu" */
	bool (*has)(int32_t code); /* CALL */
	bool negated;
} Item;
typedef struct Set {
	int32_t from, to; /* items */
	bool negated;
} Set;

typedef enum PartKind { EMPTY, ONE, AHEAD, BOTH, EITHER, REPEAT } PartKind;
typedef struct Part {
	PartKind kind;
	int32_t left, right; /* nodes; ONE, AHEAD: a set; EITHER tries left first */
	int32_t least, most; /* REPEAT */
	bool lazy;           /* REPEAT: tries as few as it can first */
	bool possessive;     /* REPEAT: gives nothing back */
	bool negated;        /* AHEAD */
} Part;
typedef struct Instruction {
	PartKind kind; /* EMPTY: match. ONE, AHEAD: then left. EITHER: left, then right */
	int32_t set, left, right;
	bool negated;
} Instruction;

typedef struct Regex {
	TokenizerImport *import;
	const char *what, *text;
	const unsigned char *at;
	int32_t depth, nitems, nsets, nnodes, ncode;
	int32_t letter; /* the character read last, if it is one; else 0 */
	bool fold, failed, knows_shared;
	uint32_t shared[SETS_MAX]; /* the sets that share a character with each, a bit each; if known */
	Item items[ITEMS_MAX];
	Set sets[SETS_MAX];
	Part nodes[PARTS_MAX];
	Instruction code[CODE_MAX];
} Regex;

/* Reports a part that is not supported, once. Returns 0. */
int32_t regex_refuse(Regex *, const char *why);
/* Compiles a node, and makes the automaton. */
bool regex_automaton(Regex *, int32_t node, Cut *);
#endif
