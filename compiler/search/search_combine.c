/* search_combine.c: tries combinations of moves, the last and longest part of a search. The prediction for a
 * combination starts from the measured candidate that shares most of its levels, and adds the single effects
 * of the other levels. The literature finds that such operators commute and that their effects add up; the
 * losses estimated by search_decide.c do, too. The search learns the ratio of the combined loss to the sum.
 * Each round measures four combinations: those with the smallest time and bytes whose predicted loss is
 * within 0.7, 0.85, 1 and 1.15 of the budget. Every result updates the predictions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "search.h"

/* The limit of each candidate of a round, as a part of the budget. One is above 1, because predictions may be
 * too high. The number of candidates does not depend on the number of processes. */
static const double part_of_budget[] = {0.7, 0.85, 1, 1.15};
enum { ROUND = sizeof part_of_budget / sizeof *part_of_budget };

typedef struct Model {
	const Search *s;
	const int8_t *ground;
	/* of each level alone: points lost, factor of time, bytes saved */
	double points[MOVES_MAX][LEVELS_MAX], time[MOVES_MAX][LEVELS_MAX], bytes[MOVES_MAX][LEVELS_MAX];
	double more; /* ratio of a combination's loss to the sum of single losses */
} Model;

static void learn_level(Model *model, int32_t m, int32_t l)
{
	const Search *s = model->s;
	const Candidate *ground = search_find(s, model->ground);
	int8_t level[MOVES_MAX];
	memcpy(level, model->ground, sizeof level);
	level[m] = (int8_t)l;
	const Candidate *c = search_find(s, level);
	const bool known = c && c->built && c != ground;
	model->points[m][l] = c == ground ? 0 : INFINITY;
	model->time[m][l] = known ? c->cost.time / ground->cost.time : 1;
	model->bytes[m][l] = known ? (double)(ground->cost.bytes - c->cost.bytes) : 0;
	if (!known)
		return;
	/* a gain on one share is mostly noise: assume a loss of at least half of the curve's, and at least that
	 * of half a changed row */
	const double counted = search_estimate(s, c, SHARE_SEARCH).points
		- search_estimate(s, ground, SHARE_SEARCH).points;
	const double curve = search_curve(s, c->apart[SHARE_SEARCH])
		- search_curve(s, ground->apart[SHARE_SEARCH]);
	model->points[m][l] = fmax(fmax(counted, curve / 2), search_curve(s, 0.5 / s->nsearch));
}

static void learn(Model *model)
{
	const Search *s = model->s;
	double promised = 2, lost = 2; /* prior: ratio 1 with the weight of two points */
	for (int32_t m = 0; m < s->nmoves; m++)
		for (int32_t l = 1; l <= s->moves[m].nlevels; l++)
			learn_level(model, m, l);
	for (int32_t i = 0; i < s->ndone; i++)
		if (s->done[i].built && s->done[i].expected > 0) {
			promised += 100 * (s->done[0].score[SHARE_SEARCH].value - s->done[i].expected);
			lost += search_estimate(s, &s->done[i], SHARE_SEARCH).points;
		}
	model->more = fmin(2, fmax(0.8, lost / promised));
}

/* The measured candidate that has only levels of c or of the base, and most levels of c. */
static const Candidate *nearest_to(const Model *model, const Candidate *c)
{
	const Search *s = model->s;
	const Candidate *nearest = search_find(s, model->ground);
	int32_t least = MOVES_MAX + 1;
	for (int32_t i = 0; i < s->ndone; i++) {
		const Candidate *d = &s->done[i];
		int32_t apart = 0;
		for (int32_t m = 0; m < s->nmoves && d->built; m++)
			if (d->level[m] != c->level[m])
				apart += d->level[m] == model->ground[m] ? 1 : MOVES_MAX;
		if (d->built && apart < least) {
			least = apart;
			nearest = d;
		}
	}
	return nearest;
}

/* Fills the predictions for a candidate; returns the predicted loss in points. */
static double predict(const Model *model, Candidate *c)
{
	const Search *s = model->s;
	const Candidate *nearest = nearest_to(model, c);
	double points = 0;
	c->expected_time = nearest->cost.time;
	c->expected_bytes = (double)nearest->cost.bytes;
	for (int32_t m = 0; m < s->nmoves; m++)
		if (c->level[m] != nearest->level[m]) {
			points += model->points[m][(int)c->level[m]];
			c->expected_time *= model->time[m][(int)c->level[m]];
			c->expected_bytes -= model->bytes[m][(int)c->level[m]];
		}
	points = search_estimate(s, nearest, SHARE_SEARCH).points + model->more * points;
	c->expected = s->done[0].score[SHARE_SEARCH].value - points / 100;
	c->expected_bytes = fmax(c->expected_bytes, 1);
	return points;
}

/* Steps to the next combination in counting order. False after the last. */
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

static bool is_chosen(const Candidate *chosen, int32_t n, const int8_t *level)
{
	for (int32_t i = 0; i < n; i++)
		if (!memcmp(chosen[i].level, level, sizeof chosen[i].level))
			return true;
	return false;
}

/* Finds the unmeasured combination with the smallest goal, below `best`, among those predicted to lose at
 * most this part of the budget. Without a budget of points: the most accurate one within the other limits. */
static bool best_within(const Model *model, double part, double best, Candidate *chosen, int32_t n)
{
	const Search *s = model->s;
	const double budget = isnan(s->max_drop) ? INFINITY : part * s->max_drop;
	bool found = false;
	Candidate c = {0};
	memcpy(c.level, model->ground, sizeof c.level);
	while (next_levels(s, model->ground, c.level)) {
		double sum = 0;
		for (int32_t m = 0; m < s->nmoves; m++)
			sum += c.level[m] != model->ground[m] ? model->points[m][(int)c.level[m]] : 0;
		if (!isfinite(sum) || sum > 2 * budget)
			continue;
		const double points = predict(model, &c);
		const double key = isnan(s->max_drop) ? -c.expected
											  : search_goal_of(s, c.expected_time, c.expected_bytes);
		if (points > budget || key >= best || !search_within(s, c.expected_time, c.expected_bytes)
			|| search_find(s, c.level) || is_chosen(chosen, n, c.level))
			continue;
		best = key;
		chosen[n] = c;
		found = true;
	}
	return found;
}

static int32_t choose(const Model *model, Candidate *chosen)
{
	const Search *s = model->s;
	const double best = s->winner >= 0 && !isnan(s->max_drop) ? search_goal(s, &s->done[s->winner])
															  : INFINITY;
	int32_t n = 0;
	for (int32_t i = 0; i < ROUND; i++)
		n += best_within(model, part_of_budget[i], best, chosen, n);
	return n;
}

bool search_combine(Search *s, const int8_t *ground, Diag *diag)
{
	Model *model = checked_calloc(1, sizeof *model);
	*model = (Model){.s = s, .ground = ground, .more = 1};
	bool good = true;
	for (int32_t tried = 0, n = 1; good && n > 0 && tried < s->limit; tried += n) {
		Candidate chosen[ROUND];
		learn(model);
		search_decide(s);
		n = choose(model, chosen);
		n = n < s->limit - tried ? n : s->limit - tried;
		good = search_measure(s, chosen, n, diag);
	}
	free(model);
	search_decide(s);
	return good;
}
