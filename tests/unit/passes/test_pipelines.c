/* test_pipelines.c: random small encoders through random pipelines of all passes of passes.def.
 *
 * Checks after each pass:
 *   - the verifier accepts the module
 *   - print, parse, print is a fixed point, and the parsed module computes the same
 *   - results by the reference evaluator: unchanged by passes that keep results, within the tolerance of
 *     pipeline_moves.h (for most passes: bit by bit); finite and of the same shape for other passes
 * Two neighbouring passes that change results also run in the other order. If they change different parts
 * (pipeline_moves.h), results must be the same. If they change common parts, results may differ by a multiple
 * of the change by each pass alone (pipeline_checks.h). Some modules are compiled and compared with the
 * evaluator. Pipelines with illegal order or options are refused with a message.
 *
 *   test_pipelines [--seed N] [--count N] [--family NAME] [--passes TEXT] [--verbose] [--print]
 *
 * A failing pipeline is shortened pass by pass. The test then prints the command that repeats it. */
#include <signal.h>
#include "tests/unit/pipeline_checks.h"
#include "tests/unit/suite.h"

enum { COMPILED_EACH = 50 };

static uint64_t first_seed = 1;
static int count_of_pipelines = 150;
static const char *only_passes;
static bool verbose, print_modules;

/* How to repeat a case. */
static void print_command(FILE *out, uint64_t seed, const char *passes)
{
	fprintf(out, "test_pipelines --seed %llu --count 1%s%s --passes '%s'\n", (unsigned long long)seed,
		only_family == TINY_FAMILIES ? "" : " --family ",
		only_family == TINY_FAMILIES ? "" : tiny_families[only_family], passes);
}

/* ---- what happened --------------------------------------------------------------------------- */

static struct {
	int runs, changed, refused;
} tally[64]; /* by the number of the pass */
static int compiled_modules;

/* The case that runs: a sanitizer that ends the process says which. */
static uint64_t running_seed;
static char running_text[TEXT_BYTES];

static void say_running(void)
{
	fprintf(stderr, "\nwhile running: ");
	print_command(stderr, running_seed, running_text);
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

/* ---- a case from end to end ------------------------------------------------------------------ */

/* Items of a pipeline one after another; what is refused is left out.
 * False and why when something is wrong. */
static bool run_case(const Case *c, const Pipeline *pipeline, bool compile, char why[WHY_BYTES])
{
	Diag diag;
	World world = c->world;
	Module *made[ITEMS_MOST + 1];
	Numbers numbers; /* of the last of them */
	int n = 0;
	diag_init(&diag, NULL);
	made[n++] = case_module(c, &diag);
	bool good = numbers_of(made[0], &world, &numbers, &diag)
		|| fails(why, "the model", &diag, "the evaluator refuses it");
	for (int i = 0; good && i < pipeline->count && n <= ITEMS_MOST; i++) {
		const PassItem *item = &pipeline->items[i];
		Module *before = made[n - 1], *after = module_copy(before);
		World then = world;
		Diag own;
		int changes;
		diag_init(&own, NULL);
		if (compile && before->graphs[0]->level != LEVEL_LOWERED
			&& !strcmp(pass_info[item->pass].name, "lower") && before->ngraphs == 1) {
			compiled_modules++;
			good = compiled_check(before, &world, 1e-3, &own)
				|| fails(why, item->text, &own, "compiled in front of it");
		}
		if (good && i + 1 < pipeline->count && may_swap(item, item + 1))
			good = check_swap(item, item + 1, before, c, &world, why);
		const Ran ran = good ? run_item(item->text, after, c, &then, &changes, &own) : FAILED;
		if (good) {
			tally[item->pass].runs += ran == RAN;
			tally[item->pass].changed += ran == RAN && changes > 0;
			tally[item->pass].refused += ran == REFUSED;
			if (verbose && ran == REFUSED)
				fprintf(stderr, "  refused: %s\n", own.messages[0].text);
		}
		if (good && ran == RAN) {
			Numbers changed;
			good = check_after(item, c, after, &then, &numbers, &changed, why);
			numbers_free(&numbers);
			numbers = changed;
			made[n++] = after;
			world = then;
		} else {
			if (good && ran == FAILED)
				good = fails(why, item->text, &own, "fails");
			module_free(after);
		}
		diag_free(&own);
	}
	numbers_free(&numbers); /* they may lie in the module */
	while (n > 0)           /* a copy borrows what those before it own */
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
	const bool good = pipeline ? run_case(&c, pipeline, seed % COMPILED_EACH == 0, why)
							   : fails(why, passes, &diag, "is refused");
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
		printf("shortest: %s\n", why);
		print_command(stdout, seed, passes);
		CU_FAIL("pipeline");
		failed++;
	}
	if (only_passes || count_of_pipelines < 150)
		return;
	for (int i = 0; i < pass_count; i++) /* or nothing is learnt of it */
		if (!tally[i].changed) {
			printf("\n%s: ran %d times, was refused %d times, and changed nothing\n", pass_info[i].name,
				tally[i].runs, tally[i].refused);
			CU_FAIL("a pass that never did anything");
		}
	CU_ASSERT_TRUE(compiled_modules > 0);
}

/* ---- what must be refused -------------------------------------------------------------------- */

/* Every pair that has an order the wrong way round, with whatever between. */
static void test_wrong_order(void)
{
	for (int i = 0; i < 3 * pass_count * pass_count; i++) {
		const int first = i / pass_count % pass_count, second = i % pass_count;
		const char *why = pass_order_why(first, second);
		Case c;
		Diag diag;
		char text[TEXT_BYTES] = "";
		if (!why)
			continue;
		diag_init(&diag, NULL);
		draw_case(first_seed + (uint64_t)i, &c);
		for (int k = 0; k < 3; k++) {
			const int between = k == 1 ? pick(pass_count) : second;
			const int pass = k == 2 ? first : between;
			char *item = draw_pass(&pass_info[pass], &c.model);
			sprintf(text + strlen(text), "%s%s", k ? "," : "", item);
			free(item);
		}
		Pipeline *pipeline = pipeline_parse(text, &diag);
		bool said = false;
		for (int k = 0; k < diag.count; k++)
			said |= strstr(diag.messages[k].text, why) != NULL;
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
	static const char *const nonsense[] = {"0", "-1", "99999999999999999999", "4294967296", "2147483647",
		"nan", "inf", "1e308", "-0.5", "1.5", "x", ",", "..", "0,", ",0", "0,0", "0.", ".0", "0.0.0", "9.9",
		"0.-1", "1.attention,1.attention", "0.attention,0.ffn,1.attention,1.ffn", "texts.tsv", "f64", "i8",
		"all", "auto", "%s", "*", "?", "2147483647.2147483647", "0.4294967295", "18446744073709551616.1"};
	int values = 0, which = 0;
	for (char *at = item; *at; at++)
		values += *at == '=';
	which = values ? pick(values) : 0;
	char *at = item;
	for (int i = 0; values && i <= which; i++)
		at = strchr(at, '=') + 1;
	const size_t head = values ? (size_t)(at - item) : strlen(item), skip = values ? strcspn(at, " }") : 0;
	sprintf(out, "%.*s%s%s", (int)head, item,
		values ? nonsense[pick(sizeof nonsense / sizeof *nonsense)] : "", item + head + skip);
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
		int32_t noptions;
		do
			pass_options(pass = pick(pass_count), &noptions);
		while (noptions == 0);
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

/* ---- the table ------------------------------------------------------------------------------- */

/* Every pass has a row, and its draws give all of its options. */
static void test_moves(void)
{
	const TinyEncoder model = {.layers = 4, .heads = 3, .size = 4, .ffn = 9, .vocab = 30, .labels = 3};
	CU_ASSERT_TRUE(pass_count <= 64);
	for (int i = 0; i < pass_count; i++) {
		bool given[32] = {false};
		int32_t count;
		const PassOptionInfo *options = pass_options(i, &count);
		if (!move_of(&pass_info[i])) {
			printf("\n%s: tests/unit/pipeline_moves.h has no row for it\n", pass_info[i].name);
			CU_FAIL_FATAL("a pass without a row");
		}
		for (int k = 0; k < 1000; k++) {
			char *item = draw_pass(&pass_info[i], &model), look[64];
			for (int32_t at = 0; at < count; at++) {
				snprintf(look, sizeof look, "%s=", options[at].key);
				given[at] |= strstr(item, look) != NULL;
			}
			free(item);
		}
		for (int32_t at = 0; at < count; at++)
			if (!given[at]) {
				printf("\n%s: no draw of tests/unit/pipeline_moves.h gives the option %s\n",
					pass_info[i].name, options[at].key);
				CU_FAIL("an option that is never given");
			}
	}
}

static void print_report(void)
{
	printf("\n%d pipelines from seed %llu, %d modules compiled\n%-22s %7s %7s %7s\n", count_of_pipelines,
		(unsigned long long)first_seed, compiled_modules, "pass", "runs", "changed", "refused");
	for (int i = 0; i < pass_count; i++)
		printf("%-22s %7d %7d %7d\n", pass_info[i].name, tally[i].runs, tally[i].changed, tally[i].refused);
	printf("\n%-44s %7s %7s %7s %7s  %s\n", "both orders", "equal", "differ", "refused", "by most",
		"differ where both touch");
	for (int a = 0; a < pass_count; a++)
		for (int b = 0; b < pass_count; b++) {
			char pair[96];
			if (!(swaps[a][b].equal + swaps[a][b].differ + swaps[a][b].refused))
				continue;
			snprintf(pair, sizeof pair, "%s, %s", pass_info[a].name, pass_info[b].name);
			printf("%-44s %7d %7d %7d %7.3g ", pair, swaps[a][b].equal, swaps[a][b].differ,
				swaps[a][b].refused, swaps[a][b].most);
			for (int p = 0; p < PARTS; p++)
				if (swaps[a][b].meet >> p & 1)
					printf(" %s", part_names[p]);
			printf("\n");
		}
}

/* False: there is none of that name. */
static bool family_given(const char *name)
{
	for (only_family = 0; only_family < TINY_FAMILIES; only_family++)
		if (!strcmp(tiny_families[only_family], name))
			return true;
	return false;
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
			print_modules = true; /* the encoders, for bertc opt */
		else if (!strcmp(argv[i], "--seed") && ++i)
			first_seed = strtoull(value, NULL, 10);
		else if (!strcmp(argv[i], "--count") && ++i)
			count_of_pipelines = atoi(value);
		else if (!strcmp(argv[i], "--passes") && ++i)
			only_passes = value;
		else if (!strcmp(argv[i], "--family") && ++i && family_given(value))
			;
		else
			return fprintf(stderr,
					   "test_pipelines [--seed N] [--count N] [--family NAME] [--passes TEXT] [--verbose] "
					   "[--print]\n"),
				   2;
	}
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_set_death_callback(say_running);
#endif
	signal(SIGABRT, on_abort);
	static const SuiteTest tests[] = {
		{"moves", test_moves},
		{"random", test_random},
		{"wrong order", test_wrong_order},
		{"nonsense", test_nonsense},
	};
	const int status = suite_run("pipelines", tests, only_passes ? 2 : 4);
	print_report();
	return status;
}
