/* cmd_targets.c: `bertc targets` prints codegen/targets.def. */
#include "bertc.h"

int cmd_targets(int argc, char **argv)
{
	static const Usage usage = {.plain = true,
		.doc = "List targets and their CPUs with what bertc's kernels use of each. "
			   "(native) is what --cpu=native means on this machine; (baseline) runs on "
			   "every CPU of the"
			   " target."};
	command_parse(&usage, argc, argv, NULL);
	targets_print(stdout);
	return EXIT_DONE;
}
