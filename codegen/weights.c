/* weights.c: puts constants into the blob (blob.c), equal ones once, and writes the blob as a file or as C
 * text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "pack.h"

/* ---- constants, found by their bytes --------------------------------------------------------- */

static bool same_bytes(const PlacedTensor *a, const PlacedTensor *b)
{
	return a->hash == b->hash && a->bytes == b->bytes
		&& (a->data == b->data || memcmp(a->data, b->data, (size_t)a->bytes) == 0);
}

static size_t slot_of(const Weights *weights, const PlacedTensor *tensor)
{
	size_t mask = weights->capacity - 1, at = (size_t)(tensor->hash >> 20) & mask;
	while (weights->table[at].data && !same_bytes(&weights->table[at], tensor))
		at = (at + 1) & mask;
	return at;
}

static void grow(Weights *weights)
{
	Weights old = *weights;
	weights->capacity = old.capacity ? 2 * old.capacity : 64;
	weights->table = checked_calloc(weights->capacity, sizeof *weights->table);
	for (size_t i = 0; i < old.capacity; i++)
		if (old.table[i].data)
			weights->table[slot_of(weights, &old.table[i])] = old.table[i];
	free(old.table);
}

/* True when the tensor is the beginning or the end of `larger`, *from its offset there. That is how the q and
 * the k, v of a last layer of [CLS] only lie in the q, k, v of a layer that shares its weights. */
static bool lies_in(const PlacedTensor *larger, const PlacedTensor *tensor, int64_t *from)
{
	enum { BYTES_LEAST = 16384 }; /* smaller ones are not worth the search */
	const uint8_t *whole = larger->data;
	const int64_t end = larger->bytes - tensor->bytes;
	if (!whole || tensor->bytes < BYTES_LEAST || end <= 0)
		return false;
	*from = memcmp(whole, tensor->data, (size_t)tensor->bytes) == 0 ? 0 : end;
	return *from == 0 || (end % 64 == 0 && memcmp(whole + end, tensor->data, (size_t)tensor->bytes) == 0);
}

/* Gives the tensor a place inside a larger constant. False: there is none. */
static bool place_inside(const Weights *weights, PlacedTensor *place)
{
	int64_t from;
	for (size_t i = 0; i < weights->capacity; i++) {
		const PlacedTensor *larger = &weights->table[i];
		if (larger == place || !lies_in(larger, place, &from))
			continue;
		place->offset = larger->offset + (size_t)from;
		place->coded = larger->coded;
		return true;
	}
	return false;
}

/* The row of the tensor. Sets *is_new if no constant with these bytes had a row yet. */
static PlacedTensor *weights_find(Weights *weights, const Tensor *tensor, bool *is_new)
{
	if (2 * weights->count >= weights->capacity)
		grow(weights);
	const PlacedTensor wanted = {
		tensor->data, tensor->bytes, unpack_hash(tensor->data, (size_t)tensor->bytes), 0, false};
	PlacedTensor *place = &weights->table[slot_of(weights, &wanted)];
	*is_new = !place->data;
	if (*is_new) {
		*place = wanted;
		weights->count++;
		*is_new = !place_inside(weights, place);
	}
	return place;
}

const PlacedTensor *weights_place(Weights *weights, const Tensor *tensor)
{
	bool is_new;
	PlacedTensor *place = weights_find(weights, tensor, &is_new);
	if (is_new)
		place->offset = blob_add(&weights->blob, tensor->data, (size_t)tensor->bytes);
	return place;
}

void weights_place_coded(Weights *weights, const Tensor *tensor, const RtPacked *shape)
{
	bool is_new;
	PlacedTensor *place = weights_find(weights, tensor, &is_new);
	if (!is_new)
		return;
	RtPacked row = *shape;
	row.to = (weights->decoded_bytes + 63) / 64 * 64;
	row.to_bytes = (size_t)tensor->bytes;
	uint8_t *coded = pack_constant(tensor->data, &row);
	place->coded = row.from_bytes < row.to_bytes / 8 * 7;
	place->offset = place->coded ? row.to : blob_add(&weights->blob, tensor->data, (size_t)tensor->bytes);
	if (place->coded) {
		row.from = blob_add(&weights->blob, coded, row.from_bytes);
		weights->packed = checked_grow(weights->packed, &weights->packed_capacity,
			(size_t)weights->npacked + 1, sizeof *weights->packed);
		weights->packed[weights->npacked++] = row;
		weights->coded_bytes += row.from_bytes;
		weights->decoded_bytes = row.to + row.to_bytes;
	}
	free(coded);
}

int64_t weights_measure(const Module *module, int32_t g)
{
	Weights weights = {0};
	int64_t bytes = 0;
	for (int32_t i = g < 0 ? 0 : g; i < (g < 0 ? module->ngraphs : g + 1); i++)
		for (const Node *node = module->graphs[i]->first; node; node = node->next) {
			bool is_new = false;
			if (node->op == OP_CONST)
				weights_find(&weights, node->data, &is_new);
			bytes += is_new ? node->data->bytes : 0;
		}
	weights_free(&weights);
	return bytes;
}

void weights_free(Weights *weights)
{
	blob_free(&weights->blob);
	free(weights->table);
	free(weights->packed);
	*weights = (Weights){0};
}

/* ---- writing --------------------------------------------------------------------------------- */

void weights_print_inline(const Blob *blob, const char *name, FILE *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t words = (blob->bytes + 7) / 8;
	fprintf(out, "static const uint64_t %s_words[%zu] __attribute__((aligned(64))) = {", name, words);
	for (size_t i = 0; i < words; i++) {
		uint64_t word = 0;
		memcpy(&word, blob->data + 8 * i, blob->bytes - 8 * i < 8 ? blob->bytes - 8 * i : 8);
		char text[32], *at = text + sizeof text;
		*--at = ',';
		do
			*--at = digits[word & 15];
		while (word >>= 4);
		*--at = 'x', *--at = '0';
		if (i % 8 == 0)
			*--at = '\n';
		fwrite(at, 1, (size_t)(text + sizeof text - at), out);
	}
	fprintf(out, "\n};\n#define %s_blob ((const unsigned char *)%s_words)\n", name, name);
}

bool weights_write(const Blob *blob, const char *path, Diag *diag)
{
	FILE *out = fopen(path, "wb");
	bool good = out && fwrite(blob->data, 1, blob->bytes, out) == blob->bytes;
	if (out && fclose(out) != 0)
		good = false;
	return good ? true : diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
}
