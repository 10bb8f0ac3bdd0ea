/* unpack.h: decodes entropy-coded weights (bertc build --pack=small). Bytes have canonical Huffman codes
 * (Huffman, 1952) of at most 11 bits, so one lookup in a table of 2048 entries gives a byte and the length of
 * its code.
 *
 *   lengths[tables][128]   code lengths of 256 bytes, two per byte, the low half first. 0: the byte does not
 *                          occur; 15: no other byte occurs, and its code has no bits
 *   bits                   from the least significant on, then 16 bytes of zeros
 *
 * Plain: the elements of the constant in order. An element has `word` bytes, each with its own table.
 * Sparse (sparse_rows.h): the order of inputs, if there is one, coded with the table of codes. Then the bands
 * of all pieces in order. A band has the numbers of its four outputs; the count; the indices of each output;
 * the words. An index is coded as the step from the one before, minus 1; 255 stands for an index of 0 that is
 * not the first. A word is a mask of its nonzero bytes, then these bytes. There is one table each for
 * outputs, counts, steps and masks, then one for the bytes of codes or four for those of f32. The offsets of
 * pieces are not stored, because decoding finds them.
 *
 * Damaged data is refused: lengths that form no code, missing bits, rows longer than the room, a wrong hash.
 */
#ifndef RT_UNPACK_H
#define RT_UNPACK_H
#include "model.h"
#include "kernels/sparse_rows.h"

enum {
	UNPACK_LENGTHS = 128,
	UNPACK_BITS = 11,
	UNPACK_ONLY = 15,
	UNPACK_PADDING = 16,
	UNPACK_WORD = 4,
	UNPACK_AGAIN = 255,
	UNPACK_INPUT = 2
};
enum {
	UNPACK_OUTPUTS,
	UNPACK_COUNTS,
	UNPACK_STEPS,
	UNPACK_MASKS,
	UNPACK_BYTES,
	UNPACK_TABLES_MAX = UNPACK_BYTES + UNPACK_WORD
};

/* The number of tables of a constant. */
RT_INLINE int unpack_tables(const RtPacked *p) { return p->word + (p->outputs ? UNPACK_BYTES : 0); }

typedef struct UnpackTable {
	uint16_t entry[1 << UNPACK_BITS];
} UnpackTable; /* byte << 4 | length, indexed by the next bits */
typedef struct UnpackBits {
	const uint8_t *at, *end;
	uint64_t bits;
	int count;
} UnpackBits;

/* FNV-1a with 64-bit words for bytes. bertc also uses it to find equal constants. */
RT_FN uint64_t unpack_hash(const uint8_t *data, size_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325u ^ bytes, word;
	for (; bytes >= 8; data += 8, bytes -= 8) {
		memcpy(&word, data, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
	}
	for (; bytes; data++, bytes--)
		hash = (hash ^ *data) * 0x100000001b3u;
	return hash;
}

/* Builds a table. Shorter codes come first; codes of equal length are in the order of their bytes. The first
 * bit is the lowest. 0: the lengths are not a code. */
RT_FN int unpack_table(UnpackTable *table, const uint8_t lengths[UNPACK_LENGTHS])
{
	uint32_t code = 0;
	int used = 0, only = -1;
	for (int s = 0; s < 256; s++) {
		const int length = lengths[s / 2] >> 4 * (s & 1) & 15;
		used += length > 0;
		only = length == UNPACK_ONLY ? s : only;
	}
	for (int i = 0; i < 1 << UNPACK_BITS && only >= 0; i++)
		table->entry[i] = (uint16_t)(only << 4);
	if (only >= 0)
		return used == 1;
	for (int length = 1; length <= UNPACK_BITS; length++, code <<= 1)
		for (int s = 0; s < 256; s++) {
			if ((lengths[s / 2] >> 4 * (s & 1) & 15) != length)
				continue;
			if (code >> length)
				return 0;
			uint32_t turned = 0;
			for (int bit = 0; bit < length; bit++)
				turned |= (code >> bit & 1) << (length - 1 - bit);
			for (uint32_t i = turned; i < 1u << UNPACK_BITS; i += 1u << length)
				table->entry[i] = (uint16_t)(s << 4 | length);
			code++;
		}
	return code == 2u << UNPACK_BITS; /* the code is complete */
}

/* Makes at least 56 bits available, enough for five bytes. 0: no input is left. */
RT_INLINE int unpack_fill(UnpackBits *b)
{
	uint64_t next;
	if (b->end - b->at < 8)
		return 0;
	memcpy(&next, b->at, 8);
	b->bits |= next << b->count;
	b->at += (63 - b->count) >> 3;
	b->count |= 56;
	return 1;
}

RT_INLINE uint8_t unpack_byte(UnpackBits *b, const UnpackTable *table)
{
	const unsigned entry = table->entry[b->bits & ((1 << UNPACK_BITS) - 1)];
	b->bits >>= entry & 15;
	b->count -= (int)(entry & 15);
	return (uint8_t)(entry >> 4);
}

RT_INLINE int unpack_plain(UnpackBits *b, const UnpackTable *tables, uint8_t *to, size_t bytes, int word)
{
	for (size_t at = 0; at < bytes; at += 4) { /* whole words of 1, 2 or 4 bytes */
		const int count = bytes - at < 4 ? (int)(bytes - at) : 4;
		if (!unpack_fill(b))
			return 0;
		for (int i = 0; i < count; i++)
			to[at + (size_t)i] = unpack_byte(b, &tables[i % word]);
	}
	return 1;
}

/* Reads `count` indices of one output of a band. 0: they are invalid, or the input ends. */
RT_INLINE int unpack_indices(UnpackBits *b, const UnpackTable *steps, uint8_t *index, int count)
{
	int at = -1;
	for (int i = 0; i < count; i++, index += SPARSE_ROWS_BAND) {
		if (i % 5 == 0 && !unpack_fill(b))
			return 0;
		const int step = unpack_byte(b, steps);
		at = step == UNPACK_AGAIN ? 0 : at + 1 + step;
		if (at >= SPARSE_ROWS_BLOCK)
			return 0;
		*index = (uint8_t)at;
	}
	return 1;
}

RT_INLINE int unpack_words(UnpackBits *b, const UnpackTable *tables, uint8_t *to, int count, int word)
{
	for (int i = 0; i < count; i++, to += UNPACK_WORD) {
		if (!unpack_fill(b))
			return 0;
		memset(to, 0, UNPACK_WORD);
		for (unsigned mask = unpack_byte(b, &tables[UNPACK_MASKS]) & 15; mask;
			mask &= mask - 1) { /* only one branch that is hard to predict */
			const int k = __builtin_ctz(mask);
			to[k] = unpack_byte(b, &tables[UNPACK_BYTES + (word == 1 ? 0 : k)]);
		}
	}
	return 1;
}

/* Decodes a band to `to`, which has `room` bytes. Returns its size; 0: it does not fit, or is invalid. */
RT_INLINE size_t unpack_band(UnpackBits *b, const UnpackTable *tables, uint8_t *to, size_t room, int word)
{
	enum { BAND = SPARSE_ROWS_BAND, HEAD = BAND + 1 };
	if (room < HEAD || !unpack_fill(b)) /* enough for five codes of at most 11 bits */
		return 0;
	for (int j = 0; j < BAND; j++)
		to[j] = unpack_byte(b, &tables[UNPACK_OUTPUTS]);
	to[BAND] = unpack_byte(b, &tables[UNPACK_COUNTS]);
	const int count = to[BAND];
	uint8_t *index = to + HEAD;
	if (room < (size_t)(HEAD + (1 + UNPACK_WORD) * BAND * count))
		return 0;
	for (int j = 0; j < BAND; j++)
		if (!unpack_indices(b, &tables[UNPACK_STEPS], index + j, count))
			return 0;
	return unpack_words(b, tables, index + BAND * count, BAND * count, word)
		? (size_t)(HEAD + (1 + UNPACK_WORD) * BAND * count)
		: 0;
}

RT_INLINE int unpack_sparse(
	UnpackBits *b, const UnpackTable *tables, uint8_t *to, const RtPacked *p, int word)
{
	const int pieces = (p->outputs + SPARSE_ROWS_PANEL - 1) / SPARSE_ROWS_PANEL
		* sparse_rows_blocks(p->words);
	const size_t bytes = p->to_bytes, order = (size_t)p->order * UNPACK_INPUT;
	size_t at = ((size_t)pieces + 1) * 4;
	if (at > bytes || bytes - at < order || !unpack_plain(b, tables + UNPACK_BYTES, to + at, order, 1))
		return 0;
	at += order;
	for (int piece = 0; piece <= pieces; piece++) {
		const int32_t start = (int32_t)at;
		memcpy(to + (size_t)piece * 4, &start, 4);
		for (int i = 0; i < SPARSE_ROWS_PANEL / SPARSE_ROWS_BAND && piece < pieces; i++) {
			const size_t took = unpack_band(b, tables, to + at, bytes - at, word);
			if (!took)
				return 0;
			at += took;
		}
	}
	return at == bytes;
}

/* Decodes one constant. 0: the coded form is damaged. tables: room for UNPACK_TABLES_MAX. */
RT_FN int unpack_constant(const RtPacked *p, const uint8_t *from, uint8_t *to, UnpackTable *tables)
{
	const int count = unpack_tables(p);
	if (p->from_bytes < (size_t)count * UNPACK_LENGTHS)
		return 0;
	for (int i = 0; i < count; i++)
		if (!unpack_table(&tables[i], from + i * UNPACK_LENGTHS))
			return 0;
	UnpackBits bits = {from + count * UNPACK_LENGTHS, from + p->from_bytes, 0, 0};
	int good;
	/* `word` is a literal in each call, because the loops need it */
	if (p->outputs && p->word == 1)
		good = unpack_sparse(&bits, tables, to, p, 1);
	else if (p->outputs)
		good = unpack_sparse(&bits, tables, to, p, 4);
	else if (p->word == 1)
		good = unpack_plain(&bits, tables, to, p->to_bytes, 1);
	else if (p->word == 2)
		good = unpack_plain(&bits, tables, to, p->to_bytes, 2);
	else
		good = unpack_plain(&bits, tables, to, p->to_bytes, 4);
	return good && unpack_hash(to, p->to_bytes) == p->hash;
}
#endif
