/* text.h: shared by the printer and the parser of .bir, so that they agree. */
#ifndef BERTC_TEXT_H
#define BERTC_TEXT_H
#include "ir/ir.h"

enum {
	INLINE_MAX = 64,       /* in elements; larger constants from passes go to a file beside the text */
	NUMBER_BYTES_MAX = 64, /* longest spelling of one number; %.17g needs 24 */
};

/* words.c. Names of levels: "graph", "fused", "lowered"; NULL: no such level. Then the words of enums.def. */
const char *level_name(Level);
extern const char *const enum_pack_words[PACK_COUNT], *const enum_act_words[ACT_COUNT],
														  *const enum_pool_words[POOL_COUNT];

/* The fields of ArenaPlan, in the order in which arena{...} prints them. */
#define ARENA_FIELDS(FIELD) \
	FIELD(per_token) \
	FIELD(per_text) FIELD(per_pair) FIELD(per_thread_token) FIELD(per_thread) FIELD(per_block) FIELD(fixed)

/* A number in the text. d is always set; i, with all 64 bits, only if the number is spelled as an integer. */
typedef struct Number {
	bool is_int;
	int64_t i;
	double d;
} Number;

/* Writes element i of an array of the type, rounding to nearest even. False: an integer type that cannot hold
 * it. */
bool element_store(void *data, DType, int64_t i, Number);
/* The shortest text that the parser and element_store turn back into element i. Small whole numbers are
 * written without exponent. */
void element_text(const void *data, DType, int64_t i, char text[NUMBER_BYTES_MAX]);
/* The shortest of %.15g, %.16g and %.17g that reads back exactly. */
void real_text(double, char text[NUMBER_BYTES_MAX]);

/* Number i, in [-1, 1), of the sequence `rand(seed)`: IR.md, Random constants. */
double random_at(uint64_t seed, uint64_t i);

/* Whether the name can be written without quotes: after % or @, or (name_is_word) as a word. */
bool name_is_value(const char *name);
bool name_is_symbol(const char *name);
bool name_is_word(const char *name);
/* A plain file name: not empty, no '/', not "." or "..", no control bytes. */
bool name_is_file(const char *name);

/* Whether only this module's text or memory holds the constant's data. */
bool tensor_is_loose(const Tensor *);

/* The name of a loose tensor in the new file of module_write. */
typedef struct Placed {
	const Tensor *tensor;
	const char *name;
} Placed;
typedef struct PrintPlan {
	const PrintOptions *options;
	const char *file; /* plain name of the new file, or NULL: print loose constants inline */
	Placed *placed;   /* sorted by tensor */
	int32_t nplaced;
} PrintPlan;
/* The tensor's name in the new file; NULL: it is not there. */
const char *plan_name(const PrintPlan *, const Tensor *);
void module_print_plan(const Module *, FILE *, const PrintPlan *);
/* The plain names of all files of constants, in order, without duplicates. The array is in mem; the names are
 * borrowed. */
const char **module_weights(const Module *, MemArena *mem, int32_t *count);
#endif
