/* rebuilt.c: transformers 5 takes only vocabulary, added tokens and character map of Unigram classes from
 * tokenizer.json, and builds the rest from tokenizer_config.json. bertc reads the whole file, as transformers
 * 4 and the tokenizers library do. Where the results differ, the build says so. */
#include <string.h>
#include "tokenizer_import.h"
#include "runtime/tokenize/split_metaspace.h"

enum { STEPS = 8 };
typedef struct Rebuilt {
	NormalStep steps[STEPS];
	int32_t count;
} Rebuilt;

static void add(Rebuilt *r, int32_t kind, CharStep step)
{
	r->steps[r->count++] = (NormalStep){.kind = kind, .step = step};
}

static bool has_map(const TokenizerDesc *desc)
{
	for (int32_t i = 0; i < desc->nnormal; i++)
		if (desc->normal[i].kind == RT_STEP_CHARSMAP)
			return true;
	return false;
}

/* The steps of the class in transformers 5. */
static bool rebuild(const TokenizerImport *import, Rebuilt *r)
{
	const bool albert = import_is(import, CLASS_ALBERT), xlnet = import_is(import, CLASS_XLNET);
	const bool deberta = import_is(import, CLASS_DEBERTA_V2);
	bool lowercase = albert, accents = false;
	*r = (Rebuilt){.count = 0};
	if (!json_member_bool(import->config, "do_lower_case", &lowercase, import->config_path, import->diag)
		|| !json_member_bool(import->config, "keep_accents", &accents, import->config_path, import->diag))
		return false;
	for (int i = 0; i < 2 && (albert || xlnet); i++)
		add(r, RT_STEP_LITERAL, 0);
	if (xlnet || (albert && !accents)) {
		add(r, RT_STEP_DECOMPOSE, STEP_nfkd);
		add(r, RT_STEP_MAP, STEP_strip_marks);
	}
	if (lowercase && (albert || xlnet || deberta))
		add(r, RT_STEP_MAP, STEP_lowercase);
	if (deberta)
		add(r, RT_STEP_COMPOSE, STEP_nfd);
	else if (has_map(import->desc))
		add(r, RT_STEP_CHARSMAP, 0);
	return true;
}

/* Whether the file gives the same normaliser and pre-tokenizer. */
static bool is_same(const TokenizerDesc *desc, const Rebuilt *r, bool deberta)
{
	bool same = desc->nnormal == r->count && desc->split == &metaspace_splitter && desc->ncuts == 0
		&& desc->strips == (deberta ? RT_STRIP_RIGHT : 0)
		&& desc->run.set == (deberta ? RT_RUN_WHITE : RT_RUN_NONE)
		&& desc->split_number[METASPACE_DROP] == !deberta;
	for (int32_t i = 0; same && i < r->count; i++)
		same = desc->normal[i].kind == r->steps[i].kind && desc->normal[i].step == r->steps[i].step;
	return same;
}

bool import_note_rebuilt(TokenizerImport *import)
{
	static const ClassKind classes[] = {
		CLASS_ALBERT, CLASS_XLNET, CLASS_CAMEMBERT, CLASS_XLM_ROBERTA, CLASS_DEBERTA_V2};
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		Rebuilt r;
		if (!import_is(import, classes[i]))
			continue;
		if (!rebuild(import, &r))
			return false;
		if (!is_same(import->desc, &r, i == 4))
			diag_note(import->diag, 0,
				"%s: transformers 5 builds the normalizer and pre_tokenizer of %s from tokenizer_config.json "
				"instead; those of the file apply here, as in transformers 4 and the tokenizers library",
				import->path, import->class->name);
	}
	return true;
}
