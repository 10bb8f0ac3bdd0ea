/* codegen.h: makes C, objects, libraries and programs from a lowered module. */
#ifndef BERTC_CODEGEN_H
#define BERTC_CODEGEN_H
#include "codegen/tokenize/tokenizer_desc.h"
#include "ir/blob.h"
#include "passes/passes.h"

/* ---- targets.c (targets.def) ----------------------------------------------------------------- */
enum { CPUS_MAX = 16 };
typedef struct Target {
	const char *triple;       /* "x86_64-linux-gnu" */
	char cpu[384];            /* bertc's names, oldest first: "x86-64-v3", "x86-64-v3,znver4" */
	CpuTarget cpus[CPUS_MAX]; /* the same CPUs; each gets its own code, and the program picks the last that
								 the machine supports */
	int32_t ncpus;
	const char *base_flags; /* for Clang, separated by spaces: the triple's flags */
	const char *cpu_flags;  /* the same with those that all its CPUs need */
	const char *flags;      /* the same with tuning for the newest CPU ("-march=x86-64 -mtune=znver4") */
	const char *cc_flags;   /* the flags that every compiler needs for the emitted C; "": none */
	const char *link_flags; /* one flag for Clang's driver, or "" */
	uint32_t isa;           /* bits of Isa that all CPUs have */
} Target;
/* triple NULL: this machine. cpu: names separated by commas, also "native" and "baseline". cpu NULL: native
 * if the triple is this machine's, else baseline. */
bool target_find(const char *triple, const char *cpu, Target *, Diag *);
void targets_print(FILE *);
/* "AVX2, FMA and F16C; ...", or "plain C17". */
void target_isa_print(uint32_t isa, FILE *);
const char *target_host_triple(void);
bool target_is_host(const Target *);   /* its programs run here without an emulator */
bool target_runs_here(const Target *); /* and this machine supports at least one of its CPUs */
/* Whether a CPU has that name. Sets *can if one of that name has all `needs` (bits of Isa). */
bool target_cpu_known(const char *cpu, uint32_t needs, bool *can);

/* ---- emit ------------------------------------------------------------------------------------ */
typedef enum EmitKind {
	EMIT_EXE,
	EMIT_LIB,
	EMIT_SHARED,
	EMIT_OBJ,
	EMIT_C,
	EMIT_BIR,
	EMIT_CHECKPOINT,
	EMIT_COUNT
} EmitKind;
typedef struct EmitOptions {
	EmitKind kind;
	const char *out;      /* path of the result */
	const char *name;     /* C prefix, an identifier */
	const char *command;  /* for the head comment of the C file; without paths of this machine */
	const char *pipeline; /* the passes that ran */
	Target target;
	const TokenizerDesc *tokenizer; /* NULL: ids only */
	bool weights_inline;            /* --weights-as=inline */
	bool pack_small;                /* --pack=small: weights of linears are entropy coded */
	bool is_static;
	const char *sysroot, *cc, *save_temps;
	const char *labels, *pattern; /* of zero-shot classification (runtime/zero_shot.c); NULL: none */
	char *ranges;                 /* of embeddings (runtime/embeddings.c); NULL: none */
	const char *about_json;       /* object text: model hash, passes, sizes, verify figures */
	bool no_cache;                /* compile everything, keep nothing */
	bool quiet;
} EmitOptions;
/* Whether the name is a valid prefix of C functions. And: derives one from a file name, "out/my-model" ->
 * "my_model", malloc'd. */
bool c_is_identifier(const char *);
char *c_identifier_from_path(const char *path);
/* Emits any kind except BIR and CHECKPOINT. Writes temporary files beside `out`, then renames them: `out`
 * appears completely or not at all. */
bool emit_module(const Module *, const EmitOptions *, Diag *);

/* Bytes that a program needs for the constants of graph g, or of all graphs (g < 0). Equal constants count
 * once. */
int64_t weights_measure(const Module *, int32_t g);

/* ---- toolchain.cc: the only C++ file; Clang and LLD in process ------------------------------- */
/* How the pieces of a program are compiled: Clang's arguments, worked out once. Threads may share it. */
typedef struct Toolchain Toolchain;
/* flags: those of the target, for its CPUs or for any of its triple. NULL and a message: no headers, or no C
 * library. To be called by the main thread before another one compiles. */
Toolchain *toolchain_new(const Target *, const char *flags, bool pic, const char *sysroot, Diag *);
void toolchain_free(Toolchain *);
/* All that decides what becomes of a text: the compiler's version, and its arguments. */
const char *toolchain_identity(const Toolchain *);
typedef struct CompileJob {
	const char *name, *text; /* a C file in memory; messages and the symbol table name it so */
	size_t bytes;
	const char *prefix;      /* file of toolchain_precompile that the text continues, or NULL */
	const char *object_path; /* file for the object; NULL: in memory */
	/* made: malloc'd */
	char *object, *headers; /* headers: paths of the headers read, each ended by a NUL */
	size_t object_bytes, headers_bytes;
} CompileJob;
bool toolchain_compile(const Toolchain *, CompileJob *, Diag *);
/* The text as a precompiled header in the file object_path. */
bool toolchain_precompile(const Toolchain *, CompileJob *, Diag *);
/* kind: EXE or SHARED. Objects may be archives, which go in whole. */
bool toolchain_link(EmitKind, bool is_static, const Target *, const char *const *objects, const char *out,
	const char *sysroot, Diag *);
/* One object, whose hidden symbols are local. */
bool toolchain_join(const char *const *objects, const char *out, Diag *);
typedef struct ArchiveMember {
	const char *name, *data;
	size_t bytes;
} ArchiveMember;
bool toolchain_archive(const ArchiveMember *, int32_t count, const char *out, Diag *);
/* The same of one file under another name. */
bool toolchain_archive_file(const char *name, const char *file, const char *out, Diag *);

/* The flags of emitted code beyond -std=c17, for the built-in Clang and for the cc line at the head of the C
 * file. Products and sums are not contracted, so that results follow the C text; kernels use FMA
 * explicitly. */
#define COMPILE_FLAGS "-O3", "-ffp-contract=off", "-fno-math-errno"
/* SHA-256 of the concatenated parts, as 64 hex digits. */
void sha256_hex(const void *const *parts, const size_t *bytes, int count, char hex[65]);
/* LLVM's name of this machine's CPU ("znver5"). */
const char *toolchain_host_cpu(void);

/* embedded.c (generated): the text of runtime/ files. NULL: no such file. */
const char *embedded_file(const char *name, size_t *bytes);
#endif
