/* sparse_order.c: chooses the four inputs that share a word of sparse int8 weights. A word is stored and
 * multiplied if any of its four codes is nonzero, so inputs that are read by the same outputs should share
 * words. In a MiniLM with 90 % of the weights pruned, 33 % of the words are nonzero if neighbours share a
 * word, and 29 % in the order found here; the lower bound is 10 %. Kernels reorder the inputs while they
 * transpose rows into lanes. Integer sums do not depend on the order.
 *
 * The search is greedy: a word begins with the input that the most outputs read. Three times it adds the
 * input that shares the most outputs with the word. 60,000 attempted swaps afterwards saved less than 1 % of
 * the words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir.h"

/* ORDER_INPUTS: most inputs; the search then takes a second. ORDER_PERCENT: above this density dense kernels
 * win in any order. ORDER_PAYS: stored words that must be saved for each word of a row that kernels
 * reorder. */
enum { ORDER_INPUTS = 8192, ORDER_PERCENT = 30, ORDER_PAYS = 8 };

/* A bipartite graph as adjacency lists: the neighbours of i are list[start[i]] to list[start[i + 1] - 1],
 * ascending. */
typedef struct Links {
	int32_t *start, *list;
} Links;

/* Links from each output to the inputs it reads, or (by_input) from each input to its outputs. Inputs from
 * `inputs` to `columns` pad the last word and have no links. */
static Links links_of(const int8_t *codes, int32_t outputs, int32_t inputs, int32_t columns, bool by_input)
{
	const int32_t count = by_input ? columns : outputs;
	Links links = {checked_calloc((size_t)count + 1, sizeof *links.start), NULL};
	for (int32_t n = 0; n < outputs; n++)
		for (int32_t k = 0; k < inputs; k++)
			links.start[(by_input ? k : n) + 1] += codes[(int64_t)n * inputs + k] != 0;
	for (int32_t i = 0; i < count; i++)
		links.start[i + 1] += links.start[i];
	links.list = checked_calloc((size_t)links.start[count] + 1, sizeof *links.list);
	int32_t *next = checked_calloc((size_t)count + 1, sizeof *next);
	memcpy(next, links.start, (size_t)count * sizeof *next);
	for (int32_t n = 0; n < outputs; n++)
		for (int32_t k = 0; k < inputs; k++)
			if (codes[(int64_t)n * inputs + k])
				links.list[next[by_input ? k : n]++] = by_input ? n : k;
	free(next);
	return links;
}

static void links_free(Links *links)
{
	free(links->start);
	free(links->list);
}

/* The state of the search. left: inputs without a word, those with the most outputs first. For the current
 * word, reads: whether an output reads it; shares: how many of these outputs read each input. */
typedef struct WordSearch {
	Links readers, inputs;
	int32_t *left, *shares, count;
	bool *reads;
} WordSearch;

static int compare_keys(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static WordSearch word_search_begin(const int8_t *codes, int32_t outputs, int32_t inputs, int32_t columns)
{
	WordSearch s = {links_of(codes, outputs, inputs, columns, true),
		links_of(codes, outputs, inputs, columns, false), checked_calloc((size_t)columns, sizeof *s.left),
		checked_calloc((size_t)columns, sizeof *s.shares), columns,
		checked_calloc((size_t)outputs, sizeof *s.reads)};
	int64_t *keys = checked_calloc((size_t)columns, sizeof *keys);
	for (int32_t k = 0; k < columns; k++) /* sorts by number of readers, descending, then by input */
		keys[k] = (int64_t)(outputs - (s.readers.start[k + 1] - s.readers.start[k])) * columns + k;
	qsort(keys, (size_t)columns, sizeof *keys, compare_keys);
	for (int32_t k = 0; k < columns; k++)
		s.left[k] = (int32_t)(keys[k] % columns);
	free(keys);
	return s;
}

static void word_search_free(WordSearch *s)
{
	links_free(&s->readers);
	links_free(&s->inputs);
	free(s->left);
	free(s->shares);
	free(s->reads);
}

/* The index in `left` of the input that shares the most outputs with the word; the first one wins a tie. */
static int32_t word_search_nearest(const WordSearch *s)
{
	int32_t best = 0;
	for (int32_t i = 1; i < s->count; i++)
		if (s->shares[s->left[i]] > s->shares[s->left[best]])
			best = i;
	return best;
}

/* Adds left[at] to the word and returns the input. Updates *readers, the number of outputs that read the
 * word. */
static int32_t word_search_take(WordSearch *s, int32_t at, int32_t *readers)
{
	const int32_t input = s->left[at];
	memmove(s->left + at, s->left + at + 1, (size_t)(--s->count - at) * sizeof *s->left);
	for (int32_t i = s->readers.start[input]; i < s->readers.start[input + 1]; i++) {
		const int32_t n = s->readers.list[i];
		if (s->reads[n])
			continue;
		s->reads[n] = true;
		++*readers;
		for (int32_t j = s->inputs.start[n]; j < s->inputs.start[n + 1]; j++)
			s->shares[s->inputs.list[j]]++;
	}
	return input;
}

/* Writes four inputs to `word` and returns how many outputs read at least one of them. */
static int32_t word_search_next(WordSearch *s, int32_t outputs, int32_t columns, uint16_t word[SPARSE_WORD])
{
	int32_t readers = 0;
	memset(s->reads, 0, (size_t)outputs * sizeof *s->reads);
	memset(s->shares, 0, (size_t)columns * sizeof *s->shares);
	for (int j = 0; j < SPARSE_WORD; j++)
		word[j] = (uint16_t)word_search_take(s, j ? word_search_nearest(s) : 0, &readers);
	return readers;
}

int64_t sparse_order(const Tensor *weight, uint16_t *order)
{
	const int64_t outputs = weight->type.dim[0].plus, inputs = weight->type.dim[1].plus,
				  words = sparse_words(inputs, DT_I8);
	if (weight->type.dtype != DT_I8 || inputs > ORDER_INPUTS || outputs > INT32_MAX / inputs
		|| 100 * sparse_density(weight, 1) > ORDER_PERCENT)
		return -1;
	const int64_t before = llround(sparse_density(weight, SPARSE_WORD) * (double)(outputs * words));
	int64_t after = 0;
	WordSearch search = word_search_begin(
		weight->data, (int32_t)outputs, (int32_t)inputs, (int32_t)(words * SPARSE_WORD));
	for (int64_t w = 0; w < words; w++)
		after += word_search_next(
			&search, (int32_t)outputs, (int32_t)(words * SPARSE_WORD), order + w * SPARSE_WORD);
	word_search_free(&search);
	return before - after > ORDER_PAYS * words ? after : -1;
}

double sparse_left(const Tensor *weight)
{
	const bool codes = weight->type.dtype == DT_I8;
	const int64_t outputs = weight->type.dim[0].plus,
				  words = sparse_words(weight->type.dim[1].plus, weight->type.dtype);
	uint16_t *order = checked_calloc((size_t)words, SPARSE_WORD * sizeof *order);
	const int64_t left = codes ? sparse_order(weight, order) : -1;
	free(order);
	if (left >= 0)
		return (double)left / (double)(outputs * words);
	return sparse_density(weight, codes ? SPARSE_WORD : 1);
}
