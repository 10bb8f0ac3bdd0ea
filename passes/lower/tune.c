/* tune.c: looks up tuning decisions for lower and chain-rows, and has the cost model that proposes candidates
 * for timing. compiler/kernel_tune/kernel_tune.c does the timing, and compiler/build/tunings.c reads and
 * writes decisions. Nothing in this file depends on the machine. */
#include "passes/passes.h"
#include <stdlib.h>
#include <string.h>

void tune_add(TuneTable *table, const TuneRow *row)
{
	table->rows = checked_grow(table->rows, &table->capacity, (size_t)table->count + 1, sizeof *table->rows);
	table->rows[table->count++] = *row;
}

void tune_free(TuneTable *table)
{
	free(table->rows);
	*table = (TuneTable){0};
}

/* ---- questions ------------------------------------------------------------------------------ */

/* Linears that write codes use the decision for linears that write numbers: the loop over K is the same. */
static Op linear_op(const Node *node) { return node->op == OP_LINEAR_I8_CODES ? OP_LINEAR_I8 : node->op; }

static int64_t last_dim(const Value *v) { return v->type.rank ? v->type.dim[v->type.rank - 1].plus : 1; }

static void name_copy(char to[TUNE_NAME_BYTES], const char *from)
{
	size_t bytes = from ? strlen(from) : 0;
	bytes = bytes < TUNE_NAME_BYTES ? bytes : TUNE_NAME_BYTES - 1;
	memcpy(to, from ? from : "", bytes);
	to[bytes] = 0;
}

bool tune_key_linear(const Node *node, const char *cpu, TuneRow *key)
{
	int32_t weight = node_weight(node);
	if (weight < 0 || !cpu)
		return false;
	*key = (TuneRow){.op = linear_op(node),
		.dtype = node->args[weight]->type.dtype,
		.inputs = last_dim(node->args[0]),
		.outputs = last_dim(node->results[0]),
		.act = node->attr.has & A_act ? (int32_t)node->attr.act : ACT_NONE};
	name_copy(key->cpu, cpu);
	return true;
}

bool tune_key_chain(const Node *first, const Node *end, const char *cpu, TuneRow *key)
{
	const Node *narrowest = NULL;
	int64_t widest = 0;
	for (const Node *node = first; node != end; node = node->next) {
		if (node->op == OP_CONST)
			continue;
		for (int32_t i = 0; i < node->nresults; i++)
			widest = last_dim(node->results[i]) > widest ? last_dim(node->results[i]) : widest;
		int32_t weight = node_weight(node);
		if (weight >= 0
			&& (!narrowest
				|| dtype_bytes[node->args[weight]->type.dtype]
					< dtype_bytes[narrowest->args[node_weight(narrowest)]->type.dtype]))
			narrowest = node;
	}
	if (!narrowest || !cpu)
		return false;
	*key = (TuneRow){.is_chain = true,
		.op = linear_op(narrowest),
		.dtype = narrowest->args[node_weight(narrowest)]->type.dtype,
		.outputs = widest,
		.act = TUNE_ANY};
	name_copy(key->cpu, cpu);
	return true;
}

static bool row_answers(const TuneRow *row, const TuneRow *key)
{
	return row->is_chain == key->is_chain && row->op == key->op && row->dtype == key->dtype
		&& (row->inputs == TUNE_ANY || row->inputs == key->inputs)
		&& (row->outputs == TUNE_ANY || row->outputs == key->outputs)
		&& (row->act == TUNE_ANY || row->act == key->act) && !strcmp(row->cpu, key->cpu);
}

const TuneRow *tune_find(const TuneTable *table, const TuneRow *key)
{
	for (int32_t i = table ? table->count - 1 : -1; i >= 0; i--)
		if (row_answers(&table->rows[i], key))
			return &table->rows[i];
	return NULL;
}

/* ---- proposals ------------------------------------------------------------------------------ */

/* The cost of one panel and one input of K, with the weights of YNNPACK's estimate_dot_cost (fitted on
 * Skylake and Zen 2): 5 for a broadcast input, 11 for a vector of weights, 9 per step. Multiply-adds are left
 * out: their number is the same for every tile. */
static double tile_cost(const KernelInfo *kernel, int64_t outputs, int64_t rows)
{
	const int32_t most = kernel->tile.rows;
	if (!most)
		return 0;
	const int64_t tiles = (rows + most - 1) / most;
	const int64_t panels = (outputs + kernel->panel - 1) / kernel->panel;
	return (double)panels * (5.0 * (double)rows + (double)tiles * (11.0 * kernel->tile.vectors + 9.0));
}

/* Cost relative to the default kernel, averaged over the timed lengths. */
static double relative_cost(const KernelInfo *kernel, const KernelInfo *usual, int64_t outputs)
{
	static const int64_t rows[] = {8, 32, 128};
	double sum = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double least = tile_cost(usual, outputs, rows[i]);
		sum += least > 0 ? tile_cost(kernel, outputs, rows[i]) / least : 1;
	}
	return sum / (double)(sizeof rows / sizeof *rows);
}

/* The cheapest row for the same instruction set that is not yet among the first `count` candidates. NULL when
 * no further row is worth timing. */
static const KernelInfo *next_cheapest(const TuneRow *key, const KernelInfo *const *kernels, int32_t count)
{
	/* the model's accuracy: it ranks 12x32 after 8x48, though both measured alike */
	double least = 1.25;
	const KernelInfo *best = NULL;
	for (int32_t i = 0; i < kernel_count; i++) {
		const KernelInfo *k = &kernel_info[i];
		bool taken = k->needs != kernels[0]->needs || k->op != kernels[0]->op
			|| k->variant != kernels[0]->variant || k->dtype != kernels[0]->dtype;
		for (int32_t j = 0; j < count && !taken; j++)
			taken = k == kernels[j];
		double cost = taken ? least : relative_cost(k, kernels[0], key->outputs);
		if (cost < least) {
			least = cost;
			best = k;
		}
	}
	return best;
}

int32_t tune_kernels(
	const TuneRow *key, const KernelInfo *usual, const KernelInfo *kernels[TUNE_CANDIDATES_MAX])
{
	int32_t count = 0;
	for (const KernelInfo *k = usual; k && count < TUNE_CANDIDATES_MAX;
		k = next_cheapest(key, kernels, count))
		kernels[count++] = k;
	return count;
}

int32_t tune_rows(const TuneRow *key, int64_t usual, int64_t cache_bytes, int64_t rows[TUNE_CANDIDATES_MAX])
{
	static const int64_t sizes[] = {384, 192, 96, 48, 24}; /* whole tiles of 12, 8 and 6 rows */
	int32_t count = 0;
	rows[count++] = usual;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && count < TUNE_CANDIDATES_MAX; i++) {
		/* smaller blocks read the weights too often; larger ones need more than twice the cache */
		int64_t bytes = sizes[i] * key->outputs * 4;
		if (sizes[i] != usual && bytes <= 2 * cache_bytes && bytes >= cache_bytes / 16)
			rows[count++] = sizes[i];
	}
	return count;
}
