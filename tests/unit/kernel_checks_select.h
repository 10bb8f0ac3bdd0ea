/* kernel_checks_select.h: the keys that a query keeps, the attention that a token receives, the rows that
 * thin keeps. Scores are small whole numbers, many of them equal. All kernels thus compute exactly the same
 * scores, and must select exactly as the definition. Part of kernel_checks.h. */

typedef void AttentionSelectFn(float *, const float *, const float *, const float *, int, int, int, int, int,
	int, int, int, int, float, int, float, void *);
typedef void AttentionBiasedFn(float *, const float *, const float *, const float *, int, int, int, int, int,
	int, int, int, int, float, int, float, const RtBias *, int, void *);
typedef void AttentionRelativeFn(float *, const float *, const float *, const float *, int, int, int, int,
	int, int, int, int, int, float, int, float, const RtBias *, int, const RtRelative *, int, void *);
typedef void ReceivedFn(
	float *, const float *, const float *, int, int, int, int, int, int, int, float, int, float, void *);
typedef void ReceivedBiasedFn(float *, const float *, const float *, int, int, int, int, int, int, int, float,
	int, float, const RtBias *, int, void *);

/* Of the scores of all these checks. */
static const float SELECT_SCALE = 0.25f;

static float *whole_floats(size_t count, int most)
{
	float *x = random_floats(count);
	for (size_t i = 0; i < count; i++)
		x[i] = rintf(x[i] * (float)most);
	return x;
}

/* Larger scores first, of equal ones the first. */
typedef struct Ranked {
	double score;
	int at;
} Ranked;

static int rank_order(const void *left, const void *right)
{
	const Ranked *a = left, *b = right;
	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return a->at - b->at;
}

/* Sets p[i] = 0 for keys that are not among the `keep` largest scores. */
static void keep_largest(double *p, const double *score, int n, int keep)
{
	if (keep >= n)
		return;
	Ranked *ranked = need((size_t)n * sizeof *ranked);
	for (int i = 0; i < n; i++)
		ranked[i] = (Ranked){score[i], i};
	qsort(ranked, (size_t)n, sizeof *ranked, rank_order);
	for (int i = keep; i < n; i++)
		p[ranked[i].at] = 0;
	free(ranked);
}

/* p[n] = softmax of score[n] over the keys that stay, 0 for others. False: a probability lies so close to the
 * threshold that rounding decides. */
static bool select_reference(double *p, const double *score, int n, int keep, double threshold)
{
	double top = -(double)INFINITY, sum = 0, all = 0;
	bool clear = true;
	for (int i = 0; i < n; i++)
		top = fmax(top, score[i]);
	for (int i = 0; i < n; i++)
		all += p[i] = exp(score[i] - top);
	if (threshold > 0) {
		keep = 0;
		for (int i = 0; i < n; i++) {
			const double probability = p[i] / all;
			keep += probability >= threshold;
			clear &= fabs(probability - threshold) > 1e-5 * threshold;
		}
		keep = keep ? keep : 1;
	}
	keep_largest(p, score, n, keep);
	for (int i = 0; i < n; i++)
		sum += p[i];
	for (int i = 0; i < n; i++)
		p[i] /= sum;
	return clear;
}

/* The value of one bias for head h, query i and key t. */
static double bias_exact(const RtBias *bias, int h, int i, int t)
{
	const float *head = bias->at + (size_t)h * bias->head;
	if (bias->reach < 0)
		return (double)head[(size_t)i * bias->query + (size_t)t];
	int distance = bias->places ? bias->places[t] - bias->places[i] : t - i;
	distance = rt_max(rt_min(distance, bias->reach), -bias->reach);
	return (double)head[(size_t)i * bias->query + (size_t)(bias->reach + distance)];
}

/* Attention for a matrix whose rows contain the q, k and v of all heads, and the expected result. */
typedef struct SelectCase {
	int queries, keys, heads, d, keep;
	float threshold;
	const RtBias *bias;
	int nbias;
	const RtRelative *relative;
	int nrelative;
	float *qkv;
	double *want; /* [queries][heads * d] */
	bool *clear;  /* [heads][queries]: rounding does not decide which keys are kept */
} SelectCase;

/* The product of query i or key t of head h with the row for their distance. */
static double relative_exact(const RtRelative *r, const SelectCase *c, int h, int i, int t)
{
	const int H = c->heads * c->d;
	const float *x = c->qkv + h * c->d + (r->by_key ? t * 3 * H + H : i * 3 * H);
	const int held = rt_max(rt_min(t - i, r->reach), -r->reach), row = r->index[r->reach + held];
	double sum = 0;
	for (int j = 0; j < c->d; j++)
		sum += (double)x[j] * (double)r->at[((h * r->panels + row / 32) * c->d + j) * 32 + row % 32];
	return sum;
}

/* Adds the biases to the scores of query i of head h. */
static void score_biases(double *score, const SelectCase *c, int h, int i)
{
	for (int t = 0; t < c->keys; t++)
		for (int b = 0; b < c->nrelative; b++)
			score[t] += relative_exact(c->relative + b, c, h, i, t);
	for (int t = 0; t < c->keys; t++)
		for (int b = 0; b < c->nbias; b++)
			score[t] += bias_exact(c->bias + b, h, i, t);
}

/* Computes the result of query i of head h from its probabilities p; v[keys][d]. */
static void select_values(const SelectCase *c, int h, int i, const double *p, const double *v)
{
	double *want = c->want + (i * c->heads + h) * c->d;
	memset(want, 0, (size_t)c->d * sizeof *want);
	for (int t = 0; t < c->keys; t++)
		for (int j = 0; j < c->d && p[t] != 0; j++)
			want[j] += p[t] * v[t * c->d + j];
}

/* Fills `clear` and, unless it is NULL, `want`; adds the probabilities of the keys to received[keys][heads],
 * unless it is NULL. */
static void select_head_exact(SelectCase *c, int h, double *received)
{
	const int d = c->d, H = c->heads * d, keys = c->keys;
	const float *head = c->qkv + h * d;
	double *q = doubles(head, c->queries, d, 3 * H), *k = doubles(head + H, keys, d, 3 * H),
		   *v = doubles(head + 2 * H, keys, d, 3 * H), *score = need((size_t)keys * sizeof *score),
		   *p = need((size_t)keys * sizeof *p);
	for (int i = 0; i < c->queries; i++) {
		for (int t = 0; t < keys; t++)
			score[t] = (double)SELECT_SCALE * dot_exact(q + i * d, k + t * d, d);
		score_biases(score, c, h, i);
		c->clear[h * c->queries + i] = select_reference(p, score, keys, c->keep, (double)c->threshold);
		if (c->want)
			select_values(c, h, i, p, v);
		for (int t = 0; t < keys && received; t++)
			received[t * c->heads + h] += p[t];
	}
	free(q);
	free(k);
	free(v);
	free(score);
	free(p);
}

/* A case with the sizes, selection and biases of `c`, random qkv, and the expected results. */
static SelectCase select_case(SelectCase c)
{
	const int H = c.heads * c.d;
	c.qkv = whole_floats((size_t)rt_max(c.queries, c.keys) * (size_t)(3 * H) + 1, 2);
	c.want = need((size_t)(c.queries * H) * sizeof *c.want);
	c.clear = need((size_t)(c.heads * c.queries) * sizeof *c.clear);
	for (int h = 0; h < c.heads; h++)
		select_head_exact(&c, h, NULL);
	return c;
}

static void select_free(SelectCase *c)
{
	free(c->qkv);
	free(c->want);
	free(c->clear);
}

/* Runs heads [from, to) of a case on a row that selects or one that adds biases. */
static void select_run(const Row *row, const SelectCase *c, float *out, int from, int to, void *scratch)
{
	const int d = c->d, H = c->heads * d, stride = 3 * H;
	const float *q = c->qkv, *k = q + H, *v = k + H;
	if (row->variant == KERNEL_RELATIVE)
		((AttentionRelativeFn *)row->fn)(out, q, k, v, c->queries, c->keys, c->heads, d, stride, stride,
			stride, from, to, SELECT_SCALE, c->keep, c->threshold, c->bias, c->nbias, c->relative,
			c->nrelative, scratch);
	else if (row->variant == KERNEL_BIASED)
		((AttentionBiasedFn *)row->fn)(out, q, k, v, c->queries, c->keys, c->heads, d, stride, stride, stride,
			from, to, SELECT_SCALE, c->keep, c->threshold, c->bias, c->nbias, scratch);
	else
		((AttentionSelectFn *)row->fn)(out, q, k, v, c->queries, c->keys, c->heads, d, stride, stride, stride,
			from, to, SELECT_SCALE, c->keep, c->threshold, scratch);
}

/* What the rows of tables add to the scratch: as in plan_memory.c. */
static size_t relative_bytes(const Row *row, const RtRelative *relative, int count)
{
	return (size_t)row->relative * (relative_most(relative, count) + 32);
}

static void check_selected_row(const Row *row, const char *what, const SelectCase *c)
{
	const bool bf16 = strstr(row->name, "bf16") != NULL; /* rounds the scale times log2 e, and the weights */
	const int H = c->heads * c->d;
	const size_t bytes = attention_bytes(row, c->keys, c->d) + relative_bytes(row, c->relative, c->nrelative),
				 count = (size_t)(c->queries * H);
	float *out = fresh(count + 1), *again = fresh(count + 1);
	unsigned char *scratch = guarded_scratch(bytes);
	select_run(row, c, out, 0, c->heads, scratch);
	for (int h = c->heads - 1; h >= 0; h--)
		select_run(row, c, again, h, h + 1, scratch);
	check_heads(row, what, out, again, (int)count);
	guarded_check(row, scratch, bytes);
	for (int h = 0; h < c->heads; h++)
		for (int i = 0; i < c->queries; i++)
			for (int j = i * H + h * c->d; j < i * H + (h + 1) * c->d && c->clear[h * c->queries + i]; j++)
				check_near(row->name, what, j, out[j], c->want[j], 0, bf16 ? 6e-2 : 1e-5);
	free(out);
	free(again);
}

static void check_select_size(int queries, int keys, int d, int keep, float threshold)
{
	char what[100];
	SelectCase c = select_case((SelectCase){
		.queries = queries, .keys = keys, .heads = 2, .d = d, .keep = keep, .threshold = threshold});
	snprintf(what, sizeof what, "queries=%d keys=%d d=%d keep=%d threshold=%g", queries, keys, d, keep,
		(double)threshold);
	for (const Row *row = rows; row < rows + nrows; row++)
		if (row_is(row, OP_ATTENTION, KERNEL_SELECT))
			check_selected_row(row, what, &c);
	select_free(&c);
}

static void check_attention_select(void)
{
	const int lengths[] = {1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 65, 128}, widths[] = {1, 4, 15, 16, 32, 33};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
			const int n = lengths[i];
			check_select_size(n, n, widths[j], 1 + (int)((7 * i + j) % (size_t)n), 0);
			check_select_size(n, n, widths[j], n, 0.05f);
			check_select_size(1, n, widths[j], 1, 0);
			check_select_size(rt_min(n, 5), n, widths[j], n + 1, 1.0f);
		}
	check_select_size(3, 0, 8, 1, 0); /* a text without tokens */
}

static void received_run(const Row *row, const SelectCase *c, float *out, int from, int to, void *scratch)
{
	const int d = c->d, H = c->heads * d, stride = 3 * H;
	const float *q = c->qkv, *k = q + H;
	if (row->variant == KERNEL_BIASED)
		((ReceivedBiasedFn *)row->fn)(out, q, k, c->keys, c->heads, d, stride, stride, from, to, SELECT_SCALE,
			c->keep, c->threshold, c->bias, c->nbias, scratch);
	else
		((ReceivedFn *)row->fn)(out, q, k, c->keys, c->heads, d, stride, stride, from, to, SELECT_SCALE,
			c->keep, c->threshold, scratch);
}

static void check_received_row(const Row *row, const char *what, const SelectCase *c, const double *want)
{
	const int n = c->keys, heads = c->heads, count = n * heads;
	const size_t bytes = attention_bytes(row, n, c->d);
	float *out = fresh((size_t)count + 1), *again = fresh((size_t)count + 1);
	unsigned char *scratch = guarded_scratch(bytes);
	received_run(row, c, out, 0, heads, scratch);
	for (int h = heads - 1; h >= 0; h--)
		received_run(row, c, again, h, h + 1, scratch);
	check_heads(row, what, out, again, count);
	guarded_check(row, scratch, bytes);
	bool clear = true;
	for (int i = 0; i < count; i++)
		clear &= c->clear[i];
	for (int i = 0; i < count && clear; i++)
		check_near(row->name, what, i, out[i], want[i], 0, 1e-5);
	free(out);
	free(again);
}

/* biased: the rows with score biases, on two of them. */
static void check_received_size(int tokens, int heads, int d, int keep, float threshold, bool biased)
{
	char what[100];
	enum { REACH = 3, WIDTH = 2 * REACH + 1 };
	float *tables = whole_floats((size_t)(2 * heads * WIDTH), 5);
	const RtBias bias[] = {{tables, WIDTH, 0, NULL, REACH}, {tables + heads * WIDTH, WIDTH, 0, NULL, REACH}};
	const size_t count = (size_t)(tokens * heads);
	double *want = need(count * sizeof *want);
	SelectCase c = {.queries = tokens,
		.keys = tokens,
		.heads = heads,
		.d = d,
		.keep = keep,
		.threshold = threshold,
		.bias = bias,
		.nbias = biased ? 2 : 0,
		.qkv = whole_floats((size_t)tokens * (size_t)(3 * heads * d) + 1, 2),
		.clear = need(count * sizeof *c.clear)};
	memset(want, 0, count * sizeof *want);
	for (int h = 0; h < heads; h++)
		select_head_exact(&c, h, want);
	snprintf(what, sizeof what, "tokens=%d heads=%d d=%d keep=%d threshold=%g", tokens, heads, d, keep,
		(double)threshold);
	for (const Row *row = rows; row < rows + nrows; row++)
		if (row_is(row, OP_RECEIVED, biased ? KERNEL_BIASED : 0))
			check_received_row(row, what, &c, want);
	select_free(&c);
	free(want);
	free(tables);
}

static void check_received(void)
{
	const int lengths[] = {0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 65, 128}, widths[] = {1, 8, 15, 32, 33};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
			check_received_size(lengths[i], 1 + (int)(j % 3), widths[j], INT32_MAX, 0, false);
			check_received_size(lengths[i], 2, widths[j], 3, 0, false);
			check_received_size(lengths[i], 1, widths[j], INT32_MAX, 0.1f, false);
			check_received_size(lengths[i], 2, widths[j], j % 2 ? 3 : INT32_MAX, 0, true);
		}
}

static void check_softmax_select(void)
{
	enum { ROWS = 3, N = 40 };
	for (int keep = 1; keep <= N + 1; keep += 3)
		for (int pass = 0; pass < 2; pass++) {
			float *x = whole_floats(ROWS * N, 4), *out = fresh(ROWS * N + 1);
			const float threshold = pass ? 1.0f / (float)keep : 0;
			softmax_select_f32__scalar(out, x, 0, ROWS, N, pass ? N : keep, threshold);
			check_same("softmax_select_f32__scalar", "writes past the end", out + ROWS * N, &UNTOUCHED, 4);
			for (int r = 0; r < ROWS; r++) {
				double score[N], p[N];
				for (int i = 0; i < N; i++)
					score[i] = (double)x[r * N + i];
				if (select_reference(p, score, N, pass ? N : keep, (double)threshold))
					for (int i = 0; i < N; i++)
						check_near("softmax_select_f32__scalar", pass ? "threshold" : "keep", keep * 1000 + i,
							out[r * N + i], p[i], 0, 1e-6);
			}
			free(x);
			free(out);
		}
	float zeros[] = {-0.0f, 0.0f, -0.0f, -1.0f}, some[] = {1.0f, -(float)NAN, 0.0f, 3.0f}, out[4];
	softmax_select_f32__scalar(out, zeros, 0, 1, 4, 2, 0); /* both zeros are one number */
	check_near("softmax_select_f32__scalar", "zeros", 0, out[0], 0.5, 0, 1e-6);
	check_near("softmax_select_f32__scalar", "zeros", 1, out[1], 0.5, 0, 1e-6);
	check_near("softmax_select_f32__scalar", "zeros", 2, out[2], 0, 0, 0);
	softmax_select_f32__scalar(out, zeros, 0, 1, 4, 1, 0); /* so that the first of them stays */
	check_near("softmax_select_f32__scalar", "zeros", 0, out[0], 1, 0, 0);
	check_near("softmax_select_f32__scalar", "zeros", 1, out[1], 0, 0, 0);
	softmax_select_f32__scalar(out, some, 0, 1, 4, 1, 0); /* NaN is not hidden */
	checks++;
	failures += !isnan(out[3]);
}

/* Rows of the largest sums, with ties, NaN and rows that must stay. */
static void check_thin(void)
{
	enum { ROWS = 33, WIDTH = 5 };
	for (int keep = 1; keep <= ROWS; keep += 2)
		for (int pass = 0; pass < 4; pass++) {
			const int rows_now = pass == 3 ? 1 : ROWS;
			float *x = whole_floats(ROWS * WIDTH, 2), must[ROWS] = {0}, *y = fresh(ROWS * WIDTH + 1),
				  *back = fresh(ROWS * WIDTH + 1);
			double scratch[ROWS + 1] = {[ROWS] = 5}, sum[ROWS] = {0};
			int32_t places[ROWS + 1];
			for (int i = 0; i < ROWS && pass == 1; i += 7)
				must[i] = 1;
			if (pass == 2)
				x[3] = x[WIDTH * 9] = (float)NAN;
			const int kept = thin_count(pass == 1 ? must : NULL, rows_now, keep);
			for (int i = 0; i <= ROWS; i++)
				places[i] = -7;
			thin_f32__scalar(places, x, pass == 1 ? must : NULL, rows_now, WIDTH, kept, scratch);
			for (int i = 0; i < rows_now; i++)
				for (int n = 0; n < WIDTH; n++)
					sum[i] += (double)x[i * WIDTH + n];
			for (int i = 0; i < rows_now; i++)
				if (i == 0 || must[i] != 0)
					sum[i] = (double)INFINITY;
				else if (isnan(sum[i]))
					sum[i] = -(double)INFINITY;
			int at = 0;
			for (int i = 0; i < rows_now; i++) {
				int better = 0;
				for (int j = 0; j < rows_now; j++)
					better += sum[j] > sum[i] || (sum[j] == sum[i] && j < i);
				if (better >= kept)
					continue;
				checks++;
				if (places[at++] != i && ++failures <= 20)
					printf("thin_f32__scalar: keep=%d pass=%d: place %d is %d, expected %d\n", keep, pass,
						at - 1, (int)places[at - 1], i);
			}
			check_near("thin_count", "rows", keep, (float)at, (double)kept, 0, 0);
			checks++;
			failures += places[kept] != -7 || scratch[ROWS] != 5;
			gather_f32__scalar(y, x, places, kept, WIDTH);
			spread_f32__scalar(back, y, places, rows_now, kept, WIDTH);
			check_same("gather_f32__scalar", "writes past the end", y + kept * WIDTH, &UNTOUCHED, 4);
			check_same("spread_f32__scalar", "writes past the end", back + rows_now * WIDTH, &UNTOUCHED, 4);
			for (int i = 0, last = 0, next = 0; i < rows_now; i++) {
				if (next < kept && places[next] == i) {
					check_same("gather_f32__scalar", "row", y + next * WIDTH, x + i * WIDTH, WIDTH * 4);
					last = i;
					next++;
				}
				check_same("spread_f32__scalar", "row", back + i * WIDTH, x + last * WIDTH, WIDTH * 4);
			}
			free(x);
			free(y);
			free(back);
		}
	int32_t none = -7;
	thin_f32__scalar(&none, NULL, NULL, 0, WIDTH, thin_count(NULL, 0, 4), NULL);
	checks++;
	failures += none != -7;
}
