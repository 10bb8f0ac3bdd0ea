/* eval_dot.c: the sum of products, in which the evaluator spends its time. It has a file of its own because
 * the sanitizer preset compiles it like the release preset does: its callers stay checked. */
#include "ir/ir.h"

/* Eight partial sums let the compiler use vectors without reordering a sum. */
double eval_dot(const double *a, const double *b, int64_t count)
{
	double sums[8] = {0}, sum = 0;
	int64_t i = 0;
	for (; i + 8 <= count; i += 8)
		for (int j = 0; j < 8; j++)
			sums[j] += a[i + j] * b[i + j];
	for (; i < count; i++)
		sum += a[i] * b[i];
	for (int j = 0; j < 8; j++)
		sum += sums[j];
	return sum;
}
