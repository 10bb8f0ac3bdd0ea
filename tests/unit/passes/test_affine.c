/* test_affine.c: passes insert an affine function of rows at several places, and the graph computes it. Also:
 * the probe of elastic_net.h is at its minimum. */
#include "tests/unit/suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compiler/measure/elastic_net.h"
#include "passes/whittle/affine.h"
#include "passes/whittle/statistics.h"

enum { WIDTH = 4, TOKENS = 3 };

#define HEAD \
	"module @m\ngraph @main(%ids: i32[S]) level=graph {\n  %t = const rand(1) : f32[9,4]\n  %w = const " \
	"rand(2) : f32[4,4]\n" \
	"  %b = const rand(3) : f32[4]\n  %g = const rand(4) : f32[4]\n  %x = embed %t, %ids : f32[S,4]\n"

/* The rows of output k for the ids 1, 5, 7. */
static void eval_rows(Module *module, int k, double *rows)
{
	Diag diag;
	EvalArray out[2] = {{0}};
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE_FATAL(module_verify(module, &diag));
	CU_ASSERT_TRUE_FATAL(
		graph_eval_ids(module->graphs[0], (const int32_t[]){1, 5, 7}, NULL, TOKENS, out, &diag));
	for (int64_t i = 0; i < out[k].count; i++)
		rows[i] = eval_at(&out[k], i);
	for (int i = 0; i < module->graphs[0]->noutputs; i++)
		eval_array_free(&out[i]);
	diag_free(&diag);
}

static void apply_by_hand(const Affine *f, double *row)
{
	double y[WIDTH];
	for (int i = 0; i < WIDTH; i++) {
		y[i] = f->scale ? row[i] * f->scale[i] : row[i];
		for (int r = 0; f->basis && r < f->rank; r++)
			for (int k = 0; k < WIDTH; k++)
				y[i] -= f->basis[r * WIDTH + i] * f->basis[r * WIDTH + k] * row[k];
	}
	for (int i = 0; i < WIDTH; i++)
		row[i] = y[i] + f->shift[i];
}

/* Applies f to the value that the graph returns as "at", and compares the first output with f of it, or with
 * a linear of f of it. Removes the output "at", unless the first output is named "kept". */
static void check(const char *body, const Affine *f, const char *where, bool then_linear)
{
	char text[2048];
	Diag diag;
	double before[16] = {0}, after[16] = {0}, w[16], b[4];
	diag_init(&diag, NULL);
	snprintf(text, sizeof text, "%s%s", HEAD, body);
	Module *module = module_parse(text, strlen(text), ".", NULL, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	Graph *graph = module->graphs[0];
	Value *value = graph->outputs[1].value;
	eval_rows(module, 1, before);
	const int rows = value->type.rank == 2 ? TOKENS : 1;
	for (const Node *node = graph->first; node; node = node->next)
		for (int i = 0; node->op == OP_CONST && i < 16; i++) {
			if (!strcmp(node->results[0]->name, "w"))
				w[i] = tensor_at(node->data, i);
			if (!strcmp(node->results[0]->name, "b") && i < 4)
				b[i] = tensor_at(node->data, i);
		}
	if (strcmp(graph->outputs[0].name, "kept") != 0)
		graph->noutputs = 1;
	LedgerRow ledger = {0};
	PassRun run = {.diag = &diag, .row = &ledger};
	CU_ASSERT_TRUE(affine_apply(graph, value, f, &run));
	CU_ASSERT_EQUAL(run.changes, 1);
	CU_ASSERT_TRUE_FATAL(ledger.nnotes == 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(ledger.notes[0], where));
	eval_rows(module, 0, after);
	for (int r = 0; r < rows; r++) {
		double *row = before + r * WIDTH;
		apply_by_hand(f, row);
		for (int i = 0; i < WIDTH; i++) {
			double want = row[i];
			if (then_linear) {
				want = b[i];
				for (int k = 0; k < WIDTH; k++)
					want += w[i * WIDTH + k] * row[k];
			}
			CU_ASSERT_DOUBLE_EQUAL(after[r * WIDTH + i], want, 1e-6);
		}
	}
	for (int32_t i = 0; i < ledger.nnotes; i++)
		free(ledger.notes[i]);
	free(ledger.notes);
	module_free(module);
	diag_free(&diag);
}

static void test_affine(void)
{
	static const double scale[] = {2, -0.5, 0, 3}, grows[] = {2, 0.5, 0, 3}, shift[] = {0.1, 0.2, -0.3, 4};
	static const double basis[] = {0.6, 0.8, 0, 0, 0, 0, 0.8, -0.6};
	const Affine diagonal = {.width = WIDTH, .scale = scale, .shift = shift};
	const Affine upwards = {.width = WIDTH, .scale = grows, .shift = shift};
	const Affine projection = {.width = WIDTH, .basis = basis, .rank = 2, .shift = shift};
	const Affine *const both[] = {&diagonal, &projection};
	static const char norm[] = "  %h = layernorm %x, %g, %b {eps=0} : f32[S,4]\n";
	char text[512];
	for (int i = 0; i < 2; i++) {
		check("  %h = linear %x, %w, %b : f32[S,4]\n  return y=%h, at=%h\n}\n", both[i],
			"linear that computes", false);
		check("  %h = linear %x, %w : f32[S,4]\n  return y=%h, at=%h\n}\n", both[i], "linear that computes",
			false);
		check("  %h = tanh %x : f32[S,4]\n  %y = linear %h, %w, %b : f32[S,4]\n  return y=%y, at=%h\n}\n",
			both[i], "linears that read", true);
		check("  %h = tanh %x : f32[S,4]\n  %y = linear %h, %w, %b : f32[S,4]\n  return kept=%y, at=%h\n}\n",
			both[i], "separate ops", true);
		check("  %h = tanh %x : f32[S,4]\n  return y=%h, at=%h\n}\n", both[i], "separate ops", false);
		check("  %h = linear %x, %w : f32[S,4]\n  %p = pool %h {mode=mean} : f32[4]\n  return y=%p, "
			  "at=%p\n}\n",
			both[i], "linear that computes", false);
		check("  %h = linear %x, %w : f32[S,4]\n  %p = pool %h {mode=mean_sqrt} : f32[4]\n  return y=%p, "
			  "at=%p\n}\n",
			both[i], "separate ops", false);
		check("  %h = linear %x, %w : f32[S,4]\n  %p = pool %h {mode=max} : f32[4]\n  return y=%p, "
			  "at=%p\n}\n",
			both[i], "separate ops", false);
	}
	snprintf(text, sizeof text, "%s  return y=%%h, at=%%h\n}\n", norm);
	check(text, &diagonal, "gamma and beta", false);
	check(text, &projection, "separate ops", false);
	snprintf(text, sizeof text, "%s  %%p = pool %%h {mode=max} : f32[4]\n  return y=%%p, at=%%p\n}\n", norm);
	check(text, &upwards, "gamma and beta", false);
}

static void test_eigen(void)
{
	double m[9] = {2, 1, 0, 1, 2, 0, 0, 0, 0.5}, share;
	double *v = eigen_leading(m, 3, 2, &share);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_DOUBLE_EQUAL(fabs(v[0] + v[1]), sqrt(2), 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(fabs(v[3] - v[4]), sqrt(2), 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(share, 4 / 4.5, 1e-12);
	free(v);
}

/* Rows whose class depends on two of five columns. */
enum { ROWS = 60, COLUMNS = 5, CLASSES = 3 };

static double objective(const ElasticNet *net, const double *w, const double *b)
{
	double sum = 0;
	for (int r = 0; r < net->rows; r++) {
		double total = 0, gold = 0;
		for (int k = 0; k < net->classes; k++) {
			double score = b[k];
			for (int i = 0; i < net->width; i++)
				score += w[k * net->width + i] * (double)net->x[r * net->width + i];
			total += exp(score);
			gold = k == net->y[r] ? score : gold;
		}
		sum += (log(total) - gold) / net->rows;
	}
	for (int i = 0; i < net->width * net->classes; i++)
		sum += net->l1 * fabs(w[i]) + net->l2 * w[i] * w[i];
	return sum;
}

static void test_elastic_net(void)
{
	float x[ROWS * COLUMNS];
	int32_t y[ROWS];
	uint32_t state = 1;
	for (int i = 0; i < ROWS * COLUMNS; i++) {
		state = state * 1664525 + 1013904223;
		x[i] = (float)(int32_t)state / 2147483648.0f;
	}
	for (int r = 0; r < ROWS; r++) {
		const int32_t other = x[r * COLUMNS + 1] > 0 ? 1 : 2;
		y[r] = x[r * COLUMNS] > 0.2f ? 0 : other;
	}
	for (int strong = 0; strong < 3; strong++) {
		double w[COLUMNS * CLASSES] = {0}, b[CLASSES] = {0};
		const ElasticNet net = {ROWS, COLUMNS, CLASSES, x, y, (const double[]){0.01, 10, 0}[strong], 0.02};
		ElasticFit fit = {.weight = w, .bias = b};
		CU_ASSERT_TRUE(elastic_net_fit(&net, &fit));
		CU_ASSERT_DOUBLE_EQUAL(fit.objective, objective(&net, w, b), 1e-12);
		CU_ASSERT_TRUE(fit.violation < 1e-5);
		for (int i = 0; i < COLUMNS * CLASSES; i++) {
			const double old = w[i];
			for (int step = -1; step <= 1; step += 2) {
				w[i] = old + step * 1e-3;
				CU_ASSERT_TRUE(objective(&net, w, b) > fit.objective);
			}
			w[i] = old;
			CU_ASSERT_TRUE(strong != 1 || old == 0);
		}
		bool keep[COLUMNS] = {false};
		int32_t right = 0, most = 0;
		for (int r = 0; r < ROWS; r++)
			right += elastic_net_predict(&net, &fit, x + r * COLUMNS, NULL) == y[r];
		for (int k = 1; k < CLASSES; k++)
			most = b[k] > b[most] ? k : most;
		CU_ASSERT_TRUE(strong == 1 || right > ROWS * 8 / 10);
		CU_ASSERT_EQUAL(elastic_net_predict(&net, &fit, x, keep), most);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"affine functions of rows", test_affine},
		{"leading eigenvectors", test_eigen},
		{"elastic net", test_elastic_net},
	};
	return SUITE_RUN("affine", tests);
}
