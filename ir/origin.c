/* origin.c: parses origins. An origin is a text that names the part of the model that an op came from:
 *
 *   stsb/layer.3.attention.query     task stsb, layer 3, PART_ATTENTION_QUERY
 *   head.sentiment                   no layer, PART_HEAD
 *   layer.3.anything                 layer 3, PART_OTHER
 *
 * Any text is allowed and kept as it is. Text that does not match is PART_OTHER, without a layer. */
#include <stdlib.h>
#include <string.h>
#include "ir.h"

typedef enum Scope { SCOPE_LAYER, SCOPE_MODEL, SCOPE_NAMED } Scope;
static const struct {
	const char *text;
	Scope scope;
} parts[PART_COUNT] = {
	[PART_OTHER] = {"", SCOPE_MODEL},
#define PART(NAME, text, scope) [PART_##NAME] = {text, SCOPE_##scope},
#include "parts.def"
#undef PART
};

/* Returns N of "layer.N.PART" and sets *part; -1: the text does not begin with "layer.N.". */
static int32_t read_layer(const char *text, const char **part)
{
	static const char stem[] = "layer.";
	enum { DIGITS_MAX = 6 };
	if (strncmp(text, stem, sizeof stem - 1) != 0)
		return -1;
	const char *digits = text + sizeof stem - 1;
	const size_t count = strspn(digits, "0123456789");
	if (count == 0 || count > DIGITS_MAX || digits[count] != '.')
		return -1;
	*part = digits + count + 1;
	return (int32_t)strtol(digits, NULL, 10);
}

/* Whether the text (after "layer.N.", if there is one) names the part. */
static bool part_is(ModelPart part, const char *text, bool in_layer)
{
	const size_t bytes = strlen(parts[part].text);
	if (in_layer != (parts[part].scope == SCOPE_LAYER) || strncmp(text, parts[part].text, bytes) != 0)
		return false;
	return text[bytes] == '\0' || (text[bytes] == '.' && parts[part].scope == SCOPE_NAMED);
}

/* origin_parse for a text without a task. */
static Origin origin_plain(const char *text)
{
	Origin place = {.text = text};
	place.layer = read_layer(text, &place.text);
	for (ModelPart part = PART_OTHER + 1; part < PART_COUNT && !place.part; part++)
		if (part_is(part, place.text, place.layer >= 0))
			place.part = part;
	return place;
}

Origin origin_parse(const char *origin)
{
	const char *slash = origin ? strchr(origin, '/') : NULL;
	if (slash && slash > origin) { /* a task only if the text after the slash names a known part */
		Origin place = origin_plain(slash + 1);
		place.task_bytes = (int32_t)(slash - origin);
		if (place.layer >= 0 || place.part)
			return place;
	}
	return origin_plain(origin ? origin : "");
}

void node_set_origin(Graph *graph, Node *node, const char *origin)
{
	node->origin = origin ? mem_string(graph->module->mem, origin, strlen(origin)) : NULL;
	node->place = origin_parse(node->origin);
}

const char *origin_in_layer(Graph *graph, int32_t layer, ModelPart part)
{
	return mem_printf(graph->module->mem, "layer.%d.%s", layer, parts[part].text);
}

int32_t node_layer(const Node *node)
{
	return node->op == OP_CONST || node->place.task_bytes ? -1 : node->place.layer;
}
