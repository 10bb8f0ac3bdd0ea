/* search_decide.c: estimates the loss of candidates and chooses the winner.
 *
 * Points counted on some hundred rows are noisy: if 4 % of 872 answers change, chance alone gives 0.7 points,
 * and the budget is one point. The share of changed answers has much less noise. A changed model moves every
 * text a little to one side, and only texts close to the decision boundary cross it. There the model is
 * hardly better than chance, and net losses grow in proportion to the distance. So the loss grows with the
 * square of the share of changed answers. This is the curve of losses. Squares of independent changes add up,
 * so losses add up too. The factor (steepness) is fitted to all candidates. For minilm-sst2 it is 3.6: 30
 * sets of blocks and formats with losses from 0.1 to 8 points lie within one standard error of the curve.
 *
 * An estimate is the mean of the curve's value and the counted points, weighted by their errors. The error of
 * the curve is half of its value. The error of the count is the bootstrap error. */
#include <math.h>
#include <string.h>
#include "search.h"

/* The prior of the steepness, with the weight of three candidates that change 5 % of all answers. The curve
 * does not hold for candidates that change more than the share `wide`; the fit skips these. */
static const double steepness_before = 3.5, weight_before = 3 * 0.05 * 0.05 * 0.05, wide = 0.15;

int32_t search_share(const Search *s, Share share, const int32_t **rows)
{
	*rows = share == SHARE_HELD ? s->held_rows : s->search_rows; /* the held-back rows follow the others */
	if (share == SHARE_HELD)
		return s->nheld;
	return share == SHARE_SEARCH ? s->nsearch : s->nsearch + s->nheld;
}

double search_drop(const Search *s, const Candidate *c, Share share)
{
	return 100 * (s->done[0].score[share].value - c->score[share].value);
}

/* ---- answers that differ --------------------------------------------------------------------- */

static double numbers_apart(const RowScore *a, const RowScore *b, const int32_t *rows, int32_t n)
{
	double mean = 0, spread = 0, apart = 0;
	for (int32_t i = 0; i < n; i++)
		mean += a[rows[i]].predicted / n;
	for (int32_t i = 0; i < n; i++) {
		spread += (a[rows[i]].predicted - mean) * (a[rows[i]].predicted - mean);
		apart += (a[rows[i]].predicted - b[rows[i]].predicted)
			* (a[rows[i]].predicted - b[rows[i]].predicted);
	}
	return spread > 0 ? sqrt(apart / spread) : apart > 0;
}

static double difference(int64_t a, int64_t b) { return fabs((double)(a - b)); }

double search_apart(
	Metric metric, const RowScore *plain, const RowScore *changed, const int32_t *rows, int32_t n)
{
	double differ = 0, gold = 0;
	if (metric == METRIC_SPEARMAN)
		return numbers_apart(plain, changed, rows, n);
	for (int32_t i = 0; i < n; i++) {
		const RowScore *a = &plain[rows[i]], *b = &changed[rows[i]];
		if (metric == METRIC_ACCURACY) {
			differ += a->right != b->right;
			continue;
		}
		/* a lost span counts twice: one right span less, one missed span more */
		differ += (difference(a->spans.right, b->spans.right) + difference(a->spans.missed, b->spans.missed)
					  + difference(a->spans.spurious, b->spans.spurious))
			/ 2;
		gold += (double)(a->spans.right + a->spans.missed);
	}
	if (metric == METRIC_ACCURACY)
		return differ / (n > 0 ? n : 1);
	return gold > 0 ? differ / gold : differ > 0;
}

/* Weighted least squares of points = steepness * apart^2. The variance of points is proportional to apart. */
void search_fit(Search *s)
{
	double lost = steepness_before * weight_before, apart = weight_before;
	for (int32_t i = 1; i < s->ndone; i++) {
		const Candidate *c = &s->done[i];
		const double d = c->built ? c->apart[SHARE_SEARCH] : 0;
		if (d > wide)
			continue;
		lost += c->built ? search_drop(s, c, SHARE_SEARCH) / 100 * d : 0;
		apart += d * d * d;
	}
	s->steepness = fmax(lost / apart, 0.5);
}

/* ---- estimates ------------------------------------------------------------------------------- */

double search_curve(const Search *s, double apart) { return 100 * s->steepness * apart * apart; }

static Estimate blend(double curve, double counted, double error)
{
	const double own = curve / 2, sum = own * own + error * error;
	return sum > 0 ? (Estimate){curve + own * own / sum * (counted - curve), own * error / sqrt(sum)}
				   : (Estimate){curve, 0};
}

Estimate search_estimate(const Search *s, const Candidate *c, Share share)
{
	const int32_t *rows;
	const double n = search_share(s, share, &rows), all = s->nsearch + s->nheld;
	return blend(search_curve(s, c->apart[share]), search_drop(s, c, share), c->error * sqrt(all / n));
}

/* ---- the winner ------------------------------------------------------------------------------ */

/* The weight of the other goal, to decide ties. */
static const double tie = 1e-3;
/* The weight of the goal where accuracy decides. It decides among equally accurate candidates: it is less
 * than one row in a million. */
static const double equal = 1e-6;

double search_goal_of(const Search *s, double time, double bytes)
{
	const double faster = time / s->done[0].cost.time, smaller = bytes / (double)s->done[0].cost.bytes;
	if (s->prefer == PREFER_SPEED)
		return faster + tie * smaller;
	return s->prefer == PREFER_SIZE ? smaller + tie * faster : faster * smaller;
}

double search_goal(const Search *s, const Candidate *c)
{
	const double time = s->measure && c->ms > 0 && s->done[0].ms > 0
		? c->ms / s->done[0].ms * s->done[0].cost.time
		: c->cost.time;
	const double goal = search_goal_of(s, time, (double)c->cost.bytes);
	return isnan(s->max_drop) ? equal * goal - c->score[SHARE_SEARCH].value : goal;
}

bool search_within(const Search *s, double time, double bytes)
{
	const double ms = s->done[0].ms > 0 ? time / s->done[0].cost.time * s->done[0].ms : 0;
	return (isnan(s->max_bytes) || bytes <= s->max_bytes) && (isnan(s->max_ms) || ms <= s->max_ms);
}

bool search_hopeful(const Search *s, const Candidate *c)
{
	return c->built && (isnan(s->max_drop) || search_estimate(s, c, SHARE_SEARCH).points <= s->max_drop);
}

/* With a preference for speed or size, a move that helps only the other may lose at most a tenth of the
 * budget. Example: for minilm-ncbi, a 4-bit word table loses 0.4 points and saves no time; an 8-bit one loses
 * nothing measurable. */
bool search_pays(const Search *s, const Candidate *c)
{
	const double part = 0.1, time = c->cost.time / s->done[0].cost.time,
				 bytes = (double)c->cost.bytes / (double)s->done[0].cost.bytes;
	double goal = fmin(time, bytes);
	if (s->prefer != PREFER_BOTH)
		goal = s->prefer == PREFER_SPEED ? time : bytes;
	const double gain = 1 - goal;
	return isnan(s->max_drop) || gain > 0.05
		|| search_estimate(s, c, SHARE_SEARCH).points <= part * s->max_drop;
}

/* A winner must be within the budget on all rows, both by its estimate and by the counted points that are
 * printed. Its estimate on the held-back rows must be within the budget, too; the search has not used these
 * rows. The curve pulls estimates together, so a candidate gains little by luck. */
bool search_allows(const Search *s, const Candidate *c)
{
	if (!c->built || !search_within(s, c->cost.time, (double)c->cost.bytes)
		|| (!isnan(s->max_ms) && c->ms > s->max_ms))
		return false;
	if (isnan(s->max_drop))
		return true;
	return search_hopeful(s, c) && search_estimate(s, c, SHARE_HELD).points <= s->max_drop
		&& search_estimate(s, c, SHARE_ALL).points <= s->max_drop
		&& search_drop(s, c, SHARE_ALL) <= s->max_drop;
}

void search_decide(Search *s)
{
	s->winner = -1;
	for (int32_t i = 0; i < s->ndone; i++)
		if (s->done[i].built && search_allows(s, &s->done[i])
			&& (s->winner < 0 || search_goal(s, &s->done[i]) < search_goal(s, &s->done[s->winner])))
			s->winner = i;
}

int32_t search_front(const Search *s, int32_t *front)
{
	int32_t n = 0;
	for (int32_t i = 0; i < s->ndone; i++) {
		const Candidate *c = &s->done[i];
		const double own = c->score[SHARE_SEARCH].value;
		bool beaten = !c->built;
		for (int32_t j = 0; j < s->ndone && !beaten; j++) {
			const Candidate *d = &s->done[j];
			const double other = d->score[SHARE_SEARCH].value;
			const bool as_good = d->built && other >= own && d->cost.time <= c->cost.time
				&& d->cost.bytes <= c->cost.bytes;
			beaten = as_good
				&& (other > own || d->cost.time < c->cost.time || d->cost.bytes < c->cost.bytes || j < i);
		}
		int32_t at = n;
		if (beaten)
			continue;
		for (n++; at > 0 && s->done[front[at - 1]].score[SHARE_SEARCH].value < own; at--)
			front[at] = front[at - 1];
		front[at] = i;
	}
	return n;
}
