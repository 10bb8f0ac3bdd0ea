/* spm_bpe.c: a SentencePiece .model file of type BPE. It has no merges: transformers takes every pair of
 * pieces that makes a piece, those of better scores first (generate_merges). */
#include <stdlib.h>
#include <string.h>
#include "spm_file.h"

enum { PAIRS_MAX = (1 << 22) + 1 }; /* one more than bpe.c accepts */
typedef struct Pair {
	const char *whole; /* lives in an object */
	int32_t cut;       /* bytes of the left part */
	int32_t left_length, right_length, order;
	double score;
} Pair;

/* Better scores first, then longer left and right parts, then the order before. */
static int by_score(const void *a, const void *b)
{
	const Pair *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->left_length != y->left_length)
		return x->left_length > y->left_length ? -1 : 1;
	if (x->right_length != y->right_length)
		return x->right_length > y->right_length ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static int32_t characters(const char *text, int32_t bytes)
{
	int32_t n = 0;
	for (int32_t i = 0; i < bytes; i++)
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	return n;
}

/* The pairs that make a piece. */
static void add_pairs(const json_t *ids, const char *whole, double score, List *pairs)
{
	const int32_t bytes = (int32_t)strlen(whole);
	for (int32_t cut = 1; cut < bytes && pairs->count < PAIRS_MAX; cut++) {
		if (((unsigned char)whole[cut] & 0xC0) == 0x80 || !json_object_getn(ids, whole, (size_t)cut)
			|| !json_object_get(ids, whole + cut))
			continue;
		list_add(pairs,
			&(Pair){.whole = whole,
				.cut = cut,
				.left_length = characters(whole, cut),
				.right_length = characters(whole + cut, bytes - cut),
				.order = (int32_t)pairs->count,
				.score = score});
	}
}

/* {"piece": id}: of equal pieces the last counts, in the place of the first. */
static json_t *ids_of(const char *const *texts, size_t count)
{
	json_t *ids = json_object();
	for (size_t i = 0; i < count; i++)
		json_object_set_new(ids, texts[i], json_integer((json_int_t)i));
	return ids;
}

static json_t *merges_of(const SpmFile *spm, const char *const *texts, const double *scores, size_t count)
{
	const SpmPiece *pieces = spm->pieces.items;
	json_t *file_ids = json_object(), *ids = ids_of(texts, count), *id, *merges = json_array();
	List pairs = list_new(sizeof(Pair));
	const char *text;
	for (size_t i = 0; i < spm->pieces.count; i++)
		json_object_set_new(file_ids, pieces[i].text, json_integer((json_int_t)i));
	json_object_foreach(ids, text, id) add_pairs(file_ids, text, scores[json_integer_value(id)], &pairs);
	Pair *all = pairs.items;
	if (pairs.count > 0)
		qsort(all, pairs.count, sizeof *all, by_score);
	for (size_t i = 0; i < pairs.count; i++)
		json_array_append_new(
			merges, json_pack("[s%, s]", all[i].whole, (size_t)all[i].cut, all[i].whole + all[i].cut));
	list_free(&pairs);
	json_decref(file_ids);
	json_decref(ids);
	return merges;
}

bool spm_bpe(const SpmFile *spm, const char *const *texts, const double *scores, size_t count)
{
	TokenizerImport *import = spm->import;
	const SpmPiece *pieces = spm->pieces.items;
	json_t *model = json_pack("{s:s, s:s, s:b, s:o, s:o}", "type", "BPE", "unk_token",
		pieces[spm->unk_id].text, "fuse_unk", 1, "vocab", ids_of(texts, count), "merges",
		merges_of(spm, texts, scores, count));
	import->desc->model = &bpe_tokenizer;
	const bool good = bpe_tokenizer.read(import, model);
	json_decref(model);
	return good;
}
