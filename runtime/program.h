/* program.h: the emitted program. It reads texts or ids and prints lines. It opens no files except the cgroup
 * files for --threads 0, loads no library, and uses only functions of libc that work in static programs. */
#ifndef RT_PROGRAM_H
#define RT_PROGRAM_H
#include "answers/answering.h"
#include <stdio.h>
#include <stdlib.h>

/* as ExitCode in diag.h */
enum { RT_EXIT_DONE = 0, RT_EXIT_RUN = 1, RT_EXIT_USAGE = 2, RT_EXIT_INPUT = 3, RT_EXIT_UNSUPPORTED = 4 };

/* The program's main. */
RT_API int rt_main(const RtModel *, int argc, char **argv);

/* ---- json_out.c ------------------------------------------------------------------------------ */
RT_FN void rt_json_string(FILE *, const char *text, size_t bytes); /* quoted; invalid UTF-8 becomes U+FFFD */
RT_FN void rt_json_number(FILE *, double);                /* 9 significant digits; null if not finite */
RT_FN void rt_json_row(FILE *, const float *, int32_t n); /* [a, b] */
RT_FN void rt_json_indent(
	FILE *, const char *json); /* an object on several lines, indented by two spaces per level */
/* a string or number at the top level */
RT_FN int rt_json_find(const char *json, const char *key, char *value, size_t capacity);

/* ---- lines.c --------------------------------------------------------------------------------- */
typedef struct RtLines {
	int descriptor;
	char *data;                  /* malloc'd */
	size_t begin, end, capacity; /* unread bytes */
	int ended, failed;           /* end of input; read() failed */
	int skips;                   /* next comes the rest of a line above the limit */
} RtLines;
enum { RT_LINE_BYTES_MAX = 1 << 26 }; /* 64 MiB; a longer line is an error */
/* Reads the next line, without its newline or CR LF. 1: *line is set, valid until the next call. 0: end of
 * input. -1: the line is above the limit, or there is no memory for it; this is returned at once, and the
 * next call skips the rest of the line. */
RT_FN int rt_lines_next(RtLines *, const char **line, size_t *bytes);

/* ---- threads.c ------------------------------------------------------------------------------- */
/* "0": the number of CPUs that affinity and cgroup quota allow. 1 .. RT_THREADS_MAX: that number. Anything
 * else: -1. */
RT_FN int32_t rt_threads_parse(const char *text);

/* ---- options.c, program.c, labels.c, tasks.c, report.c --------------------------------------- */
typedef struct RtOptions {
	int prefault, huge_pages, json, ids, tokenize, logits, hidden, raw, tokens, strict, about, bench, profile,
		allow_no_answer, multi_label;
	int similarity, dim, precision; /* dim: 0: all numbers; precision: PRECISION_.. of embeddings.c */
	int overflow, threads, batch, repeat, xml, format, aggregation,
		scheme; /* scheme: 1 + RT_SCHEME_..; 0: that of the labels */
	double threshold, null_threshold, own[RT_OPTIONS_MAX];
	uint32_t has_own; /* bits of the model's options that were given */
	const char *seq, *query, *labels, *pattern, *prompt, *ranges; /* pattern: --template */
	int top;                                                      /* --top; 0: not given */
} RtOptions;

/* A text of the input, and its state. */
typedef struct RtItem {
	int64_t number;          /* of the line or argument, from 1 */
	size_t at, bytes;        /* in Program.bytes */
	const char *text, *pair; /* set when the batch is complete; pair NULL: a single text */
	size_t text_bytes, pair_bytes;
	int32_t first_piece, npieces; /* 0: it was an error */
	int32_t total;                /* tokens without a limit */
	int truncated;
	int32_t choices; /* texts that may go on with the line's first text, or are compared, each in pieces of
					  * its own; 0: none */
} RtItem;

/* A sequence of tokens to run: a text, or a window of a text. */
typedef struct RtRun {
	int32_t at, n;        /* in Program.ids and the other columns */
	int32_t first, count; /* tokens of the windowed text (the pair if there is one), from `at` on */
	int32_t choice;       /* of the line's choices, from 0 */
	size_t low, high;     /* range of bytes that this window counts for, because windows overlap */
} RtRun;

typedef struct RtProgram {
	const RtModel *model;
	RtContext *context;
	RtOptions options;
	RtModel chosen;  /* the model with the heads that --task chose */
	RtModel limited; /* the model with the limit of tokens of `late` */
	int late;        /* of models for late interaction: what texts are, RT_PLAIN, .. */
	float *query;    /* the rows of --query */
	int32_t nquery;
	float *vectors; /* the rows of a text */
	size_t vectors_bytes;
	RtHead head;
	uint32_t averaged; /* outputs that are averaged into the head's output */
	FILE *out;
	const char *source; /* "<stdin>" or "argument", for messages */
	int failed;         /* an error was reported: exit 1 at the end */
	char *bytes;
	size_t bytes_used, bytes_capacity;
	RtItem *items;
	int32_t nitems;
	RtRun *pieces;
	int32_t npieces, pieces_capacity;
	int32_t *ids, *types, *start, *end, *word, ntokens,
		tokens_capacity; /* columns over the tokens of all pieces */
	int32_t *offsets;
	int32_t offsets_capacity;
	uint32_t mask; /* requested outputs */
	float *rows[RT_OUTPUTS_MAX];
	size_t rows_floats[RT_OUTPUTS_MAX];
	struct RtZeroShot *zero_shot; /* --labels */
	const RtPrompt *prompt;       /* before each text; NULL: none */
	char *prompted;               /* a text with its prompt */
	size_t prompted_bytes;
	struct RtRanked *ranked; /* --top: the best documents, best first */
	int32_t nranked, ranked_capacity;
	float *ranges; /* malloc'd: of --ranges or --precision=ranges, the least numbers, then the greatest */
	void *scratch;
	size_t scratch_bytes;
} RtProgram;

/* Grows memory. Out of memory ends the program with exit 1. */
RT_FN void *rt_grow(void *memory, size_t *have_bytes, size_t want_bytes);
RT_FN void *rt_scratch(RtProgram *, size_t bytes);
RT_FN void rt_complain(RtProgram *, const RtItem *, const char *kind, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The rows of output k for a piece. */
RT_FN float *rt_rows(RtProgram *, int32_t output, const RtRun *);
RT_FN int program_run(RtProgram *); /* fills them */
/* Piece i of a text, with the rows of output k. */
RT_FN RtView rt_view(RtProgram *, const RtItem *, int32_t i, int32_t output);
/* The text k of a line with choices: its windows. */
RT_FN RtItem task_choice(const RtProgram *, const RtItem *, int32_t k);
/* The output with the number of layers that a text went through; -1: no text can end early. */
RT_FN int32_t rt_layers_output(const RtModel *);
/* ---- read.c: the pieces of a text; none after an error */
RT_FN void program_read(RtProgram *, RtItem *);
RT_FN void program_read_prompted(RtProgram *, RtItem *); /* of the prompt and item->text */
RT_FN void program_check_tokens(RtProgram *, RtItem *);  /* drops the pieces of a text after an error */
/* Makes room for n more tokens in all columns. */
RT_FN void program_tokens(RtProgram *, int32_t n);
/* ---- prompts.c ------------------------------------------------------------------------------- */
RT_FN int prompt_choose(RtProgram *); /* 0, or the exit code of what it has said */
RT_FN int prompt_measure(RtProgram *);
RT_FN int prompt_take(RtProgram *); /* the prompt of queries, or of documents; as prompt_choose */
RT_FN const char *prompt_text(RtProgram *, const char *text, size_t *bytes);
RT_FN void prompt_help(const RtModel *);
/* ---- vectors.c: models for late interaction -------------------------------------------------- */
RT_FN void vectors_take(RtProgram *, int late); /* the texts that follow are of this kind */
RT_FN void vectors_print(RtProgram *, const RtItem *, const RtHead *);
RT_FN double vectors_score(RtProgram *, const RtItem *, const RtHead *); /* of a document, for --query */
RT_FN void vectors_keep(RtProgram *, const RtItem *, const RtHead *);    /* of the query */
/* ---- tags.c, aggregate.c --------------------------------------------------------------------- */
enum { RT_AGGREGATE_SIMPLE = 1, RT_AGGREGATE_FIRST, RT_AGGREGATE_AVERAGE, RT_AGGREGATE_MAX };
RT_FN void task_print_tags(RtProgram *, const RtItem *, const RtHead *);
RT_FN const char *task_tags_refuse(const RtModel *, const RtOptions *); /* NULL, or what is wrong */
RT_FN int task_set_aggregation(RtOptions *, const char *word);          /* false: no such word */
RT_FN int task_set_format(RtOptions *, const char *word);
/* ---- embeddings.c ---------------------------------------------------------------------------- */
RT_FN int embedding_set_precision(RtOptions *, const char *word); /* false: no such word */
RT_FN int embedding_check(RtProgram *); /* 0, or the exit code of what it has said */
RT_FN int embedding_print(RtProgram *, const RtItem *);
RT_FN int32_t embedding_width(const RtProgram *, const RtHead *); /* of the numbers that count */
RT_FN void embedding_print_row(RtProgram *, const RtItem *, const RtHead *);
RT_FN void embedding_end(RtProgram *); /* prints the ranges of --precision=ranges */
RT_FN void task_end_json(RtProgram *, const RtItem *);
/* ---- sparse.c -------------------------------------------------------------------------------- */
RT_FN void sparse_print_weights(RtProgram *, const RtItem *, const RtHead *);
RT_FN void task_print_sparse(RtProgram *, const RtItem *, const RtHead *);
/* ---- rerank.c -------------------------------------------------------------------------------- */
RT_FN int rerank_check(const RtProgram *);   /* 0, or the exit code of what it has said */
RT_FN int rerank_encodes(const RtProgram *); /* --query: whether queries and documents are encoded apart */
RT_FN int rerank_start(RtProgram *);         /* encodes the query. 0, or the exit code of what it has said */
RT_FN void rerank_print(RtProgram *, const RtItem *); /* with --top: keeps it */
RT_FN void rerank_end(RtProgram *);                   /* prints what --top kept */
/* ---- zero_shot.c ----------------------------------------------------------------------------- */
RT_FN int zero_shot_check(RtProgram *);          /* 0, or the exit code of what it has said */
RT_FN int zero_shot_read(RtProgram *, RtItem *); /* the pieces of a text; false after an error */
RT_FN void zero_shot_print(RtProgram *, const RtItem *);
RT_FN void zero_shot_free(RtProgram *);
/* ---- options.c: 0, or the exit code of what it has said on standard error -------------------- */
RT_FN int program_usage(const RtProgram *, const char *format, ...) __attribute__((format(printf, 2, 3)));
RT_FN int program_parse(RtProgram *, int argc, char **argv); /* -1: continue */
RT_FN int program_start(RtProgram *);                  /* chooses the CPU's code and makes the context */
RT_FN void rt_task_print(RtProgram *, const RtItem *); /* tasks.c: by the head's task */
RT_FN void rt_print_numbers(RtProgram *, const RtItem *, int32_t output); /* --logits, --hidden */
RT_FN int rt_about(const RtModel *, FILE *);
RT_FN int rt_bench(RtProgram *);
RT_FN int rt_profile(RtProgram *);
#endif
