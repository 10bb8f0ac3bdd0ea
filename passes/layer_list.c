/* layer_list.c: options that list layers, "0,2,4-7", or parts of layers: heads and neurons, "0.3,4-6.0-2",
 * and blocks, "0.attention,3-5.ffn". A range names its first and its last number. An item with two ranges
 * means every unit of the second in every layer of the first. */
#include "passes.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef enum Fault { FAULT_NONE, FAULT_EMPTY, FAULT_FORM, FAULT_BACKWARDS, FAULT_LARGE } Fault;
static const char *const fault_text[] = {
	[FAULT_EMPTY] = "is empty, and a list has no spaces",
	[FAULT_FORM] = "cannot be read",
	[FAULT_BACKWARDS] = "runs backwards",
	[FAULT_LARGE] = "is too large",
};

/* ---- reading --------------------------------------------------------------------------------- */

static Fault read_number(const char **at, int32_t *number)
{
	if (**at < '0' || **at > '9')
		return FAULT_FORM;
	char *end;
	const long long value = strtoll(*at, &end, 10); /* LLONG_MAX when there are more digits */
	*at = end;
	*number = (int32_t)value;
	return value < INT32_MAX ? FAULT_NONE : FAULT_LARGE;
}

/* "3" or "3-5" */
static Fault read_range(const char **at, int32_t *first, int32_t *last)
{
	Fault fault = read_number(at, first);
	*last = *first;
	if (!fault && **at == '-') {
		++*at;
		fault = read_number(at, last);
	}
	return !fault && *last < *first ? FAULT_BACKWARDS : fault;
}

/* What follows the layers of an item. */
static Fault read_part(LayerList *list, const char **at, const char *end)
{
	if (list->option->list == LIST_LAYERS)
		return FAULT_NONE;
	if (**at != '.' || *at + 1 >= end)
		return FAULT_FORM;
	list->part = ++*at;
	if (list->option->list == LIST_UNITS)
		return read_range(at, &list->unit, &list->last_unit);
	*at = end;
	list->part_bytes = (int32_t)(end - list->part);
	return FAULT_NONE;
}

static Fault read_item(LayerList *list)
{
	const char *at = list->rest, *end = at + strcspn(at, ",");
	list->item = at;
	list->item_bytes = (int32_t)(end - at);
	if (at == end)
		return FAULT_EMPTY;
	Fault fault = read_range(&at, &list->layer, &list->last_layer);
	if (!fault)
		fault = read_part(list, &at, end);
	list->first_unit = list->unit;
	list->rest = *end ? end + 1 : NULL;
	return !fault && at != end ? FAULT_FORM : fault;
}

/* ---- messages -------------------------------------------------------------------------------- */

enum { SPELLING_BYTES = 128 };

/* "all, auto or layers as in 0,2,4-7" */
static void print_spelling(const PassOptionInfo *option, char text[SPELLING_BYTES])
{
	char *to = text;
	for (const char *word = option->words; word && *word; word++)
		if (*word == '|')
			to = stpcpy(to, ", ");
		else
			*to++ = *word;
	snprintf(to, (size_t)(text + SPELLING_BYTES - to), "%s%s as in %s", option->words ? " or " : "",
		option->items, option->text);
}

bool layer_list_refuse(LayerList *list, const char *format, ...)
{
	char spelling[SPELLING_BYTES];
	va_list args;
	va_start(args, format);
	char *why = checked_vprintf(format, args);
	va_end(args);
	print_spelling(list->option, spelling);
	diag_error(list->diag, EXIT_USAGE, 0, "%s: %s=%s: %s; expected %s", pass_info[list->pass].name,
		list->option->key, list->value, why, spelling);
	free(why);
	list->failed = true;
	return false;
}

static bool refuse_item(LayerList *list, Fault fault)
{
	return layer_list_refuse(list, "\"%.*s\" %s", list->item_bytes, list->item, fault_text[fault]);
}

/* ---- the list -------------------------------------------------------------------------------- */

bool layer_list_check(int32_t pass, const PassOptionInfo *option, const char *value, Diag *diag)
{
	LayerList list = {.option = option, .pass = pass, .value = value, .rest = value, .diag = diag};
	while (list.rest && !list.failed) {
		const Fault fault = read_item(&list);
		if (fault)
			refuse_item(&list, fault);
	}
	return !list.failed;
}

LayerList layer_list_open(const PassRun *run, const char *key)
{
	const char *value = pass_option(run, key);
	return (LayerList){.option = pass_option_find(run->item->pass, key),
		.pass = run->item->pass,
		.value = value,
		.rest = value,
		.diag = run->diag};
}

bool layer_list_next(LayerList *list)
{
	if (list->failed)
		return false;
	if (list->unit < list->last_unit) {
		list->unit++;
		return true;
	}
	if (list->layer < list->last_layer) {
		list->layer++;
		list->unit = list->first_unit;
		return true;
	}
	if (!list->rest)
		return false;
	const Fault fault = read_item(list);
	return !fault || refuse_item(list, fault);
}

char *layer_list_print(MemArena *mem, const int32_t *numbers, int32_t count)
{
	enum { BYTES = 256, ITEM_BYTES = 32 };
	char *text = mem_alloc(mem, BYTES), *at = text;
	for (int32_t i = 0, last; i < count; i = last + 1) {
		for (last = i; last + 1 < count && numbers[last + 1] == numbers[last] + 1;)
			last++;
		at += sprintf(at, last > i ? "%s%d-%d" : "%s%d", i ? "," : "", numbers[i], numbers[last]);
		if (last + 1 < count && at > text + BYTES - ITEM_BYTES) {
			strcpy(at, ",..");
			break;
		}
	}
	return text;
}
