/* verified.h: the figures of verify, as JSON. `bertc verify --json` prints it, `bertc build --verified` reads
 * it, and a program's --about carries it.
 *
 *   {"build": {"model_sha256": .., "graph_sha256": .., "passes": .., "target": .., "cpu": ..},
 *    "inputs": 6, "tokens": 99, "seed": 1 (or "data": "name.txt"),
 *    "texts_with_ids": .., "token_ids_identical": ..,
 *    "outputs": [{"output": .., "max_abs": .., "largest": .., "cosine": .., "top1": .., "top1_of": ..}],
 *    "pass": true} */
#ifndef VERIFIED_H
#define VERIFIED_H
#include <jansson.h>
#include "build.h"

/* Digits of every written figure. Figures that are read back are written with the same digits. */
enum { VERIFIED_DIGITS = 9 };

/* The number; null for NaN or infinity. */
json_t *verified_real(double);
/* The object "build", from a program's --about. */
json_t *verified_build(const json_t *about);
/* The file of --verified; NULL and a message. */
json_t *verified_read(const char *path, Diag *);
/* Puts the figures into about as "verified", with the target and CPU on which they were taken. An error (exit
 * 3) when they belong to another build or are malformed; path names their file in messages. */
bool verified_embed(json_t *about, const json_t *verified, const char *path, Diag *);
#endif
