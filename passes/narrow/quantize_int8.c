/* quantize_int8.c: linears in 8-bit integers.
 *
 *   %y = linear %x, %w, %b {act=gelu}     ->     %q, %s = quantize %x : i8[S,384], f32[S]
 *                                                %y = linear_i8 %q, %s, %wq, %ws, %b {act=gelu}
 *
 * scheme=dynamic: each row of activations gets its scale at run time, from that row alone. No calibration is
 * needed, and no result depends on the other texts of a call (Zafrir et al., "Q8BERT", arXiv:1910.06188,
 * quantise symmetrically; scales per row and per output as in vector-wise quantisation, Dettmers et al.,
 * arXiv:2208.07339). Weights are symmetric with one scale per output and codes -127..127. Without -128,
 * kernels for CPUs without a dot product of bytes are exact too. Sums are 32-bit integers. LayerNorm,
 * softmax, GELU and the residual stream stay in f32. Attention may multiply in bf16 (attention=f32 forbids
 * it). scheme=static: see quantize_static.c. */
#include "narrow.h"
#include <string.h>

bool pass_quantize_int8(Graph *graph, PassRun *run)
{
	const bool is_static = pass_option_is(run, "scheme", "static");
	if (is_static && !quantize_static(graph, run))
		return false;
	if (pass_option_is(run, "attention", "bf16"))
		narrow_attention(graph, run);
	if (is_static)
		return true;
	RoundedList list = rounded_open(graph);
	for (Node *node = graph->first, *next; node; node = next) {
		next = node->next;
		const Tensor *weight = narrow_weight(node, run);
		if (weight && !node_quantize_dynamic(graph, node, weight, &list, run))
			return false;
	}
	return true;
}
