/* print.c: prints a module as .bir text (language: IR.md). The text is a fixed point: parsed and printed
 * again, it has the same bytes. write.c writes the files beside it. */
#include <stdlib.h>
#include <string.h>
#include "text.h"

typedef struct Printer {
	FILE *out;
	const PrintPlan *plan;
	bool elide;
} Printer;

void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", out);
		else if (*c == '\t')
			fputs("\\t", out);
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*c);
		else if ((unsigned char)c[0] == 0xc2
			&& ((unsigned char)c[1] & 0xe0) == 0x80) /* U+0080 to U+009F are controls, too */
			fprintf(out, "\\xc2\\x%02x", (unsigned char)*++c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

static void print_name(FILE *out, const char *name, bool plain)
{
	if (plain)
		fputs(name, out);
	else
		print_quoted(out, name);
}

static void print_symbol(FILE *out, const char *name)
{
	fputc('@', out);
	print_name(out, name, name_is_symbol(name));
}

static void print_value(FILE *out, const Value *value)
{
	fputc('%', out);
	if (value->name)
		print_name(out, value->name, name_is_value(value->name));
	else
		fprintf(out, "%u", value->id);
}

static void print_type(FILE *out, const Type *type)
{
	char text[128];
	fputs(type_print(type, text), out);
}

/* ---- attributes: one function per kind, called through attrs.def ----------------------------- */
static void print_INT(FILE *out, int64_t value) { fprintf(out, "%lld", (long long)value); }
static void print_TEXT(FILE *out, const char *text) { print_quoted(out, text); }

static void print_REAL(FILE *out, double value)
{
	char text[NUMBER_BYTES_MAX];
	real_text(value, text);
	fputs(text, out);
}

static void print_INTS(FILE *out, Ints ints)
{
	for (int32_t i = 0; i < ints.count; i++)
		fprintf(out, "%c%lld", i ? ',' : '[', (long long)ints.at[i]);
	fputs(ints.count ? "]" : "[]", out);
}

/* Prints dims as in a type. */
static void print_DIMS(FILE *out, Dims dims)
{
	Type type = {.dtype = DT_F32, .rank = dims.count};
	char text[128];
	memcpy(type.dim, dims.at, sizeof type.dim);
	const char *bracket = strchr(type_print(&type, text), '[');
	fputs(bracket ? bracket : "[]", out);
}

static void print_PACK(FILE *out, Pack pack) { fputs(enum_pack_words[pack], out); }
static void print_ACT(FILE *out, Act act) { fputs(enum_act_words[act], out); }
static void print_POOL(FILE *out, Pool pool) { fputs(enum_pool_words[pool], out); }

static void print_attrs(FILE *out, const Attrs *attr)
{
	const char *before = " {";
#define ATTR(name, KIND, doc) \
	if (attr->has & A_##name) { \
		fprintf(out, "%s" #name "=", before); \
		print_##KIND(out, attr->name); \
		before = " "; \
	}
#include "ir/attrs.def"
#undef ATTR
	if (attr->has)
		fputc('}', out);
}

/* ---- constants ------------------------------------------------------------------------------- */
bool tensor_is_loose(const Tensor *tensor)
{
	return !tensor->file && !tensor->form && type_count(&tensor->type) > INLINE_MAX;
}

bool module_has_loose_constants(const Module *module)
{
	for (int32_t g = 0; g < module->ngraphs; g++)
		for (const Node *node = module->graphs[g]->first; node; node = node->next)
			if (node->op == OP_CONST && tensor_is_loose(node->data))
				return true;
	return false;
}

static void print_elements(FILE *out, const Tensor *tensor)
{
	int64_t count = type_count(&tensor->type);
	fputc('[', out);
	for (int64_t i = 0; i < count; i++) {
		char text[NUMBER_BYTES_MAX];
		element_text(tensor->data, tensor->type.dtype, i, text);
		fprintf(out, "%s%s", i ? ", " : "", text);
	}
	fputc(']', out);
}

static void print_const(const Printer *printer, const Tensor *tensor)
{
	const char *placed = plan_name(printer->plan, tensor);
	fputc(' ', printer->out);
	if (tensor->file)
		print_symbol(printer->out, tensor->name);
	else if (tensor->form)
		fputs(tensor->form, printer->out);
	else if (placed)
		print_symbol(printer->out, placed);
	else if (printer->elide && tensor_is_loose(tensor))
		fputs("elided", printer->out);
	else
		print_elements(printer->out, tensor);
}

/* ---- graphs ---------------------------------------------------------------------------------- */
/* Origins are labels for people: control bytes become '?', and blanks at both ends are removed. */
static void print_origin(FILE *out, const char *origin)
{
	size_t bytes = strlen(origin);
	while (bytes > 0 && strchr(" \t\r\n", origin[bytes - 1]))
		bytes--;
	size_t start = 0;
	while (start < bytes && strchr(" \t\r\n", origin[start]))
		start++;
	if (start == bytes)
		return;
	fputs("  # ", out);
	for (size_t i = start; i < bytes; i++)
		fputc((unsigned char)origin[i] < 0x20 ? '?' : origin[i], out);
}

static void print_node(const Printer *printer, const Node *node)
{
	FILE *out = printer->out;
	fputs("  ", out);
	for (int32_t i = 0; i < node->nresults; i++) {
		fputs(i ? ", " : "", out);
		print_value(out, node->results[i]);
	}
	fprintf(out, " = %s", op_info[node->op].name);
	if (node->op == OP_CONST)
		print_const(printer, node->data);
	for (int32_t i = 0; i < node->nargs; i++) {
		fputs(i ? ", " : " ", out);
		print_value(out, node->args[i]);
	}
	print_attrs(out, &node->attr);
	for (int32_t i = 0; i < node->nresults; i++) {
		fputs(i ? ", " : " : ", out);
		print_type(out, &node->results[i]->type);
	}
	if (node->origin)
		print_origin(out, node->origin);
	fputc('\n', out);
}

static void print_graph(const Printer *printer, const Graph *graph)
{
	FILE *out = printer->out;
	fputs("\ngraph ", out);
	print_symbol(out, graph->name);
	fputc('(', out);
	for (int32_t i = 0; i < graph->ninputs; i++) {
		fputs(i ? ", " : "", out);
		print_value(out, graph->inputs[i]);
		fputs(": ", out);
		print_type(out, &graph->inputs[i]->type);
	}
	fprintf(out, ") level=%s", level_name(graph->level));
	if (graph->arena.planned) {
		const char *before = " arena{";
#define FIELD(name) fprintf(out, "%s" #name "=%lld", before, (long long)graph->arena.name), before = " ";
		ARENA_FIELDS(FIELD)
#undef FIELD
		(void)before;
		fputc('}', out);
	}
	fputs(" {\n", out);
	for (const Node *node = graph->first; node; node = node->next)
		print_node(printer, node);
	for (int32_t i = 0; i < graph->noutputs; i++) {
		fputs(i ? ", " : "  return ", out);
		print_name(out, graph->outputs[i].name, name_is_word(graph->outputs[i].name));
		fputc('=', out);
		print_value(out, graph->outputs[i].value);
	}
	fputs(graph->noutputs ? "\n}\n" : "  return\n}\n", out);
}

/* ---- modules --------------------------------------------------------------------------------- */
static void quote_after(FILE *out, const char *before, const char *text)
{
	fputs(before, out);
	print_quoted(out, text);
}

static void print_head(FILE *out, const Head *head)
{
	fputs("head ", out);
	print_symbol(out, head->name);
	fprintf(out, " %s %s output=", task_names[head->task], problem_names[head->problem]);
	print_name(out, head->output, name_is_word(head->output));
	for (int32_t i = 0; i < head->nlabels; i++)
		quote_after(out, i ? ", " : " labels=[", head->labels[i]);
	fputs(head->nlabels ? "]\n" : "\n", out);
}

static void print_module_line(const Printer *printer, const Module *module)
{
	FILE *out = printer->out;
	fputs("module ", out);
	print_symbol(out, module->name ? module->name : "model");
	int32_t count = 0;
	MemArena *mem = mem_new();
	const char **files = module_weights(module, mem, &count);
	for (int32_t i = 0; i < count; i++)
		quote_after(out, i ? ", " : " weights ", files[i]);
	mem_free(mem);
	if (printer->plan->file)
		quote_after(out, count ? ", " : " weights ", printer->plan->file);
	if (module->tokenizer)
		quote_after(out, " tokenizer ", module->tokenizer);
	if (module->max_tokens)
		fprintf(out, " max_tokens %d", module->max_tokens);
	fputc('\n', out);
}

void module_print_plan(const Module *module, FILE *out, const PrintPlan *plan)
{
	Printer printer = {.out = out, .plan = plan, .elide = plan->options && plan->options->elide_constants};
	print_module_line(&printer, module);
	for (int32_t i = 0; i < module->nmeta; i++) {
		quote_after(out, "meta ", module->meta[i].key);
		quote_after(out, " ", module->meta[i].value);
		fputc('\n', out);
	}
	for (int32_t i = 0; i < module->noptions; i++) {
		fputs("option ", out);
		print_symbol(out, module->options[i].name);
		fputs(" : f32 = ", out);
		print_REAL(out, module->options[i].value);
		fputc('\n', out);
	}
	for (int32_t i = 0; i < module->nheads; i++)
		print_head(out, &module->heads[i]);
	for (int32_t i = 0; i < module->ngraphs; i++)
		print_graph(&printer, module->graphs[i]);
}

void module_print(const Module *module, FILE *out, const PrintOptions *options)
{
	module_print_plan(module, out, &(PrintPlan){.options = options});
}

char *module_text(const Module *module, const PrintOptions *options)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = text_open(&text, &bytes);
	module_print(module, out, options);
	text_close(out);
	return text;
}
