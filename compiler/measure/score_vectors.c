/* score_vectors.c: scores a model with a vector for each token on pairs with gold scores. The first text is
 * the query and the second the document, each with its prompt; the prediction is MaxSim. */
#include <stdlib.h>
#include <string.h>
#include "score.h"
#include "runtime/answers/similarity.h"

enum { ENCODE_QUERY = 1, ENCODE_DOCUMENT = 2 }; /* values of the option "task" */

typedef struct Vectors {
	float *rows;
	int32_t count;
} Vectors;

/* The rows of a text. `rows` has room for max_tokens. Returns the status of the C API. */
static int encode(
	const Program *p, const Scored *what, int task, const char *text, Vectors *out, Score *score)
{
	char *all = checked_printf("%s%s", what->prompt[task - ENCODE_QUERY], text);
	const char *const texts[] = {all};
	const size_t bytes[] = {strlen(all)}, room = (size_t)what->max_tokens * (size_t)what->width;
	int32_t offsets[2] = {0, 0};
	uint8_t flags = 0;
	int status = p->set(p->context, "task", task);
	if (status == 0)
		status = p->run_text(p->context, texts, bytes, NULL, NULL, 1, out->rows, room, offsets, &flags);
	score->truncated += flags != 0;
	out->count = offsets[1];
	free(all);
	return status;
}

bool score_vectors(const Program *p, const Scored *what, const Dataset *data, const char *path, int32_t rows,
	const char *progress, Score *score, RowScore *to, Diag *diag)
{
	const size_t room = (size_t)what->max_tokens * (size_t)what->width;
	Vectors query = {.rows = checked_calloc(2 * room, sizeof(float))}, document = {.rows = query.rows + room};
	int status = 0;
	for (int32_t i = 0; status == 0 && i < rows; i++) {
		const DataRow *row = &data->rows[i];
		status = encode(p, what, ENCODE_QUERY, row->text, &query, score);
		if (status == 0)
			status = encode(p, what, ENCODE_DOCUMENT, row->pair, &document, score);
		if (status)
			diag_error_in(diag, EXIT_INPUT, path, row->line, "%s", p->strerror(status));
		to[i].gold = row->score;
		to[i].predicted = rt_maxsim(
			query.rows, query.count, document.rows, document.count, what->width, what->mean);
		if (progress)
			progress_show(progress, i, rows);
	}
	progress_clear();
	free(query.rows);
	return status == 0;
}
