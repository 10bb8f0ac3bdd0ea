/* search.c: selects the candidates to try, see search.h. There are four steps:
 *
 *   1  The plain fp32 build, then each move that changes arithmetic or storage, alone. The moves within the
 *      budget form the base ("ground") of all later candidates.
 *   2  Blocks (attention, feed-forward): each one removed from the base, then sets of blocks. A set grows by
 *      the block with the smallest loss (AxFormer) while its loss is within the budget.
 *   3  The levels of the other moves, each alone on the base. Levels after one beyond the budget are skipped.
 *   4  Combinations (search_combine.c).
 *
 * search_decide.c estimates losses. The number of parallel processes does not change the result, because the
 * candidates of each round are fixed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "search.h"

enum { ROUND = 8, HELD_PART = 3, GREEDY_TRIES = 3, LEARNT_FROM_DATA = 250, LEARNT_ELSEWHERE = 500 };

static Candidate *find(const Search *s, const int8_t *level)
{
	for (int32_t i = 0; i < s->ndone; i++)
		if (!memcmp(s->done[i].level, level, MOVES_MAX))
			return &s->done[i];
	return NULL;
}

const Candidate *search_find(const Search *s, const int8_t *level) { return find(s, level); }

/* ---- measuring ------------------------------------------------------------------------------- */

bool search_measure(Search *s, const Candidate *list, int32_t count, Diag *diag)
{
	Candidate *todo[LEVELS_MAX * MOVES_MAX];
	int32_t n = 0;
	const int32_t first = s->ndone;
	s->done = checked_grow(s->done, &s->capacity, (size_t)(s->ndone + count), sizeof *s->done);
	for (int32_t i = 0; i < count; i++)
		if (!find(s, list[i].level)) {
			s->done[s->ndone++] = list[i];
			if (!journal_find(s, &s->done[s->ndone - 1]))
				todo[n++] = &s->done[s->ndone - 1];
		}
	if (s->build.progress)
		progress_show("tuning", s->ndone, s->ndone + s->limit);
	if (!candidates_run(s, todo, n, diag))
		return false;
	for (int32_t i = 0; i < n; i++)
		journal_add(s, todo[i]);
	for (int32_t i = first; i < s->ndone; i++)
		if (s->done[i].built && s->done[0].built)
			candidate_compare(s, &s->done[i]);
	search_fit(s);
	return true;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool block_in(const char *list, const char *block)
{
	for (const char *at = list; (at = strstr(at, block)); at++)
		if (at == list || at[-1] == ',')
			return true;
	return false;
}

/* Tries to remove one more block than the set `kept`: only the GREEDY_TRIES blocks with the smallest loss
 * alone, once these losses are known. *best: the best set, a level of the move; NULL: none is within the
 * budget. */
static bool widen_blocks(Search *s, Move *move, int32_t index, const int8_t *ground, const char *kept,
	double *alone, char **best, Diag *diag)
{
	Candidate list[LEVELS_MAX] = {0};
	const int32_t first = move->nlevels;
	int32_t which[LEVELS_MAX], n = 0;
	for (int32_t b = 0; b < s->nblocks; b++) {
		const char *name = s->block[b];
		int32_t before = 0;
		if (block_in(kept, name))
			continue;
		for (int32_t c = 0; *kept && c < s->nblocks; c++)
			before += !block_in(kept, s->block[c])
				&& (alone[c] < alone[b] || (alone[c] == alone[b] && c < b));
		if (before >= GREEDY_TRIES
			|| !search_add_level(move, checked_printf("%s%s%s", kept, *kept ? "," : "", name)))
			continue;
		list[n] = (Candidate){0};
		memcpy(list[n].level, ground, MOVES_MAX);
		list[n].level[index] = (int8_t)move->nlevels;
		which[n++] = b;
	}
	if (!search_measure(s, list, n, diag))
		return false;
	double least = INFINITY;
	int32_t chosen = -1;
	const Candidate *cheapest = NULL;
	for (int32_t i = 0; i < n; i++) {
		const Candidate *c = find(s, list[i].level);
		/* AxFormer uses the counted accuracy. The estimate orders the blocks with less noise. */
		const double loss = c->built ? search_estimate(s, c, SHARE_SEARCH).points : INFINITY;
		if (!*kept)
			alone[which[i]] = loss;
		if (loss < least) {
			least = loss;
			chosen = i;
			cheapest = c;
		}
	}
	*best = cheapest && search_hopeful(s, cheapest) ? move->level[first + 1 + chosen] : NULL;
	return true;
}

/* Makes the levels of the move: single blocks, then greedy sets of up to half of the blocks. */
static bool find_blocks(Search *s, int32_t index, const int8_t *ground, Diag *diag)
{
	double alone[LEVELS_MAX] = {0};
	char *kept = "";
	Move *move = &s->moves[index];
	for (int32_t n = 0; n < s->nblocks / 2 && kept; n++) {
		char *best = NULL;
		if (!widen_blocks(s, move, index, ground, kept, alone, &best, diag))
			return false;
		kept = best;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Holds back a third of the rows, chosen by the seed, for the final decision. If passes learn from the data
 * itself, they use its first rows; these are never held back, because they would hide overfitting. */
static bool split_rows(Search *s, Diag *diag)
{
	const int32_t n = s->data.nrows;
	int32_t *all = checked_calloc((size_t)n, sizeof *all);
	uint64_t state = s->seed;
	s->nheld = n / HELD_PART;
	s->nsearch = n - s->nheld;
	const int32_t own = s->nsearch < LEARNT_FROM_DATA ? s->nsearch : LEARNT_FROM_DATA;
	const int32_t most = s->calibration ? LEARNT_ELSEWHERE : own;
	const int32_t first = s->calibration ? 0 : most;
	s->learnt = most;
	for (int32_t i = 0; i < n; i++)
		all[i] = i;
	for (int32_t i = n - 1; i > first; i--) {
		const int32_t j = first + (int32_t)(metric_draw(&state) % (uint64_t)(i - first + 1)), swap = all[i];
		all[i] = all[j];
		all[j] = swap;
	}
	s->search_rows = all;
	s->held_rows = all + s->nsearch;
	return s->nheld > 0
		|| diag_error_in(diag, EXIT_INPUT, s->data_path, 0,
			"%d rows are too few; expected at least 3, because a third is held back", n);
}

static const Candidate *find_alone(const Search *s, const int8_t *ground, int32_t move, int32_t level)
{
	int8_t levels[MOVES_MAX];
	memcpy(levels, ground, sizeof levels);
	levels[move] = (int8_t)level;
	return find(s, levels);
}

/* True if two levels differ only in their last word. Such levels are ordered, the harsher ones later. */
static bool same_kind(const char *a, const char *b)
{
	const char *end_a = strrchr(a, ' '), *end_b = strrchr(b, ' ');
	const size_t n = end_a ? (size_t)(end_a - a) : 0;
	return n == (end_b ? (size_t)(end_b - b) : 0) && !memcmp(a, b, n);
}

/* True if a level can be tried: it is not measured yet, and all milder levels of its kind are within the
 * budget. */
static bool is_due(const Search *s, const int8_t *ground, int32_t m, int32_t level)
{
	const Move *move = &s->moves[m];
	for (int32_t l = 1; l < level; l++) {
		const Candidate *milder = same_kind(move->level[l], move->level[level]) ? find_alone(s, ground, m, l)
																				: &s->done[0];
		if (!milder || !search_hopeful(s, milder))
			return false;
	}
	return !find_alone(s, ground, m, level);
}

/* Measures the levels of each move alone on the base, mildest first. */
static bool try_levels(Search *s, const int8_t *ground, bool structural, Diag *diag)
{
	Candidate *list = checked_calloc(LEVELS_MAX * MOVES_MAX, sizeof *list);
	bool good = true;
	for (int32_t n = 1; good && n > 0;) {
		n = 0;
		for (int32_t m = 0; m < s->nmoves; m++)
			for (int32_t l = 1; s->moves[m].structural == structural && l <= s->moves[m].nlevels; l++)
				if (is_due(s, ground, m, l)) {
					list[n] = (Candidate){0};
					memcpy(list[n].level, ground, MOVES_MAX);
					list[n++].level[m] = (int8_t)l;
				}
		for (int32_t at = 0; good && at < n; at += ROUND)
			good = search_measure(s, list + at, n - at < ROUND ? n - at : ROUND, diag);
	}
	free(list);
	return good;
}

/* Measures the winner without each of its moves, for the table. */
static bool try_without(Search *s, Diag *diag)
{
	Candidate list[MOVES_MAX];
	int32_t n = 0;
	for (int32_t m = 0; s->winner >= 0 && m < s->nmoves; m++)
		if (s->done[s->winner].level[m]) {
			list[n] = (Candidate){0};
			memcpy(list[n].level, s->done[s->winner].level, MOVES_MAX);
			list[n++].level[m] = 0;
		}
	return search_measure(s, list, n, diag);
}

bool search_run(Search *s, Diag *diag)
{
	Candidate plain = {0};
	int8_t ground[MOVES_MAX] = {0};
	s->winner = -1;
	if (!split_rows(s, diag))
		return false;
	search_make_moves(s);
	if (!search_measure(s, &plain, 1, diag))
		return false;
	if (!s->done[0].built)
		return diag_error(diag, EXIT_RUN, 0, "the plain build cannot be scored");
	if (s->measure && !candidate_time(s, &s->done[0], diag))
		return false;
	bool good = try_levels(s, ground, false, diag);
	for (int32_t m = 0; good && m < s->nmoves; m++)
		for (int32_t l = s->moves[m].nlevels; !s->moves[m].structural && l > 0 && !ground[m]; l--) {
			int8_t level[MOVES_MAX] = {0};
			level[m] = (int8_t)l;
			const Candidate *alone = find(s, level);
			if ((search_hopeful(s, alone) && search_pays(s, alone)) || !isnan(s->max_bytes))
				ground[m] = (int8_t)l;
		}
	Candidate base = {0};
	memcpy(base.level, ground, sizeof ground);
	good = good && search_measure(s, &base, 1, diag);
	if (good && !find(s, ground)->built)
		memset(ground, 0, sizeof ground);
	for (int32_t m = 0; good && m < s->nmoves; m++)
		if (!strcmp(s->moves[m].name, "blocks"))
			good = find_blocks(s, m, ground, diag);
	return good && try_levels(s, ground, true, diag) && search_combine(s, ground, diag)
		&& try_without(s, diag);
}

void search_free(Search *s)
{
	for (int32_t i = 0; i < s->ndone; i++)
		free(s->done[i].rows);
	for (int32_t m = 0; m < s->nmoves; m++)
		for (int32_t l = 1; l <= s->moves[m].nlevels; l++)
			free(s->moves[m].level[l]);
	free(s->search_rows);
	free(s->done);
	journal_close(s);
	dataset_free(&s->data);
}
