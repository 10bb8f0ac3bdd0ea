/* test_load.c: directories, descriptions and graphs into modules, and everything that must be refused on the way. A tiny BERT
 * is written to a temporary directory; each case changes one thing about it.
 *
 * `test_load --eval MODEL [--task=T] [--outputs=O]` is no test: it evaluates MODEL on the ids (a tab, then types) of each line
 * of standard input and prints {"output": [numbers], ...} a line, for tests/python/test_import.py. */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "compiler/builder.h"
#include "compiler/json_file.h"

/* ---- --eval ---------------------------------------------------------------------------------------------------------------- */

static int32_t read_ids(char *text, int32_t *ids, int32_t most)
{
	int32_t count = 0;
	for (char *end; count < most; text = end) {
		long id = strtol(text, &end, 10);
		if (end == text)
			break;
		ids[count++] = (int32_t)id;
	}
	return count;
}

static bool eval_line(const Graph *graph, char *line, Diag *diag)
{
	static int32_t ids[4096], types[4096];
	char *tab = strchr(line, '\t');
	if (tab)
		*tab = '\0';
	int32_t tokens = read_ids(line, ids, 4096);
	memset(types, 0, sizeof types);
	if (tab)
		read_ids(tab + 1, types, 4096);
	EvalArray *outputs = calloc((size_t)graph->noutputs, sizeof *outputs);
	bool good = graph_eval_ids(graph, ids, types, tokens, outputs, diag);
	for (int32_t o = 0; good && o < graph->noutputs; o++) {
		printf("%s\"%s\": [", o ? ", " : "{", graph->outputs[o].name);
		for (int64_t i = 0; i < outputs[o].count; i++)
			printf("%s%.9g", i ? ", " : "", eval_at(&outputs[o], i));
		fputs("]", stdout);
		eval_array_free(&outputs[o]);
	}
	puts("}");
	free(outputs);
	return good;
}

static int eval_model(int argc, char **argv)
{
	BuildOptions options = {.model = argv[2]};
	Loaded loaded;
	Diag diag;
	char *line = NULL;
	size_t room = 0;
	for (int i = 3; i < argc; i++) {
		if (strncmp(argv[i], "--task=", 7) == 0)
			options.task = argv[i] + 7;
		if (strncmp(argv[i], "--outputs=", 10) == 0)
			options.outputs = argv[i] + 10;
	}
	diag_init(&diag, options.model);
	bool good = model_load(&options, &loaded, &diag);
	while (good && getline(&line, &room, stdin) > 0)
		good = eval_line(loaded.module->graphs[0], line, &diag);
	diag_print(&diag, stderr);
	diag_free(&diag);
	free(line);
	model_unload(&loaded);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--eval") == 0)
		return eval_model(argc, argv);
	return 0;
}
