/* cmd_passes.c: `bertc passes` lists passes/passes.def; `bertc passes NAME` describes one pass. Lines fit a
 * terminal of 80 columns. */
#include <string.h>
#include "bertc.h"

enum { COLUMNS = 79 };

void print_wrapped(int at, int indent, const char *text)
{
	for (int space = 0; *text; text += space) {
		int piece = (int)strcspn(text, " ,|");
		piece += text[piece] == ',' || text[piece] == '|';
		if (at > indent && at + space + piece > COLUMNS) {
			printf("\n%*s", indent, "");
			at = indent;
			space = 0;
		}
		at += printf("%*s%.*s", space, "", piece, text);
		text += piece;
		space = *text == ' ';
	}
	putchar('\n');
}

void print_entry(const char *name, int indent, const char *text)
{
	const int at = printf("  %s", name);
	if (at + 2 > indent)
		printf("\n%*s", indent, "");
	else
		printf("%*s", indent - at, "");
	print_wrapped(indent, indent, text);
}

/* ---- the list -------------------------------------------------------------------------------- */

static void print_list(void)
{
	puts("Passes, in the usual order. * marks those that change results beyond rounding.\n"
		 "`bertc passes NAME` describes one pass.\n");
	for (int32_t i = 0; i < pass_count; i++) {
		char name[64];
		snprintf(name, sizeof name, "%s%s", pass_info[i].name, pass_info[i].flags & PASS_NUMBERS ? " *" : "");
		print_entry(name, 26, pass_info[i].doc);
	}
}

/* "after whittle, outputs: reason" */
static void print_phase(int32_t phase)
{
	char text[1024] = "";
	size_t bytes = 0;
	for (int32_t i = 0; i < pass_count; i++)
		if (pass_info[i].phase == phase)
			bytes += (size_t)snprintf(
				text + bytes, sizeof text - bytes, "%s%s", bytes ? ", " : "", pass_info[i].name);
	print_entry(phase_info[phase].name, 11, text);
	if (!phase_info[phase].earlier)
		return;
	const char *between = "after ";
	bytes = 0;
	for (int32_t i = 0; i < PHASE_COUNT; i++)
		if (phase_info[phase].earlier >> i & 1) {
			bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "%s%s", between, phase_info[i].name);
			between = ", ";
		}
	snprintf(text + bytes, sizeof text - bytes, ": %s", phase_info[phase].why);
	printf("%*s", 13, "");
	print_wrapped(13, 13, text);
}

static void print_order(void)
{
	puts("\nPhases, their passes, and the phases that must come before:");
	for (int32_t i = 0; i < PHASE_COUNT; i++)
		print_phase(i);
	puts("\nOrder of single passes:");
	for (int32_t i = 0; i < pass_order_count; i++) {
		printf("  %s before %s:\n%*s", pass_order[i].first, pass_order[i].second, 6, "");
		print_wrapped(6, 6, pass_order[i].why);
	}
	puts("\nLevels:");
	for (int level = 0; level <= 3; level++) {
		const int at = printf("  -O%d  ", level);
		print_wrapped(at, at, pipeline_preset(level));
	}
}

/* ---- one pass -------------------------------------------------------------------------------- */

/* "key=a|b|c", "key=N   1 to 100": the option and its values. */
static void print_values(const PassOptionInfo *option)
{
	char text[512];
	const char *const words = option->words ? option->words : "", *number = option->whole ? "N" : "X";
	FILE *out = fmemopen(text, sizeof text, "w");
	fprintf(out, "%s=%s%s", option->key, words, *words && option->text ? "|" : "");
	if (option->text)
		fputs(option->text, out);
	else if (!*words)
		fputs(number, out);
	if (option->whole && option->most >= INT32_MAX)
		fprintf(out, "   at least %.10g", option->least);
	else if (option->whole || option->number)
		fprintf(out, "   %.10g to %.10g", option->least, option->most);
	if (*option->fallback)
		fprintf(out, "   (default: %s)", option->fallback);
	fclose(out);
	printf("  ");
	print_wrapped(2, 6, text);
}

static void print_neighbours(int32_t pass)
{
	char before[1024] = "", after[1024] = "";
	for (int32_t i = 0; i < pass_count; i++) {
		char *to = pass_order_why(i, pass) ? after : before;
		if (i != pass && (pass_order_why(i, pass) || pass_order_why(pass, i)))
			snprintf(to + strlen(to), sizeof before - strlen(to), "%s%s", *to ? ", " : "", pass_info[i].name);
	}
	if (*after)
		print_entry("after", 11, after);
	if (*before)
		print_entry("before", 11, before);
}

static void print_pass(int32_t pass)
{
	const PassInfo *info = &pass_info[pass];
	int32_t count;
	const PassOptionInfo *options = pass_options(pass, &count);
	const int at = printf("%s: ", info->name);
	print_wrapped(at, 2, info->doc);
	puts(info->flags & PASS_NUMBERS ? "Changes results beyond rounding." : "Keeps the results.");
	if (count)
		puts("\nOptions:");
	for (int32_t i = 0; i < count; i++) {
		print_values(&options[i]);
		printf("%*s", 6, "");
		print_wrapped(6, 6, options[i].doc);
	}
	puts("\nOrder:");
	print_entry("phase", 11, phase_info[info->phase].name);
	print_neighbours(pass);
	printf("\nExample:\n  --passes='%s'\n", info->example);
	if (*info->paper) {
		printf("\nPaper:\n  ");
		print_wrapped(2, 2, info->paper);
	}
}

/* ---- the command ----------------------------------------------------------------------------- */

static void take_name(void *options, char *word, struct argp_state *state)
{
	int32_t *pass = options;
	if (*pass >= 0)
		argp_error(state, "one pass at a time: %s after %s", word, pass_info[*pass].name);
	*pass = pass_find(word);
	if (*pass < 0)
		argp_error(state, "there is no pass \"%s\"; `bertc passes` lists them", word);
}

int cmd_passes(int argc, char **argv)
{
	static const Usage usage = {.plain = true,
		.arguments = "[NAME]",
		.doc = "List the passes, their order and the -O levels. With NAME, describe this pass: its options "
			   "with ranges and defaults, its order, an example and the paper.",
		.word = take_name};
	int32_t pass = -1;
	command_parse(&usage, argc, argv, &pass);
	if (pass >= 0) {
		print_pass(pass);
		return EXIT_DONE;
	}
	print_list();
	print_order();
	return EXIT_DONE;
}
