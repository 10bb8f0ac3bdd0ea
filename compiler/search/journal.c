/* journal.c: keeps the results of a search as text. The header identifies model and data. Each candidate is a
 * tab-separated line: pipeline, built or not, time and bytes by the cost model, and the score of each row of
 * the data. For labels, the score of a row is right or wrong and the loss; for tags, the right, spurious and
 * missed spans and the loss; for numbers, the predicted and the gold number. A truncated last line is
 * measured again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "search.h"

enum { JOURNAL_BYTES_MAX = 1 << 28 };

/* FNV-1a, 64 bits, over the text and an end mark. */
uint64_t journal_key(uint64_t key, const char *text)
{
	uint64_t h = key ^ 0xcbf29ce484222325u;
	for (; text && *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return (h ^ 0xff) * 0x100000001b3u;
}

static void write_row(const Search *s, const RowScore *row, FILE *out)
{
	if (s->metric == METRIC_ACCURACY)
		fprintf(out, " %d %.9g", row->right, row->loss);
	else if (s->metric == METRIC_F1)
		fprintf(out, " %lld.%lld.%lld %.9g", (long long)row->spans.right, (long long)row->spans.spurious,
			(long long)row->spans.missed, row->loss);
	else
		fprintf(out, " %.9g %.17g", row->predicted, row->gold);
}

void journal_add(Search *s, const Candidate *c)
{
	if (!s->journal)
		return;
	char *pipeline = search_pipeline(s, c->level);
	fprintf(s->journal, "%s\t%d\t%.17g\t%lld\t", pipeline, c->built, c->cost.time, (long long)c->cost.bytes);
	for (int32_t i = 0; c->built && i < s->data.nrows; i++)
		write_row(s, &c->rows[i], s->journal);
	fputs("\t.\n", s->journal);
	fflush(s->journal);
	free(pipeline);
}

static const char *read_row(const Search *s, const char *at, RowScore *row)
{
	int used = 0, right = 0;
	long long n[3] = {0};
	bool good;
	if (s->metric == METRIC_ACCURACY)
		good = sscanf(at, " %d %lf%n", &right, &row->loss, &used) == 2;
	else if (s->metric == METRIC_F1)
		good = sscanf(at, " %lld.%lld.%lld %lf%n", &n[0], &n[1], &n[2], &row->loss, &used) == 4;
	else
		good = sscanf(at, " %lf %lf%n", &row->predicted, &row->gold, &used) == 2;
	row->right = right != 0;
	row->labelled = s->metric != METRIC_SPEARMAN;
	row->spans = (SpanCounts){n[0], n[1], n[2]};
	return good ? at + used : NULL;
}

static bool read_line(const Search *s, char *line, Candidate *c)
{
	int built, used = 0;
	long long bytes;
	if (sscanf(line, "%d\t%lf\t%lld\t%n", &built, &c->cost.time, &bytes, &used) != 3 || !used)
		return false;
	c->built = built;
	c->cost.bytes = bytes;
	const char *at = line + used;
	if (!built)
		return true;
	c->rows = checked_calloc((size_t)s->data.nrows, sizeof *c->rows);
	for (int32_t i = 0; at && i < s->data.nrows; i++)
		at = read_row(s, at, &c->rows[i]);
	if (at) {
		candidate_score(s, c);
		return true;
	}
	free(c->rows);
	c->rows = NULL;
	return false;
}

bool journal_find(Search *s, Candidate *c)
{
	char *pipeline = search_pipeline(s, c->level);
	const size_t n = strlen(pipeline);
	bool found = false;
	for (int32_t i = 0; i < s->nlines && !found; i++)
		found = strncmp(s->line[i], pipeline, n) == 0 && s->line[i][n] == '\t'
			&& read_line(s, s->line[i] + n + 1, c);
	free(pipeline);
	return found;
}

bool journal_open(Search *s, const char *path, Diag *diag)
{
	char head[96];
	size_t bytes = 0;
	snprintf(head, sizeof head, "bertc tune journal 3 %016llx", (unsigned long long)s->key);
	if (!file_is_absent(path)) {
		s->journal_text = file_read(path, JOURNAL_BYTES_MAX, &bytes, diag);
		if (!s->journal_text)
			return false;
		if (bytes
			&& (strncmp(s->journal_text, head, strlen(head)) != 0 || s->journal_text[strlen(head)] != '\n'))
			return diag_error_in(diag, EXIT_INPUT, path, 1,
				"is not a journal of this model, data and seed; give another file, or remove this one");
	}
	/* drop an incomplete last line */
	char *end = s->journal_text ? strrchr(s->journal_text, '\n') : NULL;
	if (end)
		*end = 0;
	for (char *line = s->journal_text ? strchr(s->journal_text, '\n') : NULL; line && end;
		line = strchr(line, '\n')) {
		*line = 0;
		line++;
		s->line = checked_grow(s->line, &s->line_capacity, (size_t)s->nlines + 1, sizeof *s->line);
		s->line[s->nlines++] = line;
	}
	const long whole = end ? (long)(end - s->journal_text) + 1 : 0;
	s->journal = NULL;
	if (!bytes)
		s->journal = fopen(path, "wb");
	else if (end && truncate(path, whole) == 0)
		s->journal = fopen(path, "ab");
	if (!s->journal)
		return diag_error_in(diag, EXIT_RUN, path, 0, "cannot be written: %s", strerror(errno));
	if (!bytes)
		fprintf(s->journal, "%s\n", head);
	return true;
}

void journal_close(Search *s)
{
	if (s->journal)
		fclose(s->journal);
	free(s->journal_text);
	free(s->line);
	s->journal = NULL;
}
