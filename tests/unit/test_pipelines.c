/* test_pipelines.c: random small encoders through random pipelines over all passes of passes.def.
 *
 * After each pass: the verifier; print, parse, print is a fixed point and the module read back computes the same; numbers by the reference
 * evaluator: of a pass that promises not to change them equal to what they were, to the tolerance of pipeline_moves.h (of most: to the
 * bit); of the others finite and of the same shape. Two neighbours that change numbers also run in the other order, and must give the same
 * where they touch different things (pipeline_moves.h), and where they meet numbers that differ by a multiple of what each does alone at most. Some modules are compiled and compared with the evaluator. What is illegal, by
 * order or by option, is refused in words.
 *
 *   test_pipelines [--seed N] [--count N] [--passes TEXT] [--verbose] [--print]
 *
 * A failure is made shorter, pass by pass, and prints the command that repeats it. */
#include <CUnit/Basic.h>
#include <signal.h>
#include "pipeline_compiled.h"
#include "pipeline_moves.h"

enum { ITEMS_MOST = 24, TEXT_BYTES = 4096, WHY_BYTES = 1024, COMPILED_EACH = 50, SWAP_MOST = 20 };

static uint64_t first_seed = 1;
static int count_of_pipelines = 150;
static const char *only_passes;
static bool verbose, print_modules;

/* ---- what happened ---------------------------------------------------------------------------------------------------- */

static struct { int runs, changed, refused; } tally[64];   /* by the number of the pass */
static struct { int equal, differ, refused; uint32_t meet; double most; } swaps[64][64];
static int compiled_modules;

/* The case that runs: a sanitizer that ends the process says which. */
static uint64_t running_seed;
static char running_text[TEXT_BYTES];

static void say_running(void)
{
	fprintf(stderr, "\nwhile running: test_pipelines --seed %llu --count 1 --passes '%s'\n", (unsigned long long)running_seed, running_text);
}

static void on_abort(int number)
{
	(void)number;
	say_running();
	_exit(1);
}

#if defined(__SANITIZE_ADDRESS__)
void __sanitizer_set_death_callback(void (*)(void));
#endif

/* ---- a case ----------------------------------------------------------------------------------------------------------- */

typedef struct Case { TinyEncoder model; World world; bool two_cpus; uint32_t isa; } Case;

static void draw_case(uint64_t seed, Case *c)
{
	static const uint32_t isas[] = {0, ISA_AVX2, ISA_AVX2 | ISA_AVX512, ISA_AVX2 | ISA_AVX512 | ISA_AVX512VNNI | ISA_AVX512BF16,
		ISA_NEON64, ISA_NEON64 | ISA_DOTPROD | ISA_I8MM, ISA_NEON32};
	moves_state = seed * 0x2545f4914f6cdd1du;
	*c = (Case){.model = {.layers = 1 + pick(4), .heads = 1 + pick(5), .size = 1 + pick(7), .ffn = 1 + pick(12), .vocab = 20 + pick(30),
		.labels = 2 + pick(3), .act = (TinyAct)pick(TINY_ACTS), .head = pick(3) ? TINY_CLASSIFY : (TinyHead)pick(TINY_HEADS),
		.tasks = 1 + (pick(6) == 0), .clutter = pick(3) == 0, .types = pick(2), .positions = pick(2), .norm = pick(2), .pooler = pick(2), .alone = pick(3) > 0,
		.pool = ANY("first", "last", "mean", "max", "mean_sqrt", "mean_weighted"), .dtype = ANY("f32", "f32", "f16", "bf16")}};
	if (pick(2))
		c->model.ffn += 63;   /* so wide that quantize-int8 and compute-bf16 take it */
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

static Module *case_module(const Case *c, Diag *diag)
{
	char *text = tiny_encoder_text(&c->model);
	Module *module = module_parse(text, strlen(text), ".", NULL, diag);
	free(text);
	if (!module || !module_verify(module, diag)) {
		diag_print(diag, stdout);
		CU_FAIL_FATAL("the test's own module is wrong");
	}
	return module;
}

/* ---- pipelines -------------------------------------------------------------------------------------------------------- */

static int pass_number(const char *name)
{
	for (int i = 0; i < pass_count; i++)
		if (!strcmp(pass_info[i].name, name))
			return i;
	return -1;
}

static bool has_order(const char *first, const char *second)
{
	for (int i = 0; i < pass_order_count; i++)
		if (!strcmp(pass_order[i].first, first) && !strcmp(pass_order[i].second, second))
			return true;
	return false;
}

/* May the pass stand behind all of these? */
static bool may_follow(int pass, const int *before, int n)
{
	for (int i = 0; i < n; i++)
		if (has_order(pass_info[pass].name, pass_info[before[i]].name))
			return false;
	return true;
}

/* Passes at random as long as they may follow, fuse and what must follow it only near the end; then often those that make code. */
static void draw_pipeline(const Case *c, char *text)
{
	const int lower = pass_number("lower"), fuse = pass_number("fuse");
	int taken[ITEMS_MOST], n = 0;
	const int wanted = 1 + pick(7);
	*text = '\0';
	if (c->model.tasks > 1 && pick(4)) {   /* little can be done with several tasks but to merge them */
		taken[n++] = pass_number("merge-tasks");
		strcpy(text, "merge-tasks");
	}
	for (int tries = 0; tries < 200 && n < wanted; tries++) {
		const int pass = pick(pass_count);
		const bool late = pass == fuse || has_order("fuse", pass_info[pass].name);
		if (pass == lower || has_order("lower", pass_info[pass].name) || (late && n + 2 < wanted) || !may_follow(pass, taken, n))
			continue;
		char *item = draw_pass(&pass_info[pass], &c->model);
		sprintf(text + strlen(text), "%s%s", n ? "," : "", item);
		free(item);
		taken[n++] = pass;
	}
	if (pick(4) == 0) {   /* a level has the code passes already */
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
			char *item = draw_pass(&pass_info[pass_number(name)], &c->model);
			sprintf(text + strlen(text), "%s%s", *text ? "," : "", item);
			free(item);
		}
	}
}

static bool fails(char why[WHY_BYTES], const char *item, const Diag *diag, const char *what)
{
	snprintf(why, WHY_BYTES, "%s: %s%s%s", item, what, diag && diag->count ? ": " : "", diag && diag->count ? diag->messages[0].text : "");
	return false;
}

typedef enum Ran { RAN, REFUSED, FAILED } Ran;

/* One pass on a module. REFUSED: in words, with the exit code of an answer. */
static Ran run_item(const char *item, Module *module, const Case *c, World *world, int *changes, Diag *diag)
{
	const CpuTarget cpus[] = {{"one", c->isa}, {"two", 0}};
	PassEnv env = world_env(world);
	const DriverOptions options = {.verify_each = true};
	Ledger ledger = {0};
	env.isa = c->two_cpus ? 0 : c->isa;
	if (c->two_cpus)
		env.cpus = cpus, env.ncpus = 2;
	Pipeline *pipeline = pipeline_parse(item, diag);
	const bool good = pipeline && pipeline_run(pipeline, module, &env, &options, &ledger, diag);
	*changes = 0;
	for (int i = 0; i < ledger.count; i++)
		*changes += ledger.rows[i].changes;
	ledger_free(&ledger);
	pipeline_free(pipeline);
	return good ? RAN : diag->count && (diag->code == EXIT_USAGE || diag->code == EXIT_UNSUPPORTED) ? REFUSED : FAILED;
}

/* ---- after a pass ----------------------------------------------------------------------------------------------------- */

static char *file_text(const char *path)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *in = fopen(path, "rb");
	if (in && getdelim(&text, &bytes, EOF, in) < 0)
		*text = '\0';
	if (in)
		fclose(in);
	return text;
}

/* Written to a file and read back it prints the same and computes the same. */
static bool check_text(const Module *module, const World *w, const char *item, char why[WHY_BYTES])
{
	char directory[] = "/tmp/test_pipelines-XXXXXX", path[64], weights[64];
	Diag diag;
	diag_init(&diag, NULL);
	if (!mkdtemp(directory))
		return fails(why, item, NULL, "no directory for temporary files");
	snprintf(path, sizeof path, "%s/m.bir", directory);
	snprintf(weights, sizeof weights, "%s/m.safetensors", directory);
	bool good = module_write(module, path, &(PrintOptions){0}, &diag);
	char *text = good ? file_text(path) : NULL;
	Module *read = good ? module_read(path, NULL, &diag) : NULL;
	char *again = read ? module_text(read, &(PrintOptions){0}) : NULL;
	if (!again)
		good = fails(why, item, &diag, "the module cannot be written and read back");
	else if (strcmp(text, again) != 0)
		good = fails(why, item, NULL, "the module read back prints otherwise");
	if (good) {
		Numbers before, after;
		const char *where;
		bool finite;
		good = numbers_of(module, w, &before, &diag) && numbers_of(read, w, &after, &diag);
		const double d = good ? numbers_differ(&before, &after, before.outputs, &where, &finite) : 0;
		if (!good || d != 0)
			good = fails(why, item, &diag, "the module read back computes otherwise");
		numbers_free(&before);
		numbers_free(&after);
	}
	free(text);
	free(again);
	module_free(read);
	unlink(path);
	unlink(weights);
	rmdir(directory);
	diag_free(&diag);
	return good;
}

/* Of outputs from `first` on, as many as before. A masked language model's columns go with its words. */
static bool check_numbers(const PassItem *item, const Case *c, const Numbers *before, Numbers *after, int first, char why[WHY_BYTES])
{
	const PassInfo *pass = &pass_info[item->pass];
	Numbers part = {.outputs = before->outputs};
	const char *where;
	bool finite;
	char text[256];
	if ((pass->flags & PASS_IDS) && c->model.head == TINY_MASK)
		return true;
	for (int i = 0; i < TEXTS; i++)
		memcpy(part.at[i], after->at[i] + first, (size_t)before->outputs * sizeof **part.at);
	memcpy(part.name, after->name + first, (size_t)before->outputs * sizeof *part.name);
	const double d = numbers_differ(before, &part, before->outputs, &where, &finite);
	const bool lossy = item_is_lossy(item) && !(pass->flags & PASS_IDS);
	snprintf(text, sizeof text, "output %s %s", where, isinf(d) ? "has another shape" : "differs by ");
	if (!isinf(d))
		snprintf(text + strlen(text), sizeof text - strlen(text), "%g", d);
	if (isinf(d) || (!lossy && !(d <= move_of(pass)->tolerance)))
		return fails(why, item->text, NULL, text);
	return finite || fails(why, item->text, NULL, "an output is no number");
}

static bool check_after(const PassItem *item, const Case *c, const Module *module, const World *w, const Numbers *before, char why[WHY_BYTES])
{
	const PassInfo *pass = &pass_info[item->pass];
	Numbers after;
	Diag diag;
	diag_init(&diag, NULL);
	bool good = numbers_of(module, w, &after, &diag) || fails(why, item->text, &diag, "the evaluator refuses it");
	const int copies = (pass->flags & PASS_SPLITS) && c->two_cpus && before->outputs ? after.outputs / before->outputs : 1;
	if (good && !(pass->flags & PASS_OUTPUTS) && after.outputs != before->outputs * copies)
		good = fails(why, item->text, NULL, "outputs are lost or new");
	for (int i = 0; good && i < copies; i++)
		good = check_numbers(item, c, before, &after, i * before->outputs, why);
	numbers_free(&after);
	diag_free(&diag);
	return good && check_text(module, w, item->text, why);
}

/* ---- two passes in the other order ------------------------------------------------------------------------------------- */

/* worlds[0]: where the texts are as they were; worlds[1] and [2] become those behind a, and behind both. */
static bool run_both(const PassItem *a, const PassItem *b, const Module *module, const Case *c, World worlds[3], Module *made[2], Ran *ran,
	char why[WHY_BYTES])
{
	Diag diag;
	int changes;
	diag_init(&diag, NULL);
	made[0] = module_copy(module);
	worlds[1] = worlds[0];
	*ran = run_item(a->text, made[0], c, &worlds[1], &changes, &diag);
	made[1] = *ran == RAN ? module_copy(made[0]) : NULL;
	worlds[2] = worlds[1];
	if (*ran == RAN)
		*ran = run_item(b->text, made[1], c, &worlds[2], &changes, &diag);
	const bool good = *ran != FAILED || fails(why, b->text, &diag, "in the other order it fails");
	diag_free(&diag);
	return good;
}

/* How far a pass alone moves the outputs that there were; 0 where they have another shape. */
static double effect_of(const Numbers *before, const Module *after, const World *world)
{
	Numbers numbers = {0};
	const char *where;
	bool finite;
	Diag diag;
	diag_init(&diag, NULL);
	const bool good = numbers_of(after, world, &numbers, &diag) && numbers.outputs >= before->outputs;
	const double d = good ? numbers_differ(before, &numbers, before->outputs, &where, &finite) : 0;
	numbers_free(&numbers);
	diag_free(&diag);
	return isfinite(d) ? d : 0;
}

/* Two orders of passes that meet may differ, but by no more than SWAP_MOST times what the two do alone (400 pipelines: at most 2.05 times),
 * unless one chooses by what the other changes: of two blocks of nearly equal weight the one may mean much more than the other. */
static bool check_bound(const PassItem *a, const PassItem *b, const Module *module, const World *world, const Module *only_a, const World *at_a,
	const Module *only_b, const World *at_b, double d, char why[WHY_BYTES])
{
	Numbers before = {0};
	Diag diag;
	char text[TEXT_BYTES];
	diag_init(&diag, NULL);
	const bool good = numbers_of(module, world, &before, &diag);
	const double alone = good ? effect_of(&before, only_a, at_a) + effect_of(&before, only_b, at_b) : 0;
	const double ratio = d / fmax(alone, 1e-6);
	numbers_free(&before);
	diag_free(&diag);
	swaps[a->pass][b->pass].most = fmax(swaps[a->pass][b->pass].most, ratio);
	snprintf(text, sizeof text, "in front of %s gives numbers that differ by %g from those behind it, and alone the two move them by %g", b->text,
		d, alone);
	return ratio <= SWAP_MOST || fails(why, a->text, NULL, text);
}

static bool check_swap(const PassItem *a, const PassItem *b, const Module *module, const Case *c, const World *world, char why[WHY_BYTES])
{
	Module *one[2] = {NULL, NULL}, *other[2] = {NULL, NULL};
	World here[3] = {*world}, there[3] = {*world};
	Ran ran[2] = {REFUSED, REFUSED};
	Numbers x = {0}, y = {0};
	Diag diag;
	diag_init(&diag, NULL);
	bool good = run_both(a, b, module, c, here, one, &ran[0], why) && run_both(b, a, module, c, there, other, &ran[1], why);
	if (good && ran[0] == RAN && ran[1] == RAN) {
		const uint32_t meet = items_meet(a, b);
		const char *where;
		bool finite;
		good = numbers_of(one[1], &here[2], &x, &diag) && numbers_of(other[1], &there[2], &y, &diag);
		const double d = !good || x.outputs != y.outputs ? INFINITY : numbers_differ(&x, &y, x.outputs, &where, &finite);
		if (d <= 1e-12)
			swaps[a->pass][b->pass].equal++;
		else
			swaps[a->pass][b->pass].differ++;
		swaps[a->pass][b->pass].meet |= d <= 1e-12 ? 0 : meet;
		char text[TEXT_BYTES];
		snprintf(text, sizeof text, "in front of %s gives numbers that differ by %g from those behind it", b->text, d);
		if (!good || (!meet && !(d <= 1e-12)))
			good = fails(why, a->text, &diag, text);
		else if (d > 1e-12 && isfinite(d) && !items_choose(a, b))
			good = check_bound(a, b, module, world, one[0], &here[1], other[0], &there[1], d, why);
	} else if (good) {
		swaps[a->pass][b->pass].refused++;
	}
	numbers_free(&x);
	numbers_free(&y);
	for (int i = 1; i >= 0; i--) {
		module_free(one[i]);
		module_free(other[i]);
	}
	diag_free(&diag);
	return good;
}

static bool may_swap(const PassItem *a, const PassItem *b)
{
	return item_is_lossy(a) && item_is_lossy(b) && strcmp(a->text, b->text) != 0
		&& !has_order(pass_info[a->pass].name, pass_info[b->pass].name);
}

/* ---- a case from end to end --------------------------------------------------------------------------------------------- */

/* Items of a pipeline one after another; what is refused is left out. False and why when something is wrong. */
static bool run_case(const Case *c, const Pipeline *pipeline, bool compile, char why[WHY_BYTES])
{
	Diag diag;
	World world = c->world;
	Module *made[ITEMS_MOST + 1];
	int n = 0;
	bool good = true;
	diag_init(&diag, NULL);
	made[n++] = case_module(c, &diag);
	for (int i = 0; good && i < pipeline->count && n <= ITEMS_MOST; i++) {
		const PassItem *item = &pipeline->items[i];
		Module *before = made[n - 1], *after = module_copy(before);
		World then = world;
		Numbers numbers = {0};
		Diag own;
		int changes;
		diag_init(&own, NULL);
		if (compile && before->graphs[0]->level != LEVEL_LOWERED && !strcmp(pass_info[item->pass].name, "lower") && before->ngraphs == 1) {
			compiled_modules++;
			good = compiled_check(before, &world, 1e-3, &own) || fails(why, item->text, &own, "compiled in front of it");
		}
		if (good && i + 1 < pipeline->count && may_swap(item, item + 1))
			good = check_swap(item, item + 1, before, c, &world, why);
		good = good && (numbers_of(before, &world, &numbers, &own) || fails(why, item->text, &own, "the evaluator refuses what it gets"));
		const Ran ran = good ? run_item(item->text, after, c, &then, &changes, &own) : FAILED;
		if (good) {
			tally[item->pass].runs += ran == RAN;
			tally[item->pass].changed += ran == RAN && changes > 0;
			tally[item->pass].refused += ran == REFUSED;
			if (verbose && ran == REFUSED)
				fprintf(stderr, "  refused: %s\n", own.messages[0].text);
		}
		if (good && ran == RAN) {
			good = check_after(item, c, after, &then, &numbers, why);
			made[n++] = after;
			world = then;
		} else {
			if (good && ran == FAILED)
				good = fails(why, item->text, &own, "fails");
			module_free(after);
		}
		numbers_free(&numbers);
		diag_free(&own);
	}
	while (n > 0)   /* a copy borrows what those before it own */
		module_free(made[--n]);
	diag_free(&diag);
	return good;
}

/* The pipeline for the case, or none and the message of why it is none. */
static bool check_case(uint64_t seed, const char *passes, char why[WHY_BYTES])
{
	Case c;
	Diag diag;
	diag_init(&diag, NULL);
	draw_case(seed, &c);
	running_seed = seed;
	snprintf(running_text, sizeof running_text, "%s", passes);
	Pipeline *pipeline = pipeline_parse(passes, &diag);
	const bool good = pipeline ? run_case(&c, pipeline, seed % COMPILED_EACH == 0, why) : fails(why, passes, &diag, "is refused");
	pipeline_free(pipeline);
	diag_free(&diag);
	return good;
}

/* Leaves passes out as long as it still fails. */
static void shorten(uint64_t seed, char *passes)
{
	char why[WHY_BYTES];
	for (bool shorter = true; shorter;) {
		Diag diag;
		diag_init(&diag, NULL);
		Pipeline *pipeline = pipeline_parse(passes, &diag);
		shorter = false;
		for (int skip = 0; pipeline && skip < pipeline->count && !shorter && pipeline->count > 1; skip++) {
			char text[TEXT_BYTES] = "";
			for (int i = 0; i < pipeline->count; i++)
				if (i != skip)
					sprintf(text + strlen(text), "%s%s", *text ? "," : "", pipeline->items[i].text);
			shorter = !check_case(seed, text, why);
			if (shorter)
				strcpy(passes, text);
		}
		pipeline_free(pipeline);
		diag_free(&diag);
	}
}

static void test_random(void)
{
	char passes[TEXT_BYTES], why[WHY_BYTES];
	int failed = 0;
	for (int i = 0; i < count_of_pipelines && failed < 5; i++) {
		const uint64_t seed = first_seed + (uint64_t)i;
		Case c;
		draw_case(seed, &c);
		draw_pipeline(&c, passes);
		if (only_passes)
			snprintf(passes, sizeof passes, "%s", only_passes);
		if (verbose)
			fprintf(stderr, "%llu %s\n", (unsigned long long)seed, passes);
		if (print_modules) {
			char *text = tiny_encoder_text(&c.model);
			fputs(text, stdout);
			free(text);
		}
		if (check_case(seed, passes, why))
			continue;
		printf("\nseed %llu: %s\n", (unsigned long long)seed, why);
		shorten(seed, passes);
		check_case(seed, passes, why);
		printf("shortest: %s\ntest_pipelines --seed %llu --count 1 --passes '%s'\n", why, (unsigned long long)seed, passes);
		CU_FAIL("pipeline");
		failed++;
	}
	if (only_passes || count_of_pipelines < 150)
		return;
	for (int i = 0; i < pass_count; i++)   /* or nothing is learnt of it */
		if (!tally[i].changed) {
			printf("\n%s: ran %d times, was refused %d times, and changed nothing\n", pass_info[i].name, tally[i].runs, tally[i].refused);
			CU_FAIL("a pass that never did anything");
		}
	CU_ASSERT_TRUE(compiled_modules > 0);
}

/* ---- what must be refused ------------------------------------------------------------------------------------------------ */

/* A pair of ORDER the wrong way round, with whatever between. */
static void test_wrong_order(void)
{
	for (int i = 0; i < 4 * pass_order_count; i++) {
		const PassOrder *order = &pass_order[i % pass_order_count];
		Case c;
		Diag diag;
		char text[TEXT_BYTES] = "";
		diag_init(&diag, NULL);
		draw_case(first_seed + (uint64_t)i, &c);
		for (int k = 0; k < 3; k++) {
			const int pass = k == 1 ? pick(pass_count) : pass_number(k ? order->first : order->second);
			char *item = draw_pass(&pass_info[pass], &c.model);
			sprintf(text + strlen(text), "%s%s", k ? "," : "", item);
			free(item);
		}
		Pipeline *pipeline = pipeline_parse(text, &diag);
		bool said = false;
		for (int k = 0; k < diag.count; k++)
			said |= strstr(diag.messages[k].text, order->why) != NULL;
		if (pipeline || !said || diag.code != EXIT_USAGE) {
			printf("\n%s: %s\n", text, diag.count ? diag.messages[0].text : "is taken");
			CU_FAIL("order");
		}
		pipeline_free(pipeline);
		diag_free(&diag);
	}
}

/* Puts nonsense in place of a value of the item. */
static void spoil(char *item, char *out)
{
	static const char *const nonsense[] = {"0", "-1", "99999999999999999999", "4294967296", "2147483647", "nan", "inf", "1e308", "-0.5", "1.5",
		"x", ",", "..", "0,", ",0", "0,0", "0.", ".0", "0.0.0", "9.9", "0.-1", "1.attention,1.attention", "0.attention,0.ffn,1.attention,1.ffn",
		"texts.tsv", "f64", "i8", "all", "auto", "%s", "*", "?", "2147483647.2147483647", "0.4294967295", "18446744073709551616.1"};
	int values = 0, which = 0;
	for (char *at = item; *at; at++)
		values += *at == '=';
	which = values ? pick(values) : 0;
	char *at = item;
	for (int i = 0; values && i <= which; i++)
		at = strchr(at, '=') + 1;
	const size_t head = values ? (size_t)(at - item) : strlen(item), skip = values ? strcspn(at, " }") : 0;
	sprintf(out, "%.*s%s%s", (int)head, item, values ? nonsense[pick(sizeof nonsense / sizeof *nonsense)] : "", item + head + skip);
}

static void test_nonsense(void)
{
	const int n = 2 * count_of_pipelines;
	int refused = 0;
	for (int i = 0; i < n; i++) {
		const uint64_t seed = first_seed + (uint64_t)i;
		Case c;
		char text[TEXT_BYTES];
		int pass, changes;
		Diag diag;
		diag_init(&diag, NULL);
		draw_case(seed, &c);
		do
			pass = pick(pass_count);
		while (!*pass_info[pass].options);
		char *item = draw_pass(&pass_info[pass], &c.model);
		spoil(item, text);
		running_seed = seed;
		snprintf(running_text, sizeof running_text, "%s", text);
		Module *module = case_module(&c, &diag);
		World world = c.world;
		const Ran ran = run_item(text, module, &c, &world, &changes, &diag);
		refused += ran == REFUSED;
		if (ran == FAILED) {
			printf("\nseed %llu: %s fails with code %d: %s\n", (unsigned long long)seed, text, (int)diag.code,
				diag.count ? diag.messages[0].text : "nothing");
			CU_FAIL("nonsense");
		}
		module_free(module);
		free(item);
		diag_free(&diag);
	}
	CU_ASSERT_TRUE(refused > n / 4);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------- */

/* Every pass has a row, and its draws give all of its options. */
static void test_moves(void)
{
	const TinyEncoder model = {.layers = 4, .heads = 3, .size = 4, .ffn = 9, .vocab = 30, .labels = 3};
	CU_ASSERT_TRUE(pass_count <= 64);
	for (int i = 0; i < pass_count; i++) {
		bool given[32] = {false};
		char keys[512], *rest = keys, *key;
		if (!move_of(&pass_info[i])) {
			printf("\n%s: tests/unit/pipeline_moves.h has no row for it\n", pass_info[i].name);
			CU_FAIL_FATAL("a pass without a row");
		}
		for (int k = 0; k < 1000; k++) {
			char *item = draw_pass(&pass_info[i], &model), look[64];
			int at = 0;
			snprintf(keys, sizeof keys, "%s", pass_info[i].options);
			for (rest = keys; (key = strsep(&rest, " ")) != NULL; at++) {
				snprintf(look, sizeof look, "%s=", key);
				given[at] |= strstr(item, look) != NULL;
			}
			free(item);
		}
		int at = 0;
		snprintf(keys, sizeof keys, "%s", pass_info[i].options);
		for (rest = keys; *keys && (key = strsep(&rest, " ")) != NULL; at++)
			if (!given[at]) {
				printf("\n%s: no draw of tests/unit/pipeline_moves.h gives the option %s\n", pass_info[i].name, key);
				CU_FAIL("an option that is never given");
			}
	}
}

static void print_report(void)
{
	printf("\n%d pipelines from seed %llu, %d modules compiled\n%-22s %7s %7s %7s\n", count_of_pipelines, (unsigned long long)first_seed,
		compiled_modules, "pass", "runs", "changed", "refused");
	for (int i = 0; i < pass_count; i++)
		printf("%-22s %7d %7d %7d\n", pass_info[i].name, tally[i].runs, tally[i].changed, tally[i].refused);
	printf("\n%-44s %7s %7s %7s %7s  %s\n", "both orders", "equal", "differ", "refused", "by most", "differ where both touch");
	for (int a = 0; a < pass_count; a++)
		for (int b = 0; b < pass_count; b++) {
			char pair[96];
			if (!(swaps[a][b].equal + swaps[a][b].differ + swaps[a][b].refused))
				continue;
			snprintf(pair, sizeof pair, "%s, %s", pass_info[a].name, pass_info[b].name);
			printf("%-44s %7d %7d %7d %7.3g ", pair, swaps[a][b].equal, swaps[a][b].differ, swaps[a][b].refused, swaps[a][b].most);
			for (int p = 0; p < PARTS; p++)
				if (swaps[a][b].meet >> p & 1)
					printf(" %s", part_names[p]);
			printf("\n");
		}
}

int main(int argc, char **argv)
{
	if (getenv("FULL"))
		count_of_pipelines = 2000;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "--verbose"))
			verbose = true;
		else if (!strcmp(argv[i], "--print"))
			print_modules = true;   /* the encoders, for bertc opt */
		else if (!strcmp(argv[i], "--seed") && ++i)
			first_seed = strtoull(value, NULL, 10);
		else if (!strcmp(argv[i], "--count") && ++i)
			count_of_pipelines = atoi(value);
		else if (!strcmp(argv[i], "--passes") && ++i)
			only_passes = value;
		else
			return fprintf(stderr, "test_pipelines [--seed N] [--count N] [--passes TEXT] [--verbose] [--print]\n"), 2;
	}
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_set_death_callback(say_running);
#endif
	signal(SIGABRT, on_abort);
	CU_initialize_registry();
	CU_pSuite suite = CU_add_suite("pipelines", NULL, NULL);
	CU_ADD_TEST(suite, test_moves);
	CU_ADD_TEST(suite, test_random);
	if (!only_passes) {
		CU_ADD_TEST(suite, test_wrong_order);
		CU_ADD_TEST(suite, test_nonsense);
	}
	CU_basic_run_tests();
	print_report();
	const unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
