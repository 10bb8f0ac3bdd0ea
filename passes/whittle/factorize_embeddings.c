/* factorize_embeddings.c: `factorize-embeddings{rank=128}` replaces the word table by the product of two
 * smaller matrices, its best approximation of that rank (Eckart, Young, 1936). This is the factorised
 * embedding of Lan et al.: "ALBERT", 2020, section 3.1, but computed from a trained table.
 *
 *   %x = embed %w, %ids : f32[S,384]      ->      %e = embed %w2, %ids : f32[S,128]
 *                                                 %x = linear %e, %v : f32[S,384]
 *
 * with w2 = w V [30522,128] and v = V [384,128].
 *
 * V holds the eigenvectors of w'w (H x H, summed in double) with the largest eigenvalues. These are the right
 * singular vectors of w. A decoder that shares the table (masked language models) uses the same factors: x w'
 * = (x V) w2'. The factors have the element type of the table. */
#include "statistics.h"
#include "passes/fuse/fuse.h"
#include <stdlib.h>

/* w'w [H,H] of w [rows,H]. */
static void gram_of(const double *w, int64_t rows, int64_t hidden, double *gram)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < hidden; i++)
			for (int64_t k = i; k < hidden; k++)
				gram[i * hidden + k] += w[r * hidden + i] * w[r * hidden + k];
	for (int64_t i = 0; i < hidden; i++)
		for (int64_t k = 0; k < i; k++)
			gram[i * hidden + k] = gram[k * hidden + i];
}

/* V' [rank,H]: unit eigenvectors of w'w, largest eigenvalue first; *kept: their share of all eigenvalues. */
static double *leading_vectors(const double *w, int64_t rows, int64_t hidden, int64_t rank, double *kept)
{
	double *gram = checked_calloc((size_t)(hidden * hidden), sizeof *gram);
	gram_of(w, rows, hidden, gram);
	double *lead = eigen_leading(gram, hidden, rank, kept);
	free(gram);
	return lead;
}

/* ---- the graph ------------------------------------------------------------------------------- */

typedef struct Factors {
	Value *table, *out, *in;
} Factors; /* w V [V,rank]; V [H,rank]; V' [rank,H] */

static void factorize(Graph *graph, Node *table, int64_t rank, Factors *factors, double *kept)
{
	const Tensor *from = table->data;
	const int64_t rows = from->type.dim[0].plus, hidden = from->type.dim[1].plus;
	const DType dtype = from->type.dtype;
	double *w = checked_calloc((size_t)(rows * hidden), sizeof *w);
	for (int64_t i = 0; i < rows * hidden; i++)
		w[i] = tensor_at(from, i);
	double *lead = leading_vectors(w, rows, hidden, rank, kept);
	Tensor *left = tensor_derived(graph, from, "factor", type_numbers(dtype, 2, (int64_t[]){rows, rank}));
	Tensor *out = tensor_derived(graph, from, "out", type_numbers(dtype, 2, (int64_t[]){hidden, rank}));
	Tensor *in = tensor_derived(graph, from, "in", type_numbers(dtype, 2, (int64_t[]){rank, hidden}));
	for (int64_t r = 0; r < rows; r++)
		for (int64_t k = 0; k < rank; k++)
			tensor_set(left, r * rank + k, eval_dot(w + r * hidden, lead + k * hidden, hidden));
	for (int64_t k = 0; k < rank; k++)
		for (int64_t i = 0; i < hidden; i++) {
			tensor_set(out, i * rank + k, lead[k * hidden + i]);
			tensor_set(in, k * hidden + i, lead[k * hidden + i]);
		}
	*factors = (Factors){graph_const(graph, table, left, table->origin),
		graph_const(graph, table, out, table->origin), graph_const(graph, table, in, table->origin)};
	free(w);
	free(lead);
}

/* embed %w, %ids -> linear(embed %w2, %ids) %v; linear %x, %w, %b -> linear (linear %x, %v'), %w2, %b */
static bool replace_use(Graph *graph, Node *node, const Factors *f, PassRun *run)
{
	Value *inner, *by = NULL, *old = node->results[0];
	if (node->op == OP_EMBED) {
		inner = graph_emit(
			graph, node, OP_EMBED, (Value *[]){f->table, node->args[1]}, 2, NULL, node->origin, run->diag);
		by = inner ? rewrite_value(graph, old, OP_LINEAR, (Value *[]){inner, f->out}, 2, NULL, run) : NULL;
	} else {
		inner = graph_emit(
			graph, node, OP_LINEAR, (Value *[]){node->args[0], f->in}, 2, NULL, node->origin, run->diag);
		Value *bias = node->nargs == 3 ? node->args[2] : NULL, *args[] = {inner, f->table, bias};
		by = inner ? rewrite_value(graph, old, OP_LINEAR, args, node->nargs, &node->attr, run) : NULL;
	}
	run->changes++;
	return by != NULL;
}

/* The table that ids index. NULL when there is none or more than one. */
static Node *find_table(const Graph *graph)
{
	Node *table = NULL;
	for (const Node *node = NULL; (node = graph_lookup(graph, 0, node));) {
		if (node->op != OP_EMBED || !value_is_const(node->args[0]))
			continue;
		if (table && table != node->args[0]->node)
			return NULL;
		table = node->args[0]->node;
	}
	return table;
}

/* The linear that widens the rows of a narrow table, after sums and a LayerNorm. NULL: there is none. */
static const Node *projection_of(const Graph *graph, const Value *rows)
{
	for (const Node *node = graph->first; node; node = node->next)
		for (int32_t i = 0; i < node->nargs; i++) {
			if (node->args[i] != rows)
				continue;
			if (node->op == OP_LINEAR && i == 0)
				return value_width(node->results[0]) > value_width(rows) ? node : NULL;
			if (node->op == OP_EMBED || node->op == OP_ADD || node->op == OP_LAYERNORM)
				return projection_of(graph, node->results[0]);
		}
	return NULL;
}

/* The beginning of a message about the table's size. */
static const char *table_has(const Graph *graph, const Node *table)
{
	const Node *wide = projection_of(graph, table->results[0]);
	if (!wide)
		return "the word table has";
	return mem_printf(graph->module->mem,
		"the word table is factorised already (%s widens its rows to %lld); it has",
		wide->origin ? wide->origin : "a linear", (long long)value_width(wide->results[0]));
}

/* True when a use can go through the factors. */
static bool use_fits(const Node *node, const Value *table)
{
	for (int32_t i = 0; i < node->nargs; i++)
		if (node->args[i] == table && !(node->op == OP_EMBED && i == 0)
			&& !(node->op == OP_LINEAR && i == 1 && !(node->attr.has & A_panel)))
			return false;
	return true;
}

bool pass_factorize_embeddings(Graph *graph, PassRun *run)
{
	Node *table = find_table(graph);
	const int64_t rank = pass_option_int(run, "rank", 0);
	double kept;
	Factors factors;
	if (rank == 0)
		return diag_error(
			run->diag, EXIT_USAGE, 0, "factorize-embeddings: give rank=N, the width of the smaller table");
	if (!table || table->data->type.rank != 2)
		return diag_error(run->diag, EXIT_UNSUPPORTED, 0,
			"factorize-embeddings: expected exactly one constant table indexed by %%ids");
	const int64_t rows = table->data->type.dim[0].plus, hidden = table->data->type.dim[1].plus;
	const bool tall = hidden < rows;
	if (!pass_option_fits(
			run, "rank", rank, tall ? hidden : rows, table_has(graph, table), tall ? "column" : "row"))
		return false;
	if (rank >= hidden || rank * (rows + hidden) >= rows * hidden) {
		pass_note(run, table, "rank %lld saves nothing for a table of %lld by %lld", (long long)rank,
			(long long)rows, (long long)hidden);
		return true;
	}
	Value *whole = table->results[0];
	for (const Node *node = graph->first; node; node = node->next)
		if (!use_fits(node, whole)) {
			pass_note(run, node, "the table stays: %s reads it and cannot read the factors",
				op_info[node->op].name);
			return true;
		}
	factorize(graph, table, rank, &factors, &kept);
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		bool reads = false;
		for (int32_t i = 0; i < node->nargs; i++)
			reads |= node->args[i] == whole;
		if (reads && !replace_use(graph, node, &factors, run))
			return false;
	}
	pass_note(run, factors.table->node, "rank %lld of %lld keeps %.2f %% of the sum of squares",
		(long long)rank, (long long)hidden, 100 * kept);
	graph_sweep(graph);
	return true;
}
