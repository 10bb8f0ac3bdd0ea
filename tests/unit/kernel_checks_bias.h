/* kernel_checks_bias.h: score biases of attention in all their forms, alone and together, with and without
 * selection. q, k and biases are small whole numbers, so that every kernel has exactly the same scores. Part
 * of kernel_checks.h. */

typedef void AttentionBiasedFn(float *, const float *, const float *, const float *, int, int, int, int, int,
	int, int, int, int, float, int, float, const RtBias *, int, void *);

enum { BIAS_HEADS = 3, BIAS_KINDS = 6 };

/* A bias of each kind: dense of all axes, of heads and keys, of keys alone; a table of each head, one with
 * places, one for all heads that hides what is further than 2 away. *owned: its numbers. */
static RtBias make_bias(int kind, int keys, const int32_t *places, float **owned)
{
	const size_t n = (size_t)keys;
	const int reach = kind == 4 ? keys / 2 : 3;
	float *x = *owned = whole_floats(BIAS_HEADS * (n * n + 2 * n + 8), 2);
	if (kind == 5)
		x[0] = x[6] = -INFINITY;
	switch (kind) {
	case 0: return (RtBias){x, n * n, n, NULL, -1};
	case 1: return (RtBias){x, n, 0, NULL, -1};
	case 2: return (RtBias){x, 0, 0, NULL, -1};
	case 3: return (RtBias){x, 7, 0, NULL, reach};
	case 4: return (RtBias){x, 2 * (size_t)reach + 1, 0, places, reach};
	default: return (RtBias){x, 0, 0, NULL, reach};
	}
}

/* What one bias adds to the score of head h, query i and key t. */
static double bias_exact(const RtBias *bias, int h, int i, int t)
{
	const float *head = bias->at + (size_t)h * bias->head;
	if (bias->reach < 0)
		return (double)head[(size_t)i * bias->query + (size_t)t];
	int distance = bias->places ? bias->places[t] - bias->places[i] : t - i;
	distance = rt_max(rt_min(distance, bias->reach), -bias->reach);
	return (double)head[bias->reach + distance];
}

static void check_biased_values(const Row *row, const char *what, const float *qkv, const float *out,
	int queries, int keys, int d, int keep, double threshold, const RtBias *bias, int nbias)
{
	const bool bf16 = strstr(row->name, "bf16") != NULL; /* rounds the scale times log2 e, and the weights */
	const int H = BIAS_HEADS * d, stride = 3 * H;
	double *score = need((size_t)keys * sizeof *score + 8), *p = need((size_t)keys * sizeof *p + 8);
	for (int h = 0; h < BIAS_HEADS; h++)
		for (int i = 0; i < queries; i++) {
			for (int t = 0; t < keys; t++) {
				score[t] = 0;
				for (int j = 0; j < d; j++)
					score[t] += 0.25 * (double)qkv[i * stride + h * d + j]
						* (double)qkv[t * stride + H + h * d + j];
				for (int b = 0; b < nbias; b++)
					score[t] += bias_exact(bias + b, h, i, t);
			}
			if (!select_reference(p, score, keys, keep, threshold))
				continue;
			for (int j = 0; j < d; j++) {
				double want = 0;
				for (int t = 0; t < keys; t++)
					want += p[t] * (double)qkv[t * stride + 2 * H + h * d + j];
				check_near(row->name, what, (long)(i * H + h * d + j), out[i * H + h * d + j], want, 0,
					bf16 ? 6e-2 : 1e-5);
			}
		}
	free(score);
	free(p);
}

/* kinds: bit k for a bias of kind k. */
static void check_biased_size(
	const Row *row, int queries, int keys, int d, unsigned kinds, int keep, float threshold)
{
	const int H = BIAS_HEADS * d, stride = 3 * H;
	char what[120];
	size_t bytes;
	float *qkv = whole_floats((size_t)rt_max(queries, keys) * (size_t)stride + 1, 2),
		  *out = fresh((size_t)(queries * H) + 1), *again = fresh((size_t)(queries * H) + 1);
	float *owned[BIAS_KINDS] = {0};
	int32_t *places = need((size_t)keys * sizeof *places + 4);
	RtBias bias[BIAS_KINDS];
	int nbias = 0;
	for (int t = 0; t < keys; t++)
		places[t] = (t ? places[t - 1] : 0) + (int)(draw() % 3);
	for (int kind = 0; kind < BIAS_KINDS; kind++)
		if (kinds >> kind & 1)
			bias[nbias++] = make_bias(kind, keys, places, &owned[kind]);
	unsigned char *scratch = select_scratch(row, keys, d, &bytes);
	AttentionBiasedFn *fn = (AttentionBiasedFn *)row->fn;
	fn(out, qkv, qkv + H, qkv + 2 * H, queries, keys, BIAS_HEADS, d, stride, stride, stride, 0, BIAS_HEADS,
		0.25f, keep, threshold, bias, nbias, scratch);
	for (int h = BIAS_HEADS - 1; h >= 0; h--)
		fn(again, qkv, qkv + H, qkv + 2 * H, queries, keys, BIAS_HEADS, d, stride, stride, stride, h, h + 1,
			0.25f, keep, threshold, bias, nbias, scratch);
	snprintf(what, sizeof what, "queries=%d keys=%d d=%d biases=%x keep=%d threshold=%g", queries, keys, d,
		kinds, keep, (double)threshold);
	check_same(row->name, what, out, again, (size_t)(queries * H) * 4);
	check_same(row->name, "writes past the end", out + queries * H, &UNTOUCHED, 4);
	for (int i = 0; i < 64; i++)
		check_same(row->name, "more scratch than declared", scratch + bytes + i, "\x5a", 1);
	check_biased_values(row, what, qkv, out, queries, keys, d, keep, (double)threshold, bias, nbias);
	for (int kind = 0; kind < BIAS_KINDS; kind++)
		free(owned[kind]);
	free(qkv);
	free(out);
	free(again);
	free(places);
	free(scratch);
}

static void check_attention_biased(void)
{
	const int lengths[] = {1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 65, 97}, widths[] = {1, 4, 15, 16, 33};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (row->op != OP_ATTENTION || row->variant != KERNEL_BIASED)
			continue;
		const bool selects = !strstr(row->name, "bf16");
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
			for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
				const int n = lengths[i];
				const unsigned kinds = 1u << ((i + j) % BIAS_KINDS);
				check_biased_size(row, n, n, widths[j], kinds, n, 0);
				check_biased_size(row, n, n, widths[j], (1u << BIAS_KINDS) - 1 - kinds, n, 0);
				check_biased_size(row, 1, n, widths[j], kinds | 8, n, 0); /* the first token alone */
				if (selects)
					check_biased_size(row, n, n, widths[j], kinds | 1, 1 + n / 2, 0);
				if (selects)
					check_biased_size(row, n, n, widths[j], kinds | 16, n, 0.05f);
			}
		check_biased_size(row, 3, 0, 8, 8, 0, 0); /* a text without tokens */
	}
}

static void check_by_distance(void)
{
	for (int tokens = 0; tokens < 12; tokens += 1 + tokens / 3)
		for (int placed = 0; placed < 2; placed++) {
			const int32_t places[12] = {0, 1, 1, 2, 5, 6, 9, 10, 11, 20, 21, 30};
			const size_t count = (size_t)(2 * tokens * tokens);
			float *table = random_floats(2 * 9), *out = fresh(count + 1);
			const RtBias bias = {table, 9, 0, placed ? places : NULL, 4};
			by_distance_f32__scalar(out, table, bias.places, 2, tokens, 4);
			check_same("by_distance_f32__scalar", "writes past the end", out + count, &UNTOUCHED, 4);
			for (int at = 0; at < 2 * tokens * tokens; at++)
				check_near("by_distance_f32__scalar", placed ? "places" : "tokens", at, out[at],
					bias_exact(&bias, at / (tokens * tokens), at / tokens % tokens, at % tokens), 0, 0);
			free(table);
			free(out);
		}
}
