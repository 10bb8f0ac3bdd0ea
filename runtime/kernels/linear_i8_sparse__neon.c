/* linear_i8_sparse__neon.c: linear_i8_sparse__scalar.c with NEON's multiplications of bytes, AArch64 without
 * SDOT and ARMv7, tokens in lanes. A turn of the loop has two quads of an output. Each is multiplied with the
 * same four inputs of 2 rows. SMULL and SMLAL add two products in 16 bits, as in linear_i8__neon.c, and
 * SADALP adds pairs of these to 32-bit sums. So the sum of a row stays in two lanes until the piece ends.
 *
 *   scratch  int8_t x[K/4 rounded up][lanes][4], lanes: 8 or 16; ARMv7: 8;
 *            then as many in the order of inputs */
#if defined(__ARM_NEON)
#include "sparse_rows__neon.h"

#if defined(__aarch64__)
enum { LINEAR_I8_SPARSE_NEON_ROWS = 16 };
#else
enum { LINEAR_I8_SPARSE_NEON_ROWS = 8 };
#endif

/* Loads the sum of each row into the first of its two lanes. */
RT_INLINE void linear_i8_sparse_neon_begin(SparseSums *sum, int32_t start, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 2; v++) sum->i4[v] = vzipq_s32(
		vdupq_n_s32(start), vdupq_n_s32(0))
																		.val[0];
}

RT_INLINE void linear_i8_sparse_neon_resume(SparseSums *sum, const void *from, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 4; v++)
	{
		const int32x4x2_t two = vzipq_s32(vld1q_s32((const int32_t *)from + 4 * v), vdupq_n_s32(0));
		sum->i4[2 * v] = two.val[0];
		sum->i4[2 * v + 1] = two.val[1];
	}
}

RT_INLINE void linear_i8_sparse_neon_end(void *to, const SparseSums *sum, int lanes)
{
	RT_UNROLL_FULL for (int v = 0; v < lanes / 2; v++)
		vst1_s32((int32_t *)to + 2 * v, vpadd_s32(vget_low_s32(sum->i4[v]), vget_high_s32(sum->i4[v])));
}

/* Broadcasts word j of two. Weights may be misaligned, but Clang would assume that a word is aligned to four
 * bytes. */
RT_INLINE int8x8_t linear_i8_sparse_neon_word(uint8x8_t two, int j)
{
	const int32x2_t words = vreinterpret_s32_u8(two);
	return vreinterpret_s8_s32(j == 0 ? vdup_lane_s32(words, 0) : vdup_lane_s32(words, 1));
}

/* sum += eight rows, at x and y, by the two quads of an output, in a fixed order. Compilers would start all
 * products before adding the first, which needs too many registers, or would wait for each product, which is
 * slow on in-order CPUs (Cortex-A53). */
RT_INLINE void linear_i8_sparse_neon_add(
	int32x4_t *sum, const int8_t *x, const int8_t *y, int8x8_t w, int8x8_t v)
{
	int8x16_t a[2], b[2];
	int16x8_t p[4];
	RT_UNROLL_FULL for (int i = 0; i < 2; i++)
	{
		a[i] = vld1q_s8(x + 16 * i);
		b[i] = vld1q_s8(y + 16 * i);
	}
	RT_UNROLL_FULL for (int i = 0; i < 2; i++)
	{
		p[2 * i] = vmull_s8(vget_low_s8(a[i]), w);
		p[2 * i + 1] = vmull_s8(vget_high_s8(a[i]), w);
	}
	__asm__ volatile("" : "+w"(p[0]), "+w"(p[1]), "+w"(p[2]), "+w"(p[3]));
	RT_UNROLL_FULL for (int i = 0; i < 2; i++)
	{
		p[2 * i] = vmlal_s8(p[2 * i], vget_low_s8(b[i]), v);
		p[2 * i + 1] = vmlal_s8(p[2 * i + 1], vget_high_s8(b[i]), v);
	}
	__asm__ volatile("" : "+w"(p[0]), "+w"(p[1]), "+w"(p[2]), "+w"(p[3]));
	RT_UNROLL_FULL for (int i = 0; i < 4; i++) sum[i] = vpadalq_s16(sum[i], p[i]);
	__asm__ volatile("" : "+w"(sum[0]), "+w"(sum[1]), "+w"(sum[2]), "+w"(sum[3]));
}

RT_INLINE void linear_i8_sparse_neon_step(
	SparseSums *sum, SparseSums *own, uint64_t inputs, const uint8_t *words, const void *x, int lanes)
{
	const uint8x8_t these = vld1_u8(words), others = vld1_u8(words + 4 * SPARSE_ROWS_BAND);
	(void)own;
	RT_UNROLL_FULL for (int j = 0; j < 2; j++)
	{
		const int8_t *first = (const int8_t *)x + (size_t)(inputs >> 8 * j & 255) * (size_t)(4 * lanes);
		const int8_t *second = (const int8_t *)x
			+ (size_t)(inputs >> (32 + 8 * j) & 255) * (size_t)(4 * lanes);
		const int8x8_t w = linear_i8_sparse_neon_word(these, j), v = linear_i8_sparse_neon_word(others, j);
		RT_UNROLL_FULL for (int i = 0; i < lanes / 8; i++)
			linear_i8_sparse_neon_add(&sum[j].i4[4 * i], first + 32 * i, second + 32 * i, w, v);
	}
}

#define LINEAR_I8_SPARSE_PIECE(lanes) \
	SPARSE_WALK_PIECE(RT_TARGET_NONE, linear_i8_sparse_neon, lanes, 2, 0, linear_i8_sparse_neon_begin, \
		linear_i8_sparse_neon_resume, linear_i8_sparse_neon_step, linear_i8_sparse_neon_end, NULL)
LINEAR_I8_SPARSE_PIECE(8)
#if defined(__aarch64__)
LINEAR_I8_SPARSE_PIECE(16)
#endif
#undef LINEAR_I8_SPARSE_PIECE
static const SparseKernel linear_i8_sparse_neon = {.inputs = 4,
	.bytes = 4,
	.rows = LINEAR_I8_SPARSE_NEON_ROWS,
	.width = 8,
	.turn = 4,
	.bring = sparse_neon_bring_codes,
	.piece = {
		linear_i8_sparse_neon_piece8,
#if defined(__aarch64__)
		linear_i8_sparse_neon_piece16,
#endif
	}};

#if defined(__aarch64__)
SPARSE_WALK_I8(
	RT_TARGET_NONE, neon64, linear_i8_sparse_neon, sparse_neon_leave_floats, sparse_neon_leave_codes)
#else
SPARSE_WALK_I8(
	RT_TARGET_NONE, neon32, linear_i8_sparse_neon, sparse_neon_leave_floats, sparse_neon_leave_codes)
#endif
#endif
