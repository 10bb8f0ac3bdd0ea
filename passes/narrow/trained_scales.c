/* trained_scales.c: quantize-int8{scheme=static} with the scales of quantisation-aware training (Jacob et
 * al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
 * arXiv:1712.05877). compiler/model/qat.c stores them as meta lines, with the origin of the linear that reads
 * an input and the name of its weight in the checkpoint. Rows of a weight are recognised by their numbers, so
 * that earlier passes may have joined linears or removed rows. If columns were removed or weights were cast,
 * the scales are computed from the current rows. */
#include "passes/trained.h"
#include "narrow.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The checkpoint's step of a linear's input. False when the checkpoint has none. */
static bool trained_step(const Module *module, const Node *reader, Trained *trained)
{
	for (int32_t i = 0; i < module->nmeta && reader->origin; i++)
		if (trained_read(module, &module->meta[i], trained) && trained->step > 0
			&& !strcmp(module->meta[i].key + sizeof TRAINED_PREFIX - 1, reader->origin))
			return true;
	return false;
}

/* ---- weights -------------------------------------------------------------------------------- */

/* The place of a row in the checkpoint's weights. */
typedef struct Place {
	int32_t at;
	int64_t row;
} Place;

static bool is_row(const Trained *trained, int64_t row, const float *numbers, int64_t width, float *room)
{
	const Tensor *weight = trained->weight;
	if (!trained->scales || row >= weight->type.dim[0].plus || weight->type.dim[1].plus != width
		|| (float)tensor_at(weight, row * width) != numbers[0])
		return false;
	tensor_floats(weight, row * width, width, room);
	return !memcmp(room, numbers, (size_t)width * sizeof *room);
}

/* Finds the row: usually the one after the last found, else any. */
static bool find_row(
	const Trained *all, int32_t count, const float *numbers, int64_t width, float *room, Place *place)
{
	if (place->at < count && is_row(&all[place->at], place->row + 1, numbers, width, room)) {
		place->row++;
		return true;
	}
	for (int32_t i = 0; i < count; i++)
		for (int64_t row = 0; all[i].scales && row < all[i].weight->type.dim[0].plus; row++) {
			if (!is_row(&all[i], row, numbers, width, room))
				continue;
			*place = (Place){i, row};
			return true;
		}
	return false;
}

/* The step of each row. NULL when the step of any row is unknown. */
static double *trained_rows(Graph *graph, const Tensor *weight)
{
	const Module *module = graph->module;
	const int64_t rows = weight->type.dim[0].plus, width = weight->type.dim[1].plus;
	Trained *all = mem_alloc(module->mem, (size_t)(module->nmeta + 1) * sizeof *all);
	float *row = mem_alloc(module->mem, (size_t)width * sizeof *row),
		  *room = mem_alloc(module->mem, (size_t)width * sizeof *room);
	double *steps = mem_alloc(module->mem, (size_t)rows * sizeof *steps);
	int32_t count = 0;
	for (int32_t i = 0; i < module->nmeta; i++)
		if (trained_read(module, &module->meta[i], &all[count]) && all[count].scales)
			count++;
	Place place = {.at = count};
	for (int64_t n = 0; n < rows; n++) {
		tensor_floats(weight, n * width, width, row);
		if (!find_row(all, count, row, width, room, &place))
			return NULL;
		const Tensor *scales = all[place.at].scales;
		steps[n] = tensor_at(scales, type_count(&scales->type) == 1 ? 0 : place.row) / all[place.at].unit;
		if (!(steps[n] > 0) || !isfinite(steps[n]))
			steps[n] = 1; /* a row of zeros: any step is right */
	}
	return steps;
}

Tensor *trained_codes(Graph *graph, const Tensor *weight, double step, Tensor **scales)
{
	const int64_t rows = weight->type.dim[0].plus, width = weight->type.dim[1].plus;
	const double *steps = trained_rows(graph, weight);
	if (!steps)
		return NULL;
	Tensor *codes = tensor_derived(graph, weight, "i8", type_numbers(DT_I8, 2, (int64_t[]){rows, width}));
	*scales = tensor_derived(graph, weight, "scales", type_numbers(DT_F32, 1, &rows));
	int8_t *to = (int8_t *)(uintptr_t)codes->data;
	float *row = mem_alloc(graph->module->mem, (size_t)width * sizeof *row);
	for (int64_t n = 0; n < rows; n++, to += width) {
		const float inverse = (float)(1 / steps[n]);
		tensor_floats(weight, n * width, width, row);
		tensor_set(*scales, n, steps[n] * step);
		for (int64_t k = 0; k < width; k++)
			to[k] = (int8_t)fmaxf(-128, fminf(127, nearbyintf(row[k] * inverse)));
	}
	return codes;
}

/* ---- inputs --------------------------------------------------------------------------------- */

/* Codes of inputs are -128..127 in PyTorch and -127..127 here. The end that is further from zero is clipped,
 * because it has fewer numbers. */
static void fill_input(Graph *graph, StaticInput *in, const Trained *trained)
{
	const size_t width = (size_t)in->width;
	in->m = mem_alloc(graph->module->mem, width * sizeof *in->m);
	in->z = mem_alloc(graph->module->mem, width * sizeof *in->z);
	in->mean = mem_alloc(graph->module->mem, width * sizeof *in->mean);
	for (size_t k = 0; k < width; k++) {
		in->m[k] = (float)(1 / trained->step);
		in->z[k] = (float)(trained->zero < 0 ? trained->zero + 1 : trained->zero);
		in->mean[k] = 0;
	}
	in->trained = true;
}

static void say_scales(const StaticInput *in, const Trained *trained, int32_t rows, PassRun *run)
{
	if (in->trained)
		pass_note(run, in->reader[0],
			"scales of the checkpoint: step %.6g, zero point %g; weights of %d of its %d readers",
			trained->step, trained->zero, rows, in->nreaders);
	else if (rows)
		pass_note(run, in->reader[0],
			"the checkpoint has the weight scales of %d of its %d readers, but no scale of their input, "
			"which is learnt from data",
			rows, in->nreaders);
}

bool trained_inputs(Graph *graph, StaticInput *inputs, int32_t *count, PassRun *run)
{
	if (pass_option_is(run, "scales", "data") || !module_has_scales(graph->module))
		return true;
	StaticInput *known = mem_alloc(graph->module->mem, (size_t)*count * sizeof *known);
	int32_t learnt = 0, nknown = 0;
	for (int32_t i = 0; i < *count; i++) {
		StaticInput in = inputs[i];
		Trained trained = {0};
		int32_t rows = 0;
		for (int32_t r = 0; r < in.nreaders; r++)
			rows += trained_rows(graph, value_tensor(in.reader[r]->args[1])) != NULL;
		in.trained_rows = rows > 0;
		for (int32_t r = 0; r < in.nreaders && !in.trained; r++)
			if (trained_step(graph->module, in.reader[r], &trained))
				fill_input(graph, &in, &trained);
		say_scales(&in, &trained, rows, run);
		if (in.trained)
			known[nknown++] = in;
		else
			inputs[learnt++] = in;
	}
	memcpy(inputs + learnt, known, (size_t)nknown * sizeof *known);
	*count = learnt;
	return true;
}
