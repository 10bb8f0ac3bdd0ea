/* parse.h: shared by the files of the .bir parser. A function of type bool that returns false has recorded an
 * error; its caller then skips the line and parsing continues. */
#ifndef BERTC_PARSE_H
#define BERTC_PARSE_H
#include "lex.h"
#include "text.h"

enum { /* most items of each kind in a file: the lists are searched, or copied when they grow */
	WEIGHTS_MAX = 256,
	HEADS_LIMIT = 256,
	META_MAX = 1024,
	GRAPHS_MAX = 256,
	OPTIONS_MAX = 32,
	INPUTS_MAX = 16,
	OUTPUTS_MAX = 256,
};
/* Most bytes of all constants from rules together, so that a short file cannot fill the memory. */
#define RULE_BYTES_MAX ((int64_t)1 << 30)

typedef struct Parser {
	Lexer lexer;
	Token token; /* the next token, not yet taken */
	Module *module;
	Diag *diag;
	const char *directory;
	const char *const *search;
	bool weights_missing; /* a weights file could not be read: report it once, not for every constant */
	bool has_module_line;
	int64_t rule_bytes; /* of constants from rules, so far */
	int32_t nodes;      /* of all graphs, so far */
} Parser;

/* ---- parse_token.c: single tokens and their values ------------------------------------------- */
/* Records an error at the current token's line. Returns false. */
bool parse_error(Parser *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Records "expected WHAT, found TOKEN". Returns false. */
bool parse_expected(Parser *, const char *what);
void parse_advance(Parser *);
bool token_is(const Token *, const char *word);
/* Takes the token if it is of this kind. */
bool parse_accept(Parser *, int kind);
bool parse_accept_word(Parser *, const char *word);
bool parse_expect(Parser *, int kind, const char *what);
/* Goes to the start of the next line. */
void parse_skip_line(Parser *);
/* Requires the end of the line. Sets *comment to a comment there, without '#' and blanks, or to NULL. comment
 * may be NULL. */
bool parse_line_end(Parser *, const char **comment);
/* The text of a string token, without escapes, in the module's arena; NULL on error. */
const char *parse_string(Parser *, const char *what);
/* The name in a %value or @symbol token. kind == TOKEN_WORD: a word or a string. NULL on error. */
const char *parse_name(Parser *, int kind, const char *what);
bool parse_number(Parser *, Number *);
bool parse_int(Parser *, const char *what, int64_t least, int64_t most, int64_t *);

/* ---- parse_attr.c: types and attributes ------------------------------------------------------ */
bool parse_type(Parser *, Type *);
/* `{name=value ...}`, or nothing. */
bool parse_attrs(Parser *, Attrs *);

/* ---- parse_const.c: the form after `const` --------------------------------------------------- */
typedef enum ConstKind { CONST_NAMED, CONST_SPLAT, CONST_IOTA, CONST_RAND, CONST_LIST } ConstKind;
typedef struct ConstForm {
	ConstKind kind;
	const char *name; /* NAMED */
	Number number;    /* SPLAT, RAND (the seed) */
	Lexer elements;   /* LIST: after its '[' */
	int64_t count;    /* LIST */
} ConstForm;
bool parse_const_form(Parser *, ConstForm *);
/* NULL on error. */
const Tensor *const_tensor(Parser *, const ConstForm *, const Type *);

/* ---- parse_graph.c --------------------------------------------------------------------------- */
void parse_graph(Parser *);
#endif
