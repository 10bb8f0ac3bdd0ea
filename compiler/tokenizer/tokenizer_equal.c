/* tokenizer_equal.c: compares two tokenizers, member by member. */
#include <string.h>
#include "tokenizer_import.h"

static bool equal_texts(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : !a && !b; }

static bool equal_vocab(const TokenizerDesc *a, const TokenizerDesc *b)
{
	bool same = a->nvocab == b->nvocab;
	for (int32_t i = 0; same && i < a->nvocab; i++)
		same = equal_texts(a->vocab[i], b->vocab[i]);
	return same;
}

static bool equal_added(const TokenizerDesc *a, const TokenizerDesc *b)
{
	bool same = a->nadded == b->nadded;
	for (int32_t i = 0; same && i < a->nadded; i++) {
		const AddedToken *x = &a->added[i], *y = &b->added[i];
		same = x->id == y->id && equal_texts(x->text, y->text) && x->special == y->special
			&& x->single_word == y->single_word && x->lstrip == y->lstrip && x->rstrip == y->rstrip
			&& x->normalized == y->normalized;
	}
	return same;
}

/* Whether both have the same added tokens, in any order. */
static bool same_added(const TokenizerDesc *a, const TokenizerDesc *b)
{
	TokenizerDesc x = *a, y = *b;
	bool same = a->nadded == b->nadded;
	x.nadded = 1;
	y.nadded = 1;
	for (int32_t i = 0; same && i < a->nadded; i++) {
		x.added = &a->added[i];
		same = false;
		for (int32_t k = 0; !same && k < b->nadded; k++) {
			y.added = &b->added[k];
			same = equal_added(&x, &y);
		}
	}
	return same;
}

static bool equal_items(const TemplateItem *a, int32_t count, const TemplateItem *b, int32_t other)
{
	bool same = count == other;
	for (int32_t i = 0; same && i < count; i++)
		same = a[i].piece == b[i].piece && a[i].type == b[i].type
			&& (a[i].piece != PIECE_TOKEN || a[i].id == b[i].id);
	return same;
}

static bool equal_codes(const uint32_t *a, int32_t count, const uint32_t *b, int32_t other)
{
	return count == other && (count == 0 || memcmp(a, b, (size_t)count * sizeof *a) == 0);
}

static bool equal_maps(const Charsmap *a, const Charsmap *b)
{
	bool same = !a == !b && (!a || a->nkeys == b->nkeys);
	for (int32_t i = 0; a && same && i < a->nkeys; i++) {
		const TrieKey *x = &a->keys[i], *y = &b->keys[i];
		same = x->bytes == y->bytes && x->value == y->value
			&& memcmp(x->text, y->text, (size_t)x->bytes) == 0;
	}
	return same && (!a || equal_codes(a->lists, a->nlists, b->lists, b->nlists));
}

static bool equal_normal(const TokenizerDesc *a, const TokenizerDesc *b)
{
	bool same = a->contextual == b->contextual && a->nnormal == b->nnormal && a->strips == b->strips
		&& memcmp(&a->run, &b->run, sizeof a->run) == 0;
	for (int32_t i = 0; same && i < a->nnormal; i++) {
		const NormalStep *x = &a->normal[i], *y = &b->normal[i];
		same = x->kind == y->kind && x->step == y->step
			&& equal_codes(x->pattern, x->npattern, y->pattern, y->npattern)
			&& equal_codes(x->content, x->ncontent, y->content, y->ncontent) && equal_maps(x->map, y->map);
	}
	return same;
}

static bool equal_cuts(const TokenizerDesc *a, const TokenizerDesc *b)
{
	bool same = a->ncuts == b->ncuts;
	for (int32_t i = 0; same && i < a->ncuts; i++) {
		const Cut *x = &a->cuts[i], *y = &b->cuts[i];
		same = x->classes == y->classes && x->ntable == y->ntable && x->behavior == y->behavior
			&& x->invert == y->invert && memcmp(x->of, y->of, 0x110000) == 0
			&& memcmp(x->table, y->table, (size_t)x->ntable * sizeof *x->table) == 0;
	}
	return same;
}

static bool equal_normalizer(const TokenizerDesc *a, const TokenizerDesc *b)
{
	return a->nsteps == b->nsteps && memcmp(a->steps, b->steps, (size_t)a->nsteps * sizeof *a->steps) == 0
		&& equal_normal(a, b);
}

static bool equal_split(const TokenizerDesc *a, const TokenizerDesc *b)
{
	return a->split == b->split && memcmp(a->split_number, b->split_number, sizeof a->split_number) == 0
		&& equal_cuts(a, b);
}

static bool equal_template(const TokenizerDesc *a, const TokenizerDesc *b)
{
	return equal_items(a->single, a->nsingle, b->single, b->nsingle)
		&& equal_items(a->pair, a->npair, b->pair, b->npair) && a->trim_offsets == b->trim_offsets
		&& (!a->trim_offsets || a->trim_prefix == b->trim_prefix);
}

bool tokenizer_equal(const TokenizerDesc *a, const TokenizerDesc *b)
{
	if (!a || !b)
		return a == b;
	return a->model == b->model && a->unk_id == b->unk_id && a->pad_id == b->pad_id && a->cls_id == b->cls_id
		&& a->sep_id == b->sep_id && a->mask_id == b->mask_id && a->cut_left == b->cut_left
		&& a->splits_special == b->splits_special && equal_normalizer(a, b) && equal_split(a, b)
		&& equal_vocab(a, b) && equal_added(a, b) && equal_template(a, b) && a->model->equal(a, b);
}

void import_note_differences(TokenizerImport *import, const TokenizerDesc *five, bool settings)
{
	const TokenizerDesc *desc = import->desc;
	const struct {
		const char *name;
		bool differs;
	} parts[] = {
		{"settings of the model", settings},
		{"normalizer", !equal_normalizer(desc, five)},
		{"pre_tokenizer", !equal_split(desc, five)},
		{"added tokens", !same_added(desc, five)},
		{"post_processor", !equal_template(desc, five)},
	};
	const char *names = NULL;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (parts[i].differs)
			names = names ? mem_printf(import->mem, "%s, %s", names, parts[i].name) : parts[i].name;
	if (names)
		diag_decide(import->diag, "compat",
			"transformers 5 reads differently: %s; --compat=transformers5 follows it", names);
	if (names)
		diag_note(import->diag, 0,
			"%s: transformers 5 reads these parts differently: %s; bertc reads them as transformers 4 and "
			"the "
			"tokenizers library do; --compat=transformers5 follows transformers 5",
			import->path, names);
}
