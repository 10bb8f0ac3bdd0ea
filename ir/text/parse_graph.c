/* parse_graph.c: one graph of .bir text: its header, its ops and its return line. Names are resolved here;
 * verify.c checks types, levels and the rest.
 *
 * A line with an error still defines the names at its left, without a value. So the lines that use them cause
 * no further errors. */
#include <search.h>
#include <string.h>
#include "parse.h"

/* A value's spelling: %12 is id 12; %x or %"x" is a name. */
typedef struct Binding {
	const char *name; /* NULL: an id */
	uint32_t id;
	Value *value; /* NULL: its line had an error */
	int line;
} Binding;

typedef struct GraphParser {
	Parser *parser;
	Graph *graph;
	void *bindings; /* a binary tree (POSIX tsearch) */
	bool has_return;
} GraphParser;

enum { ID_MAX = (1 << 24) - 1 }; /* four times NODES_MAX * RESULTS_MAX; passes may keep arrays by id */

/* ---- names of values ------------------------------------------------------------------------- */
static int binding_compare(const void *a, const void *b)
{
	const Binding *x = a, *y = b;
	if (x->name && y->name)
		return strcmp(x->name, y->name);
	if (x->name || y->name)
		return x->name ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

static void binding_keep(void *binding) { (void)binding; } /* the module's arena owns it */

/* Parses %12. False: not an id. An id above ID_MAX becomes some number above ID_MAX. */
static bool token_id(const Token *token, uint64_t *id)
{
	*id = 0;
	if (token->kind != TOKEN_VALUE)
		return false;
	for (size_t i = 1; i < token->bytes; i++) {
		if (token->text[i] < '0' || token->text[i] > '9')
			return false;
		if (*id <= ID_MAX)
			*id = *id * 10 + (uint64_t)(token->text[i] - '0');
	}
	return true;
}

static bool parse_value_name(Parser *parser, Binding *binding)
{
	uint64_t id;
	*binding = (Binding){.line = parser->token.line};
	if (token_id(&parser->token, &id)) {
		if (id > ID_MAX)
			return parse_error(
				parser, "id %%%llu is too large, expected at most %d", (unsigned long long)id, ID_MAX);
		binding->id = (uint32_t)id;
		parse_advance(parser);
		return true;
	}
	binding->name = parse_name(parser, TOKEN_VALUE, "the name of a value, such as %x");
	return binding->name != NULL;
}

static bool bind(GraphParser *gp, const Binding *binding)
{
	Binding *copy = mem_alloc(gp->graph->module->mem, sizeof *copy);
	*copy = *binding;
	Binding **found = tsearch(copy, &gp->bindings, binding_compare);
	if (*found == copy)
		return true;
	if (copy->name)
		return parse_error(gp->parser, "%%%s is already defined in line %d", copy->name, (*found)->line);
	return parse_error(gp->parser, "%%%u is already defined in line %d", copy->id, (*found)->line);
}

/* Gives the value its spelling from the text. */
static void value_spell(Value *value, Binding *binding)
{
	value->name = binding->name;
	if (!binding->name)
		value->id = binding->id;
	binding->value = value;
}

/* Parses a use of a value defined above. *value is NULL if its definition had an error. */
static bool parse_use(GraphParser *gp, Value **value)
{
	Binding binding;
	if (!parse_value_name(gp->parser, &binding))
		return false;
	Binding **found = tfind(&binding, &gp->bindings, binding_compare);
	if (found) {
		*value = (*found)->value;
		return true;
	}
	if (binding.name)
		return parse_error(gp->parser, "%%%s is not defined above this line", binding.name);
	return parse_error(gp->parser, "%%%u is not defined above this line", binding.id);
}

/* Reserves the ids that the text uses: named values get larger ids. */
static void reserve_ids(GraphParser *gp)
{
	Lexer lexer = gp->parser->lexer;
	bool line_start = false;
	Token token = gp->parser->token;
	for (; token.kind != TOKEN_END && !(line_start && token.kind == '}'); token = lex_next(&lexer)) {
		uint64_t id;
		if (token_id(&token, &id) && id <= ID_MAX && id >= gp->graph->next_id)
			gp->graph->next_id = (uint32_t)id + 1;
		line_start = token.kind == TOKEN_LINE_END;
		if (token.kind == TOKEN_BAD)
			lex_skip_line(&lexer);
	}
}

/* ---- op lines -------------------------------------------------------------------------------- */
/* The content of an op's line. */
typedef struct Line {
	int number;
	int32_t nresults, nargs, ntypes;
	Binding results[RESULTS_MAX];
	Value *args[ARGS_MAX];
	Type types[RESULTS_MAX];
	Op op;
	Attrs attrs;
	ConstForm form; /* OP_CONST */
	const char *origin;
	bool unknown; /* the definition of an argument had an error, so no node is made */
} Line;

static bool parse_results(GraphParser *gp, Line *line)
{
	do {
		if (line->nresults == RESULTS_MAX)
			return parse_error(gp->parser, "more than %d results", RESULTS_MAX);
		if (!parse_value_name(gp->parser, &line->results[line->nresults]))
			return false;
		line->nresults++;
	} while (parse_accept(gp->parser, ','));
	return parse_expect(gp->parser, '=', "',' or '='");
}

static bool parse_op(Parser *parser, Op *op)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (parse_accept_word(parser, op_info[i].name)) {
			*op = (Op)i;
			return true;
		}
	if (parser->token.kind != TOKEN_WORD)
		return parse_expected(parser, "the name of an op");
	const Token *token = &parser->token;
	return parse_error(parser, "there is no op '%.*s' (bertc ops lists them)",
		(int)(token->bytes < 80 ? token->bytes : 80), token->text);
}

static bool parse_args(GraphParser *gp, Line *line)
{
	if (gp->parser->token.kind != TOKEN_VALUE)
		return true;
	do {
		if (line->nargs == ARGS_MAX)
			return parse_error(gp->parser, "more than %d arguments", ARGS_MAX);
		if (!parse_use(gp, &line->args[line->nargs]))
			return false;
		line->unknown |= !line->args[line->nargs++];
	} while (parse_accept(gp->parser, ','));
	return true;
}

static bool parse_types(Parser *parser, Line *line)
{
	if (!parse_expect(parser, ':', "':' and the type of the result"))
		return false;
	do {
		if (line->ntypes == RESULTS_MAX)
			return parse_error(parser, "more than %d types", RESULTS_MAX);
		if (!parse_type(parser, &line->types[line->ntypes]))
			return false;
		line->ntypes++;
	} while (parse_accept(parser, ','));
	return true;
}

static bool parse_line(GraphParser *gp, Line *line)
{
	Parser *parser = gp->parser;
	if (!parse_results(gp, line) || !parse_op(parser, &line->op)
		|| (line->op == OP_CONST && !parse_const_form(parser, &line->form)) || !parse_args(gp, line)
		|| !parse_attrs(parser, &line->attrs) || !parse_types(parser, line))
		return false;
	int32_t results = op_info[line->op].results;
	if (line->nresults != results || line->ntypes != results)
		return parse_error(parser, "%s makes %d results; the line has %d names and %d types",
			op_info[line->op].name, results, line->nresults, line->ntypes);
	return true;
}

/* Makes the node of a line without errors. False: its constant could not be made. */
static bool line_insert(GraphParser *gp, Line *line)
{
	const Tensor *tensor = NULL;
	if (line->op == OP_CONST) {
		tensor = const_tensor(gp->parser, &line->form, &line->types[0]);
		if (!tensor)
			return false;
	}
	if (line->unknown)
		return false;
	Node *node = graph_insert_typed(
		gp->graph, NULL, line->op, line->args, line->nargs, &line->attrs, tensor, NULL, line->types);
	node->line = line->number;
	for (int32_t i = 0; i < line->nresults; i++)
		value_spell(node->results[i], &line->results[i]);
	return true;
}

static void parse_node(GraphParser *gp)
{
	Parser *parser = gp->parser;
	Line line = {.number = parser->token.line};
	bool good = parse_line(gp, &line);
	/* Makes a constant before the end of the line is taken, so that its errors get this line. Its origin
	 * follows. */
	good = good && line_insert(gp, &line);
	for (int32_t i = 0; i < line.nresults; i++)
		bind(gp, &line.results[i]);
	if (!good || !parse_line_end(parser, &line.origin))
		parse_skip_line(parser);
	else if (line.origin)
		node_set_origin(gp->graph, gp->graph->last, line.origin);
	parser->nodes++;
}

/* ---- the return line, the header, the graph -------------------------------------------------- */
static bool parse_outputs(GraphParser *gp)
{
	Parser *parser = gp->parser;
	if (parser->token.kind != TOKEN_WORD && parser->token.kind != TOKEN_STRING)
		return true;
	do {
		const char *name = parse_name(parser, TOKEN_WORD, "the name of an output");
		Value *value = NULL;
		if (!name || !parse_expect(parser, '=', "'='") || !parse_use(gp, &value))
			return false;
		if (gp->graph->noutputs == OUTPUTS_MAX)
			return parse_error(parser, "more than %d outputs", OUTPUTS_MAX);
		if (value)
			graph_add_output(gp->graph, name, value);
	} while (parse_accept(parser, ','));
	return true;
}

static void parse_return(GraphParser *gp)
{
	Parser *parser = gp->parser;
	bool good = !gp->has_return
		|| parse_error(parser, "a second return line; the first is line %d", gp->graph->return_line);
	gp->has_return = true;
	gp->graph->return_line = parser->token.line;
	parse_advance(parser);
	if (!good || !parse_outputs(gp) || !parse_line_end(parser, NULL))
		parse_skip_line(parser);
}

static bool parse_inputs(GraphParser *gp)
{
	Parser *parser = gp->parser;
	if (!parse_expect(parser, '(', "'(' and the inputs"))
		return false;
	if (parse_accept(parser, ')'))
		return true;
	do {
		Binding binding;
		Type type;
		if (!parse_value_name(parser, &binding) || !parse_expect(parser, ':', "':' and a type")
			|| !parse_type(parser, &type))
			return false;
		if (gp->graph->ninputs == INPUTS_MAX)
			return parse_error(parser, "more than %d inputs", INPUTS_MAX);
		value_spell(graph_add_input(gp->graph, NULL, type), &binding);
		if (!bind(gp, &binding))
			return false;
	} while (parse_accept(parser, ','));
	return parse_expect(parser, ')', "',' or ')'");
}

static bool parse_level(Parser *parser, Level *level)
{
	if (!parse_expect(parser, '=', "'='"))
		return false;
	for (Level each = LEVEL_GRAPH; each <= LEVEL_LOWERED; each *= 2)
		if (parse_accept_word(parser, level_name(each))) {
			*level = each;
			return true;
		}
	return parse_expected(parser, "graph, fused or lowered");
}

static bool parse_arena(Parser *parser, ArenaPlan *plan)
{
	if (!parse_expect(parser, '{', "'{'"))
		return false;
	plan->planned = true;
	while (!parse_accept(parser, '}')) {
		int64_t *field = NULL;
#define FIELD(name) \
	if (token_is(&parser->token, #name)) \
		field = &plan->name;
		ARENA_FIELDS(FIELD)
#undef FIELD
		if (!field)
			return parse_expected(parser, "a term of the arena such as per_token=64, or '}'");
		parse_advance(parser);
		if (!parse_expect(parser, '=', "'='")
			|| !parse_int(parser, "a number of bytes", 0, TENSOR_BYTES_MAX, field))
			return false;
	}
	return true;
}

static bool parse_header(GraphParser *gp)
{
	Parser *parser = gp->parser;
	gp->graph->name = parse_name(parser, TOKEN_SYMBOL, "the graph's name, such as @main");
	if (!gp->graph->name || !parse_inputs(gp))
		return false;
	if (parse_accept_word(parser, "level") && !parse_level(parser, &gp->graph->level))
		return false;
	if (parse_accept_word(parser, "arena") && !parse_arena(parser, &gp->graph->arena))
		return false;
	return parse_expect(parser, '{', "'{'") && parse_line_end(parser, NULL);
}

/* Parses lines up to '}'. */
static void parse_body(GraphParser *gp)
{
	Parser *parser = gp->parser;
	while (parser->token.kind != '}') {
		if (parser->token.kind == TOKEN_END) {
			parse_error(parser, "the text ends inside graph @%s: '}' is missing", gp->graph->name);
			return;
		}
		if (parse_accept(parser, TOKEN_LINE_END) || parse_accept(parser, TOKEN_COMMENT))
			continue;
		if (token_is(&parser->token, "return")) {
			parse_return(gp);
		} else if (parser->token.kind != TOKEN_VALUE) {
			parse_expected(parser, "an op such as %y = relu %x : f32[S,4], return, or '}'");
			parse_skip_line(parser);
		} else if (parser->nodes == NODES_MAX) {
			parse_error(parser, "more than %d ops", NODES_MAX);
			parse_skip_line(parser);
		} else if (gp->has_return) {
			parse_error(parser, "an op after the return line");
			parse_skip_line(parser);
		} else {
			parse_node(gp);
		}
	}
	if (!gp->has_return)
		parse_error(parser, "graph @%s has no return line", gp->graph->name);
	parse_advance(parser);
	if (!parse_line_end(parser, NULL))
		parse_skip_line(parser);
}

void parse_graph(Parser *parser)
{
	GraphParser gp = {.parser = parser, .graph = graph_new(parser->module, NULL)};
	gp.graph->line = parser->token.line;
	reserve_ids(&gp);
	if (!parse_header(&gp))
		parse_skip_line(parser);
	if (!gp.graph->name)
		gp.graph->name = "";
	parse_body(&gp);
	tdestroy(gp.bindings, binding_keep);
}
