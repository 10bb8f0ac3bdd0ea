/* api.h: the C API of emitted libraries, for any model. The emitted NAME_* functions are one-line wrappers
 * that pass the const RtModel to these. NAME.h documents each.
 *
 *     NAME *NAME_new(int threads)              { return (NAME *)rt_new(&NAME_model, threads); }
 *     void  NAME_free(NAME *c)                 { rt_free((RtContext *)c); }
 *     size_t NAME_workspace_bytes(T, N, L, t)  { return rt_workspace_bytes(&NAME_model, T, N, L, t); }
 *     NAME *NAME_init(memory, bytes, threads)  { return (NAME *)rt_init(&NAME_model, memory, ..); }
 *     int   NAME_run_ids(...)                  { return rt_run_ids((RtContext *)c, ...); }
 *                                              likewise run_text and run_outputs
 *     int   NAME_tokenize(...)                 { return rt_encode((RtContext *)c, ...); }
 *     int   NAME_set(c, option, value)         { return rt_set((RtContext *)c, option, value); }
 *     const char *NAME_label(int i)            { return rt_label(&NAME_model, i); }
 *                                              likewise NAME_output and rt_output
 *     const char *NAME_cpu(c)                  { return rt_cpu((const RtContext *)c); }
 *     const char *NAME_strerror(int status)    { return rt_strerror(status); }
 *     const char *NAME_why(void)               { return rt_why(&NAME_model); }
 *     const char *NAME_about(void)             { return NAME_model.about; }
 *     int   main(int argc, char **argv)        { return rt_main(&NAME_model, argc, argv); }
 *                                              in program.h, under #ifdef NAME_MAIN
 */
#ifndef RT_API_H
#define RT_API_H
#include "model.h"
#include "tokenize/tokenizer.h"
#include "cpu.h"
#include "team.h"

enum { RT_OVERFLOW_ERROR, RT_OVERFLOW_TRUNCATE, RT_OVERFLOW_WINDOW }; /* rt_set(c, "overflow", ...) */
enum { RT_FLAG_TRUNCATED = 1, RT_FLAG_WINDOWED = 2 };                 /* flags of rt_run_text */
enum { RT_OPTIONS_MAX = 32 };                                         /* of a model */
enum { RT_OUTPUTS_MAX = 32 };                                         /* bits of rt_run_outputs' mask */

/* A context: the team, the options and one block of memory. Only one thread may use it at a time. Contexts
 * share the const model. */
typedef struct RtContext {
	const RtModel *model;
	const RtVariant *variant; /* the code that runs */
	RtTeam team;
	char *room; /* the rest of the context's memory, 64-byte aligned; every call lays it out anew */
	size_t room_bytes;
	int32_t stage_tokens, stage_texts; /* most in one pass: limited by the room and by the model's batch */
	int32_t *ids, *types, *offsets, *thinned; /* staging, at the start of the room */
	RtKept kept[RT_SYMBOLS_MAX];              /* from the last pass that reached each thin */
	/* for the text that is being encoded: max_tokens each; NULL without a tokenizer */
	int32_t *text_ids, *text_types, *start, *end, *word;
	char *arena; /* after the staging */
	size_t arena_bytes;
	int32_t *exits;                 /* RtCall.exits; NULL: no text ends early */
	int32_t overflow, strict, task; /* options; task: RT_PLAIN, .. */
	double options[RT_OPTIONS_MAX]; /* the model's own */
	double *step_seconds;           /* --profile; NULL: off */
	size_t mapped_bytes;            /* bytes mapped by rt_new; 0: the caller owns the memory */
} RtContext;

/* The newest code that a CPU with these bits can run; NULL: none. */
RT_API const RtVariant *rt_choose(const RtModel *, uint32_t isa);
RT_API RtContext *rt_new(const RtModel *, int threads);
/* rt_new for code that is chosen already; NULL: there is none. */
RT_API RtContext *rt_new_variant(const RtModel *, const RtVariant *, int threads);
RT_API void rt_free(RtContext *);
RT_API size_t rt_workspace_bytes(const RtModel *, int max_tokens, int max_texts, int longest, int threads);
RT_API RtContext *rt_init(const RtModel *, void *memory, size_t bytes, int threads);
RT_API int rt_run_ids(RtContext *, const int32_t *ids, const int32_t *types, const int32_t *offsets,
	int32_t ntext, float *out, size_t out_floats);
RT_API int rt_run_text(RtContext *, const char *const *text, const size_t *bytes, const char *const *pair,
	const size_t *pair_bytes, int32_t ntext, float *out, size_t out_floats, int32_t *row_offsets,
	uint8_t *flags);
RT_API int rt_encode(RtContext *, const char *text, size_t bytes, const char *pair, size_t pair_bytes,
	int32_t *ids, int32_t *types, int32_t *byte_start, int32_t *byte_end, int32_t capacity, int32_t *n);
RT_API int rt_run_outputs(RtContext *, const int32_t *ids, const int32_t *types, const int32_t *offsets,
	int32_t ntext, uint32_t mask, float *const *out, const size_t *out_floats);
/* Options: "overflow" (0 error, 1 truncate, 2 window), "strict" (1: invalid UTF-8 is RT_E_TEXT); done at
 * once, with the value 1: "prefault" and "huge_pages" (resident.c); of models for late interaction "task" (0:
 * none, 1: texts are queries, 2: documents); and the model's own, thresholds: numbers from 0. A context
 * without a model only says whether they are options. */
RT_API int rt_set(RtContext *, const char *option, double value);
/* Not infinity either, which is what a number too large to read becomes. */
RT_INLINE int rt_option_takes(double value) { return value >= 0 && value <= 1e300; }
/* Which option of the model's own; -1: none. */
RT_API int32_t rt_option(const RtModel *, const char *name);
RT_API const char *rt_label(const RtModel *, int i);  /* of the first head; NULL outside the table */
RT_API const char *rt_output(const RtModel *, int i); /* name of output i; NULL outside the table */
RT_API const char *rt_cpu(const RtContext *); /* whose code it runs, as --cpu named it; NULL for NULL */
RT_API const char *rt_strerror(int status);
/* Why rt_new or rt_init gave NULL: what this CPU lacks, or else memory. */
RT_API const char *rt_why(const RtModel *);

/* text.c, for late interaction: the limit of a text's tokens; rt_tokenize for a task; and whether a token of
 * such a text has a row. Models that are not for late interaction do not read the task. */
RT_INLINE int32_t late_limit(const RtModel *m, int task)
{
	return m->late ? m->late->limit[task] : m->max_tokens;
}
/* Queries, and texts whose rows join, are cut where they are too long for the model. */
RT_INLINE int late_has_windows(const RtModel *m, int task)
{
	return !m->late || (task != RT_QUERY && !m->late->clusters[task]);
}
RT_API int late_tokenize(const RtModel *, int task, const char *text, size_t bytes, const char *pair,
	size_t pair_bytes, int32_t *ids, int32_t *types, int32_t *start, int32_t *end, int32_t *word,
	RtEncoding *);
RT_API int late_keeps(const RtModel *, int task, int32_t id);
/* cluster.c: joins rows [n,width] to clusters, in place. Returns how many are left, at most as many as
 * cluster_most says. memory: cluster_bytes, aligned for doubles. */
RT_API int32_t cluster_rows(const RtLate *, int task, float *rows, int32_t n, int32_t width, void *memory);
RT_API int32_t cluster_most(const RtLate *, int task, int32_t n);
RT_API size_t cluster_bytes(int32_t n, int32_t width);

/* Bytes of RtView.scratch, and of memory for clusters. */
RT_INLINE size_t rt_scratch_bytes(const RtModel *m, int64_t tokens)
{
	if (m->late && m->late->factor > 0)
		return (cluster_bytes((int32_t)tokens, m->outputs->width) + 63) / 64 * 64;
	const int task = m->nheads > 0 ? m->heads[0].task : RT_TASK_EMBED;
	if (task == RT_TASK_SPARSE)
		return ((size_t)m->outputs->width * sizeof(float) + 63) / 64 * 64;
	return task == RT_TASK_TAG || task == RT_TASK_QA ? (16 * (size_t)tokens + 63) / 64 * 64 : 0;
}

/* api.c, for text.c: whether one pass over so much fits the context's memory; and that pass. */
RT_API int rt_pass_fits(const RtContext *, int64_t tokens, int64_t texts, int64_t longest);
RT_API void rt_pass(RtContext *, const int32_t *ids, const int32_t *types, const int32_t *offsets,
	int32_t ntexts, int32_t longest, float *const *out);

/* resident.c */
RT_API int rt_prefault(const RtModel *);
RT_API int rt_huge_pages(const RtModel *);

/* A text, or a window of a text: its tokens, and the rows of an output. */
typedef struct RtView {
	const int32_t *ids, *start, *end, *word; /* of each token; start NULL: offsets count tokens */
	const float *rows;
	int32_t n, first, count; /* n tokens; the text, or the second of a pair, has [first, first + count) */
	size_t low, high;        /* the bytes that this window counts for, because windows overlap */
	int truncated;           /* the text goes on behind the limit */
	void *scratch;           /* 16 bytes a token, for taggers and question answering; of sparse weights a
							  * row, which stays for all windows of a text */
} RtView;
typedef void RtViewFn(void *state, const RtContext *, const RtView *);
/* text.c: runs the first output on a text and calls the function with it or, where the overflow rule says so
 * and the task has windows, with each of its windows in turn. */
RT_API int rt_each_window(RtContext *, const char *text, size_t bytes, const char *pair, size_t pair_bytes,
	int windows, RtViewFn *, void *state);
/* Runs the first output on text_ids and text_types. The next pass overwrites the rows. */
RT_API float *rt_window_run(RtContext *, int32_t tokens, void **scratch);
/* RT_OK: the model and the context take these text_ids. */
RT_API int rt_window_check(const RtContext *, int32_t tokens);

/* text.c: length 1 to within float's rounding, which is what a normalize op at the end leaves; the length; a
 * row times a number. */
RT_API int text_is_unit(const float *x, int32_t width);
RT_API void text_max(float *x, const float *y, int32_t width);
RT_API double text_norm(const float *x, int32_t width);
RT_API void text_scale(float *x, int32_t width, double by);

/* One piece of a text: the whole of it or, when it is longer than the model takes, a window that starts at
 * byte `from` of the windowed text (the pair where there is one, else the text). Byte offsets count from the
 * start of the whole text. overlap: consecutive windows share half their tokens. *next receives where the
 * next window starts, or SIZE_MAX after the last. A window starts at the start of a word, unless one word
 * fills it. */
RT_API int rt_window(const RtModel *, const char *text, size_t bytes, const char *pair, size_t pair_bytes,
	size_t from, int overlap, int32_t *ids, int32_t *types, int32_t *start, int32_t *end, int32_t *word,
	RtEncoding *, size_t *next);
/* The tokens of the windowed text in a window: [*first, *first + returned count). */
RT_API int32_t rt_window_tokens(const RtEncoding *, int paired, const int32_t *start, int32_t *first);
/* Of two windows that overlap: the byte where the second takes over, the start of a word in the middle of
 * what they share. The arguments are those of the first. */
RT_API size_t rt_window_boundary(
	const RtEncoding *, int paired, const int32_t *start, const int32_t *word, size_t next);
#endif
