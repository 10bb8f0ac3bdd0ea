/* emit_body.c: the places of values at run time, and the names of sizes and rows in the statements of a
 * wrapper. */
#include "emit.h"
#include "runtime/rt.h"

#define WORD(KIND, NAME, TEXT) WORD_##KIND(NAME)
#define WORD_PACK(NAME)
#define WORD_ACT(NAME) _Static_assert((int)ACT_##NAME == (int)RT_ACT_##NAME, "rt.h and enums.def disagree");
#define WORD_POOL(NAME) \
	_Static_assert((int)POOL_##NAME == (int)RT_POOL_##NAME, "rt.h and enums.def disagree");
#include "ir/enums.def"
#undef WORD_ACT
#undef WORD_POOL

#define WORD_ACT(NAME) #NAME,
#define WORD_POOL(NAME)
const char *const emit_act_words[ACT_COUNT] = {
#include "ir/enums.def"
};
#undef WORD_ACT
#undef WORD_POOL
#define WORD_ACT(NAME)
#define WORD_POOL(NAME) #NAME,
const char *const emit_pool_words[POOL_COUNT] = {
#include "ir/enums.def"
};

/* ---- values ---------------------------------------------------------------------------------- */

Place value_place(const Value *value)
{
	if (!value->node)
		return PLACE_IDS;
	if (value_is_const(value))
		return PLACE_CONST;
	int symbols = 0;
	for (int32_t i = 0; i < value->type.rank; i++) {
		Dim dim = value->type.dim[i];
		if (dim_is_number(dim))
			continue;
		if (!dim_equal(dim, dim_symbol(dim.symbol)))
			return PLACE_NOWHERE;
		symbols++;
	}
	static const Place places[] = {PLACE_TEXTS, PLACE_TOKENS, PLACE_PAIRS};
	return symbols <= 2 ? places[symbols] : PLACE_NOWHERE;
}

int32_t value_symbol(const Value *value)
{
	for (int32_t i = 0; i < value->type.rank; i++)
		if (!dim_is_number(value->type.dim[i]))
			return value->type.dim[i].symbol - 1;
	return 0;
}

int64_t value_unit(const Value *value)
{
	int64_t unit = 1;
	for (int32_t i = 0; i < value->type.rank; i++)
		if (dim_is_number(value->type.dim[i]))
			unit *= value->type.dim[i].plus;
	return unit;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

void body_param(Body *b, const char *name, const Value *value)
{
	b->param[b->nparams].name = name;
	b->param[b->nparams++].value = value;
}

const char *body_suffix(Body *b, int32_t symbol)
{
	return symbol ? mem_printf(b->e->mem, "%d", (int)symbol) : "";
}

const char *body_dim(Body *b, Dim dim)
{
	if (dim_is_number(dim))
		return mem_printf(b->e->mem, "%lld", (long long)dim.plus);
	b->uses_tokens |= 1u << (dim.symbol - 1);
	return mem_printf(b->e->mem, "S%s", body_suffix(b, dim.symbol - 1));
}

const char *body_product(Body *b, const Type *type, int32_t first, int32_t last)
{
	int64_t number = 1;
	const char *symbols = "";
	for (int32_t i = first; i < last; i++) {
		if (dim_is_number(type->dim[i])) {
			number *= type->dim[i].plus;
		} else {
			symbols = mem_printf(b->e->mem, "%s * %s", symbols, body_dim(b, type->dim[i]));
		}
	}
	if (number == 1 && *symbols)
		return symbols + 3;
	return mem_printf(b->e->mem, "%lld%s", (long long)number, symbols);
}

const char *body_pointer(Body *b, int32_t param)
{
	const char *name = b->param[param].name;
	const Value *value = b->param[param].value;
	Place place = value_place(value);
	long long unit = (long long)value_unit(value);
	switch (place) {
	case PLACE_CONST: return name;
	case PLACE_TEXTS: return mem_printf(b->e->mem, "%s + (size_t)i * %lld", name, unit);
	default:
		b->uses_begin |= 1u << value_symbol(value);
		name = mem_printf(b->e->mem, "%s + begin%s", name, body_suffix(b, value_symbol(value)));
		if (place == PLACE_PAIRS)
			return mem_printf(b->e->mem, "%s * (size_t)call->longest * %lld", name, unit);
		return unit == 1 ? name : mem_printf(b->e->mem, "%s * %lld", name, unit);
	}
}

void body_text_rows(Body *b, FILE *out)
{
	for (int32_t k = 0; k < SYMBOLS_MAX; k++) {
		const char *end = body_suffix(b, k), *call = k ? "" : "call->";
		const uint32_t bit = 1u << k;
		if (k && ((b->uses_begin | b->uses_tokens) & bit))
			fprintf(out, "\t\tconst int32_t *offsets%s = rt_offsets(call, %s);\n", end, end);
		if (b->uses_begin & bit)
			fprintf(out, "\t\tconst size_t begin%s = (size_t)%soffsets%s[i];\n", end, call, end);
		if (b->uses_tokens & bit)
			fprintf(
				out, "\t\tconst int S%s = %soffsets%s[i + 1] - %soffsets%s[i];\n", end, call, end, call, end);
	}
}
