/* report_eight.c: `bertc report eight`: quantisation, distillation and pruning in all eight combinations, a
 * full 2x2x2 design. Prints its table and the interaction terms: how each combination differs from the sum of
 * its parts (Box, Hunter, Hunter, "Statistics for Experimenters", 1978, chapter 10). Distillation is a
 * student model that the user has trained; the other two are pipelines. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "report.h"
#include "compiler/support/json_file.h"

enum { QUANTIZED = 1, DISTILLED = 2, PRUNED = 4, EIGHT = 8 };

/* The name of a combination: "quantised + pruned". */
static const char *name_of(int set)
{
	static const char *const names[EIGHT] = {"plain", "quantised", "distilled", "quantised + distilled",
		"pruned", "quantised + pruned", "distilled + pruned", "quantised + distilled + pruned"};
	return names[set];
}

static char *passes_of(const ReportOptions *o, int set)
{
	const char *prune = set & PRUNED ? o->prune : "", *quantize = set & QUANTIZED ? o->quantize : "";
	if (!*prune && !*quantize)
		return NULL;
	return checked_printf("%s%s%s", prune, *prune && *quantize ? "," : "", quantize);
}

static bool measure_all(Report *r, Measured rows[EIGHT])
{
	const ReportOptions *o = r->options;
	for (int set = 1; set < EIGHT; set++)
		if (!report_measure(
				r, set & DISTILLED ? o->student : o->build.load.model, passes_of(o, set), &rows[set]))
			return false;
	return true;
}

/* The sum of the changes by each part of a combination alone. */
static Change parts_of(const Measured rows[EIGHT], int set)
{
	Change sum = {0};
	for (int part = 1; part < EIGHT; part *= 2)
		if (set & part)
			sum = change_sum(sum, report_change(&rows[part], &rows[0]), 1);
	return sum;
}

/* The interaction of the highest order: the alternating sum over all subsets of a combination. */
static Change interaction_of(const Measured rows[EIGHT], int set)
{
	Change sum = {0};
	for (int sub = 0; sub < EIGHT; sub++)
		if ((sub & set) == sub)
			sum = change_sum(
				sum, report_change(&rows[sub], &rows[0]), __builtin_popcount(set ^ sub) % 2 ? -1 : 1);
	return sum;
}

static void print_table(const Report *r, const Measured rows[EIGHT])
{
	printf("%s on %s: %d rows; student %s\n%-32s %8s %8s %9s %8s %9s %8s\n", r->options->build.load.model,
		r->options->data, r->rows, r->options->student, "", "score", "points", "MB", "smaller", "ms",
		"faster");
	for (int set = 0; set < EIGHT; set++) {
		printf("%-32s ", name_of(set));
		report_print_figures(&rows[set], &rows[0]);
	}
	printf(
		"\n%-44s %8s %8s %8s  %-8s %9s %8s %9s %8s\n", "", "points", "", "", "", "smaller", "", "faster", "");
	printf("%-44s %8s %8s %8s  %-8s %9s %8s %9s %8s\n", "combination", "of parts", "measured", "beyond", "",
		"of parts", "measured", "of parts", "measured");
	for (int set = 1; set < EIGHT; set++)
		if (set & (set - 1))
			report_print_sum(name_of(set), parts_of(rows, set), report_change(&rows[set], &rows[0]), r);
	const Change three = interaction_of(rows, EIGHT - 1);
	printf("Three-way interaction (not explained by pairs): %+.2f points, %.2fx smaller, %.2fx "
		   "faster. One text is %.2f points.\n",
		three.points, exp(-three.size), exp(-three.time), 100.0 / r->rows);
	report_print_commands(r, rows, EIGHT);
}

static void print_json(const Report *r, const Measured rows[EIGHT])
{
	json_t *list = json_array(), *terms = json_array();
	for (int set = 0; set < EIGHT; set++)
		json_array_append_new(list, report_json(name_of(set), &rows[set], &rows[0]));
	for (int set = 1; set < EIGHT; set++)
		if (set & (set - 1))
			json_array_append_new(terms,
				json_pack("{s:s, s:o, s:o, s:o}", "name", name_of(set), "parts",
					change_json(parts_of(rows, set)), "measured",
					change_json(report_change(&rows[set], &rows[0])), "interaction",
					change_json(interaction_of(rows, set))));
	json_t *all = json_pack("{s:s, s:i, s:i, s:o, s:o}", "report", "eight", "rows", r->rows, "seq", r->seq,
		"builds", list, "combinations", terms);
	json_print(all, JSON_REAL_PRECISION(9));
	json_decref(all);
}

int report_eight(const ReportOptions *options, Diag *diag)
{
	Report report;
	Measured rows[EIGHT] = {0};
	bool good = report_open(&report, options, &rows[0], diag);
	report.of = EIGHT;
	good = good && measure_all(&report, rows);
	report_close(&report);
	if (good && options->json)
		print_json(&report, rows);
	else if (good)
		print_table(&report, rows);
	for (int set = 0; set < EIGHT; set++)
		free(rows[set].passes);
	return good ? EXIT_DONE : EXIT_RUN;
}
