/* spm.c: tokenizers with a SentencePiece .model file and no tokenizer.json, read as transformers 4 converts
 * them (convert_slow_tokenizer.py): the class decides on ids, normaliser and template. Control pieces and
 * user-defined pieces become added tokens, which are searched in the raw text. */
#include <string.h>
#include <utf8proc.h>
#include "spm_file.h"
#include "unigram.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cursor.h"
#include "runtime/tokenize/split_metaspace.h"

typedef enum Shape { ROBERTA, CAMEMBERT, ALBERT, XLNET, DEBERTA } Shape;
static const struct {
	const char *class, *model_type; /* the latter of config.json, for directories without a class */
	Shape shape;
} kinds[] = {
	{"XLMRobertaTokenizer", "xlm-roberta", ROBERTA},
	{"CamembertTokenizer", "camembert", CAMEMBERT},
	{"AlbertTokenizer", "albert", ALBERT},
	{"XLNetTokenizer", "xlnet", XLNET},
	{"DebertaV2Tokenizer", "deberta-v2", DEBERTA},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Finds the class. A directory without one gets that of its model. */
static bool find_shape(TokenizerImport *import, Shape *shape)
{
	const char *path;
	json_t *model = import_beside(import, "config.json", &path);
	const char *type = json_string_value(json_object_get(model, "model_type"));
	const bool named = json_is_string(json_object_get(import->config, "tokenizer_class"));
	bool found = false;
	for (size_t i = 0; i < KINDS && !found && model; i++) {
		found = named ? import_class_is(import, kinds[i].class)
					  : type && strcmp(type, kinds[i].model_type) == 0;
		*shape = kinds[i].shape;
		if (found && !named)
			json_object_set_new(import->config, "tokenizer_class", json_string(kinds[i].class));
	}
	if (model && !found)
		IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"neither tokenizer_class of tokenizer_config.json nor model_type of config.json names a class "
			"that "
			"reads this file; supported: XLMRobertaTokenizer, CamembertTokenizer, AlbertTokenizer, "
			"XLNetTokenizer, "
			"DebertaV2Tokenizer; or write tokenizer.json once with transformers: "
			"AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
	json_decref(model);
	return found;
}

/* ---- pieces ---------------------------------------------------------------------------------- */
typedef struct Vocab {
	List texts, scores; /* const char *, double */
} Vocab;

static void add(Vocab *v, const char *text, double score)
{
	list_add(&v->texts, &text);
	list_add(&v->scores, &score);
}

/* Whether a piece ends with a digit and a comma: ALBERT and XLNet avoid them. */
static bool is_number_comma(const char *text)
{
	const int32_t bytes = (int32_t)strlen(text);
	int32_t at = bytes - 2, length;
	if (bytes < 2 || text[bytes - 1] != ',')
		return false;
	while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
		at--;
	const uint32_t code = cursor_decode((const unsigned char *)text, at, bytes, &length);
	return utf8proc_category((int32_t)code) == UTF8PROC_CATEGORY_ND || (code >= 0xB2 && code <= 0xB3)
		|| code == 0xB9
		|| (code >= 0x2070 && code <= 0x2089 && utf8proc_category((int32_t)code) == UTF8PROC_CATEGORY_NO);
}

/* The pieces in the order of the class's ids. */
static void fill_vocab(const SpmFile *spm, Shape shape, Vocab *v)
{
	static const char *const first[][5] = {
		[ROBERTA] = {"<s>", "<pad>", "</s>", "<unk>"},
		[CAMEMBERT] = {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"},
	};
	const SpmPiece *pieces = spm->pieces.items;
	const bool moved = shape == ROBERTA || shape == CAMEMBERT;
	for (int32_t i = 0; moved && i < 5 && first[shape][i]; i++)
		add(v, first[shape][i], i == 4 ? -100 : 0);
	for (size_t i = shape == ROBERTA ? 3 : shape == CAMEMBERT; i < spm->pieces.count; i++) {
		const bool avoided = (shape == ALBERT || shape == XLNET) && is_number_comma(pieces[i].text);
		add(v, pieces[i].text, (double)pieces[i].score - (avoided ? 100 : 0));
	}
	if (moved)
		add(v, "<mask>", 0);
}

static bool read_pieces(const SpmFile *spm, Shape shape)
{
	TokenizerImport *import = spm->import;
	const SpmPiece *pieces = spm->pieces.items;
	Vocab v = {list_new(sizeof(const char *)), list_new(sizeof(double))};
	if (spm->kind != SPM_UNIGRAM)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"its model_type is %d, but only 1 (Unigram) is supported for this class", spm->kind);
	fill_vocab(spm, shape, &v);
	const bool moved = shape == ROBERTA || shape == CAMEMBERT;
	bool good = unigram_set(
		import, v.texts.items, v.scores.items, (int32_t)v.texts.count, moved ? 3 : spm->unk_id, false, false);
	list_free(&v.texts);
	list_free(&v.scores);
	for (size_t i = 0; good && i < spm->pieces.count; i++) {
		const AddedToken token = {.text = pieces[i].text, .special = pieces[i].type == SPM_CONTROL};
		/* the mask has flags of its own (config_tokens.c) */
		const bool mask = strcmp(token.text, "<mask>") == 0 || strcmp(token.text, "[MASK]") == 0;
		if (!mask && (pieces[i].type == SPM_CONTROL || pieces[i].type == SPM_USER_DEFINED))
			good = import_added(import, token, -1, import->path);
	}
	return good;
}

/* ---- normaliser and pre-tokenizer ------------------------------------------------------------ */
static bool read_flag(TokenizerImport *import, const char *key, bool *flag)
{
	return json_member_bool(import->config, key, flag, import->config_path, import->diag);
}

static bool add_map(const SpmFile *spm)
{
	return spm->charsmap_bytes == 0
		|| import_precompiled(
			spm->import, import_charsmap_bytes(spm->import, spm->charsmap, spm->charsmap_bytes));
}

static bool add_lowercase(TokenizerImport *import, bool lowercase)
{
	return !lowercase || import_normal(import, (NormalStep){.kind = RT_STEP_MAP, .step = STEP_lowercase});
}

static bool add_bare(TokenizerImport *import)
{
	return import_normal(import, (NormalStep){.kind = RT_STEP_DECOMPOSE, .step = STEP_nfkd})
		&& import_normal(import, (NormalStep){.kind = RT_STEP_MAP, .step = STEP_strip_marks});
}

static bool set_normalizer(const SpmFile *spm, Shape shape)
{
	TokenizerImport *import = spm->import;
	bool lowercase = shape == ALBERT, accents = false;
	import->desc->contextual = true;
	if (shape == ROBERTA || shape == CAMEMBERT)
		return add_map(spm) && import_strip(import, false, true)
			&& import_replace_runs(import, " {2,}", "\xE2\x96\x81");
	if (!read_flag(import, "do_lower_case", &lowercase) || !read_flag(import, "keep_accents", &accents))
		return false;
	if (shape == DEBERTA && lowercase && !add_lowercase(import, true))
		return false;
	if (shape == DEBERTA)
		return import_strip(import, true, true) && add_map(spm) && import_replace_runs(import, " {2,}", " ");
	return import_replace(import, "``", "\"") && import_replace(import, "''", "\"")
		&& (accents || add_bare(import)) && add_lowercase(import, lowercase) && add_map(spm)
		&& import_replace_runs(import, " {2,}", " ");
}

static bool set_splitter(TokenizerImport *import, Shape shape)
{
	int32_t *number = import->desc->split_number;
	bool punctuation = false, prefix = true;
	if (!read_flag(import, "add_prefix_space", &prefix)
		|| (shape == DEBERTA && !read_flag(import, "split_by_punct", &punctuation)))
		return false;
	if (punctuation || !prefix)
		return diag_error_in(import->diag, EXIT_UNSUPPORTED, import->config_path, 0,
			"%s is not supported for a tokenizer with a .model file; write tokenizer.json once with "
			"transformers: "
			"AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
			punctuation ? "split_by_punct true" : "add_prefix_space false");
	import->desc->split = &metaspace_splitter;
	number[METASPACE_CODE] = 0x2581;
	number[METASPACE_SCHEME] = METASPACE_ALWAYS;
	number[METASPACE_SPLIT] = true;
	return true;
}

/* ---- the template ---------------------------------------------------------------------------- */
static bool set_template(TokenizerImport *import, Shape shape)
{
	TokenizerDesc *desc = import->desc;
	const char *cls = shape == XLNET ? "<cls>" : "[CLS]", *sep = shape == XLNET ? "<sep>" : "[SEP]";
	if (shape == ROBERTA || shape == CAMEMBERT) {
		cls = "<s>";
		sep = "</s>";
	}
	const int32_t cls_id = import_token_id(import, cls), sep_id = import_token_id(import, sep);
	if (cls_id < 0 || sep_id < 0)
		return IMPORT_ERROR(import, EXIT_INPUT, "has no piece %s", cls_id < 0 ? cls : sep);
	if (shape == ROBERTA || shape == CAMEMBERT) {
		import_roberta_template(import, cls_id, sep_id);
	} else if (shape != XLNET) {
		import_bert_template(import, cls_id, sep_id);
	} else {
		const TemplateItem single[] = {{PIECE_A, 0, 0}, {PIECE_TOKEN, sep_id, 0}, {PIECE_TOKEN, cls_id, 2}};
		const TemplateItem pair[] = {{PIECE_A, 0, 0}, {PIECE_TOKEN, sep_id, 0}, {PIECE_B, 0, 1},
			{PIECE_TOKEN, sep_id, 1}, {PIECE_TOKEN, cls_id, 2}};
		desc->nsingle = 3;
		desc->npair = 5;
		desc->single = memcpy(mem_alloc(import->mem, sizeof single), single, sizeof single);
		desc->pair = memcpy(mem_alloc(import->mem, sizeof pair), pair, sizeof pair);
	}
	return true;
}

bool spm_import(TokenizerImport *import)
{
	SpmFile spm = {0};
	Shape shape = ROBERTA;
	bool good = find_shape(import, &shape) && spm_read(&spm, import);
	if (good) {
		import->mask_lstrip = true;
		good = read_pieces(&spm, shape) && set_normalizer(&spm, shape) && set_splitter(import, shape)
			&& import_config_tokens(import, true) && set_template(import, shape);
		import->unk_token = NULL; /* here only a role */
		diag_note(import->diag, 0,
			"%s is read as transformers 4 converts it; transformers 5 drops white space at the ends of a "
			"text, and "
			"has other scores for pieces such as \"9,\"",
			import->path);
	}
	spm_free(&spm);
	return good;
}
