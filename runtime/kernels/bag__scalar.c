/* bag__scalar.c: how often each word occurs, times its weight. */

/* out[V]; ids[tokens] are below V. */
RT_INLINE void bag_f32__scalar(float *out, const float *weights, const int32_t *ids, int tokens, int V)
{
	memset(out, 0, (size_t)V * sizeof *out);
	for (int t = 0; t < tokens; t++)
		out[ids[t]] += weights[ids[t]];
}
