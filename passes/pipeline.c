/* pipeline.c: the table of passes, the pipeline parser, and the presets -O0 .. -O3. driver.c runs pipelines.
 */
#include "passes.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const PhaseInfo phase_info[PHASE_COUNT] = {
#define PHASE(NAME, name, earlier, why) {name, earlier, why},
#include "passes.def"
};

const PassInfo pass_info[] = {
#define PASS(fn, name, PHASE, flags, doc, example, paper) \
	{name, pass_##fn, PHASE_##PHASE##_AT, flags, doc, example, paper},
#include "passes.def"
};
const int32_t pass_count = (int32_t)(sizeof pass_info / sizeof pass_info[0]);

const PassOrder pass_order[] = {
#define ORDER(first, second, why) {first, second, why},
#include "passes.def"
};
const int32_t pass_order_count = (int32_t)(sizeof pass_order / sizeof pass_order[0]);

int32_t pass_find(const char *name)
{
	for (int32_t i = 0; i < pass_count; i++)
		if (!strcmp(pass_info[i].name, name))
			return i;
	return -1;
}

const char *pass_order_why(int32_t first, int32_t second)
{
	const PassInfo *a = &pass_info[first], *b = &pass_info[second];
	const PhaseInfo *phase = &phase_info[b->phase];
	if (phase->earlier >> a->phase & 1)
		return phase->why;
	for (int32_t i = 0; i < pass_order_count; i++)
		if (!strcmp(pass_order[i].first, a->name) && !strcmp(pass_order[i].second, b->name))
			return pass_order[i].why;
	return NULL;
}

/* O0 lowers the imported graph op by op. O1 cleans it up first. O2 also fuses, and cleans up again. O3 equals
 * O2: no pass yet costs so much compile time that O2 should leave it out. No level has a pass that changes
 * numbers. The passes that make code follow each level. */
#define CODE "lower,pack-weights,chain-rows,plan-memory"
static const char *const presets[] = {
	CODE,
	"canonicalize,fold-const,cse,dce," CODE,
	"canonicalize,fold-const,cse,fuse,fold-const,cse,dce," CODE,
	"canonicalize,fold-const,cse,fuse,fold-const,cse,dce," CODE,
};
enum { LEVELS = sizeof presets / sizeof presets[0] };

const char *pipeline_preset(int level)
{
	const int least = level < 0 ? 0 : level;
	return presets[least < LEVELS ? least : LEVELS - 1];
}

/* True when the comma-separated list has the pass. */
static bool list_has_pass(const char *list, const char *name)
{
	size_t bytes = strlen(name);
	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strcspn(at, ",") == bytes && !memcmp(at, name, bytes))
			return true;
	return false;
}

static bool follows_fuse(int32_t pass) { return pass_order_why(pass_find("fuse"), pass) != NULL; }

bool pipeline_is_recipe(const Pipeline *pipeline)
{
	for (int32_t i = 0; i < pipeline->count; i++)
		if (list_has_pass(presets[LEVELS - 1], pass_info[pipeline->items[i].pass].name))
			return false;
	return pipeline->count > 0;
}

int32_t pipeline_find(const Pipeline *pipeline, const char *pass)
{
	for (int32_t i = 0; i < pipeline->count; i++)
		if (!strcmp(pass_info[pipeline->items[i].pass].name, pass))
			return i;
	return -1;
}

/* ---- the parser ------------------------------------------------------------------------------ */

/* Limits for a hostile recipe in a model.xml. Pipelines written by hand stay far below. */
enum { TEXT_BYTES_MAX = 1 << 16, ITEMS_MAX = 1000, OPTIONS_MAX = 32 };

typedef struct Parser {
	const char *at, *start;
	Pipeline *pipeline;
	Diag *diag;
} Parser;

static void skip_space(Parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

/* Reads a word of letters, digits and the bytes in `letters`. NULL and a message when the word is empty. */
static char *parse_word(Parser *p, const char *letters, const char *what)
{
	size_t bytes = 0;
	while (isalnum((unsigned char)p->at[bytes]) || (p->at[bytes] && strchr(letters, p->at[bytes])))
		bytes++;
	if (!bytes) {
		const char quoted[] = {'"', *p->at, '"', 0};
		const char *found = isprint((unsigned char)*p->at) ? quoted : "an unprintable byte";
		diag_error(p->diag, EXIT_USAGE, 0, "pipeline: expected %s at byte %td, found %s", what,
			p->at - p->start, *p->at ? found : "its end");
		return NULL;
	}
	char *word = mem_string(p->pipeline->mem, p->at, bytes);
	p->at += bytes;
	return word;
}

/* The message about an option that the pass does not have. False. */
static bool refuse_option(int32_t pass, const char *key, Diag *diag)
{
	char list[512] = "";
	int32_t count;
	const PassOptionInfo *options = pass_options(pass, &count);
	for (int32_t i = 0; i < count; i++)
		snprintf(list + strlen(list), sizeof list - strlen(list), " %s", options[i].key);
	return diag_error(diag, EXIT_USAGE, 0, "pipeline: %s has no option \"%s\"; it takes%s",
		pass_info[pass].name, key, count ? list : " none");
}

/* `{key=value key=value}` after a pass name. */
static bool parse_options(Parser *p, int32_t pass, PassOption *options, int32_t *count)
{
	const PassInfo *info = &pass_info[pass];
	for (p->at++; skip_space(p), *p->at != '}';) {
		if (isdigit((unsigned char)*p->at) || *p->at == ',' || *p->at == '-')
			return diag_error(p->diag, EXIT_USAGE, 0,
				"pipeline: %s: expected an option at byte %td, found \"%c\"; a list has no spaces, as in "
				"0,2,4-7",
				info->name, p->at - p->start, *p->at);
		char *key = parse_word(p, "-_", "an option's name");
		if (!key)
			return false;
		const PassOptionInfo *option = pass_option_find(pass, key);
		if (!option)
			return refuse_option(pass, key, p->diag);
		for (int32_t i = 0; i < *count; i++)
			if (!strcmp(options[i].key, key))
				return diag_error(
					p->diag, EXIT_USAGE, 0, "pipeline: %s{%s=} is given twice", info->name, key);
		if (*p->at != '=')
			return diag_error(
				p->diag, EXIT_USAGE, 0, "pipeline: expected \"=\" and a value after %s{%s", info->name, key);
		p->at++;
		char *value = parse_word(
			p, "-_.,+:/@%~*?", mem_printf(p->pipeline->mem, "a value of %s{%s=}", info->name, key));
		if (!value || !pass_option_check(pass, option, value, p->diag))
			return false;
		if (*count == OPTIONS_MAX)
			return diag_error(
				p->diag, EXIT_USAGE, 0, "pipeline: %s has more than %d options", info->name, OPTIONS_MAX);
		options[(*count)++] = (PassOption){key, value};
	}
	p->at++;
	return true;
}

static bool item_add(Pipeline *pipeline, const PassItem *item, Diag *diag)
{
	if (pipeline->count == ITEMS_MAX)
		return diag_error(diag, EXIT_USAGE, 0, "pipeline: more than %d passes", ITEMS_MAX);
	pipeline->items[pipeline->count++] = *item;
	return true;
}

static bool pass_add(Pipeline *pipeline, int32_t pass, const PassOption *options, int32_t count, Diag *diag)
{
	PassOption *copy = mem_alloc(pipeline->mem, (size_t)(count + 1) * sizeof *copy);
	PassItem item = {.pass = pass, .noptions = count, .options = copy};
	item.text = mem_printf(pipeline->mem, "%s%s", pass_info[pass].name, count ? "{" : "");
	for (int32_t i = 0; i < count; i++) {
		copy[i] = options[i];
		item.text = mem_printf(
			pipeline->mem, "%s%s%s=%s", item.text, i ? " " : "", options[i].key, options[i].value);
	}
	if (count)
		item.text = mem_printf(pipeline->mem, "%s}", item.text);
	return item_add(pipeline, &item, diag);
}

/* The level that "O2" or "-O2" names; -1: none. */
static int preset_find(const char *name)
{
	name += *name == '-';
	return name[0] == 'O' && name[1] >= '0' && name[1] < '0' + LEVELS && !name[2] ? name[1] - '0' : -1;
}

/* Adds the optimisations of a preset. */
static bool preset_add(Pipeline *pipeline, int level, Diag *diag)
{
	char names[512];
	snprintf(names, sizeof names, "%s", pipeline_preset(level));
	for (char *rest, *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		if (!list_has_pass(CODE, name) && !pass_add(pipeline, pass_find(name), NULL, 0, diag))
			return false;
	return true;
}

/* Adds the passes that the pipeline lacks. */
static bool missing_add(Pipeline *pipeline, const char *list, Diag *diag)
{
	char names[512];
	snprintf(names, sizeof names, "%s", list);
	for (char *rest, *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		if (pipeline_find(pipeline, name) < 0 && !pass_add(pipeline, pass_find(name), NULL, 0, diag))
			return false;
	return true;
}

/* The code-making passes of a preset go to the end of the pipeline, even when the preset comes first:
 * "O2,quantize-int8". */
static bool code_add(Pipeline *pipeline, Diag *diag)
{
	const int32_t before = pipeline->count;
	const bool good = missing_add(pipeline, CODE, diag);
	pipeline->ncode = pipeline->count - before;
	return good;
}

static bool parse_item(Parser *p)
{
	PassOption options[OPTIONS_MAX];
	int32_t count = 0;
	skip_space(p);
	char *name = parse_word(p, "-_", "a pass");
	if (!name)
		return false;
	int level = preset_find(name);
	if (level >= 0) {
		p->pipeline->preset = true;
		return preset_add(p->pipeline, level, p->diag);
	}
	int32_t pass = pass_find(name);
	if (pass < 0)
		return diag_error(
			p->diag, EXIT_USAGE, 0, "pipeline: there is no pass \"%.64s\"; 'bertc passes' lists them", name);
	if (*p->at == '{' && !parse_options(p, pass, options, &count))
		return false;
	return pass_add(p->pipeline, pass, options, count, p->diag);
}

/* Whether `second` stands anywhere before `first`. */
static bool pipeline_has_before(const Pipeline *pipeline, int32_t second, int32_t first)
{
	bool seen = false;
	for (int32_t i = 0; i < pipeline->count; i++) {
		if (seen && pipeline->items[i].pass == first)
			return true;
		seen |= pipeline->items[i].pass == second;
	}
	return false;
}

/* Checks the order of every pair of passes, not only of neighbours. */
static bool pipeline_check_order(const Pipeline *pipeline, Diag *diag)
{
	bool good = true;
	for (int32_t first = 0; first < pass_count; first++)
		for (int32_t second = 0; second < pass_count; second++) {
			const char *why = pass_order_why(first, second);
			if (why && pipeline_has_before(pipeline, second, first))
				good = diag_error(diag, EXIT_USAGE, 0, "pipeline: %s must come before %s: %s",
					pass_info[first].name, pass_info[second].name, why);
		}
	return good;
}

static bool parse_items(Parser *p)
{
	for (;;) {
		if (!parse_item(p))
			return false;
		skip_space(p);
		if (!*p->at)
			return true;
		if (*p->at != ',')
			return diag_error(
				p->diag, EXIT_USAGE, 0, "pipeline: expected \",\" or the end at byte %td", p->at - p->start);
		p->at++;
	}
}

Pipeline *pipeline_new(void)
{
	MemArena *mem = mem_new();
	Pipeline *pipeline = mem_alloc(mem, sizeof *pipeline);
	*pipeline = (Pipeline){.items = mem_alloc(mem, ITEMS_MAX * sizeof(PassItem)), .mem = mem};
	return pipeline;
}

bool pipeline_append(Pipeline *pipeline, const char *text, Diag *diag)
{
	if (strlen(text) > TEXT_BYTES_MAX)
		return diag_error(diag, EXIT_USAGE, 0, "pipeline: %zu bytes, at most %d are supported", strlen(text),
			TEXT_BYTES_MAX);
	Parser parser = {.at = text, .start = text, .pipeline = pipeline, .diag = diag};
	skip_space(&parser);
	if (!*parser.at)
		return true;
	pipeline->count -= pipeline->ncode;
	pipeline->ncode = 0;
	return parse_items(&parser) && (!pipeline->preset || code_add(pipeline, diag))
		&& pipeline_check_order(pipeline, diag);
}

Pipeline *pipeline_parse(const char *text, Diag *diag)
{
	Pipeline *pipeline = pipeline_new();
	if (pipeline_append(pipeline, text, diag))
		return pipeline;
	pipeline_free(pipeline);
	return NULL;
}

/* The passes of the recipe that must follow fuse (after), or the others. */
static bool recipe_add(Pipeline *pipeline, const Pipeline *recipe, bool after_fuse, Diag *diag)
{
	for (int32_t i = 0; i < recipe->count; i++)
		if (follows_fuse(recipe->items[i].pass) == after_fuse && !item_add(pipeline, &recipe->items[i], diag))
			return false;
	return true;
}

bool pipeline_complete(Pipeline *pipeline, int level, Diag *diag)
{
	if (!pipeline_is_recipe(pipeline)) {
		if (pipeline_find(pipeline, "lower") < 0)
			return missing_add(pipeline, CODE, diag) && pipeline_check_order(pipeline, diag);
		return pipeline_find(pipeline, "plan-memory") >= 0
			|| missing_add(pipeline, "pack-weights,plan-memory", diag);
	}
	const Pipeline recipe = *pipeline;
	pipeline->items = mem_alloc(pipeline->mem, ITEMS_MAX * sizeof(PassItem));
	pipeline->count = 0;
	pipeline->preset = true;
	return recipe_add(pipeline, &recipe, false, diag) && preset_add(pipeline, level, diag)
		&& recipe_add(pipeline, &recipe, true, diag) && code_add(pipeline, diag)
		&& pipeline_check_order(pipeline, diag);
}

void pipeline_free(Pipeline *pipeline)
{
	if (pipeline)
		mem_free(pipeline->mem);
}

char *pipeline_text(const Pipeline *pipeline)
{
	size_t bytes = 1;
	for (int32_t i = 0; i < pipeline->count; i++)
		bytes += strlen(pipeline->items[i].text) + 1;
	char *text = checked_calloc(bytes, 1), *end = text;
	for (int32_t i = 0; i < pipeline->count; i++)
		end += sprintf(end, "%s%s", i ? "," : "", pipeline->items[i].text);
	return text;
}

void pipeline_hide_folders(char *text)
{
	char *to = text;
	for (const char *at = text; *at; *to++ = *at++)
		if (to > text && to[-1] == '=') {
			const char *end = at + strcspn(at, " {}"), *slash = memrchr(at, '/', (size_t)(end - at));
			at = slash && slash + 1 < end ? slash + 1 : at;
		}
	*to = '\0';
}
