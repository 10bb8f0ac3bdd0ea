/* char_tables.c: applies the normaliser's steps to every code point and stores the results as the records of
 * runtime/tokenize/tokenizer.h, with the classes of the pre-tokenizer. This works only for steps that look at
 * one character at a time. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_tables.h"

bool tokenizer_has_step(const TokenizerDesc *desc, CharStep step)
{
	for (int32_t i = 0; i < desc->nsteps; i++)
		if (desc->steps[i] == step)
			return true;
	return false;
}

/* ---- records --------------------------------------------------------------------------------- */
/* Size of the hash table that finds records and lists by content. It uses open addressing and is at most half
 * full. */
enum { INDEX_SIZE = 1 << 15 };
typedef struct Maker {
	const TokenizerDesc *desc;
	CharTables *tables;
	int32_t *index; /* index of a record + 1; 0: free */
} Maker;

static uint16_t add_record(Maker *m, RtRecord record)
{
	uint32_t at = (record.bits * 0x9E3779B1u ^ (uint32_t)record.value * 0x85EBCA6Bu) >> 17;
	for (;; at = (at + 1) % INDEX_SIZE) {
		const RtRecord *records = m->tables->records.items;
		if (m->index[at] == 0) {
			m->index[at] = (int32_t)list_add(&m->tables->records, &record) + 1;
			break;
		}
		if (memcmp(&records[m->index[at] - 1], &record, sizeof record) == 0)
			break;
	}
	return (uint16_t)(m->index[at] - 1);
}

/* Adds entries to the lists and returns their place. Reuses the last list if it is equal, which is common for
 * neighbouring marks. */
static int32_t add_list(Maker *m, const uint32_t *entries, int32_t count)
{
	List *lists = &m->tables->lists;
	const uint32_t *items = lists->items;
	size_t tail = lists->count - (size_t)count;
	if (lists->count >= (size_t)count && memcmp(items + tail, entries, (size_t)count * sizeof *entries) == 0)
		return (int32_t)tail;
	int32_t at = (int32_t)lists->count;
	for (int32_t i = 0; i < count; i++)
		list_add(lists, &entries[i]);
	return at;
}

/* A character after some steps. */
typedef struct Made {
	int32_t code, class; /* canonical combining class, once decomposed */
	bool removed;        /* its class still affects the order of its neighbours */
} Made;
enum { MADE_MAX = 16 };

/* ---- steps: each turns one character into zero or more --------------------------------------- */
static int32_t step_clean_text(Made from, Made *to)
{
	if (from.code == 0 || from.code == 0xFFFD || unicode_is_control(from.code))
		return 0;
	from.code = unicode_is_space(from.code) ? ' ' : from.code;
	*to = from;
	return 1;
}

static int32_t step_chinese_chars(Made from, Made *to)
{
	if (!unicode_is_chinese(from.code)) {
		*to = from;
		return 1;
	}
	to[0] = (Made){.code = ' '};
	to[2] = to[0];
	to[1] = from;
	return 3;
}

static int32_t step_strip_accents(Made from, Made *to)
{
	int32_t parts[UNICODE_PARTS_MAX], count = unicode_decompose(from.code, parts);
	for (int32_t i = 0; i < count; i++)
		to[i] = (Made){parts[i], unicode_combining_class(parts[i]), unicode_is_nonspacing(parts[i])};
	return count;
}

static int32_t step_lowercase(Made from, Made *to)
{
	if (from.code == 0x130) { /* the only character whose lower case has two characters */
		to[0] = (Made){.code = 'i'};
		to[1] = (Made){.code = 0x307};
		return 2;
	}
	from.code = unicode_to_lower(from.code);
	*to = from;
	return 1;
}

static int32_t (*const steps[])(Made from, Made *to) = {
#define STEP(name) step_##name,
#include "steps.def"
#undef STEP
};

/* The result of all steps for a code point. */
static int32_t made_from(const TokenizerDesc *desc, int32_t code, Made made[MADE_MAX])
{
	int32_t count = 1;
	made[0] = (Made){.code = code};
	for (int32_t s = 0; s < desc->nsteps; s++) {
		Made next[MADE_MAX];
		int32_t n = 0;
		for (int32_t i = 0; i < count && n + UNICODE_PARTS_MAX <= MADE_MAX; i++) {
			if (made[i].removed)
				next[n++] = made[i];
			else
				n += steps[desc->steps[s]](made[i], next + n);
		}
		memcpy(made, next, (size_t)n * sizeof *made);
		count = n;
	}
	return count;
}

static uint32_t class_of(const TokenizerDesc *desc, int32_t code) { return desc->split->class_of(code); }

static bool is_plain(const Made *made) { return made->class == 0 && !made->removed; }

/* The characters [0, count) as a list. */
static RtRecord record_list(Maker *m, uint32_t bits, const Made *made, int32_t count)
{
	uint32_t entries[MADE_MAX];
	for (int32_t i = 0; i < count; i++) {
		entries[i] = (uint32_t)made[i].class << 24;
		if (made[i].removed)
			entries[i] |= RT_REMOVED;
		else
			entries[i] |= (uint32_t)made[i].code | class_of(m->desc, made[i].code) << 21;
		if (made[i].class > 0 && !made[i].removed)
			bits |= RT_REORDERED;
	}
	return (RtRecord){bits | RT_LIST | (uint32_t)count << RT_COUNT_SHIFT, add_list(m, entries, count)};
}

static RtRecord record_make(Maker *m, int32_t code)
{
	const TokenizerDesc *desc = m->desc;
	Made made[MADE_MAX];
	uint32_t bits = (unicode_is_word(code) ? RT_RAW_WORD : 0) | (unicode_is_space(code) ? RT_RAW_SPACE : 0);
	if (tokenizer_has_step(desc, STEP_strip_accents) && code >= 0xAC00 && code <= 0xD7A3)
		return (RtRecord){bits | RT_HANGUL, 0};
	int32_t count = made_from(desc, code, made);
	const bool spaced = count == 3 && made[0].code == ' ' && made[2].code == ' ' && is_plain(&made[1]);
	const Made *one = spaced ? &made[1] : made;
	if (count == 0)
		return (RtRecord){bits | RT_GONE, 0};
	if (!spaced && (count > 1 || !is_plain(one)))
		return record_list(m, bits, made, count);
	bits |= spaced ? RT_SPACED : RT_ONE;
	return (RtRecord){bits | class_of(desc, one->code) << RT_CLASS_SHIFT, one->code - code};
}

enum { BLOCK = 1 << RT_BLOCK_BITS, BLOCKS = 0x110000 >> RT_BLOCK_BITS };

/* Whether the block is like the one before it, without a look at its code points. Planes 4 to 13 have no
 * characters. Planes 15 and 16 are for private use, except the last two code points of each. */
static bool block_repeats(int32_t block)
{
	const int32_t first = block << RT_BLOCK_BITS, plane = first >> 16, within = first & 0xFFFF;
	if (plane >= 15)
		return within > 0 && within < 0x10000 - BLOCK;
	return first > 0x40000 && plane <= 13;
}

static void block_add(Maker *m, int32_t block)
{
	CharTables *tables = m->tables;
	uint16_t cells[BLOCK], number = 0;
	for (int32_t i = 0; i < BLOCK; i++)
		cells[i] = add_record(m, record_make(m, block << RT_BLOCK_BITS | i));
	const size_t blocks = tables->cells.count / BLOCK;
	/* equal blocks are shared: many have no characters, or the letters of one script */
	while (number < blocks
		&& memcmp((uint16_t *)tables->cells.items + (size_t)number * BLOCK, cells, sizeof cells) != 0)
		number++;
	for (int32_t i = 0; i < BLOCK && number == blocks; i++)
		list_add(&tables->cells, &cells[i]);
	list_add(&tables->blocks, &number);
}

void char_tables_build(const TokenizerDesc *desc, CharTables *tables)
{
	*tables = (CharTables){.blocks = list_new(sizeof(uint16_t)),
		.cells = list_new(sizeof(uint16_t)),
		.records = list_new(sizeof(RtRecord)),
		.lists = list_new(sizeof(uint32_t))};
	Maker m = {desc, tables, checked_calloc(INDEX_SIZE, sizeof *m.index)};
	for (int32_t block = 0; block < BLOCKS; block++) {
		if (block_repeats(block))
			list_add(&tables->blocks, &(uint16_t){((uint16_t *)tables->blocks.items)[block - 1]});
		else
			block_add(&m, block);
	}
	free(m.index);
}

void char_tables_free(CharTables *tables)
{
	list_free(&tables->blocks);
	list_free(&tables->cells);
	list_free(&tables->records);
	list_free(&tables->lists);
}
