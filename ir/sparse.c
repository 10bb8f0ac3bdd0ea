/* sparse.c: weights of which most are zero, without the words that are. A word is what one instruction multiplies at once: four int8 codes of
 * neighbouring inputs, or one f32. Packed (IR.md, linear_i8), from the first byte on, little endian:
 *
 *   int32    start[panels * blocks + 1]     where each piece begins, and the end of the last; piece p * blocks + b
 *   piece    SPARSE_PANEL / 2 pairs of outputs, each
 *              uint8 outputs      the first in the low four bits, the second in the high ones, as counted in the panel
 *              uint8 both, apart  how many groups of two words that both outputs have, and of two that the first and two that the second has
 *              uint8 index[2 * both + 4 * apart]             which words: k0 k1; then first's k0 k1, second's k0 k1
 *              words[4 * both + 4 * apart]                   first's k0, second's k0, first's k1, second's k1; then as the indices
 *
 * Block b of an output's words are those from b * SPARSE_BLOCK on; an index counts from there. Where a group is not full its words are
 * zero. Outputs past N have none. The block of inputs of 64 tokens is 24 KiB: what a kernel reads again and again stays in an L1 of 32 KiB
 * while the weights pass by.
 *
 * Two things make this fast (docs/performance.md, Sparse weights). Outputs are paired that have many words in common, since a kernel is
 * bound by the inputs that it loads. And the pairs of a piece are in the order of their counts, each output of a pair having as many words:
 * every loop whose count differs from the last one's costs a mispredicted branch, which at 8 tokens takes as long as 15 words. Words
 * of zero that fill groups up are 4 to 9 % of all. */
#include <string.h>
#include "ir.h"

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t sparse_words(int64_t inputs, DType dtype) { return dtype == DT_I8 ? (inputs + 3) / 4 : inputs; }

static bool word_is_zero(const uint8_t word[SPARSE_WORD]) { return !(word[0] | word[1] | word[2] | word[3]); }

/* Word k of row n, filled up with zeros. -0.0 is one: it is half of the zeros that a mask makes, and its products could do no more than
 * change the sign of a zero, which nothing reads. */
static void word_at(const Tensor *weight, int64_t n, int64_t k, uint8_t word[SPARSE_WORD])
{
	static const uint8_t negative[SPARSE_WORD] = { 0, 0, 0, 0x80 };
	const bool codes = weight->type.dtype == DT_I8;
	const int64_t inputs = weight->type.dim[1].plus, size = codes ? 1 : SPARSE_WORD, each = SPARSE_WORD / size;
	memset(word, 0, SPARSE_WORD);
	memcpy(word, (const uint8_t *)weight->data + (n * inputs + k * each) * size, (size_t)(smaller(each, inputs - k * each) * size));
	if (!codes && !memcmp(word, negative, SPARSE_WORD))
		memset(word, 0, SPARSE_WORD);
}

/* Whether an element is zero; of floats -0.0 too, which is what a mask makes of negative weights. */
static bool is_zero(const uint8_t *element, int64_t size, bool is_float)
{
	for (int64_t i = 0; i < size; i++)
		if (element[i] & (is_float && i == size - 1 ? 0x7f : 0xff))
			return false;
	return true;
}

double sparse_density(const Tensor *weight, int64_t group)
{
	const int64_t outputs = weight->type.dim[0].plus, inputs = weight->type.dim[1].plus, groups = (inputs + group - 1) / group;
	const DType dtype = weight->type.dtype;
	const int64_t size = dtype == DT_I8 ? 1 : dtype == DT_F16 || dtype == DT_BF16 ? 2 : dtype == DT_F64 ? 8 : 4;
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

/* The words of a panel's outputs in one block: words[o][k], and whether they are any. */
typedef struct Piece { uint8_t words[SPARSE_PANEL][SPARSE_BLOCK][SPARSE_WORD]; bool some[SPARSE_PANEL][SPARSE_BLOCK]; } Piece;

static void piece_read(Piece *piece, const Tensor *weight, int64_t panel, int64_t block)
{
	const int64_t words = sparse_words(weight->type.dim[1].plus, weight->type.dtype), outputs = weight->type.dim[0].plus;
	memset(piece, 0, sizeof *piece);
	for (int64_t o = 0; o < smaller(SPARSE_PANEL, outputs - panel * SPARSE_PANEL); o++)
		for (int64_t k = 0; k < smaller(SPARSE_BLOCK, words - block * SPARSE_BLOCK); k++) {
			word_at(weight, panel * SPARSE_PANEL + o, block * SPARSE_BLOCK + k, piece->words[o][k]);
			piece->some[o][k] = !word_is_zero(piece->words[o][k]);
		}
}

/* Two outputs of a piece, and the groups that their words make. */
typedef struct PairPlan { int a, b, both, apart; } PairPlan;

static PairPlan pair_plan(const Piece *piece, int a, int b)
{
	int words[2] = { 0 }, common = 0;
	for (int k = 0; k < SPARSE_BLOCK; k++) {
		words[0] += piece->some[a][k];
		words[1] += piece->some[b][k];
		common += piece->some[a][k] & piece->some[b][k];
	}
	const int both = common / 2, most = words[0] > words[1] ? words[0] : words[1];
	return (PairPlan){ a, b, both, (most - 2 * both + 1) / 2 };
}

static bool pair_is_before(const PairPlan *x, const PairPlan *y)
{
	return x->apart != y->apart ? x->apart < y->apart : x->both < y->both;
}

/* Two by two, those first that take the fewest groups, of equal ones the earlier; then in the order of their counts. */
static void piece_pair(const Piece *piece, PairPlan pairs[SPARSE_PANEL / 2])
{
	bool taken[SPARSE_PANEL] = { false };
	PairPlan all[SPARSE_PANEL][SPARSE_PANEL];
	for (int a = 0; a < SPARSE_PANEL; a++)
		for (int b = a + 1; b < SPARSE_PANEL; b++)
			all[a][b] = pair_plan(piece, a, b);
	for (int i = 0; i < SPARSE_PANEL / 2; i++) {
		const PairPlan *best = NULL;
		for (int a = 0; a < SPARSE_PANEL; a++)
			for (int b = a + 1; b < SPARSE_PANEL; b++)   /* words in common that others could not have, less words of zero */
				if (!taken[a] && !taken[b] && (!best || all[a][b].both - all[a][b].apart > best->both - best->apart))
					best = &all[a][b];
		taken[best->a] = taken[best->b] = true;
		int at = i;
		for (; at > 0 && pair_is_before(best, &pairs[at - 1]); at--)
			pairs[at] = pairs[at - 1];
		pairs[at] = *best;
	}
}

/* Which words of output o are in no group of both: `skip` is how many common ones are. Returns their number. */
static int words_apart(const Piece *piece, int o, int other, int skip, uint8_t index[SPARSE_BLOCK])
{
	int count = 0;
	for (int k = 0; k < SPARSE_BLOCK; k++) {
		if (!piece->some[o][k] || (piece->some[other][k] && skip-- > 0))
			continue;
		index[count++] = (uint8_t)k;
	}
	return count;
}

/* One pair; returns where the next begins. */
static uint8_t *pair_write(const Piece *piece, const PairPlan *pair, uint8_t *to)
{
	uint8_t *index = to + 3, *words = index + 2 * pair->both + 4 * pair->apart;
	memcpy(to, (uint8_t[]){ (uint8_t)(pair->a | pair->b << 4), (uint8_t)pair->both, (uint8_t)pair->apart }, 3);
	for (int k = 0, i = 0; i < 2 * pair->both; k++)
		if (piece->some[pair->a][k] && piece->some[pair->b][k]) {
			*index++ = (uint8_t)k;
			memcpy(words, piece->words[pair->a][k], SPARSE_WORD);
			memcpy(words + SPARSE_WORD, piece->words[pair->b][k], SPARSE_WORD);
			words += 2 * SPARSE_WORD;
			i++;
		}
	const int outputs[2] = { pair->a, pair->b };
	for (int which = 0; which < 2; which++) {
		uint8_t own[SPARSE_BLOCK];
		const int count = words_apart(piece, outputs[which], outputs[!which], 2 * pair->both, own);
		for (int i = 0; i < 2 * pair->apart; i++) {
			const int at = i / 2 * 4 + 2 * which + i % 2;
			index[at] = i < count ? own[i] : 0;
			memset(words + at * SPARSE_WORD, 0, SPARSE_WORD);
			if (i < count)
				memcpy(words + at * SPARSE_WORD, piece->words[outputs[which]][own[i]], SPARSE_WORD);
		}
	}
	return words + 4 * pair->apart * SPARSE_WORD;
}

static int64_t pair_bytes(int both, int apart) { return 3 + 2 * both + 4 * apart + 4 * (both + apart) * SPARSE_WORD; }

/* One piece to `to`; returns its bytes. to == NULL: counts only. */
static int64_t piece_pack(const Tensor *weight, int64_t panel, int64_t block, uint8_t *to)
{
	Piece piece;
	PairPlan pairs[SPARSE_PANEL / 2];
	int64_t bytes = 0;
	piece_read(&piece, weight, panel, block);
	piece_pair(&piece, pairs);
	for (int i = 0; i < SPARSE_PANEL / 2; i++) {
		bytes += pair_bytes(pairs[i].both, pairs[i].apart);
		to = to ? pair_write(&piece, &pairs[i], to) : NULL;
	}
	return bytes;
}

int64_t sparse_pack(const Tensor *weight, void *packed)
{
	uint8_t *to = packed;
	const int64_t panels = (weight->type.dim[0].plus + SPARSE_PANEL - 1) / SPARSE_PANEL;
	const int64_t blocks = sparse_blocks(sparse_words(weight->type.dim[1].plus, weight->type.dtype));
	int64_t at = (panels * blocks + 1) * 4;
	for (int64_t p = 0; p < panels; p++)
		for (int64_t b = 0; b < blocks; b++) {
			const int32_t start = (int32_t)at;
			if (to)
				memcpy(to + (p * blocks + b) * 4, &start, 4);
			at += piece_pack(weight, p, b, to ? to + at : NULL);
			if (at > INT32_MAX)
				return -1;
		}
	const int32_t end = (int32_t)at;
	if (to)
		memcpy(to + panels * blocks * 4, &end, 4);
	return at;
}

/* A pair of a piece. */
typedef struct Pair { int output[2], both, apart; const uint8_t *index, *words, *end; } Pair;

static Pair pair_at(const uint8_t *at)
{
	const int both = at[1], apart = at[2];
	return (Pair){ .output = { at[0] & 15, at[0] >> 4 }, .both = both, .apart = apart, .index = at + 3,
		.words = at + 3 + 2 * both + 4 * apart, .end = at + pair_bytes(both, apart) };
}

/* The words of a pair's first or second output to their places in a block; those of zero change nothing. */
static void pair_read(const Pair *pair, int which, uint8_t *block)
{
	for (int i = 0; i < 2 * pair->both; i++)
		memcpy(block + pair->index[i] * SPARSE_WORD, pair->words + (2 * i + which) * SPARSE_WORD, SPARSE_WORD);
	const uint8_t *index = pair->index + 2 * pair->both, *words = pair->words + 4 * pair->both * SPARSE_WORD;
	for (int i = 0; i < 2 * pair->apart; i++) {
		const int at = i / 2 * 4 + 2 * which + i % 2;
		if (!word_is_zero(words + at * SPARSE_WORD))
			memcpy(block + index[at] * SPARSE_WORD, words + at * SPARSE_WORD, SPARSE_WORD);
	}
}

void sparse_row(const void *packed, int64_t n, int64_t words, void *row)
{
	const uint8_t *from = packed;
	const int64_t blocks = sparse_blocks(words);
	memset(row, 0, (size_t)words * SPARSE_WORD);
	for (int64_t b = 0; b < blocks; b++) {
		int32_t start;
		memcpy(&start, from + (n / SPARSE_PANEL * blocks + b) * 4, 4);
		Pair pair = pair_at(from + start);
		while (pair.output[0] != n % SPARSE_PANEL && pair.output[1] != n % SPARSE_PANEL)
			pair = pair_at(pair.end);
		pair_read(&pair, pair.output[1] == n % SPARSE_PANEL, (uint8_t *)row + b * SPARSE_BLOCK * SPARSE_WORD);
	}
}

/* Whether every index lies in the block and no output has a word twice. */
static bool pair_is_valid(const Pair *pair, int64_t most)
{
	bool seen[2][SPARSE_BLOCK] = { { false } };
	for (int i = 0; i < 2 * pair->both + 4 * pair->apart; i++) {
		const int k = pair->index[i], own = i - 2 * pair->both;
		if (k >= most)
			return false;
		for (int which = 0; which < 2; which++) {
			if (own >= 0 && (own % 4 / 2 != which || word_is_zero(pair->words + (4 * pair->both + own) * SPARSE_WORD)))
				continue;
			if (seen[which][k])
				return false;
			seen[which][k] = true;
		}
	}
	return true;
}

/* Where a piece ends that must do so before `end`; NULL: it does not, or does not have every output once. */
static const uint8_t *piece_check(const uint8_t *at, const uint8_t *end, int64_t most)
{
	unsigned seen = 0;
	for (int i = 0; i < SPARSE_PANEL / 2; i++) {
		if (end - at < 3)
			return NULL;
		const Pair pair = pair_at(at);
		if (end - at < pair.end - at || !pair_is_valid(&pair, most))
			return NULL;
		seen |= 1u << pair.output[0] | 1u << pair.output[1];
		at = pair.end;
	}
	return seen == (1u << SPARSE_PANEL) - 1 ? at : NULL;
}

bool sparse_is_valid(const void *packed, int64_t bytes, int64_t outputs, int64_t words)
{
	const int64_t panels = (outputs + SPARSE_PANEL - 1) / SPARSE_PANEL, blocks = sparse_blocks(words), pieces = panels * blocks;
	const uint8_t *from = packed, *at = from + (pieces + 1) * 4;
	if (bytes < (pieces + 1) * 4)
		return false;
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
