/* cmd_passes.c: `bertc passes` prints passes/passes.def: passes, options, phases, order and presets. */
#include <string.h>
#include "bertc.h"

static int longest(int widest, const char *text)
{
	return (int)strlen(text) > widest ? (int)strlen(text) : widest;
}

static void print_passes(void)
{
	int name = 0, option = 0;
	for (int32_t i = 0; i < pass_count; i++) {
		name = longest(name, pass_info[i].name);
		option = longest(option, pass_info[i].options);
	}
	puts("Passes, in the usual order ({options} in braces):");
	for (int32_t i = 0; i < pass_count; i++) {
		const PassInfo *pass = &pass_info[i];
		printf("  %-*s  %s%s%s%*s  %s%s\n", name, pass->name, *pass->options ? "{" : " ", pass->options,
			*pass->options ? "}" : " ", option - (int)strlen(pass->options), "", pass->doc,
			pass->flags & PASS_NUMBERS ? " (changes numbers)" : "");
	}
}

static int phase_width(void)
{
	int width = 0;
	for (int32_t i = 0; i < PHASE_COUNT; i++)
		width = longest(width, phase_info[i].name);
	return width;
}

static void print_phase(int32_t phase)
{
	printf("  %-*s ", phase_width(), phase_info[phase].name);
	for (int32_t i = 0; i < pass_count; i++)
		if (pass_info[i].phase == phase)
			printf(" %s", pass_info[i].name);
	putchar('\n');
	if (!phase_info[phase].earlier)
		return;
	printf("  %-*s  after", phase_width(), "");
	for (int32_t i = 0; i < PHASE_COUNT; i++)
		if (phase_info[phase].earlier >> i & 1)
			printf(" %s", phase_info[i].name);
	printf(": %s\n", phase_info[phase].why);
}

static void print_order(void)
{
	int first = 0, second = 0;
	for (int32_t i = 0; i < pass_order_count; i++) {
		first = longest(first, pass_order[i].first);
		second = longest(second, pass_order[i].second);
	}
	puts("\nPhases, their passes, the phases that must come before, and why:");
	for (int32_t i = 0; i < PHASE_COUNT; i++)
		print_phase(i);
	puts("\nOrder of single passes, and why:");
	for (int32_t i = 0; i < pass_order_count; i++)
		printf("  %-*s  before  %-*s  %s\n", first, pass_order[i].first, second, pass_order[i].second,
			pass_order[i].why);
}

int cmd_passes(int argc, char **argv)
{
	static const Usage usage = {.plain = true,
		.doc = "List passes, their options, the order they must keep and the -O "
			   "levels."};
	command_parse(&usage, argc, argv, NULL);
	print_passes();
	print_order();
	puts("\nLevels:");
	for (int level = 0; level <= 3; level++)
		printf("  -O%d  %s\n", level, pipeline_preset(level));
	return EXIT_DONE;
}
