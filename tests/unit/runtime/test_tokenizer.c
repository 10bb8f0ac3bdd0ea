/* test_tokenizer.c: the tables and the run-time tokenizer with hand-made vocabularies: the results of
 * runtime/tokenize/tokenizer.h besides ids (counts, resume positions, statuses), the trie against a list,
 * hostile texts in linear time, and the emitted C. tests/python/tokenizer/test_tokenizer*.py compare ids with
 * the `tokenizers` library. */
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "compiler/tokenizer/tokenizer_import.h"
#include "compiler/tokenizer/wordpiece.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/tokenizer.c"

static const char *const words[] = {
	"[PAD]",
	"[UNK]",
	"[CLS]",
	"[SEP]",
	"[MASK]",
	"un",
	"##aff",
	"##able",
	"film",
	"a",
	"##a",
	"!",
	"\xE4\xB8\xAD",
	"##",
	NULL,
	"e",
	"##film",
};
enum { WORDS = sizeof words / sizeof *words, UNK = 1, CLS = 2, SEP = 3 };
static const AddedToken specials[] = {{.text = "[MASK]", .bytes = 6, .id = 4, .special = true}};
static const AddedToken many[] = {
	{.text = "[MASK]", .bytes = 6, .id = 4, .special = true},
	{.text = "Film \xC3\xA9", .bytes = 7, .id = 17, .normalized = true},
	{.text = "aaaaaaaaaaaaaaaaaaab", .bytes = 20, .id = 18, .normalized = true, .lstrip = true},
	{.text = "zzzzzzzzzzzzzzzzzzzb", .bytes = 20, .id = 19, .single_word = true, .rstrip = true},
};
static const TemplateItem items[] = {
	{PIECE_TOKEN, CLS, 0},
	{PIECE_A, 0, 0},
	{PIECE_TOKEN, SEP, 0},
	{PIECE_B, 0, 1},
	{PIECE_TOKEN, SEP, 1},
};

typedef struct Made {
	Blob blob;
	RtTokenizer t;
} Made;

static const WordPiece hundred = {"##", 100}, three = {"##", 3};

static TokenizerDesc describe(void)
{
	return (TokenizerDesc){
		.model = &wordpiece_tokenizer,
		.data = &hundred,
		.split = &bert_splitter,
		.nsteps = 4,
		.steps = {STEP_clean_text, STEP_chinese_chars, STEP_strip_accents, STEP_lowercase},
		.nvocab = WORDS,
		.vocab = (const char **)(void *)words,
		.unk_id = UNK,
		.mask_id = 4,
		.nadded = 1,
		.added = specials,
		.nsingle = 3,
		.single = items,
		.npair = 5,
		.pair = items,
	};
}

static Made make(const TokenizerDesc *desc)
{
	Made made = {0};
	TokenizerLayout layout;
	Diag diag;
	diag_init(&diag, "test");
	CU_ASSERT_TRUE_FATAL(tokenizer_layout(desc, &made.blob, &layout, &diag));
	made.t = tokenizer_instance(desc, &layout, made.blob.data);
	diag_free(&diag);
	return made;
}

/* The result of one call. */
typedef struct Answer {
	int status;
	int32_t ids[64], types[64], starts[64], ends[64], words[64];
	RtEncoding e;
} Answer;

static Answer ask(const TokenizerDesc *desc, const char *text, const char *pair, int32_t max_tokens)
{
	Made made = make(desc);
	Answer a;
	size_t pair_bytes = pair ? strlen(pair) : 0;
	a.status = rt_tokenize(&made.t, text, strlen(text), pair, pair_bytes, max_tokens, a.ids, a.types,
		a.starts, a.ends, a.words, &a.e);
	blob_free(&made.blob);
	return a;
}

static void expect(const int32_t *got, int32_t n, const int32_t *want, int32_t count)
{
	CU_ASSERT_EQUAL(n, count);
	for (int32_t i = 0; i < n && i < count; i++)
		CU_ASSERT_EQUAL(got[i], want[i]);
}
#define EXPECT(got, n, ...) \
	expect( \
		got, n, (const int32_t[]){__VA_ARGS__}, (int32_t)(sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t)))

static void test_words(void)
{
	TokenizerDesc desc = describe();
	Answer a = ask(&desc,
		"Un\xC3\xA4"
		"ffable film! xyz [MASK]\xE4\xB8\xAD",
		NULL, 64); /* Unäffable */
	CU_ASSERT_EQUAL(a.status, RT_OK);
	EXPECT(a.ids, a.e.n, CLS, 5, 6, 7, 8, 11, UNK, 4, 12, SEP);
	EXPECT(a.starts, a.e.n, -1, 0, 2, 6, 11, 15, 17, 21, 27, -1);
	EXPECT(a.ends, a.e.n, -1, 2, 6, 10, 15, 16, 20, 27, 30, -1);
	EXPECT(a.words, a.e.n, -1, 0, 0, 0, 1, 2, 3, 4, 5, -1);
	CU_ASSERT_EQUAL(a.e.total, 10);
	CU_ASSERT_EQUAL(a.e.text_tokens, 8);
	CU_ASSERT_EQUAL(a.e.text_next, 30);
	a = ask(&desc, "", NULL, 64);
	EXPECT(a.ids, a.e.n, CLS, SEP);
	a = ask(&desc, "#film ##", NULL,
		64); /* "##film" of the vocabulary does not begin a word; "##" becomes two "#" */
	EXPECT(a.ids, a.e.n, CLS, UNK, 8, UNK, UNK, SEP);
	desc.data = &three; /* the longest word that is split into pieces, and the shortest that is not */
	a = ask(&desc, "aaa aaaa", NULL, 64);
	EXPECT(a.ids, a.e.n, CLS, 9, 10, 10, UNK, SEP);
}

static void test_truncation(void)
{
	TokenizerDesc desc = describe();
	Answer a = ask(&desc, "film a film a", NULL, 4);
	EXPECT(a.ids, a.e.n, CLS, 8, 9, SEP);
	CU_ASSERT_EQUAL(a.e.total, 6);
	CU_ASSERT_EQUAL(a.e.text_next, 7);
	a = ask(&desc, "film a film a", "a a a a a",
		8); /* room for five tokens: two for the shorter text, three for the longer */
	EXPECT(a.ids, a.e.n, CLS, 8, 9, SEP, 9, 9, 9, SEP);
	EXPECT(a.types, a.e.n, 0, 0, 0, 0, 1, 1, 1, 1);
	CU_ASSERT_EQUAL(a.e.pair_tokens, 3);
	CU_ASSERT_EQUAL(a.e.pair_next, 6);
	CU_ASSERT_EQUAL(a.e.total, 12);
	a = ask(&desc, "film a film a", NULL, 2);
	EXPECT(a.ids, a.e.n, CLS, SEP);
	CU_ASSERT_EQUAL(a.e.text_next, 0);
	CU_ASSERT_EQUAL(ask(&desc, "film", NULL, 1).status, RT_E_LENGTH);
	CU_ASSERT_EQUAL(ask(&desc, "film", "film", 2).status, RT_E_LENGTH);
	desc.npair = 0;
	CU_ASSERT_EQUAL(ask(&desc, "film", "film", 9).status, RT_E_TEXT);
}

/* truncation_side left: the end of each text stays, with its places and numbers of words. */
static void test_cut_left(void)
{
	TokenizerDesc desc = describe();
	desc.cut_left = true;
	Answer a = ask(&desc, "film ! film aa", NULL, 5);
	EXPECT(a.ids, a.e.n, CLS, 8, 9, 10, SEP);
	EXPECT(a.starts, a.e.n, -1, 7, 12, 13, -1);
	EXPECT(a.ends, a.e.n, -1, 11, 13, 14, -1);
	EXPECT(a.words, a.e.n, -1, 2, 3, 3, -1);
	CU_ASSERT_EQUAL(a.e.total, 7);
	CU_ASSERT_EQUAL(a.e.text_tokens, 3);
	CU_ASSERT_EQUAL(a.e.text_next, 14);
	a = ask(&desc, "film a", NULL, 64);
	EXPECT(a.ids, a.e.n, CLS, 8, 9, SEP);
	a = ask(&desc, "film a", NULL, 2);
	EXPECT(a.ids, a.e.n, CLS, SEP);
	a = ask(&desc, "film a film a", "film a a a a", 8);
	EXPECT(a.ids, a.e.n, CLS, 8, 9, SEP, 9, 9, 9, SEP);
	EXPECT(a.starts, a.e.n, -1, 7, 12, -1, 7, 9, 11, -1);
}

/* split_special_tokens: the text of a special token is plain text, but it hides tokens that overlap it. */
static void test_split_special(void)
{
	static const AddedToken added[] = {
		{.text = "[MASK]", .bytes = 6, .id = 4, .special = true},
		{.text = "]!", .bytes = 2, .id = 8},
		{.text = "a!", .bytes = 2, .id = 5},
	};
	TokenizerDesc desc = describe();
	desc.added = added;
	desc.nadded = 3;
	Answer a = ask(&desc, "a![MASK]!", NULL, 64);
	EXPECT(a.ids, a.e.n, CLS, 5, 4, 11, SEP);
	desc.splits_special = true;
	a = ask(&desc, "a![MASK]!", NULL, 64);
	EXPECT(a.ids, a.e.n, CLS, 5, UNK, UNK, UNK, 11, SEP);
}

/* Windows over a text, each from where the last one ended: every token comes once, and there is always
 * progress. */
static void test_resume(void)
{
	TokenizerDesc desc = describe();
	desc.nsteps = 2;
	desc.steps[1] = STEP_lowercase;
	Made made = make(&desc);
	const char *text = "film a! film a a \xE4\xB8\xAD e film";
	size_t bytes = strlen(text), at = 0;
	for (int32_t room = 1; room < 4; room++, at = 0) {
		int32_t ids[8], tokens = 0;
		for (int windows = 0; at < bytes && windows < 20; windows++) {
			RtEncoding e;
			int status = rt_tokenize(
				&made.t, text + at, bytes - at, NULL, 0, room + 2, ids, NULL, NULL, NULL, NULL, &e);
			CU_ASSERT_EQUAL(status, RT_OK);
			CU_ASSERT_TRUE(e.text_next > 0);
			at += e.text_next;
			tokens += e.text_tokens;
		}
		CU_ASSERT_EQUAL(at, bytes);
		CU_ASSERT_EQUAL(tokens, 9);
	}
	blob_free(&made.blob);
}

static void test_token_text(void)
{
	TokenizerDesc desc = describe();
	desc.nadded = 4;
	desc.added = many;
	Made made = make(&desc);
	size_t bytes = 0;
	const char *text = rt_token_text(&made.t, 6, &bytes);
	CU_ASSERT_TRUE(text && bytes == 5 && memcmp(text, "##aff", 5) == 0);
	text = rt_token_text(&made.t, 17, &bytes);
	CU_ASSERT_TRUE(text && bytes == 7 && memcmp(text, "Film \xC3\xA9", 7) == 0);
	CU_ASSERT_PTR_NULL(rt_token_text(&made.t, 14, &bytes)); /* an unused id */
	CU_ASSERT_PTR_NULL(rt_token_text(&made.t, -1, &bytes));
	CU_ASSERT_PTR_NULL(rt_token_text(&made.t, 20, &bytes));
	CU_ASSERT_EQUAL(rt_token_mask_id(&made.t), 4);
	blob_free(&made.blob);
}

static void test_ill_formed(void)
{
	static const struct {
		const char *bytes;
		int count;
	} cases[] = {
		/* maximal subparts: Unicode, section 3.9 */
		{"a\x80z", 1},
		{"\xC3", 1},
		{"\xC0\xAF", 2},
		{"\xE0\x80\xBF", 3},
		{"\xED\xA0\x80", 3},
		{"\xF4\x91\x92\x93", 4},
		{"\xE1\x80\xE2\xF0\x91\x92", 3},
		{"\xF0\x9F\x98", 1},
		{"\xEF\xBF\xBD", 0},
		{"\xEF\xBF", 1},
		{"\xF0\x9F\x98\x80", 0},
		{"\xFF\xFE", 2},
	};
	TokenizerDesc desc = describe();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CU_ASSERT_EQUAL(ask(&desc, cases[i].bytes, NULL, 64).e.replaced, cases[i].count);
	Answer a = ask(&desc,
		"a\xFF"
		"film\xF0\x9F",
		NULL, 64); /* U+FFFD is removed: one word */
	EXPECT(a.ids, a.e.n, CLS, 9, 16, SEP);
	EXPECT(a.ends, a.e.n, -1, 1, 6, -1);
}

/* What char_tables.c takes for granted of the planes that it does not look at: their code points are all
 * alike, except the last two of planes 15 and 16. */
static void test_planes(void)
{
	int wrong = 0;
	for (int32_t code = 0x40000; code < 0x110000; code++) {
		const int32_t plane = code >> 16, like = plane < 15 ? 0x40000 : 0xF0000;
		int32_t parts[UNICODE_PARTS_MAX];
		if (plane == 14 || (plane > 14 && (code & 0xFFFF) >= 0xFFFE))
			continue;
		wrong += unicode_is_control(code) != (plane > 14) || unicode_is_word(code) || unicode_is_space(code)
			|| unicode_is_chinese(code) || unicode_is_punctuation(code) || unicode_is_nonspacing(code)
			|| unicode_combining_class(code) != 0 || unicode_to_lower(code) != code
			|| unicode_decompose(code, parts) != 1 || parts[0] != code
			|| byte_level_splitter.class_of(code) != byte_level_splitter.class_of(like)
			|| bert_splitter.class_of(code) != bert_splitter.class_of(like);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	TokenizerDesc desc = describe();
	/* a tag of plane 14 and private characters are removed; unassigned code points stay */
	Answer a = ask(&desc,
		"fi\xF3\xA0\x80\x81lm f\xF3\xBF\xBF\xBDilm \xF4\x8F\xBF\xBD"
		"a",
		NULL, 64);
	EXPECT(a.ids, a.e.n, CLS, 8, 8, 9, SEP);
	a = ask(&desc, "film\xF3\xBF\xBF\xBE a\xF4\x8F\xBF\xBF a\xF1\x80\x80\x80 a", NULL, 64);
	EXPECT(a.ids, a.e.n, CLS, UNK, UNK, UNK, 9, SEP);
}

/* Every key is found with its value, everything else is not. */
static void test_trie(void)
{
	enum { KEYS = 20000 };
	static char texts[KEYS][12];
	TrieKey *keys = calloc(KEYS, sizeof *keys);
	List units;
	uint32_t seed = 1;
	for (int32_t i = 0; i < KEYS; i++) {
		int32_t bytes = 0;
		do {
			seed = seed * 1664525 + 1013904223;
			texts[i][bytes++] = (char)(i % 2 ? 'a' + (seed >> 24) % 3 : 1 + (seed >> 24) % 255);
		} while (bytes < 11 && seed >> 16 & 7);
		keys[i] = (TrieKey){texts[i], bytes, i};
	}
	CU_ASSERT_TRUE(trie_build(keys, KEYS, &units));
	const uint32_t *trie = units.items;
	int wrong = 0;
	for (int32_t i = 0, first = 0; i < KEYS; i++) { /* sorted here; of equal keys the first counts */
		if (i > 0 && strcmp(keys[i].text, keys[i - 1].text) != 0)
			first = i;
		int32_t at = trie_walk(&units, keys[i].text, keys[i].bytes);
		wrong += at < 0 || !(trie[at] & 0x100) || trie[trie[at] >> 9] >> 8 != (uint32_t)keys[first].value;
		char longer[16];
		snprintf(longer, sizeof longer, "%sQ", keys[i].text);
		at = trie_walk(&units, longer, keys[i].bytes + 1);
		bool is_key = false;
		for (int32_t k = i;
			k < KEYS && strncmp(keys[k].text, keys[i].text, (size_t)keys[i].bytes) == 0 && !is_key; k++)
			is_key = strncmp(keys[k].text, longer, (size_t)keys[i].bytes + 1) == 0;
		wrong += (at >= 0) != is_key;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	list_free(&units);
	CU_ASSERT_TRUE(trie_build(NULL, 0, &units));
	CU_ASSERT_EQUAL(trie_walk(&units, "a", 1), -1);
	CU_ASSERT_EQUAL(trie_walk(&units, "", 0), 0);
	list_free(&units);
	free(keys);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A quarter of a megabyte of one thing, over and over: time is linear (eight times the text takes eight times
 * as long, not 64; the bar of 24 leaves room for a busy machine), no read outside. */
static void test_hostile(void)
{
	static const char *const units[] = {
		"a",
		" ",
		"[",
		"[MASK",
		"[MASK]",
		"!",
		"\xE4\xB8\xAD",
		"\xCC\x81",
		"\xE3\x80\xAE",
		"\xF0\x9D\x85\xA5\xE3\x80\xAE\xE0\xA3\x94",
		"\xEA\xB0\x80",
		"\x80",
		"\xF0\x9F",
		"\xC4\xB0",
		"zzzzzzzzzzzzzzzzzzz",
		"aaaaaaaaaaaaaaaaaaa ",
		"\xCC\x81\xE3\x80\xAE",
		"a\xE3\x80\xAE",
		"film \xC3\xA9 ",
		"\xE1\xBC\x80\xE3\x80\xAE",
	};
	static const CharStep every[] = {STEP_clean_text, STEP_chinese_chars, STEP_strip_accents, STEP_lowercase};
	enum { BYTES = 1 << 18 };
	TokenizerDesc desc = describe();
	desc.nadded = 4;
	desc.added = many;
	char *text = malloc(BYTES);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (int lowercase = 0; lowercase < 2; lowercase++) {
		desc.nsteps = lowercase ? 4 : 2;
		memcpy(desc.steps, every + (lowercase ? 0 : 1), (size_t)desc.nsteps * sizeof *every);
		Made made = make(&desc);
		for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
			double spent[2];
			for (int whole = 0; whole < 2; whole++) {
				size_t bytes = whole ? BYTES : BYTES / 8, n = strlen(units[u]);
				int32_t ids[512];
				RtEncoding e;
				for (size_t i = 0; i < bytes; i++)
					text[i] = units[u][i % n];
				double begin = seconds();
				CU_ASSERT_EQUAL(
					rt_tokenize(&made.t, text, bytes, NULL, 0, 512, ids, NULL, NULL, NULL, NULL, &e), RT_OK);
				spent[whole] = seconds() - begin;
			}
			CU_ASSERT_TRUE(spent[1] < 24 * spent[0] + 0.05);
			if (spent[1] > 24 * spent[0] + 0.05)
				printf("unit %zu: %.3f s, an eighth of it %.3f s\n", u, spent[1], spent[0]);
		}
		blob_free(&made.blob);
	}
	free(text);
}

/* The emitted initialiser names every table and number, and the blob's symbol; two emissions are the same
 * bytes. */
static void test_emit(void)
{
	TokenizerDesc desc = describe();
	char *text[2];
	size_t bytes[2];
	Blob blob[2] = {{0}, {0}};
	for (int i = 0; i < 2; i++) {
		Diag diag;
		diag_init(&diag, "test");
		FILE *c = open_memstream(&text[i], &bytes[i]);
		blob_add(&blob[i], "weights", 7);
		CU_ASSERT_TRUE(emit_tokenizer(&desc, &blob[i], c, "m", &diag));
		fclose(c);
		diag_free(&diag);
	}
	CU_ASSERT_TRUE(bytes[0] == bytes[1] && memcmp(text[0], text[1], bytes[0]) == 0);
	CU_ASSERT_TRUE(blob[0].bytes == blob[1].bytes && memcmp(blob[0].data, blob[1].data, blob[0].bytes) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text[0], "static const RtTokenizer m_tokenizer = {"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text[0], ".blocks = (const uint16_t *)(const void *)(m_blob + 64)"));
#define NUMBER(name) CU_ASSERT_PTR_NOT_NULL(strstr(text[0], "." #name " = "));
	RT_TOKENIZER_NUMBERS(NUMBER)
#undef NUMBER
	for (int i = 0; i < 2; i++) {
		blob_free(&blob[i]);
		free(text[i]);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"words", test_words},
		{"truncation", test_truncation},
		{"cut left", test_cut_left},
		{"split special", test_split_special},
		{"resume", test_resume},
		{"token text", test_token_text},
		{"ill formed", test_ill_formed},
		{"planes", test_planes},
		{"trie", test_trie},
		{"hostile", test_hostile},
		{"emit", test_emit},
	};
	return SUITE_RUN("tokenizer", tests);
}
