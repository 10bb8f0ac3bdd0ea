/* candidate.c: builds and scores candidates, each in its own process. Several can then run at once, a crash
 * affects no other candidate, and all memory is released at the end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "codegen/tokenize/tokenizer_tables.h"
#include "compiler/measure/calibrate.h"
#include "compiler/support/process.h"
#include "search.h"

enum { BOOTSTRAP = 1000, TIMED_TEXTS = 100, TIMED_RUNS = 5 };

/* The result of a child process, in shared memory. The RowScores follow it. */
typedef struct Shared {
	bool built;
	Cost cost;
	Score score;
} Shared;

/* Loads the model and applies the moves that candidates share. The caller unloads it, even after an error. */
static bool load_shared(const Search *search, const Candidate *candidate, Loaded *loaded, Diag *diag)
{
	BuildOptions build = search->build;
	char *pipeline = search_part(search, candidate->level, 0, search_shared(search));
	build_set_passes(&build, pipeline);
	build.progress = false;
	*loaded = (Loaded){0};
	const bool good = model_load(&build.load, loaded, diag)
		&& (!*pipeline || build_run_passes(&build, loaded, diag));
	free(pipeline);
	return good;
}

/* Applies the other moves and opens the model as a program with one thread. The caller closes it, even after
 * an error. */
static bool open_rest(
	const Search *search, const Candidate *candidate, Loaded *loaded, Program *program, Diag *diag)
{
	static const int8_t plain[MOVES_MAX];
	BuildOptions build = search->build;
	char *pipeline = search_part(search, candidate->level, search_shared(search), search->nmoves);
	const bool is_plain = memcmp(candidate->level, plain, sizeof plain) == 0;
	const char *usual = is_plain ? "cast-weights{to=f32},O2" : "O2";
	build_set_passes(&build, *pipeline ? pipeline : usual);
	build.progress = false;
	*program = (Program){0};
	const bool good = program_open(&build, loaded, 1, program, diag);
	free(pipeline);
	return good;
}

/* Adds the tokenizer's tables to the bytes of a program, because they shrink with the vocabulary. */
static bool add_tables(const TokenizerDesc *tokenizer, Cost *cost, Diag *diag)
{
	Blob blob = {0};
	TokenizerLayout layout;
	const bool good = tokenizer_layout(tokenizer, &blob, &layout, diag);
	cost->bytes += (int64_t)blob.bytes;
	blob_free(&blob);
	return good;
}

/* The text length for the cost model: the mean over the data, tokenized with the candidate's vocabulary. */
static bool mean_text(const Search *search, Loaded *loaded, const Program *p, CostText *mean, Diag *diag)
{
	BuildRun calibration = {.loaded = loaded};
	const int32_t room = p->max_tokens, words = loaded->tokenizer->nvocab;
	int32_t *ids = checked_calloc((size_t)room * 2 + 2, sizeof *ids), n;
	bool *continues = checked_calloc((size_t)words + 1, sizeof *continues);
	int64_t tokens = 0, begin = 0, texts = 0;
	int status = 0;
	vocabulary_continues(&calibration, continues, words);
	for (int32_t i = 0; i < search->data.nrows && status == 0; i++) {
		const DataRow *row = &search->data.rows[i];
		const char *pair = search->apart ? NULL : row->pair;
		status = program_tokenize(p, row->text, pair, ids, ids + room, NULL, room, &n);
		for (int32_t t = 0; t < n && status == 0; t++)
			begin += ids[t] < 0 || ids[t] >= words || !continues[ids[t]];
		tokens += n;
		texts++;
	}
	free(ids);
	free(continues);
	if (status || texts == 0)
		return diag_error(diag, EXIT_RUN, 0, "the program of a candidate cannot tokenize the data");
	*mean = (CostText){(int32_t)((tokens + texts / 2) / texts), (int32_t)((begin + texts / 2) / texts)};
	return true;
}

static void work(const Search *search, const Candidate *candidate, Loaded *loaded, Shared *shared,
	RowScore *rows, Diag *diag)
{
	Program program;
	Scored what;
	CostText text;
	shared->built = open_rest(search, candidate, loaded, &program, diag) && score_head(loaded, &what, diag)
		&& score_program_rows(
			&program, &what, &search->data, search->data_path, 0, NULL, &shared->score, rows, diag);
	shared->built = shared->built && mean_text(search, loaded, &program, &text, diag);
	if (shared->built)
		shared->cost = cost_model(loaded->module, text);
	shared->built = shared->built && add_tables(loaded->tokenizer, &shared->cost, diag);
	program_close(&program);
}

/* True if two candidates agree in the moves that learn from data. One process then does these moves, and its
 * children do the other moves. */
static bool same_shared(const Search *search, const Candidate *a, const Candidate *b)
{
	return memcmp(a->level, b->level, (size_t)search_shared(search)) == 0;
}

static int32_t next_sharing(const Search *search, Candidate *const *list, int32_t i, int32_t count)
{
	int32_t next = i + 1;
	while (next < count && !same_shared(search, list[i], list[next]))
		next++;
	return next;
}

/* Runs, in a separate process, candidate `first` and the later ones that share its first moves, up to `jobs`
 * at once. Passes change the model, so each candidate but the last runs in a fork with its own copy. False:
 * fork failed. */
static bool work_group(const Search *search, Candidate *const *list, int32_t first, int32_t count,
	int32_t jobs, Shared *const *shared)
{
	Diag diag;
	Loaded loaded;
	diag_init(&diag, search->build.load.model);
	bool good = true, is_child = !load_shared(search, list[first], &loaded, &diag);
	int32_t running = 0;
	for (int32_t i = first, next; good && !is_child && i < count; i = next) {
		next = next_sharing(search, list, i, count);
		const pid_t child = next < count ? process_fork() : 0;
		good = child >= 0;
		is_child = child == 0;
		if (is_child)
			work(search, list[i], &loaded, shared[i], (RowScore *)(shared[i] + 1), &diag);
		else if (good && ++running >= jobs)
			running -= waitpid(-1, &(int){0}, 0) > 0;
	}
	if (is_child && search->ndone == 1)
		diag_print(&diag, stderr); /* the plain build must succeed; others may be refused */
	while (waitpid(-1, &(int){0}, 0) > 0)
		;
	model_unload(&loaded);
	diag_free(&diag);
	return good;
}

static size_t shared_bytes(const Search *s)
{
	return sizeof(Shared) + (size_t)s->data.nrows * sizeof(RowScore);
}

static void finish(const Search *search, Candidate *candidate, const Shared *shared)
{
	candidate->built = shared->built;
	if (!shared->built)
		return;
	candidate->cost = shared->cost;
	candidate->rows = checked_calloc((size_t)search->data.nrows, sizeof *candidate->rows);
	memcpy(candidate->rows, shared + 1, (size_t)search->data.nrows * sizeof(RowScore));
	candidate_score(search, candidate);
}

/* Waits for one process. Candidates that it did not finish stay marked as not built. */
static bool wait_one(Diag *diag)
{
	int status;
	return (waitpid(-1, &status, 0) >= 0 && !(WIFEXITED(status) && WEXITSTATUS(status)))
		|| diag_error(diag, EXIT_RUN, 0, "the process of a candidate ended early");
}

static bool is_first(const Search *search, Candidate *const *list, int32_t i)
{
	for (int32_t j = 0; j < i; j++)
		if (same_shared(search, list[j], list[i]))
			return false;
	return true;
}

bool candidates_run(Search *search, Candidate *const *list, int32_t count, Diag *diag)
{
	Shared **shared = checked_calloc((size_t)count, sizeof *shared);
	bool good = true;
	int32_t running = 0, groups = 0;
	fflush(NULL);
	for (int32_t i = 0; i < count; i++) {
		void *memory = mmap(
			NULL, shared_bytes(search), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			out_of_memory(shared_bytes(search));
		shared[i] = memory;
	}
	for (int32_t i = 0; i < count; i++)
		groups += is_first(search, list, i);
	for (int32_t i = 0; good && i < count; i++) {
		if (!is_first(search, list, i))
			continue;
		if (running == search->jobs) {
			good = wait_one(diag);
			running--;
		}
		const pid_t child = good ? process_fork() : 1;
		if (child == 0)
			_exit(!work_group(
				search, list, i, count, groups < search->jobs ? search->jobs / groups : 1, shared));
		running++;
		good = good && (child > 0 || diag_error(diag, EXIT_RUN, 0, "cannot start a process for a candidate"));
	}
	for (; good && running > 0; running--)
		good = wait_one(diag);
	for (int32_t i = 0; i < count; i++) {
		if (good)
			finish(search, list[i], shared[i]);
		munmap(shared[i], shared_bytes(search));
	}
	free(shared);
	return good;
}

/* ---- time ------------------------------------------------------------------------------------ */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static bool time_program(const Search *search, Program *p, double *ms, Diag *diag)
{
	const int32_t most = p->max_tokens, texts = search->nsearch < TIMED_TEXTS ? search->nsearch : TIMED_TEXTS;
	int32_t *ids = checked_calloc((size_t)most * 2 + 2, sizeof *ids), offsets[2] = {0, 0}, n = 0;
	float *out = checked_calloc((size_t)most * (size_t)p->width + 1, sizeof *out);
	int status = 0;
	*ms = 0;
	for (int32_t t = 0; t < texts && status == 0; t++) {
		const DataRow *row = &search->data.rows[search->search_rows[t]];
		double best = INFINITY;
		const char *pair = search->apart ? NULL : row->pair;
		status = program_tokenize(p, row->text, pair, ids, ids + most, NULL, most, &n);
		offsets[1] = n;
		for (int run = 0; run < TIMED_RUNS && status == 0; run++) {
			const double start = now();
			status = p->run_ids(p->context, ids, ids + most, offsets, 1, out,
				(size_t)(p->per_token ? n : 1) * (size_t)p->width);
			best = fmin(best, now() - start);
		}
		*ms += best / texts;
	}
	free(ids);
	free(out);
	return status == 0 || diag_error(diag, EXIT_RUN, 0, "the program of a candidate cannot run the data");
}

bool candidate_time(Search *search, Candidate *candidate, Diag *diag)
{
	Loaded loaded;
	Program program;
	program = (Program){0};
	const bool good = load_shared(search, candidate, &loaded, diag)
		&& open_rest(search, candidate, &loaded, &program, diag)
		&& time_program(search, &program, &candidate->ms, diag);
	program_close(&program);
	model_unload(&loaded);
	return good;
}

/* ---- confidence ------------------------------------------------------------------------------ */

void candidate_score(const Search *search, Candidate *candidate)
{
	for (int share = 0; share < SHARE_COUNT; share++) {
		const int32_t *rows, n = search_share(search, (Share)share, &rows);
		candidate->score[share] = score_rows(search->metric, candidate->rows, rows, n);
	}
}

void candidate_compare(const Search *search, Candidate *candidate)
{
	const int32_t n = search->data.nrows;
	int32_t *numbers = checked_calloc((size_t)n, sizeof *numbers);
	double *drops = checked_calloc(BOOTSTRAP, sizeof *drops);
	uint64_t state = search->seed;
	for (int share = 0; share < SHARE_COUNT; share++) {
		const int32_t *rows, count = search_share(search, (Share)share, &rows);
		candidate->apart[share] = search_apart(
			search->metric, search->done[0].rows, candidate->rows, rows, count);
	}
	for (int b = 0; b < BOOTSTRAP; b++) {
		for (int32_t i = 0; i < n; i++)
			numbers[i] = (int32_t)(metric_draw(&state) % (uint64_t)n);
		drops[b] = 100
			* (score_rows(search->metric, search->done[0].rows, numbers, n).value
				- score_rows(search->metric, candidate->rows, numbers, n).value);
	}
	candidate->error = metric_stddev(drops, BOOTSTRAP);
	metric_sort(drops, BOOTSTRAP);
	candidate->low = metric_quantile(drops, BOOTSTRAP, 0.025);
	candidate->high = metric_quantile(drops, BOOTSTRAP, 0.975);
	free(numbers);
	free(drops);
}
