/* positions__scalar.c: positions for models that do not count padding. */

/* out[i] = start + how many of ids[0..i) are not padding; start - 1 where ids[i] is padding. */
RT_INLINE void position_ids_padding_i32__scalar(
	int32_t *out, const int32_t *ids, int tokens, int start, int padding)
{
	int place = start;
	for (int i = 0; i < tokens; i++)
		out[i] = ids[i] == padding ? start - 1 : place++;
}
