/* exit__scalar.c: how sure a row of logits is: the entropy of its softmax, in nats. With z = sum of e^(x -
 * max) it is log z - sum of (x - max) e^(x - max) / z. In double: near 0 the difference of the two is all
 * there is.
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
