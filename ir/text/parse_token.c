/* parse_token.c: single tokens of .bir text and their values: words, strings, names, numbers. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "parse.h"

bool parse_error(Parser *parser, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return diag_error(parser->diag, EXIT_INPUT, parser->token.line, "%s", text);
}

bool parse_expected(Parser *parser, const char *what)
{
	const Token *token = &parser->token;
	if (token->kind == TOKEN_END || token->kind == TOKEN_LINE_END || token->kind == TOKEN_COMMENT)
		return parse_error(
			parser, "expected %s, found the end of the %s", what, token->kind == TOKEN_END ? "text" : "line");
	if (token->kind == TOKEN_BAD && *token->text == '"')
		return parse_error(parser, "expected %s, found a string that does not end on its line", what);
	if (token->kind == TOKEN_BAD)
		return parse_error(parser, "expected %s, found the byte 0x%02x", what, (unsigned char)*token->text);
	return parse_error(
		parser, "expected %s, found '%.*s'", what, (int)(token->bytes < 80 ? token->bytes : 80), token->text);
}

void parse_advance(Parser *parser) { parser->token = lex_next(&parser->lexer); }

bool token_is(const Token *token, const char *word)
{
	return token->kind == TOKEN_WORD && token->bytes == strlen(word)
		&& memcmp(token->text, word, token->bytes) == 0;
}

bool parse_accept(Parser *parser, int kind)
{
	bool found = parser->token.kind == kind;
	if (found)
		parse_advance(parser);
	return found;
}

bool parse_accept_word(Parser *parser, const char *word)
{
	bool found = token_is(&parser->token, word);
	if (found)
		parse_advance(parser);
	return found;
}

bool parse_expect(Parser *parser, int kind, const char *what)
{
	return parse_accept(parser, kind) || parse_expected(parser, what);
}

void parse_skip_line(Parser *parser)
{
	if (parser->token.kind != TOKEN_LINE_END && parser->token.kind != TOKEN_END) {
		lex_skip_line(&parser->lexer);
		parse_advance(parser);
	}
	parse_accept(parser, TOKEN_LINE_END);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool parse_line_end(Parser *parser, const char **comment)
{
	Token token = parser->token;
	if (comment)
		*comment = NULL;
	if (token.kind == TOKEN_COMMENT) {
		const char *start = token.text + 1, *end = token.text + token.bytes;
		while (start < end && is_blank(*start))
			start++;
		while (end > start && is_blank(end[-1]))
			end--;
		if (comment && end > start && !memchr(start, 0, (size_t)(end - start)))
			*comment = mem_string(parser->module->mem, start, (size_t)(end - start));
		parse_advance(parser);
	}
	if (parser->token.kind == TOKEN_END)
		return true;
	return parse_expect(parser, TOKEN_LINE_END, "the end of the line");
}

/* ---- strings and names ----------------------------------------------------------------------- */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character at *at, which may be an escape; -1: a bad escape. Moves *at past it. */
static int char_next(const char **at, const char *end)
{
	const char *c = *at;
	*at = c + 1;
	if (*c != '\\')
		return (unsigned char)*c;
	*at = c + 2;
	switch (c[1]) { /* the lexer guarantees that a byte follows */
	case 'n': return '\n';
	case 't': return '\t';
	case '"': return '"';
	case '\\': return '\\';
	case 'x':
		if (end - c < 4 || hex_digit(c[2]) < 0 || hex_digit(c[3]) < 0)
			return -1;
		*at = c + 4;
		return hex_digit(c[2]) * 16 + hex_digit(c[3]);
	default: return -1;
	}
}

/* The text between the quotes. */
static const char *unquote(Parser *parser, const char *text, size_t bytes)
{
	const char *at = text + 1, *end = text + bytes - 1;
	char *out = mem_alloc(parser->module->mem, bytes), *to = out;
	while (at < end) {
		int c = char_next(&at, end);
		if (c < 0) {
			parse_error(parser, "a string has an escape other than \\n \\t \\\" \\\\ \\xHH");
			return NULL;
		}
		if (c == 0) {
			parse_error(parser, "a string has a NUL byte");
			return NULL;
		}
		*to++ = (char)c;
	}
	return out;
}

const char *parse_string(Parser *parser, const char *what)
{
	Token token = parser->token;
	const char *text = NULL;
	if (token.kind != TOKEN_STRING)
		parse_expected(parser, what);
	else
		text = unquote(parser, token.text, token.bytes);
	if (text)
		parse_advance(parser);
	return text;
}

const char *parse_name(Parser *parser, int kind, const char *what)
{
	Token token = parser->token;
	if (token.kind != kind && !(kind == TOKEN_WORD && token.kind == TOKEN_STRING)) {
		parse_expected(parser, what);
		return NULL;
	}
	if (kind != TOKEN_WORD) { /* skip % or @ */
		token.text++;
		token.bytes--;
	}
	bool quoted = *token.text == '"';
	const char *name = quoted ? unquote(parser, token.text, token.bytes)
							  : mem_string(parser->module->mem, token.text, token.bytes);
	if (name && (*name == 0 || strlen(name) > NAME_BYTES_MAX)) {
		parse_error(parser, "%s has %zu bytes, expected 1 to %d", what, strlen(name), NAME_BYTES_MAX);
		return NULL;
	}
	if (name)
		parse_advance(parser);
	return name;
}

/* ---- numbers --------------------------------------------------------------------------------- */
bool parse_number(Parser *parser, Number *number)
{
	const Token *token = &parser->token;
	char text[NUMBER_BYTES_MAX];
	if (token->kind != TOKEN_INT && token->kind != TOKEN_REAL)
		return parse_expected(parser, "a number");
	if (token->bytes >= sizeof text)
		return parse_error(
			parser, "a number of %zu characters, expected at most %d", token->bytes, NUMBER_BYTES_MAX - 1);
	memcpy(text, token->text, token->bytes);
	text[token->bytes] = 0;
	number->d = strtod(text, NULL);
	number->is_int = token->kind == TOKEN_INT;
	if (isinf(number->d) && !strchr(text, 'i'))
		return parse_error(parser, "the number %s is too large", text);
	if (number->is_int) {
		errno = 0;
		number->i = strtoll(text, NULL, 10);
		number->is_int = errno == 0; /* a number that does not fit 64 bits is real */
	}
	parse_advance(parser);
	return true;
}

bool parse_int(Parser *parser, const char *what, int64_t least, int64_t most, int64_t *out)
{
	Number number = {0};
	if (parser->token.kind != TOKEN_INT)
		return parse_expected(parser, what);
	Token token = parser->token;
	if (!parse_number(parser, &number))
		return false;
	if (!number.is_int || number.i < least || number.i > most)
		return parse_error(parser, "%s is %.*s, expected %lld to %lld", what, (int)token.bytes, token.text,
			(long long)least, (long long)most);
	*out = number.i;
	return true;
}
