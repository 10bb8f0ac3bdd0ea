/* cmd_targets.c: `bertc targets` prints codegen/targets.def. */
#include "bertc.h"

int cmd_targets(int argc, char **argv)
{
	static const Usage usage = {.plain = true,
		.doc = "List targets, their CPUs, and the instruction sets that bertc's kernels use on each. "
			   "(native): "
			   "the CPU of --cpu=native on this machine. (baseline): code for every CPU of the target."};
	command_parse(&usage, argc, argv, NULL);
	targets_print(stdout);
	return EXIT_DONE;
}
