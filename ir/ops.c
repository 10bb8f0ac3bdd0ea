/* ops.c: ops.def as data, the names of tasks and problems, and rules for attributes that several ops
 * share. */
#include "ir.h"

#define G LEVEL_GRAPH
#define F LEVEL_FUSED
#define L LEVEL_LOWERED
const OpInfo op_info[OP_COUNT] = {
#define OP(NAME, text, levels, domain, least, most, results, required, optional, meaning) \
	[OP_##NAME] = {text, levels, DOMAIN_##domain, least, most, results, required, optional, meaning, \
		infer_##NAME, eval_##NAME},
#include "ops.def"
#undef OP
};
#undef G
#undef F
#undef L

_Static_assert(AI_COUNT <= 32, "Attrs.has is a mask of 32 bits");

const char *const task_names[TASK_COUNT + 1] = {
	[TASK_CLASSIFY] = "classify",
	[TASK_TAG] = "tag",
	[TASK_EMBED] = "embed",
	[TASK_RANK] = "rank",
	[TASK_QA] = "qa",
	[TASK_FILL_MASK] = "fill-mask",
	[TASK_CHOICE] = "choice",
	[TASK_MULTI_VECTOR] = "multi-vector",
	[TASK_SPARSE] = "sparse",
	[TASK_COUNT] = "zero-shot",
};
const char *const problem_names[PROBLEM_COUNT] = {
	[PROBLEM_SINGLE] = "single",
	[PROBLEM_MULTI] = "multi",
	[PROBLEM_REGRESSION] = "regression",
};

int64_t attrs_kept(const Attrs *attr, int64_t n)
{
	int64_t kept = n;
	if (attr->has & A_keep)
		kept = attr->keep;
	else if (attr->has & A_share)
		kept = (int64_t)(attr->share * (double)n + 0.5);
	if (kept > n)
		return n;
	return kept < 1 && n > 0 ? 1 : kept;
}
