/* tokenize_driver.c: tokenizes with the compiler's import and tables and the programs' code, in one process,
 * for tests that compare with the `tokenizers` library.
 *
 *   tokenize_driver DIRECTORY FILE [--compat=transformers5]   answers requests: a line of standard input each
 *   tokenize_driver DIRECTORY FILE --bench TEXT  prints bytes per second over the lines of a text file
 *
 * A request is `MAX_TOKENS TEXT` or `MAX_TOKENS TEXT PAIR`. The texts are in hexadecimal after an x, so that
 * they can hold any byte. An answer is rows of five int32. Its first two rows are the fields of AnswerHead.
 * Then each token has the row id, type, start, end, word. Exit status as bertc's. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "codegen/tokenize/tokenizer_tables.h"
#undef RT_TABLES_ONLY
#include "compiler/cli/bertc.h"
#include "runtime/tokenize/tokenizer.c"

typedef struct Room {
	int32_t *ids, *types, *starts, *ends, *words, size;
} Room;

static void room_grow(Room *room, int32_t size)
{
	int32_t **arrays[] = {&room->ids, &room->types, &room->starts, &room->ends, &room->words};
	for (int i = 0; i < 5 && size > room->size; i++) {
		*arrays[i] = realloc(*arrays[i], (size_t)size * sizeof(int32_t));
		if (!*arrays[i])
			exit(EXIT_RUN);
	}
	room->size = size > room->size ? size : room->size;
}

static void room_free(Room *room)
{
	free(room->ids);
	free(room->types);
	free(room->starts);
	free(room->ends);
	free(room->words);
}

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* "x616263" to bytes in place; NULL: there is no such word. */
static char *unhex(char *word, size_t *bytes)
{
	*bytes = 0;
	if (!word || *word != 'x')
		return NULL;
	for (char *at = word + 1; at[0] && at[1]; at += 2)
		word[(*bytes)++] = (char)(digit(at[0]) << 4 | digit(at[1]));
	return word;
}

typedef struct AnswerHead {
	int32_t status, tokens, total, text_tokens, pair_tokens, text_next, pair_next, replaced, unused[2];
} AnswerHead;

static void print_answer(const AnswerHead *head, const Room *room)
{
	fwrite(head, sizeof *head, 1, stdout);
	for (int32_t i = 0; i < head->tokens; i++) {
		const int32_t row[5] = {room->ids[i], room->types[i], room->starts[i], room->ends[i], room->words[i]};
		fwrite(row, sizeof row, 1, stdout);
	}
}

static void answer(const RtTokenizer *t, char *line, Room *room)
{
	char *save, *number = strtok_r(line, " \n", &save);
	size_t bytes, pair_bytes;
	char *text = unhex(strtok_r(NULL, " \n", &save), &bytes),
		 *pair = unhex(strtok_r(NULL, " \n", &save), &pair_bytes);
	int32_t max_tokens = number ? (int32_t)strtol(number, NULL, 10) : 0;
	RtEncoding e;
	room_grow(room, max_tokens + 1);
	AnswerHead head = {.status = rt_tokenize(t, text, bytes, pair, pair_bytes, max_tokens, room->ids,
						   room->types, room->starts, room->ends, room->words, &e)};
	if (head.status == RT_OK) {
		head.tokens = e.n;
		head.total = e.total;
		head.text_tokens = e.text_tokens;
		head.pair_tokens = e.pair_tokens;
		head.text_next = (int32_t)e.text_next;
		head.pair_next = (int32_t)e.pair_next;
		head.replaced = e.replaced;
	}
	print_answer(&head, room);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* of this process: other programs do not count */
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int bench(const RtTokenizer *t, const char *path, Diag *diag)
{
	size_t bytes;
	int32_t ids[512];
	char *text = file_read(path, 64 << 20, &bytes, diag);
	if (!text)
		return 1;
	double begin = seconds(), spent = 0;
	int64_t tokens = 0, rounds = 0;
	for (; spent < 0.5; spent = seconds() - begin, rounds++)
		for (char *at = text, *stop; at < text + bytes; at = stop + 1) {
			RtEncoding e;
			stop = memchr(at, '\n', (size_t)(text + bytes - at));
			stop = stop ? stop : text + bytes;
			if (rt_tokenize(t, at, (size_t)(stop - at), NULL, 0, 512, ids, NULL, NULL, NULL, NULL, &e)
				== RT_OK)
				tokens += e.total;
		}
	printf("%.1f MB/s, %.2f million tokens/s\n", (double)rounds * (double)bytes / spent / 1e6,
		(double)tokens / spent / 1e6);
	free(text);
	return 0;
}

int main(int argc, char **argv)
{
	const bool compat = argc == 4 && strcmp(argv[3], "--compat=transformers5") == 0;
	if (argc != 3 && !compat && (argc != 5 || strcmp(argv[3], "--bench") != 0)) {
		fprintf(stderr, "usage: tokenize_driver DIRECTORY FILE [--compat=transformers5 | --bench TEXT]\n");
		return EXIT_USAGE;
	}
	Diag diag;
	diag_init(&diag, argv[2]);
	MemArena *mem = mem_new();
	Blob blob = {0};
	TokenizerLayout layout;
	double begin = seconds();
	const TokenizerDesc *desc = tokenizer_import(argv[1], argv[2], NULL, compat, mem, &diag);
	double imported = seconds();
	bool fine = desc && tokenizer_layout(desc, &blob, &layout, &diag);
	double built = seconds();
	if (fine) {
		RtTokenizer t = tokenizer_instance(desc, &layout, blob.data);
		Room room = {0};
		char *line = NULL;
		size_t capacity = 0;
		if (argc == 5) {
			printf(
				"import %.3f s, tables %.3f s, %zu bytes\n", imported - begin, built - imported, blob.bytes);
			bench(&t, argv[4], &diag);
		}
		while (argc < 5 && getline(&line, &capacity, stdin) > 0)
			answer(&t, line, &room);
		free(line);
		room_free(&room);
	}
	diag_print(&diag, stderr);
	blob_free(&blob);
	mem_free(mem);
	int code = diag.errors ? (int)diag.code : 0;
	diag_free(&diag);
	return code;
}
