/* kernel_checks_select.h: the keys that a query keeps, the attention that a token receives, the rows that
 * thin keeps. Scores are small whole numbers, many of them equal. All kernels thus compute exactly the same
 * scores, and must select exactly as the definition. Part of kernel_checks.h. */

typedef void AttentionSelectFn(float *, const float *, const float *, const float *, int, int, int, int, int,
	int, int, int, int, float, int, float, void *);
typedef void ReceivedFn(
	float *, const float *, const float *, int, int, int, int, int, int, int, float, int, float, void *);

/* Of the scores of all these checks. */
static const float SELECT_SCALE = 0.25f;

static float *whole_floats(size_t count, int most)
{
	float *x = random_floats(count);
	for (size_t i = 0; i < count; i++)
		x[i] = rintf(x[i] * (float)most);
	return x;
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
		all += exp(score[i] - top);
	if (threshold > 0) {
		keep = 0;
		for (int i = 0; i < n; i++) {
			const double probability = exp(score[i] - top) / all;
			keep += probability >= threshold;
			clear &= fabs(probability - threshold) > 1e-5 * threshold;
		}
		keep = keep ? keep : 1;
	}
	for (int i = 0; i < n; i++) {
		int better = 0;
		for (int j = 0; j < n; j++)
			better += score[j] > score[i] || (score[j] == score[i] && j < i);
		p[i] = better < keep ? exp(score[i] - top) : 0;
		sum += p[i];
	}
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
	return (double)head[bias->reach + distance];
}

/* q k scale + biases: the scores of query i of head h, of a matrix whose rows hold the q, k and v of all
 * heads. */
static void score_reference(
	double *score, const float *qkv, int heads, int d, int h, int i, int keys, const RtBias *bias, int nbias)
{
	const int stride = 3 * heads * d;
	const float *q = qkv + (size_t)i * (size_t)stride + h * d;
	for (int t = 0; t < keys; t++) {
		const float *k = qkv + (size_t)t * (size_t)stride + (heads + h) * d;
		score[t] = 0;
		for (int j = 0; j < d; j++)
			score[t] += (double)SELECT_SCALE * (double)q[j] * (double)k[j];
		for (int b = 0; b < nbias; b++)
			score[t] += bias_exact(bias + b, h, i, t);
	}
}

/* The result of attention for such a matrix, unless rounding decides which keys are kept. */
static void check_selected(const Row *row, const char *what, const float *qkv, const float *out, int queries,
	int keys, int heads, int d, int keep, float threshold, const RtBias *bias, int nbias)
{
	const bool bf16 = strstr(row->name, "bf16") != NULL; /* rounds the scale times log2 e, and the weights */
	const int H = heads * d;
	double *score = need((size_t)keys * sizeof *score + 8), *p = need((size_t)keys * sizeof *p + 8);
	for (int h = 0; h < heads; h++)
		for (int i = 0; i < queries; i++) {
			score_reference(score, qkv, heads, d, h, i, keys, bias, nbias);
			if (!select_reference(p, score, keys, keep, (double)threshold))
				continue;
			for (int j = h * d; j < (h + 1) * d; j++) {
				double want = 0;
				for (int t = 0; t < keys; t++)
					want += p[t] * (double)qkv[t * 3 * H + 2 * H + j];
				check_near(row->name, what, (long)(i * H + j), out[i * H + j], want, 0, bf16 ? 6e-2 : 1e-5);
			}
		}
	free(score);
	free(p);
}

static void check_select_size(const Row *row, int queries, int keys, int d, int keep, float threshold)
{
	enum { HEADS = 2 };
	const int H = HEADS * d, stride = 3 * H;
	char what[100];
	const size_t bytes = attention_bytes(row, keys, d);
	float *qkv = whole_floats((size_t)rt_max(queries, keys) * (size_t)stride + 1, 2),
		  *out = fresh((size_t)(queries * H) + 1);
	float *again = fresh((size_t)(queries * H) + 1);
	unsigned char *scratch = guarded_scratch(bytes);
	AttentionSelectFn *fn = (AttentionSelectFn *)row->fn;
	fn(out, qkv, qkv + H, qkv + 2 * H, queries, keys, HEADS, d, stride, stride, stride, 0, HEADS,
		SELECT_SCALE, keep, threshold, scratch);
	for (int h = HEADS - 1; h >= 0; h--)
		fn(again, qkv, qkv + H, qkv + 2 * H, queries, keys, HEADS, d, stride, stride, stride, h, h + 1,
			SELECT_SCALE, keep, threshold, scratch);
	snprintf(what, sizeof what, "queries=%d keys=%d d=%d keep=%d threshold=%g", queries, keys, d, keep,
		(double)threshold);
	check_heads(row, what, out, again, queries * H);
	guarded_check(row, scratch, bytes);
	check_selected(row, what, qkv, out, queries, keys, HEADS, d, keep, threshold, NULL, 0);
	free(qkv);
	free(out);
	free(again);
}

static void check_attention_select(void)
{
	const int lengths[] = {1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 65, 128}, widths[] = {1, 4, 15, 16, 32, 33};
	for (const Row *row = rows; row < rows + nrows; row++) {
		if (!row_is(row, OP_ATTENTION, KERNEL_SELECT))
			continue;
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
			for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
				const int n = lengths[i];
				check_select_size(row, n, n, widths[j], 1 + (int)((7 * i + j) % (size_t)n), 0);
				check_select_size(row, n, n, widths[j], n, 0.05f);
				check_select_size(row, 1, n, widths[j], 1, 0);
				check_select_size(row, rt_min(n, 5), n, widths[j], n + 1, 1.0f);
			}
		check_select_size(row, 3, 0, 8, 1, 0); /* a text without tokens */
	}
}

static void check_received_size(const Row *row, int tokens, int heads, int d, int keep, float threshold)
{
	const int H = heads * d, stride = 3 * H;
	char what[100];
	const size_t bytes = attention_bytes(row, tokens, d);
	float *qkv = whole_floats((size_t)tokens * (size_t)stride + 1, 2),
		  *out = fresh((size_t)(tokens * heads) + 1);
	float *again = fresh((size_t)(tokens * heads) + 1);
	unsigned char *scratch = guarded_scratch(bytes);
	double *score = need((size_t)tokens * sizeof *score + 8), *p = need((size_t)tokens * sizeof *p + 8);
	double *sum = need((size_t)(tokens * heads) * sizeof *sum + 8);
	ReceivedFn *fn = (ReceivedFn *)row->fn;
	bool clear = true;
	fn(out, qkv, qkv + H, tokens, heads, d, stride, stride, 0, heads, SELECT_SCALE, keep, threshold, scratch);
	for (int h = heads - 1; h >= 0; h--)
		fn(again, qkv, qkv + H, tokens, heads, d, stride, stride, h, h + 1, SELECT_SCALE, keep, threshold,
			scratch);
	snprintf(what, sizeof what, "tokens=%d heads=%d d=%d keep=%d threshold=%g", tokens, heads, d, keep,
		(double)threshold);
	check_heads(row, what, out, again, tokens * heads);
	guarded_check(row, scratch, bytes);
	memset(sum, 0, (size_t)(tokens * heads) * sizeof *sum);
	for (int h = 0; h < heads; h++)
		for (int i = 0; i < tokens; i++) {
			score_reference(score, qkv, heads, d, h, i, tokens, NULL, 0);
			clear &= select_reference(p, score, tokens, keep, (double)threshold);
			for (int t = 0; t < tokens; t++)
				sum[t * heads + h] += p[t];
		}
	for (int i = 0; i < tokens * heads && clear; i++)
		check_near(row->name, what, i, out[i], sum[i], 0, 1e-5);
	free(qkv);
	free(out);
	free(again);
	free(score);
	free(p);
	free(sum);
}

static void check_received(void)
{
	const int lengths[] = {0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 65, 128}, widths[] = {1, 8, 15, 32, 33};
	for (const Row *row = rows; row < rows + nrows; row++)
		for (size_t i = 0; row->op == OP_RECEIVED && i < sizeof lengths / sizeof *lengths; i++)
			for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
				check_received_size(row, lengths[i], 1 + (int)(j % 3), widths[j], INT32_MAX, 0);
				check_received_size(row, lengths[i], 2, widths[j], 3, 0);
				check_received_size(row, lengths[i], 1, widths[j], INT32_MAX, 0.1f);
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
