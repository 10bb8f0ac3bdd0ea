/* select__scalar.h: selects the keys of a query (attributes keep, share and threshold of attention and
 * softmax) in a row of scores. Compilers vectorise these plain loops. */
#ifndef RT_SELECT__SCALAR_H
#define RT_SELECT__SCALAR_H
#include <math.h>

/* Maps floats to integers of the same order, both zeros to 0. NEON of ARMv7 treats floats near zero as zero,
 * so integers are needed. */
RT_INLINE int32_t select_order(float x)
{
	int32_t bits;
	memcpy(&bits, &x, sizeof bits);
	bits ^= (bits >> 31) & INT32_MAX;
	return bits - (bits >> 31);
}

/* Keeps the `keep` largest of x[n], the first of equal ones. The others become -infinity, so softmax makes
 * them 0. NaN stays. Bisection finds the least element that stays: at least `keep` elements reach `low`, and
 * fewer reach `high`. */
RT_INLINE void select_largest(float *x, int n, int keep)
{
	if (keep >= n)
		return;
	int32_t least = INT32_MAX, most = INT32_MIN;
	for (int i = 0; i < n; i++) {
		const int32_t order = select_order(x[i]);
		least = order < least ? order : least;
		most = order > most ? order : most;
	}
	int64_t low = least, high = (int64_t)most + 1;
	while (high - low > 1) {
		const int32_t middle = (int32_t)(low + (high - low) / 2);
		int count = 0;
		for (int i = 0; i < n; i++)
			count += select_order(x[i]) >= middle;
		*(count >= keep ? &low : &high) = middle;
		if (count == keep)
			break;
	}
	const int32_t bound = (int32_t)low;
	int equals = keep;
	for (int i = 0; i < n; i++)
		equals -= select_order(x[i]) > bound;
	for (int i = 0; i < n; i++) {
		const int32_t order = select_order(x[i]);
		const int gone = order < bound || (order == bound && equals <= 0);
		equals -= order == bound;
		x[i] = gone && x[i] == x[i] ? -INFINITY : x[i];
	}
}

/* Keeps the weights e[n] of a softmax with a probability (e * factor) of at least `threshold`, or the first
 * of the largest if there is none. The others become 0. Returns the new factor. */
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
