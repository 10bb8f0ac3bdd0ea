/* trie.c: builds a double array from sorted strings (Aoe 1989; one unit per node and base ^ byte for the
 * child, as in darts-clone). runtime/tokenize/tokenizer.h documents the format. Nodes are placed depth first.
 * A node's children go into the first suitable hole among the last OPEN_BLOCKS blocks. So building takes
 * linear time, and a vocabulary of 30,522 entries takes half a megabyte. */
#include <stdlib.h>
#include <string.h>
#include "tokenizer_tables.h"

enum { BLOCK = 256, OPEN_BLOCKS = 16, UNITS_MAX = 1 << 23, ENDS_HERE = 0x100 };

/* Keys [from, to) have the same first `depth` bytes, and `unit` is their node. */
typedef struct Part {
	int32_t from, to, depth;
	uint32_t unit;
} Part;

typedef struct Builder {
	const TrieKey *keys;
	List *units, slots, parts; /* slots: one Slot per unit */
	uint32_t first_free;       /* head of the ring of free slots; NONE: empty */
} Builder;
typedef struct Slot {
	uint32_t previous, next;
	bool taken, is_base;
} Slot;
#define NONE UINT32_MAX

static Slot *slot(Builder *b, uint32_t i) { return (Slot *)b->slots.items + i; }

static uint32_t *unit(Builder *b, uint32_t i) { return (uint32_t *)b->units->items + i; }

static void take(Builder *b, uint32_t i)
{
	Slot *s = slot(b, i);
	slot(b, s->previous)->next = s->next;
	slot(b, s->next)->previous = s->previous;
	if (b->first_free == i)
		b->first_free = s->next == i ? NONE : s->next;
	s->taken = true;
}

/* Adds a block of free slots at the end of the ring. Closes the oldest open block; its holes stay empty.
 */
static void add_block(Builder *b)
{
	uint32_t begin = (uint32_t)b->units->count;
	if (begin >= BLOCK * OPEN_BLOCKS)
		for (uint32_t i = begin - BLOCK * OPEN_BLOCKS; i < begin - BLOCK * (OPEN_BLOCKS - 1); i++)
			if (!slot(b, i)->taken)
				take(b, i);
	for (uint32_t i = begin; i < begin + BLOCK; i++) {
		uint32_t empty = 0;
		list_add(b->units, &empty);
		list_add(&b->slots, &(Slot){.previous = i, .next = i});
		if (b->first_free == NONE) {
			b->first_free = i;
			continue;
		}
		Slot *first = slot(b, b->first_free);
		slot(b, i)->previous = first->previous;
		slot(b, i)->next = b->first_free;
		slot(b, first->previous)->next = i;
		first->previous = i;
	}
}

static bool fits(Builder *b, uint32_t base, const unsigned char *labels, int32_t n)
{
	if (slot(b, base)->is_base)
		return false;
	for (int32_t i = 0; i < n; i++)
		if (slot(b, base ^ labels[i])->taken)
			return false;
	return true;
}

/* An unused base for which the slots of all labels are free. */
static uint32_t find_base(Builder *b, const unsigned char *labels, int32_t n)
{
	if (b->first_free != NONE) {
		uint32_t i = b->first_free;
		do {
			if (fits(b, i ^ labels[0], labels, n))
				return i ^ labels[0];
			i = slot(b, i)->next;
		} while (i != b->first_free);
	}
	uint32_t begin = (uint32_t)b->units->count;
	add_block(b);
	return begin ^ labels[0];
}

/* The byte of a key at depth; 0 at its end, which sorts first. */
static unsigned char label_at(const TrieKey *key, int32_t depth)
{
	return depth < key->bytes ? (unsigned char)key->text[depth] : 0;
}

static void place(Builder *b, Part part)
{
	unsigned char labels[256];
	int32_t froms[257], n = 0;
	for (int32_t i = part.from; i < part.to; i++) {
		unsigned char label = label_at(&b->keys[i], part.depth);
		if (n == 0 || labels[n - 1] != label) {
			labels[n] = label;
			froms[n++] = i;
		}
	}
	froms[n] = part.to;
	uint32_t base = find_base(b, labels, n);
	slot(b, base)->is_base = true;
	*unit(b, part.unit) |= base << 9 | (labels[0] == 0 ? ENDS_HERE : 0);
	for (int32_t i = 0; i < n; i++)
		take(b, base ^ labels[i]);
	for (int32_t i = n - 1; i >= 0; i--) { /* the stack reverses them */
		uint32_t child = base ^ labels[i];
		if (labels[i] == 0) {
			*unit(b, child) = (uint32_t)b->keys[froms[i]].value << 8;
		} else {
			*unit(b, child) = labels[i];
			list_add(&b->parts, &(Part){froms[i], froms[i + 1], part.depth + 1, child});
		}
	}
}

/* Compares bytes, then the original order. Values do not suffice, because two tokens may have the same id. */
static int compare(const void *left, const void *right)
{
	const TrieKey *a = left, *b = right;
	int order = memcmp(a->text, b->text, (size_t)(a->bytes < b->bytes ? a->bytes : b->bytes));
	if (order == 0)
		order = (a->bytes > b->bytes) - (a->bytes < b->bytes);
	return order ? order : (a->value > b->value) - (a->value < b->value);
}

bool trie_build(TrieKey *keys, int32_t count, List *units)
{
	*units = list_new(sizeof(uint32_t));
	Builder b = {.keys = keys, .units = units, .first_free = NONE};
	b.slots = list_new(sizeof(Slot));
	b.parts = list_new(sizeof(Part));
	if (count > 0)
		qsort(keys, (size_t)count, sizeof *keys, compare);
	add_block(&b);
	take(&b, 0);
	if (count > 0)
		list_add(&b.parts, &(Part){0, count, 0, 0});
	while (b.parts.count > 0 && units->count <= UNITS_MAX)
		place(&b, ((Part *)b.parts.items)[--b.parts.count]);
	list_free(&b.slots);
	list_free(&b.parts);
	return units->count <= UNITS_MAX;
}

int32_t trie_walk(const List *units, const char *text, int32_t bytes)
{
	const uint32_t *trie = units->items;
	uint32_t at = 0;
	for (int32_t i = 0; i < bytes; i++) {
		uint32_t child = (trie[at] >> 9) ^ (unsigned char)text[i];
		if ((trie[child] & 0xFF) != (unsigned char)text[i])
			return -1;
		at = child;
	}
	return (int32_t)at;
}

int32_t trie_find(const List *units, const char *text, int32_t bytes)
{
	const uint32_t *trie = units->items;
	const int32_t at = trie_walk(units, text, bytes);
	return at >= 0 && trie[at] & ENDS_HERE ? (int32_t)(trie[trie[at] >> 9] >> 8) : -1;
}
