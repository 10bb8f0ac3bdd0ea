/* parse_const.c: parses the forms of a constant in .bir text and makes their tensors. On the line the form
 * comes before the type, so it is parsed first and becomes a tensor when the type is known. */
#include <string.h>
#include "parse.h"

/* Counts the elements and saves where they begin. They are read later, when their type is known. */
static bool parse_list(Parser *parser, ConstForm *form)
{
	form->kind = CONST_LIST;
	form->elements = parser->lexer;
	parse_advance(parser);
	if (parse_accept(parser, ']'))
		return true;
	do {
		if (parser->token.kind != TOKEN_INT && parser->token.kind != TOKEN_REAL)
			return parse_expected(parser, "a number");
		parse_advance(parser);
		form->count++;
	} while (parse_accept(parser, ','));
	return parse_expect(parser, ']', "',' or ']'");
}

static bool parse_argument(Parser *parser, Number *number)
{
	return parse_expect(parser, '(', "'('") && parse_number(parser, number)
		&& parse_expect(parser, ')', "')'");
}

bool parse_const_form(Parser *parser, ConstForm *form)
{
	*form = (ConstForm){0};
	if (parser->token.kind == '[')
		return parse_list(parser, form);
	if (parser->token.kind == TOKEN_SYMBOL) {
		form->kind = CONST_NAMED;
		form->name = parse_name(parser, TOKEN_SYMBOL, "the name of a tensor");
		return form->name != NULL;
	}
	if (parse_accept_word(parser, "iota")) {
		form->kind = CONST_IOTA;
		return true;
	}
	if (parse_accept_word(parser, "splat")) {
		form->kind = CONST_SPLAT;
		return parse_argument(parser, &form->number);
	}
	if (parse_accept_word(parser, "rand")) {
		form->kind = CONST_RAND;
		if (!parse_argument(parser, &form->number))
			return false;
		return (form->number.is_int && form->number.i >= 0)
			|| parse_error(parser, "the seed of rand must be a whole number >= 0");
	}
	if (token_is(&parser->token, "elided"))
		return parse_error(parser,
			"this text lacks its large constants; write it with -o OUT.bir, which puts them into "
			"OUT.safetensors, and without --elide-constants");
	return parse_expected(parser, "@tensor.name, splat(0.5), iota, rand(7) or a list in [ ]");
}

/* ---- tensors --------------------------------------------------------------------------------- */
/* The last file with the name wins: module_write puts new constants in a file that it adds at the end. */
static const Tensor *named_tensor(Parser *parser, const char *name, const Type *type)
{
	const Module *module = parser->module;
	const Tensor *tensor = NULL;
	for (int32_t i = module->nfiles; i-- > 0 && !tensor;)
		tensor = tensor_file_find(module->files[i], name);
	if (parser->weights_missing)
		return NULL;
	if (!tensor) {
		parse_error(parser,
			module->nfiles ? "no tensor '%s' in the weights"
						   : "tensor '%s' needs a file, but the module line has no weights",
			name);
		return NULL;
	}
	if (!type_equal(&tensor->type, type)) {
		char found[128], expected[128];
		parse_error(parser, "tensor '%s' is %s in %s, but the line says %s", name,
			type_print(&tensor->type, found), tensor->file, type_print(type, expected));
		return NULL;
	}
	return tensor;
}

static const char *form_text(MemArena *mem, const ConstForm *form, DType dtype)
{
	char text[NUMBER_BYTES_MAX];
	switch (form->kind) {
	case CONST_IOTA: return "iota";
	case CONST_RAND: return mem_printf(mem, "rand(%lld)", (long long)form->number.i);
	case CONST_SPLAT:
		if (!dtype_is_float(dtype))
			return mem_printf(mem, "splat(%lld)", (long long)form->number.i);
		real_text(form->number.d, text);
		return mem_printf(mem, "splat(%s)", text);
	default: return NULL;
	}
}

/* Element i of the form. The elements of a list come in order from `list`, a parser with its own lexer. */
static bool element_number(Parser *list, const ConstForm *form, int64_t i, Number *number)
{
	switch (form->kind) {
	case CONST_IOTA: *number = (Number){true, i, (double)i}; return true;
	case CONST_RAND: *number = (Number){.d = random_at((uint64_t)form->number.i, (uint64_t)i)}; return true;
	case CONST_LIST:
		if (!parse_number(list, number))
			return false;
		parse_advance(list); /* the comma or bracket after it, which parse_list checked */
		return true;
	default: *number = form->number; return true;
	}
}

static bool tensor_fill(Parser *parser, const ConstForm *form, Tensor *tensor)
{
	Parser list = *parser;
	if (form->kind == CONST_LIST) {
		list.lexer = form->elements;
		parse_advance(&list);
	}
	int64_t count = type_count(&tensor->type);
	for (int64_t i = 0; i < count; i++) {
		Number number = {0};
		if (!element_number(&list, form, i, &number))
			return false;
		if (!element_store((void *)tensor->data, tensor->type.dtype, i, number))
			return parse_error(parser, "element %lld is not a whole number that fits %s", (long long)i,
				dtype_names[tensor->type.dtype]);
	}
	return true;
}

const Tensor *const_tensor(Parser *parser, const ConstForm *form, const Type *type)
{
	char text[128];
	if (!type_is_number(type)) {
		parse_error(
			parser, "a constant of type %s, expected dimensions that are numbers", type_print(type, text));
		return NULL;
	}
	if (form->kind == CONST_NAMED)
		return named_tensor(parser, form->name, type);
	int64_t count = type_count(type); /* no overflow: parse_type limits the size */
	if (form->kind == CONST_LIST && form->count != count) {
		parse_error(parser, "a list of %lld elements for %s, expected %lld", (long long)form->count,
			type_print(type, text), (long long)count);
		return NULL;
	}
	if (form->kind == CONST_RAND && !dtype_is_float(type->dtype)) {
		parse_error(
			parser, "rand makes numbers between -1 and 1, which do not fit %s", type_print(type, text));
		return NULL;
	}
	if (form->kind != CONST_LIST) {
		parser->rule_bytes += count * dtype_bytes[type->dtype];
		if (parser->rule_bytes > RULE_BYTES_MAX) {
			parser->rule_bytes = RULE_BYTES_MAX;
			parse_error(parser, "all splat, iota and rand constants together have more than %lld bytes",
				(long long)RULE_BYTES_MAX);
			return NULL;
		}
	}
	Tensor *tensor = tensor_new(parser->module, "", *type);
	tensor->form = form_text(parser->module->mem, form, type->dtype);
	return tensor_fill(parser, form, tensor) ? tensor : NULL;
}
