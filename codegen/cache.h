/* cache.h: a cache of compiled pieces, in a directory of the user. The key is a digest of everything that a
 * piece is made from. The cache causes no errors: a directory that cannot be made, or an entry that is
 * damaged or too old, counts as empty. Processes may share a directory. Internal to codegen/. */
#ifndef BERTC_CACHE_H
#define BERTC_CACHE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CACHE_KEY = 65 };          /* hex digits and a NUL */
enum { CACHE_BYTES = 256 << 20 }; /* of all entries; the least recently used go */
enum { CACHE_DIGEST = 32, CACHE_HEADERS_MAX = 1024 };

typedef struct CacheHeader CacheHeader;
typedef struct Cache {
	int directory;       /* -1: none */
	int64_t limit;       /* bytes */
	bool added;          /* something was kept */
	const char *shipped; /* entries that are part of bertc: as cache_write writes them; or NULL */
	size_t shipped_bytes;
	CacheHeader *headers; /* digests of headers that were looked at */
	size_t nheaders, capacity;
	size_t last; /* the header that was asked for last */
} Cache;

/* What a key stands for: an object, and the headers that were read for it. */
typedef struct CacheEntry {
	const char *object, *headers; /* headers: paths, each ended by a NUL */
	size_t object_bytes, headers_bytes;
	char *memory; /* malloc'd; owns both of an entry from a file, else NULL */
} CacheEntry;

/* The digest of the parts; each counts with its length. */
void cache_key(const void *const *parts, const size_t *bytes, int count, char key[CACHE_KEY]);
/* The user's directory, made if it is not there: $BERTC_CACHE, else bertc/objects in $XDG_CACHE_HOME or
 * ~/.cache. NULL: none is wanted ($BERTC_CACHE is empty) or known. malloc'd. */
char *cache_directory(void);
/* directory NULL: a cache in which nothing is found or kept. */
void cache_open(Cache *, const char *directory, int64_t limit);
/* An entry whose headers are what they were. */
bool cache_get(Cache *, const char key[CACHE_KEY], CacheEntry *);
void cache_put(Cache *, const char key[CACHE_KEY], const CacheEntry *);
/* The entry, its length before it. False: a header cannot be read, or the file written. */
bool cache_write(Cache *, const char key[CACHE_KEY], const CacheEntry *, FILE *);
/* Removes the oldest entries where the limit is passed. */
void cache_close(Cache *);
#endif
