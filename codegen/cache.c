/* cache.c: each entry is a file, named by its key:
 *
 *   magic    "bertc object 1\n"
 *   digest   of all that follows
 *   key
 *   headers_bytes, count, object_bytes      uint64, little-endian
 *   headers                                 paths of the headers that were read, each ended by a NUL
 *   digests                                 of their contents, `count` of them
 *   object
 *
 * A file does not count as an entry if it is truncated or damaged, belongs to another user, or was made with
 * other headers. Digests are BLAKE3. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <llvm-c/blake3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache.h"
#include "ir/memory.h"

static const char MAGIC[16] = "bertc object 1\n";
enum { HEAD = sizeof MAGIC + CACHE_DIGEST, SIZES = 3, BODY = CACHE_KEY - 1 + SIZES * 8 };
enum { ENTRY_BYTES_MAX = 64 << 20, HEADER_BYTES_MAX = 16 << 20, NAME_BYTES = 128 };

struct CacheHeader {
	char *path;
	bool readable;
	uint8_t digest[CACHE_DIGEST];
};

/* ---- digests --------------------------------------------------------------------------------- */

static void digest_of(const void *data, size_t bytes, uint8_t digest[CACHE_DIGEST])
{
	llvm_blake3_hasher hasher;
	llvm_blake3_hasher_init(&hasher);
	llvm_blake3_hasher_update(&hasher, data, bytes);
	llvm_blake3_hasher_finalize(&hasher, digest, CACHE_DIGEST);
}

void cache_key(const void *const *parts, const size_t *bytes, int count, char key[CACHE_KEY])
{
	llvm_blake3_hasher hasher;
	uint8_t digest[CACHE_DIGEST];
	llvm_blake3_hasher_init(&hasher);
	for (int i = 0; i < count; i++) {
		const uint64_t length = bytes[i];
		llvm_blake3_hasher_update(&hasher, &length, sizeof length);
		llvm_blake3_hasher_update(&hasher, parts[i], bytes[i]);
	}
	llvm_blake3_hasher_finalize(&hasher, digest, sizeof digest);
	for (int i = 0; i < CACHE_DIGEST; i++)
		snprintf(key + 2 * i, 3, "%02x", digest[i]);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A regular file of at most `limit` bytes; malloc'd. NULL where it is none. own: another user's is none. */
static char *read_regular(int directory, const char *name, size_t limit, bool own, size_t *bytes)
{
	struct stat st;
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (own ? O_NOFOLLOW : 0);
	int in = openat(directory, name, flags);
	if (in < 0)
		return NULL;
	bool good = fstat(in, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= limit
		&& (!own || st.st_uid == geteuid());
	char *data = good ? checked_malloc((size_t)st.st_size + 1) : NULL;
	size_t at = 0;
	for (ssize_t got = 1; data && got > 0 && at < (size_t)st.st_size; at += got > 0 ? (size_t)got : 0)
		got = read(in, data + at, (size_t)st.st_size - at);
	if (own && data)
		(void)!futimens(in, (const struct timespec[2]){{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}});
	close(in);
	if (data && at == (size_t)st.st_size) {
		*bytes = at;
		return data;
	}
	free(data);
	return NULL;
}

static bool write_all(int out, const void *data, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t wrote = write(out, (const char *)data + at, bytes - at);
		if (wrote <= 0)
			return false;
		at += (size_t)wrote;
	}
	return true;
}

/* ---- headers --------------------------------------------------------------------------------- */

/* The header's digest now, read once. Entries name 280 headers in the same order, so the search begins after
 * the last header that was found. */
static const CacheHeader *header_now(Cache *cache, const char *path)
{
	for (size_t i = 0; i < cache->nheaders; i++) {
		const size_t at = (cache->last + 1 + i) % cache->nheaders;
		if (strcmp(cache->headers[at].path, path) == 0) {
			cache->last = at;
			return &cache->headers[at];
		}
	}
	cache->last = cache->nheaders;
	cache->headers = checked_grow(
		cache->headers, &cache->capacity, cache->nheaders + 1, sizeof *cache->headers);
	CacheHeader *header = &cache->headers[cache->nheaders++];
	*header = (CacheHeader){.path = checked_strdup(path)};
	size_t bytes;
	char *text = read_regular(AT_FDCWD, path, HEADER_BYTES_MAX, false, &bytes);
	header->readable = text != NULL;
	if (text)
		digest_of(text, bytes, header->digest);
	free(text);
	return header;
}

/* How many paths the list holds; -1: it is none. */
static int64_t headers_count(const char *headers, size_t bytes)
{
	int64_t count = 0;
	if (bytes && headers[bytes - 1])
		return -1;
	for (size_t at = 0; at < bytes; at += strlen(headers + at) + 1)
		count++;
	return count <= CACHE_HEADERS_MAX ? count : -1;
}

static bool headers_same(Cache *cache, const char *headers, size_t bytes, const char *digests)
{
	for (size_t at = 0; at < bytes; at += strlen(headers + at) + 1, digests += CACHE_DIGEST) {
		const CacheHeader *now = header_now(cache, headers + at);
		if (!now->readable || memcmp(now->digest, digests, CACHE_DIGEST) != 0)
			return false;
	}
	return true;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Whether the bytes are the entry of the key; then *entry points into them. */
static bool entry_parse(Cache *cache, const char *key, const char *data, size_t bytes, CacheEntry *entry)
{
	uint8_t digest[CACHE_DIGEST];
	uint64_t size[SIZES];
	if (bytes < HEAD + BODY || memcmp(data, MAGIC, sizeof MAGIC) != 0)
		return false;
	digest_of(data + HEAD, bytes - HEAD, digest);
	if (memcmp(digest, data + sizeof MAGIC, sizeof digest) != 0
		|| memcmp(data + HEAD, key, CACHE_KEY - 1) != 0)
		return false;
	memcpy(size, data + HEAD + CACHE_KEY - 1, sizeof size);
	const uint64_t left = bytes - HEAD - BODY;
	if (size[0] > left || size[1] > CACHE_HEADERS_MAX || size[2] > left
		|| size[0] + size[1] * CACHE_DIGEST + size[2] != left)
		return false;
	const char *headers = data + HEAD + BODY, *digests = headers + size[0];
	if (headers_count(headers, size[0]) != (int64_t)size[1]
		|| !headers_same(cache, headers, size[0], digests))
		return false;
	*entry = (CacheEntry){.headers = headers,
		.headers_bytes = size[0],
		.object = digests + size[1] * CACHE_DIGEST,
		.object_bytes = size[2]};
	return true;
}

/* Among the entries that are part of bertc. */
static bool find_shipped(Cache *cache, const char *key, CacheEntry *entry)
{
	uint64_t bytes;
	for (size_t at = 0; at + sizeof bytes <= cache->shipped_bytes; at += sizeof bytes + bytes) {
		memcpy(&bytes, cache->shipped + at, sizeof bytes);
		const char *data = cache->shipped + at + sizeof bytes;
		if (memcmp(data + HEAD, key, CACHE_KEY - 1) == 0)
			return entry_parse(cache, key, data, bytes, entry);
	}
	return false;
}

bool cache_get(Cache *cache, const char key[CACHE_KEY], CacheEntry *entry)
{
	size_t bytes;
	if (find_shipped(cache, key, entry)) {
		entry->memory = NULL;
		return true;
	}
	if (cache->directory < 0)
		return false;
	char *data = read_regular(cache->directory, key, ENTRY_BYTES_MAX, true, &bytes);
	if (data && entry_parse(cache, key, data, bytes, entry)) {
		entry->memory = data;
		return true;
	}
	free(data);
	return false;
}

/* malloc'd; NULL: a header cannot be read. */
static char *entry_text(Cache *cache, const char *key, const CacheEntry *entry, size_t *bytes)
{
	const int64_t count = headers_count(entry->headers, entry->headers_bytes);
	if (count < 0)
		return NULL;
	const uint64_t size[SIZES] = {entry->headers_bytes, (uint64_t)count, entry->object_bytes};
	*bytes = HEAD + BODY + size[0] + size[1] * CACHE_DIGEST + size[2];
	char *data = checked_malloc(*bytes);
	char *at = data + HEAD;
	at = mempcpy(at, key, CACHE_KEY - 1);
	at = mempcpy(at, size, sizeof size);
	at = mempcpy(at, entry->headers, size[0]);
	for (size_t i = 0; i < size[0]; i += strlen(entry->headers + i) + 1) {
		const CacheHeader *now = header_now(cache, entry->headers + i);
		if (!now->readable) {
			free(data);
			return NULL;
		}
		at = mempcpy(at, now->digest, CACHE_DIGEST);
	}
	memcpy(at, entry->object, size[2]);
	memcpy(data, MAGIC, sizeof MAGIC);
	digest_of(data + HEAD, *bytes - HEAD, (uint8_t *)data + sizeof MAGIC);
	return data;
}

void cache_put(Cache *cache, const char key[CACHE_KEY], const CacheEntry *entry)
{
	char name[NAME_BYTES];
	uint64_t random = 0;
	size_t bytes;
	if (cache->directory < 0)
		return;
	char *data = entry_text(cache, key, entry, &bytes);
	(void)!getrandom(&random, sizeof random, 0);
	snprintf(name, sizeof name, "%s.%ld-%llx", key, (long)getpid(), (unsigned long long)random);
	int out = data ? openat(cache->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	if (out >= 0) {
		bool good = write_all(out, data, bytes);
		good = close(out) == 0 && good;
		good = good && renameat(cache->directory, name, cache->directory, key) == 0;
		if (!good)
			unlinkat(cache->directory, name, 0);
		cache->added |= good;
	}
	free(data);
}

bool cache_write(Cache *cache, const char key[CACHE_KEY], const CacheEntry *entry, FILE *out)
{
	size_t bytes;
	char *data = entry_text(cache, key, entry, &bytes);
	const uint64_t length = bytes;
	bool good = data && fwrite(&length, sizeof length, 1, out) == 1 && fwrite(data, 1, bytes, out) == bytes;
	free(data);
	return good;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* Makes the directory and those above it, for this user alone. */
static bool make_directories(char *path)
{
	for (char *at = path + 1;; at++) {
		if (*at != '/' && *at)
			continue;
		char cut = *at;
		*at = '\0';
		bool good = mkdir(path, 0700) == 0 || errno == EEXIST;
		*at = cut;
		if (!good || !cut)
			return good;
	}
}

char *cache_directory(void)
{
	const char *own = getenv("BERTC_CACHE"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (own)
		return *own ? checked_strdup(own) : NULL;
	if (base && *base == '/')
		return checked_printf("%s/bertc/objects", base);
	return home && *home == '/' ? checked_printf("%s/.cache/bertc/objects", home) : NULL;
}

void cache_open(Cache *cache, const char *directory, int64_t limit)
{
	*cache = (Cache){.directory = -1, .limit = limit};
	char *path = directory && *directory ? checked_strdup(directory) : NULL;
	if (path && make_directories(path))
		cache->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(path);
}

typedef struct OldFile {
	char name[NAME_BYTES];
	struct timespec used;
	int64_t bytes;
} OldFile;

static int by_use(const void *a, const void *b)
{
	const OldFile *x = a, *y = b;
	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

/* All regular files of the directory, temporary ones that were left behind among them. */
static OldFile *list_files(int directory, size_t *count, int64_t *bytes)
{
	OldFile *files = NULL;
	size_t capacity = 0;
	int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = again >= 0 ? fdopendir(again) : NULL;
	for (struct dirent *entry; list && (entry = readdir(list));) {
		struct stat st;
		if (strlen(entry->d_name) >= NAME_BYTES
			|| fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
			continue;
		files = checked_grow(files, &capacity, *count + 1, sizeof *files);
		OldFile *file = &files[(*count)++];
		strcpy(file->name, entry->d_name);
		file->used = st.st_mtim;
		file->bytes = (int64_t)st.st_blocks * 512;
		*bytes += file->bytes;
	}
	if (list)
		closedir(list);
	else if (again >= 0)
		close(again);
	return files;
}

/* Down to three quarters of the limit, so that not every build has to. */
static void evict(const Cache *cache)
{
	size_t count = 0;
	int64_t bytes = 0;
	OldFile *files = list_files(cache->directory, &count, &bytes);
	if (bytes > cache->limit) {
		qsort(files, count, sizeof *files, by_use);
		for (size_t i = 0; i < count && bytes > cache->limit / 4 * 3; i++) {
			unlinkat(cache->directory, files[i].name, 0);
			bytes -= files[i].bytes;
		}
	}
	free(files);
}

void cache_close(Cache *cache)
{
	if (cache->added)
		evict(cache);
	if (cache->directory >= 0)
		close(cache->directory);
	for (size_t i = 0; i < cache->nheaders; i++)
		free(cache->headers[i].path);
	free(cache->headers);
	*cache = (Cache){.directory = -1};
}
