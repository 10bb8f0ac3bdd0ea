/* cmd_bench.c: `bertc bench MODEL...`: builds each model as a static program and measures the program from
 * outside, as a user sees it: size, start, first answer, memory. Then runs its --bench over lengths, batches
 * and threads. Rows have the form of llama-bench. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "bertc.h"
#include "compiler/measure/metrics.h"
#include "compiler/support/json_file.h"

enum { MODELS_MAX = 32, LIST_MAX = 16, STARTS = 7, OUTPUT_MAX = 1 << 20 };

typedef enum Format { FORMAT_MD, FORMAT_CSV, FORMAT_JSON, FORMAT_JSONL } Format;
static const char *const format_names[] = {"md", "csv", "json", "jsonl"};

typedef struct BenchOptions {
	BuildOptions build;
	const char *models[MODELS_MAX];
	int nmodels, nbatch, nthreads, repeat;
	int batch[LIST_MAX], threads[LIST_MAX];
	const char *seq;
	Format format;
} BenchOptions;

static int numbers(
	const CommandOption *option, const char *text, int values[LIST_MAX], struct argp_state *state)
{
	char expected[96];
	int n = 0;
	for (const char *at = text;; at++) {
		char *end;
		const long value = strtol(at, &end, 10);
		if (end == at || value < 1 || value > (long)option->most || n == LIST_MAX || (*end && *end != ',')) {
			snprintf(expected, sizeof expected, "up to %d numbers from 1 to %.0f, separated by commas",
				LIST_MAX, option->most);
			option_refuse(option, text, expected, state);
		}
		values[n++] = (int)value;
		at = end;
		if (!*end)
			return n;
	}
}

static void set_seq(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	BenchOptions *o = options;
	int lengths[LIST_MAX]; /* the program reads them again */
	numbers(option, text, lengths, state);
	o->seq = text;
}

static void set_batch(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	BenchOptions *o = options;
	o->nbatch = numbers(option, text, o->batch, state);
}

static void set_threads(const CommandOption *option, void *options, char *text, struct argp_state *state)
{
	BenchOptions *o = options;
	o->nthreads = numbers(option, text, o->threads, state);
}

static void add_model(void *options, char *word, struct argp_state *state)
{
	BenchOptions *o = options;
	if (o->nmodels == MODELS_MAX)
		argp_error(state, "at most %d models", MODELS_MAX);
	else
		o->models[o->nmodels++] = word;
	o->build.load.model = word;
}

static const CommandOption table[] = {
	{"seq", "N,...", "tokens per text (default 8,16,32,64,128,256,512, up to the model's limit)",
		.call = set_seq, .most = 1 << 20},
	{"batch", "N,...", "texts per call (default 1)", .call = set_batch, .most = 1 << 16},
	{"threads", "N,...", "threads (default 1)", .call = set_threads, .most = 256},
	{"repeat", "N", "number of runs (default 20)", INTO(BenchOptions, repeat), 1, 1e6},
	{"output", "FORMAT", "md (default), csv, json or jsonl", INTO(BenchOptions, format), WORDS(format_names),
		.letter = 'o'},
	{0},
};

/* ---- the program as a process ---------------------------------------------------------------- */

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

typedef struct Child {
	pid_t pid;
	int in, out;
} Child;

static bool child_start(Child *child, char *const *words)
{
	int in[2], out[2];
	if (pipe(in) != 0)
		return false;
	if (pipe(out) != 0) {
		close(in[0]);
		close(in[1]);
		return false;
	}
	child->pid = vfork(); /* not fork: it would copy the page tables of bertc with LLVM, and that time would
							 count */
	if (child->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		for (int i = 0; i < 2; i++) {
			close(in[i]);
			close(out[i]);
		}
		execv(words[0], words);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = out[0];
	if (child->pid > 0)
		return true;
	close(child->in);
	close(child->out);
	return false;
}

/* Reads until the end, or until the first newline. Returns bytes read. */
static size_t child_read(const Child *child, char *text, size_t capacity, bool line)
{
	size_t n = 0;
	while (n + 1 < capacity) {
		const ssize_t got = read(child->out, text + n, capacity - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
		if (line && memchr(text + n - (size_t)got, '\n', (size_t)got))
			break;
	}
	text[n] = '\0';
	return n;
}

static int child_end(Child *child)
{
	int status = 0;
	if (child->in >= 0)
		close(child->in);
	close(child->out);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Peak resident memory of a live process, in bytes. (ru_maxrss will not do: across exec it keeps the peak of
 * the process that forked.) */
static int64_t peak_bytes(pid_t pid)
{
	char path[64], line[256];
	long long kilobytes = 0;
	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmHWM: %lld", &kilobytes) == 1)
			break;
	if (file)
		fclose(file);
	return kilobytes * 1024;
}

/* ---- one model ------------------------------------------------------------------------------- */

typedef struct Model {
	const char *name;
	int64_t size, parameters, weight_bytes, peak;
	double load_ms, first_ms;
	json_t *rows; /* lines of the program's --bench */
} Model;

/* The first text for the task; *option: the option with which the program reads it. */
static const char *first_text(const Loaded *loaded, const char **option)
{
	const int task = loaded->module->nheads > 0 ? (int)loaded->module->heads[0].task : -1;
	*option = "--json";
	if (!loaded->tokenizer || task == TASK_FILL_MASK || task < 0) {
		*option = "--logits";
		return loaded->tokenizer ? "a first text\n" : NULL;
	}
	return task == TASK_QA || task == TASK_RANK || task == TASK_CHOICE ? "what is it?\ta first text\n"
																	   : "a first text\n";
}

/* From process start to the end of --version, and to the first answer: the best of several, files warm. */
static bool time_start(const char *path, const char *text, const char *option, Model *model, Diag *diag)
{
	char answer[1 << 16], *const version[] = {(char *)path, "--version", NULL};
	char *const run[] = {(char *)path, (char *)option, text ? NULL : "--ids", NULL};
	if (!text)
		text = "0 0 0\n";
	for (int i = 0; i < STARTS; i++) {
		Child child;
		double before = now_ms();
		if (!child_start(&child, version))
			return diag_error(diag, EXIT_RUN, 0, "the built program cannot be started");
		child_read(&child, answer, sizeof answer, false);
		double took = now_ms() - before;
		child_end(&child);
		model->load_ms = i == 0 || took < model->load_ms ? took : model->load_ms;
		before = now_ms();
		if (!child_start(&child, run) || write(child.in, text, strlen(text)) < 0)
			return diag_error(diag, EXIT_RUN, 0, "the built program cannot be started");
		const size_t bytes = child_read(&child, answer, sizeof answer, true);
		took = now_ms() - before;
		const int64_t peak = peak_bytes(child.pid);
		if (child_end(&child) != 0 || bytes == 0)
			return diag_error(diag, EXIT_RUN, 0, "the built program gave no answer");
		model->first_ms = i == 0 || took < model->first_ms ? took : model->first_ms;
		model->peak = peak > model->peak ? peak : model->peak;
	}
	return true;
}

static bool read_about(const char *path, Model *model, Diag *diag)
{
	char *const words[] = {(char *)path, "--about", NULL}, *text = checked_malloc(OUTPUT_MAX);
	Child child;
	if (!child_start(&child, words)) {
		free(text);
		return diag_error(diag, EXIT_RUN, 0, "the built program cannot be started");
	}
	child_read(&child, text, OUTPUT_MAX, false);
	child_end(&child);
	json_t *about = json_loads(text, 0, NULL);
	model->parameters = json_integer_value(json_object_get(about, "parameters"));
	model->weight_bytes = json_integer_value(json_object_get(about, "weight_bytes"));
	json_decref(about);
	free(text);
	return true;
}

static bool run_bench(
	const BenchOptions *o, const char *path, int threads, int batch, Model *model, Diag *diag)
{
	char number[3][16], *text = checked_malloc(OUTPUT_MAX), *rest = text;
	snprintf(number[0], sizeof number[0], "%d", threads);
	snprintf(number[1], sizeof number[1], "%d", batch);
	snprintf(number[2], sizeof number[2], "%d", o->repeat);
	char *const words[] = {(char *)path, "--bench", "--json", "--threads", number[0], "--batch", number[1],
		"--repeat", number[2], o->seq ? "--seq" : NULL, (char *)o->seq, NULL};
	Child child;
	if (!child_start(&child, words)) {
		free(text);
		return diag_error(diag, EXIT_RUN, 0, "the built program cannot be started");
	}
	child_read(&child, text, OUTPUT_MAX, false);
	const int status = child_end(&child);
	for (char *line; (line = strsep(&rest, "\n"));)
		if (*line)
			json_array_append_new(model->rows, json_loads(line, 0, NULL));
	free(text);
	return status == 0 || diag_error(diag, EXIT_RUN, 0, "the built program's --bench ended with %d", status);
}

static bool bench_model(const BenchOptions *o, Model *model, Diag *diag)
{
	BuildOptions build = o->build;
	Loaded loaded = {0};
	struct stat st;
	build.load.model = model->name;
	diag->file = model->name;
	char *directory = temporary_directory(diag), *path = directory ? result_program(&build, directory) : NULL;
	const char *option = NULL, *text = NULL;
	bool good = path && model_load(&build.load, &loaded, diag);
	if (good)
		text = first_text(&loaded, &option);
	good = good && build_loaded(&build, &loaded, NULL, diag);
	model_unload(&loaded);
	if (good && stat(path, &st) == 0)
		model->size = st.st_size;
	good = good && read_about(path, model, diag) && time_start(path, text, option, model, diag);
	for (int t = 0; good && t < o->nthreads; t++)
		for (int b = 0; good && b < o->nbatch; b++) {
			if (o->build.progress)
				progress_show(model->name, t * o->nbatch + b, o->nthreads * o->nbatch);
			good = run_bench(o, path, o->threads[t], o->batch[b], model, diag);
		}
	progress_clear();
	if (directory)
		remove_tree(directory);
	free(path);
	free(directory);
	return good;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const char *base_name(const char *path, char *text, size_t capacity)
{
	snprintf(text, capacity, "%s", path);
	for (size_t n = strlen(text); n > 1 && text[n - 1] == '/'; n--)
		text[n - 1] = '\0';
	char *slash = strrchr(text, '/');
	return slash ? slash + 1 : text;
}

static double real_of(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

/* The CPU of the code that ran; a program may have code for several CPUs. */
static const char *cpu_of(const json_t *row)
{
	const char *cpu = json_string_value(json_object_get(row, "cpu"));
	return cpu ? cpu : "?";
}

static const char *const columns[] = {
	"model",
	"size_bytes",
	"parameters",
	"weight_bytes",
	"cpu",
	"threads",
	"batch",
	"seq",
	"tokens_per_second",
	"p50_ms",
	"p90_ms",
	"p99_ms",
	"min_ms",
	"load_ms",
	"first_answer_ms",
	"peak_rss_bytes",
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static json_t *full_row(const Model *model, const json_t *row)
{
	char name[256];
	return json_pack("{s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}",
		columns[0], base_name(model->name, name, sizeof name), columns[1], (json_int_t)model->size,
		columns[2], (json_int_t)model->parameters, columns[3], (json_int_t)model->weight_bytes, columns[4],
		cpu_of(row), columns[5], json_integer_value(json_object_get(row, "threads")), columns[6],
		json_integer_value(json_object_get(row, "texts")), columns[7],
		json_integer_value(json_object_get(row, "tokens")), columns[8], real_of(row, "tokens_per_second"),
		columns[9], real_of(row, "median_ms"), columns[10], real_of(row, "p90_ms"), columns[11],
		real_of(row, "p99_ms"), columns[12], real_of(row, "min_ms"), columns[13], model->load_ms, columns[14],
		model->first_ms, columns[15], (json_int_t)model->peak);
}

static void print_md(const Model *model, const json_t *row)
{
	char name[256];
	printf("| %-20s | %9.1f | %8.2f | %-12s | %7d | %5d | %5d | %9.0f | %9.3f | %9.3f | %9.3f | %7.2f | "
		   "%9.2f | %8.1f |\n",
		base_name(model->name, name, sizeof name), (double)model->size / 1048576,
		(double)model->parameters * 1e-6, cpu_of(row), (int)real_of(row, "threads"),
		(int)real_of(row, "texts"), (int)real_of(row, "tokens"), real_of(row, "tokens_per_second"),
		real_of(row, "median_ms"), real_of(row, "p90_ms"), real_of(row, "p99_ms"), model->load_ms,
		model->first_ms, (double)model->peak / 1048576);
}

static void print_head(Format format)
{
	if (format == FORMAT_MD)
		printf("| %-20s | %9s | %8s | %-12s | %7s | %5s | %5s | %9s | %9s | %9s | %9s | %7s | %9s | %8s |\n"
			   "| -------------------- | --------: | -------: | ------------ | ------: | ----: | ----: | "
			   "--------: "
			   "| --------: | --------: | --------: | ------: | --------: | -------: |\n",
			"model", "size MiB", "params M", "cpu", "threads", "batch", "seq", "tokens/s", "p50 ms", "p90 ms",
			"p99 ms", "load ms", "first ms", "peak MiB");
	else if (format == FORMAT_CSV)
		for (int i = 0; i < COLUMNS; i++)
			printf("%s%s", columns[i], i + 1 < COLUMNS ? "," : "\n");
}

static void print_csv(const json_t *row)
{
	for (int i = 0; i < COLUMNS; i++) {
		const json_t *value = json_object_get(row, columns[i]);
		const char *text = json_string_value(value);
		if (!text)
			printf(json_is_integer(value) ? "%.0f" : "%.4f", json_number_value(value));
		else if (strpbrk(text, ",\"\n")) {
			putchar('"');
			for (; *text; text++)
				printf(*text == '"' ? "\"\"" : "%c", *text);
			putchar('"');
		} else
			fputs(text, stdout);
		putchar(i + 1 < COLUMNS ? ',' : '\n');
	}
}

static void print_model(const BenchOptions *o, const Model *model, json_t *all)
{
	for (size_t i = 0; i < json_array_size(model->rows); i++) {
		const json_t *row = json_array_get(model->rows, i);
		json_t *full = full_row(model, row);
		if (o->format == FORMAT_MD)
			print_md(model, row);
		else if (o->format == FORMAT_CSV)
			print_csv(full);
		else if (o->format == FORMAT_JSONL) {
			json_print(full, JSON_REAL_PRECISION(6));
		} else
			json_array_append(all, full);
		json_decref(full);
	}
	fflush(stdout);
}

static int bench(void *options, Loaded *loaded, Diag *diag)
{
	(void)loaded; /* there may be several models */
	const BenchOptions *o = options;
	signal(SIGPIPE, SIG_IGN); /* bench reports a program that ends early instead of ending itself */
	json_t *all = json_array();
	for (int i = 0; i < o->nmodels && diag->errors == 0; i++) {
		Model model = {.name = o->models[i], .rows = json_array()};
		const bool good = bench_model(o, &model, diag);
		if (good && i == 0)
			print_head(o->format);
		if (good)
			print_model(o, &model, all);
		json_decref(model.rows);
	}
	if (o->format == FORMAT_JSON) {
		json_print(all, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	}
	json_decref(all);
	return EXIT_DONE;
}

int cmd_bench(int argc, char **argv)
{
	static const Usage usage = {
		.arguments = "MODEL...",
		.doc = "Build models as static programs and time them on random ids, without the tokenizer.\v"
			   "Columns: `load` is the time from process start to the end of --version; `first` is the time "
			   "from process start to the first answer; `peak` is the resident memory by then, weights "
			   "included.\n\n"
			   "Example:\n"
			   "  bertc bench minilm-l6 --seq 16,128 --batch 1,8 --threads 1,2 -o md",
		.options = table,
		.word = add_model,
		.work = bench,
		.quiet = true,
	};
	BenchOptions options = {.batch = {1}, .threads = {1}, .nbatch = 1, .nthreads = 1, .repeat = 20};
	return command_run(&usage, argc, argv, &options.build);
}
