/* value_map.c: a hash table from values to small numbers, for walks that keep data for each value. */
#include <stdlib.h>
#include "value_map.h"

/* The slot of the value, or the free slot where it belongs. The multiplier is 2^64 / golden ratio (Fibonacci
 * hashing). */
static size_t value_map_slot(const ValueMap *map, const Value *value)
{
	size_t slot = (size_t)(((uint64_t)(uintptr_t)value * 0x9e3779b97f4a7c15u) >> 20) & (map->size - 1);
	while (map->keys[slot] && map->keys[slot] != value)
		slot = (slot + 1) & (map->size - 1);
	return slot;
}

static void value_map_grow(ValueMap *map)
{
	ValueMap larger = {.size = map->size ? 2 * map->size : 64, .count = map->count};
	larger.keys = checked_calloc(larger.size, sizeof *larger.keys);
	larger.numbers = checked_calloc(larger.size, sizeof *larger.numbers);
	for (size_t i = 0; i < map->size; i++)
		if (map->keys[i]) {
			size_t slot = value_map_slot(&larger, map->keys[i]);
			larger.keys[slot] = map->keys[i];
			larger.numbers[slot] = map->numbers[i];
		}
	value_map_free(map);
	*map = larger;
}

bool value_map_add(ValueMap *map, const Value *value)
{
	if (2 * (size_t)map->count >= map->size)
		value_map_grow(map);
	size_t slot = value_map_slot(map, value);
	if (map->keys[slot])
		return false;
	map->keys[slot] = value;
	map->numbers[slot] = map->count++;
	return true;
}

int32_t value_map_find(const ValueMap *map, const Value *value)
{
	if (!map->size || !value)
		return -1;
	size_t slot = value_map_slot(map, value);
	return map->keys[slot] ? map->numbers[slot] : -1;
}

void value_map_init(ValueMap *map, const Graph *graph)
{
	*map = (ValueMap){0};
	for (int i = 0; i < graph->ninputs; i++)
		value_map_add(map, graph->inputs[i]);
	for (const Node *node = graph->first; node; node = node->next)
		for (int i = 0; i < node->nresults; i++)
			value_map_add(map, node->results[i]);
}

void value_map_free(ValueMap *map)
{
	free(map->keys);
	free(map->numbers);
	*map = (ValueMap){0};
}
