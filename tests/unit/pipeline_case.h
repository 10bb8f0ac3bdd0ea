/* pipeline_case.h: draws a random small encoder and a pipeline from a seed, and runs a pass. */
#ifndef PIPELINE_CASE_H
#define PIPELINE_CASE_H
#include <CUnit/Basic.h>
#include "pipeline_compiled.h"
#include "pipeline_moves.h"

enum { ITEMS_MOST = 24, TEXT_BYTES = 4096, WHY_BYTES = 1024 };

/* ---- a case ---------------------------------------------------------------------------------- */

typedef struct Case {
	TinyEncoder model;
	World world;
	bool two_cpus;
	uint32_t isa;
} Case;

static int only_family = TINY_FAMILIES; /* TINY_FAMILIES: any */

/* Sets the fields that the family determines. */
static void settle_family(TinyEncoder *model)
{
	model->family = (TinyFamily)pick(TINY_FAMILIES);
	if (only_family != TINY_FAMILIES)
		model->family = (TinyFamily)only_family;
	if (model->family == TINY_BERT)
		return;
	model->types = false;
	model->positions = true;
	model->norm = true;
	model->pooler = model->head != TINY_EMBED;
}

static void draw_case(uint64_t seed, Case *c)
{
	static const uint32_t isas[] = {0, ISA_AVX2, ISA_AVX2 | ISA_AVX512,
		ISA_AVX2 | ISA_AVX512 | ISA_AVX512VNNI | ISA_AVX512BF16, ISA_NEON64,
		ISA_NEON64 | ISA_DOTPROD | ISA_I8MM, ISA_NEON32};
	moves_state = seed * 0x2545f4914f6cdd1du;
	*c = (Case){.model = {.layers = 1 + pick(4),
					.heads = 1 + pick(5),
					.size = 1 + pick(7),
					.ffn = 1 + pick(12),
					.vocab = 20 + pick(30),
					.labels = 2 + pick(3),
					.act = (TinyAct)pick(TINY_ACTS),
					.head = pick(3) ? TINY_CLASSIFY : (TinyHead)pick(TINY_HEADS),
					.tasks = 1 + (pick(6) == 0),
					.clutter = pick(3) == 0,
					.types = pick(2),
					.positions = pick(2),
					.norm = pick(2),
					.pooler = pick(2),
					.alone = pick(3) > 0,
					.bias = pick(2) ? TINY_UNBIASED : (TinyBias)pick(TINY_BIASES),
					.gating = pick(2) ? TINY_UNGATED : (TinyGating)pick(TINY_GATINGS),
					.shared_rows = pick(6) == 0,
					.pool = ANY("first", "last", "mean", "max", "mean_sqrt", "mean_weighted", "sum"),
					.dtype = ANY("f32", "f32", "f16", "bf16")}};
	settle_family(&c->model);
	c->model.sharing = seed % 4 == 3 ? 2 + seed / 4 % 2 : 0;
	if (pick(2))
		c->model.ffn += 63; /* wide enough for quantize-int8 and compute-bf16 */
	c->two_cpus = c->model.tasks == 1 && pick(4) == 0;
	c->isa = isas[pick(sizeof isas / sizeof *isas)];
	for (int i = 0; i < TEXTS; i++) {
		c->world.length[i] = 1 + pick(LENGTH);
		c->world.labels[i] = pick(c->model.labels);
		for (int t = 0; t < LENGTH; t++)
			c->world.ids[i][t] = pick(c->model.vocab);
	}
	for (int t = LENGTH / 2; t < LENGTH; t++)
		c->world.types[t] = 1;
}

/* Equal weights of layers become one constant, which all of them read. */
static bool share(Module *module, Diag *diag)
{
	Pipeline *pipeline = pipeline_parse("share-weights", diag);
	const bool good = pipeline
		&& pipeline_run(pipeline, module, &(PassEnv){.max_tokens = 16}, NULL, NULL, diag);
	pipeline_free(pipeline);
	return good;
}

static Module *case_module(const Case *c, Diag *diag)
{
	char *text = tiny_encoder_text(&c->model);
	Module *module = module_parse(text, strlen(text), ".", NULL, diag);
	free(text);
	if (!module || !module_verify(module, diag) || (c->model.sharing && !share(module, diag))) {
		diag_print(diag, stdout);
		CU_FAIL_FATAL("the test's own module is wrong");
	}
	return module;
}

/* ---- pipelines ------------------------------------------------------------------------------- */

/* True if the pass may follow all of these. */
static bool may_follow(int pass, const int *before, int n)
{
	for (int i = 0; i < n; i++)
		if (pass_order_why(pass, before[i]))
			return false;
	return true;
}

/* Draws random legal passes; fuse and the passes that must follow it only near the end; then often the passes
 * that make code. */
static void draw_pipeline(const Case *c, char *text)
{
	const int lower = pass_find("lower"), fuse = pass_find("fuse");
	int taken[ITEMS_MOST], n = 0;
	const int wanted = 1 + pick(7);
	*text = '\0';
	if (c->model.tasks > 1 && pick(4)) { /* with several tasks, few passes are legal before merge-tasks */
		taken[n++] = pass_find("merge-tasks");
		strcpy(text, "merge-tasks");
	}
	for (int tries = 0; tries < 200 && n < wanted; tries++) {
		const int pass = pick(pass_count);
		const bool late = pass == fuse || pass_order_why(fuse, pass);
		if (pass == lower || pass_order_why(lower, pass) || (late && n + 2 < wanted)
			|| !may_follow(pass, taken, n))
			continue;
		char *item = draw_pass(&pass_info[pass], &c->model);
		sprintf(text + strlen(text), "%s%s", n ? "," : "", item);
		free(item);
		taken[n++] = pass;
	}
	if (pick(4) == 0) { /* a level already includes the code passes */
		const int level = pick(4);
		Diag diag;
		char with[TEXT_BYTES + 8];
		diag_init(&diag, NULL);
		snprintf(with, sizeof with, "%s%sO%d", text, n ? "," : "", level);
		Pipeline *pipeline = pipeline_parse(with, &diag);
		if (pipeline)
			strcpy(text, with);
		pipeline_free(pipeline);
		diag_free(&diag);
	} else if (pick(3)) {
		char code[256], *rest = code;
		const int last = 1 + pick(4);
		snprintf(code, sizeof code, "%s", pipeline_preset(0));
		for (int i = 0; i < last && rest; i++) {
			const char *name = strsep(&rest, ",");
			char *item = draw_pass(&pass_info[pass_find(name)], &c->model);
			sprintf(text + strlen(text), "%s%s", *text ? "," : "", item);
			free(item);
		}
	}
}

static bool fails(char why[WHY_BYTES], const char *item, const Diag *diag, const char *what)
{
	snprintf(why, WHY_BYTES, "%s: %s%s%s", item, what, diag && diag->count ? ": " : "",
		diag && diag->count ? diag->messages[0].text : "");
	return false;
}

typedef enum Ran { RAN, REFUSED, FAILED } Ran;

/* Runs a pass on a module. REFUSED: with a message and the exit code of a refusal. */
static Ran run_item(const char *item, Module *module, const Case *c, World *world, int *changes, Diag *diag)
{
	const CpuTarget cpus[] = {{"one", c->isa}, {"two", 0}};
	PassEnv env = world_env(world);
	const DriverOptions options = {.verify_each = true};
	Ledger ledger = {0};
	env.isa = c->two_cpus ? 0 : c->isa;
	if (c->two_cpus) {
		env.cpus = cpus;
		env.ncpus = 2;
	}
	Pipeline *pipeline = pipeline_parse(item, diag);
	const bool good = pipeline && pipeline_run(pipeline, module, &env, &options, &ledger, diag);
	*changes = 0;
	for (int i = 0; i < ledger.count; i++)
		*changes += ledger.rows[i].changes;
	ledger_free(&ledger);
	pipeline_free(pipeline);
	if (good)
		return RAN;
	return diag->count && (diag->code == EXIT_USAGE || diag->code == EXIT_UNSUPPORTED) ? REFUSED : FAILED;
}
#endif
