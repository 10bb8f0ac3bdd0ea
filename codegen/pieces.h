/* pieces.h: a program as pieces of C. They are compiled in parallel, and each only once: the cache keeps the
 * objects. Internal to codegen/. */
#ifndef BERTC_PIECES_H
#define BERTC_PIECES_H
#include "emit.h"

typedef enum PieceKind {
	PIECE_RUNTIME, /* of all models, for any CPU of the target */
	PIECE_BEHIND   /* after the prefix: this model, or a wrapper or core, of all models of these sizes */
} PieceKind;
typedef struct Piece {
	PieceKind kind;
	const char *name; /* in messages and symbol tables: "attention_12_32.c" */
	char *text;
	size_t bytes;
} Piece;
typedef struct Pieces {
	Piece *at;
	int32_t count;
	size_t capacity;
	/* What pieces after it begin with: rt.h, the CPU's intrinsics, exit.h. Compiled once for all. */
	char *prefix;
	size_t prefix_bytes;
	MemArena *mem; /* names */
} Pieces;

/* ---- pieces.c -------------------------------------------------------------------------------- */
/* After emit_walk. False and a message on error; to be freed either way. */
bool pieces_make(Emitter *, Pieces *);
/* Those that are the same for all models with this tokenizer (NULL: without one), and for all models;
 * program: with main. */
bool pieces_tokenizer(Pieces *, const TokenizerDesc *, Diag *);
bool pieces_runtime(Pieces *, bool packed, bool answers, bool program, Diag *);
bool pieces_prefix(Pieces *, Diag *);
void pieces_free(Pieces *);

/* Files of a build; blob_text: C that holds the weights. */
typedef struct PiecePaths {
	const char *objects, *blob, *blob_text;
} PiecePaths;

/* ---- pieces_compile.c ------------------------------------------------------------------------ */
/* Compiles what is not in the cache on all cores, and writes the objects as one archive, the blob's beside
 * it. The result depends neither on the number of cores nor on the cache. */
bool pieces_compile(const EmitOptions *, const Pieces *, const PiecePaths *, Diag *);
/* Pieces of runtime/ alone, and the prefix where there is one, as entries of a cache one after another. */
bool pieces_ship(const Target *, const Pieces *, bool pic, FILE *, Diag *);
#endif
