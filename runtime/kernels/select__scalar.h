/* select__scalar.h: which keys of a query stay (attributes keep, share and threshold of attention and softmax), over a row of scores.
 * Plain loops of comparisons, which compilers turn into vectors. */
#ifndef RT_SELECT__SCALAR_H
#define RT_SELECT__SCALAR_H
#include <math.h>

/* Floats as integers of the same order; both zeros are 0. */
RT_INLINE int32_t select_order(float x)
{
	int32_t bits;
	x += 0.0f;
	memcpy(&bits, &x, sizeof bits);
	return bits ^ ((bits >> 31) & INT32_MAX);
}

RT_INLINE float select_float(int32_t order)
{
	const int32_t bits = order ^ ((order >> 31) & INT32_MAX);
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

RT_INLINE int select_at_least(const float *x, int n, float bound)
{
	int count = 0;
	for (int i = 0; i < n; i++)
		count += x[i] >= bound;
	return count;
}

/* The `keep` largest of x[n] stay, of equals the first; the others become -infinity, so that softmax gives them nothing. NaN stays. The
 * least that stays lies between `low`, which keep elements or more reach, and `high`, which fewer do. */
RT_INLINE void select_largest(float *x, int n, int keep)
{
	if (keep >= n)
		return;
	float least = x[0], most = x[0];
	for (int i = 1; i < n; i++) {
		least = x[i] < least ? x[i] : least;
		most = x[i] > most ? x[i] : most;
	}
	int64_t low = select_order(least), high = (int64_t)select_order(most) + 1;
	while (high - low > 1) {
		const int64_t middle = low + (high - low) / 2;
		const int count = select_at_least(x, n, select_float((int32_t)middle));
		*(count >= keep ? &low : &high) = middle;
		if (count == keep)
			break;
	}
	const float bound = select_float((int32_t)low);
	int equals = keep;
	for (int i = 0; i < n; i++)
		equals -= x[i] > bound;
	for (int i = 0; i < n; i++) {
		const int equal = x[i] == bound;
		x[i] = x[i] < bound || (equal && equals <= 0) ? -INFINITY : x[i];
		equals -= equal;
	}
}

/* Of softmax's weights e[n], which times `factor` are probabilities, those of at least `threshold` stay, or the first of the largest if
 * there is none; the others become 0. Returns the factor of what is left. */
RT_INLINE float select_probable(float *e, int n, float threshold, float factor)
{
	float most = 0, sum = 0;
	for (int i = 0; i < n; i++)
		most = e[i] > most ? e[i] : most;
	int none = most * factor < threshold;
	for (int i = 0; i < n; i++) {
		const int first = none && e[i] == most;
		e[i] = e[i] * factor < threshold && !first ? 0 : e[i];
		sum += e[i];
		none = none && !first;
	}
	return n > 0 ? 1.0f / sum : 0;
}
#endif
