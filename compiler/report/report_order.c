/* report_order.c: `bertc report order`: does the order of compression operators matter, and do their
 * effects add up? Builds every pair in both orders. Compares the sum of the single effects with the
 * measured effect of each pair and of all operators together. Some pairs have only one order: for
 * example, quantize-int8 runs after fusion and pruning before it. Such a pair in the other order is
 * refused or gives the same pipeline. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "report.h"
#include "compiler/support/json_file.h"

enum { OPERATORS_MAX = 8, ROWS_MAX = 1 + OPERATORS_MAX + OPERATORS_MAX * (OPERATORS_MAX - 1) + 1 };

typedef struct Pair {
	int a, b, forth, back;
} Pair; /* a, b: operators; forth, back: rows in the table; back -1: there is no other order */

typedef struct Order {
	Report report;
	Pipeline *operators;
	Measured rows[ROWS_MAX]; /* plain, each operator, pairs, all */
	Pair pairs[OPERATORS_MAX * (OPERATORS_MAX - 1) / 2];
	int nrows, npairs;
} Order;

/* The pipeline of two operators, malloc'd. */
static char *pair_text(const Order *o, int a, int b)
{
	PassItem items[] = {o->operators->items[a], o->operators->items[b]};
	return pipeline_text(&(Pipeline){.items = items, .count = 2});
}

/* The complete pipeline for these passes, malloc'd; NULL: refused. */
static char *comes_to(const char *passes)
{
	Diag ignored;
	diag_init(&ignored, NULL);
	Pipeline *pipeline = pipeline_parse(passes, &ignored);
	const bool good = pipeline && pipeline_complete(pipeline, 2, &ignored);
	char *whole = good ? pipeline_text(pipeline) : NULL;
	pipeline_free(pipeline);
	diag_free(&ignored);
	return whole;
}

/* True if the two orders give two different pipelines. */
static bool has_two_orders(const char *forth, const char *back)
{
	char *one = comes_to(forth), *other = comes_to(back);
	const bool two = one && other && strcmp(one, other) != 0;
	free(one);
	free(other);
	return two;
}

static int measure_row(Order *o, char *passes)
{
	Measured *row = &o->rows[o->nrows];
	const bool good = report_measure(&o->report, o->report.options->build.load.model, passes, row);
	o->nrows++;
	return good ? o->nrows - 1 : -1;
}

static bool measure_pair(Order *o, int a, int b)
{
	char *forth = pair_text(o, a, b);
	char *back = pair_text(o, b, a);
	Pair *pair = &o->pairs[o->npairs++];
	const bool both = has_two_orders(forth, back);
	char *ordered = comes_to(forth);
	if (!ordered) { /* refused, so the other order is the only one */
		char *swap = forth;
		forth = back;
		back = swap;
	}
	free(ordered);
	*pair = (Pair){a, b, measure_row(o, forth), -1};
	if (pair->forth >= 0 && both)
		pair->back = measure_row(o, back);
	else
		free(back);
	return pair->forth >= 0 && (!both || pair->back >= 0);
}

static bool measure_all(Order *o)
{
	const int n = o->operators->count;
	for (int i = 0; i < n; i++)
		if (measure_row(o, checked_strdup(o->operators->items[i].text)) < 0)
			return false;
	for (int a = 0; a < n; a++)
		for (int b = a + 1; b < n; b++)
			if (!measure_pair(o, a, b))
				return false;
	return n < 3 || measure_row(o, checked_strdup(o->report.options->operators)) >= 0;
}

/* ---- output ---------------------------------------------------------------------------------- */

static Change sum_of(const Order *o, const int *operators, int n)
{
	Change sum = {0};
	for (int i = 0; i < n; i++)
		sum = change_sum(sum, report_change(&o->rows[1 + operators[i]], &o->rows[0]), 1);
	return sum;
}

static Change sum_of_all(const Order *o)
{
	int all[OPERATORS_MAX];
	for (int i = 0; i < o->operators->count; i++)
		all[i] = i;
	return sum_of(o, all, o->operators->count);
}

static void print_orders(const Order *o)
{
	double largest = 0;
	int both = 0;
	printf("\n%-72s %8s %8s %8s %10s %9s %9s\n", "pair", "score", "reversed", "points", "loss", "MB",
		"reversed");
	for (int i = 0; i < o->npairs; i++) {
		const Pair *pair = &o->pairs[i];
		const Measured *forth = &o->rows[pair->forth], *back = pair->back < 0 ? NULL : &o->rows[pair->back];
		printf("%-72s %8.4f ", forth->passes, forth->score.value);
		if (!back) {
			printf("%8s\n", "only one order");
			continue;
		}
		const double points = 100 * (back->score.value - forth->score.value);
		printf("%8.4f  %+8.2f %+10.5f %9.2f %9.2f\n", back->score.value, points,
			back->score.loss - forth->score.loss, 1e-6 * (double)forth->bytes, 1e-6 * (double)back->bytes);
		largest = fabs(points) > largest ? fabs(points) : largest;
		both++;
	}
	printf("%d of %d pairs have two orders; the largest difference between two orders is %.2f points (one "
		   "text: %.2f).\n",
		both, o->npairs, largest, 100.0 / o->report.rows);
}

static void print_sums(const Order *o)
{
	printf(
		"\n%-44s %8s %8s %8s  %-8s %9s %8s %9s %8s\n", "", "points", "", "", "", "smaller", "", "faster", "");
	printf("%-44s %8s %8s %8s  %-8s %9s %8s %9s %8s\n", "together", "summed", "measured", "beyond", "",
		"product", "measured", "product", "measured");
	for (int i = 0; i < o->npairs; i++) {
		const Pair *pair = &o->pairs[i];
		char name[128];
		snprintf(name, sizeof name, "%.21s + %.20s", pass_info[o->operators->items[pair->a].pass].name,
			pass_info[o->operators->items[pair->b].pass].name);
		report_print_sum(name, sum_of(o, (int[]){pair->a, pair->b}, 2),
			report_change(&o->rows[pair->forth], &o->rows[0]), &o->report);
	}
	if (o->operators->count > 2)
		report_print_sum(
			"all operators", sum_of_all(o), report_change(&o->rows[o->nrows - 1], &o->rows[0]), &o->report);
}

static void print_table(const Order *o)
{
	printf("%s on %s: %d rows\n%-72s %8s %8s %9s %8s %9s %8s\n", o->report.options->build.load.model,
		o->report.options->data, o->report.rows, "operator", "score", "points", "MB", "smaller", "ms",
		"faster");
	for (int i = 0; i <= o->operators->count; i++) {
		printf("%-72s ", i ? o->rows[i].passes : "none");
		report_print_figures(&o->rows[i], &o->rows[0]);
	}
	print_orders(o);
	print_sums(o);
	report_print_commands(&o->report, o->rows, o->nrows);
}

static void print_json(const Order *o)
{
	json_t *list = json_array(), *pairs = json_array();
	for (int i = 0; i < o->nrows; i++)
		json_array_append_new(list, report_json(i ? o->rows[i].passes : "none", &o->rows[i], &o->rows[0]));
	for (int i = 0; i < o->npairs; i++) {
		const Pair *pair = &o->pairs[i];
		json_t *row = json_pack("{s:i, s:i, s:i, s:o, s:o, s:o}", "a", 1 + pair->a, "b", 1 + pair->b, "build",
			pair->forth, "other", pair->back < 0 ? json_null() : json_integer(pair->back), "summed",
			change_json(sum_of(o, (int[]){pair->a, pair->b}, 2)), "measured",
			change_json(report_change(&o->rows[pair->forth], &o->rows[0])));
		json_array_append_new(pairs, row);
	}
	json_t *all = json_pack("{s:s, s:i, s:i, s:o, s:o}", "report", "order", "rows", o->report.rows, "seq",
		o->report.seq, "builds", list, "pairs", pairs);
	if (o->operators->count > 2)
		json_object_set_new(all, "all",
			json_pack("{s:o, s:o}", "summed", change_json(sum_of_all(o)), "measured",
				change_json(report_change(&o->rows[o->nrows - 1], &o->rows[0]))));
	json_print(all, JSON_REAL_PRECISION(9));
	json_decref(all);
}

static bool read_operators(Order *o, const ReportOptions *options, Diag *diag)
{
	o->operators = pipeline_parse(options->operators, diag);
	if (!o->operators)
		return false;
	if (o->operators->count < 2 || o->operators->count > OPERATORS_MAX)
		return diag_error(diag, EXIT_USAGE, 0, "--operators=%s: expected 2 to %d passes", options->operators,
			OPERATORS_MAX);
	return pipeline_is_recipe(o->operators)
		|| diag_error(diag, EXIT_USAGE, 0,
			"--operators=%s: expected passes that change the model; leave out passes that every build runs",
			options->operators);
}

int report_order(const ReportOptions *options, Diag *diag)
{
	Order *o = checked_calloc(1, sizeof *o);
	if (!read_operators(o, options, diag)) {
		pipeline_free(o->operators);
		free(o);
		return EXIT_RUN;
	}
	const int n = o->operators->count;
	bool good = report_open(&o->report, options, &o->rows[0], diag);
	o->nrows = 1;
	o->report.of = 1 + n + n * (n - 1) + (n > 2);
	good = good && measure_all(o);
	report_close(&o->report);
	if (good && options->json)
		print_json(o);
	else if (good)
		print_table(o);
	for (int i = 0; i < o->nrows; i++)
		free(o->rows[i].passes);
	pipeline_free(o->operators);
	free(o);
	return good ? EXIT_DONE : EXIT_RUN;
}
