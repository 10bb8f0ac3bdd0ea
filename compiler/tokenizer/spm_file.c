/* spm_file.c: reads a SentencePiece .model file: a message of protocol buffers (sentencepiece_model.proto).
 * Fields that the tokenizer does not need are skipped. Every length is checked against the message around it.
 */
#include <stdlib.h>
#include <string.h>
#include "spm_file.h"
#include "compiler/support/files.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* types of fields on the wire */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TRAINER_KIND = 3, TRAINER_FALLBACK = 35, TRAINER_UNK = 40, NORMALIZER_MAP = 2 };

typedef struct Span {
	const uint8_t *at, *end;
} Span;
typedef struct Field {
	uint64_t number, value; /* value: of VARINT and FIXED32 */
	int wire;
	Span bytes; /* of BYTES */
} Field;

static bool fail(SpmFile *spm, const char *why)
{
	return IMPORT_ERROR(spm->import, EXIT_INPUT, "is not a SentencePiece model: %s", why);
}

static bool read_varint(Span *m, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
		const uint8_t byte = *m->at++;
		*value |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* Reads the next field. False and a message if it is malformed. */
static bool read_field(SpmFile *spm, Span *m, Field *field)
{
	uint64_t key, length = 0;
	*field = (Field){0};
	if (!read_varint(m, &key))
		return fail(spm, "a field has no number");
	field->number = key >> 3;
	field->wire = (int)(key & 7);
	if (field->wire == VARINT)
		return read_varint(m, &field->value) || fail(spm, "a number is cut off");
	if (field->wire == FIXED32 || field->wire == FIXED64)
		length = field->wire == FIXED32 ? 4 : 8;
	else if (field->wire != BYTES)
		return fail(spm, "a field has an unknown type");
	else if (!read_varint(m, &length))
		return fail(spm, "a length is cut off");
	if (length > (uint64_t)(m->end - m->at))
		return fail(spm, "a field is longer than what is around it");
	field->bytes = (Span){m->at, m->at + length};
	m->at += length;
	for (int i = 0; field->wire == FIXED32 && i < 4; i++)
		field->value |= (uint64_t)field->bytes.at[i] << 8 * i;
	return true;
}

static bool read_piece(SpmFile *spm, Span m)
{
	SpmPiece piece = {.type = SPM_NORMAL};
	Field field;
	while (m.at < m.end) {
		if (!read_field(spm, &m, &field))
			return false;
		if (field.number == PIECE_TEXT && field.wire == BYTES) {
			const size_t bytes = (size_t)(field.bytes.end - field.bytes.at);
			json_t *checked = json_stringn((const char *)field.bytes.at, bytes); /* jansson checks UTF-8 */
			json_decref(checked);
			if (!checked || memchr(field.bytes.at, 0, bytes))
				return fail(spm, "a piece is not UTF-8 text, or has a NUL");
			piece.text = mem_string(spm->import->mem, (const char *)field.bytes.at, bytes);
		} else if (field.number == PIECE_SCORE && field.wire == FIXED32) {
			const uint32_t word = (uint32_t)field.value;
			memcpy(&piece.score, &word, sizeof piece.score);
		} else if (field.number == PIECE_TYPE && field.wire == VARINT) {
			piece.type = field.value <= SPM_BYTE ? (int32_t)field.value : SPM_NORMAL;
		}
	}
	if (!piece.text)
		return fail(spm, "a piece has no text");
	list_add(&spm->pieces, &piece);
	return spm->pieces.count < TOKEN_IDS_MAX || fail(spm, "it has too many pieces");
}

static bool read_trainer(SpmFile *spm, Span m)
{
	Field field;
	while (m.at < m.end) {
		if (!read_field(spm, &m, &field))
			return false;
		if (field.wire != VARINT)
			continue;
		const int32_t value = field.value <= INT32_MAX ? (int32_t)field.value : -1;
		if (field.number == TRAINER_KIND)
			spm->kind = value;
		else if (field.number == TRAINER_FALLBACK)
			spm->fallback = value != 0;
		else if (field.number == TRAINER_UNK)
			spm->unk_id = value;
	}
	return true;
}

static bool read_normalizer(SpmFile *spm, Span m)
{
	Field field;
	while (m.at < m.end) {
		if (!read_field(spm, &m, &field))
			return false;
		if (field.number != NORMALIZER_MAP || field.wire != BYTES)
			continue;
		spm->charsmap = field.bytes.at;
		spm->charsmap_bytes = (size_t)(field.bytes.end - field.bytes.at);
	}
	return true;
}

static bool read_model(SpmFile *spm, Span m)
{
	Field field;
	bool good = true;
	while (good && m.at < m.end) {
		good = read_field(spm, &m, &field);
		if (!good || field.wire != BYTES)
			continue;
		if (field.number == MODEL_PIECES)
			good = read_piece(spm, field.bytes);
		else if (field.number == MODEL_TRAINER)
			good = read_trainer(spm, field.bytes);
		else if (field.number == MODEL_NORMALIZER)
			good = read_normalizer(spm, field.bytes);
	}
	return good && (spm->pieces.count > 0 || fail(spm, "it has no pieces"));
}

bool spm_read(SpmFile *spm, TokenizerImport *import)
{
	size_t bytes;
	*spm = (SpmFile){.import = import, .pieces = list_new(sizeof(SpmPiece)), .kind = SPM_UNIGRAM};
	spm->data = file_read(import->path, TOKENIZER_BYTES_MAX, &bytes, import->diag);
	const uint8_t *data = (const uint8_t *)spm->data;
	return data && read_model(spm, (Span){data, data + bytes});
}

void spm_free(SpmFile *spm)
{
	list_free(&spm->pieces);
	free(spm->data);
}
