/* spm.c: tokenizers with a SentencePiece .model file and no tokenizer.json, read as transformers 4 converts
 * them (convert_slow_tokenizer.py): the class decides on ids, normaliser and template. Control pieces and
 * user-defined pieces become added tokens, which are searched for in the raw text. */
#include <string.h>
#include <utf8proc.h>
#include "spm_file.h"
#include "unigram.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cursor.h"
#include "runtime/tokenize/split_metaspace.h"

/* A directory without a class gets that of its model. */
static bool check_class(TokenizerImport *import)
{
	static const ClassKind known[] = {CLASS_XLM_ROBERTA, CLASS_CAMEMBERT, CLASS_ALBERT, CLASS_FNET,
		CLASS_REMBERT, CLASS_XLNET, CLASS_DEBERTA_V2};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (import_is(import, known[i]))
			return true;
	return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
		"neither tokenizer_class of tokenizer_config.json nor model_type of config.json names a class that "
		"reads this file; supported: XLMRobertaTokenizer, CamembertTokenizer, AlbertTokenizer, "
		"FNetTokenizer, RemBertTokenizer, XLNetTokenizer, DebertaV2Tokenizer; or write tokenizer.json once "
		"with transformers: "
		"AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
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

/* Whether a piece ends with a digit and a comma: ALBERT, FNet and XLNet avoid them. */
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
static void fill_vocab(const SpmFile *spm, ClassKind kind, Vocab *v)
{
	static const char *const first[][5] = {
		[CLASS_XLM_ROBERTA] = {"<s>", "<pad>", "</s>", "<unk>"},
		[CLASS_CAMEMBERT] = {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"},
	};
	const SpmPiece *pieces = spm->pieces.items;
	const bool moved = kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT;
	for (int32_t i = 0; moved && i < 5 && first[kind][i]; i++)
		add(v, first[kind][i], i == 4 ? -100 : 0);
	for (size_t i = kind == CLASS_XLM_ROBERTA ? 3 : kind == CLASS_CAMEMBERT; i < spm->pieces.count; i++) {
		const bool avoids = kind == CLASS_ALBERT || kind == CLASS_FNET || kind == CLASS_XLNET,
				   avoided = avoids && is_number_comma(pieces[i].text);
		add(v, pieces[i].text, (double)pieces[i].score - (avoided ? 100 : 0));
	}
	if (moved)
		add(v, "<mask>", 0);
}

static bool read_pieces(const SpmFile *spm, ClassKind kind)
{
	TokenizerImport *import = spm->import;
	const SpmPiece *pieces = spm->pieces.items;
	Vocab v = {list_new(sizeof(const char *)), list_new(sizeof(double))};
	if (spm->kind != SPM_UNIGRAM && spm->kind != SPM_BPE)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"its model_type is %d, but only 1 (Unigram) and 2 (BPE) are supported", spm->kind);
	fill_vocab(spm, kind, &v);
	const bool moved = kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT;
	const int32_t unk_id = moved ? 3 : spm->unk_id, count = (int32_t)v.texts.count;
	bool good = spm->kind == SPM_BPE
		? spm_bpe(spm, v.texts.items, v.scores.items, v.texts.count)
		: unigram_set(import, v.texts.items, v.scores.items, count, unk_id, false, false);
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

static bool set_normalizer(const SpmFile *spm, ClassKind kind)
{
	TokenizerImport *import = spm->import;
	const bool rembert = kind == CLASS_REMBERT;
	bool lowercase = kind == CLASS_ALBERT, accents = kind == CLASS_FNET || rembert;
	import->desc->contextual = true;
	if (kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT)
		return add_map(spm) && import_strip(import, false, true)
			&& import_replace_runs(import, " {2,}", "\xE2\x96\x81");
	if (!read_flag(import, "do_lower_case", &lowercase) || !read_flag(import, "keep_accents", &accents))
		return false;
	if (kind == CLASS_DEBERTA_V2 && lowercase && !add_lowercase(import, true))
		return false;
	if (kind == CLASS_DEBERTA_V2)
		return import_strip(import, true, true) && add_map(spm) && import_replace_runs(import, " {2,}", " ");
	import->desc->strips = rembert ? RT_TRIM_RUNS : 0;
	return import_replace(import, "``", "\"") && import_replace(import, "''", "\"")
		&& (accents || add_bare(import)) && add_lowercase(import, lowercase) && add_map(spm)
		&& (rembert || import_replace_runs(import, " {2,}", " "));
}

static bool set_splitter(TokenizerImport *import, ClassKind kind)
{
	bool punctuation = false, prefix = true;
	if (!read_flag(import, "add_prefix_space", &prefix)
		|| (kind == CLASS_DEBERTA_V2 && !read_flag(import, "split_by_punct", &punctuation)))
		return false;
	if (!prefix)
		return diag_error_in(import->diag, EXIT_UNSUPPORTED, import->config_path, 0,
			"add_prefix_space false is not supported for a tokenizer with a .model file; write "
			"tokenizer.json "
			"once with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
	json_t *list = punctuation ? json_pack("[{s:s}]", "type", "Punctuation") : json_array();
	json_array_append_new(list, json_pack("{s:s, s:s}", "type", "Metaspace", "prepend_scheme", "always"));
	json_t *pre_tokenizer = json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", list);
	const bool good = import_pre_tokenizer(import, pre_tokenizer);
	json_decref(pre_tokenizer);
	return good;
}

/* ---- the template ---------------------------------------------------------------------------- */
static bool set_template(TokenizerImport *import, ClassKind kind)
{
	const char *cls = kind == CLASS_XLNET ? "<cls>" : "[CLS]", *sep = kind == CLASS_XLNET ? "<sep>" : "[SEP]";
	if (kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT) {
		cls = "<s>";
		sep = "</s>";
	}
	const int32_t cls_id = import_token_id(import, cls), sep_id = import_token_id(import, sep);
	if (cls_id < 0 || sep_id < 0)
		return IMPORT_ERROR(import, EXIT_INPUT, "has no piece %s", cls_id < 0 ? cls : sep);
	if (kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT) {
		import_roberta_template(import, cls_id, sep_id);
	} else if (kind == CLASS_XLNET) {
		import_xlnet_template(import, cls_id, sep_id);
	} else {
		import_bert_template(import, cls_id, sep_id);
	}
	return true;
}

bool spm_import(TokenizerImport *import)
{
	SpmFile spm = {0};
	if (import->transformers5)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"--compat=transformers5 is not supported for a SentencePiece .model; write tokenizer.json once "
			"with transformers 5: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
	bool good = check_class(import) && spm_read(&spm, import);
	if (good) {
		const ClassKind kind = import->class->kind;
		import->mask_lstrip = true;
		good = read_pieces(&spm, kind) && set_normalizer(&spm, kind) && set_splitter(import, kind)
			&& import_config_tokens(import, true) && set_template(import, kind);
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
