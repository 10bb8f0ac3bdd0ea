/* heads.c: see passes.h. The graph returns q and k; the caller computes the attention from them.
 *
 *   return logits=%l                   ->      %n = concat %q0, %k0, %q1, %k1 {axis=1} : f32[S,32]
 *                                              return attention=%n */
#include "calibrate.h"

bool heads_expose(Graph *graph, const char *pass, HeadMap *map, Diag *diag)
{
	MemArena *mem = graph->module->mem;
	PassRun run = {.diag = diag};
	Layers layers;
	if (!layers_find_blocks(graph, pass, &layers, &run))
		return false;
	Value **rows = mem_alloc(mem, 2 * (size_t)layers.count * sizeof *rows);
	int32_t *numbers = mem_alloc(mem, (size_t)layers.count * sizeof *numbers);
	*map = (HeadMap){.at = numbers};
	for (int32_t i = 0; i < layers.count; i++) {
		const Layer *layer = &layers.at[i];
		const AttentionMatch *heads = &layer->heads;
		if (!layer->has_attention)
			continue;
		if (heads->nbiases)
			return diag_error(diag, EXIT_UNSUPPORTED, 0,
				"%s: layer %d adds a bias to its scores, so its attention cannot be computed from q and k "
				"alone",
				pass, layer->number);
		if (map->layers == 0)
			*map = (HeadMap){0, (int32_t)heads->q.heads, (int32_t)heads->q.size, numbers, heads->scale};
		if (heads->q.heads != map->heads || heads->q.size != map->size || heads->scale != map->scale)
			return diag_error(diag, EXIT_UNSUPPORTED, 0,
				"%s: layer %d has %lld heads of size %lld, but layer %d has %d of size %d", pass,
				layer->number, (long long)heads->q.heads, (long long)heads->q.size, numbers[0], map->heads,
				map->size);
		rows[2 * map->layers] = heads->q.rows;
		rows[2 * map->layers + 1] = heads->k.rows;
		numbers[map->layers++] = layer->number;
	}
	if (map->layers == 0)
		return diag_error(diag, EXIT_UNSUPPORTED, 0, "%s: no attention is recognised in any layer", pass);
	Value *all = concat_all(graph, rows, 2 * map->layers, 1, diag);
	if (!all)
		return false;
	graph->noutputs = 0;
	graph_add_output(graph, "attention", all);
	graph->module->nheads = 0;
	graph_sweep(graph);
	return true;
}
