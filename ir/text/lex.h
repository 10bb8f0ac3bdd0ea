/* lex.h: tokens of .bir text. Lines are part of the grammar (one op a line), so a line's end is a token, and
 * so is a comment: at the end of an op's line it is the op's origin. The patterns are in lex.rl. */
#ifndef BERTC_LEX_H
#define BERTC_LEX_H
#include <stddef.h>

/* Punctuation (= , : { } ( ) [ ]) has its own character as its kind. */
typedef enum TokenKind {
	TOKEN_END,       /* of the text; comes again as often as asked for */
	TOKEN_BAD = 256, /* one byte that begins no token */
	TOKEN_LINE_END,
	TOKEN_COMMENT,
	TOKEN_WORD, /* linear, f32, fill-mask */
	TOKEN_INT,
	TOKEN_REAL,   /* -12; 1e-12, 0.5, inf, nan */
	TOKEN_STRING, /* "...", escapes still in it */
	TOKEN_VALUE,  /* %ids, %12, %"any text" */
	TOKEN_SYMBOL, /* @main, @encoder.layer.0.weight, @"any text" */
} TokenKind;

typedef struct Token {
	int kind;         /* TokenKind or a punctuation character */
	const char *text; /* in the source text, not ended by NUL */
	size_t bytes;
	int line; /* from 1 */
} Token;

typedef struct Lexer {
	const char *at, *end;
	int line;
} Lexer;

void lex_start(Lexer *, const char *text, size_t bytes);
Token lex_next(Lexer *);
/* Moves to the end of the line without looking at what stands there: after an error every byte is read once
 * at most, whatever strings that never end a hostile line may hold. */
void lex_skip_line(Lexer *);
#endif
