/* type.h: types, tensors, half-precision numbers, and the arena of a module. ir.h includes it and has the
 * rest of the IR. */
#ifndef BERTC_TYPE_H
#define BERTC_TYPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- limits: every file is hostile ----------------------------------------------------------- */
enum {
	RANK_MAX = 4,
	SYMBOLS_MAX = 9, /* none, S, S1 .. S7 */
	ARGS_MAX = 16,
	RESULTS_MAX = 4,
	NODES_MAX = 1 << 20,
	LABELS_MAX = 1 << 20,
	NAME_BYTES_MAX = 1024,
};
#define TENSOR_BYTES_MAX ((int64_t)1 << 40)
#define DIM_MAX ((int64_t)1 << 40)

/* ---- types ----------------------------------------------------------------------------------- */
typedef enum DType {
#define DTYPE(NAME, ...) DT_##NAME,
#include "dtypes.def"
#undef DTYPE
	DT_COUNT
} DType;

/* scale * symbol + plus. symbol 0: a plain number (scale 0); 1: S; 2: S1; ... */
typedef struct Dim {
	int32_t symbol, scale;
	int64_t plus;
} Dim;

typedef struct Type {
	DType dtype;
	int32_t rank;
	Dim dim[RANK_MAX];
} Type;

/* A tensor known at compile time. All dims are plain numbers. */
typedef struct Tensor {
	const char *name; /* as in the checkpoint */
	Type type;
	const void *data; /* row-major, little-endian; borrowed from a mapping or the arena */
	int64_t bytes;
	/* Plain name of its file, as a .bir refers to it. NULL: in no file that a .bir can name. */
	const char *file;
	/* Name of the checkpoint tensor that passes derived it from. NULL: `name` is that name. */
	const char *source;
	/* parts > 0: one of the parts, by rows, of the tensor `source` */
	int32_t part, parts;
	/* heads > 0: rows of that many heads, each of which is `repeats` times one below the other; with parts:
	 * the rows of the parts alternate in `source`, head by head */
	int32_t heads, repeats;
	/* its rows are the columns of the tensor `source`, whose further axes count as one */
	bool turned;
	/* groups > 0: zero outside of that many blocks of its diagonal. The tensor `source` has the blocks one
	 * below the other, and a last axis of 1; turned: each block transposed, and a first axis of blocks */
	int32_t groups;
	/* taps > 0: a convolution over neighbouring rows, the columns of each tap side by side, zero outside of
	 * the row's group. The tensor `source` is [rows,columns/groups,taps] */
	int32_t taps;
	/* Rule for its elements, as .bir spells it: "splat(0.5)", "iota", "rand(7)". NULL: no rule. */
	const char *form;
} Tensor;

/* ---- arena.c: an arena of zeroed memory; out of memory ends the process with exit 1 --------- */
typedef struct MemArena MemArena;
MemArena *mem_new(void);
void mem_free(MemArena *);
void *mem_alloc(MemArena *, size_t bytes);
/* As checked_grow (memory.h). The old items stay in the arena, so pointers to them stay valid. */
void *mem_grow(MemArena *, void *items, size_t *capacity, size_t count, size_t item_bytes);
char *mem_string(MemArena *, const char *text, size_t bytes); /* copies and ends with NUL */
char *mem_printf(MemArena *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- type.c ---------------------------------------------------------------------------------- */
extern const char *const dtype_names[DT_COUNT];
extern const int32_t dtype_bytes[DT_COUNT];
bool dtype_is_float(DType);
bool dtype_parse(const char *text, size_t bytes, DType *);
Dim dim_number(int64_t);
Dim dim_symbol(int32_t symbol); /* dim_symbol(1) is S */
bool dim_equal(Dim, Dim);
bool dim_is_number(Dim);
bool dim_is_valid(Dim); /* a number in 1..DIM_MAX, or scale*symbol+plus with scale >= 1 */
/* The size for given symbols; symbols[1] is S. Negative: overflow, or a negative size. */
int64_t dim_at(Dim, const int64_t symbols[SYMBOLS_MAX]);
Type type_make(DType, int32_t rank, ...); /* ...: rank arguments of type Dim */
bool type_equal(const Type *, const Type *);
bool type_is_number(const Type *); /* whether no dim has a symbol */
int64_t type_count(const Type *);  /* elements of a type without symbols; -1 on overflow */
/* Whether two types have the same number of elements for all values of the symbols (type_count.c). */
bool type_counts_equal(const Type *, const Type *);
/* Whether a value has one row per token: dim 0 is exactly S or a symbol from thin, and no other dim has a
 * symbol. */
bool type_is_rows(const Type *);
/* The symbol of dim 0 of such a type: 1: S; 2: S1; 0: the type has no rows. */
int32_t type_rows(const Type *);
/* The region of the arena where lowered code keeps a value (IR.md, Arena). It depends on how many dims are S
 * or S1 .. S7: none: TEXTS, one: TOKENS, two: PAIRS. All other dims must be numbers. unit_bytes: bytes per
 * text, token or pair of tokens. NONE: lowered code cannot hold the type (S+1, 2S, S*S*S). */
typedef enum Region { REGION_NONE, REGION_TOKENS, REGION_TEXTS, REGION_PAIRS } Region;
Region type_region(const Type *, int64_t *unit_bytes);
/* Writes "f32[S,384]"; returns text. */
char *type_print(const Type *, char text[128]);

/* ---- half.c: exact widening; narrowing rounds to nearest even -------------------------------- */
float half_to_float(uint16_t);
uint16_t half_from_float(float);
float bfloat_to_float(uint16_t);
uint16_t bfloat_from_float(float);
/* Element i of any tensor as a double (exact for all dtypes but I64 beyond 2^53). */
double tensor_at(const Tensor *, int64_t i);
/* `count` elements from `start` on, as float (f64 is rounded). */
void tensor_floats(const Tensor *, int64_t start, int64_t count, float *out);
/* The nearest number of that type. Ties go to even, floats overflow to infinity, integers saturate, and NaN
 * becomes integer 0. */
double dtype_round(DType, double);
/* Stores dtype_round of the value. The tensor must be from tensor_new. */
void tensor_set(Tensor *, int64_t i, double value);
#endif
