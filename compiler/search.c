/* search.c: which candidates are tried, see search.h.
 *
 *   1  the plain fp32 build; moves that change arithmetic or storage, each alone. Those that hold the budget are the ground of all else
 *   2  blocks (attention, feed-forward) one by one on that ground, then greedily together, those that cost least first (AxFormer), as long
 *      as that has hope
 *   3  other levels alone, those behind one that is beyond hope left out
 *   4  combinations, a few at a time: of those that are predicted to hold the budget, the ones whose time and bytes are least
 *
 * A combination is predicted from the measured one that holds most of its parts, and from what the rest cost alone: the literature finds
 * that such operators commute and that their effects add up. How much more than their sum they cost is learnt on the way. Half a point
 * more than the budget is tried as well, for predictions err. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "search.h"

enum { ROUND = 8, HELD_PART = 3, GREEDY_TRIES = 3 };
static const double slack_points = 0.5;

/* ---- what is known --------------------------------------------------------------------------------------------------------- */

double search_drop(const Search *s, const Candidate *c, bool held)
{
	return 100 * (held ? s->done[0].held.value - c->held.value : s->done[0].search.value - c->search.value);
}

static double goal_of(const Search *s, double time, double bytes)
{
	return time / s->done[0].cost.time * bytes / (double)s->done[0].cost.bytes;
}

double search_goal(const Search *s, const Candidate *c)
{
	const double time = s->measure && c->ms > 0 && s->done[0].ms > 0 ? c->ms / s->done[0].ms * s->done[0].cost.time : c->cost.time;
	return isnan(s->max_drop) ? -c->search.value : goal_of(s, time, (double)c->cost.bytes);
}

static bool within(const Search *s, double time, double bytes)
{
	const double ms = s->done[0].ms > 0 ? time / s->done[0].cost.time * s->done[0].ms : 0;
	return (isnan(s->max_bytes) || bytes <= s->max_bytes) && (isnan(s->max_ms) || ms <= s->max_ms);
}

static bool allowed_in_search(const Search *s, const Candidate *c)
{
	return c->built && within(s, c->cost.time, (double)c->cost.bytes)
		&& (isnan(s->max_drop) || search_drop(s, c, false) <= s->max_drop);
}

/* The share held back, which no choice has seen, must agree, and the loss over all rows keep a standard error's distance from the budget:
 * without it the best of some hundred candidates is largely the luckiest (on SST-2 one that lost 0.9 points on dev lost 2.5 on test). */
bool search_allows(const Search *s, const Candidate *c)
{
	if (!allowed_in_search(s, c) || (!isnan(s->max_ms) && c->ms > s->max_ms))
		return false;
	if (isnan(s->max_drop))
		return true;
	const double n = s->nsearch + s->nheld;
	const double all = (search_drop(s, c, false) * s->nsearch + search_drop(s, c, true) * s->nheld) / n;
	return search_drop(s, c, true) <= s->max_drop && all + c->error <= s->max_drop;
}

static Candidate *find(const Search *s, const int8_t *level)
{
	for (int32_t i = 0; i < s->ndone; i++)
		if (!memcmp(s->done[i].level, level, MOVES_MAX))
			return &s->done[i];
	return NULL;
}

/* ---- measuring ------------------------------------------------------------------------------------------------------------- */

/* Measures those of the list that are not known yet. */
static bool measure(Search *s, const Candidate *list, int32_t count, Diag *diag)
{
	Candidate *todo[LEVELS_MAX * MOVES_MAX];
	int32_t n = 0;
	const int32_t first = s->ndone;
	if (s->ndone + count > s->capacity) {
		Candidate *grown = realloc(s->done, (size_t)(s->ndone + count + 64) * sizeof *grown);
		if (!grown)
			return diag_error(diag, EXIT_RUN, 0, "out of memory");
		s->done = grown;
		s->capacity = s->ndone + count + 64;
	}
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
			candidate_interval(s, &s->done[i]);
	return true;
}

typedef struct Ground { int8_t level[MOVES_MAX]; int32_t at[LEVELS_MAX * MOVES_MAX]; } Ground;

/* ---- blocks ----------------------------------------------------------------------------------------------------------------- */

static bool block_in(const char *list, const char *block)
{
	for (const char *at = list; (at = strstr(at, block)); at++)
		if (at == list || at[-1] == ',')
			return true;
	return false;
}

/* One more block than `kept`; only the GREEDY_TRIES that cost least alone, where it is known. Adds the best as a level for good. */
static bool widen_blocks(Search *s, Move *move, int32_t index, const int8_t *ground, const char *kept, double *alone, char **best,
	Diag *diag)
{
	Candidate list[LEVELS_MAX] = {0};
	const int32_t blocks = 2 * s->layers, first = move->nlevels;
	int32_t which[LEVELS_MAX], n = 0;
	for (int32_t b = 0; b < blocks; b++) {
		char name[32], *text = NULL;
		int32_t before = 0;
		snprintf(name, sizeof name, "%d.%s", b / 2, b % 2 ? "ffn" : "attention");
		if (block_in(kept, name))
			continue;
		for (int32_t c = 0; *kept && c < blocks; c++) {
			char other[32];
			snprintf(other, sizeof other, "%d.%s", c / 2, c % 2 ? "ffn" : "attention");
			before += !block_in(kept, other) && (alone[c] < alone[b] || (alone[c] == alone[b] && c < b));
		}
		if (before >= GREEDY_TRIES || asprintf(&text, "%s%s%s", kept, *kept ? "," : "", name) < 0 || !search_add_level(move, text))
			continue;
		list[n] = (Candidate){0};
		memcpy(list[n].level, ground, MOVES_MAX);
		list[n].level[index] = (int8_t)move->nlevels;
		which[n++] = b;
	}
	if (!measure(s, list, n, diag))
		return false;
	double least = INFINITY;
	int32_t chosen = -1;
	const Candidate *cheapest = NULL;
	for (int32_t i = 0; i < n; i++) {
		const Candidate *c = find(s, list[i].level);
		/* accuracy first, as AxFormer has it, then the loss, which alone would follow how sure the model is */
		const double loss = c->built ? -c->search.value + 1e-3 * fmin(c->search.loss, 1) : INFINITY;
		if (!*kept)
			alone[which[i]] = loss;
		if (loss < least)
			least = loss, chosen = i, cheapest = c;
	}
	const bool hope = cheapest && (isnan(s->max_drop) || search_drop(s, cheapest, false) <= s->max_drop + slack_points);
	*best = hope ? move->level[first + 1 + chosen] : NULL;
	return true;
}

/* Levels of the move: single blocks, then greedy sets up to half of all. */
static bool find_blocks(Search *s, int32_t index, const int8_t *ground, Diag *diag)
{
	double alone[LEVELS_MAX] = {0};
	char *kept = "";
	Move *move = &s->moves[index];
	if (2 * s->layers > LEVELS_MAX / 4)
		return true;                    /* so deep a model has no name for so many sets; the other moves remain */
	for (int32_t n = 0; n < s->layers && kept; n++) {
		char *best = NULL;
		if (!widen_blocks(s, move, index, ground, kept, alone, &best, diag))
			return false;
		kept = best;
	}
	return true;
}

/* ---- combinations ----------------------------------------------------------------------------------------------------------- */

typedef struct Model {
	const Search *s;
	const int8_t *ground;
	/* of a level alone: what it loses, the factor of time, bytes less */
	double value[MOVES_MAX][LEVELS_MAX], time[MOVES_MAX][LEVELS_MAX], bytes[MOVES_MAX][LEVELS_MAX];
	double more;                        /* combined they lose so many times their sum */
} Model;

static void learn_levels(Model *model)
{
	const Search *s = model->s;
	const Candidate *ground = find(s, model->ground);
	for (int32_t m = 0; m < s->nmoves; m++)
		for (int32_t l = 1; l <= s->moves[m].nlevels; l++) {
			int8_t level[MOVES_MAX];
			memcpy(level, model->ground, sizeof level);
			level[m] = (int8_t)l;
			const Candidate *c = find(s, level);
			const bool known = c && c->built && c != ground;
			/* a gain on one share is mostly noise */
			model->value[m][l] = known ? fmax(0, ground->search.value - c->search.value) : c == ground ? 0 : INFINITY;
			model->time[m][l] = known ? c->cost.time / ground->cost.time : 1;
			model->bytes[m][l] = known ? (double)(ground->cost.bytes - c->cost.bytes) : 0;
		}
}

static void learn_more(Model *model)
{
	double promised = 0, lost = 0;
	for (int32_t i = 0; i < model->s->ndone; i++) {
		const Candidate *c = &model->s->done[i];
		if (c->built && c->expected > 0) {
			promised += fmax(0, model->s->done[0].search.value - c->expected);
			lost += fmax(0, model->s->done[0].search.value - c->search.value);
		}
	}
	model->more = promised > 0 ? fmin(3, fmax(1, lost / promised)) : 1;
}

/* Fills what is expected of a candidate. */
static void predict(const Model *model, Candidate *c)
{
	const Search *s = model->s;
	const Candidate *nearest = find(s, model->ground);
	int32_t least = MOVES_MAX + 1;
	for (int32_t i = 0; i < s->ndone; i++) {
		const Candidate *d = &s->done[i];
		int32_t apart = 0;
		for (int32_t m = 0; m < s->nmoves && d->built; m++)
			apart += d->level[m] == c->level[m] ? 0 : d->level[m] == model->ground[m] ? 1 : MOVES_MAX;
		if (d->built && apart < least)
			least = apart, nearest = d;
	}
	double lost = 0;
	c->expected_time = nearest->cost.time;
	c->expected_bytes = (double)nearest->cost.bytes;
	for (int32_t m = 0; m < s->nmoves; m++)
		if (c->level[m] != nearest->level[m]) {
			lost += model->value[m][(int)c->level[m]];
			c->expected_time *= model->time[m][(int)c->level[m]];
			c->expected_bytes -= model->bytes[m][(int)c->level[m]];
		}
	c->expected = nearest->search.value - model->more * lost;
	c->expected_bytes = fmax(c->expected_bytes, 1);
}

/* The next combination in counting order; false behind the last. */
static bool next_levels(const Search *s, const int8_t *ground, int8_t *level)
{
	for (int32_t m = 0; m < s->nmoves; m++) {
		if (!s->moves[m].structural)
			continue;
		if (level[m] < s->moves[m].nlevels) {
			level[m]++;
			return true;
		}
		level[m] = ground[m];
	}
	return false;
}

/* The best unmeasured candidates by what is expected of them, at most ROUND: under a budget one for each band of expected loss, for the
 * smallest and fastest that are expected to hold it lie near its edge, and beyond where the guess was too good. */
static int32_t choose(const Model *model, double best, Candidate *chosen)
{
	const Search *s = model->s;
	double keys[ROUND];
	bool taken[ROUND] = {false};
	int32_t n = 0;
	Candidate c = {0};
	memcpy(c.level, model->ground, sizeof c.level);
	while (next_levels(s, model->ground, c.level)) {
		double sum = 0;
		for (int32_t m = 0; m < s->nmoves; m++)
			sum += c.level[m] != model->ground[m] ? model->value[m][(int)c.level[m]] : 0;
		if (!isfinite(sum) || (!isnan(s->max_drop) && 100 * sum > 2 * (s->max_drop + slack_points)) || find(s, c.level))
			continue;
		predict(model, &c);
		const double key = isnan(s->max_drop) ? -c.expected : goal_of(s, c.expected_time, c.expected_bytes);
		const double drop = 100 * (s->done[0].search.value - c.expected);
		if ((!isnan(s->max_drop) && drop > s->max_drop + slack_points) || !within(s, c.expected_time, c.expected_bytes) || key >= best)
			continue;
		if (!isnan(s->max_drop)) {
			int32_t band = (int32_t)(fmax(0, drop) / (s->max_drop + slack_points) * ROUND);
			band = band < ROUND ? band : ROUND - 1;
			if (!taken[band] || key < keys[band])
				taken[band] = true, keys[band] = key, chosen[band] = c;
			continue;
		}
		int32_t at = n < ROUND ? n++ : ROUND;
		while (at > 0 && keys[at - 1] > key) {
			if (at < ROUND)
				keys[at] = keys[at - 1], chosen[at] = chosen[at - 1];
			at--;
		}
		if (at < ROUND)
			keys[at] = key, chosen[at] = c;
	}
	for (int32_t band = 0; band < ROUND; band++)
		if (taken[band])
			chosen[n++] = chosen[band];
	return n;
}

void search_decide(Search *s)
{
	s->winner = -1;
	for (int32_t i = 0; i < s->ndone; i++)
		if (s->done[i].built && search_allows(s, &s->done[i])
			&& (s->winner < 0 || search_goal(s, &s->done[i]) < search_goal(s, &s->done[s->winner])))
			s->winner = i;
}

static bool combine(Search *s, const int8_t *ground, Diag *diag)
{
	Model *model = calloc(1, sizeof *model);
	if (!model)
		return diag_error(diag, EXIT_RUN, 0, "out of memory");
	*model = (Model){.s = s, .ground = ground, .more = 1};
	learn_levels(model);
	bool good = true;
	for (int32_t tried = 0, n = 1; good && n > 0 && tried < s->limit; tried += n) {
		Candidate chosen[ROUND];
		learn_more(model);
		search_decide(s);
		n = choose(model, s->winner >= 0 ? search_goal(s, &s->done[s->winner]) : INFINITY, chosen);
		good = measure(s, chosen, n, diag);
	}
	free(model);
	search_decide(s);
	return good;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------------- */

static bool split_rows(Search *s, Diag *diag)
{
	const int32_t n = s->data.nrows;
	int32_t *all = calloc((size_t)n + 1, sizeof *all);
	uint64_t state = s->seed;
	if (!all)
		return diag_error(diag, EXIT_RUN, 0, "out of memory");
	for (int32_t i = 0; i < n; i++)
		all[i] = i;
	for (int32_t i = n - 1; i > 0; i--) {
		const int32_t j = (int32_t)(metric_draw(&state) % (uint64_t)(i + 1)), swap = all[i];
		all[i] = all[j];
		all[j] = swap;
	}
	s->nheld = n / HELD_PART;
	s->nsearch = n - s->nheld;
	s->search_rows = all;
	s->held_rows = all + s->nsearch;
	return s->nheld > 0 || diag_error_in(diag, EXIT_INPUT, s->data_path, 0, "%d rows are too few to hold some back", n);
}

static const Candidate *find_alone(const Search *s, const int8_t *ground, int32_t move, int32_t level)
{
	int8_t levels[MOVES_MAX];
	memcpy(levels, ground, sizeof levels);
	levels[move] = (int8_t)level;
	return find(s, levels);
}

/* Levels of a move are of one kind when all but their last words are the same: the later are the harsher. */
static bool same_kind(const char *a, const char *b)
{
	const char *end_a = strrchr(a, ' '), *end_b = strrchr(b, ' ');
	const size_t n = end_a ? (size_t)(end_a - a) : 0;
	return n == (end_b ? (size_t)(end_b - b) : 0) && !memcmp(a, b, n);
}

/* True when it is time for a level: the milder ones of its kind are known, and none of them is beyond hope. */
static bool is_due(const Search *s, const int8_t *ground, int32_t m, int32_t level)
{
	const Move *move = &s->moves[m];
	for (int32_t l = 1; l < level; l++) {
		const Candidate *milder = same_kind(move->level[l], move->level[level]) ? find_alone(s, ground, m, l) : &s->done[0];
		if (!milder || !milder->built || (!isnan(s->max_drop) && search_drop(s, milder, false) > s->max_drop + slack_points))
			return false;
	}
	return !find_alone(s, ground, m, level);
}

/* Levels of moves alone on the ground, the mildest first. */
static bool try_levels(Search *s, const int8_t *ground, bool structural, Diag *diag)
{
	Candidate *list = calloc(LEVELS_MAX * MOVES_MAX, sizeof *list);
	bool good = list != NULL;
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
			good = measure(s, list + at, n - at < ROUND ? n - at : ROUND, diag);
	}
	free(list);
	return good;
}

/* The winner without each of its parts, for the table. */
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
	return measure(s, list, n, diag);
}

bool search_run(Search *s, Diag *diag)
{
	Candidate plain = {0};
	int8_t ground[MOVES_MAX] = {0};
	s->winner = -1;
	search_make_moves(s);
	if (!split_rows(s, diag) || !measure(s, &plain, 1, diag))
		return false;
	if (!s->done[0].built)
		return diag_error(diag, EXIT_RUN, 0, "the plain build cannot be scored");
	candidate_interval(s, &s->done[0]);
	if (s->measure && !candidate_time(s, &s->done[0], diag))
		return false;
	bool good = try_levels(s, ground, false, diag);
	for (int32_t m = 0; good && m < s->nmoves; m++)
		for (int32_t l = s->moves[m].nlevels; !s->moves[m].structural && l > 0 && !ground[m]; l--) {
			int8_t level[MOVES_MAX] = {0};
			level[m] = (int8_t)l;
			if (allowed_in_search(s, find(s, level)) || !isnan(s->max_bytes))
				ground[m] = (int8_t)l;
		}
	Candidate base = {0};
	memcpy(base.level, ground, sizeof ground);
	good = good && measure(s, &base, 1, diag);
	if (good && !find(s, ground)->built)
		memset(ground, 0, sizeof ground);
	for (int32_t m = 0; good && m < s->nmoves; m++)
		if (!strcmp(s->moves[m].name, "blocks"))
			good = find_blocks(s, m, ground, diag);
	return good && try_levels(s, ground, true, diag) && combine(s, ground, diag) && try_without(s, diag);
}

int32_t search_front(const Search *s, int32_t *front)
{
	int32_t n = 0;
	for (int32_t i = 0; i < s->ndone; i++) {
		const Candidate *c = &s->done[i];
		bool beaten = !c->built;
		for (int32_t j = 0; j < s->ndone && !beaten; j++) {
			const Candidate *d = &s->done[j];
			const bool as_good = d->built && d->search.value >= c->search.value && d->cost.time <= c->cost.time
				&& d->cost.bytes <= c->cost.bytes;
			beaten = as_good && (d->search.value > c->search.value || d->cost.time < c->cost.time || d->cost.bytes < c->cost.bytes
				|| j < i);
		}
		int32_t at = n;
		if (beaten)
			continue;
		for (n++; at > 0 && s->done[front[at - 1]].search.value < c->search.value; at--)
			front[at] = front[at - 1];
		front[at] = i;
	}
	return n;
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
