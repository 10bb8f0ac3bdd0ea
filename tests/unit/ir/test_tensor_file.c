/* test_tensor_file.c: tensor files without a format, made by a reader from a list of tensors stored
 * elsewhere. How a module handles their constants, and which are refused. */
#include "tests/unit/directory.h"
#include <string.h>
#include <sys/stat.h>
#include "ir/tensor_file.h"

enum { FLOATS = 100 };

/* One byte, then the floats 0, 1, 2, ...: an address from which no float may be read. */
static TensorFile *raw_file(Diag *diag)
{
	const char *path = at("raw.bin");
	FILE *out = fopen(path, "wb");
	fputc(7, out);
	for (int i = 0; i < FLOATS; i++)
		fwrite(&(float){(float)i}, sizeof(float), 1, out);
	fclose(out);
	return tensor_file_map(path, diag);
}

static void add_floats(TensorFile *file, const char *name, int64_t count)
{
	const Type type = type_make(DT_F32, 1, dim_number(count));
	tensor_file_add(file, name, &type, file->data + 1, count * (int64_t)sizeof(float));
}

static void test_raw(void)
{
	Diag diag;
	size_t bytes;
	diag_init(&diag, NULL);
	TensorFile *file = raw_file(&diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_PTR_NULL(tensor_file_find(file, "b"));
	const char *const names[] = {"d", "b", "e", "a", "c"};
	for (int i = 0; i < 5; i++)
		add_floats(file, names[i], 10 + i);
	CU_ASSERT(tensor_file_sort(file, &diag));
	CU_ASSERT_EQUAL(tensor_file_count(file), 5);
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(tensor_file_get(file, i)->name[0], 'a' + i);
		const Tensor *tensor = tensor_file_find(file, names[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(tensor);
		CU_ASSERT_EQUAL(tensor->type.dim[0].plus, 10 + i);
		CU_ASSERT_EQUAL((uintptr_t)tensor->data % sizeof(float), 0);
		CU_ASSERT_EQUAL(((const float *)tensor->data)[9], 9);
		CU_ASSERT_PTR_NULL(tensor->file);
	}
	CU_ASSERT_PTR_NULL(tensor_file_find(file, "f"));
	CU_ASSERT_PTR_NULL(tensor_file_format(file));
	CU_ASSERT_STRING_EQUAL(tensor_file_name(file), "raw.bin");
	const char *data = tensor_file_bytes(file, &bytes);
	CU_ASSERT(bytes == 1 + FLOATS * sizeof(float) && data[0] == 7);
	tensor_file_close(file);
	CU_ASSERT_EQUAL(diag.errors, 0);
}

static void test_refused(void)
{
	Diag diag;
	diag_init(&diag, NULL);
	TensorFile *file = raw_file(&diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	add_floats(file, "x", 2);
	add_floats(file, "y", 2);
	add_floats(file, "x", 3);
	CU_ASSERT_FALSE(tensor_file_sort(file, &diag));
	CU_ASSERT_EQUAL(diag.code, EXIT_INPUT);
	CU_ASSERT_STRING_EQUAL(diag.messages[0].text, "tensor 'x': the name is used twice");
	CU_ASSERT_STRING_EQUAL(diag.messages[0].file, at("raw.bin"));
	tensor_file_close(file);
	CU_ASSERT_PTR_NULL(tensor_file_map(at("missing"), &diag));
	CU_ASSERT_STRING_EQUAL(diag.messages[1].text, "cannot open: No such file or directory");
	CU_ASSERT_PTR_NULL(tensor_file_map(directory, &diag));
	CU_ASSERT_STRING_EQUAL(diag.messages[2].text, "is a directory, expected a regular file");
	diag_free(&diag);
}

/* An empty file is mapped. The reader of the format decides whether it is valid. */
static void test_empty(void)
{
	Diag diag;
	size_t bytes = 1;
	diag_init(&diag, NULL);
	write_file("empty.bin", "");
	const char *path = at("empty.bin");
	TensorFile *file = tensor_file_map(path, &diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT(tensor_file_sort(file, &diag) && tensor_file_count(file) == 0);
	CU_ASSERT(!tensor_file_bytes(file, &bytes) && bytes == 0);
	tensor_file_close(file);
	CU_ASSERT_PTR_NULL(tensor_file_open(path, &diag));
	CU_ASSERT_STRING_EQUAL(diag.messages[0].text, "0 bytes, expected at least 8: not a safetensors file");
	diag_free(&diag);
	unlink(path);
}

/* A .bir cannot name a file without a format: its constants go to the .safetensors beside the .bir. */
static void test_module(void)
{
	static const char text[] = "module @m\ngraph @main(%ids: i32[S]) {\n  %a = const [1, 2] : f32[2]\n"
							   "  return a=%a\n}\n";
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_parse(text, strlen(text), directory, NULL, &diag);
	TensorFile *file = raw_file(&diag);
	CU_ASSERT_FATAL(module && file);
	add_floats(file, "raw", FLOATS);
	CU_ASSERT(tensor_file_sort(file, &diag) && module_add_file(module, file));
	const Tensor *raw = module_find_tensor(module, "raw");
	CU_ASSERT_PTR_NOT_NULL_FATAL(raw);
	graph_add_output(module->graphs[0], "raw", graph_const(module->graphs[0], NULL, raw, NULL));
	CU_ASSERT(module_write(module, at("out.bir"), NULL, &diag));
	module_free(module);
	unlink(at("raw.bin"));
	Module *again = module_read(at("out.bir"), NULL, &diag);
	diag_print(&diag, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT_EQUAL(again->nfiles, 1);
	CU_ASSERT_STRING_EQUAL(tensor_file_name(again->files[0]), "out.safetensors");
	CU_ASSERT_STRING_EQUAL(tensor_file_format(again->files[0]), "safetensors");
	const Tensor *read = module_find_tensor(again, "raw");
	CU_ASSERT(read && read->bytes == FLOATS * (int64_t)sizeof(float) && tensor_at(read, 99) == 99);
	module_free(again);
	unlink(at("out.bir"));
	unlink(at("out.safetensors"));
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"a file without a format", test_raw},
		{"refused", test_refused},
		{"empty", test_empty},
		{"constants of a module", test_module},
	};
	static const char *const left[] = {"raw.bin", NULL};
	return SUITE_RUN_IN_DIRECTORY("tensor_file", tests, left);
}
