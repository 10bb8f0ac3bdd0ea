/* kernel_checks_moves.h: ops that look up, move and join rows: embed, pooling, positions, tensor ops; and the
 * decision of exits. Part of kernel_checks.h. */

/* ---- embed, rows, tensor --------------------------------------------------------------------- */
typedef void EmbedFn(float *, const void *, const int32_t *, int, int, int, int);

typedef void EmbedI8Fn(float *, const void *, const int32_t *, const float *, const float *, int, int, int);

static int8_t nibble_of(int8_t byte, int column)
{
	const int half = column % 2 ? (uint8_t)byte / 16 : (uint8_t)byte % 16;
	return (int8_t)(half < 8 ? half : half - 16);
}

/* Codes of eight bits, or of four bits with two per byte and an even H. */
static void check_embed_codes(const Row *row, int H)
{
	enum { V = 5, ROWS = 7 };
	const bool int4 = row->op == OP_EMBED_I4;
	int32_t ids[ROWS];
	float *scales = random_floats(V), *added = random_floats((size_t)(ROWS * H)),
		  *out = fresh((size_t)(ROWS * H) + 1);
	int8_t *table = need((size_t)(V * H));
	for (int i = 0; i < V * H; i++)
		table[i] = (int8_t)(draw() % 255 - 127);
	for (int r = 0; r < ROWS; r++)
		ids[r] = (int32_t)(draw() % V);
	for (int with = 0; with < 2; with++) {
		((EmbedI8Fn *)row->fn)(out, table, ids, scales, with ? added : NULL, 1, ROWS, H);
		for (int i = H; i < ROWS * H; i++) {
			const int id = ids[i / H], column = i % H;
			float want = (float)(int4 ? nibble_of(table[(id * H + column) / 2], column)
									  : table[id * H + column])
				* scales[id];
			want = with ? want + added[i] : want;
			check_same(row->name, "embed codes", out + i, &want, sizeof want);
		}
		check_same(row->name, "embed codes: writes past the end", out + ROWS * H, &UNTOUCHED, 4);
		check_same(row->name, "embed codes: writes rows not asked for", out, &UNTOUCHED, 4);
	}
	free(scales);
	free(added);
	free(out);
	free(table);
}

static void check_embed(void)
{
	const int32_t ids[] = {4, 0, 8, 4, 1};
	for (const Row *row = rows; row < rows + nrows; row++) {
		for (int H = 1; H < 70 && row->op == OP_EMBED_I8; H += 4)
			check_embed_codes(row, H);
		for (int H = 2; H < 70 && row->op == OP_EMBED_I4; H += 4)
			check_embed_codes(row, H);
		for (int H = 1; H < 70 && row->op == OP_EMBED; H += 4)
			for (int panel = 1; panel <= 16; panel *= 4) { /* 16 is more than the number of rows */
				double *exact;
				void *table = random_stored(
					(size_t)((9 + panel - 1) / panel * panel * H), row->dtype, &exact);
				float *out = fresh((size_t)(5 * H));
				((EmbedFn *)row->fn)(out, table, ids, 1, 4, H, panel);
				for (int i = 0; i < 5 * H; i++) {
					const int id = ids[i / H], at = (id / panel * H + i % H) * panel + id % panel;
					check_near(row->name, "embed", i, out[i],
						i / H >= 1 && i / H < 4 ? exact[at] : (double)UNTOUCHED, 0, 0);
				}
				free(table);
				free(exact);
				free(out);
			}
	}
	for (unsigned bits = 0; bits < 65536; bits++) {
		check_near("math_from_f16", "bits", (long)bits, math_from_f16((uint16_t)bits),
			from_f16((uint16_t)bits), 0, 0);
		check_near("math_from_bf16", "bits", (long)bits, math_from_bf16((uint16_t)bits),
			from_bf16((uint16_t)bits), 0, 0);
	}
}

/* One column of x[tokens][width] as one number, from row `first` on. */
static double pool_exact(int mode, const float *column, int first, int tokens, int width)
{
	double sum = 0, top = -INFINITY, weighted = 0, weights = 0, n = tokens - first;
	if (first >= tokens)
		return mode == RT_POOL_FIRST && tokens ? (double)column[0] : 0;
	for (int t = first; t < tokens; t++) {
		const double x = (double)column[t * width];
		sum += x;
		weighted += x * (t + 1);
		weights += t + 1;
		top = fmax(top, x);
	}
	switch (mode) {
	case RT_POOL_FIRST: return (double)column[first * width];
	case RT_POOL_LAST: return (double)column[(tokens - 1) * width];
	case RT_POOL_MEAN: return sum / n;
	case RT_POOL_MAX: return top;
	case RT_POOL_MEAN_SQRT: return sum / sqrt(n);
	case RT_POOL_SUM: return sum;
	default: return weighted / weights;
	}
}

static void check_rows(void)
{
	for (int tokens = 0; tokens < 6; tokens++) {
		enum { H = 5 };
		float *x = random_floats((size_t)(tokens * H) + 1), out[H];
		int32_t at[6] = {0};
		for (int mode = RT_POOL_FIRST; mode <= RT_POOL_SUM; mode++)
			for (int first = 0; first <= tokens + 1; first++) {
				pool_f32__scalar(out, x, tokens, H, mode, first);
				for (int i = 0; i < H; i++)
					check_near("pool_f32__scalar", "mode", mode, out[i],
						pool_exact(mode, x + i, first, tokens, H), 0, 1e-6);
			}
		position_ids_i32__scalar(at, tokens, 2);
		for (int t = 0; t < 6; t++)
			check_near("position_ids_i32__scalar", "tokens", t, (float)at[t], t < tokens ? t + 2 : 0, 0, 0);
		const int32_t ids[6] = {0, 1, 7, 1, 1, 9}, places[6] = {2, 1, 3, 1, 1, 4};
		position_ids_padding_i32__scalar(at, ids, tokens, 2, 1);
		for (int t = 0; t < tokens; t++)
			check_near("position_ids_padding_i32__scalar", "tokens", t, (float)at[t], places[t], 0, 0);
		memset(x, 0, 4);
		normalize_f32__scalar(x, x, 0, tokens, H, 1e-12f);
		for (int t = 0; t < tokens; t++) {
			double squares = 0;
			for (int i = 0; i < H; i++)
				squares += (double)x[t * H + i] * (double)x[t * H + i];
			check_near("normalize_f32__scalar", "norm", t, (float)squares, 1, 0, 1e-6);
		}
		free(x);
	}
	float zeros[3] = {0, 0, 0};
	normalize_f32__scalar(zeros, zeros, 0, 1, 3, 1e-12f);
	check_near("normalize_f32__scalar", "zeros", 0, zeros[0], 0, 0, 0);
}

static void check_rmsnorm(void)
{
	for (int H = 1; H < 40; H += 3) { /* with and without full lanes */
		float *x = random_floats((size_t)H * 3), *y = random_floats((size_t)H * 3),
			  *gamma = random_floats((size_t)H);
		memcpy(y, x, (size_t)H * sizeof *y); /* row 0 stays */
		rmsnorm_f32__scalar(y, x, gamma, 1, 3, H, 0.25f);
		for (int i = 0; i < 3 * H; i++) {
			const int row = i / H;
			double squares = 0;
			for (int k = 0; k < H; k++)
				squares += (double)x[row * H + k] * (double)x[row * H + k];
			const double want = (double)x[i] * (double)gamma[i % H] / sqrt(squares / H + 0.25);
			check_near("rmsnorm_f32__scalar", "H", H, y[i], row ? want : (double)x[i], 0, 1e-6);
		}
		free(x), free(y), free(gamma);
	}
}

/* Column i of a rotated row. */
static double rotary_exact(
	const float *row, const float *angles, int i, int d, int r, int heads, bool neighbours)
{
	const int at = i % d, half = r / 2, wrapped = at % (half ? half : 1),
			  pair = neighbours ? at / 2 : wrapped;
	if (i / d >= heads || at >= r)
		return (double)row[i];
	const double cosine = (double)angles[pair], sine = (double)angles[half + pair];
	const int apart = neighbours ? 1 : half;
	const bool first = neighbours ? at % 2 == 0 : at < half;
	return first ? (double)row[i] * cosine - (double)row[i + apart] * sine
				 : (double)row[i] * cosine + (double)row[i - apart] * sine;
}

static void check_rotary(void)
{
	enum { ROWS = 3, H = 24 };
	static const int forms[][3] = {{8, 8, 3}, {8, 8, 2}, {8, 6, 3}, {12, 2, 1}, {24, 24, 1}};
	for (size_t f = 0; f < 2 * sizeof forms / sizeof *forms; f++) {
		const bool neighbours = f % 2;
		const int d = forms[f / 2][0], r = forms[f / 2][1], heads = forms[f / 2][2];
		const int apart = neighbours ? 1 : r / 2;
		float *x = random_floats(ROWS * H), *angles = random_floats(ROWS * H), *y = random_floats(ROWS * H);
		memcpy(y, x, H * sizeof *y); /* row 0 stays */
		rotary_f32__scalar(y, x, angles, 1, ROWS, H, d, r, heads, apart);
		for (int i = H; i < ROWS * H; i++) {
			const int row = i / H;
			const double want = rotary_exact(x + row * H, angles + row * r, i % H, d, r, heads, neighbours);
			check_near("rotary_f32__scalar", "form", (int)f, y[i], want, 1e-6, 1e-6);
		}
		for (int i = 0; i < H; i++)
			check_near("rotary_f32__scalar", "row 0", i, y[i], (double)x[i], 0, 0);
		rotary_f32__scalar(x, x, angles, 1, ROWS, H, d, r, heads, apart); /* in place: the same bytes */
		check_near(
			"rotary_f32__scalar", "in place", (int)f, (float)memcmp(x, y, ROWS * H * sizeof *x), 0, 0, 0);
		free(x), free(angles), free(y);
	}
}

static void check_tensor(void)
{
	enum { A = 2, B = 3, C = 4, D = 5 };
	float x[A * B * C * D], y[A * B * C * D], z[A * B * C * D];
	for (int i = 0; i < A * B * C * D; i++)
		x[i] = uniform();
	const int dims[] = {A, B, C, D}, perm[] = {2, 0, 3, 1};
	transpose_f32__scalar(y, x, 4, dims, perm);
	for (int a = 0; a < A; a++)
		for (int b = 0; b < B; b++)
			for (int c = 0; c < C; c++)
				for (int d = 0; d < D; d++)
					check_near("transpose_f32__scalar", "element", a, y[((c * A + a) * D + d) * B + b],
						(double)x[((a * B + b) * C + c) * D + d], 0, 0);
	slice_f32__scalar(y, x, A * B, C, 1, 3, D);
	for (int o = 0; o < A * B; o++)
		for (int i = 0; i < 2 * D; i++)
			check_near(
				"slice_f32__scalar", "element", i, y[o * 2 * D + i], (double)x[o * C * D + D + i], 0, 0);
	concat_f32__scalar(z, y, A * B, 2, 1, C, D);
	for (int o = 0; o < A * B; o++)
		for (int i = 0; i < 2 * D; i++)
			check_near(
				"concat_f32__scalar", "element", i, z[o * C * D + D + i], (double)x[o * C * D + D + i], 0, 0);
	for (int start = -A * B - 1; start <= A * B + 1; start++) { /* rows of C * D */
		shift_f32__scalar(y, x, A * B, C * D, start);
		for (int i = 0; i < A * B * C * D; i++) {
			const int from = i + start * C * D;
			const bool inside = from >= 0 && from < A * B * C * D;
			check_near("shift_f32__scalar", "element", i, y[i], inside ? (double)x[from] : 0, 0, 0);
		}
	}
	copy_f32__scalar(y, x, A * B * C * D);
	check_same("copy_f32__scalar", "copy", x, y, sizeof x);
	matmul_f32__scalar(z, x, x + A * B * C, A, B, D, C); /* x[A][B][C] times [A][C][D] */
	for (int a = 0; a < A; a++)
		for (int b = 0; b < B; b++)
			for (int d = 0; d < D; d++) {
				double sum = 0;
				for (int c = 0; c < C; c++)
					sum += (double)x[(a * B + b) * C + c] * (double)x[A * B * C + (a * C + c) * D + d];
				check_near("matmul_f32__scalar", "element", (a * B + b) * D + d, z[(a * B + b) * D + d], sum,
					0, 1e-6);
			}
	const int whole[] = {C * D, D, 1}, column[] = {0, 1, 0},
			  box[] = {B, C, D}; /* b[C] along the middle axis */
	for (int op = RT_BINARY_ADD; op <= RT_BINARY_DIV; op++) {
		binary_f32__scalar(y, x, x + 7, 3, box, whole, column, op);
		for (int i = 0; i < B * C * D; i++) {
			double a = (double)x[i], b = (double)x[7 + i / D % C];
			const double want[] = {[RT_BINARY_ADD] = a + b,
				[RT_BINARY_SUB] = a - b,
				[RT_BINARY_MUL] = a * b,
				[RT_BINARY_DIV] = a / b};
			check_near("binary_f32__scalar", "element", i, y[i], want[op], 0, 1e-6);
		}
	}
}

/* The entropy of a softmax: log n if all logits are equal, 0 if one is much larger. Other cases are compared
 * with the definition. */
/* Fewer rows than taps, and more; one weight for a column of all rows, or for a head of one row. */
static void check_convolve(void)
{
	enum { ROWS = 9, H = 12, TAPS = 5 };
	float x[ROWS * H], y[ROWS * H], w[ROWS * H * TAPS];
	for (int i = 0; i < ROWS * H; i++)
		x[i] = uniform();
	for (int i = 0; i < ROWS * H * TAPS; i++)
		w[i] = uniform();
	for (int n = 0; n < 4 * ROWS * TAPS; n++) {
		static const int heads_of[] = {0, 1, 3, 12};
		const int heads = heads_of[n % 4], rows = n / 4 % ROWS + 1, taps = n / 4 / ROWS + 1;
		const int own = rows % 2;
		convolve_f32__scalar(y, x, w, rows, H, taps, heads, own);
		for (int at = 0; at < rows * H; at++) {
			const int i = at / H, c = at % H;
			double sum = 0;
			for (int k = 0; k < taps; k++) {
				const int from = i + k - taps / 2,
						  weight = heads ? (own * i * heads + c / (H / heads)) * taps + k : k * H + c;
				if (from >= 0 && from < rows)
					sum += (double)x[from * H + c] * (double)w[weight];
			}
			check_near("convolve_f32__scalar", "element", at, y[at], sum, taps, 1e-6);
		}
	}
}

static void check_bag(void)
{
	static const float weights[] = {1, -2, 0.5f, 3};
	static const int32_t ids[] = {3, 1, 3, 0, 3};
	static const float want[] = {1, -2, 0, 9}, none[] = {0, 0, 0, 0};
	float y[5] = {7, 7, 7, 7, 7};
	bag_f32__scalar(y, weights, ids, 5, 4);
	for (int i = 0; i < 4; i++)
		check_near("bag_f32__scalar", "word", i, y[i], want[i], 1, 0);
	bag_f32__scalar(y, weights, ids, 0, 4);
	for (int i = 0; i < 4; i++)
		check_near("bag_f32__scalar", "no tokens", i, y[i], none[i], 1, 0);
	check_near("bag_f32__scalar", "behind", 4, y[4], 7, 1, 0);
}

static void check_fourier(void)
{
	enum { MOST = 67, H = 3 };
	static const double turn = 6.28318530717958647693;
	float x[MOST * 2 * H], y[MOST * H];
	for (int i = 0; i < MOST * 2 * H; i++)
		x[i] = uniform();
	for (int rows = 1; rows <= MOST; rows += rows < 9 ? 1 : 29) {
		fourier_f32__scalar(y, x, rows, H);
		for (int at = 0; at < rows * H; at++) {
			double sum = 0;
			for (int t = 0; t < rows; t++) {
				const double angle = turn * (double)(at / H * t % rows) / (double)rows;
				sum += cos(angle) * (double)x[t * 2 * H + at % H]
					- sin(angle) * (double)x[(t * 2 + 1) * H + at % H];
			}
			check_near("fourier_f32__scalar", "element", at, y[at], sum, rows, 1e-6);
		}
	}
}

typedef void RecurrentFn(float *, const float *, const float *, const float *, int, int, int, void *);

enum { RECURRENT_ROWS = 5, RECURRENT_MOST = 67 };
static double gate(double x) { return 1 / (1 + exp(-x)); }

/* The states in double, by the definition of the ops. */
static void recurrent_exact(double *want, const float *x, const float *w, const float *bias, int rows,
	int width, int gates, int reverse)
{
	double cell[RECURRENT_MOST] = {0}, state[RECURRENT_MOST] = {0};
	for (int t = 0; t < rows; t++) {
		const int row = reverse ? rows - 1 - t : t;
		for (int u = 0; u < width; u++) {
			double a[4] = {0}, s[4] = {0};
			for (int g = 0; g < gates; g++) {
				const int at = g * width + u;
				a[g] = (double)x[row * gates * width + at];
				s[g] = (double)bias[at];
				for (int k = 0; k < width; k++)
					s[g] += state[k] * (double)w[k * gates * width + at];
			}
			double *out = want + row * width + u;
			if (gates == 4) {
				cell[u] = gate(a[1] + s[1]) * cell[u] + gate(a[0] + s[0]) * tanh(a[2] + s[2]);
				*out = gate(a[3] + s[3]) * tanh(cell[u]);
			} else {
				const double keep = gate(a[1] + s[1]);
				*out = (1 - keep) * tanh(a[2] + gate(a[0] + s[0]) * s[2]) + keep * state[u];
			}
		}
		memcpy(state, want + row * width, (size_t)width * sizeof *state);
	}
}

/* w[width][gates * width] in panels, as pack-weights writes it. */
static void recurrent_packed(float *to, const float *w, int width, int gates, int panel)
{
	memset(to, 0, (size_t)((width + panel - 1) / panel * panel * gates * width) * sizeof *to);
	for (int k = 0; k < width; k++)
		for (int g = 0; g < gates; g++)
			for (int u = 0; u < width; u++)
				to[((u / panel * width + k) * gates + g) * panel + u % panel] = w[(k * gates + g) * width
					+ u];
}

/* Widths around blocks and vectors, both directions; nothing is written behind the result. */
static void check_recurrent(void)
{
	enum { GATES = 4 * RECURRENT_MOST };
	static const int widths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 49, RECURRENT_MOST};
	static float x[RECURRENT_ROWS * GATES], w[RECURRENT_MOST * GATES], packed[(GATES + 64) * RECURRENT_MOST],
		bias[GATES], y[RECURRENT_ROWS * RECURRENT_MOST + 1], scratch[6 * GATES];
	static double want[RECURRENT_ROWS * RECURRENT_MOST];
	for (int i = 0; i < RECURRENT_ROWS * GATES; i++)
		x[i] = 3 * uniform();
	for (int i = 0; i < RECURRENT_MOST * GATES; i++)
		w[i] = uniform();
	for (int i = 0; i < GATES; i++)
		bias[i] = uniform();
	for (size_t n = 0; n < 2 * (sizeof widths / sizeof *widths) * RECURRENT_ROWS * 2; n++) {
		const int width = widths[n / 2 % (sizeof widths / sizeof *widths)], reverse = n & 1,
				  count = (int)(n / 2 / (sizeof widths / sizeof *widths)) % RECURRENT_ROWS + 1,
				  gates = n < (sizeof widths / sizeof *widths) * RECURRENT_ROWS * 2 ? 4 : 3;
		recurrent_exact(want, x, w, bias, count, width, gates, reverse);
		for (const Row *row = rows; row < rows + nrows; row++) {
			if (!row_is(row, gates == 4 ? OP_LSTM : OP_GRU, 0))
				continue;
			recurrent_packed(packed, w, width, gates, (int)row->panel);
			const size_t size = (size_t)row->staged * (size_t)((gates * width + 63) / 64 * 64)
				/ sizeof *scratch;
			for (size_t i = 0; i <= size; i++)
				scratch[i] = NAN;
			y[count * width] = 7;
			((RecurrentFn *)row->fn)(y, x, packed, bias, count, width, reverse, scratch);
			check_near(row->name, "scratch", 0, isnan(scratch[size]), 1, 0, 0);
			for (int i = 0; i < count * width; i++)
				check_near(row->name, "state", i, y[i], want[i], 1, 2e-5);
			check_near(row->name, "behind", width, y[count * width], 7, 0, 0);
		}
	}
}

static void check_exit(void)
{
	float x[64];
	for (int n = 1; n <= 64; n += n < 8 ? 1 : 13) {
		for (int i = 0; i < n; i++)
			x[i] = 700;
		check_near("exit_f32__scalar", "all alike", n, (float)exit_f32__scalar(x, n), log(n), 1e-12, 1e-6);
		x[n / 2] += 2000;
		check_near("exit_f32__scalar", "one ahead", n, (float)exit_f32__scalar(x, n), 0, 0, 0);
		double sum = 0, entropy = 0;
		for (int i = 0; i < n; i++)
			sum += exp((double)(x[i] = (float)(i * 7 % 11) * 0.3f - 1));
		for (int i = 0; i < n; i++)
			entropy -= exp((double)x[i]) / sum * log(exp((double)x[i]) / sum);
		check_near("exit_f32__scalar", "entropy", n, (float)exit_f32__scalar(x, n), entropy, 1e-9, 1e-6);
	}
	x[0] = NAN;
	if (exit_f32__scalar(x, 2) < 1e9) /* a text with NaN logits does not exit */
		failures++;
}
