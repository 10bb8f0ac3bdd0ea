/* test_pack.c: --pack=small: runtime/unpack.h restores the input of codegen/pack.c byte for byte, refuses
 * damaged data, and never reads beyond it. */
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"
#include "codegen/pack.h"

static uint64_t state = 1;

static uint32_t random_below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

/* The packed form of a random matrix of i8 or f32 with `percent` nonzero elements. Some rows are all zeros,
 * some have none. */
static uint8_t *sparse_matrix(DType dtype, int outputs, int inputs, uint32_t percent, int spread, RtPacked *p)
{
	Tensor weight = {.type = type_make(dtype, 2, dim_number(outputs), dim_number(inputs))};
	weight.bytes = (int64_t)outputs * inputs * dtype_bytes[dtype];
	uint8_t *data = calloc((size_t)weight.bytes, 1);
	weight.data = data;
	for (int i = 0; i < outputs * inputs; i++) {
		const int row = i / inputs;
		const uint32_t some = row % 7 == 6 ? 100 : percent;
		if (random_below(100) < (row % 5 == 3 ? 0 : some)) {
			const int8_t code = (int8_t)((int)random_below((uint32_t)spread) - spread / 2);
			const float number = (float)code / 64;
			memcpy(data + i * dtype_bytes[dtype],
				dtype == DT_I8 ? (const void *)&code : (const void *)&number, (size_t)dtype_bytes[dtype]);
		}
	}
	*p = (RtPacked){.to_bytes = (size_t)sparse_pack(&weight, NULL),
		.outputs = outputs,
		.words = (int32_t)sparse_words(inputs, dtype),
		.word = dtype_bytes[dtype]};
	uint8_t *packed = malloc(p->to_bytes);
	CU_ASSERT_EQUAL(sparse_pack(&weight, packed), (int64_t)p->to_bytes);
	free(data);
	return packed;
}

/* A copy of the exact size, so that the sanitizer finds accesses beyond it. */
static int decode(const RtPacked *p, const uint8_t *coded, size_t bytes, const uint8_t *want)
{
	static UnpackTable tables[UNPACK_TABLES_MAX];
	RtPacked some = *p;
	some.from_bytes = bytes;
	uint8_t *from = malloc(bytes + !bytes), *to = malloc(p->to_bytes + !p->to_bytes);
	memcpy(from, coded, bytes);
	memset(to, 0xee, p->to_bytes);
	const int good = unpack_constant(&some, from, to, tables);
	CU_ASSERT(!good || memcmp(to, want, p->to_bytes) == 0);
	free(from);
	free(to);
	return good;
}

static size_t there_and_back(const uint8_t *data, RtPacked *p)
{
	uint8_t *coded = pack_constant(data, p), *again = pack_constant(data, p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(coded);
	CU_ASSERT(memcmp(coded, again, p->from_bytes) == 0);
	CU_ASSERT(decode(p, coded, p->from_bytes, data));
	free(coded);
	free(again);
	return p->from_bytes;
}

static void test_sparse(void)
{
	static const int sizes[][2] = {{1, 1}, {1, 4}, {3, 5}, {16, 384}, {17, 385}, {40, 1000}, {64, 768}};
	static const uint32_t densities[] = {0, 1, 10, 50, 100};
	RtPacked p;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (size_t d = 0; d < sizeof densities / sizeof *densities; d++)
			for (int spread = 2; spread <= 255; spread = spread * 8 - 1) {
				uint8_t *packed = sparse_matrix(DT_I8, sizes[i][0], sizes[i][1], densities[d], spread, &p);
				there_and_back(packed, &p);
				free(packed);
				packed = sparse_matrix(DT_F32, sizes[i][0], sizes[i][1], densities[d], spread, &p);
				there_and_back(packed, &p);
				free(packed);
			}
}

/* One code in ten is nonzero, with 127 equally frequent values: 4.69 bits for the position and 6.99 for the
 * value. Padding of groups and codes of whole bits cost the rest. */
static void test_sizes(void)
{
	RtPacked p = {.word = 1};
	Tensor weight = {.type = type_make(DT_I8, 2, dim_number(400), dim_number(400)), .bytes = 160000};
	int8_t *codes = calloc(160000, 1);
	for (int i = 0; i < 160000; i++)
		codes[i] = (int8_t)(random_below(10) ? 0 : random_below(127) + 1);
	weight.data = codes;
	p.to_bytes = (size_t)sparse_pack(&weight, NULL);
	p.outputs = 400;
	p.words = 100;
	uint8_t *packed = malloc(p.to_bytes);
	sparse_pack(&weight, packed);
	const double bits = 8.0 * (double)(there_and_back(packed, &p) - UNPACK_TABLES_MAX * UNPACK_LENGTHS)
		/ 16000;
	CU_ASSERT(bits > 12.4 && bits < 13);
	free(packed);
	free(codes);
}

static void test_plain(void)
{
	uint8_t data[4096];
	for (int word = 1; word <= 4; word *= 2)
		for (int kind = 0; kind < 3; kind++) {
			for (size_t i = 0; i < sizeof data; i++)
				switch (kind) {
				case 0: data[i] = 7; break;
				case 1: data[i] = (uint8_t)random_below(1 + random_below(9)); break;
				default: data[i] = (uint8_t)(i * 167 >> 1); /* all equally often: no code is shorter */
				}
			for (size_t bytes = 0; bytes <= sizeof data; bytes = bytes ? bytes * 16 : 16) {
				RtPacked p = {.to_bytes = bytes, .word = word};
				const size_t coded = there_and_back(data, &p),
							 head = (size_t)word * UNPACK_LENGTHS + UNPACK_PADDING;
				CU_ASSERT(kind || coded == head);
				CU_ASSERT(coded <= head + bytes + bytes / 2);
			}
		}
	/* Fibonacci counts give the longest codes: they are limited to the length of the table */
	int64_t before = 1;
	size_t at = 0;
	for (int64_t count = 1, s = 0; at + (size_t)count <= sizeof data; s++) {
		memset(data + at, (int)s, (size_t)count);
		at += (size_t)count;
		const int64_t next = count + before;
		before = count;
		count = next;
	}
	there_and_back(data, &(RtPacked){.to_bytes = at, .word = 1});
}

/* Truncation anywhere, any flipped bit, other sizes: refused, unless the bit has no meaning. */
static void test_damage(void)
{
	RtPacked p;
	for (int kind = 0; kind < 3; kind++) {
		uint8_t *packed = sparse_matrix(kind == 1 ? DT_F32 : DT_I8, 20, 390, 12, 99, &p);
		if (kind == 2)
			p = (RtPacked){.to_bytes = p.to_bytes, .word = 1};
		uint8_t *coded = pack_constant(packed, &p);
		const size_t bytes = p.from_bytes;
		for (size_t cut = 1; cut <= bytes; cut += 1 + cut / 8)
			CU_ASSERT(!decode(&p, coded, bytes - cut, packed) || cut <= UNPACK_PADDING);
		int taken = 0, turned = 0; /* an index of 0 has two codes, so a few flipped bits change nothing */
		for (size_t bit = 0; bit < 8 * bytes; bit += 1 + random_below(7)) {
			coded[bit / 8] ^= (uint8_t)(1 << bit % 8);
			taken += decode(&p, coded, bytes, packed) && bit / 8 < bytes - UNPACK_PADDING - 1;
			turned++;
			coded[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		CU_ASSERT(turned > 1000 && taken * 200 < turned);
		for (int round = 0; round < 300; round++) { /* valid lengths, then any bytes */
			uint8_t *noise = malloc(bytes);
			memcpy(noise, coded, bytes);
			for (size_t i = round % 2 ? 0 : (size_t)unpack_tables(&p) * UNPACK_LENGTHS; i < bytes; i++)
				noise[i] = (uint8_t)random_below(round % 3 ? 256 : 1);
			CU_ASSERT(!decode(&p, noise, bytes, packed));
			free(noise);
		}
		RtPacked other = p;
		other.outputs += kind < 2 ? SPARSE_ROWS_PANEL : 0;
		other.hash ^= kind == 2;
		CU_ASSERT(!decode(&other, coded, bytes, packed));
		memset(coded, 0xff, bytes); /* a code of 255 alone takes no bits: the zeros must end all the same */
		CU_ASSERT(!decode(&p, coded, bytes, packed));
		free(packed);
		free(coded);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"sparse", test_sparse},
		{"sizes", test_sizes},
		{"plain", test_plain},
		{"damage", test_damage},
	};
	return SUITE_RUN("pack", tests);
}
