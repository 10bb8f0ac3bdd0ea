/* regex_automaton.c: makes a deterministic automaton of a regular expression. A state is a list of threads in
 * the order in which a backtracking engine tries them. A match removes the threads after it (Cox 2009,
 * "Regular Expression Matching: the Virtual Machine Approach"). */
#include <string.h>
#include "regex_nodes.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cuts.h"

/* ---- sets of characters ---------------------------------------------------------------------- */
/* \w of Oniguruma: letters, marks, digits and connecting punctuation, but of the other numbers (No) only
 * those below U+0100, and circled letters. */
static bool is_word(int32_t code)
{
	const char *name = unicode_category(code);
	const bool circled = (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149)
		|| (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189);
	if (*name == 'N')
		return name[1] != 'o' || code < 0x100;
	return *name == 'L' || *name == 'M' || strcmp(name, "Pc") == 0 || circled;
}

static bool item_has(const Item *item, int32_t code)
{
	const char *name = item->property == CATEGORY ? unicode_category(code) : "";
	bool has = false;
	switch (item->property) {
	case RANGE: has = code >= item->low && code <= item->high; break;
	case SPACE: has = unicode_is_space(code); break;
	case CALL: has = item->has(code); break;
	case RUST_WORD: has = unicode_is_word(code); break;
	case WORD: has = is_word(code); break;
	case CATEGORY:
		has = name[0] == item->category[0] && (!item->category[1] || name[1] == item->category[1]);
		break;
	}
	return has != item->negated;
}

static bool set_has(const Regex *r, int32_t set, int32_t code)
{
	const Set *s = &r->sets[set];
	bool has = false;
	for (int32_t i = s->from; i < s->to && !has; i++)
		has = item_has(&r->items[i], code);
	return has != s->negated;
}

/* Whether a code point is like the one before it: nothing is assigned in planes 4 to 13; 15 and 16 are for
 * private use, but for their last two. */
static bool is_alike(int32_t code)
{
	return (code > UNICODE_PLANE_4 && code < 0xE0000)
		|| (code > 0xF0000 && (code & 0xFFFF) > 0 && (code & 0xFFFF) < 0xFFFE);
}

/* The sets that hold the code point, a bit each. */
static uint32_t mask_of(const Regex *r, int32_t code)
{
	uint32_t mask = 0;
	for (int32_t s = 0; s < r->nsets; s++)
		mask |= (uint32_t)set_has(r, s, code) << s;
	return mask;
}

/* Finds which sets share a character with which. */
static void find_shared(Regex *r)
{
	uint32_t last = 0;
	for (int32_t code = 0; code < 0x110000; code++) {
		const uint32_t mask = is_alike(code) ? last : mask_of(r, code);
		for (int32_t s = 0; s < r->nsets && mask != last; s++)
			r->shared[s] |= mask >> s & 1 ? mask : 0;
		last = mask;
	}
	r->knows_shared = true;
}

/* ---- instructions ---------------------------------------------------------------------------- */
static int32_t emit(Regex *r, Instruction instruction)
{
	if (r->ncode == CODE_MAX)
		return regex_refuse(r, "it is too long");
	r->code[r->ncode] = instruction;
	return r->ncode++;
}

/* A choice between one more repetition and the instruction after all of them. */
static int32_t emit_choice(Regex *r, const Part *repeat, int32_t more, int32_t next)
{
	return emit(r,
		repeat->lazy ? (Instruction){EITHER, -1, next, more, false}
					 : (Instruction){EITHER, -1, more, next, false});
}

/* Whether the instructions from `at` on may begin with a character of the set, look ahead, or repeat what is
 * not compiled yet (-1). */
static bool may_begin(Regex *r, int32_t at, int32_t set, bool seen[CODE_MAX])
{
	if (at < 0)
		return true;
	const Instruction *i = &r->code[at];
	if (seen[at])
		return false;
	seen[at] = true;
	switch (i->kind) {
	case AHEAD: return true;
	case ONE: return r->shared[set] >> i->set & 1;
	case EITHER: return may_begin(r, i->left, set, seen) || may_begin(r, i->right, set, seen);
	default: return false;
	}
}

/* A possessive repetition is a greedy one if the rest cannot take what it would give back. */
static bool is_greedy(Regex *r, const Part *repeat, int32_t next)
{
	bool seen[CODE_MAX] = {false};
	if (!r->knows_shared)
		find_shared(r);
	return !may_begin(r, next, r->nodes[repeat->left].left, seen);
}

/* Compiles a node before the instruction `next`; returns its first instruction. */
static int32_t compile(Regex *r, int32_t node, int32_t next)
{
	const Part *n = &r->nodes[node];
	int32_t first = next, loop;
	if (r->failed)
		return next;
	switch (n->kind) {
	case EMPTY: return next;
	case ONE:
	case AHEAD: return emit(r, (Instruction){n->kind, n->left, next, -1, n->negated});
	case BOTH: return compile(r, n->left, compile(r, n->right, next));
	case EITHER: {
		const int32_t left = compile(r, n->left, next), right = compile(r, n->right, next);
		return emit(r, (Instruction){EITHER, -1, left, right, false});
	}
	case REPEAT: break;
	}
	if (n->possessive && !is_greedy(r, n, next))
		return regex_refuse(r, "a possessive repetition before one of its characters or a lookahead");
	if (n->most == MANY) {
		loop = emit_choice(r, n, -1, next);
		*(n->lazy ? &r->code[loop].right : &r->code[loop].left) = compile(r, n->left, loop);
		first = loop;
	}
	for (int32_t i = n->least; i < n->most; i++)
		first = emit_choice(r, n, compile(r, n->left, first), next);
	for (int32_t i = 0; i < n->least; i++) {
		const int32_t before = r->ncode;
		first = compile(r, n->left, first);
		if (r->ncode == before) /* it is empty, and so are its repetitions: nested ones would take for ever */
			break;
	}
	return first;
}

/* ---- the automaton --------------------------------------------------------------------------- */
typedef struct Builder {
	const Regex *r;
	uint32_t masks[CLASSES_MAX]; /* sets that hold the characters of a class */
	int32_t classes;
	List threads, starts;          /* int32_t: the lists of all states; where each begins, and the end */
	int32_t next[CODE_MAX], nnext; /* the list that a step makes */
	bool seen[CODE_MAX], matches;
} Builder;

/* Follows a thread up to instructions that read a character, with the class of that character in view
 * (`classes`: the end of the text). */
static void follow(Builder *b, int32_t at, int32_t class)
{
	const Instruction *i = &b->r->code[at];
	const bool end = class == b->classes;
	if (b->matches || b->seen[at])
		return;
	b->seen[at] = true;
	const bool in = !end && i->set >= 0 && b->masks[class] >> i->set & 1;
	if (i->kind == EMPTY) {
		b->matches = true;
	} else if (i->kind == EITHER) {
		follow(b, i->left, class);
		follow(b, i->right, class);
	} else if (i->kind == AHEAD) {
		if (in != i->negated)
			follow(b, i->left, class);
	} else if (in) {
		for (int32_t k = 0; k < b->nnext; k++)
			if (b->next[k] == i->left)
				return;
		b->next[b->nnext++] = i->left;
	}
}

/* The state with this list, a new one if need be; CUT_DEAD if it is empty. */
static int32_t state_of(Builder *b)
{
	const int32_t *threads = b->threads.items, *starts = b->starts.items;
	if (b->nnext == 0)
		return CUT_DEAD;
	for (int32_t s = 0; s + 1 < (int32_t)b->starts.count; s++)
		if (starts[s + 1] - starts[s] == b->nnext
			&& memcmp(threads + starts[s], b->next, (size_t)b->nnext * sizeof *b->next) == 0)
			return s;
	for (int32_t k = 0; k < b->nnext; k++)
		list_add(&b->threads, &b->next[k]);
	list_add(&b->starts, &(int32_t){(int32_t)b->threads.count});
	return (int32_t)b->starts.count - 2;
}

static uint16_t entry_of(Builder *b, int32_t state, int32_t class)
{
	memset(b->seen, 0, sizeof b->seen);
	b->matches = false;
	b->nnext = 0;
	const int32_t from = ((int32_t *)b->starts.items)[state], to = ((int32_t *)b->starts.items)[state + 1];
	for (int32_t k = from; k < to; k++)
		follow(b, ((int32_t *)b->threads.items)[k], class);
	return (uint16_t)((b->matches ? CUT_MATCHES : 0) | state_of(b));
}

/* Divides all characters into classes that no set tells apart. */
static bool make_classes(Regex *r, Builder *b, uint8_t *of)
{
	for (int32_t code = 0; code < 0x110000; code++) {
		const bool alike = is_alike(code);
		const uint32_t mask = alike ? 0 : mask_of(r, code);
		int32_t class = 0;
		while (class < b->classes && b->masks[class] != mask)
			class ++;
		if (alike)
			class = of[code - 1];
		else if (class == b->classes && class == CLASSES_MAX)
			return regex_refuse(r, "it needs too many classes of characters");
		else if (class == b->classes)
			b->masks[b->classes++] = mask;
		of[code] = (uint8_t)class;
	}
	return true;
}

static bool build(Regex *r, int32_t start, Cut *cut)
{
	uint8_t *of = mem_alloc(r->import->mem, 0x110000);
	Builder b = {.r = r, .threads = list_new(sizeof(int32_t)), .starts = list_new(sizeof(int32_t))};
	List table = list_new(sizeof(uint16_t));
	bool good = make_classes(r, &b, of);
	list_add(&b.starts, &(int32_t){0});
	b.next[0] = start;
	b.nnext = 1;
	(void)state_of(&b);
	for (int32_t s = 0; good && s + 1 < (int32_t)b.starts.count; s++)
		for (int32_t class = 0; class <= b.classes && good; class ++) {
			const uint16_t entry = entry_of(&b, s, class);
			list_add(&table, &entry);
			if (s == 0 && entry & CUT_MATCHES)
				good = regex_refuse(r, "it matches an empty text");
			else if (b.starts.count > STATES_MAX)
				good = regex_refuse(r, "its automaton is too large");
		}
	*cut = (Cut){.classes = b.classes,
		.of = of,
		.ntable = (int32_t)table.count,
		.behavior = cut->behavior,
		.invert = cut->invert};
	uint16_t *copy = mem_alloc(r->import->mem, (table.count + 1) * sizeof *copy);
	if (table.count > 0)
		memcpy(copy, table.items, table.count * sizeof *copy);
	cut->table = copy;
	list_free(&table);
	list_free(&b.threads);
	list_free(&b.starts);
	return good;
}

bool regex_automaton(Regex *r, int32_t node, Cut *cut)
{
	const int32_t match = emit(r, (Instruction){EMPTY, -1, -1, -1, false});
	const int32_t start = compile(r, node, match);
	return !r->failed && build(r, start, cut);
}
