/* test_emit_parts.c: parts of the emitter: foreign text in C, pasting of runtime files, constants in the
 * blob, targets, SHA-256. */
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <string.h>
#include "codegen/emit.h"
#include "codegen/sha256.c"
#include "compiler/cli/bertc.h"

static char *printed(void (*print)(FILE *, const char *), const char *text)
{
	char *result = NULL;
	size_t bytes;
	FILE *out = open_memstream(&result, &bytes);
	print(out, text);
	fclose(out);
	return result;
}

static void check_text(void (*print)(FILE *, const char *), const char *text, const char *expected)
{
	char *got = printed(print, text);
	CU_ASSERT_STRING_EQUAL(got, expected);
	free(got);
}

static void test_foreign_text(void)
{
	check_text(c_string, "plain", "\"plain\"");
	check_text(c_string,
		"a\"b\\c\nd\001"
		"7",
		"\"a\\\"b\\\\c\\012d\\0017\"");
	check_text(c_string, "?\?/ ?\?>", "\"\\?\\?/ \\?\\?>\"");
	check_text(c_string, "\xc3\xa9", "\"\\303\\251\"");
	check_text(c_comment, "a*/b//c\\\n?\?/", "a_/b//c____/");
	check_text(c_comment, "layer.0.attention {k=1}", "layer.0.attention {k=1}");
	char longest[5001];
	memset(longest, 'x', 5000);
	longest[5000] = '\0';
	char *got = printed(c_string, longest);
	CU_ASSERT_EQUAL(strncmp(got, "(const char[]){", 15),
		0); /* compilers need not accept string literals of more than 4095 bytes */
	CU_ASSERT_PTR_NULL(strchr(got, '"'));
	free(got);
}

static void test_reals(void)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{1, "1.0"}, {0.5, "0.5"}, {1e-12, NULL}, {0.1, NULL}, {-3, "-3.0"}, {1e30, NULL}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = NULL;
		size_t bytes;
		FILE *out = open_memstream(&text, &bytes);
		c_real(out, cases[i].value);
		fclose(out);
		CU_ASSERT_EQUAL(strtod(text, NULL), cases[i].value);
		if (cases[i].text)
			CU_ASSERT_STRING_EQUAL(text, cases[i].text);
		free(text);
	}
}

static void test_identifiers(void)
{
	static const char *const good[] = {"a", "model_1", "Bert", "sst2"};
	static const char *const bad[] = {"", "1a", "a-b", "a b", "int", "class", "printf", "_a", "rt_x", "time",
		"a;b", "a/*", "\xc3\xa9",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		CU_ASSERT_TRUE(c_is_identifier(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_FALSE(c_is_identifier(bad[i]));
	static const struct {
		const char *path, *name;
	} paths[] = {{"out/my-model.so", "my_model"}, {"sst2", "sst2"}, {"/a/b/libx.a", "libx"},
		{"int", "model_int"}, {"2nd.c", "model_2nd"}, {".hidden", "hidden"}, {"a/time", "model_time"},
		{"\xc3\xa9t\xc3\xa9", "t__"}};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char *name = c_identifier_from_path(paths[i].path);
		CU_ASSERT_STRING_EQUAL(name, paths[i].name);
		CU_ASSERT_TRUE(c_is_identifier(name));
		free(name);
	}
}

static void test_paste(void)
{
	char *text = NULL;
	size_t bytes;
	Diag diag;
	diag_init(&diag, NULL);
	Paste paste = {.out = open_memstream(&text, &bytes)};
	CU_ASSERT_TRUE(paste_file(&paste, "api.h", &diag));
	CU_ASSERT_TRUE(paste_kernel(&paste, "linear_f32__scalar", &diag));
	CU_ASSERT_TRUE(paste_file(&paste, "model.h", &diag));
	CU_ASSERT_FALSE(paste_file(&paste, "../secret.c", &diag));
	CU_ASSERT_FALSE(paste_kernel(&paste, "linear_f32__abacus", &diag));
	fclose(paste.out);
	paste_free(&paste);
	const char *first = strstr(text, "/* ==== rt.h */"), *model = strstr(text, "/* ==== model.h */"),
			   *kernel = strstr(text, "/* ==== kernels/linear__scalar.c */");
	CU_ASSERT_TRUE(first && model && kernel && first < model && model < kernel);
	CU_ASSERT_PTR_NULL(strstr(first + 1, "/* ==== rt.h */"));
	CU_ASSERT_PTR_NULL(strstr(text, "#include \""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "#include <stdint.h>"));
	free(text);
	diag_free(&diag);
}

static void test_weights(void)
{
	float one[3] = {1, 2, 3}, two[40];
	memset(two, 0, sizeof two);
	Tensor a = {.data = one, .bytes = sizeof one}, b = {.data = two, .bytes = sizeof two},
		   part = {.data = two, .bytes = 4};
	Weights weights = {0};
	CU_ASSERT_EQUAL(weights_place(&weights, &a)->offset, 0);
	size_t at = weights_place(&weights, &b)->offset;
	CU_ASSERT_EQUAL(at % 64, 0);
	CU_ASSERT_EQUAL(weights_place(&weights, &a)->offset, 0);
	CU_ASSERT_EQUAL(weights_place(&weights, &b)->offset, at);
	CU_ASSERT_NOT_EQUAL(weights_place(&weights, &part)->offset, at); /* same start, another length */
	float again[3] = {1, 2, 3}, almost[3] = {1, 2, 4};
	Tensor copy = {.data = again, .bytes = sizeof again}, other = {.data = almost, .bytes = sizeof almost};
	CU_ASSERT_EQUAL(weights_place(&weights, &copy)->offset, 0); /* the same bytes lie there once */
	CU_ASSERT_NOT_EQUAL(weights_place(&weights, &other)->offset, 0);
	CU_ASSERT_EQUAL(memcmp(weights.blob.data, one, sizeof one), 0);
	static char many[200][8];
	size_t end = weights.blob.bytes;
	for (int i = 0; i < 200; i++) {
		many[i][0] = (char)i;
		many[i][7] = 7;
		weights_place(&weights, &(Tensor){.data = many[i], .bytes = 8});
	}
	CU_ASSERT_TRUE(weights.blob.bytes > end + 199 * 64);
	CU_ASSERT_EQUAL(weights_place(&weights, &b)->offset, at);
	weights_free(&weights);
}

static void test_targets(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	Target target;
	CU_ASSERT_TRUE(target_find("x86_64-linux-gnu", "haswell", &target, &diag));
	CU_ASSERT_EQUAL(target.isa, ISA_AVX2);
	CU_ASSERT_STRING_EQUAL(target.flags, "-march=x86-64 -mtune=haswell");
	CU_ASSERT_STRING_EQUAL(target.cc_flags, "");
	CU_ASSERT_TRUE(target_find("arm-linux-gnueabihf", NULL, &target, &diag));
	CU_ASSERT_STRING_EQUAL(target.cpu, "generic");
	CU_ASSERT_STRING_EQUAL(target.cc_flags, "-march=armv7-a -mfloat-abi=hard -mfpu=neon-vfpv4");
	CU_ASSERT_EQUAL(target.ncpus, 1);
	CU_ASSERT_TRUE(target_find(NULL, NULL, &target, &diag));
	CU_ASSERT_TRUE(target_is_host(&target));
	/* several: in the order of the table, each once, tuned for the newest, all of whose code has the bits
	 * they share */
	CU_ASSERT_TRUE(target_find("x86_64-linux-gnu", "haswell,x86-64-v4,baseline,haswell", &target, &diag));
	CU_ASSERT_STRING_EQUAL(target.cpu, "x86-64,haswell,x86-64-v4");
	CU_ASSERT_EQUAL(target.ncpus, 3);
	CU_ASSERT_STRING_EQUAL(target.cpus[1].name, "haswell");
	CU_ASSERT_EQUAL(target.cpus[1].isa, ISA_AVX2);
	CU_ASSERT_EQUAL(target.isa, 0);
	CU_ASSERT_STRING_EQUAL(target.flags, "-march=x86-64");
	CU_ASSERT_TRUE(target_find("aarch64-linux-gnu", "neoverse-v1,cortex-a72", &target, &diag));
	CU_ASSERT_STRING_EQUAL(target.cpu, "cortex-a72,neoverse-v1");
	CU_ASSERT_EQUAL(target.isa, ISA_NEON64);
	CU_ASSERT_STRING_EQUAL(target.flags, "-march=armv8-a -mtune=neoverse-v1");
	CU_ASSERT_TRUE(target_find("arm-linux-gnueabihf", "cortex-a7,cortex-a15", &target, &diag));
	CU_ASSERT_EQUAL(diag.errors, 0);
	CU_ASSERT_FALSE(target_find("z80-cpm", NULL, &target, &diag));
	CU_ASSERT_FALSE(target_find("aarch64-linux-gnu", "pentium", &target, &diag));
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(diag.code, EXIT_UNSUPPORTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[1].text, "neoverse-n1"));
	CU_ASSERT_FALSE(target_find("arm-linux-gnueabihf", "cortex-a9,cortex-a7", &target, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[2].text, "-mfpu=neon-vfpv4"));
	static const char *const wrong[] = {"x86-64,", ",x86-64", "", "x86-64,,haswell", "x86-64, haswell"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CU_ASSERT_FALSE(target_find("x86_64-linux-gnu", wrong[i], &target, &diag));
		CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[3 + i].text, "unknown CPU"));
	}
	diag_free(&diag);
}

static void test_sha256(void)
{
	char hex[65];
	sha256_hex((const void *const[]){"a", NULL, "bc"}, (const size_t[]){1, 0, 2}, 3, hex);
	CU_ASSERT_STRING_EQUAL(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2, "abc" */
	sha256_hex(NULL, NULL, 0, hex);
	CU_ASSERT_STRING_EQUAL(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	char *million = malloc(1000000);
	memset(million, 'a', 1000000);
	sha256_hex((const void *const[]){million}, (const size_t[]){1000000}, 1, hex); /* FIPS 180-2 */
	CU_ASSERT_STRING_EQUAL(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

/* All lengths of the end of a message, in all divisions into two parts; both forms of a block. */
static void test_sha256_parts(void)
{
	enum { MOST = 200 };
	uint8_t data[MOST];
	char whole[65], parted[65];
	for (int i = 0; i < MOST; i++)
		data[i] = (uint8_t)(i * i + 3 * i);
	for (size_t n = 0; n <= MOST; n++) {
		sha256_hex((const void *const[]){data}, &n, 1, whole);
		for (size_t k = 0; k <= n; k++) {
			sha256_hex((const void *const[]){data, data + k}, (const size_t[]){k, n - k}, 2, parted);
			CU_ASSERT_STRING_EQUAL(parted, whole);
		}
	}
	CU_ASSERT_STRING_EQUAL(whole, "bb2c04f8696ea6ea8ecd93b2c7c662628ec9326e37206dbd1804260d66f03118");
	uint32_t plain[8] = {1, 2, 3, 4, 5, 6, 7, 0x80000000}, fast[8];
	memcpy(fast, plain, sizeof fast);
	blocks_plain(plain, data, MOST / BLOCK);
	blocks(fast, data, MOST / BLOCK);
	CU_ASSERT_EQUAL(memcmp(plain, fast, sizeof plain), 0);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"foreign text stays text", test_foreign_text},
		{"numbers read back", test_reals},
		{"names", test_identifiers},
		{"runtime files once, in order", test_paste},
		{"constants once, aligned", test_weights},
		{"targets", test_targets},
		{"SHA-256", test_sha256},
		{"SHA-256 of parts", test_sha256_parts},
	};
	return SUITE_RUN("parts of the emitter", tests);
}
