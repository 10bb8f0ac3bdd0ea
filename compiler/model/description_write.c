/* description_write.c: writes a ModelDesc as model.xml, for editing. import/xml.c reads it. */
#include <stdlib.h>
#include <string.h>
#include "family.h"

/* Writes text escaped for attributes and elements. */
static void write_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\t': fputs("&#9;", out); break;
		case '\n': fputs("&#10;", out); break;
		case '\r': fputs("&#13;", out); break;
		default: fputc(*text, out);
		}
}

static void write_attr(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fprintf(out, " %s=\"", name);
	write_escaped(out, value);
	fputc('"', out);
}

/* Writes the shortest spelling that reads back as the same number. */
static void write_real(FILE *out, const char *name, double value)
{
	char text[32];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	write_attr(out, name, text);
}

/* Writes those of the words that are set; nothing if none is. */
static void write_words(
	const ModelDesc *d, FILE *out, const char *name, const char *const *words, const bool *set, int count)
{
	const char *list = "";
	for (int i = 0; i < count; i++)
		if (set[i])
			list = mem_printf(d->mem, "%s%s%s", list, *list ? " " : "", words[i]);
	write_attr(out, name, *list ? list : NULL);
}

/* Writes the rotary positions, and the layers with local attention as "1,2,4,5". */
static void write_rotary(const ModelDesc *d, FILE *out)
{
	if (!d->family->rotary)
		return;
	write_real(out, "rotary-theta", d->rotary.theta);
	if (d->rotary.factor != 1)
		write_real(out, "rotary-factor", d->rotary.factor);
	if (!d->local)
		return;
	const char *list = "";
	for (int32_t i = 0; i < d->layers; i++)
		if (d->local[i])
			list = mem_printf(d->mem, "%s%s%d", list, *list ? "," : "", i);
	write_attr(out, "local-layers", list);
	write_real(out, "local-rotary-theta", d->local_rotary.theta);
	if (d->local_rotary.factor != 1)
		write_real(out, "local-rotary-factor", d->local_rotary.factor);
}

static void write_encoder(const ModelDesc *d, FILE *out)
{
	fputs("\n  <!-- With fewer layers, the first ones are used. The other sizes must match the weights. "
		  "-->\n",
		out);
	fputs("  <encoder", out);
	write_attr(out, "family", d->family->model_type);
#define SIZE(NAME, field, ...) \
	if (d->family->size[SIZE_##NAME].key) \
		fprintf(out, " " #field "=\"%d\"", d->field);
#include "sizes.def"
#undef SIZE
	fputs(d->untied ? " tied=\"false\"\n          " : "\n          ", out);
	write_attr(out, "activation", d->activation);
	write_attr(out, "head-activation", d->head_activation);
	write_attr(out, "conv-activation", d->conv_activation);
	write_real(out, "eps", d->eps);
	write_words(d, out, "unbiased", bias_words, d->unbiased, BIAS_COUNT);
	write_words(d, out, "traits", trait_words, d->trait, TRAIT_COUNT);
	write_rotary(d, out);
	fputs("/>\n", out);
}

/* Labels without blanks go into one attribute, which is read faster. */
static bool labels_fit_attribute(const HeadDesc *head)
{
	for (int32_t i = 0; i < head->nlabels; i++)
		if (strpbrk(head->labels[i], " \t\r\n"))
			return false;
	return head->nlabels > 1024;
}

static void write_labels(const HeadDesc *head, bool attribute, FILE *out)
{
	for (int32_t i = 0; i < head->nlabels; i++) {
		const char *between = i ? " " : " labels=\"";
		fputs(attribute ? between : "    <label>", out);
		write_escaped(out, head->labels[i]);
		fputs(attribute ? "" : "</label>\n", out);
	}
	fputs(attribute ? "\"" : "", out);
}

static void write_module(const struct ModuleDesc *module, FILE *out)
{
	fprintf(out, "    <%s", module_words[module->kind]);
	write_attr(out, "href", module->href);
	write_attr(out, "activation", module->activation);
	write_attr(out, "residual", module->residual ? "true" : NULL);
	write_attr(out, "each-token", module->each ? "true" : NULL);
	write_attr(out, "standardize", module->standard ? "true" : NULL);
	fputs("/>\n", out);
}

static void write_head(const HeadDesc *head, FILE *out)
{
	bool attribute = labels_fit_attribute(head);
	fputs("  <head", out);
	if (strcmp(head->name, head->task) != 0)
		write_attr(out, "name", head->name);
	write_attr(out, "task", head->task);
	write_attr(out, "problem", head->problem);
	write_attr(out, "tensors", head->tensors);
	write_attr(out, "pooling", head->pooling);
	write_attr(out, "activation", head->activation);
	if (strcmp(head->task, "embed") == 0)
		write_attr(out, "normalize", head->normalize ? "true" : "false");
	write_attr(out, "skip-prompt", head->skips_prompt ? "true" : NULL);
	if (head->dim)
		fprintf(out, " dim=\"%d\"", head->dim);
	if (head->top)
		fprintf(out, " top=\"%d\"", head->top);
	if (attribute)
		write_labels(head, true, out);
	if (!head->nmodules && (!head->nlabels || attribute)) {
		fputs("/>\n", out);
		return;
	}
	fputs(">\n", out);
	for (int32_t i = 0; i < head->nmodules; i++)
		write_module(&head->module[i], out);
	if (!attribute)
		write_labels(head, false, out);
	fputs("  </head>\n", out);
}

static void write_merges(const ModelDesc *desc, FILE *out)
{
	fputs("  <!-- tasks that share these weights: folders with a checkpoint, or with a delta.safetensors "
		  "that "
		  "changes them -->\n",
		out);
	for (int32_t i = 0; i < desc->nmerges; i++) {
		const char *directory = desc->merge[i].directory;
		size_t length = strlen(directory), start;
		while (length > 1 && directory[length - 1] == '/')
			length--;
		for (start = length; start > 0 && directory[start - 1] != '/'; start--)
			;
		fputs("  <merge", out);
		write_attr(out, "name", desc->merge[i].name);
		write_attr(out, "href", mem_string(desc->mem, directory + start, length - start));
		fputs("/>\n", out);
	}
	fputs("</model>\n", out);
}

static void write_prompt(const ModelDesc *desc, const struct PromptDesc *prompt, FILE *out)
{
	const bool usual = desc->default_prompt && strcmp(desc->default_prompt, prompt->name) == 0;
	fputs("  <prompt", out);
	write_attr(out, "name", prompt->name);
	write_attr(out, "default", usual ? "true" : NULL);
	write_attr(out, "text", prompt->text);
	fputs("/>\n", out);
}

static void write_number(FILE *out, const char *name, int32_t value)
{
	if (value)
		fprintf(out, " %s=\"%d\"", name, value);
}

static void write_tasks(FILE *out, const char *name, const bool *is)
{
	const char *document = is[LATE_DOCUMENT] ? "document" : NULL;
	write_attr(out, name, is[LATE_QUERY] && document ? "query document" : document);
	if (is[LATE_QUERY] && !document)
		write_attr(out, name, "query");
}

static void write_late(const LateDesc *late, FILE *out)
{
	fputs("  <!-- texts are queries (option prompt), documents or neither. fill: tokens of a query at least "
		  "-->\n"
		  "  <late",
		out);
	write_number(out, "limit", late->limit[LATE_PLAIN]);
	write_number(out, "query-limit", late->limit[LATE_QUERY]);
	write_number(out, "document-limit", late->limit[LATE_DOCUMENT]);
	write_number(out, "fill", late->fill);
	write_attr(out, "fill-token", late->token);
	write_attr(out, "query-prefix", late->prefix[LATE_QUERY]);
	write_attr(out, "document-prefix", late->prefix[LATE_DOCUMENT]);
	write_attr(out, "attends", late->attends ? "true" : NULL);
	write_attr(out, "mean", late->mean ? "true" : NULL);
	write_tasks(out, "skip-tasks", late->skips);
	if (late->factor > 0) {
		write_real(out, "cluster-factor", late->factor);
		write_number(out, "cluster-protect", late->protect);
		write_attr(out, "cluster-unit", late->unit ? "true" : NULL);
		write_tasks(out, "cluster-tasks", late->clusters);
	}
	fputs(late->nskip ? ">" : "/", out);
	for (int32_t i = 0; i < late->nskip; i++) {
		fputs("<skip>", out);
		write_escaped(out, late->skip[i]);
		fputs("</skip>", out);
	}
	fputs(late->nskip ? "</late>\n" : ">\n", out);
}

/* A comment must not hold "--". */
static void write_comment(const char *text, FILE *out)
{
	fputs("<!--", out);
	for (char before = '-'; *text; before = *text++) {
		if (*text == '-' && before == '-')
			fputc(' ', out);
		fputc(*text, out);
	}
	fputs("-->\n", out);
}

bool description_write(const ModelDesc *desc, const char *why, FILE *out)
{
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		  "<!-- A model for bertc. Edit it, then run `bertc build` on it. "
		  "Each href is a plain file name. bertc looks for it beside this file,\n"
		  "     then in the directories of the option search. -->\n",
		out);
	if (why)
		write_comment(why, out);
	fputs("<model xmlns=\"urn:bertc:model:1\"", out);
	write_attr(out, "name", desc->name);
	if (!desc->nmerges) { /* with several tasks, the smallest limit of the tasks applies */
		fprintf(out, " max-tokens=\"%d\"", desc->max_tokens);
		write_attr(out, "outputs", desc->outputs);
		write_attr(out, "similarity", desc->similarity);
	}
	fputs(">\n", out);
	if (desc->max_tokens_rule && !desc->nmerges)
		fprintf(out,
			"  <!-- max-tokens: from %s. outputs: further outputs beside the heads: hidden, pooled. -->\n",
			desc->max_tokens_rule);
	fputs("  <weights", out);
	write_attr(out, "href", desc->weights);
	fputs("/>\n", out);
	if (desc->tokenizer) {
		fputs("  <tokenizer", out);
		write_attr(out, "href", desc->tokenizer);
		write_attr(out, "lowercase", desc->lowercase ? "true" : NULL);
		fputs("/>\n", out);
	}
	for (int32_t i = 0; i < desc->nprompts; i++)
		write_prompt(desc, &desc->prompt[i], out);
	if (desc->late)
		write_late(desc->late, out);
	if (desc->nmerges) {
		write_merges(desc, out);
		return !ferror(out);
	}
	write_encoder(desc, out);
	fputs("\n  <!-- task: classify, tag, embed, rank, qa, fill-mask, choice, multi-vector or sparse. "
		  "tensors: the prefix of the head's tensors (classifier,\n"
		  "       qa_outputs, cls.predictions, ...). Several heads share the encoder. "
		  "Each then needs a name, which is the name of its output. -->\n",
		out);
	for (int32_t i = 0; i < desc->nheads; i++)
		write_head(&desc->head[i], out);
	if (desc->passes) {
		fputs("\n  <passes>", out);
		write_escaped(out, desc->passes);
		fputs("</passes>\n", out);
	}
	fputs("</model>\n", out);
	return !ferror(out);
}
