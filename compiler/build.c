/* build.c: from a loaded model to the result: which pipeline runs, the passes, then IR text or code. It decides; the passes,
 * the emitter and the toolchain do the work. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "bertc.h"
#include "calibrate.h"

/* ---- the pipeline ----------------------------------------------------------------------------------------------- */

static bool has_pass(const Pipeline *pipeline, const char *name)
{
	for (int32_t i = 0; i < pipeline->count; i++)
		if (strcmp(pass_info[pipeline->items[i].pass].name, name) == 0)
			return true;
	return false;
}

/* Results that are no code: IR and checkpoints. */
static bool emits_graph(const BuildOptions *options)
{
	return options->emit == EMIT_BIR || options->emit == EMIT_CHECKPOINT;
}

/* What was asked for, before the passes that code needs: --passes, else -O, else the description's recipe, else -O2; graphs
 * (--emit=bir, checkpoint) are written as they were read unless passes were asked for. */
static const char *asked_for(const BuildOptions *options, const Loaded *loaded)
{
	if (options->passes)
		return options->passes;
	if (options->level_given)
		return pipeline_preset(options->level);
	if (loaded->passes)
		return loaded->passes;
	return emits_graph(options) ? "" : pipeline_preset(options->level);
}

/* The pipeline's text with --weights in front and the passes that code needs at its end; malloc'd. NULL and messages on error. */
static char *pipeline_for(const BuildOptions *options, const Loaded *loaded, Diag *diag)
{
	const char *asked = asked_for(options, loaded), *missing = "";
	if (!emits_graph(options)) {
		Pipeline *pipeline = *asked ? pipeline_parse(asked, diag) : NULL;
		if (*asked && !pipeline)
			return NULL;
		if (!pipeline || !has_pass(pipeline, "lower"))
			missing = "lower,pack-weights,plan-memory";
		else if (!has_pass(pipeline, "plan-memory"))
			missing = has_pass(pipeline, "pack-weights") ? "plan-memory" : "pack-weights,plan-memory";
		if (pipeline)
			pipeline_free(pipeline);
	}
	char cast[32] = "", *text = NULL;
	if (options->weights)
		snprintf(cast, sizeof cast, "cast-weights{to=%s}", options->weights);
	if (asprintf(&text, "%s%s%s%s%s", cast, *cast && (*asked || *missing) ? "," : "", asked, *asked && *missing ? "," : "",
		missing) < 0) {
		diag_error(diag, EXIT_RUN, 0, "out of memory");
		return NULL;
	}
	return text;
}

static void show_pass(void *argument, const char *pass, int32_t done, int32_t of)
{
	(void)argument;
	if (pass)
		progress_show(pass, done, of);
	else
		progress_clear();
}

static bool run_passes(const BuildOptions *options, Loaded *loaded, const Target *target, char **text, Ledger *ledger, Diag *diag)
{
	*text = pipeline_for(options, loaded, diag);
	if (!*text)
		return false;
	if (!**text)
		return true;
	Pipeline *pipeline = pipeline_parse(*text, diag);
	if (!pipeline)
		return false;
	PassEnv env = {.isa = target->isa, .max_tokens = loaded->module->max_tokens};
	Calibration calibration = {options, loaded};
	calibration_offer(&calibration, &env);
	DriverOptions driver = options->driver;
	if (options->progress && !driver.progress)
		driver.progress = show_pass;
	bool good = pipeline_run(pipeline, loaded->module, &env, &driver, ledger, diag);
	free(*text);
	*text = pipeline_text(pipeline);
	pipeline_free(pipeline);
	if (options->progress)
		progress_clear();
	if (options->print_pipeline && good)
		printf("%s\n", *text);
	if (*text)
		pipeline_hide_folders(*text);
	return good;
}

static bool write_ledger(const BuildOptions *options, const Ledger *ledger, Diag *diag)
{
	if (!options->ledger || !ledger)
		return true;
	AtomicFile file;
	if (!atomic_open(&file, options->ledger, diag))
		return false;
	char *text = ledger_json(ledger);
	fputs(text ? text : "", file.stream);
	putc('\n', file.stream);
	free(text);
	return atomic_commit(&file, diag);
}

/* ---- what the program says about itself ------------------------------------------------------------------------- */

static json_t *about_heads(const Module *module)
{
	json_t *heads = json_array();
	for (int32_t i = 0; i < module->nheads; i++)
		json_array_append_new(heads, json_pack("{s:s, s:s, s:s, s:i}", "name", module->heads[i].name, "task",
			task_names[module->heads[i].task],
		                                       "problem", problem_names[module->heads[i].problem], "labels",
			(int)module->heads[i].nlabels));
	return heads;
}

/* Bytes of the graph's constants as the program holds them, and their elements. */
static void count_weights(const Graph *graph, int64_t *bytes, int64_t *parameters)
{
	*bytes = *parameters = 0;
	for (const Node *node = graph->first; node; node = node->next) {
		if (node->op != OP_CONST)
			continue;
		*bytes += node->data->bytes;
		*parameters += type_count(&node->data->type);
	}
}

/* malloc'd. Nothing of this machine and no time: two builds say the same. */
static char *about_text(const Loaded *loaded, const Target *target, const char *name, const char *pipeline)
{
	const Module *module = loaded->module;
	const Graph *graph = module->graphs[0];
	int64_t bytes, parameters;
	count_weights(graph, &bytes, &parameters);
	json_t *about = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:i, s:b}", "name", name, "bertc", BERTC_VERSION,
		"target", target->triple,
	                          "cpu", target->cpu, "passes", pipeline, "heads", about_heads(module), "parameters",
		(json_int_t)parameters,
	                          "weight_bytes", (json_int_t)bytes, "max_tokens", (int)module->max_tokens, "tokenizer",
		loaded->tokenizer != NULL);
	const ArenaPlan *arena = &graph->arena;
	json_object_set_new(about, "arena", json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "per_token", (json_int_t)arena->per_token,
		"per_text",
		(json_int_t)arena->per_text, "per_pair", (json_int_t)arena->per_pair, "per_thread_token",
			(json_int_t)arena->per_thread_token,
		"per_thread", (json_int_t)arena->per_thread, "fixed", (json_int_t)arena->fixed));
	json_t *meta = json_object();
	for (int32_t i = 0; i < module->nmeta; i++)
		json_object_set_new(meta, module->meta[i].key, json_string(module->meta[i].value));
	json_object_set_new(about, "model", meta);
	char *text = json_dumps(about, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(about);
	return text;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static bool emit_code(const BuildOptions *options, const Loaded *loaded, const Target *target, const char *pipeline, Diag *diag)
{
	char *name = options->name ? strdup(options->name) : c_identifier_from_path(options->out);
	char *about = name ? about_text(loaded, target, name, pipeline) : NULL;
	const EmitOptions emit = {
		.kind = options->emit, .out = options->out, .name = name, .command = options->command, .pipeline = pipeline,
			.target = *target,
		.tokenizer = loaded->tokenizer, .weights_inline = options->weights_inline, .is_static = options->is_static != 0,
		.sysroot = options->sysroot, .cc = options->cc, .save_temps = options->save_temps, .about_json = about,
			.quiet = options->quiet,
	};
	if (options->progress)
		progress_show(options->emit == EMIT_C ? "writing C" : "compiling", 0, 1);
	bool good = name ? emit_module(loaded->module, &emit, diag) : diag_error(diag, EXIT_RUN, 0, "out of memory");
	if (options->progress)
		progress_clear();
	free(about);
	free(name);
	return good;
}

/* Wrong wishes are told before any work is done. */
static bool check_options(const BuildOptions *options, Diag *diag)
{
	if (options->driver.stop_after && options->emit != EMIT_BIR)
		return diag_error(diag, EXIT_USAGE, 0, "--stop-after leaves a graph that code cannot be made of; use it with --emit=bir");
	if (options->weights_inline && options->emit != EMIT_C)
		return diag_error(diag, EXIT_USAGE, 0, "--weights-as=inline is for --emit=c");
	if (options->name && !c_is_identifier(options->name))
		return diag_error(diag, EXIT_USAGE, 0,
			"--name=%s: is not a name that C functions can begin with (a letter, then letters, digits and _; "
		                  "no word of C, C++ or the C library)", options->name);
	return true;
}

bool build_loaded(const BuildOptions *options, Loaded *loaded, Ledger *ledger, Diag *diag)
{
	Target target;
	if (!check_options(options, diag) || !target_find(options->target, options->cpu, &target, diag))
		return false;
	char *pipeline = NULL;
	bool good = run_passes(options, loaded, &target, &pipeline, ledger, diag) && write_ledger(options, ledger, diag);
	if (good && options->emit == EMIT_BIR)
		good = module_write(loaded->module, options->out, NULL, diag);
	else if (good && options->emit == EMIT_CHECKPOINT)
		good = checkpoint_emit(options, loaded, diag);
	else if (good)
		good = emit_code(options, loaded, &target, pipeline, diag);
	free(pipeline);
	return good;
}
