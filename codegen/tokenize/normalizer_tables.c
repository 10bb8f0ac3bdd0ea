/* normalizer_tables.c: the tables of a normaliser whose steps look at neighbours: one for each step, and the
 * record of each code point. runtime/tokenize/normalizer.h runs here too: it computes the normal form of
 * every code point by itself, and which neighbours may change it. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_tables.h"
#include "runtime/tokenize/normalizer.h"

enum { SECONDS = 0x12000 }; /* no larger code point is the second part of a composite */
typedef struct Maker {
	const TokenizerDesc *desc;
	List data, steps; /* step_data (bytes), RtNormalStep */
	bool *is_second;  /* of SECONDS: NFC may join the code point with one before it */
	bool mixes;       /* a text is replaced after a step that joins characters */
	RtTokenizer t;    /* for the steps */
	Segment *segment;
} Maker;

/* ---- tables of steps ------------------------------------------------------------------------- */
static uint32_t add_bytes(Maker *m, const void *from, size_t bytes)
{
	const uint8_t *at = from, zero = 0;
	while (m->data.count % 8)
		list_add(&m->data, &zero);
	const size_t offset = m->data.count;
	for (size_t i = 0; i < bytes; i++)
		list_add(&m->data, &at[i]);
	return (uint32_t)offset;
}

static uint32_t add_table(Maker *m, List *list)
{
	const uint32_t offset = add_bytes(m, list->items, list->count * list->size);
	list_free(list);
	return offset;
}

/* The record of a code point in the table of one step. */
static RtRecord step_char(CharMaker *maker, const void *data, int32_t code)
{
	const CharStep *step = data;
	MadeChar made[MADE_MAX];
	uint32_t entries[MADE_MAX];
	if ((*step == STEP_nfd || *step == STEP_nfkd) && code >= 0xAC00 && code <= 0xD7A3)
		return (RtRecord){RT_HANGUL, 0};
	const int32_t count = char_make(step, 1, code, made);
	if (count == 0)
		return (RtRecord){RT_GONE, 0};
	if (count == 1 && made[0].class == 0)
		return (RtRecord){RT_ONE, made[0].code - code};
	if (*step == STEP_chinese_chars && count == 3) /* as lists, the ideographs need too many records */
		return (RtRecord){RT_SPACED, made[1].code - code};
	for (int32_t i = 0; i < count; i++)
		entries[i] = (uint32_t)made[i].class << 24 | (uint32_t)made[i].code;
	return (RtRecord){RT_LIST | (uint32_t)count << RT_COUNT_SHIFT, char_list(maker, entries, count)};
}

static bool add_chars(Maker *m, const NormalStep *from, RtNormalStep *to, Diag *diag)
{
	CharTables tables;
	const bool fits = char_tables_build(step_char, &from->step, &tables);
	to->blocks = add_table(m, &tables.blocks);
	to->cells = add_table(m, &tables.cells);
	to->records = add_table(m, &tables.records);
	to->lists = add_table(m, &tables.lists);
	return fits || layout_too_many_records(diag);
}

static void add_composites(Maker *m, RtNormalStep *to)
{
	List pairs = list_new(sizeof(RtComposite));
	unicode_composites(&pairs);
	const RtComposite *pair = pairs.items;
	for (size_t i = 0; i < pairs.count; i++)
		m->is_second[pair[i].second] = true;
	for (int32_t code = 0x1161; code < 0x11C3; code++)
		m->is_second[code] |= code < 0x1176 || code >= 0x11A8;
	to->count = (int32_t)pairs.count;
	to->extra = add_table(m, &pairs);
}

static bool add_charsmap(Maker *m, const Charsmap *map, RtNormalStep *to, Diag *diag)
{
	List units;
	TrieKey *keys = checked_calloc((size_t)map->nkeys + 1, sizeof *keys);
	memcpy(keys, map->keys, (size_t)map->nkeys * sizeof *keys);
	const bool fits = trie_build(keys, map->nkeys, &units);
	free(keys);
	to->extra = add_table(m, &units);
	to->lists = add_bytes(m, map->lists, (size_t)map->nlists * sizeof *map->lists);
	return fits || layout_too_large(diag, "entries of precompiled_charsmap", map->nkeys);
}

static bool add_step(Maker *m, const NormalStep *from, Diag *diag)
{
	RtNormalStep to = {.kind = from->kind};
	bool good = true;
	switch (from->kind) {
	case RT_STEP_LITERAL:
		to.count = from->npattern;
		to.extra = (uint32_t)from->ncontent;
		to.lists = add_bytes(m, from->pattern, (size_t)from->npattern * sizeof *from->pattern);
		for (int32_t i = 0; i < from->ncontent; i++) /* right after it */
			for (int32_t k = 0; k < 4; k++)
				list_add(&m->data, &(uint8_t){(uint8_t)(from->content[i] >> 8 * k)});
		break;
	case RT_STEP_PREPEND:
		to.count = from->ncontent;
		to.lists = add_bytes(m, from->content, (size_t)from->ncontent * sizeof *from->content);
		break;
	case RT_STEP_CHARSMAP: good = add_charsmap(m, from->map, &to, diag); break;
	case RT_STEP_COMPOSE: add_composites(m, &to); /* fall through */
	default: good = add_chars(m, from, &to, diag);
	}
	list_add(&m->steps, &to);
	return good;
}

/* ---- records --------------------------------------------------------------------------------- */
static uint32_t class_of(const TokenizerDesc *desc, int32_t code) { return desc->split->class_of(code); }

/* What is true of the code point itself. */
static uint32_t raw_bits(const Maker *m, int32_t code)
{
	return char_raw_bits(code) | class_of(m->desc, code) << RT_RAW_CLASS_SHIFT
		| unicode_cluster(code) << RT_CLUSTER_SHIFT;
}

static RtRecord raw_record(CharMaker *maker, const void *data, int32_t code)
{
	(void)maker;
	return (RtRecord){raw_bits(data, code), 0};
}

static bool holds(const uint32_t *list, int32_t count, uint32_t code)
{
	for (int32_t i = 0; i < count; i++)
		if (list[i] == code)
			return true;
	return false;
}

/* Whether step k may join characters with neighbours. The first and the last one are given. */
static uint32_t joins_of(const Maker *m, int32_t k, uint32_t first, uint32_t last)
{
	const NormalStep *step = &m->desc->normal[k];
	const RtNormalStep *made = (const RtNormalStep *)m->steps.items + k;
	uint32_t bits = 0, code = first;
	switch (step->kind) {
	case RT_STEP_DECOMPOSE:
	case RT_STEP_COMPOSE: {
		const RtRecord *r = step_record(&m->t, made, first);
		if ((r->bits & RT_KIND) == RT_LIST)
			code = ((const uint32_t *)step_table(&m->t, made->lists))[r->value];
		else if ((r->bits & RT_KIND) == RT_ONE)
			code = (uint32_t)((int32_t)first + r->value);
		if (code >> 24 > 0 || (step->kind == RT_STEP_COMPOSE && code < SECONDS && m->is_second[code]))
			bits |= RT_JOINS_BEFORE;
		break;
	}
	case RT_STEP_LITERAL:
		if (holds(step->pattern, step->npattern - 1, last))
			bits |= RT_PAIR_NEXT;
		if (holds(step->pattern + 1, step->npattern - 1, first))
			bits |= RT_PAIR_BEFORE;
		break;
	case RT_STEP_CHARSMAP:
		if (unicode_cluster((int32_t)first) == RT_CLUSTER_EXTEND || first == '\n')
			bits |= RT_JOINS_BEFORE;
		if (unicode_cluster((int32_t)last) == RT_CLUSTER_PREPEND)
			bits |= RT_JOINS_NEXT;
		break;
	default: break;
	}
	return bits;
}

static RtRecord normal_record(CharMaker *maker, const void *data, int32_t code)
{
	const Maker *m = data;
	const TokenizerDesc *desc = m->desc;
	const Cursor c = {0};
	uint32_t bits = raw_bits(m, code);
	int32_t n = 1, skipped;
	(void)maker;
	m->segment->which = 0;
	m->segment->chars[0][0] = (NormalChar){(uint32_t)code, 0, 1, 0};
	for (int32_t k = 0; k <= desc->nnormal; k++) {
		if (k > 0)
			n = segment_run(&m->t, &c, m->segment, n, k - 1, k, 0, &skipped);
		const NormalChar *chars = m->segment->chars[m->segment->which];
		if (n == 0)
			bits |= RT_JOINS_BEFORE | RT_JOINS_NEXT;
		else if (k < desc->nnormal)
			bits |= joins_of(m, k, chars[0].code, chars[n - 1].code);
	}
	if (m->mixes && bits & RT_JOINS_BEFORE)
		bits |= RT_JOINS_NEXT;
	if (n != 1)
		return (RtRecord){bits | RT_LIST, 0};
	const int32_t made = (int32_t)m->segment->chars[m->segment->which][0].code;
	return (RtRecord){bits | RT_ONE | class_of(desc, made) << RT_CLASS_SHIFT, made - code};
}

/* Whether the step before a replaced text may have joined characters. */
static bool does_mix(const TokenizerDesc *desc)
{
	bool joins = false, mixes = false;
	for (int32_t k = 0; k < desc->nnormal; k++) {
		const int32_t kind = desc->normal[k].kind;
		mixes |= joins && kind == RT_STEP_LITERAL && desc->normal[k].npattern > 1;
		joins |= kind == RT_STEP_COMPOSE || kind == RT_STEP_DECOMPOSE || kind == RT_STEP_CHARSMAP;
	}
	return mixes;
}

static bool add_records(Maker *m, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	CharTables raw;
	bool good = char_tables_build(raw_record, m, &raw) || layout_too_many_records(diag);
	m->t = (RtTokenizer){.blocks = raw.blocks.items,
		.cells = raw.cells.items,
		.records = raw.records.items,
		.steps = m->steps.items,
		.step_data = m->data.items,
		.nsteps = m->desc->nnormal};
	good = good && layout_chars(normal_record, m, blob, layout, diag);
	char_tables_free(&raw);
	return good;
}

bool normalizer_layout(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	Maker m = {
		.desc = desc, .data = list_new(1), .steps = list_new(sizeof(RtNormalStep)), .mixes = does_mix(desc)};
	bool good = true;
	m.is_second = checked_calloc(SECONDS, sizeof *m.is_second);
	m.segment = checked_calloc(1, sizeof *m.segment);
	for (int32_t k = 0; k < desc->nnormal && good; k++)
		good = add_step(&m, &desc->normal[k], diag);
	good = good && add_records(&m, blob, layout, diag);
	layout->steps = layout_add(blob, &m.steps);
	layout->step_data = layout_add(blob, &m.data);
	layout->nsteps = desc->nnormal;
	layout->strips = desc->strips;
	layout->run_set = desc->run.set;
	layout->run_least = desc->run.least;
	layout->run_singles = desc->run.singles;
	layout->run_content = desc->run.content;
	free(m.is_second);
	free(m.segment);
	return good;
}
