/* unigram.c: the tokenizer model Unigram: pieces with scores. Reads its part of tokenizer.json. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "unigram.h"
#include "runtime/tokenize/unigram.h"

static const Unigram *data_of(const TokenizerDesc *desc) { return desc->data; }

/* ---- pieces ---------------------------------------------------------------------------------- */
static bool add_piece(TokenizerImport *import, const char *piece, int32_t id)
{
	const json_t *before = json_object_get(import->vocab, piece);
	if (strlen(piece) > TOKEN_BYTES_MAX)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"piece %d of the vocabulary has %zu bytes, at most %d are supported", id, strlen(piece),
			TOKEN_BYTES_MAX);
	if (before)
		import->desc->vocab[json_integer_value(before)] = NULL;
	import->desc->vocab[id] = *piece ? mem_string(import->mem, piece, strlen(piece)) : NULL;
	json_object_set_new(import->vocab, piece, json_integer(id));
	return true;
}

bool unigram_set(TokenizerImport *import, const char *const *pieces, const double *scores, int32_t count,
	int64_t unk_id, bool fallback, bool text)
{
	Unigram *data = mem_alloc(import->mem, sizeof *data);
	data->scores = mem_alloc(import->mem, ((size_t)count + 1) * sizeof *data->scores);
	import->desc->data = data;
	import->desc->vocab = mem_alloc(import->mem, ((size_t)count + 1) * sizeof *import->desc->vocab);
	import->desc->nvocab = count;
	import->next_id = count;
	data->fallback = fallback;
	data->text = text;
	if (count == 0)
		return IMPORT_ERROR(import, EXIT_INPUT, "the vocabulary is empty");
	if (unk_id < 0)
		return IMPORT_ERROR(import, EXIT_UNSUPPORTED,
			"model Unigram without unk_id is not supported: unknown characters would have no token");
	if (unk_id >= count)
		return IMPORT_ERROR(
			import, EXIT_INPUT, "unk_id is %lld, but the vocabulary has %d pieces", (long long)unk_id, count);
	for (int32_t id = 0; id < count; id++) {
		data->scores[id] = scores[id];
		if (!isfinite(scores[id]) || fabs(scores[id]) > 1e100)
			return IMPORT_ERROR(
				import, EXIT_INPUT, "piece %d of the vocabulary has the score %g", id, scores[id]);
		if (!add_piece(import, pieces[id], id))
			return false;
	}
	data->unk_id = (int32_t)unk_id;
	import->desc->unk_id = data->unk_id;
	return true;
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */
static bool is_untyped(const json_t *model)
{
	return json_object_get(model, "unk_id") && json_is_array(json_object_get(model, "vocab"));
}

static bool read_vocab(TokenizerImport *import, const json_t *list, int64_t unk_id, bool fallback)
{
	const size_t count = json_array_size(list);
	const char **pieces = checked_calloc(count + 1, sizeof *pieces);
	double *scores = checked_calloc(count + 1, sizeof *scores);
	const json_t *item;
	size_t i;
	bool good = count < TOKEN_IDS_MAX
		|| IMPORT_ERROR(import, EXIT_UNSUPPORTED, "the vocabulary has %zu pieces, at most %d are supported",
			count, TOKEN_IDS_MAX - 1);
	json_array_foreach(list, i, item)
	{
		pieces[i] = json_string_value(json_array_get(item, 0));
		scores[i] = json_number_value(json_array_get(item, 1));
		if (good && (json_array_size(item) != 2 || !pieces[i] || !json_is_number(json_array_get(item, 1))))
			good = IMPORT_ERROR(import, EXIT_INPUT, "model.vocab[%zu]: expected a piece and its score", i);
	}
	good = good && unigram_set(import, pieces, scores, (int32_t)count, unk_id, fallback, true);
	free(pieces);
	free(scores);
	return good;
}

static bool read_model(TokenizerImport *import, const json_t *model)
{
	const json_t *list = json_object_get(model, "vocab");
	int64_t unk_id = -1;
	bool fallback = false;
	if (!json_member_int(model, "unk_id", 0, INT32_MAX, &unk_id, import->path, import->diag)
		|| !json_member_bool(model, "byte_fallback", &fallback, import->path, import->diag))
		return false;
	if (!json_is_array(list))
		return IMPORT_ERROR(import, EXIT_INPUT, "model.vocab is %s, expected an array of pieces and scores",
			list ? json_kind(list) : "missing");
	return read_vocab(import, list, unk_id, fallback);
}

/* ---- tables ---------------------------------------------------------------------------------- */
/* A number as the library reads it from JSON (serde_json): its digits as an integer, rounded to a double, and
 * divided by a power of ten, which is rounded again. */
static double as_read(double score)
{
	char text[40];
	uint64_t digits = 0;
	int exponent = 0, sign = score < 0 ? -1 : 1;
	bool point = false;
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(text, sizeof text, "%.*g", precision, fabs(score));
		if (strtod(text, NULL) == fabs(score))
			break;
	}
	const char *at = text;
	for (; *at && *at != 'e'; at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		digits = digits * 10 + (uint64_t)(*at - '0');
		exponent -= point;
	}
	exponent += *at == 'e' ? atoi(at + 1) : 0;
	const double power = pow(10, abs(exponent));
	return sign * (exponent >= 0 ? (double)digits * power : (double)digits / power);
}

static bool layout_tables(const TokenizerDesc *desc, Blob *blob, TokenizerLayout *layout, Diag *diag)
{
	const Unigram *data = data_of(desc);
	List units, scores = list_new(sizeof(double));
	double least = INFINITY;
	const bool good = layout_vocab(desc, &units, diag);
	for (int32_t id = 0; id < desc->nvocab; id++) {
		const double score = data->text ? as_read(data->scores[id]) : data->scores[id];
		least = score < least ? score : least;
		list_add(&scores, &score);
	}
	least -= 10;
	list_add(&scores, &least);
	layout->model_number[UNIGRAM_UNK] = data->unk_id;
	layout->model_number[UNIGRAM_PIECES] = desc->nvocab;
	layout->model_number[UNIGRAM_FALLBACK] = data->fallback;
	layout->model_table[UNIGRAM_BYTES] = layout_bytes(&units, blob);
	layout->model_table[UNIGRAM_VOCAB] = layout_add(blob, &units);
	layout->model_table[UNIGRAM_SCORES] = layout_add(blob, &scores);
	return good;
}

/* ---- other functions of the model ------------------------------------------------------------ */
static bool equal(const TokenizerDesc *a, const TokenizerDesc *b)
{
	const Unigram *x = data_of(a), *y = data_of(b);
	return x->fallback == y->fallback && x->unk_id == y->unk_id && x->text == y->text
		&& memcmp(x->scores, y->scores, (size_t)a->nvocab * sizeof *x->scores) == 0;
}

/* Bytes of the mark U+2581 at the start of a piece. */
static int32_t mark_bytes(const char *piece) { return strncmp(piece, "\xE2\x96\x81", 3) == 0 ? 3 : 0; }

static bool continues(const TokenizerDesc *desc, int32_t id)
{
	return id < desc->nvocab && desc->vocab[id] && mark_bytes(desc->vocab[id]) == 0;
}

static bool is_single_character(const TokenizerDesc *desc, int32_t id)
{
	const char *piece = desc->vocab[id];
	int32_t n = 0;
	for (const char *c = piece; *c; c++)
		n += (*c & 0xC0) != 0x80;
	return n == 1;
}

static void close_bytes(const TokenizerDesc *desc, bool *used, int32_t rows)
{
	if (data_of(desc)->fallback)
		(void)vocab_bytes(desc, used, rows);
}

static const void *renumber(const TokenizerDesc *desc, const int32_t *to, int32_t rows, MemArena *mem)
{
	const Unigram *old = data_of(desc);
	Unigram *data = mem_alloc(mem, sizeof *data);
	*data = *old;
	data->scores = mem_alloc(mem, ((size_t)desc->nvocab + 1) * sizeof *data->scores);
	for (int32_t id = 0; id < desc->nvocab && id < rows; id++)
		if (to[id] >= 0 && to[id] < desc->nvocab)
			data->scores[to[id]] = old->scores[id];
	data->unk_id = old->unk_id < rows ? to[old->unk_id] : old->unk_id;
	return data;
}

static void rewrite(const TokenizerDesc *desc, json_t *model)
{
	const Unigram *data = data_of(desc);
	json_t *vocab = json_array();
	for (int32_t id = 0; id < desc->nvocab; id++)
		json_array_append_new(
			vocab, json_pack("[s, f]", desc->vocab[id] ? desc->vocab[id] : "", data->scores[id]));
	json_object_set_new(model, "vocab", vocab);
	json_object_set_new(model, "unk_id", json_integer(data->unk_id));
}

const TokenizerModel unigram_tokenizer = {
	.name = "unigram",
	.type = "Unigram",
	.word = unigram_word,
	.roles = {"<unk>", "</s>", "<pad>", "<s>", "<mask>"},
	.read = read_model,
	.is_untyped = is_untyped,
	.files = {"spiece.model"},
	.other_files = {"sentencepiece.bpe.model", "spm.model", "sentencepiece.model"},
	.read_files = spm_import,
	.layout = layout_tables,
	.equal = equal,
	.continues = continues,
	.is_single_character = is_single_character,
	.close = close_bytes,
	.renumber = renumber,
	.rewrite = rewrite,
};
