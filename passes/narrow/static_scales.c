/* static_scales.c: constant scales of linears' inputs, learnt from texts (quantize-int8{scheme=static}).
 *
 * A first run over the data gives each column its range, mean and mean square. method=percentile and
 * method=mse run once more to count the numbers outside parts of the range. A code is x[k] * m[k] + z[k].
 * Ranges need not be symmetric: outputs of GELU begin at -0.17, so a symmetric range would waste half of the
 * codes. A zero point need not be an integer, because its contribution to a sum is a constant in the bias.
 *
 *   granularity=tensor   one step and zero point for all columns
 *   granularity=channel  every column (input channel) has its own range, centred at its zero point
 *                        (Wei et al., "Outlier Suppression+", arXiv:2304.09145), and a step
 *                        (r^a / w^(1-a)) of its half range r and largest weight w, as SmoothQuant has it
 *                        (Xiao et al., arXiv:2211.10438)
 *
 * The steps are multiplied into the weights, so they cost nothing at run time. The exponent a is chosen for
 * each value: it minimises the noise that rounding activations and weights adds to the sums, with a noise of
 * step^2 / 12 for each rounding. */
#include "passes/whittle/calibrate.h"
#include "narrow.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Candidate parts of a range; numbers outside are clipped. */
static const double parts[] = {0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2};
enum { PARTS = sizeof parts / sizeof *parts, STATISTICS = 4 };

/* ---- observers ------------------------------------------------------------------------------ */

/* A row per text for probe_want: pooled over tokens, or the value itself if it has no token axis. */
static bool want_pooled(Probe *probe, Value *value, Pool mode, Diag *diag)
{
	const Attrs attr = {.has = A_mode, .mode = mode};
	if (value && value->type.rank == 2)
		value = graph_emit(probe->graph, NULL, OP_POOL, &value, 1, &attr, NULL, diag);
	if (value)
		probe_want(probe, value);
	return value != NULL;
}

static Value *emit_pair(Probe *probe, Op op, Value *a, Value *b, Diag *diag)
{
	return a && b ? graph_emit(probe->graph, NULL, op, (Value *[]){a, b}, 2, NULL, NULL, diag) : NULL;
}

static Value *emit_row(Probe *probe, const double *numbers, int64_t count)
{
	Tensor *tensor = tensor_new(probe->module, NULL, type_numbers(DT_F32, 1, &count));
	for (int64_t k = 0; k < count; k++)
		tensor_set(tensor, k, numbers[k]);
	return graph_const(probe->graph, NULL, tensor, NULL);
}

typedef struct Statistics {
	StaticInput *inputs;
	int32_t count;
} Statistics;

/* The maximum of x, the maximum of -x, the mean and the mean square of every column of one text. */
static void add_statistics(void *argument, const float *row, int32_t width, int32_t tokens)
{
	Statistics *all = argument;
	(void)width;
	for (StaticInput *in = all->inputs; in < all->inputs + all->count;
		in++, row += STATISTICS * in[-1].width) {
		const double weight = in->x->type.rank == 2 ? tokens : 1;
		for (int64_t k = 0; k < in->width; k++) {
			in->high[k] = fmax(in->high[k], (double)row[k]);
			in->low[k] = fmin(in->low[k], -(double)row[in->width + k]);
			in->mean[k] += weight * (double)row[2 * in->width + k];
			in->square[k] += weight * (double)row[3 * in->width + k];
		}
		in->weight += weight;
	}
}

static bool observe_ranges(Graph *graph, StaticInput *inputs, int32_t count, PassRun *run)
{
	Probe probe;
	probe_open(&probe, graph, STATISTICS * count);
	bool good = true;
	for (int32_t i = 0; i < count && good; i++) {
		StaticInput *in = &inputs[i];
		double **rows[] = {&in->low, &in->high, &in->mean, &in->square};
		static const double start[] = {INFINITY, -INFINITY, 0, 0};
		for (int r = 0; r < STATISTICS; r++) {
			*rows[r] = mem_alloc(graph->module->mem, (size_t)in->width * sizeof **rows[r]);
			for (int64_t k = 0; k < in->width; k++)
				(*rows[r])[k] = start[r];
		}
		Value *x = probe_value(&probe, in->x), *minus = emit_row(&probe, &(double){-1}, 1);
		good = want_pooled(&probe, x, POOL_MAX, run->diag)
			&& want_pooled(&probe, emit_pair(&probe, OP_MUL, x, minus, run->diag), POOL_MAX, run->diag)
			&& want_pooled(&probe, x, POOL_MEAN, run->diag)
			&& want_pooled(&probe, emit_pair(&probe, OP_MUL, x, x, run->diag), POOL_MEAN, run->diag);
	}
	Statistics all = {inputs, count};
	good = good && probe_each(&probe, add_statistics, &all, run);
	probe_close(&probe);
	for (int32_t i = 0; i < count && good; i++) {
		StaticInput *in = &inputs[i];
		if (!(in->weight > 0))
			return diag_error_in(run->diag, EXIT_INPUT, pass_option(run, "data"), 0, "has no texts");
		for (int64_t k = 0; k < in->width; k++) {
			in->mean[k] /= in->weight;
			in->square[k] /= in->weight;
			if (!isfinite(in->low[k]) || !isfinite(in->high[k]) || !isfinite(in->square[k]))
				return diag_error(run->diag, EXIT_RUN, in->reader[0]->line,
					"quantize-int8: %s reads NaN or infinite numbers; its scale cannot be learnt from this "
					"data",
					in->reader[0]->origin ? in->reader[0]->origin : "a linear");
		}
	}
	return good;
}

/* ---- clipping ------------------------------------------------------------------------------- */

/* The middle and half width of the range of one column, or of all columns. */
static double middle(const StaticInput *in, int64_t k) { return (in->high[k] + in->low[k]) / 2; }
static double half_range(const StaticInput *in, int64_t k) { return (in->high[k] - in->low[k]) / 2; }

/* Gives all columns the range of the widest one. */
static void join_columns(StaticInput *in)
{
	double low = INFINITY, high = -INFINITY;
	for (int64_t k = 0; k < in->width; k++) {
		low = fmin(low, in->low[k]);
		high = fmax(high, in->high[k]);
	}
	for (int64_t k = 0; k < in->width; k++) {
		in->low[k] = low;
		in->high[k] = high;
	}
}

/* Requests, for each part of the range, the mean square of the excess outside it (mse, in half ranges) or the
 * share of numbers outside. */
static bool want_beyond(Probe *probe, const StaticInput *in, bool mse, Diag *diag)
{
	double *minus_middle = mem_alloc(probe->module->mem, (size_t)in->width * sizeof *minus_middle);
	double *inverse = mem_alloc(probe->module->mem, (size_t)in->width * sizeof *inverse);
	for (int64_t k = 0; k < in->width; k++) {
		minus_middle[k] = -middle(in, k);
		inverse[k] = half_range(in, k) > 0 ? 1 / half_range(in, k) : 0;
	}
	Value *y = emit_pair(
		probe, OP_ADD, probe_value(probe, in->x), emit_row(probe, minus_middle, in->width), diag);
	y = emit_pair(probe, OP_MUL, y, emit_row(probe, inverse, in->width), diag);
	y = emit_pair(probe, OP_MUL, y, y, diag);
	y = y ? graph_emit(probe->graph, NULL, OP_SQRT, &y, 1, NULL, NULL, diag) : NULL;
	Value *tiny = emit_row(probe, &(double){1e-12}, 1);
	for (int i = 0; i < PARTS; i++) {
		Value *d = emit_pair(probe, OP_SUB, y, emit_row(probe, &parts[i], 1), diag);
		d = d ? graph_emit(probe->graph, NULL, OP_RELU, &d, 1, NULL, NULL, diag) : NULL;
		d = emit_pair(
			probe, mse ? OP_MUL : OP_DIV, d, mse ? d : emit_pair(probe, OP_ADD, d, tiny, diag), diag);
		if (!want_pooled(probe, d, POOL_MEAN, diag))
			return false;
	}
	return true;
}

/* The part of a range to keep. beyond[] has the figure for the numbers outside each part. */
static double part_kept(const double *beyond, bool mse, double share)
{
	if (!mse) {
		/* interpolated between the last part with too few numbers outside and the first with too many */
		double before = 0, part = 1;
		for (int i = 0; i < PARTS; i++) {
			if (beyond[i] > share)
				return part - (part - parts[i]) * (share - before) / (beyond[i] - before);
			before = beyond[i];
			part = parts[i];
		}
		return part;
	}
	double least = 1, kept = 1;
	for (int i = -1; i < PARTS; i++) {
		const double part = i < 0 ? 1 : parts[i], step = part / 127,
					 error = step * step / 12 + (i < 0 ? 0 : beyond[i]);
		if (error < least) {
			least = error;
			kept = part;
		}
	}
	return kept;
}

static void shrink(StaticInput *in, int64_t k, double part)
{
	const double at = middle(in, k), half = part * half_range(in, k);
	in->low[k] = at - half;
	in->high[k] = at + half;
}

static bool cut_ranges(
	Graph *graph, StaticInput *inputs, int32_t count, bool joined, bool mse, double share, PassRun *run)
{
	Probe probe;
	probe_open(&probe, graph, PARTS * count);
	bool good = true;
	for (int32_t i = 0; i < count && good; i++)
		good = want_beyond(&probe, &inputs[i], mse, run->diag);
	double *means = good ? mem_alloc(graph->module->mem, (size_t)probe.width * sizeof *means) : NULL;
	good = good && probe_run(&probe, true, means, run);
	probe_close(&probe);
	for (int32_t i = 0; i < count && good; i++) {
		StaticInput *in = &inputs[i];
		double all[PARTS] = {0};
		for (int64_t k = 0; k < in->width; k++) {
			double own[PARTS];
			for (int p = 0; p < PARTS; p++) {
				own[p] = means[p * in->width + k];
				all[p] += own[p] / (double)in->width;
			}
			if (!joined && !in->trained_rows)
				shrink(in, k, part_kept(own, mse, share));
		}
		const double part = part_kept(all, mse, share);
		for (int64_t k = 0; (joined || in->trained_rows) && k < in->width; k++)
			shrink(in, k, part);
		means += PARTS * in->width;
	}
	return good;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* For each column, the largest weight and the sum of squares over all linears that read the value. */
typedef struct Columns {
	double *largest, *squares;
} Columns;

static Columns weight_columns(Graph *graph, const StaticInput *in)
{
	MemArena *mem = graph->module->mem;
	Columns columns = {mem_alloc(mem, (size_t)in->width * sizeof(double)),
		mem_alloc(mem, (size_t)in->width * sizeof(double))};
	float *row = mem_alloc(mem, (size_t)in->width * sizeof *row);
	memset(columns.largest, 0, (size_t)in->width * sizeof(double));
	memset(columns.squares, 0, (size_t)in->width * sizeof(double));
	for (int32_t r = 0; r < in->nreaders; r++) {
		const Tensor *weight = value_tensor(in->reader[r]->args[1]);
		for (int64_t n = 0; n < weight->type.dim[0].plus; n++) {
			tensor_floats(weight, n * in->width, in->width, row);
			for (int64_t k = 0; k < in->width; k++) {
				columns.largest[k] = fmax(columns.largest[k], (double)fabsf(row[k]));
				columns.squares[k] += (double)row[k] * (double)row[k];
			}
		}
	}
	return columns;
}

/* Steps of all columns for one a. A negative a gives all columns the same step. */
static void make_steps(const StaticInput *in, const Columns *columns, double a, double *steps)
{
	double widest = 0;
	for (int64_t k = 0; k < in->width; k++) {
		const double half = fmax(half_range(in, k), 1e-6), largest = fmax(columns->largest[k], 1e-6);
		steps[k] = a < 0 ? 1 : pow(half, a) / pow(largest, 1 - a);
		widest = fmax(widest, half / steps[k]);
	}
	for (int64_t k = 0; k < in->width; k++)
		steps[k] *= widest / 127;
}

/* The noise in the sums of all readers: from rounding the activations, and from rounding the weights. */
static double steps_noise(Graph *graph, const StaticInput *in, const Columns *columns, const double *steps)
{
	double noise = 0, energy = 0, weights = 0;
	float *row = mem_alloc(graph->module->mem, (size_t)in->width * sizeof *row);
	for (int64_t k = 0; k < in->width; k++) {
		const double at = middle(in, k), square = in->square[k] - 2 * at * in->mean[k] + at * at;
		noise += columns->squares[k] * steps[k] * steps[k];
		energy += fmax(square, 0) / (steps[k] * steps[k]);
	}
	for (int32_t r = 0; r < in->nreaders; r++) {
		const Tensor *weight = value_tensor(in->reader[r]->args[1]);
		for (int64_t n = 0; n < weight->type.dim[0].plus; n++) {
			double largest = 0;
			tensor_floats(weight, n * in->width, in->width, row);
			for (int64_t k = 0; k < in->width; k++)
				largest = fmax(largest, fabs((double)row[k] * steps[k]));
			weights += largest * largest / (127.0 * 127.0);
		}
	}
	return (noise + energy * weights) / 12;
}

static void choose_steps(Graph *graph, StaticInput *in, bool joined)
{
	static const double choices[] = {-1, 0, 0.25, 0.5, 0.75, 1};
	const Columns columns = weight_columns(graph, in);
	double *steps = mem_alloc(graph->module->mem, (size_t)in->width * sizeof *steps), least = INFINITY;
	for (size_t c = 0; c < (joined ? 1 : sizeof choices / sizeof *choices); c++) {
		make_steps(in, &columns, choices[c], steps);
		const double noise = steps_noise(graph, in, &columns, steps);
		if (noise < least) {
			least = noise;
			in->alpha = choices[c];
		}
	}
	make_steps(in, &columns, in->alpha, steps);
	in->m = mem_alloc(graph->module->mem, (size_t)in->width * sizeof *in->m);
	in->z = mem_alloc(graph->module->mem, (size_t)in->width * sizeof *in->z);
	for (int64_t k = 0; k < in->width; k++) {
		in->m[k] = (float)(1 / steps[k]);
		in->z[k] = (float)(-middle(in, k) * (double)in->m[k]);
	}
}

bool static_scales(Graph *graph, StaticInput *inputs, int32_t count, PassRun *run)
{
	const double percentile = pass_option_real(run, "percentile", 100);
	const bool mse = pass_option_is(run, "method", "mse"),
			   joined = pass_option_is(run, "granularity", "tensor");
	if (!count) /* the checkpoint has all scales */
		return true;
	if (!observe_ranges(graph, inputs, count, run))
		return false;
	for (int32_t i = 0; i < count; i++)
		if (joined || inputs[i].trained_rows)
			join_columns(&inputs[i]);
	if (!pass_option_is(run, "method", "minmax")
		&& !cut_ranges(graph, inputs, count, joined, mse, 1 - percentile / 100, run))
		return false;
	for (int32_t i = 0; i < count; i++)
		choose_steps(graph, &inputs[i], joined || inputs[i].trained_rows);
	return true;
}
