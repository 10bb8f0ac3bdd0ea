/* sparse.c: sparse weights, packed without their zero words. A word is the unit that one instruction
 * multiplies: four int8 codes of neighbouring inputs, or one f32. The packed form (IR.md, linear_i8) is
 * little-endian:
 *
 *   int32   start[panels * blocks + 1]   offset of piece p * blocks + b, and the end of the last piece
 *   uint16  input[words][4]              i8 only, and only where it saves words (sparse_order.c): the inputs
 *                                        of each word. Every input is there once, padding included. Without
 *                                        this table word k has inputs 4k to 4k + 3
 *   then the pieces, SPARSE_PANEL / 4 bands of four outputs each:
 *   uint8   output[4]                    numbers of the outputs within the panel
 *   uint8   count                        words of each output; always even
 *   uint8   index[count][4]              place of each word within its block, one column per output
 *   word    word[count][4]
 *
 * Block b of an output has its words from b * SPARSE_BLOCK on; an index counts from there. Outputs with fewer
 * words than their band are padded with zero words of index 0, and outputs past N have only such words. For
 * 64 tokens the inputs of a block take 24 KiB and the sums of a panel 16 KiB, so the data that a kernel
 * reuses stays in L1 while it streams the weights.
 *
 * Four outputs of 64 tokens need 16 registers of sums. A step for the four loads one row of indices and one
 * of words. Outputs with similar numbers of words share a band, so a kernel has one loop of even length per
 * band (docs/performance.md, Sparse weights). Each change of the loop length costs a mispredicted branch,
 * which at 8 tokens takes as long as 15 words. Padding added 8 to 23 % to the words of minilm-sst2-sparse90
 * when bands were chosen among 16 outputs; among 64 it adds 4 to 8 %. */
#include <stdlib.h>
#include <string.h>
#include "ir.h"

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t sparse_words(int64_t inputs, DType dtype) { return dtype == DT_I8 ? (inputs + 3) / 4 : inputs; }

static bool word_is_zero(const uint8_t word[SPARSE_WORD]) { return !(word[0] | word[1] | word[2] | word[3]); }

/* Word k of row n, padded with zeros. order: order of the inputs, or NULL. -0.0 counts as zero: half of the
 * zeros that a pruning mask makes are -0.0, and it could only change the sign of a zero sum, which no op
 * reads. */
static void word_at(
	const Tensor *weight, const uint16_t *order, int64_t n, int64_t k, uint8_t word[SPARSE_WORD])
{
	static const uint8_t negative[SPARSE_WORD] = {0, 0, 0, 0x80};
	const int64_t inputs = weight->type.dim[1].plus;
	if (weight->type.dtype != DT_I8) {
		memcpy(word, (const uint8_t *)weight->data + (n * inputs + k) * SPARSE_WORD, SPARSE_WORD);
		if (!memcmp(word, negative, SPARSE_WORD))
			memset(word, 0, SPARSE_WORD);
		return;
	}
	for (int64_t j = 0, at; j < SPARSE_WORD; j++) {
		at = order ? order[k * SPARSE_WORD + j] : k * SPARSE_WORD + j;
		word[j] = at < inputs ? ((const uint8_t *)weight->data)[n * inputs + at] : 0;
	}
}

/* Whether an element is zero. -0.0 counts: a pruning mask turns negative weights into -0.0. */
static bool is_zero(const uint8_t *element, int64_t size, bool is_float)
{
	for (int64_t i = 0; i < size; i++)
		if (element[i] & (is_float && i == size - 1 ? 0x7f : 0xff))
			return false;
	return true;
}

/* Bytes of an element, for the dtypes of weights. The kernel tests link this file without type.c. */
static int64_t weight_bytes(DType dtype)
{
	if (dtype == DT_I8)
		return 1;
	if (dtype == DT_F16 || dtype == DT_BF16)
		return 2;
	return dtype == DT_F64 ? 8 : 4;
}

double sparse_density(const Tensor *weight, int64_t group)
{
	const int64_t outputs = weight->type.dim[0].plus, inputs = weight->type.dim[1].plus,
				  groups = (inputs + group - 1) / group;
	const DType dtype = weight->type.dtype;
	const int64_t size = weight_bytes(dtype);
	int64_t full = 0;
	for (int64_t n = 0; n < outputs; n++)
		for (int64_t first = 0; first < inputs; first += group) {
			bool any = false;
			for (int64_t k = first; k < smaller(first + group, inputs) && !any; k++)
				any = !is_zero((const uint8_t *)weight->data + (n * inputs + k) * size, size, dtype != DT_I8);
			full += any;
		}
	return outputs && groups ? (double)full / (double)(outputs * groups) : 1;
}

/* The words of a panel's outputs in one block: words[o][k], and whether each is nonzero. */
typedef struct Piece {
	uint8_t words[SPARSE_PANEL][SPARSE_BLOCK][SPARSE_WORD];
	bool some[SPARSE_PANEL][SPARSE_BLOCK];
} Piece;

static void piece_read(
	Piece *piece, const Tensor *weight, const uint16_t *order, int64_t panel, int64_t block)
{
	const int64_t words = sparse_words(weight->type.dim[1].plus, weight->type.dtype),
				  outputs = weight->type.dim[0].plus;
	memset(piece, 0, sizeof *piece);
	for (int64_t o = 0; o < smaller(SPARSE_PANEL, outputs - panel * SPARSE_PANEL); o++)
		for (int64_t k = 0; k < smaller(SPARSE_BLOCK, words - block * SPARSE_BLOCK); k++) {
			word_at(weight, order, panel * SPARSE_PANEL + o, block * SPARSE_BLOCK + k, piece->words[o][k]);
			piece->some[o][k] = !word_is_zero(piece->words[o][k]);
		}
}

/* Four outputs of a piece, and the number of words stored for each. */
typedef struct Band {
	int output[SPARSE_BAND], count;
} Band;

/* Groups the outputs into bands, sorted by their number of words. Ties keep the order of the outputs. */
static void piece_bands(const Piece *piece, Band bands[SPARSE_PANEL / SPARSE_BAND])
{
	int order[SPARSE_PANEL], words[SPARSE_PANEL] = {0};
	for (int o = 0; o < SPARSE_PANEL; o++) {
		for (int k = 0; k < SPARSE_BLOCK; k++)
			words[o] += piece->some[o][k];
		int at = o;
		for (; at > 0 && words[o] < words[order[at - 1]]; at--)
			order[at] = order[at - 1];
		order[at] = o;
	}
	for (int i = 0; i < SPARSE_PANEL / SPARSE_BAND; i++) {
		for (int j = 0; j < SPARSE_BAND; j++)
			bands[i].output[j] = order[i * SPARSE_BAND + j];
		bands[i].count = (words[order[i * SPARSE_BAND + SPARSE_BAND - 1]] + 1) / 2 * 2;
	}
}

enum { BAND_HEAD = SPARSE_BAND + 1 };
static int64_t band_bytes(int count) { return BAND_HEAD + (1 + SPARSE_WORD) * SPARSE_BAND * count; }

/* Writes one band and returns its end. */
static uint8_t *band_write(const Piece *piece, const Band *band, uint8_t *to)
{
	uint8_t *index = to + BAND_HEAD, *words = index + SPARSE_BAND * band->count;
	const int *o = band->output;
	memset(to, 0, (size_t)band_bytes(band->count));
	memcpy(to, (uint8_t[]){(uint8_t)o[0], (uint8_t)o[1], (uint8_t)o[2], (uint8_t)o[3], (uint8_t)band->count},
		BAND_HEAD);
	for (int j = 0; j < SPARSE_BAND; j++)
		for (int k = 0, at = j; k < SPARSE_BLOCK; k++)
			if (piece->some[o[j]][k]) {
				index[at] = (uint8_t)k;
				memcpy(words + at * SPARSE_WORD, piece->words[o[j]][k], SPARSE_WORD);
				at += SPARSE_BAND;
			}
	return to + band_bytes(band->count);
}

/* Writes one piece to `to` and returns its size in bytes. to == NULL: only counts. */
static int64_t piece_pack(
	const Tensor *weight, const uint16_t *order, int64_t panel, int64_t block, uint8_t *to)
{
	Piece piece;
	Band bands[SPARSE_PANEL / SPARSE_BAND];
	int64_t bytes = 0;
	piece_read(&piece, weight, order, panel, block);
	piece_bands(&piece, bands);
	for (int i = 0; i < SPARSE_PANEL / SPARSE_BAND; i++) {
		bytes += band_bytes(bands[i].count);
		to = to ? band_write(&piece, &bands[i], to) : NULL;
	}
	return bytes;
}

/* Writes all pieces from offset `at` on, and their offsets. Returns the end, or -1. */
static int64_t pieces_pack(
	const Tensor *weight, const uint16_t *order, int64_t panels, int64_t blocks, int64_t at, uint8_t *to)
{
	for (int64_t i = 0; i <= panels * blocks; i++) {
		const int32_t start = (int32_t)at;
		if (to)
			memcpy(to + i * 4, &start, 4);
		if (i < panels * blocks)
			at += piece_pack(weight, order, i / blocks, i % blocks, to ? to + at : NULL);
		if (at > INT32_MAX)
			return -1;
	}
	return at;
}

int64_t sparse_pack(const Tensor *weight, void *packed)
{
	const int64_t panels = (weight->type.dim[0].plus + SPARSE_PANEL - 1) / SPARSE_PANEL;
	const int64_t words = sparse_words(weight->type.dim[1].plus, weight->type.dtype),
				  blocks = sparse_blocks(words);
	const int64_t starts = (panels * blocks + 1) * 4,
				  order_bytes = words * SPARSE_WORD * (int64_t)sizeof(uint16_t);
	uint16_t *order = checked_calloc((size_t)words, SPARSE_WORD * sizeof *order);
	const bool ordered = sparse_order(weight, order) >= 0;
	if (packed && ordered)
		memcpy((uint8_t *)packed + starts, order, (size_t)order_bytes);
	const int64_t end = pieces_pack(
		weight, ordered ? order : NULL, panels, blocks, starts + (ordered ? order_bytes : 0), packed);
	free(order);
	return end;
}

/* A band in a packed form. */
typedef struct BandView {
	const uint8_t *index, *words, *end;
	int output[SPARSE_BAND], count;
} BandView;

static BandView band_at(const uint8_t *at)
{
	const int count = at[SPARSE_BAND];
	return (BandView){.output = {at[0], at[1], at[2], at[3]},
		.count = count,
		.index = at + BAND_HEAD,
		.words = at + BAND_HEAD + SPARSE_BAND * count,
		.end = at + band_bytes(count)};
}

/* The index of `output` in the band; -1: the band does not have it. */
static int band_has(const BandView *band, int output)
{
	for (int j = 0; j < SPARSE_BAND; j++)
		if (band->output[j] == output)
			return j;
	return -1;
}

/* The offset of the first piece. */
static int64_t pieces_begin(const void *packed)
{
	int32_t start;
	memcpy(&start, packed, 4);
	return start;
}

static int64_t pieces_of(int64_t outputs, int64_t words)
{
	return (outputs + SPARSE_PANEL - 1) / SPARSE_PANEL * sparse_blocks(words);
}

/* Stores word number `word` in the row. order != NULL: puts each of its codes in the place of its input. */
static void row_put(uint8_t *row, int64_t word, const uint8_t *from, const uint8_t *order)
{
	if (!order)
		memcpy(row + word * SPARSE_WORD, from, SPARSE_WORD);
	for (int64_t j = 0; order && j < SPARSE_WORD; j++) {
		uint16_t input;
		memcpy(&input, order + (word * SPARSE_WORD + j) * 2, 2);
		row[input] = from[j];
	}
}

void sparse_row(const void *packed, int64_t outputs, int64_t words, int64_t n, void *row)
{
	const uint8_t *from = packed;
	const int64_t blocks = sparse_blocks(words), starts = (pieces_of(outputs, words) + 1) * 4;
	const uint8_t *order = pieces_begin(packed) > starts ? from + starts : NULL;
	memset(row, 0, (size_t)words * SPARSE_WORD);
	for (int64_t b = 0; b < blocks; b++) {
		int32_t start;
		memcpy(&start, from + (n / SPARSE_PANEL * blocks + b) * 4, 4);
		BandView band = band_at(from + start);
		int which;
		while ((which = band_has(&band, (int)(n % SPARSE_PANEL))) < 0)
			band = band_at(band.end);
		for (int at = which; at < SPARSE_BAND * band.count; at += SPARSE_BAND) /* padding words are zero */
			if (!word_is_zero(band.words + at * SPARSE_WORD))
				row_put(row, b * SPARSE_BLOCK + band.index[at], band.words + at * SPARSE_WORD, order);
	}
}

/* Whether every index is in the block and no output has the same word twice. */
static bool band_is_valid(const BandView *band, int64_t most)
{
	bool seen[SPARSE_BAND][SPARSE_BLOCK] = {{false}};
	for (int i = 0; i < SPARSE_BAND * band->count; i++) {
		const int k = band->index[i];
		if (k >= most)
			return false;
		if (word_is_zero(band->words + i * SPARSE_WORD))
			continue;
		if (seen[i % SPARSE_BAND][k])
			return false;
		seen[i % SPARSE_BAND][k] = true;
	}
	return true;
}

/* Returns the end of a piece. NULL: it ends past `end`, or does not have every output exactly once. */
static const uint8_t *piece_check(const uint8_t *at, const uint8_t *end, int64_t most)
{
	uint64_t seen = 0;
	for (int i = 0; i < SPARSE_PANEL / SPARSE_BAND; i++) {
		if (end - at < BAND_HEAD)
			return NULL;
		const BandView band = band_at(at);
		if (end - at < band.end - at || band.count % 2 || !band_is_valid(&band, most))
			return NULL;
		for (int j = 0; j < SPARSE_BAND; j++)
			if (band.output[j] < SPARSE_PANEL)
				seen |= UINT64_C(1) << band.output[j];
		at = band.end;
	}
	return !~seen ? at : NULL; /* every output of the panel was seen, so none twice and none outside */
}

/* Whether an order contains every input exactly once. */
static bool order_is_valid(const uint8_t *order, int64_t inputs)
{
	bool *seen = checked_calloc((size_t)inputs, sizeof *seen), good = true;
	for (int64_t i = 0; i < inputs && good; i++) {
		uint16_t input;
		memcpy(&input, order + i * 2, 2);
		good = input < inputs && !seen[input];
		if (good)
			seen[input] = true;
	}
	free(seen);
	return good;
}

bool sparse_is_valid(const void *packed, int64_t bytes, int64_t outputs, int64_t words, DType dtype)
{
	const int64_t blocks = sparse_blocks(words), pieces = pieces_of(outputs, words),
				  order = words * SPARSE_WORD;
	const uint8_t *from = packed, *at = from + (pieces + 1) * 4;
	if (bytes < (pieces + 1) * 4)
		return false;
	if (dtype == DT_I8 && pieces_begin(packed) != at - from) {
		if (bytes - (at - from) < 2 * order || !order_is_valid(at, order))
			return false;
		at += 2 * order;
	}
	for (int64_t i = 0; i <= pieces; i++) {
		int32_t start;
		memcpy(&start, from + i * 4, 4);
		if (start != at - from)
			return false;
		const int64_t first = i % blocks * SPARSE_BLOCK;
		if (i < pieces && !(at = piece_check(at, from + bytes, smaller(SPARSE_BLOCK, words - first))))
			return false;
	}
	return at == from + bytes;
}

int64_t sparse_stored(const void *packed, int64_t outputs, int64_t words)
{
	const uint8_t *at = (const uint8_t *)packed + pieces_begin(packed);
	const int64_t bands = pieces_of(outputs, words) * SPARSE_PANEL / SPARSE_BAND;
	int64_t count = 0;
	for (int64_t i = 0; i < bands; i++) {
		const BandView band = band_at(at);
		count += SPARSE_BAND * band.count;
		at = band.end;
	}
	return count;
}
