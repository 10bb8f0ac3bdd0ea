/* import/xml_graph.c: the second form of a description: <graph> lists the same ops as .bir text. The elements
 * are printed as .bir text, one line each, and the .bir parser reads that text. There is thus one parser for
 * both forms. Line numbers in messages are mapped back to lines of the XML file.
 *
 * An attribute cannot become more than one token of the text: model.rng restricts the characters of ids,
 * types, rules and numbers; everything else is printed in quotes or with control bytes replaced. */
#include <stdlib.h>
#include <string.h>
#include <libxml/tree.h>
#include "import.h"
#include "compiler/support/files.h"

typedef struct GraphText {
	FILE *out;
	char *text;
	size_t bytes;
	int *xml_line; /* XML line of each line of the text, from 1 */
	int lines;
	size_t capacity;
} GraphText;

/* ---- lines ----------------------------------------------------------------------------------- */

static void end_line(GraphText *t, int xml_line)
{
	t->xml_line = checked_grow(t->xml_line, &t->capacity, (size_t)t->lines + 2, sizeof *t->xml_line);
	t->xml_line[++t->lines] = xml_line;
	fputc('\n', t->out);
}

/* Maps the lines of the parser's messages, from message `first` on, to lines of the XML. */
static void map_lines(const GraphText *t, Diag *diag, int first)
{
	for (int i = first; i < diag->count; i++)
		if (diag->messages[i].line > 0)
			diag->messages[i].line = diag->messages[i].line <= t->lines ? t->xml_line[diag->messages[i].line]
																		: 0;
}

/* ---- pieces of a line ------------------------------------------------------------------------ */

static bool is_element(xmlNodePtr node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* Prints the attribute `name` with `print`. False: there is none. */
static bool with_attr(GraphText *t, xmlNodePtr node, const char *name, void (*print)(FILE *, const char *))
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
	if (value)
		print(t->out, (const char *)value);
	xmlFree(value);
	return value != NULL;
}

static void print_plain(FILE *out, const char *text) { fputs(text, out); }

static void print_symbol(FILE *out, const char *name)
{
	fputc('@', out);
	print_quoted(out, name);
}

/* "a b" -> "before a, before b" */
static void print_list(FILE *out, const char *words, const char *before)
{
	const char *comma = "";
	for (; *words; comma = ", ") {
		size_t length = strcspn(words += strspn(words, " \t\r\n"), " \t\r\n");
		if (length == 0)
			return;
		fprintf(out, "%s%s%.*s", comma, before, (int)length, words);
		words += length;
	}
}

static void print_values(FILE *out, const char *ids) { print_list(out, ids, "%"); }
static void print_types(FILE *out, const char *types) { print_list(out, types, ""); }

static void print_numbers(FILE *out, const char *numbers)
{
	fputc('[', out);
	print_list(out, numbers, "");
	fputc(']', out);
}

static void print_origin(FILE *out, const char *origin)
{
	fputs("  # ", out);
	for (; *origin; origin++)
		fputc((unsigned char)*origin < 0x20 ? '?' : *origin, out);
}

/* ---- elements -------------------------------------------------------------------------------- */

static void print_module(GraphText *t, const ModelDesc *desc, xmlNodePtr model)
{
	const char *before = " weights ";
	fprintf(t->out, "module @%s", desc->name);
	for (xmlNodePtr node = model->children; node; node = node->next)
		if (is_element(node, "weights")) {
			fputs(before, t->out);
			with_attr(t, node, "href", print_quoted);
			before = ", ";
		}
	if (desc->tokenizer) {
		fputs(" tokenizer ", t->out);
		print_quoted(t->out, desc->tokenizer);
	}
	if (desc->max_tokens)
		fprintf(t->out, " max_tokens %d", desc->max_tokens);
	end_line(t, (int)xmlGetLineNo(model));
}

static void print_labels(GraphText *t, xmlNodePtr head) /* attribute, then elements */
{
	const char *before = " labels=[";
	xmlChar *words = xmlGetNoNsProp(head, (const xmlChar *)"labels");
	char *rest;
	for (char *word = words ? strtok_r((char *)words, " \t\r\n", &rest) : NULL; word;
		word = strtok_r(NULL, " \t\r\n", &rest)) {
		fputs(before, t->out);
		print_quoted(t->out, word);
		before = ", ";
	}
	xmlFree(words);
	for (xmlNodePtr node = head->children; node; node = node->next)
		if (is_element(node, "label")) {
			xmlChar *label = xmlNodeGetContent(node);
			fputs(before, t->out);
			print_quoted(t->out, label ? (const char *)label : "");
			xmlFree(label);
			before = ", ";
		}
	if (*before == ',')
		fputc(']', t->out);
}

static void print_head(GraphText *t, xmlNodePtr node)
{
	fputs("head ", t->out);
	if (!with_attr(t, node, "name", print_symbol))
		with_attr(t, node, "task", print_symbol);
	fputc(' ', t->out);
	with_attr(t, node, "task", print_plain);
	fputc(' ', t->out);
	if (!with_attr(t, node, "problem", print_plain))
		fputs("single", t->out);
	fputs(" output=", t->out);
	with_attr(t, node, "output", print_quoted);
	print_labels(t, node);
	end_line(t, (int)xmlGetLineNo(node));
}

static void print_const(GraphText *t, xmlNodePtr node)
{
	fputs("  ", t->out);
	with_attr(t, node, "id", print_values);
	fputs(" = const ", t->out);
	if (!with_attr(t, node, "tensor", print_symbol) && !with_attr(t, node, "rule", print_plain))
		with_attr(t, node, "values", print_numbers);
}

static void print_op(GraphText *t, xmlNodePtr node)
{
	static const char *const own[] = {"name", "id", "args", "type", "origin"};
	const char *before = " {";
	fputs("  ", t->out);
	with_attr(t, node, "id", print_values);
	fputs(" = ", t->out);
	with_attr(t, node, "name", print_plain);
	fputc(' ', t->out);
	with_attr(t, node, "args", print_values);
	for (xmlAttrPtr attr = node->properties; attr; attr = attr->next) {
		const char *name = (const char *)attr->name;
		if (word_index(name, own, sizeof own / sizeof *own) >= 0)
			continue;
		fprintf(t->out, "%s%s=", before, name);
		with_attr(t, node, name, print_plain);
		before = " ";
	}
	if (before[1] == '\0')
		fputc('}', t->out);
}

static void print_node(GraphText *t, xmlNodePtr node)
{
	if (is_element(node, "const"))
		print_const(t, node);
	else
		print_op(t, node);
	fputs(" : ", t->out);
	with_attr(t, node, "type", print_types);
	with_attr(t, node, "origin", print_origin);
	end_line(t, (int)xmlGetLineNo(node));
}

/* An attribute and the function that prints it. */
typedef struct AttrForm {
	const char *name;
	void (*print)(FILE *, const char *);
} AttrForm;

/* Prints two attributes of each element with this name, separated by commas. Returns the line of the last
 * element; 0: there is none. */
static long print_pairs(GraphText *t, xmlNodePtr graph, const char *element, const char *before,
	const AttrForm forms[2], const char *between)
{
	long line = 0;
	for (xmlNodePtr node = graph->children; node; node = node->next)
		if (is_element(node, element)) {
			fputs(line ? ", " : before, t->out);
			with_attr(t, node, forms[0].name, forms[0].print);
			fputs(between, t->out);
			with_attr(t, node, forms[1].name, forms[1].print);
			line = xmlGetLineNo(node);
		}
	return line;
}

static void print_inputs(GraphText *t, xmlNodePtr graph)
{
	static const AttrForm forms[2] = {{"id", print_values}, {"type", print_types}};
	fputs("graph ", t->out);
	if (!with_attr(t, graph, "name", print_symbol))
		fputs("@main", t->out);
	print_pairs(t, graph, "input", "(", forms, ": ");
	fputs(") level=", t->out);
	if (!with_attr(t, graph, "level", print_plain))
		fputs("graph", t->out);
	fputs(" {", t->out);
	end_line(t, (int)xmlGetLineNo(graph));
}

static void print_graph(GraphText *t, xmlNodePtr graph)
{
	static const AttrForm forms[2] = {{"name", print_quoted}, {"value", print_values}};
	print_inputs(t, graph);
	for (xmlNodePtr node = graph->children; node; node = node->next)
		if (is_element(node, "const") || is_element(node, "op"))
			print_node(t, node);
	const long line = print_pairs(t, graph, "output", "  return ", forms, "=");
	end_line(t, (int)line);
	fputs("}", t->out);
	end_line(t, (int)line);
}

/* ---- all of it ------------------------------------------------------------------------------- */

Module *graph_from_xml(const ModelDesc *desc, struct _xmlNode *model, const LoadOptions *options, Diag *diag)
{
	GraphText t = {0};
	t.out = text_open(&t.text, &t.bytes);
	print_module(&t, desc, model);
	for (xmlNodePtr node = model->children; node; node = node->next)
		if (is_element(node, "head"))
			print_head(&t, node);
	for (xmlNodePtr node = model->children; node; node = node->next)
		if (is_element(node, "graph"))
			print_graph(&t, node);
	text_close(t.out);
	int first = diag->count;
	const char *file = diag->file;
	diag->file = desc->path;
	Module *module = module_parse(t.text, t.bytes, desc->directory, options->search, diag);
	if (module && !module_verify(module, diag)) {
		module_free(module);
		module = NULL;
	}
	diag->file = file;
	map_lines(&t, diag, first);
	free(t.text);
	free(t.xml_line);
	return module;
}
