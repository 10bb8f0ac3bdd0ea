/* sha256.c: SHA-256 (FIPS 180-4), with the SHA instructions of x86 if the processor has them. Without them,
 * the digest of the weights took a tenth of the time of building a small model. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "codegen.h"
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { BLOCK = 64, LENGTH_AT = BLOCK - 8 };

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t rounds[64] __attribute__((aligned(16))) = {0x428a2f98, 0x71374491, 0xb5c0fbcf,
	0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
	0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
	0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70,
	0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c,
	0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814,
	0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* ---- blocks ---------------------------------------------------------------------------------- */

static uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }

static uint32_t big_endian(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void expand(const uint8_t *block, uint32_t w[64])
{
	for (int t = 0; t < 16; t++)
		w[t] = big_endian(block + 4 * t);
	for (int t = 16; t < 64; t++) {
		const uint32_t a = w[t - 15], b = w[t - 2];
		w[t] = w[t - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[t - 7]
			+ (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
	}
}

static void blocks_plain(uint32_t state[8], const uint8_t *data, size_t count)
{
	for (; count > 0; count--, data += BLOCK) {
		uint32_t w[64], s[8];
		expand(data, w);
		memcpy(s, state, sizeof s);
		for (int t = 0; t < 64; t++) {
			const uint32_t a = s[0], e = s[4];
			const uint32_t one = s[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & s[5]) ^ (~e & s[6]))
				+ rounds[t] + w[t];
			const uint32_t two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22))
				+ ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
			memmove(s + 1, s, 7 * sizeof *s);
			s[4] += one;
			s[0] = one + two;
		}
		for (int i = 0; i < 8; i++)
			state[i] += s[i];
	}
}

#ifdef __x86_64__
#define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

/* The instructions want the state as ABEF and CDGH, highest word first, and do two rounds each. */
SHA_NI static void blocks_sha(uint32_t state[8], const uint8_t *data, size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	const __m128i dcba = _mm_loadu_si128((const __m128i *)state),
				  hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
	const __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1), efgh = _mm_shuffle_epi32(hgfe, 0x1B);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
	for (; count > 0; count--, data += BLOCK) {
		const __m128i abef_before = abef, cdgh_before = cdgh;
		__m128i w[4];
		for (int i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), swap);
		for (int i = 0; i < 16; i++) {
			const __m128i now = w[i % 4];
			const __m128i sum = _mm_add_epi32(now, _mm_load_si128((const __m128i *)(rounds + 4 * i)));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
			/* the words four groups on, in place of those just used */
			const __m128i next = w[(i + 1) % 4], last = w[(i + 3) % 4],
						  seven = _mm_alignr_epi8(last, w[(i + 2) % 4], 4);
			w[i % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, next), seven), last);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	const __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static bool has_sha(void)
{
	unsigned a, b, c, d;
	return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}
#endif

static void blocks(uint32_t state[8], const uint8_t *data, size_t count)
{
#ifdef __x86_64__
	if (has_sha()) {
		blocks_sha(state, data, count);
		return;
	}
#endif
	blocks_plain(state, data, count);
}

/* ---- messages -------------------------------------------------------------------------------- */

typedef struct Sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t rest[BLOCK]; /* bytes % BLOCK of them are waiting */
} Sha256;

static void update(Sha256 *sha, const uint8_t *data, size_t bytes)
{
	const size_t waiting = sha->bytes % BLOCK;
	if (bytes == 0) /* data may be NULL */
		return;
	sha->bytes += bytes;
	if (waiting) {
		const size_t room = BLOCK - waiting, taken = bytes < room ? bytes : room;
		memcpy(sha->rest + waiting, data, taken);
		if (taken < room)
			return;
		blocks(sha->state, sha->rest, 1);
		data += taken;
		bytes -= taken;
	}
	blocks(sha->state, data, bytes / BLOCK);
	memcpy(sha->rest, data + bytes / BLOCK * BLOCK, bytes % BLOCK);
}

/* A one, zeros, and the length in bits, up to the end of a block. */
static void finish(Sha256 *sha)
{
	const uint64_t bits = sha->bytes * 8;
	uint8_t end[BLOCK + 8] = {0x80};
	size_t zeros = (BLOCK + LENGTH_AT - 1 - sha->bytes % BLOCK) % BLOCK;
	for (int i = 0; i < 8; i++)
		end[1 + zeros + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
	update(sha, end, 1 + zeros + 8);
}

void sha256_hex(const void *const *parts, const size_t *bytes, int count, char hex[65])
{
	/* of the square roots of the first eight primes */
	Sha256 sha = {.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
					  0x1f83d9ab, 0x5be0cd19}};
	for (int i = 0; i < count; i++)
		update(&sha, parts[i], bytes[i]);
	finish(&sha);
	for (int i = 0; i < 8; i++)
		snprintf(hex + 8 * i, 9, "%08x", sha.state[i]);
}
