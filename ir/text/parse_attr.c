/* parse_attr.c: types (`f32[S,384]`) and attributes (`{eps=1e-12 heads=12}`) of .bir text. verify checks
 * which attributes an op may or must have, and the types of results. */
#include <string.h>
#include "parse.h"

/* ---- types ----------------------------------------------------------------------------------- */
/* Whether the token begins at `end`, without a blank before it. */
static bool token_touches(const Token *token, const char *end) { return token->text == end; }

/* "S" is 1, "S1" to "S7" are 2 to 8; 0: no symbol. */
static int32_t symbol_number(const Token *token)
{
	if (token->kind != TOKEN_WORD || *token->text != 'S' || token->bytes > 2)
		return 0;
	if (token->bytes == 1)
		return 1;
	int32_t number = token->text[1] - '0' + 1;
	return number >= 2 && number < SYMBOLS_MAX ? number : 0;
}

static const char *take_end(Parser *parser)
{
	const char *end = parser->token.text + parser->token.bytes;
	parse_advance(parser);
	return end;
}

/* number | [scale] symbol [(+|-) plus], without blanks inside */
static bool parse_dim(Parser *parser, Dim *dim)
{
	static const char what[] = "a dimension: a number >= 1, or a term such as S, S1, S+1 or 2S-1";
	Token first = parser->token;
	int64_t number = 0;
	*dim = (Dim){0};
	if (first.kind == TOKEN_INT) {
		if (!parse_int(parser, "a dimension", 1, DIM_MAX, &number))
			return false;
		if (!symbol_number(&parser->token) || !token_touches(&parser->token, first.text + first.bytes)) {
			*dim = dim_number(number);
			return true;
		}
		if (number > INT32_MAX)
			return parse_error(
				parser, "a symbol's factor is %lld, expected at most %d", (long long)number, INT32_MAX);
	}
	dim->symbol = symbol_number(&parser->token);
	if (!dim->symbol)
		return parse_expected(parser, what);
	dim->scale = number ? (int32_t)number : 1;
	const char *end = take_end(parser);
	const Token *plus = &parser->token;
	if (plus->kind != TOKEN_INT || !token_touches(plus, end) || (*plus->text != '+' && *plus->text != '-'))
		return true;
	return parse_int(parser, "the number added to a symbol", -DIM_MAX, DIM_MAX, &dim->plus);
}

static bool parse_dims(Parser *parser, Dim dims[RANK_MAX], int32_t *count)
{
	*count = 0;
	if (parse_accept(parser, ']'))
		return true;
	do {
		if (*count == RANK_MAX)
			return parse_error(parser, "more than %d dimensions", RANK_MAX);
		if (!parse_dim(parser, &dims[*count]))
			return false;
		++*count;
	} while (parse_accept(parser, ','));
	return parse_expect(parser, ']', "',' or ']'");
}

bool parse_type(Parser *parser, Type *type)
{
	const Token *token = &parser->token;
	*type = (Type){0};
	if (token->kind != TOKEN_WORD || !dtype_parse(token->text, token->bytes, &type->dtype))
		return parse_expected(parser, "a type such as f32[S,384]");
	parse_advance(parser);
	if (parse_accept(parser, '[') && !parse_dims(parser, type->dim, &type->rank))
		return false;
	int64_t bytes = dtype_bytes[type->dtype];
	for (int32_t i = 0; i < type->rank; i++)
		if (dim_is_number(type->dim[i])
			&& (__builtin_mul_overflow(bytes, type->dim[i].plus, &bytes) || bytes > TENSOR_BYTES_MAX))
			return parse_error(parser, "a type of more than %lld bytes", (long long)TENSOR_BYTES_MAX);
	return true;
}

/* ---- attributes: one function per kind, called through attrs.def ----------------------------- */
static bool parse_INT(Parser *parser, int64_t *value)
{
	return parse_int(parser, "a whole number", INT64_MIN, INT64_MAX, value);
}

static bool parse_REAL(Parser *parser, double *value)
{
	Number number;
	if (!parse_number(parser, &number))
		return false;
	*value = number.d;
	return true;
}

static bool parse_TEXT(Parser *parser, const char **value)
{
	*value = parse_string(parser, "a string in quotes");
	return *value != NULL;
}

static bool parse_INTS(Parser *parser, Ints *ints)
{
	if (!parse_expect(parser, '[', "a list such as [1,0,2]"))
		return false;
	if (parse_accept(parser, ']'))
		return true;
	do {
		if (ints->count == RANK_MAX)
			return parse_error(parser, "a list of more than %d numbers", RANK_MAX);
		if (!parse_INT(parser, &ints->at[ints->count]))
			return false;
		ints->count++;
	} while (parse_accept(parser, ','));
	return parse_expect(parser, ']', "',' or ']'");
}

static bool parse_DIMS(Parser *parser, Dims *dims)
{
	return parse_expect(parser, '[', "a list such as [S,12,32]")
		&& parse_dims(parser, dims->at, &dims->count);
}

/* The message lists the valid words. */
static bool parse_word(Parser *parser, const char *const *words, int count, int *value)
{
	char list[256] = "one of";
	for (int i = 0; i < count; i++) {
		if (parse_accept_word(parser, words[i])) {
			*value = i;
			return true;
		}
		size_t used = strlen(list);
		snprintf(list + used, sizeof list - used, " %s", words[i]);
	}
	return parse_expected(parser, list);
}

#define PARSE_WORD(KIND, Type, words) \
	static bool parse_##KIND(Parser *parser, Type *value) \
	{ \
		int word = 0; \
		bool good = parse_word(parser, words, KIND##_COUNT, &word); \
		*value = (Type)word; \
		return good; \
	}
PARSE_WORD(PACK, Pack, enum_pack_words)
PARSE_WORD(ACT, Act, enum_act_words)
PARSE_WORD(POOL, Pool, enum_pool_words)

/* Parses one attribute. The current token is a word, its name. */
static bool parse_attr(Parser *parser, Attrs *attrs)
{
	Token name = parser->token;
	parse_advance(parser);
	if (!parse_expect(parser, '=', "'='"))
		return false;
#define ATTR(field, KIND, doc) \
	if (token_is(&name, #field)) { \
		if (attrs->has & A_##field) \
			return parse_error(parser, "attribute " #field " is given twice"); \
		attrs->has |= A_##field; \
		return parse_##KIND(parser, &attrs->field); \
	}
#include "ir/attrs.def"
#undef ATTR
	return parse_error(
		parser, "there is no attribute '%.*s'", (int)(name.bytes < 80 ? name.bytes : 80), name.text);
}

bool parse_attrs(Parser *parser, Attrs *attrs)
{
	*attrs = (Attrs){0};
	if (!parse_accept(parser, '{'))
		return true;
	while (!parse_accept(parser, '}')) {
		if (parser->token.kind != TOKEN_WORD)
			return parse_expected(parser, "an attribute such as eps=1e-12, or '}'");
		if (!parse_attr(parser, attrs))
			return false;
	}
	return true;
}
