/* lex.h: tokens of .bir text. Lines are part of the grammar (one op per line), so the end of a line is a
 * token. A comment is a token too: at the end of an op's line it gives the op's origin. lex.rl has the
 * patterns. */
#ifndef BERTC_LEX_H
#define BERTC_LEX_H
#include <stddef.h>

/* The kind of a punctuation token (= , : { } ( ) [ ]) is its character. */
typedef enum TokenKind {
	TOKEN_END,       /* end of the text; returned again on every further call */
	TOKEN_BAD = 256, /* one byte that begins no token */
	TOKEN_LINE_END,
	TOKEN_COMMENT,
	TOKEN_WORD, /* linear, f32, fill-mask */
	TOKEN_INT,
	TOKEN_REAL,   /* -12; 1e-12, 0.5, inf, nan */
	TOKEN_STRING, /* "...", with its escapes */
	TOKEN_VALUE,  /* %ids, %12, %"any text" */
	TOKEN_SYMBOL, /* @main, @encoder.layer.0.weight, @"any text" */
} TokenKind;

typedef struct Token {
	int kind;         /* TokenKind or a punctuation character */
	const char *text; /* in the source text, without a NUL at the end */
	size_t bytes;
	int line; /* from 1 */
} Token;

typedef struct Lexer {
	const char *at, *end;
	int line;
} Lexer;

void lex_start(Lexer *, const char *text, size_t bytes);
Token lex_next(Lexer *);
/* Moves to the end of the line without forming tokens. So after an error each byte is read at most once, even
 * if a hostile line has many unterminated strings. */
void lex_skip_line(Lexer *);
#endif
