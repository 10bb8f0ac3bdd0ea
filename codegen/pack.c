/* pack.c: entropy coding of weights (pack.h). First collects and counts symbols (a byte and the number of its
 * table), then writes them as bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/blob.h"
#include "pack.h"

_Static_assert((int)SPARSE_ROWS_PANEL == (int)SPARSE_PANEL && (int)SPARSE_ROWS_BAND == (int)SPARSE_BAND
		&& (int)SPARSE_ROWS_BLOCK == (int)SPARSE_BLOCK && (int)UNPACK_WORD == (int)SPARSE_WORD
		&& UNPACK_INPUT == sizeof(uint16_t),
	"runtime/kernels/sparse_rows.h reads what ir/sparse.c writes");

enum { SYMBOLS = 256, TABLES = UNPACK_TABLES_MAX };

typedef struct Symbol {
	uint8_t table, byte;
} Symbol;
typedef struct Symbols {
	List list;
	int64_t counts[TABLES][SYMBOLS];
} Symbols;

static void add_symbol(Symbols *s, int table, uint8_t byte)
{
	list_add(&s->list, &(Symbol){(uint8_t)table, byte});
	s->counts[table][byte]++;
}

/* Adds indices as unpack_indices reads them. False: their order has no code. Only a graph written by hand can
 * have such an order. */
static bool add_indices(Symbols *s, const uint8_t *index, int count)
{
	for (int i = 0, before = -1; i < count; i++) {
		const int at = index[SPARSE_ROWS_BAND * i];
		if (at <= before && at != 0)
			return false;
		add_symbol(s, UNPACK_STEPS, at <= before ? UNPACK_AGAIN : (uint8_t)(at - before - 1));
		before = at;
	}
	return true;
}

static void add_words(Symbols *s, const uint8_t *bytes, int count, int word)
{
	for (; count > 0; count--, bytes += UNPACK_WORD) {
		unsigned mask = 0;
		for (int k = 0; k < UNPACK_WORD; k++)
			mask |= (unsigned)(bytes[k] != 0) << k;
		add_symbol(s, UNPACK_MASKS, (uint8_t)mask);
		for (int k = 0; k < UNPACK_WORD; k++)
			if (bytes[k])
				add_symbol(s, UNPACK_BYTES + (word == 1 ? 0 : k), bytes[k]);
	}
}

/* Adds the band at *at and moves *at to the next. */
static bool add_band(Symbols *s, const uint8_t **at, int word)
{
	const uint8_t *head = *at;
	const SparseBand band = sparse_rows_band(at);
	for (int j = 0; j < SPARSE_ROWS_BAND; j++)
		add_symbol(s, UNPACK_OUTPUTS, head[j]);
	add_symbol(s, UNPACK_COUNTS, head[SPARSE_ROWS_BAND]);
	for (int j = 0; j < SPARSE_ROWS_BAND; j++)
		if (!add_indices(s, band.index + j, band.count))
			return false;
	add_words(s, band.words, SPARSE_ROWS_BAND * band.count, word);
	return true;
}

static bool add_sparse(Symbols *s, const uint8_t *data, RtPacked *p)
{
	const int pieces = (p->outputs + SPARSE_ROWS_PANEL - 1) / SPARSE_ROWS_PANEL
		* sparse_rows_blocks(p->words);
	const uint8_t *order = (const uint8_t *)sparse_rows_order(data, pieces);
	p->order = order ? p->words * UNPACK_WORD : 0;
	for (int i = 0; i < UNPACK_INPUT * p->order; i++)
		add_symbol(s, UNPACK_BYTES, order[i]);
	for (int piece = 0; piece < pieces; piece++) {
		const uint8_t *at = sparse_rows_piece(data, piece);
		for (int i = 0; i < SPARSE_ROWS_PANEL / SPARSE_ROWS_BAND; i++)
			if (!add_band(s, &at, p->word))
				return false;
	}
	return true;
}

static void add_plain(Symbols *s, const uint8_t *data, const RtPacked *p)
{
	for (size_t at = 0; at < p->to_bytes; at++)
		add_symbol(s, (int)(at % (size_t)p->word), data[at]);
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* Computes the lengths of a Huffman code and returns the longest. The older node wins a tie, so equal counts
 * give equal codes. */
static int huffman_lengths(const int64_t counts[SYMBOLS], uint8_t lengths[SYMBOLS])
{
	int64_t weight[2 * SYMBOLS] = {0};
	int parent[2 * SYMBOLS] = {0}, nodes = SYMBOLS, longest = 0;
	bool open[2 * SYMBOLS] = {0};
	for (int s = 0; s < SYMBOLS; s++) {
		weight[s] = counts[s];
		open[s] = counts[s] > 0;
	}
	for (;;) {
		int least[2] = {-1, -1};
		for (int k = 0; k < 2; k++)
			for (int n = 0; n < nodes; n++)
				if (open[n] && n != least[0] && (least[k] < 0 || weight[n] < weight[least[k]]))
					least[k] = n;
		if (least[1] < 0)
			break;
		weight[nodes] = weight[least[0]] + weight[least[1]];
		open[nodes] = true;
		open[least[1]] = false;
		open[least[0]] = false;
		parent[least[0]] = nodes;
		parent[least[1]] = nodes;
		nodes++;
	}
	for (int s = 0; s < SYMBOLS; s++) {
		lengths[s] = 0;
		for (int n = s; parent[n]; n = parent[n])
			lengths[s]++;
		longest = lengths[s] > longest ? lengths[s] : longest;
	}
	return longest;
}

/* Limits the code to the bits of the decoder's table: halves all counts until the code is short enough. */
static void code_lengths(int64_t counts[SYMBOLS], uint8_t lengths[SYMBOLS])
{
	int used = 0, last = 0;
	for (int s = 0; s < SYMBOLS; s++)
		if (counts[s]) {
			used++;
			last = s;
		}
	if (used < 2) { /* an empty table codes a byte that never occurs */
		memset(lengths, 0, SYMBOLS);
		lengths[last] = UNPACK_ONLY;
		return;
	}
	while (huffman_lengths(counts, lengths) > UNPACK_BITS)
		for (int s = 0; s < SYMBOLS; s++)
			counts[s] = (counts[s] + 1) / 2;
}

/* The bits of each code, in the order of writing, as unpack_table reads them. */
static void code_bits(const uint8_t lengths[SYMBOLS], uint16_t bits[SYMBOLS])
{
	unsigned code = 0;
	for (int length = 1; length <= UNPACK_BITS; length++, code <<= 1)
		for (int s = 0; s < SYMBOLS; s++)
			if (lengths[s] == length) {
				bits[s] = 0;
				for (int bit = 0; bit < length; bit++)
					bits[s] |= (uint16_t)((code >> bit & 1) << (length - 1 - bit));
				code++;
			}
}

static uint8_t *write_bits(const Symbols *s, int tables, uint8_t lengths[TABLES][SYMBOLS], size_t *bytes)
{
	uint16_t bits[TABLES][SYMBOLS] = {{0}};
	const Symbol *symbols = s->list.items;
	uint64_t total = 0, waiting = 0;
	int count = 0;
	for (int t = 0; t < tables; t++)
		code_bits(lengths[t], bits[t]);
	for (size_t i = 0; i < s->list.count; i++)
		total += lengths[symbols[i].table][symbols[i].byte] % UNPACK_ONLY;
	*bytes = (size_t)tables * UNPACK_LENGTHS + (size_t)(total + 7) / 8 + UNPACK_PADDING;
	uint8_t *coded = checked_calloc(*bytes, 1), *to = coded;
	for (int t = 0; t < tables; t++, to += UNPACK_LENGTHS)
		for (int k = 0; k < SYMBOLS; k++)
			to[k / 2] |= (uint8_t)(lengths[t][k] << 4 * (k & 1));
	for (size_t i = 0; i < s->list.count; i++) {
		const Symbol symbol = symbols[i];
		waiting |= (uint64_t)bits[symbol.table][symbol.byte] << count;
		for (count += lengths[symbol.table][symbol.byte] % UNPACK_ONLY; count >= 8; count -= 8, waiting >>= 8)
			*to++ = (uint8_t)waiting;
	}
	if (count)
		*to = (uint8_t)waiting;
	return coded;
}

uint8_t *pack_constant(const uint8_t *data, RtPacked *p)
{
	uint8_t lengths[TABLES][SYMBOLS];
	Symbols *s = checked_calloc(1, sizeof *s), empty = {.list = list_new(sizeof(Symbol))};
	*s = empty;
	if (p->outputs && !add_sparse(s, data, p)) {
		list_free(&s->list);
		*s = empty;
		p->outputs = 0;
		p->words = 0;
		p->order = 0;
		p->word = 1;
	}
	if (!p->outputs)
		add_plain(s, data, p);
	const int tables = unpack_tables(p);
	for (int t = 0; t < tables; t++)
		code_lengths(s->counts[t], lengths[t]);
	uint8_t *coded = write_bits(s, tables, lengths, &p->from_bytes);
	p->hash = unpack_hash(data, p->to_bytes);
	list_free(&s->list);
	free(s);
	return coded;
}
