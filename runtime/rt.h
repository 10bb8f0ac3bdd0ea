/* rt.h: what every piece of the emitted program shares. runtime/ is the C that ends up in emitted programs: the same text
 * is compiled into bertc's tests by itself, embedded into bertc as bytes, and pasted, only what is used, into the emitted C.
 * Kernels use nothing but this header and libm. In emitted C, all files form one translation unit, so that every function
 * is static and its prefix is its file's. */
#ifndef RT_H
#define RT_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE   /* MAP_ANONYMOUS, syscall() and sched_getaffinity() under -std=c17; must precede every libc header */
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RT_FN     static __attribute__((unused))                        /* not every program uses every function */
#define RT_INLINE static inline __attribute__((always_inline, unused))  /* literal dimensions must reach the loops */
#define RT_UNROLL_4 RT_PRAGMA_UNROLL(4)
#if defined(__clang__)
#define RT_PRAGMA_UNROLL(n) _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__)
#define RT_PRAGMA_UNROLL(n) _Pragma("GCC unroll 4")
#else
#define RT_PRAGMA_UNROLL(n)
#endif

/* Same numbers as Act and Pool in ir/enums.def; the emitter checks. */
enum { RT_ACT_NONE, RT_ACT_GELU, RT_ACT_GELU_TANH, RT_ACT_RELU, RT_ACT_SILU, RT_ACT_TANH, RT_ACT_SIGMOID };
enum { RT_POOL_FIRST, RT_POOL_LAST, RT_POOL_MEAN, RT_POOL_MAX, RT_POOL_MEAN_SQRT, RT_POOL_MEAN_WEIGHTED };

RT_INLINE int rt_min(int a, int b) { return a < b ? a : b; }
RT_INLINE int rt_max(int a, int b) { return a > b ? a : b; }

/* Thread `part` of `parts` takes items [begin, end) of n: sizes differ by one at most. */
RT_INLINE int rt_part(int n, int part, int parts) { return (int)((int64_t)n * part / parts); }
#endif
