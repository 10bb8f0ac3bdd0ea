/* cmd_targets.c: `bertc targets` prints codegen/targets.def. */
#include "bertc.h"

int cmd_targets(int argc, char **argv)
{
	struct argp argp = {.doc = "List targets and their CPUs with what bertc's kernels use of each. "
							   "(native) is what --cpu=native means on this machine; (baseline) runs on "
							   "every CPU of the"
							   " target."};
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	targets_print(stdout);
	return EXIT_DONE;
}
