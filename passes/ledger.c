/* ledger.c: the record of a run, one row per pass. driver.c and pass_note fill it; it is printed as a table
 * or JSON. */
#include "passes.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A hostile graph must not fill the memory with reasons. */
enum { NOTES_MAX = 1000 };

void pass_note(PassRun *run, const Node *node, const char *format, ...)
{
	LedgerRow *row = run->row;
	if (!row || row->nnotes >= NOTES_MAX)
		return;
	va_list args;
	va_start(args, format);
	char value[264], *note = checked_vprintf(format, args);
	va_end(args);
	if (node && node->nresults) {
		char *text = note;
		value_print(node->results[0], value);
		note = node->origin ? checked_printf("%s (%s): %s", value, node->origin, text)
							: checked_printf("%s: %s", value, text);
		free(text);
	}
	row->notes = checked_grow(row->notes, &row->capacity, (size_t)row->nnotes + 1, sizeof *row->notes);
	row->notes[row->nnotes++] = note;
}

void pass_remark(const PassRun *run, const char *format, ...)
{
	if (run->env->quiet)
		return;
	va_list args;
	va_start(args, format);
	char *remark = checked_vprintf(format, args);
	va_end(args);
	diag_note(run->diag, 0, "%s: %s", run->item->text, remark);
	free(remark);
}

void ledger_free(Ledger *ledger)
{
	for (int32_t i = 0; i < ledger->count; i++) {
		LedgerRow *row = &ledger->rows[i];
		for (int32_t k = 0; k < row->nnotes; k++)
			free(row->notes[k]);
		free(row->notes);
		free((char *)(uintptr_t)row->pass);
	}
	free(ledger->rows);
	*ledger = (Ledger){0};
}

/* A row's figures. Figures that were not measured are dashes. */
static void row_print(const LedgerRow *row, const LedgerRow *before, bool measured, FILE *out)
{
	fprintf(out, "  %7d  %6d  %11lld  %12lld  %13lld  %10lld  %8.2f", row->changes, row->nodes,
		(long long)row->parameters, (long long)row->weight_bytes, (long long)row->macs,
		(long long)row->arena_bytes, row->ms);
	if (row->checked)
		fprintf(out, "  %9.2g  %11.9f", row->max_abs, row->cosine);
	else
		fprintf(out, "  %9s  %11s", "-", "-");
	if (measured && row->scored)
		fprintf(out, "  %7.4f  %+7.2f", row->score,
			before && before->scored ? 100 * (row->score - before->score) : 0);
	else if (measured)
		fprintf(out, "  %7s  %7s", "-", "-");
	if (measured && row->latency_ms > 0)
		fprintf(out, "  %8.3f  %+8.3f", row->latency_ms,
			before && before->latency_ms > 0 ? row->latency_ms - before->latency_ms : 0);
	else if (measured)
		fprintf(out, "  %8s  %8s", "-", "-");
	fputc('\n', out);
}

void ledger_print(const Ledger *ledger, FILE *out)
{
	int width = 5;
	bool measured = ledger->start.scored || ledger->start.latency_ms > 0;
	for (int32_t i = 0; i < ledger->count; i++)
		if ((int)strlen(ledger->rows[i].pass) > width)
			width = (int)strlen(ledger->rows[i].pass);
	fprintf(out, "%-*s  %7s  %6s  %11s  %12s  %13s  %10s  %8s  %9s  %11s%s\n", width, "pass", "changes",
		"nodes", "parameters", "weight bytes", "MACs at 128", "arena", "ms", "max abs", "cosine",
		measured ? "    score   points  ms/text    change" : "");
	const LedgerRow *before = &ledger->start;
	fprintf(out, "%-*s", width, "input");
	row_print(before, NULL, measured, out);
	for (int32_t i = 0; i < ledger->count; i++) {
		const LedgerRow *row = &ledger->rows[i];
		fprintf(out, "%-*s", width, row->pass);
		row_print(row, before, measured, out);
		for (int32_t k = 0; k < row->nnotes; k++)
			fprintf(out, "    %s\n", row->notes[k]);
		before = row;
	}
}

static json_t *row_json(const LedgerRow *row)
{
	json_t *notes = json_array();
	for (int32_t i = 0; i < row->nnotes; i++) {
		json_t *note = json_string(row->notes[i]);
		json_array_append_new(notes, note ? note : json_string("(a name that is not UTF-8)"));
	}
	json_t *json = json_pack("{s:s, s:i, s:i, s:I, s:I, s:I, s:I, s:f}", "pass", row->pass ? row->pass : "",
		"changes", row->changes, "nodes", row->nodes, "parameters", (json_int_t)row->parameters,
		"weight_bytes", (json_int_t)row->weight_bytes, "macs_128", (json_int_t)row->macs, "arena_bytes",
		(json_int_t)row->arena_bytes, "ms", row->ms);
	if (row->checked) {
		json_object_set_new(json, "max_abs", json_real(row->max_abs));
		json_object_set_new(json, "cosine", json_real(row->cosine));
	}
	if (row->scored)
		json_object_set_new(json, "score", json_real(row->score));
	if (row->latency_ms > 0)
		json_object_set_new(json, "latency_ms", json_real(row->latency_ms));
	json_object_set_new(json, "notes", notes);
	return json;
}

char *ledger_json(const Ledger *ledger)
{
	json_t *rows = json_array();
	for (int32_t i = 0; i < ledger->count; i++)
		json_array_append_new(rows, row_json(&ledger->rows[i]));
	json_t *json = json_pack("{s:o, s:o}", "start", row_json(&ledger->start), "passes", rows);
	char *text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	return text;
}
