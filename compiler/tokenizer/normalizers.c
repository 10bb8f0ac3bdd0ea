/* normalizers.c: reads the normalizer of tokenizer.json: one, or a Sequence of them, nested as it likes.
 * BertNormalizer and Lowercase alone look at one character at a time, and become records (char_tables.c). Any
 * other normaliser becomes steps that may look at neighbours (normalizer_tables.c). */
#include <string.h>
#include "tokenizer_import.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cursor.h"

enum { DEPTH_MAX = 8, TEXT_MAX = 24 };

bool import_step(TokenizerImport *import, CharStep step)
{
	if (import->desc->nsteps == TOKENIZER_STEPS_MAX)
		return IMPORT_ERROR(
			import, EXIT_UNSUPPORTED, "the normalizer has more than %d steps", TOKENIZER_STEPS_MAX);
	import->desc->steps[import->desc->nsteps++] = step;
	return true;
}

/* Whether a step keeps all white space and makes none. */
static bool keeps_white(const NormalStep *step)
{
	return step->step == STEP_lowercase || (step->kind == RT_STEP_COMPOSE && step->step == STEP_nfd);
}

/* Whether a step neither reads nor makes spaces, nor brings two together. */
static bool keeps_spaces(const NormalStep *step)
{
	bool keeps = step->kind == RT_STEP_LITERAL && step->ncontent > 0;
	for (int32_t i = 0; keeps && i < step->npattern; i++)
		keeps = step->pattern[i] != ' ';
	for (int32_t i = 0; keeps && i < step->ncontent; i++)
		keeps = step->content[i] != ' ';
	return keeps || keeps_white(step);
}

/* A step after a rule for runs would see the characters that the rule makes, but the rule acts last. The
 * rule that leaves one space may act before all steps instead. */
static bool check_run(TokenizerImport *import, const char *type)
{
	TokenizerDesc *desc = import->desc;
	bool first = desc->run.set == RT_RUN_SPACES && desc->run.content == ' ';
	if (desc->run.set == RT_RUN_NONE)
		return true;
	for (int32_t i = 0; i < desc->nnormal; i++)
		first &= keeps_spaces(&desc->normal[i]);
	if (!first)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"normalizer %s after a Replace of runs of spaces is not supported", type);
	desc->run = (RunRule){RT_RUN_NONE};
	desc->strips |= RT_TRIM_RUNS;
	return true;
}

/* A step that keeps all white space and makes none may act before the rule, unless it changes the character
 * that the rule writes. */
static bool check_run_content(TokenizerImport *import, const char *type)
{
	const int32_t content = import->desc->run.content;
	return content == ' ' || content == 0x2581 || check_run(import, type);
}

bool import_normal(TokenizerImport *import, NormalStep step)
{
	if (import->desc->strips & (RT_STRIP_LEFT | RT_STRIP_RIGHT) && !keeps_white(&step))
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"the normalizer has Strip between two steps that may change white space, which is not supported");
	if (import->desc->nnormal == TOKENIZER_STEPS_MAX)
		return IMPORT_ERROR(
			import, EXIT_UNSUPPORTED, "the normalizer has more than %d steps", TOKENIZER_STEPS_MAX);
	import->desc->normal[import->desc->nnormal++] = step;
	return true;
}

static bool add_map(TokenizerImport *import, CharStep step)
{
	if (!import->desc->contextual)
		return import_step(import, step);
	return import_normal(import, (NormalStep){.kind = RT_STEP_MAP, .step = step});
}

static bool add_unicode(TokenizerImport *import, int32_t kind, CharStep step)
{
	return import_normal(import, (NormalStep){.kind = kind, .step = step});
}

/* ---- each type ------------------------------------------------------------------------------- */
bool import_bert_normalizer(TokenizerImport *import, bool clean_text, const BertSettings *settings)
{
	const bool context = import->desc->contextual, lowercase = settings->lowercase;
	const bool accents = settings->accents < 0 ? lowercase : settings->accents > 0;
	return (!clean_text || add_map(import, STEP_clean_text))
		&& (!settings->chinese || add_map(import, STEP_chinese_chars))
		&& (!accents || context || add_map(import, STEP_strip_accents))
		&& (!accents || !context
			|| (add_unicode(import, RT_STEP_DECOMPOSE, STEP_nfd) && add_map(import, STEP_strip_nonspacing)))
		&& (!lowercase || add_map(import, STEP_lowercase));
}

static const char *spell(int flag)
{
	static const char *const words[] = {"null", "false", "true"};
	return words[flag + 1];
}

/* In transformers, the class has settings of its own, which tokenizer_config.json changes. */
static bool override_bert(TokenizerImport *import, BertSettings *now)
{
	const BertSettings was = *now;
	if (!import_bert_settings(import, now))
		return false;
	if (was.lowercase != now->lowercase || was.chinese != now->chinese || was.accents != now->accents)
		diag_warn(import->diag, 0,
			"%s has lowercase %s, handle_chinese_chars %s, strip_accents %s, but tokenizer_config.json or "
			"its "
			"class has %s, %s, %s; the latter apply, as in transformers; make the files agree",
			import->path, spell(was.lowercase), spell(was.chinese), spell(was.accents), spell(now->lowercase),
			spell(now->chinese), spell(now->accents));
	return true;
}

static bool read_bert_normalizer(TokenizerImport *import, const json_t *normalizer)
{
	BertSettings settings = {true, true, -1};
	bool clean_text = true, accents = false;
	if (!json_member_bool(normalizer, "clean_text", &clean_text, import->path, import->diag)
		|| !json_member_bool(
			normalizer, "handle_chinese_chars", &settings.chinese, import->path, import->diag)
		|| !json_member_bool(normalizer, "lowercase", &settings.lowercase, import->path, import->diag)
		|| !json_member_bool(normalizer, "strip_accents", &accents, import->path, import->diag))
		return false;
	if (json_is_boolean(json_object_get(normalizer, "strip_accents")))
		settings.accents = accents;
	return (!import->overrides || override_bert(import, &settings)) && check_run(import, "BertNormalizer")
		&& import_bert_normalizer(import, clean_text, &settings);
}

static bool read_lowercase(TokenizerImport *import, const json_t *normalizer)
{
	(void)normalizer;
	return check_run_content(import, "Lowercase") && add_map(import, STEP_lowercase);
}

static bool read_strip_accents(TokenizerImport *import, const json_t *normalizer)
{
	(void)normalizer;
	return check_run(import, "StripAccents") && add_map(import, STEP_strip_marks);
}

static bool read_nmt(TokenizerImport *import, const json_t *normalizer)
{
	(void)normalizer;
	return check_run(import, "Nmt") && add_map(import, STEP_nmt);
}

static bool read_nfc(TokenizerImport *import, const json_t *normalizer)
{
	(void)normalizer;
	return check_run_content(import, "NFC") && add_unicode(import, RT_STEP_COMPOSE, STEP_nfd);
}

static bool read_nfd(TokenizerImport *import, const json_t *normalizer)
{
	(void)normalizer;
	return check_run_content(import, "NFD") && add_unicode(import, RT_STEP_DECOMPOSE, STEP_nfd);
}

static bool read_nfkc(TokenizerImport *import, const json_t *normalizer)
{
	(void)normalizer;
	return check_run(import, "NFKC") && add_unicode(import, RT_STEP_COMPOSE, STEP_nfkd);
}

static bool read_nfkd(TokenizerImport *import, const json_t *normalizer)
{
	(void)normalizer;
	return check_run(import, "NFKD") && add_unicode(import, RT_STEP_DECOMPOSE, STEP_nfkd);
}

static bool read_strip(TokenizerImport *import, const json_t *normalizer)
{
	bool left = false, right = false;
	if (!json_member_bool(normalizer, "strip_left", &left, import->path, import->diag)
		|| !json_member_bool(normalizer, "strip_right", &right, import->path, import->diag))
		return false;
	return import_strip(import, left, right);
}

/* Strip acts before all other steps, or after them. */
bool import_strip(TokenizerImport *import, bool left, bool right)
{
	TokenizerDesc *desc = import->desc;
	if (desc->strips & ~RT_TRIM_RUNS)
		return IMPORT_ERROR(
			import, EXIT_UNSUPPORTED, "the normalizer has Strip twice, which is not supported");
	if (desc->run.set != RT_RUN_NONE && !unicode_is_space(desc->run.content))
		return check_run(import, "Strip");
	bool first = desc->run.set == RT_RUN_NONE;
	for (int32_t i = 0; i < desc->nnormal; i++)
		first &= keeps_white(&desc->normal[i]);
	if (first)
		desc->strips |= (left ? RT_TRIM_LEFT : 0) | (right ? RT_TRIM_RIGHT : 0);
	else
		desc->strips |= (left ? RT_STRIP_LEFT : 0) | (right ? RT_STRIP_RIGHT : 0);
	return true;
}

/* ---- texts ----------------------------------------------------------------------------------- */
uint32_t *import_codes(TokenizerImport *import, const char *text, int32_t *count)
{
	const int32_t bytes = (int32_t)strlen(text);
	uint32_t *codes = mem_alloc(import->mem, ((size_t)bytes + 1) * sizeof *codes);
	int32_t length;
	*count = 0;
	for (int32_t at = 0; at < bytes; at += length)
		codes[(*count)++] = cursor_decode((const unsigned char *)text, at, bytes, &length);
	return codes;
}

static bool check_length(TokenizerImport *import, const char *what, int32_t count)
{
	return count <= TEXT_MAX
		|| IMPORT_ERROR(import, EXIT_UNSUPPORTED, "normalizer %s has %d characters, at most %d are supported",
			what, count, TEXT_MAX);
}

static bool read_prepend(TokenizerImport *import, const json_t *normalizer)
{
	const char *text = NULL;
	NormalStep step = {.kind = RT_STEP_PREPEND};
	if (!json_member_text(normalizer, "prepend", &text, import->path, import->diag)
		|| !check_run(import, "Prepend"))
		return false;
	if (!text)
		return IMPORT_ERROR(import, EXIT_INPUT, "normalizer Prepend has no prepend");
	step.content = import_codes(import, text, &step.ncontent);
	return check_length(import, "Prepend: prepend", step.ncontent)
		&& (step.ncontent == 0 || import_normal(import, step));
}

/* The name of a step before this Replace that may make a part of its pattern out of several characters, so
 * that their neighbours matter too; NULL: none. */
static const char *made_before(const TokenizerDesc *desc, const NormalStep *replace)
{
	for (int32_t k = 0; k < desc->nnormal; k++) {
		const NormalStep *step = &desc->normal[k];
		bool makes = step->kind == RT_STEP_LITERAL && step->npattern > 1 && step->ncontent == 0;
		for (int32_t i = 0; i < replace->npattern && !makes; i++) {
			int32_t parts[UNICODE_PARTS_MAX];
			const int32_t code = (int32_t)replace->pattern[i];
			makes = step->kind == RT_STEP_COMPOSE && unicode_decompose(code, parts) > 1;
			for (int32_t j = 0; j < step->ncontent && step->npattern > 1; j++)
				makes |= step->content[j] == replace->pattern[i];
		}
		if (step->kind == RT_STEP_CHARSMAP)
			return "Precompiled";
		if (makes)
			return step->kind == RT_STEP_COMPOSE ? "NFC or NFKC" : "Replace";
	}
	return NULL;
}

bool import_replace(TokenizerImport *import, const char *pattern, const char *content)
{
	NormalStep step = {.kind = RT_STEP_LITERAL};
	step.pattern = import_codes(import, pattern, &step.npattern);
	step.content = import_codes(import, content, &step.ncontent);
	if (step.npattern == 0)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED, "normalizer Replace of an empty text is not supported");
	for (int32_t i = 0; i < step.npattern; i++)
		if (step.pattern[i] >= UNICODE_PLANE_4 && step.pattern[i] >> 16 != 14)
			return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
				"normalizer Replace of U+%X, in a plane without characters, is not supported",
				(unsigned)step.pattern[i]);
	const char *before = step.npattern > 1 ? made_before(import->desc, &step) : NULL;
	if (before)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"normalizer Replace of \"%.64s\" after %s, which may make a part of that text, is not supported",
			pattern, before);
	return check_run(import, "Replace") && check_length(import, "Replace: pattern", step.npattern)
		&& check_length(import, "Replace: content", step.ncontent) && import_normal(import, step);
}

bool import_replace_runs(TokenizerImport *import, const char *regex, const char *content)
{
	static const struct {
		const char *regex;
		RunRule rule;
	} known[] = {
		{" {2,}", {RT_RUN_SPACES, 2, 0, 0}},
		{" +", {RT_RUN_SPACES, 1, 0, 0}},
		{"\\s+", {RT_RUN_WHITE, 1, 0, 0}},
		{"\\s{2,}", {RT_RUN_WHITE, 2, 0, 0}},
		{"\\s{2,}|[\\n\\r\\t]", {RT_RUN_WHITE, 2, 1, 0}},
	};
	int32_t count;
	const uint32_t *codes = import_codes(import, content, &count);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].regex, regex) != 0)
			continue;
		if (count != 1)
			return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
				"normalizer Replace of \"%s\" by %d characters is not supported, only by one", regex, count);
		if (!check_run(import, "Replace"))
			return false;
		import->desc->run = known[i].rule;
		import->desc->run.content = (int32_t)codes[0];
		return true;
	}
	return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
		"normalizer Replace of the regular expression \"%.64s\" is not supported; supported: \" {2,}\", "
		"\" +\", \"\\s+\", \"\\s{2,}\", \"\\s{2,}|[\\n\\r\\t]\"",
		regex);
}

static bool read_replace(TokenizerImport *import, const json_t *normalizer)
{
	const json_t *pattern = json_object_get(normalizer, "pattern");
	const char *text = NULL, *regex = NULL, *content = NULL;
	if (!json_member_text(pattern, "String", &text, import->path, import->diag)
		|| !json_member_text(pattern, "Regex", &regex, import->path, import->diag)
		|| !json_member_text(normalizer, "content", &content, import->path, import->diag))
		return false;
	if (!content || (!text && !regex))
		return IMPORT_ERROR(
			import, EXIT_INPUT, "normalizer Replace has no %s", content ? "pattern" : "content");
	return text ? import_replace(import, text, content) : import_replace_runs(import, regex, content);
}

bool import_precompiled(TokenizerImport *import, const Charsmap *map)
{
	return map && check_run(import, "Precompiled")
		&& import_normal(import, (NormalStep){.kind = RT_STEP_CHARSMAP, .map = map});
}

static bool read_precompiled(TokenizerImport *import, const json_t *normalizer)
{
	const char *text = NULL;
	if (!json_member_text(normalizer, "precompiled_charsmap", &text, import->path, import->diag))
		return false;
	if (!text)
		return IMPORT_ERROR(import, EXIT_INPUT, "normalizer Precompiled has no precompiled_charsmap");
	return import_precompiled(import, import_charsmap(import, text));
}

/* ---- all ------------------------------------------------------------------------------------- */
static const struct {
	const char *type;
	bool (*read)(TokenizerImport *, const json_t *);
	bool plain; /* looks at one character at a time */
} normalizers[] = {
	{"BertNormalizer", read_bert_normalizer, true},
	{"Lowercase", read_lowercase, true},
	{"NFC", read_nfc, false},
	{"NFD", read_nfd, false},
	{"NFKC", read_nfkc, false},
	{"NFKD", read_nfkd, false},
	{"Nmt", read_nmt, false},
	{"Precompiled", read_precompiled, false},
	{"Prepend", read_prepend, false},
	{"Replace", read_replace, false},
	{"Strip", read_strip, false},
	{"StripAccents", read_strip_accents, false},
};
enum { NORMALIZERS = sizeof normalizers / sizeof *normalizers };

static bool refuse(TokenizerImport *import, const char *type)
{
	const char *names = normalizers[0].type;
	for (size_t i = 1; i < NORMALIZERS; i++)
		names = mem_printf(import->mem, "%s, %s", names, normalizers[i].type);
	return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
		"normalizer \"%.64s\" is not supported; supported: %s, a Sequence of them, null",
		*type ? type : "(no type)", names);
}

/* Reads a normaliser, or the items of a Sequence. Without `reads` only finds out whether all are plain. */
static bool read_one(TokenizerImport *import, const json_t *value, int32_t depth, bool reads)
{
	const char *type = "";
	const json_t *item;
	size_t i;
	if (!json_is_object(value))
		return IMPORT_ERROR(import, EXIT_INPUT, "normalizer is %s, expected an object", json_kind(value));
	if (!json_member_text(value, "type", &type, import->path, import->diag))
		return false;
	if (strcmp(type, "Sequence") == 0 && depth < DEPTH_MAX) {
		const json_t *list = json_object_get(value, "normalizers");
		if (!json_is_array(list))
			return IMPORT_ERROR(import, EXIT_INPUT, "normalizer Sequence has no array normalizers");
		json_array_foreach(list, i, item) if (!read_one(import, item, depth + 1, reads)) return false;
		return true;
	}
	for (i = 0; i < NORMALIZERS; i++) {
		if (strcmp(type, normalizers[i].type) != 0)
			continue;
		import->desc->contextual |= !normalizers[i].plain;
		return !reads || normalizers[i].read(import, value);
	}
	return refuse(import, type);
}

bool import_normalizer(TokenizerImport *import, const json_t *value)
{
	if (!value || json_is_null(value))
		return true;
	const char *type = json_string_value(json_object_get(value, "type"));
	import->overrides = type && strcmp(type, "BertNormalizer") == 0 && !import->transformers5;
	return read_one(import, value, 0, false) && read_one(import, value, 0, true);
}

bool tokenizer_lower(TokenizerDesc *desc)
{
	if (tokenizer_has_step(desc, STEP_lowercase))
		return true;
	if (desc->nsteps == TOKENIZER_STEPS_MAX || desc->nnormal == TOKENIZER_STEPS_MAX)
		return false;
	if (desc->contextual) {
		memmove(desc->normal + 1, desc->normal, (size_t)desc->nnormal * sizeof *desc->normal);
		desc->normal[0] = (NormalStep){.kind = RT_STEP_MAP, .step = STEP_lowercase};
		desc->nnormal++;
	} else {
		memmove(desc->steps + 1, desc->steps, (size_t)desc->nsteps * sizeof *desc->steps);
		desc->steps[0] = STEP_lowercase;
		desc->nsteps++;
	}
	return true;
}
