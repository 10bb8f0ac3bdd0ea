/* build.c: turns a loaded model into the result: chooses the pipeline, runs it, and writes IR text or code.
 * The passes, the emitter and the toolchain do the work. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "build.h"
#include "baked.h"
#include "compiler/export/export.h"
#include "compiler/support/files.h"
#include "tunings.h"
#include "verified.h"

/* ---- the pipeline ---------------------------------------------------------------------------- */

/* A malformed pipeline names no pass; build_pipeline reports the error. */
static bool names_merge(const char *passes)
{
	Diag ignored;
	diag_init(&ignored, NULL);
	Pipeline *pipeline = passes ? pipeline_parse(passes, &ignored) : NULL;
	const bool merges = pipeline && pipeline_find(pipeline, "merge-tasks") >= 0;
	pipeline_free(pipeline);
	diag_free(&ignored);
	return merges;
}

void build_set_passes(BuildOptions *options, const char *passes)
{
	options->run.passes = passes;
	options->load.merge_later = names_merge(passes);
}

/* True for results other than code: IR and checkpoints. */
static bool emits_graph(const BuildOptions *options)
{
	return options->result.emit == EMIT_BIR || options->result.emit == EMIT_CHECKPOINT;
}

/* The requested pipeline, without the passes that code needs: --passes, else -O, else the description's
 * recipe, else -O2. Graphs (--emit=bir, checkpoint) run no passes unless some are requested. */
static const char *asked_for(const BuildOptions *options, const Loaded *loaded)
{
	if (options->run.passes)
		return options->run.passes;
	static const char *const levels[] = {"O0", "O1", "O2", "O3"};
	if (options->run.level_given)
		return levels[options->run.level];
	if (loaded->passes)
		return loaded->passes;
	return emits_graph(options) ? "" : levels[options->run.level];
}

static bool fill_pipeline(Pipeline *pipeline, const BuildOptions *options, const Loaded *loaded, Diag *diag)
{
	char cast[32] = "";
	if (options->run.weights)
		snprintf(cast, sizeof cast, "cast-weights{to=%s}", options->run.weights);
	const bool bf16 = options->run.compute && strcmp(options->run.compute, "bf16") == 0;
	return pipeline_append(pipeline, cast, diag)
		&& pipeline_append(pipeline, asked_for(options, loaded), diag)
		&& (!bf16 || pipeline_append(pipeline, "compute-bf16", diag))
		&& (emits_graph(options) || pipeline_complete(pipeline, options->run.level, diag));
}

Pipeline *build_pipeline(const BuildOptions *options, const Loaded *loaded, Diag *diag)
{
	Pipeline *pipeline = pipeline_new();
	if (fill_pipeline(pipeline, options, loaded, diag))
		return pipeline;
	pipeline_free(pipeline);
	return NULL;
}

static void show_pass(void *argument, const char *pass, int32_t done, int32_t of)
{
	(void)argument;
	if (pass)
		progress_show(pass, done, of);
	else
		progress_clear();
}

static bool run_passes(const BuildOptions *options, Loaded *loaded, const Target *target, char **text,
	Ledger *ledger, Diag *diag)
{
	Pipeline *pipeline = build_pipeline(options, loaded, diag);
	if (!pipeline)
		return false;
	if (pipeline->count == 0) {
		*text = pipeline_text(pipeline);
		pipeline_free(pipeline);
		return true;
	}
	TuneTable tunings = {0};
	PassEnv env = {.isa = target->isa,
		.cpus = target->cpus,
		.ncpus = target->ncpus,
		.max_tokens = loaded->module->max_tokens,
		.quiet = options->quiet,
		.tune = options->run.tunings ? options->run.tunings : &tunings};
	BuildRun run = {.options = options,
		.loaded = loaded,
		.target = target,
		.tunings = &tunings,
		.chains = pipeline_find(pipeline, "chain-rows") >= 0};
	if (options->hooks)
		options->hooks->offer(&run, &env);
	DriverOptions driver = options->run.driver;
	if (options->progress && !driver.progress)
		driver.progress = show_pass;
	if (options->run.tune) {
		driver.before = options->hooks->tune_before;
		driver.before_arg = &run;
	}
	bool good = (options->run.tunings
					|| tune_load(&tunings, options->run.tune_cache, options->run.tune, diag))
		&& pipeline_run(pipeline, loaded->module, &env, &driver, ledger, diag);
	tune_free(&tunings);
	*text = pipeline_text(pipeline);
	pipeline_free(pipeline);
	if (options->progress)
		progress_clear();
	if (options->run.print_pipeline && good)
		printf("%s\n", *text);
	if (*text)
		pipeline_hide_folders(*text);
	return good;
}

bool build_run_passes(const BuildOptions *options, Loaded *loaded, Diag *diag)
{
	BuildOptions graph = *options;
	Target target;
	char *text = NULL;
	Ledger ledger = {0};
	graph.result.emit = EMIT_BIR;
	const bool good = target_find(options->result.target, options->result.cpu, &target, diag)
		&& run_passes(&graph, loaded, &target, &text, &ledger, diag);
	ledger_free(&ledger);
	free(text);
	return good;
}

static bool write_ledger(const BuildOptions *options, const Ledger *ledger, Diag *diag)
{
	if (!options->run.ledger)
		return true;
	AtomicFile file;
	if (!atomic_open(&file, options->run.ledger, diag))
		return false;
	char *text = ledger_json(ledger);
	fputs(text ? text : "", file.stream);
	putc('\n', file.stream);
	free(text);
	return atomic_commit(&file, diag);
}

/* ---- --about --------------------------------------------------------------------------------- */

static json_t *about_heads(const Module *module)
{
	json_t *heads = json_array();
	for (int32_t i = 0; i < module->nheads; i++)
		json_array_append_new(heads,
			json_pack("{s:s, s:s, s:s, s:i}", "name", module->heads[i].name, "task",
				task_names[module->heads[i].task], "problem", problem_names[module->heads[i].problem],
				"labels", (int)module->heads[i].nlabels));
	return heads;
}

static int64_t count_parameters(const Graph *graph)
{
	int64_t parameters = 0;
	for (const Node *node = graph->first; node; node = node->next)
		if (node->op == OP_CONST)
			parameters += type_count(&node->data->type);
	return parameters;
}

/* The code for each CPU: its instruction sets, the bytes of its weights (equal weights are shared between
 * CPUs) and its arena. */
static json_t *about_variants(const Module *module, const Target *target)
{
	json_t *variants = json_array();
	for (int32_t g = 0; g < target->ncpus && g < module->ngraphs; g++) {
		const ArenaPlan *arena = &module->graphs[g]->arena;
		char *can = NULL;
		size_t bytes;
		FILE *out = text_open(&can, &bytes);
		target_isa_print(target->cpus[g].isa, out);
		text_close(out);
		json_t *plan = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "per_token",
			(json_int_t)arena->per_token, "per_text", (json_int_t)arena->per_text, "per_pair",
			(json_int_t)arena->per_pair, "per_thread_token", (json_int_t)arena->per_thread_token,
			"per_thread", (json_int_t)arena->per_thread, "per_block", (json_int_t)arena->per_block, "fixed",
			(json_int_t)arena->fixed);
		json_array_append_new(variants,
			json_pack("{s:s, s:s, s:I, s:o}", "cpu", target->cpus[g].name, "for", can, "weight_bytes",
				(json_int_t)weights_measure(module, g), "arena", plan));
		free(can);
	}
	return variants;
}

/* The model's size after each pass: the ledger's figures that are the same in every build. */
static json_t *about_ledger(const Ledger *ledger)
{
	json_t *rows = json_array();
	for (int32_t i = -1; i < ledger->count; i++) {
		const LedgerRow *row = i < 0 ? &ledger->start : &ledger->rows[i];
		char *pass = checked_strdup(row->pass ? row->pass : "input");
		pipeline_hide_folders(pass);
		json_t *json = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "pass", pass, "changes", row->changes,
			"parameters", (json_int_t)row->parameters, "weight_bytes", (json_int_t)row->weight_bytes,
			"macs_128", (json_int_t)row->macs, "arena_bytes", (json_int_t)row->arena_bytes);
		if (row->scored)
			json_object_set_new(json, "score", json_real(row->score));
		json_array_append_new(rows, json);
		free(pass);
	}
	return rows;
}

/* The figures of verify for this build, or null. */
static bool about_verified(json_t *about, const BuildOptions *options, Diag *diag)
{
	const char *path = options->about.verified;
	json_t *read = path ? verified_read(path, diag) : NULL;
	const json_t *figures = path ? read : options->about.figures;
	bool good = false;
	if (figures)
		good = verified_embed(about, figures, path ? path : options->load.model, diag);
	else if (!path)
		good = json_object_set_new(about, "verified", json_null()) == 0;
	json_decref(read);
	return good;
}

/* malloc'd; NULL and a message on error. Holds no time and nothing about this machine, so that two builds
 * give the same text. */
static char *about_text(const BuildOptions *options, const Loaded *loaded, const Target *target,
	const char *name, const char *pipeline, const Ledger *ledger, Diag *diag)
{
	const Module *module = loaded->module;
	json_t *about = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:i, s:b}", "name", name, "bertc",
		BERTC_VERSION, "target", target->triple, "cpu", target->cpu, "passes", pipeline, "heads",
		about_heads(module), "parameters", (json_int_t)count_parameters(module->graphs[0]), "weight_bytes",
		(json_int_t)weights_measure(module, -1), "max_tokens", (int)module->max_tokens, "tokenizer",
		loaded->tokenizer != NULL);
	json_object_set_new(about, "ledger", about_ledger(ledger));
	if (options->about.tuned)
		json_object_set(about, "tuned", options->about.tuned);
	json_object_set_new(about, "variants", about_variants(module, target));
	json_t *meta = json_object();
	for (int32_t i = 0; i < module->nmeta; i++)
		if (strncmp(module->meta[i].key, "scales.", 7) != 0) /* quantize-int8 has already used these */
			json_object_set_new(meta, module->meta[i].key, json_string(module->meta[i].value));
	json_object_set_new(about, "model", meta);
	json_object_set_new(about, "graph_sha256", json_string(loaded->graph_sha256));
	char *text = about_verified(about, options, diag)
		? json_dumps(about, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(VERIFIED_DIGITS))
		: NULL;
	json_decref(about);
	return text;
}

/* ---- the build ------------------------------------------------------------------------------- */

static bool emit_code(const BuildOptions *options, const Loaded *loaded, const Target *target,
	const char *pipeline, const Ledger *ledger, Diag *diag)
{
	char *name = options->result.name ? checked_strdup(options->result.name)
									  : c_identifier_from_path(options->result.out);
	char *about = about_text(options, loaded, target, name, pipeline, ledger, diag);
	EmitOptions emit = {
		.kind = options->result.emit,
		.out = options->result.out,
		.name = name,
		.command = options->about.command,
		.pipeline = pipeline,
		.target = *target,
		.tokenizer = loaded->tokenizer,
		.weights_inline = options->result.weights_inline,
		.pack_small = options->result.pack_small,
		.labels = options->result.zero_shot && !options->result.labels ? "" : options->result.labels,
		.pattern = options->result.pattern,
		.is_static = options->result.is_static != 0,
		.sysroot = options->result.sysroot,
		.cc = options->result.cc,
		.save_temps = options->result.save_temps,
		.no_cache = options->result.no_cache,
		.about_json = about,
		.quiet = options->quiet,
	};
	if (options->progress)
		progress_show(options->result.emit == EMIT_C ? "writing C" : "compiling", 0, 1);
	const bool good = about && baked_ranges(&options->result, loaded, &emit.ranges, diag)
		&& emit_module(loaded->module, &emit, diag);
	if (options->progress)
		progress_clear();
	free(emit.ranges);
	free(about);
	free(name);
	return good;
}

/* Reports invalid options before any work is done. */
bool build_check(const BuildOptions *options, Diag *diag)
{
	if (options->result.out && options->load.model
		&& file_is_of_model(options->result.out, options->load.model))
		return diag_error_in(diag, EXIT_USAGE, options->result.out, 0,
			"is a file of the model, which the result would replace; give another -o");
	if (options->about.verified && emits_graph(options))
		return diag_error(diag, EXIT_USAGE, 0,
			"--verified is for programs and libraries; a graph or checkpoint has no --about");
	if (options->run.driver.stop_after && options->result.emit != EMIT_BIR)
		return diag_error(diag, EXIT_USAGE, 0,
			"--stop-after leaves a graph that cannot be compiled; use it with --emit=bir");
	if (options->run.tune && !options->hooks)
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "--tune: this command cannot time kernels");
	if (options->run.tune && emits_graph(options))
		return diag_error(diag, EXIT_USAGE, 0,
			"--tune chooses kernels, but a graph or checkpoint has none; use it with another --emit");
	if (options->result.weights_inline && options->result.emit != EMIT_C)
		return diag_error(diag, EXIT_USAGE, 0, "--weights-as=inline is for --emit=c");
	if (options->result.pack_small && emits_graph(options))
		return diag_error(diag, EXIT_USAGE, 0,
			"--pack=small is for weights in programs and libraries, not for graphs and checkpoints");
	if (!baked_check(&options->result, diag))
		return false;
	if (options->result.name && !c_is_identifier(options->result.name))
		return diag_error(diag, EXIT_USAGE, 0,
			"--name=%s: is not a valid prefix of C functions; expected a letter, then letters, digits and _, "
			"but no word of C, C++ or the C library",
			options->result.name);
	return true;
}

bool build_loaded(const BuildOptions *options, Loaded *loaded, Ledger *ledger, Diag *diag)
{
	Target target;
	if (!build_check(options, diag)
		|| !target_find(options->result.target, options->result.cpu, &target, diag)
		|| (options->run.tune && !options->hooks->tune_check(&target, diag))
		|| !baked_fits(&options->result, loaded, diag))
		return false;
	char *pipeline = NULL;
	Ledger own = {0}; /* --about has it even if the caller does not ask for it */
	ledger = ledger ? ledger : &own;
	bool good = run_passes(options, loaded, &target, &pipeline, ledger, diag)
		&& write_ledger(options, ledger, diag);
	if (good && options->result.emit == EMIT_BIR)
		good = module_write(loaded->module, options->result.out, NULL, diag);
	else if (good && options->result.emit == EMIT_CHECKPOINT)
		good = checkpoint_emit(loaded, &options->load, options->result.out, diag);
	else if (good)
		good = emit_code(options, loaded, &target, pipeline, ledger, diag);
	ledger_free(&own);
	free(pipeline);
	return good;
}
