/* regex.h: regular expressions as automata. */
#ifndef REGEX_H
#define REGEX_H
#include "tokenizer_import.h"

/* Fills a cut's automaton from an expression in Oniguruma's syntax. False and a message that begins with
 * `what` if the expression has a part that is not supported, or needs too large an automaton. */
bool regex_compile(TokenizerImport *, const char *what, const char *regex, Cut *);
/* The same for a text. */
bool regex_literal(TokenizerImport *, const char *what, const char *text, Cut *);
/* The same for one character with a property. */
bool regex_property(TokenizerImport *, const char *what, bool (*has)(int32_t code), Cut *);
/* scripts.c: keeps the pieces of UnicodeScripts. */
void scripts_cut(TokenizerImport *, Cut *);
/* Rust's \w+|[^\w\s]+ */
bool regex_words(TokenizerImport *, Cut *);
#endif
