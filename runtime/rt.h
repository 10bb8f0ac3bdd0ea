/* rt.h: shared by all parts of emitted programs. runtime/ is the C of emitted programs. bertc's tests compile
 * it directly, bertc contains its text, and the emitter pastes the used files into the emitted C. Kernels use
 * only this header and libm. All files become one translation unit, so every function is static and has its
 * file's name as prefix. */
#ifndef RT_H
#define RT_H
#ifndef _GNU_SOURCE
/* MAP_ANONYMOUS, syscall() and sched_getaffinity() under -std=c17; must precede every libc header */
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RT_FN static __attribute__((unused)) /* not every program uses every function */
/* Functions that other files call: bertc compiles the files of a program apart, which hides them. */
#ifdef RT_APART
#define RT_API __attribute__((visibility("hidden")))
#else
#define RT_API RT_FN
#endif
#define RT_INLINE \
	static inline __attribute__((always_inline, unused)) /* literal dimensions must reach the loops */
#define RT_SHARED \
	static __attribute__((noinline, unused)) /* once in a program, however many kernels call it */

/* Attributes that allow a kernel instructions beyond the target's baseline, without -m flags. The names are
 * those of isa.def. */
#if defined(__x86_64__)
#define RT_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define RT_TARGET_AVX512 __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")))
#define RT_TARGET_AVX512VNNI \
	__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define RT_TARGET_AVX512BF16 \
	__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define RT_TARGET_AVXVNNI __attribute__((target("avx2,fma,f16c,avxvnni")))
#endif
#if defined(__aarch64__)
#define RT_TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#define RT_TARGET_I8MM __attribute__((target("arch=armv8.2-a+dotprod+i8mm")))
#endif
#define RT_TARGET_NONE
/* NEON needs no attribute. The kernels of both ARM architectures have the same text and two names. */
#if defined(__aarch64__)
#define RT_NEON(kernel) kernel##__neon64
#elif defined(__ARM_NEON)
#define RT_NEON(kernel) kernel##__neon32
#endif

/* RT_UNROLL_FULL is for loops whose count is a literal after inlining, so that their arrays stay in
 * registers. RT_UNROLL_2 and RT_UNROLL_4 are for loops over a dimension. RT_UNROLL_NONE is for loops where
 * unrolling would only cost registers. */
#if defined(__clang__)
#define RT_UNROLL_FULL _Pragma("clang loop unroll(full)")
#define RT_UNROLL_NONE _Pragma("clang loop unroll(disable)")
#define RT_UNROLL_2 _Pragma("clang loop unroll_count(2)")
#define RT_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__) && defined(__OPTIMIZE__) /* without, GCC 12 may warn of each */
#define RT_UNROLL_FULL _Pragma("GCC unroll 64")
#define RT_UNROLL_NONE _Pragma("GCC unroll 1")
#define RT_UNROLL_2 _Pragma("GCC unroll 2")
#define RT_UNROLL_4 _Pragma("GCC unroll 4")
#else
#define RT_UNROLL_FULL
#define RT_UNROLL_NONE
#define RT_UNROLL_2
#define RT_UNROLL_4
#endif

/* RT_EACH_4(i, n, statements) is RT_UNROLL_FULL for (int i = 0; i < n; i++) with n <= 4, RT_EACH_12 with n
 * <= 12. Clang gets no loops: the linears of AVX-512 would have 300, whose analysis takes a third of the
 * time. */
// clang-format off
#if defined(__clang__)
#define RT_EACH_AT(i, at, n, ...) { enum { i = at }; if (i < (n)) { __VA_ARGS__; } }
#define RT_EACH_FROM(i, at, n, ...) \
	RT_EACH_AT(i, at, n, __VA_ARGS__) RT_EACH_AT(i, at + 1, n, __VA_ARGS__) \
	RT_EACH_AT(i, at + 2, n, __VA_ARGS__) RT_EACH_AT(i, at + 3, n, __VA_ARGS__)
#define RT_EACH_4(i, n, ...) RT_EACH_FROM(i, 0, n, __VA_ARGS__)
#define RT_EACH_12(i, n, ...) \
	RT_EACH_FROM(i, 0, n, __VA_ARGS__) RT_EACH_FROM(i, 4, n, __VA_ARGS__) RT_EACH_FROM(i, 8, n, __VA_ARGS__)
#else
#define RT_EACH_4(i, n, ...) RT_UNROLL_FULL for (int i = 0; i < (n); i++) { __VA_ARGS__; }
#define RT_EACH_12 RT_EACH_4
#endif
// clang-format on

/* Same numbers as Act and Pool in ir/enums.def; the emitter checks. */
enum { RT_ACT_NONE, RT_ACT_GELU, RT_ACT_GELU_TANH, RT_ACT_RELU, RT_ACT_SILU, RT_ACT_TANH, RT_ACT_SIGMOID };
enum {
	RT_POOL_FIRST,
	RT_POOL_LAST,
	RT_POOL_MEAN,
	RT_POOL_MAX,
	RT_POOL_MEAN_SQRT,
	RT_POOL_MEAN_WEIGHTED,
	RT_POOL_SUM
};
/* The op argument of unary_f32 and binary_f32. */
enum {
	RT_UNARY_ERF,
	RT_UNARY_TANH,
	RT_UNARY_RELU,
	RT_UNARY_SIGMOID,
	RT_UNARY_EXP,
	RT_UNARY_SQRT,
	RT_UNARY_LOG1P
};
enum { RT_BINARY_ADD, RT_BINARY_SUB, RT_BINARY_MUL, RT_BINARY_DIV };
/* The stored type of weights and tables. Kernels compute in f32. */
enum { RT_STORED_F32, RT_STORED_F16, RT_STORED_BF16 };

RT_INLINE int rt_min(int a, int b) { return a < b ? a : b; }
RT_INLINE int rt_max(int a, int b) { return a > b ? a : b; }

/* An option that is a number of rows. */
RT_INLINE int rt_count(double option)
{
	if (!(option > 0))
		return 0;
	return option < 1 << 30 ? (int)option : 1 << 30;
}

/* How many of n elements a share selects: the nearest number, at least one if n > 0 (as attrs_kept in
 * ir/ops.c). */
RT_INLINE int rt_share(int n, double share) { return rt_min(n, rt_max(1, (int)((double)n * share + 0.5))); }

/* Thread `part` of `parts` takes items [begin, end) of n: sizes differ by at most one. */
RT_INLINE int rt_part(int n, int part, int parts) { return (int)((int64_t)n * part / parts); }
#endif
