/* parse.h: the .bir parser's own header: one struct, and the functions that its files give each other. Every
 * function that returns bool has recorded an error when it returns false; the line it was on is then skipped
 * and parsing goes on. */
#ifndef BERTC_PARSE_H
#define BERTC_PARSE_H
#include "lex.h"
#include "text.h"

enum { /* how much of each a file may declare: these lists are searched, or copied as they grow */
	WEIGHTS_MAX = 256,
	HEADS_LIMIT = 256,
	META_MAX = 1024,
	GRAPHS_MAX = 256,
	OPTIONS_MAX = 32,
	INPUTS_MAX = 16,
	OUTPUTS_MAX = 256,
};
/* All constants that follow a rule together: a short file must not fill the memory. */
#define RULE_BYTES_MAX ((int64_t)1 << 30)

typedef struct Parser {
	Lexer lexer;
	Token token; /* the next one, not yet taken */
	Module *module;
	Diag *diag;
	const char *directory;
	const char *const *search;
	bool weights_missing; /* a file of weights could not be read: one message, not one a constant */
	bool has_module_line;
	int64_t rule_bytes; /* of the constants that follow a rule, so far */
	int32_t nodes;      /* of all graphs, so far */
} Parser;

/* ---- parse_token.c: tokens and what single ones mean ----------------------------------------- */
/* An error at the current token's line; false. */
bool parse_error(Parser *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "expected WHAT, found TOKEN"; false. */
bool parse_expected(Parser *, const char *what);
void parse_advance(Parser *);
bool token_is(const Token *, const char *word);
/* Takes the token if it is of the kind (or that word). */
bool parse_accept(Parser *, int kind);
bool parse_accept_word(Parser *, const char *word);
bool parse_expect(Parser *, int kind, const char *what);
/* Goes to the start of the next line. */
void parse_skip_line(Parser *);
/* The line must end here; a comment at its end goes to *comment (may be NULL) without '#' and blanks, NULL
 * when there is none. */
bool parse_line_end(Parser *, const char **comment);
/* A string token, escapes resolved, in the module's arena; NULL on error. */
const char *parse_string(Parser *, const char *what);
/* The name of a %value or @symbol token, or of a word or string where kind is TOKEN_WORD; NULL on error. */
const char *parse_name(Parser *, int kind, const char *what);
bool parse_number(Parser *, Number *);
bool parse_int(Parser *, const char *what, int64_t least, int64_t most, int64_t *);

/* ---- parse_attr.c: types and attributes ------------------------------------------------------ */
bool parse_type(Parser *, Type *);
/* `{name=value ...}`, or nothing. */
bool parse_attrs(Parser *, Attrs *);

/* ---- parse_const.c: what stands after `const` ------------------------------------------------ */
typedef enum ConstKind { CONST_NAMED, CONST_SPLAT, CONST_IOTA, CONST_RAND, CONST_LIST } ConstKind;
typedef struct ConstForm {
	ConstKind kind;
	const char *name; /* NAMED */
	Number number;    /* SPLAT, RAND (the seed) */
	Lexer elements;   /* LIST: just behind its '[' */
	int64_t count;    /* LIST */
} ConstForm;
bool parse_const_form(Parser *, ConstForm *);
/* NULL on error. */
const Tensor *const_tensor(Parser *, const ConstForm *, const Type *);

/* ---- parse_graph.c --------------------------------------------------------------------------- */
void parse_graph(Parser *);
#endif
