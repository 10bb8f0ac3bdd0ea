/* eval_recurrent.c: lstm and gru in double, as PyTorch defines them. */
#include <math.h>
#include <stdlib.h>
#include "eval.h"

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* Bias plus state times weights, of one gate of a unit. state NULL: zeros. Packed weights are
 * [panels][width][gates][panel]. */
static double gate_sum(const Node *node, const EvalArray *const *args, const double *state, int64_t width,
	int64_t gate, int64_t unit)
{
	const int64_t panel = node->attr.has & A_panel ? node->attr.panel : width, gates = args[2]->count / width,
				  at = (unit / panel * width * gates + gate) * panel + unit % panel;
	double sum = eval_at(args[2], gate * width + unit);
	for (int64_t k = 0; state && k < width; k++)
		sum += state[k] * eval_at(args[1], k * gates * panel + at);
	return sum;
}

static bool recur(const Node *node, const EvalArray *const *args, EvalArray *results)
{
	const bool back = (node->attr.has & A_reverse) && node->attr.reverse, lstm = node->op == OP_LSTM;
	const int64_t rows = args[0]->dim[0], columns = args[0]->dim[1], width = results[0].dim[1];
	double *cell = checked_calloc((size_t)width + 1, sizeof *cell), *state = NULL;
	for (int64_t t = 0; t < rows; t++) {
		const int64_t row = back ? rows - 1 - t : t;
		double *h = results[0].v + row * width;
		for (int64_t u = 0; u < width; u++) {
			double a[4] = {0}, s[4] = {0};
			for (int64_t g = 0; g * width < columns; g++) {
				a[g] = eval_at(args[0], row * columns + g * width + u);
				s[g] = gate_sum(node, args, state, width, g, u);
			}
			if (lstm) {
				cell[u] = sigmoid(a[1] + s[1]) * cell[u] + sigmoid(a[0] + s[0]) * tanh(a[2] + s[2]);
				h[u] = sigmoid(a[3] + s[3]) * tanh(cell[u]);
			} else {
				const double keep = sigmoid(a[1] + s[1]), value = tanh(a[2] + sigmoid(a[0] + s[0]) * s[2]);
				h[u] = (1 - keep) * value + (state ? keep * state[u] : 0);
			}
		}
		state = h;
	}
	free(cell);
	return true;
}

bool eval_LSTM(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	return recur(node, args, results);
}

bool eval_GRU(const Node *node, const EvalArray *const *args, EvalArray *results, Diag *diag)
{
	(void)diag;
	return recur(node, args, results);
}
