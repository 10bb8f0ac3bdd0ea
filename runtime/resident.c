/* resident.c: loads the weights into memory before the first text. They are mapped from the program's file
 * and shared by processes, so the first text pays for loading them. A server may prefer to pay at its start.
 * These are options of rt_set. */
#include "api.h"
#include <sys/mman.h>
#include <unistd.h>

/* The pages that hold the weights. */
RT_FN void resident_range(const RtModel *m, uintptr_t *begin, size_t *bytes)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)m->weights + m->weights_bytes;
	*begin = (uintptr_t)m->weights & ~(page - 1);
	*bytes = (end - *begin + page - 1) & ~(page - 1);
}

/* Maps every page, reading from the file what is not in memory. */
RT_API int rt_prefault(const RtModel *m)
{
	enum { POPULATE_READ = 22 }; /* MADV_POPULATE_READ, Linux 5.14 */
	uintptr_t begin;
	size_t bytes;
	resident_range(m, &begin, &bytes);
	if (madvise((void *)begin, bytes, POPULATE_READ) == 0)
		return RT_OK;
	unsigned sum = 0;
	for (size_t at = 0; at < m->weights_bytes; at += 4096)
		sum += ((const volatile unsigned char *)m->weights)[at];
	(void)sum;
	return RT_OK;
}

/* Moves the weights into memory of this process alone, in pages of 2 MB where the system has them: for
 * programs whose file lies in memory in small pieces. The copy takes the place of the mapping, so no other
 * thread may run the model meanwhile. */
RT_API int rt_huge_pages(const RtModel *m)
{
	const uintptr_t huge = 2 << 20;
	uintptr_t begin;
	size_t bytes;
	resident_range(m, &begin, &bytes);
	if (m->weights_bytes == 0)
		return RT_OK;
	const size_t room = bytes + 2 * huge;
	char *memory = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return RT_E_CAPACITY;
	/* the same offset from a multiple of 2 MB as the weights, so that mremap keeps large pages */
	char *copy = memory + ((begin - (uintptr_t)memory) & (huge - 1));
	madvise(memory, room, MADV_HUGEPAGE); /* only advice; the copy is correct without it */
	memcpy(copy, (const void *)begin, bytes);
	if (mprotect(copy, bytes, PROT_READ) == 0
		&& mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)begin) == (void *)begin) {
		if (copy > memory)
			munmap(memory, (size_t)(copy - memory));
		munmap(copy + bytes, room - bytes - (size_t)(copy - memory));
		return RT_OK;
	}
	munmap(memory, room);
	return RT_E_CAPACITY;
}
