/* value_map.h: numbers the values of one graph 0, 1, 2, ... in order of insertion. Ids are no indices,
 * because a hostile file may use %4000000000. */
#ifndef BERTC_VALUE_MAP_H
#define BERTC_VALUE_MAP_H
#include "ir.h"

typedef struct ValueMap {
	const Value **keys; /* open addressing; NULL: free */
	int32_t *numbers;
	size_t size; /* a power of two, at most half full */
	int32_t count;
} ValueMap;

/* Adds every input, then every result in node order. The memory is malloc'd; value_map_free frees it. */
void value_map_init(ValueMap *, const Graph *);
void value_map_free(ValueMap *);
/* Adds a value under the next number. False: it was there already. */
bool value_map_add(ValueMap *, const Value *);
/* -1: not there. */
int32_t value_map_find(const ValueMap *, const Value *);
#endif
