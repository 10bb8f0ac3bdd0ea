/* cmd_inspect.c: `bertc inspect MODEL --passes=P -o report.html`: builds the model as `build` would, observes
 * each pass, and writes a page. inspect_layers.c and inspect_measure.c observe; inspect_page.c writes the
 * file. */
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "compiler/report/inspect.h"

typedef struct InspectOptions {
	BuildOptions build;
	const char *data, *conll;
	int limit, conll_limit;
	bool no_latency;
} InspectOptions;

static void set_limit(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	InspectOptions *o = options;
	o->conll_limit = (int)option_number(option, text, state);
	o->limit = o->conll_limit;
}

static const CommandOption table[] = {
	{"data", "FILE",
		"labelled data, as for `bertc eval`: score and time the model after each pass, and show attention "
		"on its texts; with early-exit, show score and time by threshold",
		INTO(InspectOptions, data)},
	{"conll", "FILE",
		"words and their tags: show how well the neurons of each layer predict the tags, as `bertc "
		"rank-neurons` does",
		INTO(InspectOptions, conll)},
	{"limit", "N", "only the first N rows of each file (default 500; for --conll 150)", OPTION_INT, 0, 1,
		1 << 30, .call = set_limit},
	{"no-latency", NULL, "do not time the model, so that the page is the same every time",
		INTO(InspectOptions, no_latency)},
	{0},
};

static void check(void *options, struct argp_state *state)
{
	const InspectOptions *o = options;
	if (!o->build.result.out)
		argp_error(state, "no result: give -o REPORT.html");
	else if (o->build.result.emit != EMIT_EXE)
		argp_error(state, "--emit is only for `bertc build`; inspect writes a page");
}

/* ---- columns: the IR after each pass --------------------------------------------------------- */

typedef struct Inspector {
	const InspectOptions *options;
	Loaded *loaded;
	Measurer measurer;
	json_t *columns;
	char *text;    /* the IR of the last column */
	Module *exits; /* the last measured model, if it has early exits */
	int32_t passes;
} Inspector;

/* A pass that does not change the IR joins the last column. */
static void add_column(Inspector *in, const Module *module, const char *pass)
{
	char *text = module_text(module, &(PrintOptions){.elide_constants = true});
	json_t *column = in->text && strcmp(in->text, text) == 0
		? json_array_get(in->columns, json_array_size(in->columns) - 1)
		: NULL;
	if (!column) {
		column = json_pack("{s:[], s:o}", "passes", "lines", page_lines(text));
		json_array_append_new(in->columns, column);
	}
	json_array_append_new(
		json_object_get(column, "passes"), pass ? json_integer(in->passes) : json_integer(-1));
	free(in->text);
	in->text = text;
}

static bool after_pass(void *argument, LedgerRow *row, Module *module, Diag *diag)
{
	Inspector *in = argument;
	add_column(in, module, row->pass);
	const bool good = measure_row(&in->measurer, row, module, diag);
	if (in->measurer.data && module->graphs[0]->level != LEVEL_LOWERED
		&& module_find_option(module, "exit_entropy") >= 0) {
		module_free(in->exits);
		in->exits = module_copy(module);
	}
	in->passes++;
	return good;
}

/* ---- panels ---------------------------------------------------------------------------------- */

static const char *leaf(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	if (slash && slash[1])
		return slash + 1;
	return path ? path : "";
}

/* The ledger without the run times of passes: these differ between builds and are not about the model. */
static json_t *ledger_panel(const Ledger *ledger, const char *metric)
{
	char *text = ledger_json(ledger);
	json_t *json = json_loads(text, 0, NULL), *row;
	size_t i;
	json_object_del(json_object_get(json, "start"), "ms");
	json_array_foreach(json_object_get(json, "passes"), i, row)
	{
		char *pass = checked_strdup(json_string_value(json_object_get(row, "pass")));
		json_object_del(row, "ms");
		pipeline_hide_folders(pass);
		json_object_set_new(row, "pass", json_string(pass));
		json_object_set_new(row, "lossy", json_boolean(false));
		for (int32_t k = 0; k < pass_count; k++) {
			const size_t n = strlen(pass_info[k].name);
			if (strncmp(pass, pass_info[k].name, n) == 0 && (!pass[n] || pass[n] == '{')) {
				json_object_set_new(row, "lossy", json_boolean(pass_info[k].flags & PASS_NUMBERS));
				json_object_set_new(row, "doc", json_string(pass_info[k].doc));
			}
		}
		free(pass);
	}
	if (metric)
		json_object_set_new(json, "metric", json_string(metric));
	free(text);
	return json;
}

/* The part of the emitted C that is specific to this model: the wrappers and the function of each CPU,
 * without kernels and runtime. */
static json_t *code_panel(const char *path, const char *name, Diag *diag)
{
	size_t bytes;
	char *text = file_read(path, (size_t)1 << 30, &bytes, diag);
	if (!text)
		return NULL;
	json_t *functions = json_array();
	char *start = NULL, mark[96];
	snprintf(mark, sizeof mark, "static void %s_graph_", name);
	for (char *at = text; (start = strstr(at, mark));) {
		char *end = strstr(start, "\n}\n");
		if (!end)
			break;
		end[2] = '\0';
		json_array_append_new(functions, page_lines(start));
		at = end + 3;
	}
	json_t *panel = json_pack("{s:o, s:I}", "functions", functions, "bytes", (json_int_t)bytes);
	free(text);
	return panel;
}

static json_t *model_panel(
	const InspectOptions *o, const Module *module, const Pipeline *pipeline, const Dataset *data)
{
	Target target;
	Diag ignored;
	diag_init(&ignored, NULL);
	const bool known = target_find(o->build.result.target, o->build.result.cpu, &target, &ignored);
	diag_free(&ignored);
	json_t *meta = json_object(), *heads = json_array();
	for (int32_t i = 0; i < module->nmeta; i++)
		json_object_set_new(
			meta, module->meta[i].key, page_string(module->meta[i].value, strlen(module->meta[i].value)));
	for (int32_t i = 0; i < module->nheads; i++) {
		const Head *head = &module->heads[i];
		json_t *labels = json_array();
		for (int32_t k = 0; k < head->nlabels && k < 100; k++)
			json_array_append_new(labels, page_string(head->labels[k], strlen(head->labels[k])));
		json_array_append_new(heads,
			json_pack("{s:o, s:s, s:o}", "name", page_string(head->name, strlen(head->name)), "task",
				task_names[head->task], "labels", labels));
	}
	char *hidden = pipeline_text(pipeline);
	if (hidden)
		pipeline_hide_folders(hidden);
	int rows = 0;
	if (data)
		rows = o->limit < data->nrows ? o->limit : data->nrows;
	json_t *panel = json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:i, s:s}", "name",
		page_string(module->name, strlen(module->name)), "bertc", BERTC_VERSION, "target",
		known ? target.triple : "", "cpu", known ? target.cpu : "", "pipeline",
		page_string(hidden ? hidden : "", strlen(hidden ? hidden : "")), "meta", meta, "heads", heads, "rows",
		rows, "data", "");
	if (o->data)
		json_object_set_new(panel, "data", page_string(leaf(o->data), strlen(leaf(o->data))));
	free(hidden);
	return panel;
}

/* Panels for the model before any pass. */
static bool add_observed(const Inspector *in, json_t *panels, Diag *diag)
{
	const InspectOptions *o = in->options;
	const Samples samples = samples_take(in->measurer.data, o->data, o->limit, in->loaded->mem);
	json_t *layers = inspect_layers(&o->build, in->loaded, &samples, diag);
	json_t *neurons = layers && o->conll
		? inspect_neurons(&o->build, in->loaded, o->conll, o->conll_limit, diag)
		: NULL;
	if (layers)
		json_object_set_new(panels, "layers", layers);
	if (neurons) {
		json_object_set_new(neurons, "data", page_string(leaf(o->conll), strlen(leaf(o->conll))));
		json_object_set_new(panels, "neurons", neurons);
	}
	return layers && (neurons || !o->conll);
}

/* The effect of the threshold, for models with early exits. */
static bool add_exits(Inspector *in, json_t *panels, Diag *diag)
{
	json_t *curve = NULL;
	const bool good = !in->exits || measure_curve(&in->measurer, in->exits, &curve, diag);
	if (curve)
		json_object_set_new(panels, "exits", curve);
	return good;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool write_page(const char *path, const json_t *panels, const char *title, Diag *diag)
{
	AtomicFile file;
	if (!atomic_open(&file, path, diag))
		return false;
	page_write(panels, title, file.stream);
	return atomic_commit(&file, diag);
}

/* Builds C in a temporary directory with the hooks of inspect. Fills ledger, columns and code of panels. */
static bool build_watched(Inspector *in, const char *directory, json_t *panels, Ledger *ledger, Diag *diag)
{
	BuildOptions build = in->options->build;
	char *path = checked_printf("%s/model.c", directory);
	build.result.emit = EMIT_C;
	build.result.out = path;
	build.result.name = "model";
	build.quiet = true;
	build.run.driver.check_each = true;
	build.run.driver.after = after_pass;
	build.run.driver.after_arg = in;
	bool good = build_loaded(&build, in->loaded, ledger, diag);
	json_t *code = good ? code_panel(path, "model", diag) : NULL;
	if (code) {
		json_object_set_new(panels, "ledger", ledger_panel(ledger, in->measurer.metric));
		json_object_set(panels, "columns", in->columns);
		json_object_set_new(panels, "code", code);
	}
	free(path);
	return code != NULL;
}

static bool inspect_model(const InspectOptions *o, Loaded *loaded, const Dataset *data, Diag *diag)
{
	Ledger ledger = {0};
	Inspector in = {.options = o,
		.loaded = loaded,
		.columns = json_array(),
		.measurer = {.options = &o->build,
			.loaded = loaded,
			.data = data,
			.path = o->data,
			.limit = o->limit,
			.timed = !o->no_latency}};
	Pipeline *pipeline = build_pipeline(&o->build, loaded, diag);
	char *directory = pipeline ? temporary_directory(diag) : NULL;
	json_t *panels = json_object();
	if (directory) {
		in.measurer.tail = measure_tail(pipeline);
		add_column(&in, loaded->module, NULL);
	}
	bool good = directory && measure_row(&in.measurer, &ledger.start, loaded->module, diag);
	if (good)
		json_object_set_new(panels, "model", model_panel(o, loaded->module, pipeline, data));
	good = good && add_observed(&in, panels, diag) && build_watched(&in, directory, panels, &ledger, diag)
		&& add_exits(&in, panels, diag)
		&& write_page(o->build.result.out, panels, loaded->module->name, diag);
	if (good && !o->build.quiet)
		ledger_print(&ledger, stdout);
	json_decref(panels);
	json_decref(in.columns);
	ledger_free(&ledger);
	module_free(in.exits);
	if (directory)
		remove_tree(directory);
	free(in.measurer.tail);
	free(in.text);
	free(directory);
	pipeline_free(pipeline);
	return good;
}

static int inspect(void *options, Loaded *loaded, Diag *diag)
{
	const InspectOptions *o = options;
	Dataset data = {0};
	const bool good = build_check(&o->build, diag) && (!o->data || dataset_read(o->data, &data, diag))
		&& model_load(&o->build.load, loaded, diag) && inspect_model(o, loaded, o->data ? &data : NULL, diag);
	dataset_free(&data);
	return good ? EXIT_DONE : EXIT_RUN;
}

int cmd_inspect(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL",
		.doc = "Write a self-contained page that shows the changes and the cost of each pass. Also print the "
			   "ledger.\v"
			   "The page needs no network. Without --data it has the same bytes every time.\n\n"
			   "Examples:\n"
			   "  bertc inspect minilm-sst2 -o report.html\n"
			   "  bertc inspect minilm-sst2 --data sst2/dev.tsv -o report.html \\\n"
			   "    --passes='drop-layers{strategy=symmetric keep=4},quantize-int8'\n"
			   "  bertc inspect minilm-ncbi --conll ncbi_disease/train.tsv -o report.html\n"
			   "  bertc inspect minilm-l6 -O3 --cpu=x86-64-v3 -o report.html \\\n"
			   "    --ledger=ledger.json",
		.options = table,
		.check = check,
		.work = inspect,
	};
	InspectOptions options = {.limit = 500, .conll_limit = 150};
	return command_run(&usage, argc, argv, &options.build);
}
