/* tunings.c: tuning decisions as text. Each line is one decision, with words separated by blanks. If
 * wildcards (`*`) make several lines match, the last one counts; otherwise the order does not matter.
 *
 *   bertc-tune 1
 *   chain-rows linear_i8 i8 width=1536 cpu=znver4 -> 48
 *   linear f32 K=384 N=1536 act=gelu cpu=znver4 -> linear_f32_8x48__avx512
 *
 * Files are untrusted: every word is checked against the tables of kernels, CPUs and activations. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "codegen/codegen.h"
#include "compiler/support/files.h"
#include "ir/text/text.h"
#include "tunings.h"

static const char VERSION[] = "bertc-tune 1", CHAIN[] = "chain-rows", BUILT_IN[] = "tune.txt (part of bertc)";
enum {
	FILE_BYTES_MAX = 1 << 20,
	DECISIONS_MAX = 4096,
	WORDS_MAX = 8,
	CHAIN_WORDS = 7,
	LINEAR_WORDS = 8,
	DIGITS_MAX = 12
};

extern const char *tune_file(const char *name, size_t *bytes); /* made by codegen/embed.cmake */

typedef struct Reader {
	TuneTable *table;
	int32_t first, lines[DECISIONS_MAX]; /* the text's own rows in the table, and the line of each */
	bool own;
	int line;
	Diag *diag;
} Reader;

static bool bad(Reader *r, const char *what, const char *found, const char *expected)
{
	return diag_error(r->diag, EXIT_INPUT, r->line, "%s \"%.64s\", expected %s", what, found, expected);
}

/* `KEY=NUMBER`, or `KEY=*` for TUNE_ANY. */
static bool read_number(Reader *r, const char *word, const char *key, int64_t *value)
{
	size_t length = strlen(key);
	const char *digits = word + length;
	char expected[64];
	snprintf(expected, sizeof expected, "%sN with N >= 1, or %s*", key, key);
	if (strncmp(word, key, length) != 0)
		return bad(r, "found", word, expected);
	*value = TUNE_ANY;
	if (strcmp(digits, "*") == 0)
		return true;
	size_t count = strspn(digits, "0123456789");
	if (count == 0 || count > DIGITS_MAX || digits[count] || digits[0] == '0')
		return bad(r, "found", word, expected);
	*value = strtoll(digits, NULL, 10);
	return true;
}

static bool read_act(Reader *r, const char *word, int32_t *act)
{
	char expected[160] = "act=*, or act= with one of";
	*act = TUNE_ANY;
	if (strcmp(word, "act=*") == 0)
		return true;
	for (int i = 0; i < ACT_COUNT; i++) {
		if (strncmp(word, "act=", 4) == 0 && strcmp(word + 4, enum_act_words[i]) == 0) {
			*act = i;
			return true;
		}
		snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s", i ? ", " : " ",
			enum_act_words[i]);
	}
	return bad(r, "found", word, expected);
}

/* The linear and the type of its weights. */
static bool read_op(Reader *r, const char *op, const char *dtype, TuneRow *row)
{
	static const Op linears[] = {OP_LINEAR, OP_LINEAR_I8, OP_LINEAR_BF16};
	for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
		if (strcmp(op, op_info[linears[i]].name) != 0)
			continue;
		row->op = linears[i];
		if (!dtype_parse(dtype, strlen(dtype), &row->dtype) || !kernel_select(row->op, 0, row->dtype, 0))
			return bad(r, "weights of type", dtype, "a type that this op has kernels for");
		return true;
	}
	return bad(r, "op", op, "linear, linear_i8, linear_bf16 or chain-rows");
}

/* The CPU, which must have what the kernel needs. */
static bool read_cpu(Reader *r, const char *word, uint32_t needs, TuneRow *row)
{
	bool can = false;
	if (strncmp(word, "cpu=", 4) != 0 || strlen(word + 4) >= TUNE_NAME_BYTES
		|| !target_cpu_known(word + 4, needs, &can))
		return bad(r, "found", word, "cpu= with a CPU of `bertc targets`");
	snprintf(row->cpu, sizeof row->cpu, "%s", word + 4);
	return can
		|| diag_error(r->diag, EXIT_INPUT, r->line, "the CPU %s lacks instructions that the kernel %s needs",
			row->cpu, row->kernel->function);
}

static bool read_linear(Reader *r, char **words, int count, TuneRow *row)
{
	if (count != LINEAR_WORDS || strcmp(words[6], "->") != 0)
		return diag_error(r->diag, EXIT_INPUT, r->line, "expected OP TYPE K=.. N=.. act=.. cpu=.. -> KERNEL");
	if (!read_op(r, words[0], words[1], row) || !read_number(r, words[2], "K=", &row->inputs)
		|| !read_number(r, words[3], "N=", &row->outputs) || !read_act(r, words[4], &row->act))
		return false;
	const KernelInfo *kernel = kernel_find(words[7]);
	row->kernel = kernel;
	if (!kernel || kernel->op != row->op || kernel->variant || kernel->dtype != row->dtype)
		return diag_error(r->diag, EXIT_INPUT, r->line, "this bertc has no kernel \"%.64s\" for %s of %s",
			words[7], words[0], words[1]);
	return read_cpu(r, words[5], row->kernel->needs, row);
}

static bool read_chain(Reader *r, char **words, int count, TuneRow *row)
{
	char expected[64], *end;
	if (count != CHAIN_WORDS || strcmp(words[5], "->") != 0)
		return diag_error(
			r->diag, EXIT_INPUT, r->line, "expected chain-rows OP TYPE width=.. cpu=.. -> ROWS");
	row->is_chain = true;
	row->act = TUNE_ANY;
	if (!read_op(r, words[1], words[2], row) || !read_number(r, words[3], "width=", &row->outputs)
		|| !read_cpu(r, words[4], 0, row))
		return false;
	row->rows = strtoll(words[6], &end, 10);
	snprintf(expected, sizeof expected, "%d to %d", CHAIN_ROWS_LEAST, CHAIN_ROWS_MOST);
	return (words[6][0] >= '1' && words[6][0] <= '9' && !*end && row->rows >= CHAIN_ROWS_LEAST
			   && row->rows <= CHAIN_ROWS_MOST)
		|| bad(r, "rows", words[6], expected);
}

static bool same_question(const TuneRow *a, const TuneRow *b)
{
	return a->is_chain == b->is_chain && a->op == b->op && a->dtype == b->dtype && a->inputs == b->inputs
		&& a->outputs == b->outputs && a->act == b->act && strcmp(a->cpu, b->cpu) == 0;
}

static bool read_decision(Reader *r, char *line)
{
	char *words[WORDS_MAX + 1], *rest = line, *word;
	int count = 0;
	while ((word = strsep(&rest, " \t")))
		if (*word && count <= WORDS_MAX)
			words[count++] = word;
	if (count == 0 || words[0][0] == '#')
		return true;
	TuneRow row = {.own = r->own};
	if (!(strcmp(words[0], CHAIN) == 0 ? read_chain : read_linear)(r, words, count, &row))
		return false;
	const int32_t n = r->table->count - r->first;
	for (int32_t i = 0; i < n; i++)
		if (same_question(&r->table->rows[r->first + i], &row))
			return diag_error(
				r->diag, EXIT_INPUT, r->line, "repeats the decision of line %d", (int)r->lines[i]);
	if (n == DECISIONS_MAX)
		return diag_error(r->diag, EXIT_INPUT, r->line, "more than %d decisions", DECISIONS_MAX);
	r->lines[n] = r->line;
	tune_add(r->table, &row);
	return true;
}

static bool read_text(Reader *r, char *text, size_t bytes)
{
	if (strlen(text) != bytes)
		return diag_error(r->diag, EXIT_INPUT, 0, "has a zero byte; expected text");
	char *rest = text, *line = strsep(&rest, "\n");
	r->line = 1;
	if (strcmp(line, VERSION) != 0)
		return bad(r, "begins with", line, "the line \"bertc-tune 1\"");
	bool good = true;
	while (r->diag->errors < DIAG_MESSAGES_MAX && (line = strsep(&rest, "\n"))) {
		r->line++;
		good &= read_decision(r, line);
	}
	return good;
}

bool tune_parse(TuneTable *table, const char *text, size_t bytes, const char *file, bool own, Diag *diag)
{
	Reader *reader = checked_malloc(sizeof *reader);
	char *copy = checked_malloc(bytes + 1);
	const char *before = diag->file;
	memcpy(copy, text, bytes);
	copy[bytes] = 0;
	*reader = (Reader){.table = table, .first = table->count, .own = own, .diag = diag};
	diag->file = file;
	bool good = read_text(reader, copy, bytes);
	diag->file = before;
	free(copy);
	free(reader);
	return good;
}

bool tune_load(TuneTable *table, const char *path, bool may_lack, Diag *diag)
{
	size_t bytes;
	const char *built_in = tune_file("tune.txt", &bytes);
	if (!tune_parse(table, built_in, bytes, BUILT_IN, false, diag))
		return false;
	if (!path || (may_lack && file_is_absent(path)))
		return true;
	char *text = file_read(path, FILE_BYTES_MAX, &bytes, diag);
	bool good = text && tune_parse(table, text, bytes, path, true, diag);
	free(text);
	return good;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void print_number(const char *key, int64_t value, FILE *out)
{
	if (value == TUNE_ANY)
		fprintf(out, " %s=*", key);
	else
		fprintf(out, " %s=%lld", key, (long long)value);
}

void tune_key_print(const TuneRow *row, FILE *out)
{
	fprintf(out, "%s%s%s %s", row->is_chain ? CHAIN : "", row->is_chain ? " " : "", op_info[row->op].name,
		dtype_names[row->dtype]);
	if (!row->is_chain)
		print_number("K", row->inputs, out);
	print_number(row->is_chain ? "width" : "N", row->outputs, out);
	if (!row->is_chain)
		fprintf(out, " act=%s", row->act == TUNE_ANY ? "*" : enum_act_words[row->act]);
	fprintf(out, " cpu=%s", row->cpu);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static char *row_text(const TuneRow *row)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = text_open(&text, &bytes);
	tune_key_print(row, out);
	if (row->is_chain)
		fprintf(out, " -> %lld", (long long)row->rows);
	else
		fprintf(out, " -> %s", row->kernel->function);
	text_close(out);
	return text;
}

/* Creates the missing folders of the file. Errors are reported when the file is opened. */
static void folders_make(const char *path)
{
	char *folder = checked_strdup(path);
	for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(folder, 0777);
		*slash = '/';
	}
	free(folder);
}

bool tune_save(const TuneTable *table, const char *path, Diag *diag)
{
	AtomicFile file;
	char **lines = checked_calloc((size_t)table->count, sizeof *lines);
	int32_t n = 0;
	for (int32_t i = 0; i < table->count; i++)
		if (table->rows[i].own)
			lines[n++] = row_text(&table->rows[i]);
	folders_make(path);
	bool good = atomic_open(&file, path, diag);
	if (good) {
		qsort(lines, (size_t)n, sizeof *lines, by_text);
		fprintf(file.stream, "%s\n# measured by `bertc build --tune`; delete a line to measure it again\n",
			VERSION);
		for (int32_t i = 0; i < n; i++)
			fprintf(file.stream, "%s\n", lines[i]);
		good = atomic_commit(&file, diag);
	}
	for (int32_t i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
	return good;
}

char *tune_default_path(Diag *diag)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (cache && *cache == '/') /* the XDG base directory specification ignores relative paths */
		return checked_printf("%s/bertc/tune.txt", cache);
	if (home && *home == '/')
		return checked_printf("%s/.cache/bertc/tune.txt", home);
	diag_error(diag, EXIT_USAGE, 0,
		"$HOME is not set, so there is no file for tuning decisions; give --tune-cache=FILE");
	return NULL;
}
