/* vocabulary.c: the tokenizer's side of prune-vocab: finds the tokens that must stay, renumbers them, and
 * finds those that continue words. A corpus is tokenized by compiled code: a program of the model's tokenizer
 * and a graph of one number. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/tokenize/tokenizer_tables.h"
#include "calibrate.h"
#include "datasets.h"

/* ---- what a corpus uses ---------------------------------------------------------------------- */

/* Opens a program that only tokenizes, for texts of up to `tokens` tokens. */
static bool open_tokenizer(const BuildRun *calibration, int32_t tokens, Program *program, Diag *diag)
{
	Module *module = module_new("tokenizer");
	Graph *graph = graph_new(module, "main");
	Value *ids = graph_add_input(graph, "ids", type_make(DT_I32, 1, dim_symbol(1)));
	Tensor *table = tensor_new(module, "table", type_make(DT_F32, 2, dim_number(1), dim_number(1)));
	Value *x = graph_emit(
		graph, NULL, OP_EMBED, (Value *[]){graph_const(graph, NULL, table, NULL), ids}, 2, NULL, NULL, diag);
	if (x)
		graph_add_output(graph, "hidden", x);
	module->max_tokens = tokens;
	const bool good = x && calibration_open(calibration, module, program, diag);
	module_free(module);
	return good;
}

static bool mark_text(
	const Program *p, const char *text, int32_t *ids, int32_t *types, bool *used, int32_t rows, Diag *diag)
{
	int32_t n = 0;
	const int status = program_tokenize(p, text, NULL, ids, types, NULL, p->max_tokens, &n);
	if (status)
		return diag_error(diag, EXIT_INPUT, 0, "%s", p->strerror(status));
	for (int32_t i = 0; i < n; i++)
		if (ids[i] >= 0 && ids[i] < rows)
			used[ids[i]] = true;
	return true;
}

/* Tokenizes every line, split at tabs. A NUL byte ends a line. */
static bool mark_corpus(const BuildRun *calibration, char *text, bool *used, int32_t rows, Diag *diag)
{
	enum { LONGEST = 1 << 20 };
	size_t longest = 0;
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
		longest = strcspn(at, "\n") > longest ? strcspn(at, "\n") : longest;
	const int32_t room = longest + 16 > LONGEST ? LONGEST
												: (int32_t)longest + 16; /* a token has at least one byte */
	int32_t *ids = checked_calloc((size_t)room, sizeof *ids),
			*types = checked_calloc((size_t)room, sizeof *types);
	Program program = {0};
	bool good = open_tokenizer(calibration, room, &program, diag);
	for (char *rest = text, *part; good && (part = strsep(&rest, "\n\t\r"));)
		good = !*part || mark_text(&program, part, ids, types, used, rows, diag);
	program_close(&program);
	free(ids);
	free(types);
	return good;
}

static void mark(bool *used, int32_t rows, int32_t id)
{
	if (id >= 0 && id < rows)
		used[id] = true;
}

static void mark_needed(const TokenizerDesc *desc, bool *used, int32_t rows)
{
	const int32_t roles[] = {desc->unk_id, desc->pad_id, desc->cls_id, desc->sep_id, desc->mask_id};
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		mark(used, rows, roles[i]);
	for (int32_t i = 0; i < desc->nadded; i++)
		mark(used, rows, desc->added[i].id);
	for (int32_t i = 0; i < desc->nsingle; i++)
		if (desc->single[i].piece == PIECE_TOKEN)
			mark(used, rows, desc->single[i].id);
	for (int32_t i = 0; i < desc->npair; i++)
		if (desc->pair[i].piece == PIECE_TOKEN)
			mark(used, rows, desc->pair[i].id);
	for (int32_t id = 0; id < desc->nvocab; id++)
		if (desc->vocab[id] && desc->model->is_single_character(desc, id))
			mark(used, rows, id);
}

static bool is_added(const TokenizerDesc *desc, int32_t id)
{
	for (int32_t i = 0; i < desc->nadded; i++)
		if (desc->added[i].id == id)
			return true;
	return false;
}

void vocabulary_never(void *context, bool *never, int32_t rows)
{
	const TokenizerDesc *desc = ((const BuildRun *)context)->loaded->tokenizer;
	for (int32_t id = 0; id < rows && id < desc->nvocab; id++)
		never[id] = !desc->vocab[id]
			|| (desc->model->is_never && desc->model->is_never(desc, id) && !is_added(desc, id));
}

/* Without a corpus, the lowest ids are taken as the most frequent tokens. That holds for a vocabulary in the
 * order of training, but not for a sorted one. In training order, about half the words sort after the word
 * before them (0.54 to 0.60 in BERT's vocabularies). Refuses vocabularies far from that. */
static bool check_order(const TokenizerDesc *desc, int32_t rows, Diag *diag)
{
	enum { TOO_FEW = 32 };
	const char *before = NULL;
	int32_t pairs = 0, rising = 0;
	for (int32_t id = 0; id < rows && id < desc->nvocab; id++) {
		const char *token = desc->vocab[id];
		if (!token || *token == '[' || desc->model->is_single_character(desc, id)
			|| desc->model->continues(desc, id))
			continue;
		pairs += before != NULL;
		rising += before && strcmp(before, token) < 0;
		before = token;
	}
	const double share = pairs ? (double)rising / pairs : 0.5;
	return pairs < TOO_FEW || (share > 0.2 && share < 0.8)
		|| diag_error(diag, EXIT_UNSUPPORTED, 0,
			"prune-vocab: the vocabulary is sorted (%.0f %% of its words sort %s the word before them), so "
			"its "
			"order does not show which words are frequent; give corpus=FILE, text like the model's input",
			100 * fmax(share, 1 - share), share > 0.5 ? "after" : "before");
}

static bool mark_file(const BuildRun *calibration, const char *corpus, bool *used, int32_t rows, Diag *diag)
{
	char *text = file_read(corpus, DATASET_BYTES_MAX, NULL, diag);
	const char *before = diag->file;
	diag->file = corpus;
	const bool good = text && mark_corpus(calibration, text, used, rows, diag);
	diag->file = before;
	free(text);
	return good;
}

/* Tokens of the model itself: of its prompts, and those that a multi-vector model fills queries up with or
 * gives no rows. */
static bool mark_own(const BuildRun *calibration, bool *used, int32_t rows, Diag *diag)
{
	const Loaded *loaded = calibration->loaded;
	static const char *const words[] = {META_FILL_TOKEN, META_SKIP};
	const Module *m = loaded->module;
	char *prompts = NULL;
	size_t bytes;
	FILE *lines = text_open(&prompts, &bytes);
	for (int i = 0; i < m->nmeta; i++)
		if (strncmp(m->meta[i].key, META_PROMPT, strlen(META_PROMPT)) == 0)
			fprintf(lines, "%s\n", m->meta[i].value);
	text_close(lines);
	for (int i = 0; i < 2; i++)
		for (const char *at = module_meta(m, words[i]), *end; at && *at; at = *end ? end + 1 : end) {
			end = at + strcspn(at, "\n");
			mark(used, rows, tokenizer_token_id(loaded->tokenizer, at, (size_t)(end - at)));
		}
	const bool good = !*prompts || mark_corpus(calibration, prompts, used, rows, diag);
	free(prompts);
	return good;
}

bool vocabulary_used(void *context, const char *corpus, bool *used, int32_t rows, Diag *diag)
{
	const BuildRun *calibration = context;
	mark_needed(calibration->loaded->tokenizer, used, rows);
	const TokenizerDesc *desc = calibration->loaded->tokenizer;
	const bool good = mark_own(calibration, used, rows, diag)
		&& (corpus ? mark_file(calibration, corpus, used, rows, diag) : check_order(desc, rows, diag));
	if (good && desc->model->close)
		desc->model->close(desc, used, rows);
	return good;
}

void vocabulary_continues(void *context, bool *continues, int32_t rows)
{
	const TokenizerDesc *desc = ((const BuildRun *)context)->loaded->tokenizer;
	for (int32_t id = 0; id < rows; id++)
		continues[id] = id < desc->nvocab && desc->vocab[id] && desc->model->continues(desc, id);
}

/* ---- new numbers ----------------------------------------------------------------------------- */

static int32_t number_of(const int32_t *to, int32_t rows, int32_t id)
{
	return id >= 0 && id < rows ? to[id] : -1;
}

static const TemplateItem *renumber_template(
	MemArena *mem, const TemplateItem *items, int32_t count, const int32_t *to, int32_t rows)
{
	TemplateItem *copy = mem_alloc(mem, ((size_t)count + 1) * sizeof *copy);
	for (int32_t i = 0; i < count; i++) {
		copy[i] = items[i];
		if (copy[i].piece == PIECE_TOKEN)
			copy[i].id = number_of(to, rows, copy[i].id);
	}
	return copy;
}

static bool check_added(const TokenizerDesc *desc, int32_t rows, Diag *diag)
{
	for (int32_t i = 0; i < desc->nadded; i++)
		if (desc->added[i].id >= rows)
			return diag_error(diag, EXIT_UNSUPPORTED, 0,
				"prune-vocab: the added token \"%.64s\" has id %d, but the word table has only %d rows; add "
				"rows to the model first (resize_token_embeddings in transformers)",
				desc->added[i].text, desc->added[i].id, rows);
	for (int32_t i = 0; i < desc->npair; i++)
		if (desc->pair[i].piece == PIECE_TOKEN && desc->pair[i].id >= rows)
			return diag_error(diag, EXIT_UNSUPPORTED, 0,
				"prune-vocab: the tokenizer adds id %d to each text, but the word table has only %d rows; "
				"add "
				"rows to the model first (resize_token_embeddings in transformers)",
				desc->pair[i].id, rows);
	return true;
}

bool vocabulary_renumber(void *context, const int32_t *to, int32_t rows, Diag *diag)
{
	Loaded *loaded = ((BuildRun *)context)->loaded;
	TokenizerDesc *desc = loaded->tokenizer;
	MemArena *mem = loaded->mem;
	if (!check_added(desc, rows, diag))
		return false;
	const char **vocab = mem_alloc(mem, (size_t)rows * sizeof *vocab);
	int32_t nvocab = 0;
	for (int32_t id = 0; id < desc->nvocab && id < rows; id++)
		if (to[id] >= 0 && desc->vocab[id]) {
			vocab[to[id]] = desc->vocab[id];
			nvocab = to[id] + 1;
		}
	AddedToken *added = mem_alloc(mem, ((size_t)desc->nadded + 1) * sizeof *added);
	for (int32_t i = 0; i < desc->nadded; i++) {
		added[i] = desc->added[i];
		added[i].id = to[added[i].id];
	}
	int32_t *const roles[] = {&desc->unk_id, &desc->pad_id, &desc->cls_id, &desc->sep_id, &desc->mask_id};
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		*roles[i] = number_of(to, rows, *roles[i]);
	desc->single = renumber_template(mem, desc->single, desc->nsingle, to, rows);
	desc->pair = renumber_template(mem, desc->pair, desc->npair, to, rows);
	desc->data = desc->model->renumber(desc, to, rows, mem);
	desc->vocab = vocab;
	desc->nvocab = nvocab;
	desc->added = added;
	/* map ids of the files on disk, also after several prune-vocab passes */
	int32_t *numbers = mem_alloc(
		mem, (size_t)(loaded->renumbered ? loaded->nrenumbered : rows) * sizeof *numbers);
	if (!loaded->renumbered)
		loaded->nrenumbered = rows;
	for (int32_t id = 0; id < loaded->nrenumbered; id++)
		numbers[id] = loaded->renumbered ? number_of(to, rows, loaded->renumbered[id]) : to[id];
	loaded->renumbered = numbers;
	return true;
}
