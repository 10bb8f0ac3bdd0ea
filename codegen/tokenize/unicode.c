/* unicode.c: properties of code points as in the `tokenizers` library: utf8proc's data (Unicode 15.0), and
 * lists of the code points where the library differs. The library uses several crates with different versions
 * of Unicode: general categories from unicode_categories 0.1 (Unicode 8), decompositions and combining
 * classes from unicode-normalization-alignments (Unicode 9), lower case from the Rust compiler's version, and
 * \w from regex-syntax (Unicode 16 and 17 in tokenizers 0.23).
 * tests/python/tokenizer/test_tokenizer_unicode.py compares all code points. */
#include <stdlib.h>
#include <utf8proc.h>
#include "tokenizer_tables.h"

/* ---- the library's exceptions ---------------------------------------------------------------- */
typedef struct Range {
	int32_t first, last;
} Range;

/* Cf in Unicode 15, unassigned in Unicode 8: clean_text keeps them. */
static const Range not_control[] = {
	{0x890, 0x891},
	{0x8E2, 0x8E2},
	{0x110CD, 0x110CD},
	{0x13430, 0x1343F},
};
/* Mn in Unicode 15, but not in Unicode 8: strip_accents keeps them. */
static const Range not_nonspacing[] = {
	{0x7FD, 0x7FD},
	{0x898, 0x89F},
	{0x8CA, 0x8E1},
	{0x9FE, 0x9FE},
	{0xAFA, 0xAFF},
	{0xB55, 0xB55},
	{0xC04, 0xC04},
	{0xC3C, 0xC3C},
	{0xD00, 0xD00},
	{0xD3B, 0xD3C},
	{0xD81, 0xD81},
	{0xEBA, 0xEBA},
	{0xECE, 0xECE},
	{0x180F, 0x180F},
	{0x1885, 0x1886},
	{0x1ABF, 0x1ACE},
	{0x1DF6, 0x1DFB},
	{0xA82C, 0xA82C},
	{0xA8C5, 0xA8C5},
	{0xA8FF, 0xA8FF},
	{0xA9BD, 0xA9BD},
	{0x10D24, 0x10D27},
	{0x10EAB, 0x10EAC},
	{0x10EFD, 0x10EFF},
	{0x10F46, 0x10F50},
	{0x10F82, 0x10F85},
	{0x11070, 0x11070},
	{0x11073, 0x11074},
	{0x110C2, 0x110C2},
	{0x111C9, 0x111C9},
	{0x111CF, 0x111CF},
	{0x1123E, 0x1123E},
	{0x11241, 0x11241},
	{0x1133B, 0x1133B},
	{0x11438, 0x1143F},
	{0x11442, 0x11444},
	{0x11446, 0x11446},
	{0x1145E, 0x1145E},
	{0x1182F, 0x11837},
	{0x11839, 0x1183A},
	{0x1193B, 0x1193C},
	{0x1193E, 0x1193E},
	{0x11943, 0x11943},
	{0x119D4, 0x119D7},
	{0x119DA, 0x119DB},
	{0x119E0, 0x119E0},
	{0x11A01, 0x11A0A},
	{0x11A33, 0x11A38},
	{0x11A3B, 0x11A3E},
	{0x11A47, 0x11A47},
	{0x11A51, 0x11A56},
	{0x11A59, 0x11A5B},
	{0x11A8A, 0x11A96},
	{0x11A98, 0x11A99},
	{0x11C30, 0x11C36},
	{0x11C38, 0x11C3D},
	{0x11C3F, 0x11C3F},
	{0x11C92, 0x11CA7},
	{0x11CAA, 0x11CB0},
	{0x11CB2, 0x11CB3},
	{0x11CB5, 0x11CB6},
	{0x11D31, 0x11D36},
	{0x11D3A, 0x11D3A},
	{0x11D3C, 0x11D3D},
	{0x11D3F, 0x11D45},
	{0x11D47, 0x11D47},
	{0x11D90, 0x11D91},
	{0x11D95, 0x11D95},
	{0x11D97, 0x11D97},
	{0x11EF3, 0x11EF4},
	{0x11F00, 0x11F01},
	{0x11F36, 0x11F3A},
	{0x11F40, 0x11F40},
	{0x11F42, 0x11F42},
	{0x13440, 0x13440},
	{0x13447, 0x13455},
	{0x16F4F, 0x16F4F},
	{0x16FE4, 0x16FE4},
	{0x1CF00, 0x1CF2D},
	{0x1CF30, 0x1CF46},
	{0x1E000, 0x1E006},
	{0x1E008, 0x1E018},
	{0x1E01B, 0x1E021},
	{0x1E023, 0x1E024},
	{0x1E026, 0x1E02A},
	{0x1E08F, 0x1E08F},
	{0x1E130, 0x1E136},
	{0x1E2AE, 0x1E2AE},
	{0x1E2EC, 0x1E2EF},
	{0x1E4EC, 0x1E4EF},
	{0x1E944, 0x1E94A},
};
/* U+1734 HANUNOO SIGN PAMUDPOD was Mn until Unicode 14 made it Mc. */
static const Range nonspacing[] = {{0x1734, 0x1734}};
/* The marks of not_nonspacing that are in Unicode 9. The others are unassigned there, so they have class
 * 0. */
static const Range since_9[] = {
	{0x8D4, 0x8E1},
	{0x1DFB, 0x1DFB},
	{0x11442, 0x11446},
	{0x11C3F, 0x11C3F},
	{0x1E000, 0x1E02A},
	{0x1E944, 0x1E94A},
};
/* Spacing marks (Mc) of combining class 0 in Unicode 9: unassigned, or U+1715, whose class changed. */
static const Range not_combining[] = {
	{0x1715, 0x1715}, {0x1193D, 0x1193D}, {0x11F41, 0x11F41}, {0x16FF0, 0x16FF1}};
/* Punctuation in Unicode 15, but not in Unicode 8 ... */
static const Range not_punctuation[] = {
	{0x61D, 0x61D},
	{0x9FD, 0x9FD},
	{0xA76, 0xA76},
	{0xC77, 0xC77},
	{0xC84, 0xC84},
	{0x1B7D, 0x1B7E},
	{0x2E43, 0x2E4F},
	{0x2E52, 0x2E5D},
	{0x10EAD, 0x10EAD},
	{0x10F55, 0x10F59},
	{0x10F86, 0x10F89},
	{0x1144B, 0x1144F},
	{0x1145A, 0x1145B},
	{0x1145D, 0x1145D},
	{0x11660, 0x1166C},
	{0x116B9, 0x116B9},
	{0x1183B, 0x1183B},
	{0x11944, 0x11946},
	{0x119E2, 0x119E2},
	{0x11A3F, 0x11A46},
	{0x11A9A, 0x11A9C},
	{0x11A9E, 0x11AA2},
	{0x11B00, 0x11B09},
	{0x11C41, 0x11C45},
	{0x11C70, 0x11C71},
	{0x11EF7, 0x11EF8},
	{0x11F43, 0x11F4F},
	{0x11FFF, 0x11FFF},
	{0x12FF1, 0x12FF2},
	{0x16E97, 0x16E9A},
	{0x16FE2, 0x16FE2},
	{0x1E95E, 0x1E95F},
};
/* ... and punctuation in Unicode 8 that later became symbols and marks. */
static const Range punctuation[] = {{0x166D, 0x166D}, {0x111C9, 0x111C9}};
/* Has a decomposition in Unicode 15, unassigned in Unicode 9. */
static const Range not_decomposed[] = {{0x11938, 0x11938}};
/* Lower case added in Unicode 15.1 to 17. */
static const struct {
	Range range;
	int32_t lower;
} lowercase[] = {
	{{0x1C89, 0x1C89}, 0x1C8A},
	{{0xA7CB, 0xA7CB}, 0x264},
	{{0xA7CC, 0xA7CC}, 0xA7CD},
	{{0xA7CE, 0xA7CE}, 0xA7CF},
	{{0xA7D2, 0xA7D2}, 0xA7D3},
	{{0xA7D4, 0xA7D4}, 0xA7D5},
	{{0xA7DA, 0xA7DA}, 0xA7DB},
	{{0xA7DC, 0xA7DC}, 0x19B},
	{{0x10D50, 0x10D65}, 0x10D70},
	{{0x16EA0, 0x16EB8}, 0x16EBB},
};
/* Alphabetic, although they are symbols (So): circled, parenthesised and squared letters. */
static const Range alphabetic[] = {
	{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
/* \w, but unassigned in Unicode 15. */
static const Range word_later[] = {
	{0x897, 0x897},
	{0x1C89, 0x1C8A},
	{0xA7CB, 0xA7CD},
	{0xA7DA, 0xA7DC},
	{0x105C0, 0x105F3},
	{0x10D40, 0x10D65},
	{0x10D69, 0x10D6D},
	{0x10D6F, 0x10D85},
	{0x10EC2, 0x10EC4},
	{0x10EFC, 0x10EFC},
	{0x11380, 0x11389},
	{0x1138B, 0x1138B},
	{0x1138E, 0x1138E},
	{0x11390, 0x113B5},
	{0x113B7, 0x113C0},
	{0x113C2, 0x113C2},
	{0x113C5, 0x113C5},
	{0x113C7, 0x113CA},
	{0x113CC, 0x113D3},
	{0x113E1, 0x113E2},
	{0x116D0, 0x116E3},
	{0x11BC0, 0x11BE0},
	{0x11BF0, 0x11BF9},
	{0x11F5A, 0x11F5A},
	{0x13460, 0x143FA},
	{0x16100, 0x16139},
	{0x16D40, 0x16D6C},
	{0x16D70, 0x16D79},
	{0x18CFF, 0x18CFF},
	{0x1CCF0, 0x1CCF9},
	{0x1E5D0, 0x1E5FA},
	{0x2EBF0, 0x2EE5D},
};
static const Range white_space[] = {
	/* White_Space: stable since Unicode 6.3 */
	{0x9, 0xD},
	{0x20, 0x20},
	{0x85, 0x85},
	{0xA0, 0xA0},
	{0x1680, 0x1680},
	{0x2000, 0x200A},
	{0x2028, 0x2029},
	{0x202F, 0x202F},
	{0x205F, 0x205F},
	{0x3000, 0x3000},
};
/* The blocks of BertNormalizer::is_chinese_char. */
static const Range chinese[] = {
	{0x3400, 0x4DBF},
	{0x4E00, 0x9FFF},
	{0xF900, 0xFAFF},
	{0x20000, 0x2A6DF},
	{0x2A700, 0x2B81F},
	{0x2B920, 0x2CEAF},
	{0x2F800, 0x2FA1F},
};

/* Marks of Unicode 16 and 17 that join a cluster of at most 5 bytes; longer ones are read one by one. */
static const Range later_mark[] = {{0x897, 0x897}, {0x1ACF, 0x1ADD}, {0x1AE0, 0x1AEB}};

/* Marks in Unicode 15 that are unassigned in Unicode 9. */
static const Range not_mark[] = {
	{0x7FD, 0x7FD},
	{0x898, 0x89F},
	{0x8CA, 0x8D3},
	{0x9FE, 0x9FE},
	{0xAFA, 0xAFF},
	{0xB55, 0xB55},
	{0xC04, 0xC04},
	{0xC3C, 0xC3C},
	{0xCF3, 0xCF3},
	{0xD00, 0xD00},
	{0xD3B, 0xD3C},
	{0xD81, 0xD81},
	{0xEBA, 0xEBA},
	{0xECE, 0xECE},
	{0x1715, 0x1715},
	{0x180F, 0x180F},
	{0x1ABF, 0x1ACE},
	{0x1CF7, 0x1CF7},
	{0x1DF6, 0x1DFA},
	{0xA82C, 0xA82C},
	{0xA8FF, 0xA8FF},
	{0x10D24, 0x10D27},
	{0x10EAB, 0x10EAC},
	{0x10EFD, 0x10EFF},
	{0x10F46, 0x10F50},
	{0x10F82, 0x10F85},
	{0x11070, 0x11070},
	{0x11073, 0x11074},
	{0x110C2, 0x110C2},
	{0x11145, 0x11146},
	{0x111C9, 0x111C9},
	{0x111CE, 0x111CF},
	{0x11241, 0x11241},
	{0x1133B, 0x1133B},
	{0x1145E, 0x1145E},
	{0x1182C, 0x1183A},
	{0x11930, 0x11935},
	{0x11937, 0x11938},
	{0x1193B, 0x1193E},
	{0x11940, 0x11940},
	{0x11942, 0x11943},
	{0x119D1, 0x119D7},
	{0x119DA, 0x119E0},
	{0x119E4, 0x119E4},
	{0x11A01, 0x11A0A},
	{0x11A33, 0x11A39},
	{0x11A3B, 0x11A3E},
	{0x11A47, 0x11A47},
	{0x11A51, 0x11A5B},
	{0x11A8A, 0x11A99},
	{0x11D31, 0x11D36},
	{0x11D3A, 0x11D3A},
	{0x11D3C, 0x11D3D},
	{0x11D3F, 0x11D45},
	{0x11D47, 0x11D47},
	{0x11D8A, 0x11D8E},
	{0x11D90, 0x11D91},
	{0x11D93, 0x11D97},
	{0x11EF3, 0x11EF6},
	{0x11F00, 0x11F01},
	{0x11F03, 0x11F03},
	{0x11F34, 0x11F3A},
	{0x11F3E, 0x11F42},
	{0x13440, 0x13440},
	{0x13447, 0x13455},
	{0x16F4F, 0x16F4F},
	{0x16F7F, 0x16F87},
	{0x16FE4, 0x16FE4},
	{0x16FF0, 0x16FF1},
	{0x1CF00, 0x1CF2D},
	{0x1CF30, 0x1CF46},
	{0x1E08F, 0x1E08F},
	{0x1E130, 0x1E136},
	{0x1E2AE, 0x1E2AE},
	{0x1E2EC, 0x1E2EF},
	{0x1E4EC, 0x1E4EF},
};
/* U+1CF2 and U+1CF3 were marks until Unicode 12. */
static const Range mark[] = {{0x1CF2, 0x1CF3}};
/* Has a compatibility decomposition in Unicode 15, but not in Unicode 9. */
static const Range not_compatible[] = {
	{0x32FF, 0x32FF},
	{0xA7F2, 0xA7F4},
	{0xAB69, 0xAB69},
	{0x10781, 0x10785},
	{0x10787, 0x107B0},
	{0x107B2, 0x107BA},
	{0x1E030, 0x1E06D},
	{0x1F16C, 0x1F16C},
	{0x1FBF0, 0x1FBF9},
};

static int by_parts(const void *left, const void *right)
{
	const RtComposite *a = left, *b = right;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return (a->second > b->second) - (a->second < b->second);
}

static bool find_range(const Range *ranges, size_t count, int32_t code)
{
	size_t low = 0;
	while (count > 0) {
		size_t half = count / 2;
		if (ranges[low + half].last < code) {
			low += half + 1;
			count -= half + 1;
		} else if (ranges[low + half].first > code) {
			count = half;
		} else {
			return true;
		}
	}
	return false;
}
#define IN(ranges, code) find_range(ranges, sizeof ranges / sizeof *ranges, code)

/* ---- properties, as in the library ----------------------------------------------------------- */
bool unicode_is_control(int32_t code)
{
	utf8proc_category_t category = utf8proc_category(code);
	bool other = category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF
		|| category == UTF8PROC_CATEGORY_CO
		|| category
			== UTF8PROC_CATEGORY_CS; /* not CN: the crate's is_other excludes unassigned code points */
	return other && code != '\t' && code != '\n' && code != '\r' && !IN(not_control, code);
}

bool unicode_is_nonspacing(int32_t code)
{
	return utf8proc_category(code) == UTF8PROC_CATEGORY_MN ? !IN(not_nonspacing, code) : IN(nonspacing, code);
}

bool unicode_is_punctuation(int32_t code)
{
	if (code < 0x80)
		return code > ' ' && code < 0x7F && !(code >= '0' && code <= '9')
			&& !((code | 0x20) >= 'a' && (code | 0x20) <= 'z');
	utf8proc_category_t category = utf8proc_category(code);
	bool listed = category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
	return listed ? !IN(not_punctuation, code) : IN(punctuation, code);
}

/* \w: Alphabetic, M, Nd, Pc and Join_Control. */
bool unicode_is_word(int32_t code)
{
	utf8proc_category_t category = utf8proc_category(code);
	return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL)
		|| category == UTF8PROC_CATEGORY_PC || code == 0x200C || code == 0x200D || IN(alphabetic, code)
		|| IN(word_later, code);
}

/* Of class 0, canonical ordering stops at them. */
int32_t unicode_combining_class(int32_t code)
{
	const bool unknown = IN(not_nonspacing, code) && !IN(since_9, code);
	return unknown || IN(not_combining, code) ? 0 : utf8proc_get_property(code)->combining_class;
}

int32_t unicode_to_lower(int32_t code)
{
	for (size_t i = 0; i < sizeof lowercase / sizeof *lowercase; i++)
		if (code >= lowercase[i].range.first && code <= lowercase[i].range.last)
			return lowercase[i].lower + code - lowercase[i].range.first;
	return utf8proc_tolower(code);
}

bool unicode_is_mark(int32_t code)
{
	const utf8proc_category_t category = utf8proc_category(code);
	const bool listed = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
	return listed ? !IN(not_mark, code) : IN(mark, code);
}

bool unicode_is_space(int32_t code) { return IN(white_space, code); }

bool unicode_is_chinese(int32_t code) { return IN(chinese, code); }

int32_t unicode_decompose_as(int32_t code, bool compatible, int32_t parts[UNICODE_COMPATIBLE_MAX])
{
	parts[0] = code;
	if (!compatible)
		return unicode_decompose(code, parts);
	if (IN(not_decomposed, code) || IN(not_compatible, code))
		return 1;
	return (int32_t)utf8proc_decompose_char(
		code, parts, UNICODE_COMPATIBLE_MAX, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE, NULL);
}

uint32_t unicode_cluster(int32_t code)
{
	if (IN(later_mark, code))
		return RT_CLUSTER_EXTEND;
	switch (utf8proc_get_property(code)->boundclass) {
	case UTF8PROC_BOUNDCLASS_EXTEND:
	case UTF8PROC_BOUNDCLASS_ZWJ:
	case UTF8PROC_BOUNDCLASS_SPACINGMARK: return RT_CLUSTER_EXTEND;
	case UTF8PROC_BOUNDCLASS_CR:
	case UTF8PROC_BOUNDCLASS_LF:
	case UTF8PROC_BOUNDCLASS_CONTROL: return RT_CLUSTER_CONTROL;
	case UTF8PROC_BOUNDCLASS_PREPEND: return RT_CLUSTER_PREPEND;
	default: return RT_CLUSTER_OTHER;
	}
}

/* The first part of a character's decomposition into two; 0: none. */
static int32_t first_part(const int32_t *parts, int32_t count, int32_t *whole)
{
	utf8proc_int32_t buffer[UNICODE_PARTS_MAX];
	for (int32_t i = 0; i < count; i++)
		buffer[i] = parts[i];
	*whole = (int32_t)utf8proc_normalize_utf32(buffer, count, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
	return buffer[0];
}

void unicode_composites(List *pairs)
{
	static const Range ranges[] = {{0xC0, 0x3100}, {0x11000, 0x12000}};
	for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
		for (int32_t code = ranges[r].first; code < ranges[r].last; code++) {
			int32_t parts[UNICODE_PARTS_MAX], whole, n = unicode_decompose(code, parts);
			if (n < 2 || first_part(parts, n, &whole) != code || whole != 1)
				continue;
			const int32_t first = first_part(parts, n - 1, &whole);
			if (whole == 1)
				list_add(pairs, &(RtComposite){(uint32_t)first, (uint32_t)parts[n - 1], (uint32_t)code});
		}
	if (pairs->count > 0)
		qsort(pairs->items, pairs->count, sizeof(RtComposite), by_parts);
}

int32_t unicode_decompose(int32_t code, int32_t parts[UNICODE_PARTS_MAX])
{
	parts[0] = code;
	if (IN(not_decomposed, code))
		return 1;
	return (int32_t)utf8proc_decompose_char(
		code, parts, UNICODE_PARTS_MAX, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, NULL);
}
