/* ship.c: a program that runs while bertc is built. `bertc_ship OUT` compiles the pieces of runtime/ that are
 * the same for all models, for every target whose C library is installed. bertc contains the objects
 * (shipped.c), as other compilers come with a compiled runtime. If a piece is missing, or its headers have
 * changed since, bertc compiles it when it needs it. */
#include <stdlib.h>
#include <string.h>
#include "codegen/pieces.h"
#include "codegen/tokenize/tokenizer_tables.h"

static const char *const triples[] = {
#define TARGET(triple, ...) triple,
#define CPU(...)
#include "codegen/targets.def"
#undef TARGET
#undef CPU
};

/* What checkpoints have: a pre-tokenizer, a model, whether offsets are trimmed, and whether the
 * normaliser looks at neighbours. */
static const struct {
	const char *split, *model;
	bool trim, contextual;
} tokenizers[] = {{NULL, NULL, false, false}, {"bert", "wordpiece", false, false},
	{"bert", "wordpiece", true, false}, {"byte_level", "bpe", false, false},
	{"byte_level", "bpe", true, false}, {"metaspace", "unigram", false, true}};

static bool make_pieces(Pieces *pieces, Diag *diag)
{
	bool good = pieces_runtime(pieces, true, true, true, diag);
	for (size_t i = 0; good && i < sizeof tokenizers / sizeof *tokenizers; i++) {
		const Splitter split = {.name = tokenizers[i].split};
		const TokenizerModel model = {.name = tokenizers[i].model};
		const TokenizerDesc desc = {.split = &split,
			.model = &model,
			.trim_offsets = tokenizers[i].trim,
			.contextual = tokenizers[i].contextual};
		good = pieces_tokenizer(pieces, split.name ? &desc : NULL, diag);
	}
	return good;
}

/* Code of programs lies where it is linked, code of libraries anywhere. The prefix has 6 MB: that of programs
 * for this machine comes along, as most builds make one. */
static bool ship(const char *triple, bool pic, FILE *out, Diag *diag)
{
	Target target;
	Pieces pieces = {0};
	const bool usual = !pic && strcmp(triple, target_host_triple()) == 0;
	bool good = target_find(triple, "baseline", &target, diag) && make_pieces(&pieces, diag)
		&& (!usual || pieces_prefix(&pieces, diag)) && pieces_ship(&target, &pieces, pic, out, diag);
	pieces_free(&pieces);
	return good;
}

int main(int argc, char **argv)
{
	FILE *out = argc == 2 ? fopen(argv[1], "wb") : NULL;
	if (!out) {
		fputs("usage: bertc_ship OUT\n", stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof triples / sizeof *triples; i++) {
		Diag diag;
		diag_init(&diag, NULL);
		if (!ship(triples[i], false, out, &diag) || !ship(triples[i], true, out, &diag))
			printf("not compiled for %s: %s\n", triples[i], diag.messages[0].text);
		diag_free(&diag);
	}
	return fclose(out) == 0 ? EXIT_DONE : EXIT_RUN;
}
