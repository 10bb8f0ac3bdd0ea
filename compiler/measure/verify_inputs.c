/* verify_inputs.c: reads inputs from lines of text, through the program's tokenizer, or from lines of ids. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "compiler/support/files.h"
#include "verify_inputs.h"

void verify_inputs_renumber(Inputs *inputs, const Loaded *loaded)
{
	if (!loaded->renumbered)
		return;
	inputs->new_id = loaded->renumbered;
	inputs->nold = loaded->nrenumbered;
	inputs->old_id = checked_calloc((size_t)inputs->nold, sizeof *inputs->old_id);
	for (int32_t id = 0; id < inputs->nold; id++)
		if (inputs->new_id[id] >= 0) {
			inputs->old_id[inputs->new_id[id]] = id;
			inputs->nnew = inputs->new_id[id] + 1;
		}
}

Input *verify_inputs_add(Inputs *inputs, int32_t tokens)
{
	inputs->at = checked_grow(inputs->at, &inputs->capacity, (size_t)inputs->count + 1, sizeof *inputs->at);
	Input *input = &inputs->at[inputs->count++];
	*input = (Input){checked_calloc((size_t)tokens, sizeof(int32_t)),
		checked_calloc((size_t)tokens, sizeof(int32_t)), tokens};
	return input;
}

void verify_inputs_free(Inputs *inputs)
{
	for (int32_t i = 0; i < inputs->count; i++) {
		free(inputs->at[i].ids);
		free(inputs->at[i].types);
	}
	free(inputs->at);
	free(inputs->old_id);
	free(inputs->difference);
}

/* The integers of a JSON array; NULL: not such an array. */
static int32_t *json_ids(const json_t *array, int32_t *n)
{
	const size_t count = json_array_size(array);
	int32_t *ids = json_is_array(array) && count < 1 << 24 ? checked_calloc(count, sizeof *ids) : NULL;
	for (size_t i = 0; ids && i < count; i++) {
		const json_int_t id = json_integer_value(json_array_get(array, i));
		if (!json_is_integer(json_array_get(array, i)) || id < 0 || id > INT32_MAX) {
			free(ids);
			return NULL;
		}
		ids[i] = (int32_t)id;
	}
	*n = (int32_t)count;
	return ids;
}

static void compare_ids(
	Inputs *inputs, int32_t line, const int32_t *want, int32_t want_n, const int32_t *got, int32_t n)
{
	int32_t i = 0;
	while (i < n && i < want_n && got[i] == want[i])
		i++;
	inputs->tokenized++;
	inputs->tokenized_right += i == n && n == want_n;
	if ((i < n || n != want_n) && !inputs->difference)
		inputs->difference = checked_printf("line %d: token %d is %d, expected %d (%d tokens, expected %d)",
			line, i, i < n ? got[i] : -1, i < want_n ? want[i] : -1, n, want_n);
}

/* Adds an input from a line: its text through the program's tokenizer, or its ids. */
static bool add_line(const Program *program, bool tokenizer, bool jsonl, char *line, int32_t number,
	Inputs *inputs, Diag *diag)
{
	json_t *object = NULL;
	json_error_t error;
	const char *text = line, *pair = NULL;
	int32_t *want = NULL, *want_types = NULL, want_n = 0, types_n = 0, n = 0;
	if (jsonl) {
		object = json_loads(line, 0, &error);
		if (!json_is_object(object)) {
			json_decref(object);
			return diag_error(diag, EXIT_INPUT, number, "is not a JSON object: %s", object ? "" : error.text);
		}
		text = json_string_value(json_object_get(object, "text"));
		pair = json_string_value(json_object_get(object, "pair"));
		want = json_ids(json_object_get(object, "ids"), &want_n);
		want_types = json_ids(json_object_get(object, "types"), &types_n);
		for (int32_t i = 0; want && inputs->new_id && i < want_n; i++)
			want[i] = want[i] < inputs->nold ? inputs->new_id[want[i]] : -1;
	} else if ((line = strchr(line, '\t'))) {
		*line = '\0';
		pair = line + 1;
	}
	bool good = true;
	if (text && tokenizer) {
		Input *input = verify_inputs_add(inputs, program->max_tokens);
		const int status = program_tokenize(
			program, text, pair, input->ids, input->types, NULL, program->max_tokens, &n);
		if (status)
			good = diag_error(diag, EXIT_INPUT, number, "%s", program->strerror(status));
		else {
			input->n = n;
			inputs->texts++;
			if (want)
				compare_ids(inputs, number, want, want_n, input->ids, n);
		}
	} else if (want && want_n <= program->max_tokens && (!want_types || types_n == want_n)) {
		Input *input = verify_inputs_add(inputs, want_n);
		for (int32_t i = 0; i < want_n; i++) {
			input->ids[i] = want[i];
			input->types[i] = want_types ? want_types[i] : 0;
		}
	} else
		good = diag_error(diag, EXIT_INPUT, number, "%s",
			tokenizer ? "expected \"text\", or \"ids\" of at most max_tokens tokens"
					  : "the model has no tokenizer: give .jsonl with \"ids\"");
	free(want);
	free(want_types);
	json_decref(object);
	return good;
}

bool verify_inputs_read(
	Inputs *inputs, const char *path, int32_t most, const Program *program, bool tokenizer, Diag *diag)
{
	const char *suffix = strrchr(path, '.');
	const bool jsonl = suffix && (strcmp(suffix, ".jsonl") == 0 || strcmp(suffix, ".json") == 0);
	const char *before = diag->file;
	char *text = file_read(path, (size_t)1 << 30, NULL, diag), *rest = text;
	bool good = text != NULL;
	diag->file = path;
	for (int32_t number = 1; good && rest && *rest && inputs->count < most; number++) {
		char *line = strsep(&rest, "\n");
		line[strcspn(line, "\r")] = '\0';
		good = (jsonl && !*line) || add_line(program, tokenizer, jsonl, line, number, inputs, diag);
	}
	if (good && inputs->count == 0)
		good = diag_error(diag, EXIT_INPUT, 0, "has no lines; expected one text per line");
	diag->file = before;
	free(text);
	return good;
}
