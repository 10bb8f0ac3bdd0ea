/* search.h: `bertc tune`: tries pipelines of lossy passes on labelled data. A candidate has a level of each
 * move (search_moves.def); level 0 leaves the move out. Decisions depend on scores, bytes and the cost model,
 * which are the same for the same seed. Only measured times differ between runs. */
#ifndef BERTC_SEARCH_H
#define BERTC_SEARCH_H
#include "compiler/support/files.h"
#include "cost.h"
#include "compiler/measure/score.h"

enum { MOVES_MAX = 12, LEVELS_MAX = 128, BLOCKS_MAX = 32, BLOCK_NAME_BYTES = 32 };

/* The rows used by the search, the rows held back from it, and both. */
typedef enum Share { SHARE_SEARCH, SHARE_HELD, SHARE_ALL, SHARE_COUNT } Share;
typedef struct Estimate {
	double points, error;
} Estimate; /* points lost against the plain build; standard error */

/* The goal to minimise within the budget: time x bytes; or time, then bytes; or bytes, then time. */
typedef enum Prefer { PREFER_BOTH, PREFER_SPEED, PREFER_SIZE } Prefer;

typedef struct Move {
	const char *name, *pass; /* pass: template with one %s */
	bool structural, learns; /* learns: the pass runs the model on texts */
	int32_t nlevels;         /* without level 0 */
	char *level[LEVELS_MAX]; /* level[1 .. nlevels] */
} Move;

typedef struct Candidate {
	int8_t level[MOVES_MAX];
	bool built; /* false: a pass or the build refused it */
	Cost cost;
	double ms;                            /* measured time per text; 0: not measured */
	double expected;                      /* score on the search share, predicted before measuring */
	double expected_time, expected_bytes; /* cost, likewise */
	RowScore *rows;                       /* one for each row of the data */
	Score score[SHARE_COUNT];
	double apart[SHARE_COUNT]; /* share of answers that differ from the plain build's */
	double low, high, error;   /* points lost on all rows: 95 % interval and standard error, by bootstrap */
} Candidate;

typedef struct Search {
	BuildOptions build; /* of every candidate, except for the passes */
	const char *data_path, *corpus;
	const char *calibration; /* file that passes learn from; NULL: the data */
	Dataset data;
	bool apart;   /* an embedder embeds the two texts of a row separately */
	uint64_t key; /* hash of model, data, corpus and seed; identifies the results */
	Metric metric;
	Move moves[MOVES_MAX];
	int32_t nmoves;
	int32_t layer[LEVELS_MAX], nlayers; /* numbers of the encoder's layers */
	char block[BLOCKS_MAX]
			  [BLOCK_NAME_BYTES]; /* blocks: "0.attention"; none if there are more than BLOCKS_MAX */
	int32_t nblocks, words;       /* words: size of the vocabulary */
	int32_t learnt;               /* number of texts that passes learn from */
	uint64_t seed;
	int32_t *search_rows, *held_rows, nsearch, nheld;
	double max_drop;          /* points; NAN: none */
	double max_bytes, max_ms; /* NAN: none */
	Prefer prefer;
	bool measure;        /* decide by measured times, not by the cost model */
	int32_t jobs, limit; /* processes at once; candidates at most */
	FILE *journal;       /* file of results, or NULL; below: its lines at the start */
	char *journal_text, **line;
	int32_t nlines;
	size_t line_capacity;
	Candidate *done; /* [0] is the plain fp32 build */
	int32_t ndone;
	size_t capacity;
	int32_t winner;   /* index in done; -1: none */
	double steepness; /* of the curve of losses (search_decide.c) */
} Search;

/* search_moves.c: finds the layers and blocks of the model; none if they are not recognised. */
void search_look(Search *, Graph *);
/* Makes the levels of every move for these layers, with or without a corpus. */
void search_make_moves(Search *);
/* Adds a level to a move. Takes ownership of the text. False: the move has LEVELS_MAX levels. */
bool search_add_level(Move *, char *text);
/* The pipeline of a candidate, as --passes takes it; malloc'd. "" is the plain build. */
char *search_pipeline(const Search *, const int8_t *level);
/* The same for the moves from .. to-1. */
char *search_part(const Search *, const int8_t *level, int32_t from, int32_t to);
/* The number of moves up to the last one that learns from data. Candidates can share the work of these. */
int32_t search_shared(const Search *);

/* search.c */
bool search_run(Search *, Diag *);
const Candidate *search_find(const Search *, const int8_t *level);
/* Measures the candidates of the list that are not in s->done yet. */
bool search_measure(Search *, const Candidate *list, int32_t count, Diag *);
void search_free(Search *);

/* search_combine.c: measures combinations of moves, at most s->limit; all include the base. */
bool search_combine(Search *, const int8_t *ground, Diag *);

/* search_decide.c */
int32_t search_share(const Search *, Share, const int32_t **rows);
/* Points lost against the plain build: counted, and estimated. */
double search_drop(const Search *, const Candidate *, Share);
Estimate search_estimate(const Search *, const Candidate *, Share);
/* The share of rows with different answers; for numbers, their difference relative to their spread. */
double search_apart(Metric, const RowScore *plain, const RowScore *changed, const int32_t *rows, int32_t n);
/* Fits the curve of losses to all measured candidates. search_curve: points lost for a share of changed
 * answers. */
void search_fit(Search *);
double search_curve(const Search *, double apart);
/* The goal of a candidate, relative to the plain build. */
double search_goal(const Search *, const Candidate *);
double search_goal_of(const Search *, double time, double bytes);
bool search_within(const Search *, double time, double bytes);
/* search_hopeful: the estimate on the search share is within the budget. search_allows: may win. */
bool search_hopeful(const Search *, const Candidate *);
/* True when a single move that changes arithmetic or storage is worth its points. */
bool search_pays(const Search *, const Candidate *);
bool search_allows(const Search *, const Candidate *);
/* Sets the winner: the allowed candidate with the smallest goal. */
void search_decide(Search *);
/* The candidates that no other beats in accuracy, time and bytes, most accurate first. Returns their
 * number. */
int32_t search_front(const Search *, int32_t *front);

/* candidate.c: builds and scores candidates in separate processes, search->jobs at once. */
bool candidates_run(Search *, Candidate *const *, int32_t count, Diag *);
/* Measures milliseconds per text on one thread: texts of the search share, one per call, minimum of
 * several runs. */
bool candidate_time(Search *, Candidate *, Diag *);
/* Compares with the plain build: share of different answers; standard error and 95 % interval of the points
 * lost, by a paired bootstrap over all rows (Efron 1979). */
void candidate_compare(const Search *, Candidate *);
/* Computes the scores of all shares from the rows. */
void candidate_score(const Search *, Candidate *);

/* journal.c: keeps results in a file, one line per candidate, so that a stopped search can continue. */
bool journal_open(Search *, const char *path, Diag *);
/* Adds a text to a key; the first key is 0. */
uint64_t journal_key(uint64_t key, const char *text);
void journal_add(Search *, const Candidate *);
/* Fills in a candidate from the journal. False: the journal does not have it. */
bool journal_find(Search *, Candidate *);
void journal_close(Search *);
#endif
