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
	for (int32_t i = 0; i < desc->nnormal; i++)
		if (desc->normal[i].kind == RT_STEP_MAP && desc->normal[i].step == step)
			return true;
	return false;
}

/* ---- records --------------------------------------------------------------------------------- */
/* Size of the hash table that finds records and lists by content. It uses open addressing and is at most half
 * full. */
enum { INDEX_SIZE = 2 * CHAR_RECORDS_MAX };
struct CharMaker {
	CharTables *tables;
	int32_t *index; /* index of a record + 1; 0: free */
	bool full;      /* a record had no place */
};
typedef struct CharMaker Maker;

static uint16_t add_record(Maker *m, RtRecord record)
{
	uint32_t at = (record.bits * 0x9E3779B1u ^ (uint32_t)record.value * 0x85EBCA6Bu) >> 17;
	for (;; at = (at + 1) % INDEX_SIZE) {
		const RtRecord *records = m->tables->records.items;
		if (m->index[at] == 0 && m->tables->records.count == CHAR_RECORDS_MAX) {
			m->full = true;
			return 0;
		}
		if (m->index[at] == 0) {
			m->index[at] = (int32_t)list_add(&m->tables->records, &record) + 1;
			break;
		}
		if (memcmp(&records[m->index[at] - 1], &record, sizeof record) == 0)
			break;
	}
	return (uint16_t)(m->index[at] - 1);
}

int32_t char_list(CharMaker *m, const uint32_t *entries, int32_t count)
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

/* ---- steps: each turns one character into zero or more --------------------------------------- */
static int32_t step_clean_text(MadeChar from, MadeChar *to)
{
	if (from.code == 0 || from.code == 0xFFFD || unicode_is_control(from.code))
		return 0;
	from.code = unicode_is_space(from.code) ? ' ' : from.code;
	*to = from;
	return 1;
}

static int32_t step_chinese_chars(MadeChar from, MadeChar *to)
{
	if (!unicode_is_chinese(from.code)) {
		*to = from;
		return 1;
	}
	to[0] = (MadeChar){.code = ' '};
	to[2] = to[0];
	to[1] = from;
	return 3;
}

static int32_t step_strip_accents(MadeChar from, MadeChar *to)
{
	int32_t parts[UNICODE_PARTS_MAX], count = unicode_decompose(from.code, parts);
	for (int32_t i = 0; i < count; i++)
		to[i] = (MadeChar){parts[i], unicode_combining_class(parts[i]), unicode_is_nonspacing(parts[i])};
	return count;
}

static int32_t step_lowercase(MadeChar from, MadeChar *to)
{
	if (from.code == 0x130) { /* the only character whose lower case has two characters */
		to[0] = (MadeChar){.code = 'i'};
		to[1] = (MadeChar){.code = 0x307};
		return 2;
	}
	from.code = unicode_to_lower(from.code);
	*to = from;
	return 1;
}

static int32_t step_strip_nonspacing(MadeChar from, MadeChar *to)
{
	*to = from;
	return !unicode_is_nonspacing(from.code);
}

static int32_t step_strip_marks(MadeChar from, MadeChar *to)
{
	*to = from;
	return !unicode_is_mark(from.code);
}

static int32_t step_nmt(MadeChar from, MadeChar *to)
{
	const int32_t code = from.code;
	if ((code >= 1 && code <= 0x1F && code != '\t' && code != '\n' && code != '\f' && code != '\r')
		|| code == 0x7F || code == 0x8F || code == 0x9F)
		return 0;
	if ((code >= '\t' && code <= '\r') || code == 0x1680 || (code >= 0x200B && code <= 0x200F)
		|| code == 0x2028 || code == 0x2029 || code == 0x2581 || code == 0xFEFF || code == 0xFFFD)
		from.code = ' ';
	*to = from;
	return 1;
}

static int32_t decompose(int32_t code, bool compatible, MadeChar *to)
{
	int32_t parts[UNICODE_COMPATIBLE_MAX];
	const int32_t count = unicode_decompose_as(code, compatible, parts);
	for (int32_t i = 0; i < count; i++)
		to[i] = (MadeChar){.code = parts[i], .class = unicode_combining_class(parts[i])};
	return count;
}

static int32_t step_nfd(MadeChar from, MadeChar *to) { return decompose(from.code, false, to); }

static int32_t step_nfkd(MadeChar from, MadeChar *to) { return decompose(from.code, true, to); }

static int32_t (*const steps[])(MadeChar from, MadeChar *to) = {
#define STEP(name) step_##name,
#include "steps.def"
#undef STEP
};

int32_t char_make(const CharStep *list, int32_t nsteps, int32_t code, MadeChar made[MADE_MAX])
{
	int32_t count = 1;
	made[0] = (MadeChar){.code = code};
	for (int32_t s = 0; s < nsteps; s++) {
		MadeChar next[MADE_MAX + UNICODE_COMPATIBLE_MAX];
		int32_t n = 0;
		for (int32_t i = 0; i < count && n + UNICODE_PARTS_MAX <= MADE_MAX; i++) {
			if (made[i].removed)
				next[n++] = made[i];
			else
				n += steps[list[s]](made[i], next + n);
		}
		n = n < MADE_MAX ? n : MADE_MAX;
		memcpy(made, next, (size_t)n * sizeof *made);
		count = n;
	}
	return count;
}

static uint32_t class_of(const TokenizerDesc *desc, int32_t code) { return desc->split->class_of(code); }

static bool is_plain(const MadeChar *made) { return made->class == 0 && !made->removed; }

/* The characters [0, count) as a list. */
static RtRecord record_list(
	const TokenizerDesc *desc, Maker *m, uint32_t bits, const MadeChar *made, int32_t count)
{
	uint32_t entries[MADE_MAX];
	for (int32_t i = 0; i < count; i++) {
		entries[i] = (uint32_t)made[i].class << 24;
		if (made[i].removed)
			entries[i] |= RT_REMOVED;
		else
			entries[i] |= (uint32_t)made[i].code | class_of(desc, made[i].code) << 21;
		if (made[i].class > 0 && !made[i].removed)
			bits |= RT_REORDERED;
	}
	return (RtRecord){bits | RT_LIST | (uint32_t)count << RT_COUNT_SHIFT, char_list(m, entries, count)};
}

uint32_t char_raw_bits(int32_t code)
{
	return (unicode_is_word(code) ? RT_RAW_WORD : 0) | (unicode_is_space(code) ? RT_RAW_SPACE : 0);
}

RtRecord char_record(CharMaker *m, const void *data, int32_t code)
{
	const TokenizerDesc *desc = data;
	MadeChar made[MADE_MAX];
	uint32_t bits = char_raw_bits(code);
	if (tokenizer_has_step(desc, STEP_strip_accents) && code >= 0xAC00 && code <= 0xD7A3)
		return (RtRecord){bits | RT_HANGUL, 0};
	int32_t count = char_make(desc->steps, desc->nsteps, code, made);
	const bool spaced = count == 3 && made[0].code == ' ' && made[2].code == ' ' && is_plain(&made[1]);
	const MadeChar *one = spaced ? &made[1] : made;
	if (count == 0)
		return (RtRecord){bits | RT_GONE, 0};
	if (!spaced && (count > 1 || !is_plain(one)))
		return record_list(desc, m, bits, made, count);
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

static void block_add(Maker *m, CharRecordFn *make, const void *data, int32_t block)
{
	CharTables *tables = m->tables;
	uint16_t cells[BLOCK], number = 0;
	for (int32_t i = 0; i < BLOCK; i++)
		cells[i] = add_record(m, make(m, data, block << RT_BLOCK_BITS | i));
	const size_t blocks = tables->cells.count / BLOCK;
	/* equal blocks are shared: many have no characters, or the letters of one script */
	while (number < blocks
		&& memcmp((uint16_t *)tables->cells.items + (size_t)number * BLOCK, cells, sizeof cells) != 0)
		number++;
	for (int32_t i = 0; i < BLOCK && number == blocks; i++)
		list_add(&tables->cells, &cells[i]);
	list_add(&tables->blocks, &number);
}

bool char_tables_build(CharRecordFn *make, const void *data, CharTables *tables)
{
	*tables = (CharTables){.blocks = list_new(sizeof(uint16_t)),
		.cells = list_new(sizeof(uint16_t)),
		.records = list_new(sizeof(RtRecord)),
		.lists = list_new(sizeof(uint32_t))};
	Maker m = {.tables = tables, .index = checked_calloc(INDEX_SIZE, sizeof *m.index)};
	for (int32_t block = 0; block < BLOCKS && !m.full; block++) {
		if (block_repeats(block))
			list_add(&tables->blocks, &(uint16_t){((uint16_t *)tables->blocks.items)[block - 1]});
		else
			block_add(&m, make, data, block);
	}
	free(m.index);
	return !m.full;
}

void char_tables_free(CharTables *tables)
{
	list_free(&tables->blocks);
	list_free(&tables->cells);
	list_free(&tables->records);
	list_free(&tables->lists);
}
