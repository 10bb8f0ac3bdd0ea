/* search.h: `bertc tune`: pipelines of lossy passes, tried on labelled data. A candidate is a level of each
 * move (search_moves.def; 0: left out). All figures that decide (scores, bytes and the cost model) are the
 * same for the same seed. Only measured times differ. */
#ifndef BERTC_SEARCH_H
#define BERTC_SEARCH_H
#include "compiler/support/files.h"
#include "cost.h"
#include "compiler/measure/score.h"

enum { MOVES_MAX = 12, LEVELS_MAX = 128, BLOCKS_MAX = 32, BLOCK_NAME_BYTES = 32 };

/* Rows that the search sees, rows held back from it, both. */
typedef enum Share { SHARE_SEARCH, SHARE_HELD, SHARE_ALL, SHARE_COUNT } Share;
typedef struct Estimate {
	double points, error;
} Estimate; /* lost against the plain build, and its standard error */

/* The goal to minimise within the budget: time x bytes; or time, then bytes; or bytes, then time. */
typedef enum Prefer { PREFER_BOTH, PREFER_SPEED, PREFER_SIZE } Prefer;

typedef struct Move {
	const char *name, *pass; /* pass: template with one %s */
	bool structural, learns; /* learns: its pass runs the model over texts */
	int32_t nlevels;         /* beside 0 */
	char *level[LEVELS_MAX]; /* level[1 .. nlevels] */
} Move;

typedef struct Candidate {
	int8_t level[MOVES_MAX];
	bool built; /* false: a pass or the build refused it */
	Cost cost;
	double ms;                            /* of a text, measured; 0: not */
	double expected;                      /* figure on the search share, predicted when it was chosen */
	double expected_time, expected_bytes; /* its cost, likewise */
	RowScore *rows;                       /* of each row of the data */
	Score score[SHARE_COUNT];
	double apart[SHARE_COUNT]; /* share of answers that are not the plain build's */
	double low, high, error;   /* points lost on all rows: 95 % interval, standard error (bootstrap) */
} Candidate;

typedef struct Search {
	BuildOptions build; /* of every candidate, but for the passes */
	const char *data_path, *corpus;
	const char *calibration; /* what passes learn from; NULL: the data */
	Dataset data;
	bool apart;   /* an embedder reads the texts of a pair one at a time */
	uint64_t key; /* identifies the results: hash of model, data, corpus and seed */
	Metric metric;
	Move moves[MOVES_MAX];
	int32_t nmoves;
	int32_t layer[LEVELS_MAX], nlayers;       /* numbers of the encoder's layers */
	char block[BLOCKS_MAX][BLOCK_NAME_BYTES]; /* its blocks: "0.attention"; none when there are more */
	int32_t nblocks, words;                   /* words: of the vocabulary */
	int32_t learnt;                           /* texts that passes learn from */
	uint64_t seed;
	int32_t *search_rows, *held_rows, nsearch, nheld;
	double max_drop;          /* points; NAN: none */
	double max_bytes, max_ms; /* NAN: none */
	Prefer prefer;
	bool measure;        /* times decide, not the cost model */
	int32_t jobs, limit; /* processes at once; candidates at most */
	FILE *journal;       /* where results are kept, or NULL; lines found in it: */
	char *journal_text, **line;
	int32_t nlines;
	size_t line_capacity;
	Candidate *done; /* [0] is the plain fp32 build */
	int32_t ndone;
	size_t capacity;
	int32_t winner;   /* -1: none */
	double steepness; /* of the curve of losses, search_decide.c */
} Search;

/* search_moves.c: takes down the layers and blocks of the model that is searched; none where they are not
 * told apart. */
void search_look(Search *, Graph *);
/* The levels of every move, for these layers and with or without a corpus. */
void search_make_moves(Search *);
/* Another level of a move; takes the text. False: there is no room. */
bool search_add_level(Move *, char *text);
/* The pipeline of a candidate, as --passes takes it; malloc'd. "" is the plain build. */
char *search_pipeline(const Search *, const int8_t *level);
/* The same of its moves from one to before another. */
char *search_part(const Search *, const int8_t *level, int32_t from, int32_t to);
/* The number of moves up to and including the last one that learns: candidates can share these. */
int32_t search_shared(const Search *);

/* search.c */
bool search_run(Search *, Diag *);
const Candidate *search_find(const Search *, const int8_t *level);
/* Measures those of the list that are not known yet. */
bool search_measure(Search *, const Candidate *list, int32_t count, Diag *);
void search_free(Search *);

/* search_combine.c: combines moves, s->limit candidates at most; all include the ground. */
bool search_combine(Search *, const int8_t *ground, Diag *);

/* search_decide.c */
int32_t search_share(const Search *, Share, const int32_t **rows);
/* Points lost against the plain build as counted, and as estimated. */
double search_drop(const Search *, const Candidate *, Share);
Estimate search_estimate(const Search *, const Candidate *, Share);
/* The share of rows with different answers; for numbers, their distance relative to their spread. */
double search_apart(Metric, const RowScore *plain, const RowScore *changed, const int32_t *rows, int32_t n);
/* Fits the curve of losses to what was measured; and points on it. */
void search_fit(Search *);
double search_curve(const Search *, double apart);
/* The goal of a candidate, relative to the plain build. */
double search_goal(const Search *, const Candidate *);
double search_goal_of(const Search *, double time, double bytes);
bool search_within(const Search *, double time, double bytes);
/* Estimated to hold the budget where the search looks; allowed to win. */
bool search_hopeful(const Search *, const Candidate *);
/* True when a single move that changes arithmetic or storage is worth its points. */
bool search_pays(const Search *, const Candidate *);
bool search_allows(const Search *, const Candidate *);
/* Sets the winner: the allowed candidate with the smallest goal. */
void search_decide(Search *);
/* Candidates that no other beats in accuracy, time and bytes, the most accurate first; returns how many. */
int32_t search_front(const Search *, int32_t *front);

/* candidate.c: builds and scores candidates, search->jobs at once, in processes of their own. */
bool candidates_run(Search *, Candidate *const *, int32_t count, Diag *);
/* Milliseconds a text of the search share takes on one thread, the least of some runs, one text at a time. */
bool candidate_time(Search *, Candidate *, Diag *);
/* Against the plain build: answers that differ, the points lost with standard error and 95 % interval by a
 * paired bootstrap over all rows (Efron 1979). */
void candidate_compare(const Search *, Candidate *);
/* The scores of all shares, from the rows. */
void candidate_score(const Search *, Candidate *);

/* journal.c: what was measured, a line a candidate, so that a stopped search goes on where it was. */
bool journal_open(Search *, const char *path, Diag *);
/* Starts from 0; takes a text into a key. */
uint64_t journal_key(uint64_t key, const char *text);
void journal_add(Search *, const Candidate *);
/* True when the journal knows the candidate: filled in. */
bool journal_find(Search *, Candidate *);
void journal_close(Search *);
#endif
