/* weights.c: constants in the blob (blob.c), each once, and the blob as a file or as C text. What the parts mean is the
 * business of emit_ops.c and tokenizer_emit.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"

/* ---- constants, found again by where their data lies ----------------------------------------------------------------- */

static size_t slot_of(const Weights *weights, const void *data, int64_t bytes)
{
	size_t mask = weights->capacity - 1;
	size_t at = (size_t)(((uint64_t)(uintptr_t)data ^ (uint64_t)bytes) * 0x9e3779b97f4a7c15u >> 20) & mask;
	while (weights->table[at].data && (weights->table[at].data != data || weights->table[at].bytes != bytes))
		at = (at + 1) & mask;
	return at;
}

static void grow(Weights *weights)
{
	Weights old = *weights;
	weights->capacity = old.capacity ? 2 * old.capacity : 64;
	weights->table = calloc(weights->capacity, sizeof *weights->table);
	if (!weights->table) {
		fputs("bertc: error: out of memory\n", stderr);
		exit(EXIT_RUN);
	}
	for (size_t i = 0; i < old.capacity; i++)
		if (old.table[i].data)
			weights->table[slot_of(weights, old.table[i].data, old.table[i].bytes)] = old.table[i];
	free(old.table);
}

size_t weights_place(Weights *weights, const Tensor *tensor)
{
	if (2 * weights->count >= weights->capacity)
		grow(weights);
	PlacedTensor *place = &weights->table[slot_of(weights, tensor->data, tensor->bytes)];
	if (!place->data) {
		*place = (PlacedTensor){tensor->data, tensor->bytes, blob_add(&weights->blob, tensor->data, (size_t)tensor->bytes)};
		weights->count++;
	}
	return place->offset;
}

void weights_free(Weights *weights)
{
	blob_free(&weights->blob);
	free(weights->table);
	*weights = (Weights){0};
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

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
