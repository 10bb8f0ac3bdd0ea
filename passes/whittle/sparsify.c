/* sparsify.c: `sparsify{sparsity=0.9}` sets weights of linears in an encoder's layers to zero, for kernels
 * that skip zeros.
 *
 *   %w = const @ffn.in.weight             ->      %w2 = const @ffn.in.weight.sparse.N
 *   %y = linear %x, %w, %b                        %y = linear %x, %w2, %b
 *
 *   structure=unstructured   weight by weight, as Zafrir et al., "Prune Once for All", arXiv:2111.05754,
 *                            and Kuznedelev et al., "CAP", arXiv:2210.09223, leave them
 *   structure=1x4            four neighbouring inputs of an output are kept or zeroed together, as one
 *                            instruction multiplies them
 *   structure=4x1            four neighbouring outputs of an input
 *   structure=rows           all weights of an output
 *   scope=matrix             each matrix to that sparsity
 *   scope=model              all matrices together: the smallest weights in any of them
 *
 * The lowest scores become zero. The score is the magnitude or, with data=FILE, |w| times the root mean
 * square of its input over the texts (Sun et al., "A Simple and Effective Pruning Approach for Large Language
 * Models" (Wanda), arXiv:2306.11695). Existing zeros count.
 *
 *   refit=yes   the remaining weights and bias of each output are refitted by least squares on data=
 *               (sparsify_fit.c has the equations). The score is then the increase of the error
 *   steps=N     in N steps (4): each step zeroes the same share of the remaining weights, and chooses by the
 *               weights fitted in the step before
 *   ridge=X     how strongly weights are held at their old values (0.01) */
#include "sparsify.h"
#include "passes/rewrite.h"
#include <math.h>
#include <string.h>

typedef struct Matrices {
	SparseMatrix *at;
	int32_t count;
} Matrices;

static bool tensor_is_finite(const Tensor *tensor)
{
	for (int64_t i = 0; i < type_count(&tensor->type); i++)
		if (!isfinite(tensor_at(tensor, i)))
			return false;
	return true;
}

/* The weight of a linear to sparsify. NULL when it stays; a note gives the reason if the user may have
 * expected it to change. */
static Value *sparse_weight(const Graph *graph, const Node *node, PassRun *run)
{
	if (node->op != OP_LINEAR || (node->attr.has & A_panel) || node->place.layer < 0)
		return NULL;
	const Tensor *weight = value_tensor(node->args[1]);
	if (!weight || weight->type.rank != 2 || !dtype_is_float(weight->type.dtype))
		pass_note(run, node, "stays: its weight is not a constant matrix of floats");
	else if (table_is_angles(graph, node->args[1]))
		pass_note(run, node, "stays: its weights are the cosines and sines of a Fourier transform");
	else if (origin_matches(pass_option(run, "exclude"), node->origin))
		pass_note(run, node, "stays: excluded");
	else if (!type_is_rows(&node->args[0]->type) || node->args[0]->type.rank != 2)
		pass_note(run, node, "stays: its input does not have one row per token");
	else if (!tensor_is_finite(weight))
		pass_note(run, node, "stays: its weight holds NaN or infinite numbers");
	else
		return node->args[1];
	return NULL;
}

static void matrix_add_input(SparseMatrix *m, Value *input)
{
	for (int32_t i = 0; i < m->ninputs; i++)
		if (m->inputs[i] == input)
			return;
	m->inputs[m->ninputs++] = input;
}

/* Layers named for one task of several count too. */
static bool layers_are_named(const Graph *graph)
{
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op != OP_CONST && node->place.layer >= 0)
			return true;
	return false;
}

/* Collects the matrices in graph order, each once, even if several linears use it. */
static Matrices find_matrices(Graph *graph, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	int32_t room = 1;
	for (const Node *node = graph->first; node; node = node->next)
		room += node->op == OP_LINEAR;
	Matrices all = {mem_alloc(mem, (size_t)room * sizeof *all.at), 0};
	for (Node *node = graph->first; node; node = node->next) {
		Value *weight = sparse_weight(graph, node, run);
		if (!weight)
			continue;
		int32_t i = 0;
		while (i < all.count && all.at[i].weight != weight)
			i++;
		SparseMatrix *m = &all.at[i];
		if (i == all.count) {
			const Tensor *tensor = value_tensor(weight);
			*m = (SparseMatrix){.weight = weight,
				.tensor = tensor,
				.kind = node->place.text,
				.rows = tensor->type.dim[0].plus,
				.columns = tensor->type.dim[1].plus};
			m->inputs = mem_alloc(mem, (size_t)value_uses(graph, weight) * sizeof *m->inputs);
			m->gone = mem_alloc(mem, (size_t)(m->rows * m->columns) * sizeof *m->gone);
			all.count++;
		}
		matrix_add_input(m, node->args[0]);
	}
	return all;
}

/* ---- inputs on data -------------------------------------------------------------------------- */

/* Fills `norms` of all matrices. A matrix with several linears gets the mean over their inputs. */
static bool measure_inputs(Graph *graph, const Matrices *all, PassRun *run)
{
	MemArena *mem = graph->module->mem;
	int32_t most = 0, count = 0;
	for (int32_t i = 0; i < all->count; i++)
		most += all->at[i].ninputs;
	Value **values = mem_alloc(mem, (size_t)most * sizeof *values);
	int64_t *place = mem_alloc(mem, (size_t)most * sizeof *place), width = 0;
	for (int32_t i = 0; i < all->count; i++) /* query, key and value read the same: observed once */
		for (int32_t k = 0; k < all->at[i].ninputs; k++) {
			int32_t v = 0;
			while (v < count && values[v] != all->at[i].inputs[k])
				v++;
			if (v == count) {
				values[count] = all->at[i].inputs[k];
				place[count++] = width;
				width += all->at[i].columns;
			}
		}
	double *squares = mem_alloc(mem, (size_t)width * sizeof *squares);
	if (!observe_squares(graph, values, count, squares, run))
		return false;
	for (int32_t i = 0; i < all->count; i++) {
		SparseMatrix *m = &all->at[i];
		m->norms = mem_alloc(mem, (size_t)m->columns * sizeof *m->norms);
		for (int32_t k = 0; k < m->ninputs; k++) {
			int32_t v = 0;
			while (values[v] != m->inputs[k])
				v++;
			for (int64_t c = 0; c < m->columns; c++)
				m->norms[c] += squares[place[v] + c] / m->ninputs;
		}
		for (int64_t c = 0; c < m->columns; c++)
			m->norms[c] = sqrt(m->norms[c]);
	}
	return true;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* b + (W - W') E[x] */
static void move_bias(Graph *graph, Node *linear, const SparseMatrix *m)
{
	const Tensor *bias = linear->nargs > 2 ? value_tensor(linear->args[2]) : NULL;
	Tensor *moved = tensor_derived(
		graph, bias ? bias : m->tensor, "refit", bias ? bias->type : type_numbers(DT_F32, 1, &m->rows));
	for (int64_t n = 0; n < m->rows; n++)
		tensor_set(moved, n, (bias ? tensor_at(bias, n) : 0) + m->moved[n]);
	linear->args[2] = graph_const(
		graph, linear, moved, bias ? linear->args[2]->node->origin : linear->origin);
	linear->nargs = 3;
}

/* Notes how many weights of the matrix became zero. */
static int64_t matrix_thin_out(Graph *graph, SparseMatrix *m, PassRun *run)
{
	const int64_t count = m->rows * m->columns, size = dtype_bytes[m->tensor->type.dtype];
	int64_t made = 0;
	for (int64_t i = 0; i < count; i++)
		made += m->gone[i] && tensor_at(m->tensor, i) != 0;
	if (!made)
		return 0;
	Tensor *thin = tensor_derived(graph, m->tensor, "sparse", m->tensor->type);
	uint8_t *data = (uint8_t *)(uintptr_t)thin->data;
	memcpy(data, m->tensor->data, (size_t)m->tensor->bytes);
	for (int64_t i = 0; i < count; i++)
		if (m->gone[i])
			memset(data + i * size, 0, (size_t)size);
		else if (m->fitted)
			tensor_set(thin, i, (double)m->fitted[i]);
	Node *old = m->weight->node;
	Value *by = graph_const(graph, old->next, thin, old->origin);
	for (Node *node = graph->first; node; node = node->next)
		if (node->op == OP_LINEAR && node->args[1] == m->weight) {
			node->args[1] = by;
			if (m->fitted)
				move_bias(graph, node, m);
		}
	m->weight = by;
	m->tensor = thin;
	run->changes++;
	return made;
}

/* A line for each kind of matrix and one for all. */
static void report(const Matrices *all, PassRun *run)
{
	double zeros_all = 0, quads_all = 0, weights_all = 0;
	for (int32_t i = 0; i < all->count; i++) {
		double zeros = 0, quads = 0, weights = 0, error = 0, whole = 0;
		int32_t count = 0;
		for (int32_t k = 0; k < all->count; k++) {
			const SparseMatrix *m = &all->at[k];
			if (strcmp(m->kind, all->at[i].kind) != 0)
				continue;
			if (k < i)
				break; /* its line is there */
			const double size = (double)(m->rows * m->columns);
			count++;
			weights += size;
			zeros += (double)sparse_mark_zeros(m);
			error += m->error;
			whole += m->whole;
			quads += size * sparse_density(m->tensor, 4);
		}
		if (count)
			pass_note(run, NULL,
				"%s: %.2f %% of %.0f weights of %d matri%s are zero; %.2f %% of the groups of four have a "
				"nonzero weight",
				all->at[i].kind, 100 * zeros / weights, weights, count, count == 1 ? "x" : "ces",
				100 * quads / weights);
		if (count && whole > 0)
			pass_note(run, NULL, "%s: after the fit, the error of the outputs is %.2f %% of their variance",
				all->at[i].kind, 100 * error / whole);
		zeros_all += zeros;
		quads_all += quads;
		weights_all += weights;
	}
	pass_note(run, NULL,
		"all: %.2f %% of %.0f weights of %d matri%s are zero; %.2f %% of the groups of four have a nonzero "
		"weight",
		100 * zeros_all / weights_all, weights_all, all->count, all->count == 1 ? "x" : "ces",
		100 * quads_all / weights_all);
}

/* ---- options --------------------------------------------------------------------------------- */

typedef struct Choice {
	double sparsity, ridge;
	SparseUnit unit;
	bool whole_model, refit;
	int64_t steps;
} Choice;

/* refit=, steps= and ridge=. The last two need refit=yes. */
static bool refit_read(Choice *choice, PassRun *run)
{
	choice->refit = pass_option_is(run, "refit", "yes");
	if (choice->refit && !pass_option(run, "data"))
		return diag_error(run->diag, EXIT_USAGE, 0,
			"sparsify: refit=yes fits the remaining weights on texts; give data=FILE");
	if (!choice->refit && (pass_option_given(run, "ridge") || pass_option_given(run, "steps")))
		return diag_error(run->diag, EXIT_USAGE, 0, "sparsify: ridge= and steps= are for refit=yes");
	choice->ridge = pass_option_real(run, "ridge", 0);
	choice->steps = pass_option_int(run, "steps", 1);
	return true;
}

static bool choice_read(Choice *choice, PassRun *run)
{
	static const struct {
		const char *name;
		SparseUnit unit;
	} structures[] = {
		{"unstructured", {1, 1}},
		{"1x4", {1, 4}},
		{"4x1", {4, 1}},
		{"rows", {1, INT64_MAX}},
	};
	*choice = (Choice){.sparsity = pass_option_real(run, "sparsity", -1),
		.whole_model = pass_option_is(run, "scope", "model")};
	if (choice->sparsity < 0)
		return diag_error(run->diag, EXIT_USAGE, 0,
			"sparsify: give sparsity=X, the share of weights that are zero afterwards, such as 0.9");
	for (size_t i = 0; i < sizeof structures / sizeof *structures; i++)
		if (pass_option_is(run, "structure", structures[i].name))
			choice->unit = structures[i].unit;
	return refit_read(choice, run);
}

static void choose(const Matrices *all, const Choice *choice, double sparsity)
{
	for (int32_t i = 0; i < (choice->whole_model ? 1 : all->count); i++)
		sparse_choose(&all->at[i], choice->whole_model ? all->count : 1, choice->unit, sparsity);
}

/* Zeroed weights stay zero, because zeros have the lowest score. The last step reaches the requested
 * sparsity; each step zeroes the same share of the remaining weights. */
static bool choose_and_fit(Graph *graph, const Matrices *all, const Choice *choice, PassRun *run)
{
	bool shared = false;
	for (int32_t i = 0; i < all->count; i++)
		shared |= all->at[i].ninputs > 1;
	if (shared && !measure_inputs(graph, all, run))
		return false;
	SparseFits *fits = sparse_fits_open(graph, all->at, all->count, choice->ridge, run);
	bool good = fits != NULL;
	for (int64_t step = 1; good && step <= choice->steps; step++) {
		choose(all, choice,
			step < choice->steps ? 1 - pow(1 - choice->sparsity, (double)step / (double)choice->steps)
								 : choice->sparsity);
		for (int32_t i = 0; i < all->count; i++)
			sparse_mark_zeros(&all->at[i]);
		good = sparse_fit(graph, fits, all->at, all->count, run);
	}
	if (fits)
		sparse_fits_close(fits);
	return good;
}

bool pass_sparsify(Graph *graph, PassRun *run)
{
	Choice choice;
	if (!choice_read(&choice, run))
		return false;
	const char *why = layers_are_named(graph) ? NULL : layers_infer(graph);
	if (why)
		pass_note(run, NULL, "no origin names a layer (layer.N.), and the structure shows none: %s", why);
	Matrices all = find_matrices(graph, run);
	if (!all.count) {
		pass_note(run, NULL, "no linear of a layer (an origin layer.N.) has a constant matrix");
		return true;
	}
	if (choice.refit) {
		if (!choose_and_fit(graph, &all, &choice, run))
			return false;
	} else {
		if (pass_option(run, "data") && !measure_inputs(graph, &all, run))
			return false;
		choose(&all, &choice, choice.sparsity);
	}
	for (int32_t i = 0; i < all.count; i++)
		matrix_thin_out(graph, &all.at[i], run);
	report(&all, run);
	if (run->changes)
		graph_sweep(graph);
	return true;
}
