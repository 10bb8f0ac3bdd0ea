/* kernel_rows.h: all kernels that this architecture compiles, and the rows of kernels.def that this CPU can
 * run. Part of kernel_checks.h. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "ir/ir.h"
#include "runtime/cpu.c"
#include "runtime/kernels/linear__scalar.c"
#include "runtime/kernels/linear__avx2.c"
#include "runtime/kernels/linear__avx512.c"
#include "runtime/kernels/linear__neon.c"
#include "runtime/kernels/attention__scalar.c"
#include "runtime/kernels/attention__avx2.c"
#include "runtime/kernels/attention__avx512.c"
#include "runtime/kernels/attention_bf16__avx512bf16.c"
#include "runtime/kernels/attention__neon.c"
#include "runtime/kernels/layernorm__scalar.c"
#include "runtime/kernels/layernorm__avx2.c"
#include "runtime/kernels/layernorm__avx512.c"
#include "runtime/kernels/layernorm__neon.c"
#include "runtime/kernels/activation__scalar.c"
#include "runtime/kernels/activation__avx2.c"
#include "runtime/kernels/activation__avx512.c"
#include "runtime/kernels/activation__neon.c"
#include "runtime/kernels/softmax__scalar.c"
#include "runtime/kernels/softmax__avx2.c"
#include "runtime/kernels/softmax__avx512.c"
#include "runtime/kernels/softmax__neon.c"
#include "runtime/kernels/softmax_select__scalar.c"
#include "runtime/kernels/by_distance__scalar.c"
#include "runtime/kernels/thin__scalar.c"
#include "runtime/kernels/embed__scalar.c"
#include "runtime/kernels/positions__scalar.c"
#include "runtime/kernels/rows__scalar.c"
#include "runtime/kernels/rmsnorm__scalar.c"
#include "runtime/kernels/rotary__scalar.c"
#include "runtime/kernels/tensor__scalar.c"
#include "runtime/kernels/convolve__scalar.c"
#include "runtime/kernels/bag__scalar.c"
#include "runtime/kernels/fourier__scalar.c"
#include "runtime/kernels/recurrent__scalar.c"
#include "runtime/kernels/recurrent__avx2.c"
#include "runtime/kernels/recurrent__avx512.c"
#include "runtime/kernels/recurrent__neon.c"
#include "runtime/kernels/exit__scalar.c"
#include "runtime/kernels/quantize__scalar.c"
#include "runtime/kernels/quantize__avx2.c"
#include "runtime/kernels/quantize__avx512.c"
#include "runtime/kernels/quantize__neon.c"
#include "runtime/kernels/linear_i8__scalar.c"
#include "runtime/kernels/linear_i8__avx2.c"
#include "runtime/kernels/linear_i8__avxvnni.c"
#include "runtime/kernels/linear_i8__avx512.c"
#include "runtime/kernels/linear_i8__avx512vnni.c"
#include "runtime/kernels/linear_i8_sparse__scalar.c"
#include "runtime/kernels/linear_i8_sparse__avx2.c"
#include "runtime/kernels/linear_i8_sparse__avxvnni.c"
#include "runtime/kernels/linear_i8_sparse__avx512.c"
#include "runtime/kernels/linear_i8_sparse__avx512vnni.c"
#include "runtime/kernels/linear_sparse__scalar.c"
#include "runtime/kernels/linear_sparse__avx2.c"
#include "runtime/kernels/linear_sparse__avx512.c"
#include "runtime/kernels/linear_i8__neon.c"
#include "runtime/kernels/linear_i8__dotprod.c"
#include "runtime/kernels/linear_i8__i8mm.c"
#include "runtime/kernels/linear_i8_sparse__neon.c"
#include "runtime/kernels/linear_i8_sparse__dotprod.c"
#include "runtime/kernels/linear_sparse__neon.c"
#include "runtime/kernels/linear_dotbf16__scalar.c"
#include "runtime/kernels/linear_dotbf16__avx2.c"
#include "runtime/kernels/linear_dotbf16__avx512bf16.c"
#include "runtime/kernels/linear_dotbf16__neon.c"

/* ---- the table, as far as this architecture compiles it -------------------------------------- */
typedef void AnyFn(void);
enum {
#define VARIANT(NAME, bit, ...) KERNEL_##NAME = 1 << bit,
#include "runtime/kernels.def"
};
typedef struct Row {
	Op op;
	int dtype;
	const char *name;
	AnyFn *fn;
	unsigned needs;
	const char *file;
	int variant;
	bool alternative;
	int panel, group, scratch_per_token, scratch, staged, relative;
	struct {
		int rows, vectors;
	} tile;
	struct {
		int one, tokens, percent;
	} pays;
} Row;

enum Isa {
#define ISA(NAME, bit, target, brief, text) ISA_##NAME = 1 << bit,
#include "runtime/isa.def"
#undef ISA
};
enum {
	RT_STORED_I8 = 100
}; /* no kernel asks for it: codes are the only form of weights that linear_i8 has */

#if defined(__x86_64__)
/* The AVX-VNNI kernels again, with AVX2 instructions in place of VPDPBUSD in VEX form, which most CPUs that
 * run these tests do not have. */
RT_INLINE RT_TARGET_AVX2 __m256i emulated_dpbusd(__m256i sums, __m256i a, __m256i w)
{
	for (int half = 0; half < 2; half++) {
		const __m256i low = _mm256_set1_epi16(0xff);
		const __m256i a16 = half ? _mm256_srli_epi16(a, 8) : _mm256_and_si256(a, low);
		const __m256i w16 = half ? _mm256_srai_epi16(w, 8) : _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
		sums = _mm256_add_epi32(sums, _mm256_madd_epi16(a16, w16));
	}
	return sums;
}
#pragma push_macro("RT_TARGET_AVXVNNI")
#undef RT_TARGET_AVXVNNI
#define RT_TARGET_AVXVNNI RT_TARGET_AVX2
#define _mm256_dpbusd_avx_epi32 emulated_dpbusd
#define linear_i8_avxvnni_bring linear_i8_emulated_bring
#define linear_i8_avxvnni_tile linear_i8_emulated_tile
#define linear_i8_avxvnni linear_i8_emulated
#define linear_i8__avxvnni linear_i8__emulated
#define linear_i8_codes__avxvnni linear_i8_codes__emulated
#define linear_i8_sparse_avxvnni_put linear_i8_sparse_emulated_put
#define linear_i8_sparse_avxvnni_bring linear_i8_sparse_emulated_bring
#define linear_i8_sparse_avxvnni_add linear_i8_sparse_emulated_add
#define linear_i8_sparse_avxvnni_step linear_i8_sparse_emulated_step
#define linear_i8_sparse_avxvnni_piece8 linear_i8_sparse_emulated_piece8
#define linear_i8_sparse_avxvnni_piece16 linear_i8_sparse_emulated_piece16
#define linear_i8_sparse_avxvnni_piece24 linear_i8_sparse_emulated_piece24
#define linear_i8_sparse_avxvnni_piece32 linear_i8_sparse_emulated_piece32
#define linear_i8_sparse_avxvnni linear_i8_sparse_emulated
#define linear_i8_sparse__avxvnni linear_i8_sparse__emulated
#define linear_i8_sparse_codes__avxvnni linear_i8_sparse_codes__emulated
#include "runtime/kernels/linear_i8__avxvnni.c"
#include "runtime/kernels/linear_i8_sparse__avxvnni.c"
#undef linear_i8_sparse_avxvnni_put
#undef linear_i8_sparse_avxvnni_bring
#undef linear_i8_sparse_avxvnni_add
#undef linear_i8_sparse_avxvnni_step
#undef linear_i8_sparse_avxvnni_piece8
#undef linear_i8_sparse_avxvnni_piece16
#undef linear_i8_sparse_avxvnni_piece24
#undef linear_i8_sparse_avxvnni_piece32
#undef linear_i8_sparse_avxvnni
#undef linear_i8_sparse__avxvnni
#undef linear_i8_sparse_codes__avxvnni
#undef _mm256_dpbusd_avx_epi32
#undef linear_i8_avxvnni_bring
#undef linear_i8_avxvnni_tile
#undef linear_i8_avxvnni
#undef linear_i8__avxvnni
#undef linear_i8_codes__avxvnni
#pragma pop_macro("RT_TARGET_AVXVNNI")
#endif

#define ROW(OP, DTYPE, function, isa, ...) \
	add_row((Row){.op = OP_##OP, \
		.dtype = RT_STORED_##DTYPE, \
		.name = #function, \
		.fn = (AnyFn *)function, \
		.needs = isa, \
		.file = __VA_ARGS__});
#define NO_ROW(...)
#if defined(__x86_64__)
#define ROW_X86 ROW
#else
#define ROW_X86 NO_ROW
#endif
#if defined(__aarch64__)
#define ROW_ARM64 ROW
#else
#define ROW_ARM64 NO_ROW
#endif
#if defined(__arm__) && defined(__ARM_NEON)
#define ROW_ARM32 ROW
#else
#define ROW_ARM32 NO_ROW
#endif
#define ROW_0 ROW
#define ROW_ISA_AVX2 ROW_X86
#define ROW_ISA_AVXVNNI ROW_X86
#define ROW_ISA_AVX512 ROW_X86
#define ROW_ISA_AVX512VNNI ROW_X86
#define ROW_ISA_AVX512BF16 ROW_X86
#define ROW_ISA_NEON64 ROW_ARM64
#define ROW_ISA_DOTPROD ROW_ARM64
#define ROW_ISA_I8MM ROW_ARM64
#define ROW_ISA_NEON32 ROW_ARM32

static Row rows[250];
static int nrows, failures, checks;

static void add_row(Row row)
{
	if (nrows < (int)(sizeof rows / sizeof *rows) && !rt_cpu_missing(row.needs))
		rows[nrows++] = row;
}

static void load_rows(void)
{
	nrows = 0;
#define KERNEL(OP, DTYPE, function, needs, ...) ROW_##needs(OP, DTYPE, function, needs, __VA_ARGS__)
#include "runtime/kernels.def"
#if defined(__x86_64__)
	ROW(LINEAR_I8, I8, linear_i8__emulated, ISA_AVX2, "", .panel = 16, .group = 4, .staged = 48)
	ROW(LINEAR_I8_CODES, I8, linear_i8_codes__emulated, ISA_AVX2, "", .panel = 16, .group = 4, .staged = 48)
	ROW(LINEAR_I8, I8, linear_i8_sparse__emulated, ISA_AVX2, "", .variant = KERNEL_SPARSE, .panel = 64,
		.group = 4, .staged = 64)
	ROW(LINEAR_I8_CODES, I8, linear_i8_sparse_codes__emulated, ISA_AVX2, "", .variant = KERNEL_SPARSE,
		.panel = 64, .group = 4, .staged = 64)
#endif
}

/* Whether the row computes this form of the op. */
static bool row_is(const Row *row, Op op, int variant) { return row->op == op && row->variant == variant; }

static bool row_is_sparse(const Row *row) { return row->variant & KERNEL_SPARSE; }
