/* kernel_checks_relative.h: products by distance of attention: tables of few and of many rows, in any order,
 * of queries and of keys, alone and beside other biases. Part of kernel_checks.h. */

enum { RELATIVE_KINDS = 6, RELATIVE_HEADS = 2 };

/* A table of `rows` rows: [RELATIVE_HEADS][panels][d][32], zeros behind the last row. */
static float *relative_table(int rows, int d)
{
	const int panels = (rows + 31) / 32;
	float *x = whole_floats((size_t)(RELATIVE_HEADS * panels * d * 32), 1);
	for (int at = 0; at < RELATIVE_HEADS * panels * d * 32; at++)
		if (at / 32 / d % panels * 32 + at % 32 >= rows)
			x[at] = 0;
	return x;
}

/* Index of each kind: rising, falling, logarithmic buckets that fall, random, one row for all, and a reach of
 * 0. *rows: of the table. */
static int32_t *relative_rows(int kind, int keys, int *reach, int *rows)
{
	*reach = kind == 5 ? 0 : keys;
	if (kind == 2 || kind == 3)
		*reach = 1 + keys / 2;
	int32_t *index = need((size_t)(2 * *reach + 1) * sizeof *index);
	*rows = 2 * *reach + 1;
	for (int x = -*reach; x <= *reach; x++) {
		const int far = x < 0 ? -1 : 1, n = abs(x), bucket = n < 8 ? n : 8 + (int)log2((double)n);
		switch (kind) {
		case 0: index[*reach + x] = *reach + x; break;
		case 1: index[*reach + x] = *reach - x; break;
		case 2: index[*reach + x] = 20 - far * bucket; break;
		case 3: index[*reach + x] = (int32_t)(draw() % 71); break;
		default: index[*reach + x] = 0; break;
		}
	}
	if (kind == 2)
		*rows = 41;
	if (kind == 3)
		*rows = 71;
	return index;
}

/* kinds: bit k for a table of queries of kind k, bit k + RELATIVE_KINDS for one of keys; at most four. */
static void check_relative_size(int queries, int keys, int d, unsigned kinds, bool biased, int keep)
{
	char what[120];
	float *tables[RELATIVE_MOST], *numbers = whole_floats(RELATIVE_HEADS * 7, 2);
	int32_t *index[RELATIVE_MOST];
	RtRelative relative[RELATIVE_MOST];
	int count = 0;
	for (int kind = 0; kind < 2 * RELATIVE_KINDS; kind++) {
		if (!(kinds >> kind & 1))
			continue;
		int reach, width;
		index[count] = relative_rows(kind % RELATIVE_KINDS, keys, &reach, &width);
		tables[count] = relative_table(width, d);
		relative[count] = (RtRelative){
			tables[count], index[count], (width + 31) / 32, reach, kind >= RELATIVE_KINDS};
		count++;
	}
	const RtBias bias = {numbers, 7, 0, NULL, 3};
	SelectCase c = select_case((SelectCase){.queries = queries,
		.keys = keys,
		.heads = RELATIVE_HEADS,
		.d = d,
		.keep = keep,
		.bias = &bias,
		.nbias = biased,
		.relative = relative,
		.nrelative = count});
	snprintf(what, sizeof what, "queries=%d keys=%d d=%d tables=%x keep=%d", queries, keys, d, kinds, keep);
	for (const Row *row = rows; row < rows + nrows; row++)
		if (row_is(row, OP_ATTENTION, KERNEL_RELATIVE) && !row_repeats(row))
			check_selected_row(row, what, &c);
	for (int b = 0; b < count; b++) {
		free(tables[b]);
		free(index[b]);
	}
	free(numbers);
	select_free(&c);
}

static void check_attention_relative(void)
{
	const int lengths[] = {1, 2, 5, 8, 15, 16, 17, 31, 33, 64, 97}, widths[] = {1, 4, 16, 33};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
			const int n = lengths[i], kind = (int)((i + j) % RELATIVE_KINDS);
			const unsigned of_queries = 1u << kind, of_keys = of_queries << RELATIVE_KINDS;
			check_relative_size(n, n, widths[j], of_queries, false, n);
			check_relative_size(n, n, widths[j], of_keys, true, n);
			check_relative_size(n, n, widths[j], of_queries | of_keys, j % 2 == 0, 1 + n / 2);
			check_relative_size(
				1, n, widths[j], of_queries | of_keys | 4, true, n); /* the first token alone */
		}
	check_relative_size(97, 97, 8, 0x0cc, true, 97);
	check_relative_size(3, 0, 8, 0x041, false, 1); /* a text without tokens */
}

static void check_dot_by_distance(void)
{
	for (int tokens = 0; tokens < 9; tokens += 1 + tokens / 3)
		for (int by_key = 0; by_key < 2; by_key++) {
			enum { HEADS = 2, D = 3, REACH = 2 };
			const int32_t index[2 * REACH + 1] = {3, 0, 1, 4, 4};
			const int H = HEADS * D, count = HEADS * tokens * tokens;
			float *x = random_floats((size_t)(tokens * H) + 1), *table = random_floats(5 * H),
				  *out = fresh((size_t)count + 1);
			dot_by_distance_f32__scalar(out, x, table, index, HEADS, tokens, D, REACH, by_key);
			check_same("dot_by_distance_f32__scalar", "writes past the end", out + count, &UNTOUCHED, 4);
			for (int at = 0; at < count; at++) {
				const int h = at / (tokens * tokens), i = at / tokens % tokens, t = at % tokens;
				const float *a = x + (by_key ? t : i) * H + h * D,
							*b = table + index[REACH + rt_max(-REACH, rt_min(t - i, REACH))] * H + h * D;
				double sum = 0;
				for (int j = 0; j < D; j++)
					sum += (double)a[j] * (double)b[j];
				check_near("dot_by_distance_f32__scalar", "product", at, out[at], sum, 0, 1e-6);
			}
			free(x);
			free(table);
			free(out);
		}
}
