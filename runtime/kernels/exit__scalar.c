/* exit__scalar.c: the entropy of the softmax of a row of logits, in nats. With z = sum of e^(x - max) it is
 * log z - sum of (x - max) e^(x - max) / z. Computed in double, because near 0 the two terms cancel.
 *
 *     double exit_f32__scalar(const float *x, int n)        n >= 1; NaN is never below a threshold
 */
#include <math.h>

RT_SHARED double exit_f32__scalar(const float *x, int n)
{
	double top = x[0], z = 0, sum = 0;
	for (int i = 1; i < n; i++)
		top = x[i] > top ? x[i] : top;
	for (int i = 0; i < n; i++) {
		const double distance = x[i] - top, e = exp(distance);
		z += e;
		sum += e > 0 ? distance * e : 0;
	}
	return log(z) - sum / z;
}
