/* test_sparse.c: the packed form of sparse weights: unpacking restores the matrix, and bytes that kernels
 * cannot read safely are refused. */
#include "tests/unit/suite.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"

static uint64_t seed = 1;
static uint32_t draw(void)
{
	return (uint32_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33);
}

/* A matrix with `percent` nonzero elements. */
static Tensor matrix(DType dtype, int64_t outputs, int64_t inputs, unsigned percent)
{
	const size_t size = dtype == DT_I8 ? 1 : 4, count = (size_t)(outputs * inputs);
	char *data = calloc(count + 1, size);
	for (size_t i = 0; i < count; i++)
		if (draw() % 100 < percent) {
			const float x = (float)(int)(draw() % 254) - 127;
			if (dtype == DT_I8)
				data[i] = (char)x;
			else
				memcpy(data + 4 * i, &x, 4);
		}
	return (Tensor){
		.data = data, .type = {.dtype = dtype, .rank = 2, .dim = {{.plus = outputs}, {.plus = inputs}}}};
}

/* Inputs of one class, which are no neighbours, are read by one output of eight: an eighth of the words is
 * left once they are. */
static Tensor classes(int64_t outputs, int64_t inputs)
{
	Tensor weight = matrix(DT_I8, outputs, inputs, 0);
	int8_t *codes = (int8_t *)(uintptr_t)weight.data;
	for (int64_t n = 0; n < outputs; n++)
		for (int64_t k = 0; k < inputs; k++)
			codes[n * inputs + k] = (int8_t)(k % 8 == n % 8 ? 1 + (int)(draw() % 127) : 0);
	return weight;
}

static void *packed_of(const Tensor *weight, int64_t *bytes)
{
	*bytes = sparse_pack(weight, NULL);
	void *packed = malloc((size_t)*bytes); /* exactly: ASan sees what is read past it */
	CU_ASSERT_EQUAL_FATAL(sparse_pack(weight, packed), *bytes);
	return packed;
}

static void test_round_trip(void)
{
	static const int64_t sizes[][2] = {
		{1, 1}, {1, 5}, {16, 384}, {17, 385}, {33, 7}, {70, 1537}, {15, 96}, {16, 97}};
	static const unsigned percents[] = {0, 1, 10, 50, 100};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (size_t p = 0; p < sizeof percents / sizeof *percents; p++)
			for (int as_float = 0; as_float < 2; as_float++) {
				const DType dtype = as_float ? DT_F32 : DT_I8;
				const int64_t N = sizes[i][0], K = sizes[i][1], words = sparse_words(K, dtype),
							  row_bytes = K * (as_float ? 4 : 1);
				int64_t bytes;
				Tensor weight = matrix(dtype, N, K, percents[p]);
				void *packed = packed_of(&weight, &bytes), *row = malloc((size_t)words * SPARSE_WORD);
				CU_ASSERT(sparse_is_valid(packed, bytes, N, words, dtype));
				CU_ASSERT(!sparse_is_valid(packed, bytes - 1, N, words, dtype));
				CU_ASSERT(!sparse_is_valid(packed, bytes, N + SPARSE_PANEL, words, dtype));
				for (int64_t n = 0; n < N; n++) {
					sparse_row(packed, N, words, n, row);
					CU_ASSERT(!memcmp(row, (const char *)weight.data + n * row_bytes, (size_t)row_bytes));
				}
				free(row);
				free(packed);
				free((void *)(uintptr_t)weight.data);
			}
}

/* The same of codes whose inputs are in another order, and of a last word that is not whole. */
static void test_round_trip_ordered(void)
{
	for (int64_t inputs = 256; inputs <= 390; inputs += 67) {
		int64_t bytes;
		const int64_t words = sparse_words(inputs, DT_I8);
		Tensor weight = classes(70, inputs);
		void *packed = packed_of(&weight, &bytes), *row = malloc((size_t)words * SPARSE_WORD);
		CU_ASSERT(bytes < 70 * inputs / 8 * 2 + 5000 && sparse_is_valid(packed, bytes, 70, words, DT_I8));
		CU_ASSERT(!sparse_is_valid(packed, bytes, 70, words, DT_F32));
		for (int64_t n = 0; n < 70; n++) {
			sparse_row(packed, 70, words, n, row);
			CU_ASSERT(!memcmp(row, (const char *)weight.data + n * inputs, (size_t)inputs));
		}
		free(row);
		free(packed);
		free((void *)(uintptr_t)weight.data);
	}
}

static void test_density(void)
{
	int8_t codes[2][9] = {{0, 0, 0, 0, 0, 0, 1, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 2}};
	const Tensor weight = {
		.data = codes, .type = {.dtype = DT_I8, .rank = 2, .dim = {{.plus = 2}, {.plus = 9}}}};
	CU_ASSERT_DOUBLE_EQUAL(sparse_density(&weight, 4), 2.0 / 6, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(sparse_density(&weight, 1), 2.0 / 18, 1e-12);
	float negative_zero[2] = {-0.0f, 1}, row[2]; /* what a mask makes of a negative weight */
	const Tensor one = {
		.data = negative_zero, .type = {.dtype = DT_F32, .rank = 2, .dim = {{.plus = 1}, {.plus = 2}}}};
	CU_ASSERT_DOUBLE_EQUAL(sparse_density(&one, 1), 0.5, 1e-12);
	int64_t bytes;
	void *packed = packed_of(&one, &bytes);
	/* one word, filled up to two of four outputs */
	CU_ASSERT_EQUAL(
		bytes, 2 * 4 + SPARSE_PANEL / SPARSE_BAND * (SPARSE_BAND + 1) + 2 * SPARSE_BAND * (1 + SPARSE_WORD));
	sparse_row(packed, 1, 2, 0, row);
	CU_ASSERT(row[0] == 0 && !signbit(row[0]) && row[1] == 1);
	free(packed);
}

/* Nine tenths of the weights zero, each for itself: a third of the words of neighbours stays, less in another
 * order, and what fills bands of four outputs up is little. */
static void test_size(void)
{
	Tensor weight = matrix(DT_I8, 384, 384, 10);
	CU_ASSERT(sparse_density(&weight, 4) > 0.33 && sparse_left(&weight) < 0.32);
	CU_ASSERT(sparse_pack(&weight, NULL) * 95 < 384 * 384 * 4 * 10);
	free((void *)(uintptr_t)weight.data);
}

static void test_order(void)
{
	uint16_t order[64 * 4];
	bool seen[256] = {false};
	Tensor weight = classes(48, 256), few = classes(16, 256), fours = matrix(DT_I8, 48, 256, 0),
		   floats = matrix(DT_F32, 48, 256, 10);
	CU_ASSERT_DOUBLE_EQUAL(sparse_density(&weight, 4), 0.5, 1e-12);
	CU_ASSERT_EQUAL(sparse_order(&weight, order), 48 * 64 / 8);
	CU_ASSERT_DOUBLE_EQUAL(sparse_left(&weight), 0.125, 1e-12);
	for (int i = 0; i < 256; i++) {
		CU_ASSERT(order[i] < 256 && !seen[order[i]] && order[i] % 8 == order[i / 4 * 4] % 8);
		seen[order[i]] = true;
	}
	CU_ASSERT_EQUAL(sparse_order(&few, order),
		-1); /* two words less an input's word: bringing it to its place takes longer */
	CU_ASSERT_EQUAL(sparse_order(&fours, order), -1);  /* nothing to gain */
	CU_ASSERT_EQUAL(sparse_order(&floats, order), -1); /* their words are single numbers */
	CU_ASSERT_DOUBLE_EQUAL(sparse_left(&floats), sparse_density(&floats, 1), 1e-12);
	const Tensor *all[] = {&weight, &few, &fours, &floats};
	for (int i = 0; i < 4; i++)
		free((void *)(uintptr_t)all[i]->data);
}

/* After any change, the bytes are refused, or every row can be read (checked by ASan). */
static void check_hostile(const Tensor *weight, bool ordered)
{
	int64_t bytes;
	const int64_t outputs = weight->type.dim[0].plus, words = sparse_words(weight->type.dim[1].plus, DT_I8);
	uint8_t *packed = packed_of(weight, &bytes), *row = malloc((size_t)words * SPARSE_WORD);
	int refused = 0;
	CU_ASSERT_EQUAL(packed[0] + 256 * packed[1] > 4 * (outputs / SPARSE_PANEL + 1) * 2 + 4, ordered);
	for (int i = 0; i < 20000; i++) {
		const int64_t at = i < bytes ? i : draw() % bytes;
		const uint8_t before = packed[at];
		packed[at] = (uint8_t)draw();
		if (sparse_is_valid(packed, bytes, outputs, words, DT_I8))
			for (int64_t n = 0; n < outputs; n++)
				sparse_row(packed, outputs, words, n, row);
		else
			refused++;
		packed[at] = before;
	}
	CU_ASSERT(refused > 1000);
	CU_ASSERT(sparse_is_valid(packed, bytes, outputs, words, DT_I8));
	free(packed);
	free(row);
}

static void test_hostile(void)
{
	Tensor weights[] = {matrix(DT_I8, 40, 500, 10), classes(70, 256)};
	for (int i = 0; i < 2; i++) {
		check_hostile(&weights[i], i == 1);
		free((void *)(uintptr_t)weights[i].data);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"what was packed comes back", test_round_trip},
		{"what was packed in another order comes back", test_round_trip_ordered},
		{"density counts groups", test_density},
		{"size at nine tenths", test_size},
		{"inputs that the same outputs read share words", test_order},
		{"damaged bytes are refused or harmless", test_hostile},
	};
	return SUITE_RUN("sparse", tests);
}
