/* kernel_checks_bias.h: score biases of attention in all their forms, alone and together, with and without
 * selection. q, k and biases are small whole numbers, so that every kernel has exactly the same scores. Part
 * of kernel_checks.h. */

enum { BIAS_HEADS = 3, BIAS_KINDS = 7 };

/* A bias of each kind: dense of all axes, of heads and keys, of keys alone; a table of each head, one with
 * places, one for all heads that hides what is further than 2 away; a table of each query and head, with
 * places. *owned: its numbers. */
static RtBias make_bias(int kind, int keys, const int32_t *places, float **owned)
{
	const size_t n = (size_t)keys;
	const int reach = kind == 4 ? keys / 2 : 3;
	float *x = *owned = whole_floats(BIAS_HEADS * (n * n + 7 * n + 8), 2);
	if (kind == 5)
		x[0] = x[6] = -INFINITY;
	switch (kind) {
	case 0: return (RtBias){x, n * n, n, NULL, -1};
	case 1: return (RtBias){x, n, 0, NULL, -1};
	case 2: return (RtBias){x, 0, 0, NULL, -1};
	case 3: return (RtBias){x, 7, 0, NULL, reach};
	case 4: return (RtBias){x, 2 * (size_t)reach + 1, 0, places, reach};
	case 5: return (RtBias){x, 0, 0, NULL, reach};
	default: return (RtBias){x, 7, 7 * BIAS_HEADS, n % 2 ? places : NULL, reach};
	}
}

/* kinds: bit k for a bias of kind k. `selects`: only for rows that may be told to select keys. */
static void check_biased_size(
	int queries, int keys, int d, unsigned kinds, int keep, float threshold, bool selects)
{
	char what[120];
	float *owned[BIAS_KINDS] = {0};
	int32_t *places = need((size_t)keys * sizeof *places + 4);
	RtBias bias[BIAS_KINDS];
	int nbias = 0;
	for (int t = 0; t < keys; t++)
		places[t] = (t ? places[t - 1] : 0) + (int)(draw() % 3);
	for (int kind = 0; kind < BIAS_KINDS; kind++)
		if (kinds >> kind & 1)
			bias[nbias++] = make_bias(kind, keys, places, &owned[kind]);
	SelectCase c = select_case((SelectCase){.queries = queries,
		.keys = keys,
		.heads = BIAS_HEADS,
		.d = d,
		.keep = keep,
		.threshold = threshold,
		.bias = bias,
		.nbias = nbias});
	snprintf(what, sizeof what, "queries=%d keys=%d d=%d biases=%x keep=%d threshold=%g", queries, keys, d,
		kinds, keep, (double)threshold);
	for (const Row *row = rows; row < rows + nrows; row++)
		if (row_is(row, OP_ATTENTION, KERNEL_BIASED) && !row_repeats(row)
			&& !(selects && strstr(row->name, "bf16")))
			check_selected_row(row, what, &c);
	for (int kind = 0; kind < BIAS_KINDS; kind++)
		free(owned[kind]);
	select_free(&c);
	free(places);
}

static void check_attention_biased(void)
{
	const int lengths[] = {1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 65, 97}, widths[] = {1, 4, 15, 16, 33};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
			const int n = lengths[i];
			const unsigned kinds = 1u << ((i + j) % BIAS_KINDS);
			check_biased_size(n, n, widths[j], kinds, n, 0, false);
			check_biased_size(n, n, widths[j], (1u << BIAS_KINDS) - 1 - kinds, n, 0, false);
			check_biased_size(1, n, widths[j], kinds | 8, n, 0, false); /* the first token alone */
			check_biased_size(n, n, widths[j], kinds | 1, 1 + n / 2, 0, true);
			check_biased_size(n, n, widths[j], kinds | 16, n, 0.05f, true);
		}
	check_biased_size(3, 0, 8, 8, 0, 0, false); /* a text without tokens */
}

static void check_by_distance(void)
{
	for (int tokens = 0; tokens < 12; tokens += 1 + tokens / 3)
		for (int form = 0; form < 4; form++) {
			const int32_t places[12] = {0, 1, 1, 2, 5, 6, 9, 10, 11, 20, 21, 30};
			const bool placed = form % 2, by_query = form / 2;
			const size_t count = (size_t)(2 * tokens * tokens);
			float *table = random_floats(2 * 9 * 12), *out = fresh(count + 1);
			const RtBias bias = {table, 9, by_query ? 18 : 0, placed ? places : NULL, 4};
			by_distance_f32__scalar(out, table, bias.places, 2, tokens, 4, by_query);
			check_same("by_distance_f32__scalar", "writes past the end", out + count, &UNTOUCHED, 4);
			for (int at = 0; at < 2 * tokens * tokens; at++)
				check_near("by_distance_f32__scalar", placed ? "places" : "tokens", at, out[at],
					bias_exact(&bias, at / (tokens * tokens), at / tokens % tokens, at % tokens), 0, 0);
			free(table);
			free(out);
		}
}
