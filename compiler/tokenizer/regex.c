/* regex.c: parses regular expressions of pre-tokenizers (Oniguruma's syntax, as in the library) and compiles
 * them to automata. Supported: characters, escapes, classes [..] without nesting, properties \p{..} of
 * general categories, \s \S \w \W \d \D, groups (?:..) and (?i:..), alternatives, greedy and lazy repetition,
 * possessive repetition of one character, and a lookahead (?!x) or (?=x) of one character. Everything else is
 * refused. */
#include <stdlib.h>
#include <string.h>
#include "regex_nodes.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cursor.h"

enum { DEPTH_MAX = 32 };

int32_t regex_refuse(Regex *r, const char *why)
{
	if (!r->failed)
		IMPORT_ERROR(r->import, EXIT_UNSUPPORTED, "%s: the regular expression \"%.96s\" is not supported: %s",
			r->what, r->text, why);
	r->failed = true;
	return 0;
}

static void add_item(Regex *r, Item item)
{
	if (r->nitems == ITEMS_MAX)
		regex_refuse(r, "it has too many characters");
	else
		r->items[r->nitems++] = item;
}

/* Adds a character, and those that equal it where case is ignored. */
static void add_range(Regex *r, int32_t low, int32_t high)
{
	add_item(r, (Item){.low = low, .high = high});
	if (high >= UNICODE_PLANE_4 && (low >> 16 != 14 || high >> 16 != 14))
		regex_refuse(r, "a character of a plane without characters");
	if (!r->fold)
		return;
	if (low != high)
		regex_refuse(r, "a range in (?i:");
	const bool letter = (low | 0x20) >= 'a' && (low | 0x20) <= 'z';
	if (low >= 0x80)
		regex_refuse(r, "a character beyond ASCII in (?i:");
	if (letter)
		add_item(r, (Item){.low = low ^ 0x20, .high = low ^ 0x20});
	if ((low | 0x20) == 's' && letter)
		add_item(r, (Item){.low = 0x17F, .high = 0x17F});
	if ((low | 0x20) == 'k' && letter)
		add_item(r, (Item){.low = 0x212A, .high = 0x212A});
}

/* ---- nodes ----------------------------------------------------------------------------------- */
static int32_t add_node(Regex *r, Part node)
{
	if (r->nnodes == PARTS_MAX)
		return regex_refuse(r, "it is too long");
	r->nodes[r->nnodes] = node;
	return r->nnodes++;
}

static int32_t begin_set(Regex *r, bool negated)
{
	if (r->nsets == SETS_MAX)
		return regex_refuse(r, "it has too many classes of characters");
	r->sets[r->nsets] = (Set){r->nitems, r->nitems, negated};
	return r->nsets++;
}

/* Ends a set; an equal one before it serves as well. */
static int32_t end_set(Regex *r, int32_t set)
{
	Set *s = &r->sets[set];
	s->to = r->nitems;
	for (int32_t i = 0; i < set; i++) {
		const Set *other = &r->sets[i];
		const size_t count = (size_t)(s->to - s->from);
		if (other->negated != s->negated || other->to - other->from != (int32_t)count
			|| memcmp(&r->items[other->from], &r->items[s->from], count * sizeof *r->items) != 0)
			continue;
		r->nitems = s->from;
		r->nsets = set;
		return i;
	}
	return set;
}

static int32_t next_code(Regex *r)
{
	int32_t length;
	const int32_t code = (int32_t)cursor_decode(r->at, 0, (int32_t)strlen((const char *)r->at), &length);
	r->at += length;
	return code;
}

/* \p{L}, \p{^L}, \P{L}: r->at is after the p. */
static void read_property(Regex *r, bool negated)
{
	char name[4] = "";
	int32_t n = 0;
	if (*r->at++ != '{') {
		regex_refuse(r, "\\p without {");
		return;
	}
	if (*r->at == '^') {
		negated = !negated;
		r->at++;
	}
	while (n < 3 && *r->at && *r->at != '}')
		name[n++] = (char)*r->at++;
	if (*r->at != '}' || n < 1 || n > 2 || !strchr("LMNPSZC", name[0])
		|| (n == 2 && !strchr("ultmoncdekspfi", name[1]))) {
		regex_refuse(r, "\\p of anything but a general category");
		return;
	}
	r->at++;
	add_item(r, (Item){.property = CATEGORY, .category = {name[0], name[1]}, .negated = negated});
}

/* An escape, after the backslash. Adds its items. Returns the character, or -1 for a class. */
static int32_t read_escape(Regex *r)
{
	static const char from[] = "nrtfv", to[] = "\n\r\t\f\v";
	const char c = (char)*r->at;
	const char *control = c ? strchr(from, c) : NULL;
	if (!c)
		return regex_refuse(r, "it ends with a backslash");
	r->at++;
	if (control)
		return to[control - from];
	switch (c) {
	case 's':
	case 'S': add_item(r, (Item){.property = SPACE, .negated = c == 'S'}); return -1;
	case 'w':
	case 'W': add_item(r, (Item){.property = WORD, .negated = c == 'W'}); return -1;
	case 'd':
	case 'D':
		add_item(r, (Item){.property = CATEGORY, .category = {'N', 'd'}, .negated = c == 'D'});
		return -1;
	case 'p':
	case 'P': read_property(r, c == 'P'); return -1;
	default: break;
	}
	if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c & 0x80))
		return regex_refuse(r, "an unknown escape");
	return c;
}

/* [..], after the bracket. */
static int32_t read_class(Regex *r)
{
	const bool negated = *r->at == '^';
	r->at += negated;
	const int32_t set = begin_set(r, negated);
	if (*r->at == ']')
		return regex_refuse(r, "a class that begins with ]; write \\]");
	while (!r->failed && *r->at && *r->at != ']') {
		int32_t low = next_code(r);
		if (low == '[' || (low == '&' && *r->at == '&'))
			return regex_refuse(r, "a class in a class");
		low = low == '\\' ? read_escape(r) : low;
		if (low < 0)
			continue;
		int32_t high = low;
		if (*r->at == '-' && r->at[1] && r->at[1] != ']') {
			r->at++;
			high = next_code(r);
			high = high == '\\' ? read_escape(r) : high;
		}
		if (high < low)
			return regex_refuse(r, "a range that ends before it begins");
		add_range(r, low, high);
	}
	if (*r->at++ != ']')
		return regex_refuse(r, "a class without an end");
	return end_set(r, set);
}

static int32_t read_either(Regex *r);

/* (..), after the parenthesis. */
static int32_t read_group(Regex *r)
{
	const bool fold = r->fold;
	int32_t node;
	bool ahead = false, negated = false;
	if (*r->at == '?') {
		r->at++;
		negated = *r->at == '!';
		ahead = negated || *r->at == '=';
		if (*r->at == 'i') {
			r->fold = true;
			r->at++;
		}
		if (!ahead && *r->at != ':')
			return regex_refuse(r, "a group other than (?:..), (?i:..), (?=..) and (?!..)");
		r->at++;
	}
	node = read_either(r);
	r->fold = fold;
	if (*r->at++ != ')')
		return regex_refuse(r, "a group without an end");
	if (!ahead)
		return node;
	if (r->nodes[node].kind != ONE)
		return regex_refuse(r, "a lookahead at more than one character");
	return add_node(r, (Part){.kind = AHEAD, .left = r->nodes[node].left, .negated = negated});
}

/* Where case is ignored, Oniguruma lets two letters equal one ligature or sharp s: "ss" matches U+00DF. */
static void check_pair(Regex *r, int32_t before, int32_t code)
{
	static const char pairs[][3] = {"ff", "fi", "fl", "ss", "st"};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (r->fold && (before | 0x20) == pairs[i][0] && (code | 0x20) == pairs[i][1])
			regex_refuse(r, "ff, fi, fl, ss or st in (?i:, which also match one character");
}

static int32_t read_atom(Regex *r)
{
	const int32_t before = r->letter;
	r->letter = 0;
	if (*r->at == '(') {
		r->at++;
		if (++r->depth > DEPTH_MAX)
			return regex_refuse(r, "groups nested too deep");
		const int32_t node = read_group(r);
		r->depth--;
		return node;
	}
	int32_t code = next_code(r), set;
	if (code == '[') {
		set = read_class(r);
		return add_node(r, (Part){.kind = ONE, .left = set});
	}
	if (strchr("^$*+?{", code) && code < 0x80)
		return regex_refuse(r, "an anchor, or a repetition of nothing");
	set = begin_set(r, false);
	if (code == '.') {
		r->sets[set].negated = true;
		add_item(r, (Item){.low = '\n', .high = '\n'});
	} else {
		code = code == '\\' ? read_escape(r) : code;
		if (code >= 0)
			add_range(r, code, code);
		check_pair(r, before, code);
		r->letter = code;
	}
	set = end_set(r, set);
	return add_node(r, (Part){.kind = ONE, .left = set});
}

static int32_t read_number(Regex *r)
{
	int32_t value = 0;
	while (*r->at >= '0' && *r->at <= '9' && value <= REPEAT_MAX)
		value = value * 10 + *r->at++ - '0';
	return value;
}

/* The quantifier after an atom, if there is one. */
static int32_t read_repeat(Regex *r)
{
	int32_t node = read_atom(r), least = 0, most = MANY;
	while (!r->failed && *r->at && strchr("*+?{", *r->at)) {
		const unsigned char c = *r->at++;
		if (c == '{' && (*r->at < '0' || *r->at > '9'))
			return regex_refuse(r, "a { without a number after it");
		least = c == '+';
		most = c == '?' ? 1 : MANY;
		if (c == '{') {
			least = read_number(r);
			most = *r->at == ',' ? MANY : least;
			r->at += *r->at == ',';
			if (most == MANY && *r->at != '}')
				most = read_number(r);
			if (*r->at++ != '}' || least > REPEAT_MAX || most > REPEAT_MAX || (most >= 0 && most < least))
				return regex_refuse(r, "a repetition with numbers that are too large, or in the wrong order");
		}
		const unsigned char mode = *r->at == '?' || *r->at == '+' ? *r->at++ : 0;
		if (mode && c == '{') /* a{2}+ is (?:a{2})+ in Oniguruma, and a{2}? is (?:a{2})? */
			return regex_refuse(r, "a repetition of a repetition in braces");
		if (mode == '+' && r->nodes[node].kind != ONE)
			return regex_refuse(r, "a possessive repetition of more than one character");
		node = add_node(r,
			(Part){.kind = REPEAT,
				.left = node,
				.least = least,
				.most = most,
				.lazy = mode == '?',
				.possessive = mode == '+'});
	}
	return node;
}

static int32_t read_both(Regex *r)
{
	int32_t node = -1;
	while (!r->failed && *r->at && *r->at != '|' && *r->at != ')') {
		const int32_t next = read_repeat(r);
		node = node < 0 ? next : add_node(r, (Part){.kind = BOTH, .left = node, .right = next});
	}
	return node < 0 ? add_node(r, (Part){.kind = EMPTY}) : node;
}

static int32_t read_either(Regex *r)
{
	int32_t node = read_both(r);
	while (!r->failed && *r->at == '|') {
		r->at++;
		r->letter = 0;
		const int32_t next = read_both(r);
		node = add_node(r, (Part){.kind = EITHER, .left = node, .right = next});
	}
	return node;
}

/* ---- the whole ------------------------------------------------------------------------------- */
static Regex *regex_new(TokenizerImport *import, const char *what, const char *text)
{
	Regex *r = checked_calloc(1, sizeof *r);
	r->import = import;
	r->what = what;
	r->text = text;
	r->at = (const unsigned char *)text;
	return r;
}

static bool finish(Regex *r, int32_t node, Cut *cut)
{
	const bool good = !r->failed && regex_automaton(r, node, cut);
	free(r);
	return good;
}

bool regex_compile(TokenizerImport *import, const char *what, const char *text, Cut *cut)
{
	Regex *r = regex_new(import, what, text);
	const int32_t node = read_either(r);
	if (*r->at)
		regex_refuse(r, "a parenthesis that closes nothing");
	return finish(r, node, cut);
}

bool regex_literal(TokenizerImport *import, const char *what, const char *text, Cut *cut)
{
	Regex *r = regex_new(import, what, text);
	int32_t node = -1;
	while (*r->at && !r->failed) {
		int32_t set = begin_set(r, false);
		const int32_t code = next_code(r);
		add_range(r, code, code);
		set = end_set(r, set);
		const int32_t next = add_node(r, (Part){.kind = ONE, .left = set});
		node = node < 0 ? next : add_node(r, (Part){.kind = BOTH, .left = node, .right = next});
	}
	return finish(r, node < 0 ? add_node(r, (Part){.kind = EMPTY}) : node, cut);
}

bool regex_property(TokenizerImport *import, const char *what, bool (*has)(int32_t code), Cut *cut)
{
	Regex *r = regex_new(import, what, what);
	const int32_t set = begin_set(r, false);
	add_item(r, (Item){.property = CALL, .has = has});
	return finish(r, add_node(r, (Part){.kind = ONE, .left = end_set(r, set)}), cut);
}

bool regex_words(TokenizerImport *import, Cut *cut)
{
	Regex *r = regex_new(import, "pre_tokenizer Whitespace", "\\w+|[^\\w\\s]+");
	int32_t nodes[2];
	for (int i = 0; i < 2; i++) {
		const int32_t set = begin_set(r, i == 1);
		add_item(r, (Item){.property = RUST_WORD});
		if (i == 1)
			add_item(r, (Item){.property = SPACE});
		const int32_t one = add_node(r, (Part){.kind = ONE, .left = end_set(r, set)});
		nodes[i] = add_node(r, (Part){.kind = REPEAT, .left = one, .least = 1, .most = MANY});
	}
	return finish(r, add_node(r, (Part){.kind = EITHER, .left = nodes[0], .right = nodes[1]}), cut);
}
