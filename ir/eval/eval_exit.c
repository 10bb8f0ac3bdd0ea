/* eval_exit.c: an exit passes its value on, or ends the text (ir/exits.c has the rule). */
#include <math.h>
#include "eval.h"

bool eval_EXIT(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)node, (void)diag;
	eval_widen(args[0], 0, args[0]->count, results[0].v);
	return true;
}

bool eval_exit_taken(const Node *node, const EvalArray *const *args, double limit)
{
	(void)node;
	const int64_t n = args[1]->count;
	double *p = checked_calloc((size_t)n, sizeof *p), entropy = 0;
	for (int64_t i = 0; i < n; i++)
		p[i] = eval_at(args[1], i);
	eval_softmax_row(p, p, n);
	for (int64_t i = 0; i < n; i++)
		entropy -= p[i] > 0 ? p[i] * log(p[i]) : 0;
	free(p);
	return entropy < limit;
}
