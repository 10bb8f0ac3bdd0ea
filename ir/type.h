/* type.h: types, tensors, narrow numbers, and the arena that a module lives in. Included by ir.h, where the
 * rest of the intermediate representation is. */
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

/* scale * symbol + plus. symbol 0 is none (a plain number, scale 0); 1 is S, 2 is S1, ... */
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
	/* Plain name of the file that it lies in, as a .bir refers to it; NULL: no .bir can. */
	const char *file;
	/* The checkpoint's tensor that it was made from, through however many passes; NULL: see name. */
	const char *source;
	/* How .bir spells a tensor made from a rule: "splat(0.5)", "iota", "rand(7)"; NULL: no rule. */
	const char *form;
} Tensor;

/* ---- memory.c: an arena; memory comes zeroed, running out of it ends the process with exit 1 ---- */
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
/* symbols[1] is S. Negative: overflow, or a negative size. */
int64_t dim_at(Dim, const int64_t symbols[SYMBOLS_MAX]);
Type type_make(DType, int32_t rank, ...); /* ... : Dim each */
bool type_equal(const Type *, const Type *);
bool type_is_number(const Type *); /* no symbol in it */
int64_t type_count(const Type *);  /* elements of a type without symbols; -1 on overflow */
/* As many elements, whatever the symbols are (type_count.c). */
bool type_counts_equal(const Type *, const Type *);
/* Rows of the packed form: dim 0 is exactly S, or a symbol that thin made, and no other dim has a symbol. */
bool type_is_rows(const Type *);
/* The symbol of those rows: 1 is S, 2 is S1; 0 when it is not such a type. */
int32_t type_rows(const Type *);
/* The region of the arena where lowered code keeps a value (IR.md, Arena), by its number of factors S or S1
 * .. S7, every other dim a number. unit_bytes: bytes a token, a text, or a token of a token. NONE: lowered
 * code cannot hold it (S+1, 2S, S*S*S). */
typedef enum Region { REGION_NONE, REGION_TOKENS, REGION_TEXTS, REGION_PAIRS } Region;
Region type_region(const Type *, int64_t *unit_bytes);
/* Writes "f32[S,384]"; returns text. */
char *type_print(const Type *, char text[128]);

/* ---- half.c: exact widening, narrowing rounded to nearest even ------------------------------- */
float half_to_float(uint16_t);
uint16_t half_from_float(float);
float bfloat_to_float(uint16_t);
uint16_t bfloat_from_float(float);
/* Element i of any tensor as a double (exact for all dtypes but I64 beyond 2^53). */
double tensor_at(const Tensor *, int64_t i);
/* count elements from `start` widened to float (f64 rounded). */
void tensor_floats(const Tensor *, int64_t start, int64_t count, float *out);
/* The nearest number of that type (ties to even, floats overflow to infinity, integers saturate, NaN is
 * integer 0). */
double dtype_round(DType, double);
/* Stores it so; the data must be the module's own (tensor_new). */
void tensor_set(Tensor *, int64_t i, double value);
#endif
