/* test_safetensors.c: the reader accepts every valid file. For a bad file it gives one message with the file,
 * the tensor, the found and the expected value. Files of the writer read back the same. */
#include "tests/unit/directory.h"
#include <string.h>
#include <sys/stat.h>
#include "ir/ir.h"

static const char *path(void) { return at("x.safetensors"); }

/* Writes a file: header length (or the given one), header, `data_bytes` of data counting up. */
static void put(const char *header, int64_t length, int data_bytes)
{
	FILE *out = fopen(path(), "wb");
	uint64_t n = length < 0 ? strlen(header) : (uint64_t)length;
	for (int i = 0; i < 8; i++)
		fputc((int)(n >> (8 * i) & 255), out);
	fputs(header, out);
	for (int i = 0; i < data_bytes; i++)
		fputc(i & 255, out);
	fclose(out);
}

/* The message from opening the file; NULL if it opens or if there are several. */
static const char *complaint(const char *file)
{
	static char text[8192];
	Diag diag;
	diag_init(&diag, "other file");
	TensorFile *st = tensor_file_open(file, &diag);
	const char *result = NULL;
	if (!st && diag.errors == 1 && diag.count == 1 && diag.code == EXIT_INPUT
		&& strcmp(diag.messages[0].file, file) == 0) {
		snprintf(text, sizeof text, "%s", diag.messages[0].text);
		result = text;
	}
	if (!result)
		diag_print(&diag, stderr);
	tensor_file_close(st);
	diag_free(&diag);
	return result;
}

static void expect(const char *file, const char *needle)
{
	const char *text = complaint(file);
	CU_ASSERT_PTR_NOT_NULL(text);
	if (text && !strstr(text, needle)) {
		fprintf(stderr, "got:      %s\nexpected: %s\n", text, needle);
		CU_FAIL("another message");
	}
}

static void lie(const char *header, int data_bytes, const char *needle)
{
	put(header, -1, data_bytes);
	expect(path(), needle);
}

#define ENTRY(dtype, shape, offsets) "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define ONE(dtype, shape, offsets) "{\"x\":" ENTRY(dtype, shape, offsets) "}"

static void test_honest(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	put("{\"__metadata__\":{\"format\":\"pt\"},\"b\":" ENTRY("\"F32\"", "[1,2]", "[0,8]") ",\"a\":" ENTRY(
			"\"I64\"", "[]", "[8,16]") ",\"none\":" ENTRY("\"F16\"", "[0,3]",
			"[8,8]") ",\"c\":" ENTRY("\"BF16\"", "[3]", "[16,22]") "}   ",
		-1, 22);
	TensorFile *st = tensor_file_open(path(), &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(st);
	CU_ASSERT_EQUAL(tensor_file_count(st), 4);
	CU_ASSERT_STRING_EQUAL(tensor_file_name(st), "x.safetensors");
	CU_ASSERT_STRING_EQUAL(tensor_file_get(st, 0)->name, "a");
	CU_ASSERT_STRING_EQUAL(tensor_file_get(st, 3)->name, "none");
	const Tensor *b = tensor_file_find(st, "b"), *c = tensor_file_find(st, "c"),
				 *a = tensor_file_find(st, "a");
	CU_ASSERT(b && b->type.dtype == DT_F32 && b->type.rank == 2 && b->type.dim[1].plus == 2 && b->bytes == 8);
	CU_ASSERT(memcmp(b->data, "\0\1\2\3\4\5\6\7", 8) == 0);
	CU_ASSERT(
		c && c->type.dtype == DT_BF16 && c->bytes == 6 && memcmp(c->data, "\20\21\22\23\24\25", 6) == 0);
	CU_ASSERT(a && a->type.rank == 0 && a->bytes == 8 && (uintptr_t)a->data % 8 == 0);
	CU_ASSERT_STRING_EQUAL(b->file, "x.safetensors");
	CU_ASSERT_PTR_NULL(tensor_file_find(st, "__metadata__"));
	CU_ASSERT_PTR_NULL(tensor_file_find(st, ""));
	CU_ASSERT_EQUAL(diag.errors, 0);
	tensor_file_close(st);
	put("{}", -1, 0);
	st = tensor_file_open(path(), &diag);
	CU_ASSERT(st && tensor_file_count(st) == 0);
	tensor_file_close(st);
}

/* Headers of any length: data at odd addresses is still readable as its type. */
static void test_unaligned(void)
{
	for (int blanks = 0; blanks < 9; blanks++) {
		char header[256];
		Diag diag;
		diag_init(&diag, NULL);
		snprintf(header, sizeof header, "%s%*s", ONE("\"F32\"", "[2]", "[0,8]"), blanks, "");
		put(header, -1, 8);
		TensorFile *st = tensor_file_open(path(), &diag);
		CU_ASSERT_PTR_NOT_NULL_FATAL(st);
		const Tensor *x = tensor_file_find(st, "x");
		CU_ASSERT_EQUAL((uintptr_t)x->data % 4, 0);
		CU_ASSERT(memcmp(x->data, "\0\1\2\3\4\5\6\7", 8) == 0);
		tensor_file_close(st);
	}
}

static void test_header_length(void)
{
	put("", 0, 100);
	expect(path(), "header length is 0, expected at least 2");
	put("{}", 3, 0);
	expect(path(), "header length is 3, but only 2 bytes follow");
	put("{}", INT64_MAX, 0);
	expect(path(), "header length is 9223372036854775807, but only 2 bytes follow");
	put("{}", -2, 0); /* put takes a negative length for none given */
	FILE *out = fopen(path(), "wb");
	fputs("\xff\xff\xff\xff\xff\xff\xff\xff{}", out);
	fclose(out);
	expect(path(), "header length is 18446744073709551615, but only 2 bytes follow");
	/* A sparse file: the length is within it, and still too long. */
	put("{}", (int64_t)40 << 20, 0);
	CU_ASSERT_EQUAL(truncate(path(), (off_t)50 << 20), 0);
	expect(path(), "header length is 41943040, expected at most 33554432");
}

static void test_json(void)
{
	lie("hello world", 0, "header, byte");
	lie("{\"x\":", 0, "header, byte 5");
	lie("[]", 0, "header: expected a JSON object");
	lie("{} x", 0, "header, byte");
	lie("{\"x\":1}", 0, "tensor 'x': expected an object");
	lie("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2,
		"duplicate object key");
	lie("{\"x\":" ENTRY("\"I8\"", "[1]", "[0,1]") ",\"x\":" ENTRY("\"I8\"", "[1]", "[0,1]") "}", 1,
		"duplicate object key");
	lie("{\"__metadata__\":3}", 0, "__metadata__: expected an object of strings");
	lie("{\"__metadata__\":{\"a\":3}}", 0, "__metadata__: 'a' is not a string");
	lie("{\"\\u0000\":3}", 0, "header, byte");
	lie("{\"\xff\":3}", 0, "header, byte");
	char *deep = malloc(200001);
	memset(deep, '[', 200000);
	deep[200000] = 0;
	lie(deep, 0, "depth");
	free(deep);
}

static void test_entries(void)
{
	lie("{\"x\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
		"tensor 'x': no dtype, expected one of F32 F16 BF16 F64");
	lie(ONE("\"F33\"", "[1]", "[0,4]"), 4, "tensor 'x': dtype 'F33' is unknown, expected one of F32 F16");
	lie(ONE("7", "[1]", "[0,4]"), 4, "tensor 'x': no dtype");
	lie("{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor 'x': no shape");
	lie("{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor 'x': no data_offsets, expected [begin, end]");
	lie("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"strides\":[2]}}", 4,
		"tensor 'x': unknown key 'strides'");
	lie("{\"\":" ENTRY("\"F32\"", "[1]", "[0,4]") "}", 4, "a name of 0 bytes, expected 1 to 1024");
	lie("{\"evil\\nname\":1}", 0, "tensor 'evil\\x0aname'");
	char *header = malloc(4096);
	snprintf(header, 4096, "{\"%02000d\":%s}", 0, ENTRY("\"F32\"", "[1]", "[0,4]"));
	lie(header, 4, "a name of 2000 bytes");
	free(header);
}

static void test_shapes(void)
{
	lie(ONE("\"F32\"", "[-1]", "[0,4]"), 4,
		"tensor 'x': dimension 0 of the shape is -1, expected a whole number >= 0");
	lie(ONE("\"F32\"", "[1,1.5]", "[0,4]"), 4, "dimension 1 of the shape is 1.5");
	lie(ONE("\"F32\"", "[\"1\"]", "[0,4]"), 4, "dimension 0 of the shape is \"1\"");
	lie(ONE("\"F32\"", "[[1]]", "[0,4]"), 4, "dimension 0 of the shape is [1]");
	lie(ONE("\"F32\"", "[1,1,1,1,1]", "[0,4]"), 4, "tensor 'x': shape has 5 dimensions, expected at most 4");
	lie(ONE("\"F32\"", "4", "[0,4]"), 4, "tensor 'x': no shape, expected a list of sizes");
	lie(ONE("\"F32\"", "[9223372036854775807]", "[0,4]"), 4,
		"dimension 0 of the shape is 9223372036854775807: the tensor exceeds");
	lie(ONE("\"F32\"", "[99999999999999999999]", "[0,4]"), 4, "header, byte");
	/* 2^32 * 2^32 elements: 0 when the product overflows */
	lie(ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0,
		"dimension 1 of the shape is 4294967296: the tensor exceeds");
	lie(ONE("\"F32\"", "[1000000,1000000]", "[0,4]"), 4,
		"the tensor exceeds the limit of 1099511627776 bytes");
	lie(ONE("\"F32\"", "[3]", "[0,8]"), 8,
		"tensor 'x': data_offsets [0, 8] hold 8 bytes, expected 12 for f32[3]");
	lie(ONE("\"F16\"", "[]", "[0,4]"), 4, "hold 4 bytes, expected 2 for f16[]");
}

static void test_layout(void)
{
	static const char wrong[] = "expected 0 <= begin <= end <= 4";
	lie(ONE("\"F32\"", "[1]", "[4,0]"), 4, wrong);
	lie(ONE("\"F32\"", "[1]", "[-4,0]"), 4, wrong);
	lie(ONE("\"F32\"", "[1]", "[0,8]"), 4, wrong);
	lie(ONE("\"F32\"", "[1]", "[9223372036854775803,9223372036854775807]"), 4, wrong);
	lie(ONE("\"F32\"", "[1]", "[0]"), 4, "no data_offsets");
	lie(ONE("\"F32\"", "[1]", "[0,4,8]"), 4, "no data_offsets");
	lie(ONE("\"F32\"", "[1]", "[0,4.0]"), 4, "no data_offsets");
	lie(ONE("\"F32\"", "[1]", "{\"0\":0,\"1\":4}"), 4, "no data_offsets");
	lie("{\"x\":" ENTRY("\"F32\"", "[2]", "[0,8]") ",\"y\":" ENTRY("\"F32\"", "[2]", "[4,12]") "}", 12,
		"tensor 'y': begins at byte 4 of the data, inside tensor 'x', which ends at 8");
	lie("{\"x\":" ENTRY("\"F32\"", "[2]", "[0,8]") ",\"y\":" ENTRY("\"F32\"", "[2]", "[0,8]") "}", 8,
		"inside tensor");
	lie("{\"x\":" ENTRY("\"F32\"", "[1]", "[0,4]") ",\"y\":" ENTRY("\"F32\"", "[1]", "[8,12]") "}", 12,
		"tensor 'y': begins at byte 8 of the data, expected 4: bytes in between belong to no tensor");
	lie(ONE("\"F32\"", "[1]", "[4,8]"), 8, "tensor 'x': begins at byte 4 of the data, expected 0");
	lie(ONE("\"F32\"", "[1]", "[0,4]"), 5, "5 bytes of data after the header, expected 4");
	lie("{}", 1, "1 bytes of data after the header, expected 0");
}

/* Two wrong tensors are two messages. */
static void test_all_errors(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	put("{\"x\":" ENTRY("\"F33\"", "[1]", "[0,4]") ",\"y\":" ENTRY("\"F32\"", "[-1]", "[4,8]") "}", -1, 8);
	CU_ASSERT_PTR_NULL(tensor_file_open(path(), &diag));
	CU_ASSERT_EQUAL(diag.errors, 2);
	CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	diag_free(&diag);
}

static void test_files(void)
{
	FILE *out = fopen(path(), "wb");
	fclose(out);
	expect(path(), "0 bytes, expected at least 8: not a safetensors file");
	expect(directory, "is a directory, expected a regular file");
	expect(at("missing.safetensors"), "cannot open: No such file or directory");
	const char *other = at("pipe");
	CU_ASSERT_EQUAL(mkfifo(other, 0600), 0);
	expect(other, "is a pipe");
	unlink(other);
	put(ONE("\"F32\"", "[1]", "[0,4]"), -1, 4);
	other = at("link.safetensors");
	CU_ASSERT_EQUAL(symlink("x.safetensors", other), 0);
	Diag diag;
	diag_init(&diag, NULL);
	TensorFile *st = tensor_file_open(other, &diag);
	CU_ASSERT(st && tensor_file_find(st, "x"));
	tensor_file_close(st);
	unlink(other);
}

/* Every prefix of a good file is a bad file, never a crash. */
static void test_cut_short(void)
{
	put("{\"x\":" ENTRY("\"F32\"", "[1]", "[0,4]") ",\"y\":" ENTRY("\"F16\"", "[2]", "[4,8]") "}", -1, 8);
	struct stat info;
	CU_ASSERT_EQUAL(stat(path(), &info), 0);
	for (off_t bytes = info.st_size - 1; bytes >= 0; bytes--) {
		Diag diag;
		diag_init(&diag, NULL);
		CU_ASSERT_EQUAL(truncate(path(), bytes), 0);
		CU_ASSERT_PTR_NULL(tensor_file_open(path(), &diag));
		CU_ASSERT(diag.errors >= 1 && diag.code == EXIT_INPUT);
		diag_free(&diag);
	}
}

/* One byte of a good file changed at random, thousands of times: an error or a file whose tensors can all be
 * read. */
static void test_mutations(void)
{
	static const char good[] = "{\"x\":" ENTRY("\"F32\"", "[1]", "[0,4]") ",\"yy\":" ENTRY(
		"\"F16\"", "[2,1]", "[4,8]") "}";
	uint32_t state = 1;
	for (int round = 0; round < 3000; round++) {
		char header[sizeof good];
		Diag diag;
		diag_init(&diag, NULL);
		memcpy(header, good, sizeof good);
		for (int edits = 0; edits < 1 + round % 3; edits++) {
			state = state * 1664525 + 1013904223;
			header[(state >> 8) % (sizeof good - 1)] = "0123456789[]{},:\"-F"[(state >> 20) % 19];
		}
		put(header, -1, 8);
		TensorFile *st = tensor_file_open(path(), &diag);
		CU_ASSERT((st != NULL) == (diag.errors == 0));
		double sum = 0;
		for (int32_t i = 0; st && i < tensor_file_count(st); i++)
			for (int64_t k = 0; k < type_count(&tensor_file_get(st, i)->type); k++)
				sum += tensor_at(tensor_file_get(st, i), k) != 0;
		CU_ASSERT(sum <= 8);
		tensor_file_close(st);
		diag_free(&diag);
	}
}

static void test_write(void)
{
	static const float weights[6] = {1, -2, 3.5f, -0.0f, 1e-40f, 6};
	static const uint16_t halves[3] = {0x3c00, 0x7e01, 0x8000};
	static const int8_t bytes[5] = {1, -2, 3, -4, 5};
	const Tensor tensors[] = {
		{.name = "layer.0.weight",
			.type = type_make(DT_F32, 2, dim_number(2), dim_number(3)),
			.data = weights,
			.bytes = 24},
		{.name = "a \"name\" of \xc3\xbc \x01",
			.type = type_make(DT_F16, 1, dim_number(3)),
			.data = halves,
			.bytes = 6},
		{.name = "bytes", .type = type_make(DT_I8, 1, dim_number(5)), .data = bytes, .bytes = 5},
	};
	const Tensor *list[] = {&tensors[2], &tensors[1], &tensors[0]},
				 *other[] = {&tensors[0], &tensors[2], &tensors[1]};
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT(safetensors_write(path(), list, 3, &diag));
	TensorFile *st = tensor_file_open(path(), &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(st);
	CU_ASSERT_EQUAL(tensor_file_count(st), 3);
	for (int i = 0; i < 3; i++) {
		const Tensor *tensor = tensor_file_find(st, tensors[i].name);
		CU_ASSERT_PTR_NOT_NULL_FATAL(tensor);
		CU_ASSERT(type_equal(&tensor->type, &tensors[i].type));
		CU_ASSERT(memcmp(tensor->data, tensors[i].data, (size_t)tensor->bytes) == 0);
	}
	tensor_file_close(st);
	struct stat info, again;
	CU_ASSERT_EQUAL(stat(path(), &info), 0);
	CU_ASSERT_EQUAL((info.st_size - 24 - 6 - 5) % 64, 0);
	CU_ASSERT_NOT_EQUAL(info.st_mode & 0400, 0);
	/* The order in which tensors are given does not matter. */
	char *first = malloc((size_t)info.st_size), *second = malloc((size_t)info.st_size);
	FILE *in = fopen(path(), "rb");
	CU_ASSERT_EQUAL(fread(first, 1, (size_t)info.st_size, in), (size_t)info.st_size);
	fclose(in);
	CU_ASSERT(safetensors_write(path(), other, 3, &diag));
	CU_ASSERT(stat(path(), &again) == 0 && again.st_size == info.st_size);
	in = fopen(path(), "rb");
	CU_ASSERT_EQUAL(fread(second, 1, (size_t)info.st_size, in), (size_t)info.st_size);
	fclose(in);
	CU_ASSERT(memcmp(first, second, (size_t)info.st_size) == 0);
	free(first);
	free(second);
	CU_ASSERT(safetensors_write(path(), NULL, 0, &diag));
	st = tensor_file_open(path(), &diag);
	CU_ASSERT(st && tensor_file_count(st) == 0);
	tensor_file_close(st);
}

static void test_write_errors(void)
{
	const Tensor x = {.name = "x", .type = type_make(DT_I8, 1, dim_number(1)), .data = "a", .bytes = 1};
	const Tensor bad = {.name = "\xff", .type = type_make(DT_I8, 1, dim_number(1)), .data = "a", .bytes = 1};
	const Tensor *twice[] = {&x, &x}, *odd[] = {&bad}, *once[] = {&x};
	Diag diag;
	diag_init(&diag, NULL);
	unlink(path());
	CU_ASSERT_FALSE(safetensors_write(path(), twice, 2, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[0].text, "two tensors are called 'x'"));
	CU_ASSERT_FALSE(safetensors_write(path(), odd, 1, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[1].text, "not UTF-8"));
	CU_ASSERT_EQUAL(access(path(), F_OK), -1);
	CU_ASSERT_FALSE(safetensors_write(at("no/such/place"), once, 1, &diag));
	CU_ASSERT_PTR_NOT_NULL(strstr(diag.messages[2].text, "cannot be written: No such file"));
	CU_ASSERT_EQUAL(diag.code, EXIT_RUN);
	/* A directory has the name of the result: no file is left beside it. */
	CU_ASSERT_EQUAL(mkdir(path(), 0700), 0);
	CU_ASSERT_FALSE(safetensors_write(path(), once, 1, &diag));
	CU_ASSERT_EQUAL(rmdir(path()), 0);
	diag_free(&diag);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"honest files", test_honest},
		{"headers of any length", test_unaligned},
		{"header length", test_header_length},
		{"JSON", test_json},
		{"entries", test_entries},
		{"shapes", test_shapes},
		{"layout", test_layout},
		{"all errors of a file", test_all_errors},
		{"not a regular file", test_files},
		{"cut short", test_cut_short},
		{"mutations", test_mutations},
		{"writing", test_write},
		{"writing fails", test_write_errors},
	};
	static const char *const left[] = {"x.safetensors", NULL};
	return SUITE_RUN_IN_DIRECTORY("safetensors", tests, left);
}
