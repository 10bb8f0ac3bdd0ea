/* exit.h: texts that end early. At an exit a text either ends, and its outputs are copied out, or continues.
 * Later steps run over a smaller call, in which the rows of the remaining texts are packed again. So the
 * texts of a call affect only the places of rows, never numbers.
 *
 * A slot of call->exits has the decisions of one exit: ntexts, ntokens and longest of the smaller call; for
 * each text of this call its place in the smaller one, or -1; offsets and original numbers of the texts of
 * the smaller one. Exits alternate between two slots, because one is read while the next is written. The
 * offsets of thinned rows (call->thinned) alternate, too. If an exit passes on rows of Sk, the offsets of Sk
 * are computed anew for the remaining texts. Nodes after the exit cannot use other symbols (L6). `symbol` is
 * k, or 0 for S. */
#ifndef RT_EXIT_H
#define RT_EXIT_H
#include "steps.h"

enum { EXIT_TEXTS, EXIT_TOKENS, EXIT_LONGEST, EXIT_PLACES };

RT_INLINE int32_t *exit_slot(const RtCall *call)
{
	return call->exits + (call->passed & 1 ? rt_exit_ints(call->room_texts) : 0);
}
RT_INLINE int32_t *exit_offsets(const RtCall *call)
{
	return exit_slot(call) + EXIT_PLACES + call->room_texts;
}
RT_INLINE int32_t *exit_numbers(const RtCall *call) { return exit_offsets(call) + call->room_texts + 1; }
/* The number of the text in the original call. */
RT_INLINE int32_t exit_number(const RtCall *call, int32_t text)
{
	return call->numbers ? call->numbers[text] : text;
}

/* The offsets of the symbol's rows in the smaller call. */
RT_INLINE int32_t *exit_thinned(const RtCall *call, int symbol)
{
	return symbol ? call->thinned_rest + (rt_thinned(call, symbol) - call->thinned) : exit_offsets(call);
}

/* For one thread: begins the decisions. Then it decides for every text, in order, whether the text ends
 * here. */
RT_INLINE void rt_exit_begin(const RtCall *call, int symbol)
{
	int32_t *slot = exit_slot(call);
	slot[EXIT_LONGEST] = 0;
	slot[EXIT_TOKENS] = 0;
	slot[EXIT_TEXTS] = 0;
	exit_offsets(call)[0] = exit_thinned(call, symbol)[0] = 0;
}
RT_INLINE void rt_exit_decide(const RtCall *call, int symbol, int32_t text, int ends)
{
	int32_t *slot = exit_slot(call);
	const int32_t size = call->offsets[text + 1] - call->offsets[text];
	slot[EXIT_PLACES + text] = ends ? -1 : slot[EXIT_TEXTS];
	if (ends)
		return;
	exit_numbers(call)[slot[EXIT_TEXTS]] = exit_number(call, text);
	if (symbol) {
		const int32_t *from = rt_thinned(call, symbol) + text;
		int32_t *to = exit_thinned(call, symbol) + slot[EXIT_TEXTS];
		to[1] = to[0] + from[1] - from[0];
	}
	slot[EXIT_TOKENS] += size;
	exit_offsets(call)[++slot[EXIT_TEXTS]] = slot[EXIT_TOKENS];
	slot[EXIT_LONGEST] = rt_max(slot[EXIT_LONGEST], size);
}

/* Packs the rows of a thread's share of the remaining texts. A row has `unit` bytes. */
RT_INLINE void rt_exit_rows(
	const RtCall *call, int32_t thread, int symbol, void *to, const void *from, size_t unit)
{
	const int32_t *places = exit_slot(call) + EXIT_PLACES, *offsets = exit_thinned(call, symbol),
				  *began = rt_offsets(call, symbol);
	const RtShare s = rt_share_rows(call, thread, call->ntexts);
	for (int i = s.r0; i < s.r1; i++)
		if (places[i] >= 0)
			memcpy((char *)to + (size_t)offsets[places[i]] * unit,
				(const char *)from + (size_t)began[i] * unit, (size_t)(began[i + 1] - began[i]) * unit);
}
/* The same for one row per text. */
RT_INLINE void rt_exit_texts(const RtCall *call, int32_t thread, void *to, const void *from, size_t unit)
{
	const int32_t *places = exit_slot(call) + EXIT_PLACES;
	const RtShare s = rt_share_rows(call, thread, call->ntexts);
	for (int i = s.r0; i < s.r1; i++)
		if (places[i] >= 0)
			memcpy((char *)to + (size_t)places[i] * unit, (const char *)from + (size_t)i * unit, unit);
}

/* Copies out a thread's share of an output, for the texts that end here; `all`: for all remaining texts. A
 * row has `width` floats. */
RT_INLINE void rt_exit_out(
	const RtCall *call, int32_t thread, int output, const float *from, size_t width, int per_token, int all)
{
	const int32_t *places = exit_slot(call) + EXIT_PLACES;
	const RtShare s = rt_share_rows(call, thread, call->ntexts);
	for (int i = s.r0; i < s.r1 && call->out[output]; i++) {
		const int32_t number = exit_number(call, i), row = per_token ? call->offsets[i] : i,
					  to = per_token ? call->began[number] : number;
		if (all || places[i] < 0)
			memcpy(call->out[output] + (size_t)to * width, from + (size_t)row * width,
				(per_token ? (size_t)(call->offsets[i + 1] - call->offsets[i]) : 1) * width * sizeof(float));
	}
}

/* The call of the remaining texts. Values keep their places in the arena, which depend on the whole call's
 * sizes (room_*). */
RT_INLINE RtCall rt_exit_rest(const RtCall *call)
{
	const int32_t *slot = exit_slot(call);
	RtCall rest = *call;
	rest.ntexts = slot[EXIT_TEXTS];
	rest.ntokens = slot[EXIT_TOKENS];
	rest.longest = slot[EXIT_LONGEST];
	rest.offsets = exit_offsets(call);
	rest.numbers = exit_numbers(call);
	rest.thinned = call->thinned_rest;
	rest.thinned_rest = call->thinned;
	rest.passed++;
	return rest;
}
#endif
