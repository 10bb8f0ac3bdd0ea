/* dce.c: deletes nodes that no output needs.
 *
 *   %a = erf %x                       return hidden=%x
 *   return hidden=%x           ->
 */
#include "passes/rewrite.h"

bool pass_dce(Graph *graph, PassRun *run)
{
	run->changes += graph_sweep(graph);
	return true;
}
