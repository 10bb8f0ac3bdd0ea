/* test_tokenizer_import.c: reads tokenizer.json, or vocab.txt and the files beside it; checks the result
 * and the messages for bad files. tests/python/tokenizer/test_tokenizer*.py compare the tokens of texts
 * with the library. */
#include "tests/unit/directory.h"
#include <string.h>
#include "compiler/tokenizer/tokenizer_import.h"
#include "compiler/tokenizer/wordpiece.h"

/* ---- importing, and what came of it ---------------------------------------------------------- */

static MemArena *mem;
static const TokenizerDesc *desc; /* of the last import; NULL: refused */
static char said[4096];
static ExitCode code;

static void import_file(const char *file)
{
	Diag diag;
	FILE *out = fmemopen(said, sizeof said, "w");
	mem_free(mem);
	mem = mem_new();
	diag_init(&diag, file);
	desc = tokenizer_import(directory, file, (const char *const[]){NULL}, TOKENIZER_FILES, mem, &diag);
	code = diag.errors ? diag.code : EXIT_DONE;
	CU_ASSERT_EQUAL(desc == NULL, diag.errors > 0);
	diag_print(&diag, out);
	fputc('\0', out);
	fclose(out);
	diag_free(&diag);
}

static bool has(CharStep step) { return tokenizer_has_step(desc, step); }

static void refused(ExitCode want, const char *words, const char *file)
{
	import_file(file);
	CU_ASSERT_EQUAL(code, want);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, words));
	if (code != want || !strstr(said, words))
		fprintf(stderr, "exit %d, expected %d; no \"%s\" in: %s\n", (int)code, (int)want, words, said);
}

static void accepted(const char *file)
{
	import_file(file);
	if (!desc)
		fprintf(stderr, "refused: %s\n", said);
	CU_ASSERT_PTR_NOT_NULL_FATAL(desc);
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */

#define VOCAB "\"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"a\": 4, \"##b\": 5}"
#define MODEL "\"model\": {\"type\": \"WordPiece\", " VOCAB "}"
#define SPLIT "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}"

static void json_refused(ExitCode want, const char *words, const char *members)
{
	char text[4096];
	snprintf(text, sizeof text, "{%s}", members);
	write_file("tokenizer.json", text);
	refused(want, words, "tokenizer.json");
}

static void json_accepted(const char *members)
{
	char text[4096];
	snprintf(text, sizeof text, "{%s}", members);
	write_file("tokenizer.json", text);
	accepted("tokenizer.json");
}

static void test_json(void)
{
	json_accepted(MODEL ", " SPLIT);
	CU_ASSERT_EQUAL(desc->nvocab, 6);
	CU_ASSERT_STRING_EQUAL(desc->vocab[5], "##b");
	CU_ASSERT_STRING_EQUAL(((const WordPiece *)desc->data)->prefix, "##");
	CU_ASSERT_EQUAL(((const WordPiece *)desc->data)->max_word_chars, 100);
	CU_ASSERT(desc->unk_id == 1 && desc->pad_id == 0 && desc->cls_id == 2 && desc->sep_id == 3
		&& desc->mask_id == -1);
	CU_ASSERT_FALSE(has(STEP_lowercase) || has(STEP_clean_text) || has(STEP_strip_accents)
		|| has(STEP_chinese_chars)); /* no normalizer */
	CU_ASSERT(
		desc->nsingle == 1 && desc->npair == 2 && desc->pair[1].piece == PIECE_B && desc->pair[1].type == 1);
	json_accepted("\"model\": {\"max_input_chars_per_word\": 7, \"continuing_subword_prefix\": \"~\", "
				  "\"unk_token\": \"a\", " VOCAB "}, " SPLIT);
	/* in old files the model has no type */
	CU_ASSERT(((const WordPiece *)desc->data)->max_word_chars == 7 && desc->unk_id == 4
		&& strcmp(((const WordPiece *)desc->data)->prefix, "~") == 0);
	json_accepted("\"normalizer\": {\"type\": \"BertNormalizer\", \"strip_accents\": null, "
				  "\"handle_chinese_chars\": false}, " MODEL ", " SPLIT);
	CU_ASSERT(
		has(STEP_clean_text) && has(STEP_lowercase) && has(STEP_strip_accents) && !has(STEP_chinese_chars));
	json_accepted("\"normalizer\": {\"type\": \"BertNormalizer\", \"lowercase\": false}, " MODEL ", " SPLIT);
	CU_ASSERT(!has(STEP_lowercase) && !has(STEP_strip_accents));
	json_accepted("\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": "
				  "\"Lowercase\"}]}, " MODEL ", " SPLIT);
	CU_ASSERT(has(STEP_lowercase) && !has(STEP_clean_text));
	json_accepted("\"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"[CLS]\", 2], \"sep\": "
				  "[\"[SEP]\", 3]}, " MODEL ", " SPLIT);
	CU_ASSERT(desc->nsingle == 3 && desc->single[0].id == 2 && desc->single[2].id == 3 && desc->npair == 5
		&& desc->pair[4].type == 1);
	json_accepted("\"post_processor\": {\"type\": \"TemplateProcessing\", \"special_tokens\": {\"x\": "
				  "{\"ids\": [2, 4]}}, "
				  "\"single\": [{\"SpecialToken\": {\"id\": \"x\", \"type_id\": 1}}, {\"Sequence\": {\"id\": "
				  "\"A\", \"type_id\": 0}}], "
				  "\"pair\": [{\"Sequence\": {\"id\": \"B\", \"type_id\": 0}}, {\"Sequence\": {\"id\": "
				  "\"A\", \"type_id\": 1}}]}, " MODEL ", " SPLIT);
	CU_ASSERT(desc->nsingle == 3 && desc->single[1].id == 4 && desc->single[1].type == 1
		&& desc->single[2].piece == PIECE_A);
	CU_ASSERT(desc->npair == 2 && desc->pair[0].piece == PIECE_B);
}

static void test_json_added(void)
{
	json_accepted("\"added_tokens\": [{\"id\": 9, \"content\": \"new\", \"lstrip\": true}, {\"content\": "
				  "\"\"}, "
				  "{\"id\": 3, \"content\": \"[SEP]\", \"special\": true}, {\"content\": \"new\", "
				  "\"rstrip\": true}], " MODEL ", " SPLIT);
	CU_ASSERT_EQUAL_FATAL(desc->nadded, 2); /* special tokens first; empty and repeated tokens are skipped */
	CU_ASSERT(strcmp(desc->added[0].text, "[SEP]") == 0 && desc->added[0].id == 3 && desc->added[0].special);
	CU_ASSERT(strcmp(desc->added[1].text, "new") == 0 && desc->added[1].id == 6 && desc->added[1].lstrip
		&& !desc->added[1].rstrip);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "\"new\" has id 9 in the file, but gets id 6"));
	char many[4096] = "\"added_tokens\": [";
	for (int i = 0; i < 100; i++)
		snprintf(
			many + strlen(many), sizeof many - strlen(many), "%s{\"content\": \"t%d\"}", i ? ", " : "", i);
	strcat(many, "], " MODEL ", " SPLIT);
	json_accepted(many);
	CU_ASSERT_EQUAL_FATAL(desc->nadded, 100);
	CU_ASSERT(strcmp(desc->added[99].text, "t99") == 0 && desc->added[99].id == 105);
	json_refused(EXIT_INPUT, "added_tokens is an object, expected an array", "\"added_tokens\": {}, " MODEL);
	json_refused(
		EXIT_INPUT, "added_tokens[0] is a string, expected an object", "\"added_tokens\": [\"x\"], " MODEL);
	json_refused(EXIT_INPUT, "added_tokens[0] has no content", "\"added_tokens\": [{\"id\": 1}], " MODEL);
	json_refused(
		EXIT_INPUT, "single_word", "\"added_tokens\": [{\"content\": \"x\", \"single_word\": 1}], " MODEL);
	json_refused(EXIT_INPUT, "id", "\"added_tokens\": [{\"content\": \"x\", \"id\": -2}], " MODEL);
	snprintf(many, sizeof many, "\"added_tokens\": [{\"content\": \"%01030d\"}], " MODEL, 0);
	json_refused(EXIT_UNSUPPORTED, "an added token has 1030 bytes, at most 1024", many);
}

static void test_json_refused(void)
{
	static const struct {
		ExitCode code;
		const char *words, *members;
	} cases[] = {
		{EXIT_INPUT, "has no model", ""},
		{EXIT_INPUT, "model is an array, expected an object", "\"model\": []"},
		{EXIT_INPUT, "type", "\"model\": {\"type\": 3}"},
		{EXIT_UNSUPPORTED, "model \"Syllables\" is not supported; supported: WordPiece",
			"\"model\": {\"type\": \"Syllables\"}"},
		{EXIT_UNSUPPORTED, "model \"(no type)\" is not supported", "\"model\": {}"},
		{EXIT_INPUT, "unk_token", "\"model\": {\"type\": \"WordPiece\", \"unk_token\": 1}"},
		{EXIT_UNSUPPORTED, "max_input_chars_per_word is 1025, at most 1024",
			"\"model\": {\"type\": \"WordPiece\", \"max_input_chars_per_word\": 1025}"},
		{EXIT_INPUT, "model.vocab is missing, expected an object", "\"model\": {\"type\": \"WordPiece\"}"},
		{EXIT_INPUT, "the vocabulary is empty", "\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}"},
		{EXIT_INPUT, "\"a\" has an id out of range",
			"\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 16777216}}"},
		{EXIT_INPUT, "\"a\" has a string, expected an id",
			"\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": \"1\"}}"},
		{EXIT_INPUT, "have the same id 4",
			"\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 4, \"b\": 4}}"},
		{EXIT_UNSUPPORTED, "too many unused ids",
			"\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 70000}}"},
		{EXIT_INPUT, "its own unknown token \"[UNK]\"",
			"\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}, " SPLIT},
		{EXIT_INPUT, "normalizer is a string, expected an object", MODEL ", \"normalizer\": \"x\""},
		{EXIT_UNSUPPORTED, "normalizer \"Fold\" is not supported",
			MODEL ", \"normalizer\": {\"type\": \"Fold\"}"},
		{EXIT_INPUT, "normalizer Sequence has no array normalizers",
			MODEL ", \"normalizer\": {\"type\": \"Sequence\"}"},
		{EXIT_INPUT, "clean_text",
			MODEL ", \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": 2}"},
		{EXIT_INPUT, "pre_tokenizer Sequence has no array pretokenizers",
			MODEL ", \"pre_tokenizer\": {\"type\": \"Sequence\"}"},
		{EXIT_UNSUPPORTED, "pre_tokenizer \"FixedLength\" is not supported; supported: BertPreTokenizer",
			MODEL ", \"pre_tokenizer\": {\"type\": \"FixedLength\"}"},
		{EXIT_INPUT, "pre_tokenizer is an integer", MODEL ", \"pre_tokenizer\": 1"},
		{EXIT_INPUT, "post_processor is an integer", MODEL ", " SPLIT ", \"post_processor\": 1"},
		{EXIT_UNSUPPORTED, "post_processor \"Roberta\"",
			MODEL ", " SPLIT ", \"post_processor\": {\"type\": \"Roberta\"}"},
		{EXIT_INPUT, "post_processor.cls: expected a token and its id",
			MODEL ", " SPLIT ", \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": \"x\"}"},
		{EXIT_INPUT, "post_processor.sep: expected a token",
			MODEL ", " SPLIT ", \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"a\", 4]}"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		json_refused(cases[i].code, cases[i].words, cases[i].members);
	write_file("tokenizer.json", "[]");
	refused(EXIT_INPUT, "is an array, expected an object", "tokenizer.json");
	write_file("tokenizer.json", "{");
	refused(EXIT_INPUT, "tokenizer.json", "tokenizer.json");
	refused(EXIT_INPUT, "nowhere.json", "nowhere.json");
	char name[1200];
	snprintf(name, sizeof name, "\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"%01030d\": 0}}", 0);
	json_refused(EXIT_UNSUPPORTED, "vocabulary entry 0 has 1030 bytes, at most 1024", name);
}

static void template_refused(ExitCode want, const char *words, const char *single)
{
	char members[2048];
	snprintf(members, sizeof members,
		MODEL ", " SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"special_tokens\": "
			  "{\"bad\": {\"ids\": [-1]}, \"ok\": {\"ids\": [2]}, \"word\": {\"ids\": [\"x\"]}}%s}",
		single);
	json_refused(want, words, members);
}

static void test_template(void)
{
	template_refused(EXIT_INPUT, "post_processor.single is missing, expected an array", "");
	template_refused(EXIT_INPUT, "post_processor.single is a string", ", \"single\": \"x\"");
	template_refused(EXIT_INPUT, "neither a SpecialToken nor a Sequence", ", \"single\": [{}]");
	template_refused(EXIT_INPUT, "uses \"C\", which is neither A nor B",
		", \"single\": [{\"Sequence\": {\"id\": \"C\"}}]");
	template_refused(EXIT_INPUT, "uses \"none\", which has no ids in special_tokens",
		", \"single\": [{\"SpecialToken\": {\"id\": \"none\"}}]");
	template_refused(EXIT_INPUT, "\"bad\" of the template has a number out of range",
		", \"single\": [{\"SpecialToken\": {\"id\": \"bad\"}}]");
	template_refused(EXIT_INPUT, "\"word\" of the template has a string",
		", \"single\": [{\"SpecialToken\": {\"id\": \"word\"}}]");
	template_refused(
		EXIT_INPUT, "type_id", ", \"single\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": -1}}]");
	template_refused(EXIT_UNSUPPORTED, "uses A 0 times and B 0 times", ", \"single\": []");
	template_refused(EXIT_UNSUPPORTED, "post_processor.pair uses A 1 times and B 0 times",
		", \"single\": [{\"Sequence\": {\"id\": \"A\"}}], \"pair\": [{\"Sequence\": {\"id\": \"A\"}}]");
	char many[2048] = ", \"single\": [{\"SpecialToken\": {\"id\": \"ok\"}}";
	for (int i = 0; i < 35; i++)
		strcat(many, ",{\"Sequence\":{\"id\":\"A\"}},{\"Sequence\":{\"id\":\"A\"}}");
	strcat(many, "]");
	char members[4096];
	snprintf(members, sizeof members,
		MODEL ", " SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", "
			  "\"special_tokens\": {\"ok\": {\"ids\": [2]}}%s}",
		many);
	json_refused(EXIT_UNSUPPORTED, "a template of more than 64 items", members);
}

/* ---- vocab.txt ------------------------------------------------------------------------------- */

static void test_vocab(void)
{
	/* no newline at the end; of equal lines the last counts */
	write_file("vocab.txt", "[PAD]\n[UNK]\r\n[CLS]\n[SEP]\n[MASK]\nwest\na\na");
	accepted("vocab.txt");
	CU_ASSERT_EQUAL(desc->nvocab, 8);
	CU_ASSERT(
		desc->vocab[6] == NULL && strcmp(desc->vocab[7], "a") == 0 && strcmp(desc->vocab[1], "[UNK]") == 0);
	CU_ASSERT(has(STEP_lowercase) && has(STEP_strip_accents) && has(STEP_chinese_chars)
		&& has(STEP_clean_text) && desc->max_length == 0);
	CU_ASSERT(desc->unk_id == 1 && desc->cls_id == 2 && desc->sep_id == 3 && desc->mask_id == 4
		&& desc->nadded == 5);
	CU_ASSERT(desc->nsingle == 3 && desc->npair == 5 && desc->pair[3].piece == PIECE_B);
	write_file("tokenizer_config.json",
		"{\"do_lower_case\": false, \"tokenize_chinese_chars\": false, \"model_max_length\": 77, "
		"\"cls_token\": \"west\", "
		"\"mask_token\": {\"content\": \"a\", \"lstrip\": true}, "
		"\"additional_special_tokens\": [\"<x>\", {\"content\": \"<y>\", \"rstrip\": true}], "
		"\"added_tokens_decoder\": {\"8\": {\"content\": \"<z>\", \"single_word\": true, \"special\": "
		"false}}}");
	accepted("vocab.txt");
	CU_ASSERT(!has(STEP_lowercase) && !has(STEP_strip_accents) && !has(STEP_chinese_chars)
		&& desc->max_length == 77);
	CU_ASSERT(desc->cls_id == 5 && desc->single[0].id == 5 && desc->mask_id == 7);
	const AddedToken *x = NULL, *y = NULL, *z = NULL, *mask = NULL;
	for (int32_t i = 0; i < desc->nadded; i++) {
		const AddedToken *token = &desc->added[i];
		x = strcmp(token->text, "<x>") == 0 ? token : x;
		y = strcmp(token->text, "<y>") == 0 ? token : y;
		z = strcmp(token->text, "<z>") == 0 ? token : z;
		mask = strcmp(token->text, "a") == 0 ? token : mask;
	}
	CU_ASSERT_FATAL(x && y && z && mask);
	CU_ASSERT(x->special && y->special && y->rstrip && z->single_word && !z->special && mask->lstrip
		&& z == &desc->added[desc->nadded - 1]);
	write_file(
		"special_tokens_map.json", "{\"cls_token\": \"[CLS]\", \"additional_special_tokens\": [\"<w>\"]}");
	write_file("added_tokens.json", "{\"<v>\": 9, \"<u>\": 8}");
	accepted("vocab.txt"); /* neither counts beside added_tokens_decoder */
	CU_ASSERT(desc->cls_id == 5 && desc->nadded == 8);
	write_file("tokenizer_config.json", "{\"cls_token\": \"west\"}");
	accepted("vocab.txt"); /* special_tokens_map.json has precedence; added_tokens.json is sorted by id */
	CU_ASSERT(desc->cls_id == 2 && desc->nadded == 8);
	const AddedToken *last = &desc->added[desc->nadded - 1];
	CU_ASSERT(strcmp(last[-1].text, "<u>") == 0 && strcmp(last->text, "<v>") == 0);
	CU_ASSERT(last->normalized && !last->special && last->id == last[-1].id + 1);
	write_file("added_tokens.json", "{\"<v>\": \"9\"}");
	refused(EXIT_INPUT, "\"<v>\" has a string, expected an id", "vocab.txt");
	unlink(at("added_tokens.json"));
	unlink(at("special_tokens_map.json"));
	write_file("tokenizer_config.json",
		"{\"model_max_length\": 1000000000000000019884624838656, \"strip_accents\": false}");
	accepted("vocab.txt");
	CU_ASSERT(desc->max_length == 0 && has(STEP_lowercase) && !has(STEP_strip_accents));
	write_file("tokenizer_config.json", "{\"do_lower_case\": false}");
	json_accepted("\"normalizer\": {\"type\": \"BertNormalizer\"}, " MODEL ", " SPLIT);
	CU_ASSERT(!has(STEP_lowercase) && !has(STEP_strip_accents));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "make the files agree"));
	unlink(at("tokenizer_config.json"));
}

static void test_vocab_refused(void)
{
	static const struct {
		const char *words, *config;
	} cases[] = {
		{"do_lower_case", "{\"do_lower_case\": \"yes\"}"},
		{"strip_accents", "{\"strip_accents\": 1}"},
		{"cls_token is an array, expected a token", "{\"cls_token\": []}"},
		{"content", "{\"cls_token\": {\"content\": 5}}"},
		{"added_tokens_decoder is an array", "{\"added_tokens_decoder\": []}"},
		{"an entry of added_tokens_decoder is an array", "{\"added_tokens_decoder\": {\"1\": []}}"},
		{"an entry of additional_special_tokens is an array", "{\"additional_special_tokens\": [[]]}"},
		{"extra_special_tokens is a string", "{\"extra_special_tokens\": \"x\"}"},
		{"model_max_length", "{\"model_max_length\": \"x\"}"},
		{"is an array, expected an object", "[]"},
		{"tokenizer_config.json", "{"},
	};
	write_file("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file("tokenizer_config.json", cases[i].config);
		refused(EXIT_INPUT, cases[i].words, "vocab.txt");
	}
	write_file("tokenizer_config.json", "{\"tokenize_chinese_chars\": 3}");
	json_refused(EXIT_INPUT, "tokenize_chinese_chars",
		"\"normalizer\": {\"type\": \"BertNormalizer\"}, " MODEL ", " SPLIT);
	unlink(at("tokenizer_config.json"));
	write_file("vocab.txt", "[UNK]\n[SEP]\n");
	refused(EXIT_INPUT, "the vocabulary has no [CLS] token; name it in tokenizer_config.json", "vocab.txt");
	write_file("vocab.txt", "[UNK]\n[CLS]\n");
	refused(EXIT_INPUT, "no [SEP] token", "vocab.txt");
	write_file("vocab.txt", "[CLS]\n[SEP]\n");
	refused(EXIT_INPUT, "its own unknown token", "vocab.txt");
	write_file("vocab.txt", "[UNK]\n\xff\n");
	refused(EXIT_INPUT, "vocab.txt:2: error: the token is not UTF-8 text", "vocab.txt");
	write_file("vocab.txt", "");
	refused(EXIT_INPUT, "the vocabulary is empty", "vocab.txt");
}

/* ---- BPE ------------------------------------------------------------------------------------- */

#define BPE(more) \
	"\"model\": {\"type\": \"BPE\", \"vocab\": {\"<s>\": 0, \"</s>\": 1, \"a\": 2, \"b\": 3, \"ab\": " \
	"4}" more "}"
#define BYTES ", \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}"
#define ENDS "\"type\": \"RobertaProcessing\", \"sep\": [\"</s>\", 1], \"cls\": [\"<s>\", 0], "
#define ROBERTA(more) "\"post_processor\": {" ENDS more "}"
#define TRIM ", " ROBERTA("\"trim_offsets\": true, \"add_prefix_space\": false")
#define PIECES(piece) \
	"\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": 0, \"</s>\": 1, \"" piece "\": 2}}"
#define SEQUENCE(first, trim) \
	"\"post_processor\": {\"type\": \"Sequence\", \"processors\": [" first ", {" ENDS "\"add_prefix_" \
	"space\": false, " \
	"\"trim_offsets\":" \
	" " trim "}]}"

/* vocab.json is read as by RobertaTokenizer, vocab.txt as by BertTokenizer. Other classes may read them
 * differently. */
static void test_classes(void)
{
	static const struct {
		const char *class, *file;
		bool good;
	} cases[] = {
		{"RobertaTokenizer", "vocab.json", true},
		{"RobertaTokenizerFast", "vocab.json", true},
		{"LEDTokenizer", "vocab.json", true},
		{"PreTrainedTokenizerFast", "vocab.json", true},
		{"GPT2Tokenizer", "vocab.json", false},
		{"RobertaTokenizerX", "vocab.json", false},
		{"BertTokenizer", "vocab.json", false},
		{"BertTokenizerFast", "vocab.txt", true},
		{"DistilBertTokenizer", "vocab.txt", true},
		{"RobertaTokenizer", "vocab.txt", false},
		{"BertJapaneseTokenizer", "vocab.txt", false},
	};
	write_file("vocab.json", "{\"<s>\": 0, \"</s>\": 1, \"a\": 2}");
	write_file("merges.txt", "");
	write_file("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char config[96], words[96];
		snprintf(config, sizeof config, "{\"tokenizer_class\": \"%s\"}", cases[i].class);
		snprintf(words, sizeof words, "tokenizer_class \"%s\" may read", cases[i].class);
		write_file("tokenizer_config.json", config);
		if (cases[i].good)
			accepted(cases[i].file);
		else
			refused(EXIT_UNSUPPORTED, words, cases[i].file);
	}
	unlink(at("tokenizer_config.json"));
	unlink(at("merges.txt"));
	unlink(at("vocab.json"));
}

static void test_bpe(void)
{
	static const struct {
		ExitCode code;
		const char *words, *members;
	} cases[] = {
		{EXIT_INPUT, "model.merges is missing", BPE("")},
		{EXIT_INPUT, "merge 0: expected two tokens separated by a space", BPE(", \"merges\": [\"ab\"]")},
		{EXIT_INPUT, "merge 0: expected two tokens", BPE(", \"merges\": [[\"a\", 3]]")},
		{EXIT_INPUT, "the token \"c\", which is not in the vocabulary", BPE(", \"merges\": [\"a c\"]")},
		{EXIT_INPUT, "the token \"ba\", which is not in the vocabulary",
			BPE(", \"merges\": [\"a b\", \"b a\"]")},
		{EXIT_UNSUPPORTED, "dropout 0.1", BPE(", \"dropout\": 0.1, \"merges\": []")},
		{EXIT_UNSUPPORTED, "byte_fallback, but not all tokens",
			BPE(", \"byte_fallback\": true, \"merges\": []")},
		{EXIT_UNSUPPORTED, "end_of_word_suffix \"</w>\"",
			BPE(", \"end_of_word_suffix\": \"</w>\", \"merges\": []")},
		{EXIT_UNSUPPORTED, "uses the unknown token", BPE(", \"unk_token\": \"a\", \"merges\": [\"a b\"]")},
		{EXIT_INPUT, "its own unknown token", BPE(", \"unk_token\": \"u\", \"merges\": []") BYTES},
		{EXIT_UNSUPPORTED, "trim_offsets, which is supported only with the pre_tokenizer ByteLevel",
			PIECES("\\u0120a") ", " SPLIT ", \"post_processor\": {\"type\": \"ByteLevel\"}"},
		{EXIT_UNSUPPORTED, "trim_offsets, which is supported only with", PIECES("a\\u3000") ", " SPLIT TRIM},
		{EXIT_UNSUPPORTED, "trim_offsets true in two",
			BPE(", \"merges\": []") BYTES ", " SEQUENCE("{\"type\": \"ByteLevel\"}", "true")},
		{EXIT_INPUT, "RobertaProcessing has no trim_offsets",
			BPE(", \"merges\": []") BYTES ", " ROBERTA("\"add_prefix_space\": false")},
		{EXIT_INPUT, "RobertaProcessing has no add_prefix_space",
			BPE(", \"merges\": []") BYTES ", " ROBERTA("\"trim_offsets\": false")},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		json_refused(cases[i].code, cases[i].words, cases[i].members);
	json_accepted(BPE(", \"merges\": []") BYTES ", " SEQUENCE("{\"type\": \"ByteLevel\"}", "false"));
	CU_ASSERT(
		desc->trim_offsets && desc->trim_prefix); /* the second does not take back what the first says */
	json_accepted(PIECES("a\\u0120b") ", " SPLIT TRIM); /* as of MPNet: only added tokens have ends to cut */
	CU_ASSERT(desc->trim_offsets && desc->npair == 6);
	json_accepted(BPE(", \"merges\": [[\"a\", \"b\"]], \"dropout\": null") BYTES);
	CU_ASSERT(desc->unk_id == -1 && desc->cls_id == 0 && desc->sep_id == 1 && !desc->trim_offsets);
	const TokenizerDesc *listed = desc;
	MemArena *kept = mem;
	mem = NULL;
	json_accepted(BPE(", \"merges\": [\"a b\"]") BYTES);
	CU_ASSERT_TRUE(tokenizer_equal(listed, desc));
	json_accepted(BPE(", \"merges\": []") BYTES);
	CU_ASSERT_FALSE(tokenizer_equal(listed, desc));
	mem_free(kept);
	write_file("tokenizer_config.json", "{\"tokenizer_class\": \"RobertaTokenizer\"}");
	json_accepted(BPE(", \"merges\": []") ", \"pre_tokenizer\": {\"type\": \"ByteLevel\"}");
	CU_ASSERT_EQUAL(desc->split_number[0], 0); /* the class's add_prefix_space, not the file's */
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "has add_prefix_space true, but tokenizer_config.json"));
	unlink(at("tokenizer_config.json"));
	write_file("vocab.json", "{\"<s>\": 0, \"</s>\": 1, \"a\": 2, \"b\": 3, \"ab\": 4, \"<mask>\": 5}");
	write_file("merges.txt", "#version: 0.2\na b\n");
	accepted("vocab.json");
	CU_ASSERT(desc->mask_id == 5 && desc->nsingle == 3 && desc->npair == 6 && desc->trim_offsets);
	for (int32_t i = 0; i < desc->nadded; i++)
		CU_ASSERT_EQUAL(
			desc->added[i].lstrip, desc->added[i].id == 5); /* the mask token includes the space before it */
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "includes the spaces before it, as in transformers 4"));
	write_file("merges.txt", "a b\n#version x y\n");
	accepted("vocab.json");
	write_file("merges.txt", "a b\n\xff b\n");
	refused(EXIT_INPUT, "merges.txt: error: is not UTF-8 text", "vocab.json");
	write_file("merges.txt", "a  b\n");
	refused(EXIT_INPUT, "merges.txt", "vocab.json");
	unlink(at("merges.txt"));
	refused(EXIT_INPUT, "merges.txt", "vocab.json");
	unlink(at("vocab.json"));
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"tokenizer.json", test_json},
		{"added tokens", test_json_added},
		{"tokenizer.json, refused", test_json_refused},
		{"templates", test_template},
		{"BPE", test_bpe},
		{"classes of the older forms", test_classes},
		{"vocab.txt", test_vocab},
		{"vocab.txt, refused", test_vocab_refused},
	};
	static const char *const left[] = {"tokenizer.json", "vocab.txt", "tokenizer_config.json", NULL};
	const int status = SUITE_RUN_IN_DIRECTORY("tokenizer files", tests, left);
	mem_free(mem);
	return status;
}
