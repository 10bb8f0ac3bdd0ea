/* recurrent.h: the order in which the kernels of lstm and gru take their weights.
 *
 * A row needs all weights of the state, 1.4 MB for 300 units of an LSTM: they come from a cache that is too
 * slow for one multiplication each. So a weight is used for two rows when it is loaded. Units are computed in
 * panels, from the first to the last in even rows, from the last to the first in odd ones. When a row comes
 * to panel p, the state of the panels that it has already passed is known, and the weights from these to p
 * are just what the sums of p still lack of the row before: one load serves both. So a row reads half of the
 * matrix, a triangle, and the sums of the next row wait in `sums`.
 *
 * The weights are packed, [panels][width][gates][panel], with zeros behind the last unit
 * (passes/lower/pack_recurrent.c). The order of a sum depends on the number of its row alone: the bias, then
 * the units of the panels passed in the row before, then those of its own panel, then the others. */
#ifndef RT_RECURRENT_H
#define RT_RECURRENT_H

typedef struct RecurrentVisit {
	const float *weights, *bias,
		*in;                    /* of the panel's units: [width][gates][panel], [gates * width], and x */
	const float *before;        /* the state of the row before; NULL: this is the first row */
	float *state, *sums, *cell; /* of this row; of the panel; float[width] */
	int width, unit, from, to;  /* the first unit of the panel, the units already passed */
	int last;                   /* this is the last row */
} RecurrentVisit;

/* Row t, panel i of that row. scratch: float[panels * panel * gates] of sums, then float[width] of the cell.
 */
RT_INLINE RecurrentVisit recurrent_visit(float *out, const float *x, const float *weights, const float *bias,
	int rows, int width, int reverse, void *scratch, int gates, int panel, int t, int i)
{
	const int panels = (width + panel - 1) / panel, p = t & 1 ? panels - 1 - i : i;
	const size_t row = (size_t)(reverse ? rows - 1 - t : t), before = reverse ? row + 1 : row - 1,
				 size = (size_t)(gates * panel);
	float *sums = scratch;
	return (RecurrentVisit){.weights = weights + (size_t)p * (size_t)width * size,
		.bias = bias + p * panel,
		.in = x + row * (size_t)(gates * width) + p * panel,
		.before = t ? out + before * (size_t)width : NULL,
		.state = out + row * (size_t)width,
		.sums = sums + (size_t)p * size,
		.cell = sums + (size_t)panels * size,
		.width = width,
		.unit = p * panel,
		.from = t & 1 ? rt_min((p + 1) * panel, width) : 0,
		.to = t & 1 ? width : p * panel,
		.last = t == rows - 1};
}
#endif
