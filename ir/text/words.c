/* words.c: the words and names of .bir text, for the printer and the parser. */
#include <string.h>
#include "text.h"

const char *level_name(Level level)
{
	switch (level) {
	case LEVEL_GRAPH: return "graph";
	case LEVEL_FUSED: return "fused";
	case LEVEL_LOWERED: return "lowered";
	}
	return NULL;
}

/* ---- enums.def ------------------------------------------------------------------------------- */
#define WORD(KIND, NAME, TEXT) WORD_##KIND(NAME, TEXT)
#define WORD_PACK(NAME, TEXT) [PACK_##NAME] = TEXT,
#define WORD_ACT(NAME, TEXT)
#define WORD_POOL(NAME, TEXT)
const char *const enum_pack_words[PACK_COUNT] = {
#include "ir/enums.def"
};
#undef WORD_PACK
#undef WORD_ACT
#define WORD_PACK(NAME, TEXT)
#define WORD_ACT(NAME, TEXT) [ACT_##NAME] = TEXT,
const char *const enum_act_words[ACT_COUNT] = {
#include "ir/enums.def"
};
#undef WORD_ACT
#undef WORD_POOL
#define WORD_ACT(NAME, TEXT)
#define WORD_POOL(NAME, TEXT) [POOL_##NAME] = TEXT,
const char *const enum_pool_words[POOL_COUNT] = {
#include "ir/enums.def"
};

/* ---- names ----------------------------------------------------------------------------------- */
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool name_is_made_of(const char *name, const char *further)
{
	for (const char *c = name; *c; c++)
		if (!is_letter(*c) && !is_digit(*c) && !strchr(further, *c))
			return false;
	return *name != 0;
}

/* A name of digits only would be an id, so it needs quotes. */
bool name_is_value(const char *name)
{
	return name_is_made_of(name, ".-") && name[strspn(name, "0123456789")] != 0;
}

bool name_is_symbol(const char *name) { return name_is_made_of(name, "./-"); }

/* The pattern `letter (letter | digit)* ('-' letter (letter | digit)*)*` of lex.rl, except inf and nan. */
bool name_is_word(const char *name)
{
	for (const char *c = name;; c++) {
		if (!is_letter(*c++))
			return false;
		while (is_letter(*c) || is_digit(*c))
			c++;
		if (*c == 0)
			return strcmp(name, "inf") != 0 && strcmp(name, "nan") != 0;
		if (*c != '-')
			return false;
	}
}

bool name_is_file(const char *name)
{
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '/')
			return false;
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}
