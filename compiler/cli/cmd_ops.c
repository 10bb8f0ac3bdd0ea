/* cmd_ops.c: `bertc ops` prints ir/ops.def and ir/attrs.def in 80 columns. */
#include <string.h>
#include "bertc.h"

static const char *const attr_names[AI_COUNT] = {
#define ATTR(name, KIND, doc) [AI_##name] = #name,
#include "ir/attrs.def"
#undef ATTR
};
static const char *const attr_docs[AI_COUNT] = {
#define ATTR(name, KIND, doc) [AI_##name] = doc,
#include "ir/attrs.def"
#undef ATTR
};

/* Required attributes plain, optional ones with a question mark; those that lowering adds to every op are
 * left out. */
static void attrs_text(const OpInfo *info, char *text, size_t bytes)
{
	const uint32_t lowering = A_CHAINED;
	*text = 0;
	for (int i = 0; i < AI_COUNT; i++) {
		uint32_t bit = (uint32_t)1 << i;
		if (((info->required | info->optional) & ~lowering & bit)
			&& strlen(text) + strlen(attr_names[i]) + 3 < bytes)
			snprintf(text + strlen(text), bytes - strlen(text), "%s%s%s", *text ? " " : "", attr_names[i],
				info->required & bit ? "" : "?");
	}
}

static void print_ops(void)
{
	static const char *const domains[] = {
		[DOMAIN_NONE] = "-", [DOMAIN_ROWS] = "rows", [DOMAIN_TEXT] = "text"};
	printf("%-20s%-7s%-8s%-6s%s\n      %s\n", "op", "level", "domain", "args", "attributes", "meaning");
	for (int i = 0; i < OP_COUNT; i++) {
		const OpInfo *info = &op_info[i];
		char attrs[128], args[16];
		attrs_text(info, attrs, sizeof attrs);
		if (info->least_args == info->most_args)
			snprintf(args, sizeof args, "%d", info->least_args);
		else
			snprintf(args, sizeof args, "%d-%d", info->least_args, info->most_args);
		int at = printf("%-20s%s%s%s    %-8s", info->name, info->levels & LEVEL_GRAPH ? "G" : "-",
			info->levels & LEVEL_FUSED ? "F" : "-", info->levels & LEVEL_LOWERED ? "L" : "-",
			domains[info->domain]);
		at += printf(*attrs ? "%-6s" : "%s", args);
		print_wrapped(at, at, attrs);
		printf("%6s", "");
		print_wrapped(6, 6, info->meaning);
	}
}

int cmd_ops(int argc, char **argv)
{
	static const Usage usage = {.plain = true,
		.doc = "List the ops of the IR and their attributes.\v"
			   "Level: G - in imported graphs, F - after fusion, L - in lowered code. Domain: rows - each "
			   "row of the result depends only on the same row of the arguments; text - the op works on one "
			   "text at a time. In the meanings, a, b, c, ... are the arguments. Attributes with ? are "
			   "optional. Lowering adds kernel and offset to every op."};
	command_parse(&usage, argc, argv, NULL);
	print_ops();
	puts("\nattributes");
	for (int i = 0; i < AI_COUNT; i++)
		print_entry(attr_names[i], 14, attr_docs[i]);
	return EXIT_DONE;
}
