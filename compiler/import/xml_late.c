/* import/xml_late.c: <late> of model.xml: limits of queries and documents, what fills queries up, and the
 * tokens without rows. The schema has checked its form. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <libxml/tree.h>
#include "import.h"

/* Copies the value of an attribute; NULL: there is none. */
static const char *attribute(const ModelDesc *desc, xmlNodePtr node, const char *name)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
	const char *copy = value ? mem_string(desc->mem, (const char *)value, strlen((const char *)value)) : NULL;
	xmlFree(value);
	return copy;
}

/* The schema allows numbers from 1 to INT32_MAX. */
static int32_t number(const ModelDesc *desc, xmlNodePtr node, const char *name)
{
	const char *text = attribute(desc, node, name);
	return text ? (int32_t)strtol(text, NULL, 10) : 0;
}

static bool is_true(const ModelDesc *desc, xmlNodePtr node, const char *name)
{
	const char *text = attribute(desc, node, name);
	return text && strcmp(text, "true") == 0;
}

static bool read_tasks(ModelDesc *desc, xmlNodePtr node, const char *name, bool *is, Diag *diag)
{
	const char *text = attribute(desc, node, name);
	char *rest, *list = text ? mem_string(desc->mem, text, strlen(text)) : NULL;
	for (char *word = list ? strtok_r(list, " \t\n", &rest) : NULL; word;
		word = strtok_r(NULL, " \t\n", &rest)) {
		const bool query = strcmp(word, "query") == 0;
		if (!query && strcmp(word, "document") != 0)
			return diag_error_in(diag, EXIT_INPUT, desc->path, node->line,
				"%s has \"%.80s\", expected query, document or both", name, word);
		is[query ? LATE_QUERY : LATE_DOCUMENT] = true;
	}
	is[LATE_PLAIN] = is[LATE_DOCUMENT];
	return true;
}

bool late_from_xml(ModelDesc *desc, xmlNodePtr node, Diag *diag)
{
	LateDesc *late = mem_alloc(desc->mem, sizeof *late);
	desc->late = late;
	*late = (LateDesc){.limit = {number(desc, node, "limit"), number(desc, node, "query-limit"),
						   number(desc, node, "document-limit")},
		.fill = number(desc, node, "fill"),
		.token = attribute(desc, node, "fill-token"),
		.attends = is_true(desc, node, "attends"),
		.mean = is_true(desc, node, "mean"),
		.protect = number(desc, node, "cluster-protect"),
		.unit = is_true(desc, node, "cluster-unit"),
		.prefix[LATE_QUERY] = attribute(desc, node, "query-prefix"),
		.prefix[LATE_DOCUMENT] = attribute(desc, node, "document-prefix")};
	if (late->token && !text_is_clean(late->token))
		return diag_error_in(diag, EXIT_INPUT, desc->path, node->line,
			"fill-token: expected 1 to %d bytes without control characters", NAME_BYTES_MAX);
	for (xmlNodePtr at = node->children; at; at = at->next) {
		if (at->type != XML_ELEMENT_NODE)
			continue;
		xmlChar *word = xmlNodeGetContent(at);
		const bool good = description_add_skip(desc, word ? (const char *)word : "", diag);
		xmlFree(word);
		if (!good)
			return false;
	}
	const char *factor = attribute(desc, node, "cluster-factor");
	late->factor = factor ? strtod(factor, NULL) : 0;
	if (factor && !(late->factor >= 1 && late->factor < 1e9))
		return diag_error_in(diag, EXIT_INPUT, desc->path, node->line,
			"cluster-factor is %s, expected a number from 1", factor);
	return read_tasks(desc, node, "skip-tasks", late->skips, diag)
		&& read_tasks(desc, node, "cluster-tasks", late->clusters, diag);
}
