/* pack.h: entropy coding of weights for --pack=small. runtime/unpack.h decodes. Internal to codegen/. */
#ifndef BERTC_PACK_H
#define BERTC_PACK_H
#include <stdint.h>
#include "runtime/unpack.h"

/* Returns the coded form of data[p->to_bytes], malloc'd. p->outputs, words and word describe the data. Sets
 * p->from_bytes and p->hash. */
uint8_t *pack_constant(const uint8_t *data, RtPacked *p);
#endif
