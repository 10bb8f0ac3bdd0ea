/* search_moves.c: makes the levels of the moves of `bertc tune` (search_moves.def) and the pipelines of
 * candidates. */
#include <stdlib.h>
#include <string.h>
#include "search.h"

static const struct {
	const char *name, *pass, *levels;
	bool structural;
} moves[] = {
#define MOVE(name, pass, levels, structural) {name, pass, levels, structural},
#include "search_moves.def"
#undef MOVE
};

static char *replaced(const char *text, char what, const char *by)
{
	const char *at = strchr(text, what);
	return at ? checked_printf("%.*s%s%s", (int)(at - text), text, by, at + 1) : checked_strdup(text);
}

bool search_add_level(Move *move, char *text)
{
	if (move->nlevels + 1 >= LEVELS_MAX) {
		free(text);
		return false;
	}
	move->level[++move->nlevels] = text;
	return true;
}

/* Adds a level with $ replaced by the corpus, and ~0.5 by half of the vocabulary in whole hundreds. */
static void add_words(const Search *s, Move *move, const char *word)
{
	char *text = replaced(word, '$', s->corpus ? s->corpus : ""), *share = strchr(text, '~'), *end;
	if (!share) {
		search_add_level(move, text);
		return;
	}
	const int32_t keep = (int32_t)(strtod(share + 1, &end) * s->words / 100) * 100;
	*share = '\0';
	if (keep > 0)
		search_add_level(move, checked_printf("%s%d%s", text, keep, end));
	free(text);
}

static void make_levels(Search *s, Move *move, const char *levels)
{
	char *list = checked_strdup(levels), *rest = NULL;
	const char *separator = strchr(levels, '=') ? ";" : " ";
	for (char *word = strtok_r(list, separator, &rest); word; word = strtok_r(NULL, separator, &rest))
		if (strchr(word, '#')) {
			char number[16];
			for (int32_t i = 0; i + 1 < s->nlayers; i++) {
				snprintf(number, sizeof number, "%d", s->layer[i]);
				char *first = replaced(word, '#', number);
				snprintf(number, sizeof number, "%d", s->layer[i + 1]);
				search_add_level(move, replaced(first, '+', number));
				free(first);
			}
		} else if (strchr(word, '$') ? s->corpus != NULL : !strchr(word, '~') || !s->corpus) {
			add_words(s, move, word);
		}
	free(list);
}

void search_look(Search *s, Graph *graph)
{
	BlockList list;
	Diag quiet;
	diag_init(&quiet, NULL);
	if (blocks_list(graph, "tune", &list, &quiet)) {
		s->nlayers = list.nlayers < LEVELS_MAX ? list.nlayers : LEVELS_MAX;
		s->nblocks = list.nblocks <= BLOCKS_MAX ? list.nblocks : 0;
		memcpy(s->layer, list.layer, (size_t)s->nlayers * sizeof *s->layer);
		for (int32_t b = 0; b < s->nblocks; b++)
			snprintf(s->block[b], BLOCK_NAME_BYTES, "%s", list.block[b]);
	}
	diag_free(&quiet);
}

void search_make_moves(Search *s)
{
	for (size_t i = 0; i < sizeof moves / sizeof *moves && s->nmoves < MOVES_MAX; i++) {
		Move *move = &s->moves[s->nmoves++];
		*move = (Move){.name = moves[i].name,
			.structural = moves[i].structural,
			.pass = moves[i].pass,
			.learns = strchr(moves[i].pass, '@') != NULL};
		make_levels(s, move, moves[i].levels);
	}
}

int32_t search_shared(const Search *s)
{
	int32_t n = s->nmoves;
	while (n > 0 && !s->moves[n - 1].learns)
		n--;
	return n;
}

char *search_pipeline(const Search *s, const int8_t *level) { return search_part(s, level, 0, s->nmoves); }

char *search_part(const Search *s, const int8_t *level, int32_t from, int32_t to)
{
	char *text = NULL,
		 *texts = checked_printf("%s limit=%d", s->calibration ? s->calibration : s->data_path, s->learnt);
	const char *comma = "";
	size_t bytes;
	FILE *out = text_open(&text, &bytes);
	for (int32_t m = from; m < to; m++) {
		if (!level[m])
			continue;
		char *pass = replaced(s->moves[m].pass, '@', texts);
		const char *place = strstr(pass, "%s");
		fprintf(
			out, "%s%.*s%s%s", comma, (int)(place - pass), pass, s->moves[m].level[(int)level[m]], place + 2);
		comma = ",";
		free(pass);
	}
	text_close(out);
	free(texts);
	return text;
}
