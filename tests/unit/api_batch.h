/* api_batch.h: random texts for the model of tiny_model.h, packed. */
#ifndef API_BATCH_H
#define API_BATCH_H
#include "tiny_model.h"

/* Of many lengths, including 0. */
typedef struct Batch {
	int32_t ids[4096], types[4096], offsets[200], texts;
} Batch;

static void batch_make(Batch *b, int32_t texts)
{
	uint32_t state = 7;
	b->texts = texts;
	b->offsets[0] = 0;
	for (int32_t t = 0; t < texts; t++) {
		state = state * 1664525u + 1013904223u;
		const int32_t size = (int32_t)(state >> 16) % (TINY_MAX + 1);
		for (int32_t i = b->offsets[t]; i < b->offsets[t] + size; i++) {
			state = state * 1664525u + 1013904223u;
			b->ids[i] = (int32_t)(state >> 16) % TINY_VOCAB;
			b->types[i] = (int32_t)(state >> 30) % 2;
		}
		b->offsets[t + 1] = b->offsets[t] + size;
	}
}
#endif
