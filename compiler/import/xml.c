/* import/xml.c: model.xml -> ModelDesc. libxml2 parses the file, the RELAX NG schema in model.rng checks its
 * form, and this file copies words and numbers. A document type declaration is refused where it begins, so
 * that no entity is expanded and nothing is fetched. import/xml_graph.c reads the second form, <graph>. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include "import.h"
#include "compiler/families/families.h"
#include "compiler/support/files.h"

const char *schema_file(const char *name, size_t *bytes); /* the build makes it from model.rng */

/* libxml2 2.9 validates 2^18 ops in 3 s. Its time grows with the square of the number of labels of a head: 1
 * s for 2^15. */
enum { XML_BYTES_MAX = 64 << 20, XML_ELEMENTS_MAX = 1 << 18, XML_LABELS_MAX = 1 << 15, XML_MESSAGE_MAX = 10 };

/* ---- libxml2's messages, each on one line ---------------------------------------------------- */

typedef struct XmlErrors {
	const char *path;
	Diag *diag;
	int count;
} XmlErrors;

static void xml_complain(XmlErrors *errors, const xmlError *error, const char *what)
{
	char text[512];
	snprintf(text, sizeof text, "%s", error && error->message ? error->message : "cannot be read");
	text[strcspn(text, "\r\n")] = '\0';
	if (errors->count++ < XML_MESSAGE_MAX)
		diag_error_in(errors->diag, EXIT_INPUT, errors->path, error ? error->line : 0, "%s: %s", what, text);
}

static void schema_complain(void *data, xmlErrorPtr error)
{
	xml_complain(data, error, "does not follow the schema");
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* Called after `<!DOCTYPE`. Stops before any entity is declared. */
static void refuse_doctype(void *context, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	xmlParserCtxtPtr parser = context;
	(void)name, (void)external, (void)system;
	*(bool *)parser->_private = true;
	xmlStopParser(parser);
}

static xmlDocPtr parse_document(const char *text, size_t bytes, const char *path, Diag *diag)
{
	bool has_doctype = false;
	xmlParserCtxtPtr parser = xmlNewParserCtxt();
	if (!parser)
		out_of_memory(0);
	parser->_private = &has_doctype;
	parser->sax->internalSubset = refuse_doctype;
	xmlDocPtr document = xmlCtxtReadMemory(parser, text, (int)bytes, NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES | XML_PARSE_NOCDATA);
	if (has_doctype) {
		diag_error_in(diag, EXIT_INPUT, path, 0,
			"has a document type declaration (<!DOCTYPE>), which is not allowed; remove it");
		xmlFreeDoc(document);
		document = NULL;
	} else if (!document) {
		XmlErrors errors = {path, diag, 0};
		xml_complain(&errors, xmlCtxtGetLastError(parser), "is not well-formed XML");
	}
	xmlFreeParserCtxt(parser);
	return document;
}

/* Refuses too many elements. Walks the tree without recursion. */
static bool check_size(xmlDocPtr document, const char *path, Diag *diag)
{
	int elements = 0, labels = 0;
	xmlNodePtr node = xmlDocGetRootElement(document);
	while (node) {
		if (node->type == XML_ELEMENT_NODE) {
			elements++;
			labels += strcmp((const char *)node->name, "label") == 0;
		}
		xmlNodePtr next = node->children && node->type == XML_ELEMENT_NODE ? node->children : node->next;
		for (; !next && node->parent && node->parent->type == XML_ELEMENT_NODE; node = node->parent)
			next = node->parent->next;
		node = next;
	}
	if (elements > XML_ELEMENTS_MAX)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0, "has more than %d elements", XML_ELEMENTS_MAX);
	if (labels > XML_LABELS_MAX)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"has more than %d label elements; put labels without blanks into the attribute labels of a head",
			XML_LABELS_MAX);
	return true;
}

static bool check_schema(xmlDocPtr document, const char *path, Diag *diag)
{
	size_t bytes;
	const char *text = schema_file("model.rng", &bytes);
	XmlErrors errors = {path, diag, 0};
	xmlRelaxNGParserCtxtPtr parser = xmlRelaxNGNewMemParserCtxt(text, (int)bytes);
	xmlRelaxNGPtr schema = parser ? xmlRelaxNGParse(parser) : NULL;
	xmlRelaxNGValidCtxtPtr valid = schema ? xmlRelaxNGNewValidCtxt(schema) : NULL;
	int status = -1;
	if (valid) {
		xmlRelaxNGSetValidStructuredErrors(valid, schema_complain, &errors);
		status = xmlRelaxNGValidateDoc(valid, document);
	}
	if (status != 0 && errors.count == 0)
		diag_error_in(
			diag, EXIT_INPUT, path, 0, "does not follow the schema of model descriptions (model.rng)");
	xmlRelaxNGFreeValidCtxt(valid);
	xmlRelaxNGFree(schema);
	xmlRelaxNGFreeParserCtxt(parser);
	return status == 0;
}

/* ---- attributes and elements; the schema has checked their form ------------------------------ */

static const char *attr_text(const ModelDesc *desc, xmlNodePtr node, const char *name)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
	const char *copy = value ? mem_string(desc->mem, (const char *)value, strlen((const char *)value)) : NULL;
	xmlFree(value);
	return copy;
}

static const char *node_text(const ModelDesc *desc, xmlNodePtr node)
{
	xmlChar *value = xmlNodeGetContent(node);
	const char *copy = value ? mem_string(desc->mem, (const char *)value, strlen((const char *)value)) : "";
	xmlFree(value);
	return copy;
}

static bool is_element(xmlNodePtr node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNodePtr child(xmlNodePtr node, const char *name)
{
	for (node = node->children; node && !is_element(node, name);)
		node = node->next;
	return node;
}

static const char *child_href(const ModelDesc *desc, xmlNodePtr model, const char *name)
{
	xmlNodePtr node = child(model, name);
	return node ? attr_text(desc, node, "href") : NULL;
}

typedef struct XmlReader {
	ModelDesc *desc;
	const LoadOptions *options;
	Diag *diag;
} XmlReader;

static bool read_size(XmlReader *r, xmlNodePtr node, const char *name, int32_t most, int32_t *out)
{
	const char *text = attr_text(r->desc, node, name);
	long value = text ? strtol(text, NULL, 10) : *out;
	if (value > most)
		return diag_error_in(r->diag, EXIT_INPUT, r->desc->path, node->line, "%s is %s, expected at most %d",
			name, text, most);
	*out = (int32_t)value;
	return true;
}

static bool attr_is_true(XmlReader *r, xmlNodePtr node, const char *name)
{
	return strcmp(attr_text(r->desc, node, name) ? attr_text(r->desc, node, name) : "", "true") == 0;
}

/* ---- <encoder> ------------------------------------------------------------------------------- */

static bool read_family(XmlReader *r, xmlNodePtr node)
{
	const char *name = attr_text(r->desc, node, "family");
	r->desc->family = family_find(name);
	return r->desc->family
		|| diag_error_in(r->diag, EXIT_UNSUPPORTED, r->desc->path, node->line,
			"family \"%s\" is not supported; known: %s", name, family_list(r->desc->mem));
}

/* Sets those of the words that an attribute lists. allowed: a bit for each that the family may have. */
static bool read_words(XmlReader *r, xmlNodePtr node, const char *name, const char *const *words, int count,
	uint32_t allowed, bool *set)
{
	char *rest, *list = (char *)(uintptr_t)attr_text(r->desc, node, name);
	const char *known = "";
	for (int i = 0; i < count; i++)
		if (allowed & 1u << i)
			known = mem_printf(r->desc->mem, "%s%s%s", known, *known ? ", " : "", words[i]);
	for (char *word = list ? strtok_r(list, " \t\n", &rest) : NULL; word;
		word = strtok_r(NULL, " \t\n", &rest)) {
		const int at = word_index(word, words, count);
		if (at < 0 || !(allowed & 1u << at))
			return diag_error_in(r->diag, EXIT_INPUT, r->desc->path, node->line,
				"%s has \"%s\"; the family %s allows %s", name, word, r->desc->family->model_type,
				*known ? known : "none");
		set[at] = true;
	}
	return true;
}

/* The parts without biases, and what else the model has. */
static bool read_parts(XmlReader *r, xmlNodePtr node)
{
	const Family *family = r->desc->family;
	uint32_t lacks = 0;
	for (int i = 0; i < BIAS_COUNT; i++)
		if (family->bias[i].key || family->bias[i].none)
			lacks |= 1u << i;
	return read_words(r, node, "unbiased", bias_words, BIAS_COUNT, lacks, r->desc->unbiased)
		&& read_words(r, node, "traits", trait_words, TRAIT_COUNT, family->traits, r->desc->trait);
}

/* A number above 0. */
static bool read_positive(XmlReader *r, xmlNodePtr node, const char *name, double *value)
{
	const char *text = attr_text(r->desc, node, name);
	*value = text ? strtod(text, NULL) : *value;
	return (*value > 0 && *value < 1e30)
		|| diag_error_in(r->diag, EXIT_INPUT, r->desc->path, node->line,
			text ? "%s is %s, expected a number above 0" : "the encoder has no %s%.0s; its family needs it",
			name, text);
}

/* The layers of "1,2,4". Layers that the description leaves out do not count. */
static bool read_local(XmlReader *r, xmlNodePtr node, const char *list)
{
	ModelDesc *desc = r->desc;
	desc->local = mem_alloc(desc->mem, (size_t)desc->layers * sizeof *desc->local);
	for (const char *at = list; *at;) {
		char *end;
		const long layer = strtol(at, &end, 10);
		if (end == at || layer < 0 || layer >= MOST_LAYERS || (*end && *end != ','))
			return diag_error_in(r->diag, EXIT_INPUT, desc->path, node->line,
				"local-layers is \"%.60s\", expected numbers of layers, as in \"1,2,4\"", list);
		if (layer < desc->layers)
			desc->local[layer] = true;
		at = end + (*end == ',');
	}
	return true;
}

/* Refuses attributes that the family would not read. */
static bool refuse_foreign(XmlReader *r, xmlNodePtr node)
{
	const Family *family = r->desc->family;
	const bool rotary = family->rotary > 0, local = family->size[SIZE_WINDOW].key;
	const struct {
		const char *name;
		bool known;
	} attributes[] = {{"head-activation", family->head_activation.key},
		{"conv-activation", r->desc->conv > 0}, {"rotary-theta", rotary}, {"rotary-factor", rotary},
		{"local-layers", local}, {"local-rotary-theta", local && attr_text(r->desc, node, "local-layers")},
		{"local-rotary-factor", local && attr_text(r->desc, node, "local-layers")}};
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
		if (!attributes[i].known && attr_text(r->desc, node, attributes[i].name))
			return diag_error_in(r->diag, EXIT_INPUT, r->desc->path, node->line,
				"the family %s does not use %s here; leave it out", family->model_type, attributes[i].name);
	return true;
}

static bool read_rotary(XmlReader *r, xmlNodePtr node)
{
	ModelDesc *desc = r->desc;
	const char *list = attr_text(desc, node, "local-layers");
	if (!(desc->family->rotary > 0))
		return true;
	desc->rotary.factor = 1;
	desc->local_rotary = desc->rotary;
	if (!read_positive(r, node, "rotary-theta", &desc->rotary.theta)
		|| !read_positive(r, node, "rotary-factor", &desc->rotary.factor))
		return false;
	return !list
		|| (read_local(r, node, list)
			&& read_positive(r, node, "local-rotary-theta", &desc->local_rotary.theta)
			&& read_positive(r, node, "local-rotary-factor", &desc->local_rotary.factor));
}

static bool read_encoder(XmlReader *r, xmlNodePtr node)
{
	static const struct {
		const char *name;
		int32_t most;
	} sizes[SIZE_COUNT] = {
#define SIZE(NAME, field, least, most, about) {#field, MOST_##NAME},
#include "compiler/model/sizes.def"
#undef SIZE
	};
	ModelDesc *desc = r->desc;
	if (!read_family(r, node))
		return false;
	for (int i = 0; i < SIZE_COUNT; i++) {
		const FamilySize *size = &desc->family->size[i];
		const bool given = attr_text(desc, node, sizes[i].name) != NULL;
		if (given && !size->key)
			return diag_error_in(r->diag, EXIT_INPUT, desc->path, node->line,
				"the family %s has no size %s; leave it out", desc->family->model_type, sizes[i].name);
		if (!given && size->key && i != SIZE_VOCAB) /* default of vocab: the rows of the word table */
			return diag_error_in(r->diag, EXIT_INPUT, desc->path, node->line,
				"the encoder has no %s; the family %s needs it", sizes[i].name, desc->family->model_type);
		desc->size[i] = size->key ? 0 : size->fallback;
		if (!read_size(r, node, sizes[i].name, sizes[i].most, &desc->size[i]))
			return false;
	}
	desc->untied = attr_text(desc, node, "tied") && !attr_is_true(r, node, "tied");
	desc->activation = attr_text(desc, node, "activation");
	if (desc->family->head_activation.key)
		desc->head_activation = attr_text(desc, node, "head-activation");
	desc->conv_activation = attr_text(desc, node, "conv-activation");
	desc->eps = strtod(attr_text(desc, node, "eps"), NULL);
	return refuse_foreign(r, node) && read_parts(r, node) && read_rotary(r, node);
}

/* ---- <head> ---------------------------------------------------------------------------------- */

static bool read_labels(XmlReader *r, xmlNodePtr node, int32_t *count, const char ***labels)
{
	MemArena *mem = r->desc->mem;
	const char *words = attr_text(r->desc, node, "labels");
	if (words && child(node, "label"))
		return diag_error_in(r->diag, EXIT_INPUT, r->desc->path, node->line,
			"the head has labels in its attribute and in elements; use one of them");
	size_t room = words ? strlen(words) / 2 + 1 : 0;
	for (xmlNodePtr label = node->children; label; label = label->next)
		room += is_element(label, "label");
	if (room > LABELS_MAX)
		return diag_error_in(
			r->diag, EXIT_INPUT, r->desc->path, node->line, "more than %d labels", LABELS_MAX);
	*count = 0;
	*labels = mem_alloc(mem, (room + 1) * sizeof **labels);
	char *rest, *list = words ? mem_string(mem, words, strlen(words)) : NULL, *word;
	for (word = list ? strtok_r(list, " \t\n", &rest) : NULL; word; word = strtok_r(NULL, " \t\n", &rest))
		(*labels)[(*count)++] = word;
	for (xmlNodePtr label = node->children; label; label = label->next)
		if (is_element(label, "label"))
			(*labels)[(*count)++] = node_text(r->desc, label);
	for (int32_t i = 0; i < *count; i++)
		if (!text_is_clean((*labels)[i]))
			return diag_error_in(r->diag, EXIT_INPUT, r->desc->path, node->line,
				"label %d: expected 1 to %d bytes without control characters", i, NAME_BYTES_MAX);
	return true;
}

static bool read_modules(XmlReader *r, xmlNodePtr node, HeadDesc *head)
{
	for (xmlNodePtr at = node->children; at; at = at->next) {
		int kind = 0;
		while (kind < MODULE_COUNT && !is_element(at, module_words[kind]))
			kind++;
		if (kind == MODULE_COUNT)
			continue;
		if (head->nmodules == MODULES_MAX)
			return diag_error_in(
				r->diag, EXIT_UNSUPPORTED, r->desc->path, at->line, "more than %d modules", MODULES_MAX);
		head->module[head->nmodules++] = (struct ModuleDesc){(ModuleKind)kind,
			attr_is_true(r, at, "each-token") || kind >= MODULE_WORD_WEIGHTS, attr_is_true(r, at, "residual"),
			attr_text(r->desc, at, "href"), attr_text(r->desc, at, "activation"),
			attr_is_true(r, at, "standardize"), 0, 0, 0};
	}
	return true;
}

static bool read_head(XmlReader *r, xmlNodePtr node)
{
	HeadDesc *head = description_add_head(
		r->desc, attr_text(r->desc, node, "name"), attr_text(r->desc, node, "task"), r->diag);
	if (!head || !read_labels(r, node, &head->nlabels, &head->labels))
		return false;
	head->problem = attr_text(r->desc, node, "problem");
	head->tensors = attr_text(r->desc, node, "tensors");
	head->pooling = attr_text(r->desc, node, "pooling");
	head->activation = attr_text(r->desc, node, "activation");
	head->normalize = attr_is_true(r, node, "normalize")
		|| (strcmp(head->task, "embed") == 0 && !attr_text(r->desc, node, "normalize"));
	if (!head->problem && head->nlabels == 1 && strcmp(head->task, "classify") == 0)
		head->problem = "regression";
	head->skips_prompt = attr_is_true(r, node, "skip-prompt");
	return read_size(r, node, "dim", INT32_MAX, &head->dim)
		&& read_size(r, node, "top", INT32_MAX, &head->top) && read_modules(r, node, head);
}

static bool read_prompt(XmlReader *r, xmlNodePtr node)
{
	const char *name = attr_text(r->desc, node, "name");
	if (attr_is_true(r, node, "default"))
		r->desc->default_prompt = name;
	return description_add_prompt(r->desc, name, attr_text(r->desc, node, "text"), r->diag);
}

/* Reads <merge>: the folders of tasks that share these weights (import/merge.c). */
static bool read_merges(XmlReader *r, xmlNodePtr model)
{
	ModelDesc *desc = r->desc;
	for (xmlNodePtr node = model->children; node; node = node->next) {
		if (!is_element(node, "merge"))
			continue;
		char *config = file_find_in(desc->directory, attr_text(desc, node, "href"), "config.json",
			r->options->search, desc->mem, r->diag);
		if (!config || desc->nmerges == HEADS_MAX)
			return config ? diag_error(r->diag, EXIT_INPUT, 0, "more than %d merge elements", HEADS_MAX)
						  : false;
		*strrchr(config, '/') = '\0';
		desc->merge[desc->nmerges++] = (struct MergeDesc){attr_text(desc, node, "name"), config};
	}
	return true;
}

/* ---- <model> --------------------------------------------------------------------------------- */

static bool read_model(XmlReader *r, xmlNodePtr model)
{
	ModelDesc *desc = r->desc;
	const char *name = attr_text(desc, model, "name");
	xmlNodePtr passes = child(model, "passes"), encoder = child(model, "encoder");
	if (name)
		desc->name = name_from_text(desc->mem, name);
	desc->weights = child_href(desc, model, "weights");
	desc->tokenizer = child_href(desc, model, "tokenizer");
	desc->lowercase = child(model, "tokenizer") && attr_is_true(r, child(model, "tokenizer"), "lowercase");
	desc->outputs = attr_text(desc, model, "outputs");
	desc->similarity = attr_text(desc, model, "similarity");
	desc->passes = passes ? node_text(desc, passes) : NULL;
	if (!read_size(r, model, "max-tokens", INT_MAX, &desc->max_tokens))
		return false;
	if (desc->max_tokens)
		desc->max_tokens_rule = "max-tokens of the description";
	if (child(model, "merge"))
		return read_merges(r, model);
	if (!encoder) {
		desc->is_graph = true;
		if (r->options->outputs)
			return diag_error(r->diag, EXIT_USAGE, 0,
				"--outputs is only for directories and encoders; a graph defines its outputs");
		if (r->options->max_tokens > 0
			&& (desc->max_tokens == 0 || r->options->max_tokens < desc->max_tokens))
			desc->max_tokens = r->options->max_tokens;
		desc->module = graph_from_xml(desc, model, r->options, r->diag);
		return desc->module != NULL;
	}
	if (!read_encoder(r, encoder))
		return false;
	for (xmlNodePtr node = model->children; node; node = node->next)
		if ((is_element(node, "head") && !read_head(r, node))
			|| (is_element(node, "prompt") && !read_prompt(r, node))
			|| (is_element(node, "late") && !late_from_xml(desc, node, r->diag)))
			return false;
	return description_check(desc, r->options, r->diag);
}

/* "a/b.xml" -> directory "a", name "b". */
static ModelDesc *new_description(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	const size_t length = slash == path ? 1 : (size_t)(base - path) - (slash != NULL); /* "/" stays "/" */
	char *directory = slash ? checked_strndup(path, length) : checked_strdup(".");
	char *stem = checked_strndup(base, strcspn(base, "."));
	ModelDesc *desc = description_new(path, directory);
	desc->name = name_from_text(desc->mem, stem);
	free(directory);
	free(stem);
	return desc;
}

static ModelDesc *description_from_xml(const char *path, const LoadOptions *options, Diag *diag)
{
	size_t bytes;
	char *text = file_read(path, XML_BYTES_MAX, &bytes, diag);
	if (!text)
		return NULL;
	xmlDocPtr document = parse_document(text, bytes, path, diag);
	free(text);
	if (!document)
		return NULL;
	ModelDesc *desc = new_description(path);
	XmlReader reader = {desc, options, diag};
	bool good = check_size(document, path, diag) && check_schema(document, path, diag)
		&& read_model(&reader, xmlDocGetRootElement(document));
	xmlFreeDoc(document);
	if (good)
		return desc;
	description_free(desc);
	return NULL;
}

bool import_xml_takes(const char *path) { return path_has_suffix(path, ".xml"); }

bool import_xml(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	loaded->desc = description_from_xml(options->model, options, diag);
	return loaded->desc != NULL;
}
