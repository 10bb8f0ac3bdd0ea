/* options.c: the options of passes, from passes.def: which values they accept, their defaults, and how a pass
 * reads them. The parser of pipelines (pipeline.c) checks each value here, so a pass finds valid words and
 * numbers only. */
#include "passes.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS(text) .words = text
#define WHOLE(first, last) .whole = true, .least = first, .most = last
#define NUMBER(first, last) .number = true, .least = first, .most = last
#define TEXT(form) .text = form
#define LAYERS(others) .list = LIST_LAYERS, .words = others, .items = "layers", .text = "0,2,4-7"
#define UNITS(form) .list = LIST_UNITS, .items = form, .text = "0.3,4-6.0-2"
#define BLOCKS() .list = LIST_BLOCKS, .items = "LAYER.attention and LAYER.ffn", .text = "0.attention,3-5.ffn"
static const PassOptionInfo options[] = {
#define OPTION(fn, name, form, standard, what) \
	{.run = pass_##fn, .key = name, .fallback = standard, .doc = what, form},
#include "passes.def"
};
enum { OPTIONS = sizeof options / sizeof options[0] };

const PassOptionInfo *pass_options(int32_t pass, int32_t *count)
{
	const PassOptionInfo *first = NULL;
	*count = 0;
	for (int32_t i = 0; i < OPTIONS; i++)
		if (options[i].run == pass_info[pass].run) {
			first = first ? first : &options[i];
			++*count;
		}
	return first;
}

const PassOptionInfo *pass_option_find(int32_t pass, const char *key)
{
	int32_t count;
	const PassOptionInfo *rows = pass_options(pass, &count);
	for (int32_t i = 0; i < count; i++)
		if (!strcmp(rows[i].key, key))
			return &rows[i];
	return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* "a, b or c" of "a|b|c". */
static const char *list_words(const char *words, char text[256])
{
	char *to = text;
	for (; *words; words++)
		if (*words != '|')
			*to++ = *words;
		else
			to = stpcpy(to, strchr(words + 1, '|') ? ", " : " or ");
	*to = '\0';
	return text;
}

static bool is_word(const PassOptionInfo *option, const char *value)
{
	const size_t bytes = strlen(value);
	for (const char *at = option->words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (strcspn(at, "|") == bytes && !memcmp(at, value, bytes))
			return true;
	return false;
}

static bool read_whole(const PassOptionInfo *option, const char *value, int64_t *number)
{
	char *end;
	errno = 0;
	*number = strtoll(value, &end, 10);
	return !errno && end != value && !*end && (double)*number >= option->least
		&& (double)*number <= option->most;
}

static bool read_number(const PassOptionInfo *option, const char *value, double *number)
{
	char *end;
	*number = strtod(value, &end);
	return end != value && !*end && *number >= option->least && *number <= option->most;
}

bool pass_option_check(int32_t pass, const PassOptionInfo *option, const char *value, Diag *diag)
{
	int64_t whole;
	double number;
	char words[256];
	if (is_word(option, value))
		return true;
	if (option->list)
		return layer_list_check(pass, option, value, diag);
	if (option->words)
		return diag_error(diag, EXIT_USAGE, 0, "%s: %s=%s, expected %s", pass_info[pass].name, option->key,
			value, list_words(option->words, words));
	if (option->whole && !read_whole(option, value, &whole))
		return diag_error(diag, EXIT_USAGE, 0, "%s: %s=%s, expected a whole number from %.0f to %.0f",
			pass_info[pass].name, option->key, value, option->least, option->most);
	if (option->number && !read_number(option, value, &number))
		return diag_error(diag, EXIT_USAGE, 0, "%s: %s=%s, expected a number from %.9g to %.9g",
			pass_info[pass].name, option->key, value, option->least, option->most);
	return true;
}

/* ---- what a pass reads ----------------------------------------------------------------------- */

const char *pass_option_given(const PassRun *run, const char *key)
{
	for (int32_t i = 0; run->item && i < run->item->noptions; i++)
		if (!strcmp(run->item->options[i].key, key))
			return run->item->options[i].value;
	return NULL;
}

/* The row of the option; NULL where a pass runs outside of a pipeline. */
static const PassOptionInfo *row_of(const PassRun *run, const char *key)
{
	return run->item ? pass_option_find(run->item->pass, key) : NULL;
}

const char *pass_option(const PassRun *run, const char *key)
{
	const char *value = pass_option_given(run, key);
	const PassOptionInfo *row = row_of(run, key);
	return value || !row || !*row->fallback ? value : row->fallback;
}

bool pass_option_is(const PassRun *run, const char *key, const char *word)
{
	const char *value = pass_option(run, key);
	return value && !strcmp(value, word);
}

int64_t pass_option_int(const PassRun *run, const char *key, int64_t otherwise)
{
	const char *value = pass_option(run, key);
	int64_t number = otherwise;
	if (value)
		read_whole(row_of(run, key), value, &number);
	return number;
}

double pass_option_real(const PassRun *run, const char *key, double otherwise)
{
	const char *value = pass_option(run, key);
	double number = otherwise;
	if (value)
		read_number(row_of(run, key), value, &number);
	return number;
}

bool pass_option_fits(
	const PassRun *run, const char *key, int64_t number, int64_t most, const char *owner, const char *thing)
{
	return number <= most
		|| diag_error(run->diag, EXIT_USAGE, 0, "%s: %s=%s: %s %lld %s%s; give at most %lld",
			pass_info[run->item->pass].name, key, pass_option(run, key), owner, (long long)most, thing,
			most == 1 ? "" : "s", (long long)most);
}
