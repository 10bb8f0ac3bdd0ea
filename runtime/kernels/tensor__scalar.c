/* tensor__scalar.c: ops of imported graphs that were not fused. They are rare and small, so the loops are
 * plain; fast graphs have none of them. Arrays are contiguous and row-major, out never overlaps an argument,
 * and the rank is at most 4. */

/* out[batch][M][N] = a[batch][M][K] b[batch][K][N], each sum from k = 0 upwards. */
RT_INLINE void matmul_f32__scalar(float *out, const float *a, const float *b, int batch, int M, int N, int K)
{
	for (int64_t r = 0; r < (int64_t)batch * M; r++) {
		float *y = out + r * N;
		const float *x = a + r * K, *w = b + r / M * K * N;
		memset(y, 0, (size_t)N * sizeof *y);
		for (int k = 0; k < K; k++)
			for (int n = 0; n < N; n++)
				y[n] += x[k] * w[(int64_t)k * N + n];
	}
}

/* Axis i of out is axis perm[i] of x[dims[0]]..[dims[rank-1]]. */
RT_INLINE void transpose_f32__scalar(float *out, const float *x, int rank, const int *dims, const int *perm)
{
	int64_t stride[4] = {0}, total = 1,
			from = 0; /* stride[i]: stride of x along axis i of out; from: position in x */
	int at[4] = {0};  /* indices of out */
	for (int i = 0; i < rank; i++)
		total *= dims[i];
	for (int i = 0; i < rank; i++) {
		stride[i] = 1;
		for (int axis = perm[i] + 1; axis < rank; axis++)
			stride[i] *= dims[axis];
	}
	for (int64_t n = 0; n < total; n++) {
		out[n] = x[from];
		for (int i = rank - 1; i >= 0; i--) {
			from += stride[i];
			if (++at[i] < dims[perm[i]])
				break;
			from -= stride[i] * at[i];
			at[i] = 0;
		}
	}
}

/* reshape: the same n elements. */
RT_INLINE void copy_f32__scalar(float *out, const float *x, int n)
{
	memcpy(out, x, (size_t)n * sizeof *out);
}

/* out[outer][end-start][inner] = x[outer][start..end-1][inner], x[outer][size][inner]. */
RT_INLINE void slice_f32__scalar(
	float *out, const float *x, int outer, int size, int start, int end, int inner)
{
	size_t run = (size_t)(end - start) * (size_t)inner;
	for (int o = 0; o < outer; o++)
		memcpy(out + (size_t)o * run, x + ((size_t)o * (size_t)size + (size_t)start) * (size_t)inner,
			run * sizeof *out);
}

/* out[outer][at..at+size-1][inner] = x[outer][size][inner], out[outer][total][inner]: one call per argument
 * of concat. */
RT_INLINE void concat_f32__scalar(
	float *out, const float *x, int outer, int size, int at, int total, int inner)
{
	size_t run = (size_t)size * (size_t)inner;
	for (int o = 0; o < outer; o++)
		memcpy(out + ((size_t)o * (size_t)total + (size_t)at) * (size_t)inner, x + (size_t)o * run,
			run * sizeof *out);
}

/* out[i] = x[i + start] for the rows [width] of a text; zeros where there is no such row. */
RT_INLINE void shift_f32__scalar(float *out, const float *x, int rows, int width, int start)
{
	for (int i = 0; i < rows; i++) {
		const int from = i + start;
		float *row = out + (size_t)i * (size_t)width;
		if (from >= 0 && from < rows)
			memcpy(row, x + (size_t)from * (size_t)width, (size_t)width * sizeof *out);
		else
			memset(row, 0, (size_t)width * sizeof *out);
	}
}

/* n elements; a step is 1, or 0 where a number is repeated. With literal steps and op it becomes vectors. */
RT_INLINE void binary_row(float *out, const float *a, const float *b, int n, int a_step, int b_step, int op)
{
	for (int i = 0; i < n; i++) {
		const float x = a[i * a_step], y = b[i * b_step];
		switch (op) {
		case RT_BINARY_ADD: out[i] = x + y; break;
		case RT_BINARY_SUB: out[i] = x - y; break;
		case RT_BINARY_MUL: out[i] = x * y; break;
		default: out[i] = x / y;
		}
	}
}

/* out[dims] = a op b, op is RT_BINARY_*; a and b are read with the given strides in floats, 0 where an axis
 * is broadcast. out may be a or b if their shapes are equal. */
RT_INLINE void binary_f32__scalar(float *out, const float *a, const float *b, int rank, const int *dims,
	const int *a_strides, const int *b_strides, int op)
{
	const int last = rank - 1, width = dims[last];
	int64_t rows = 1, i_a = 0, i_b = 0;
	int at[4] = {0};
	for (int i = 0; i < last; i++)
		rows *= dims[i];
	for (int64_t r = 0; r < rows; r++) {
		binary_row(out + r * width, a + i_a, b + i_b, width, a_strides[last], b_strides[last], op);
		for (int i = last - 1; i >= 0; i--) {
			i_a += a_strides[i];
			i_b += b_strides[i];
			if (++at[i] < dims[i])
				break;
			i_a -= (int64_t)a_strides[i] * at[i];
			i_b -= (int64_t)b_strides[i] * at[i];
			at[i] = 0;
		}
	}
}
