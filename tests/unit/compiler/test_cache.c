/* test_cache.c: the cache of compiled code with damaged files: an entry that is not complete and correct is
 * not used. */
#include "tests/unit/suite.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "codegen/cache.h"

static char directory[] = "/tmp/test_cache-XXXXXX";
static char header[sizeof directory + 16], objects[sizeof directory + 16];

static void write_file(const char *path, const void *data, size_t bytes)
{
	FILE *out = fopen(path, "wb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(fwrite(data, 1, bytes, out), bytes);
	CU_ASSERT_EQUAL(fclose(out), 0);
}

static void key_of(int i, char key[CACHE_KEY])
{
	cache_key((const void *const[]){&i}, (const size_t[]){sizeof i}, 1, key);
}

static const char *path_of(const char *key)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", objects, key);
	return path;
}

static void put(int i, const char *object, size_t bytes, int64_t limit)
{
	char key[CACHE_KEY];
	char paths[64];
	Cache cache;
	key_of(i, key);
	const size_t length = (size_t)snprintf(paths, sizeof paths, "%s", header) + 1;
	CacheEntry entry = {(char *)(uintptr_t)object, paths, bytes, length, NULL};
	cache_open(&cache, objects, limit);
	cache_put(&cache, key, &entry);
	cache_close(&cache);
}

/* True if the entry exists. It must then be this object. */
static bool has(int i, const char *object, size_t bytes)
{
	char key[CACHE_KEY];
	Cache cache;
	CacheEntry entry;
	key_of(i, key);
	cache_open(&cache, objects, CACHE_BYTES);
	const bool found = cache_get(&cache, key, &entry);
	if (found) {
		CU_ASSERT_EQUAL(entry.object_bytes, bytes);
		CU_ASSERT_EQUAL(memcmp(entry.object, object, bytes), 0);
		free(entry.memory);
	}
	cache_close(&cache);
	return found;
}

static void test_keys(void)
{
	char a[CACHE_KEY], b[CACHE_KEY];
	cache_key((const void *const[]){"ab", "c"}, (const size_t[]){2, 1}, 2, a);
	cache_key((const void *const[]){"a", "bc"}, (const size_t[]){1, 2}, 2, b);
	CU_ASSERT_STRING_NOT_EQUAL(a, b); /* the boundaries of parts belong to the key */
	CU_ASSERT_EQUAL(strlen(a), CACHE_KEY - 1);
}

static void test_kept(void)
{
	put(1, "object", 6, CACHE_BYTES);
	CU_ASSERT_TRUE(has(1, "object", 6));
	CU_ASSERT_FALSE(has(2, "object", 6));
	put(1, "another", 7, CACHE_BYTES);
	CU_ASSERT_TRUE(has(1, "another", 7));
	put(3, "", 0, CACHE_BYTES);
	CU_ASSERT_TRUE(has(3, "", 0));
}

/* Any changed byte, any truncation, any extra bytes. */
static void test_damaged(void)
{
	char key[CACHE_KEY], data[1024];
	key_of(4, key);
	put(4, "object", 6, CACHE_BYTES);
	FILE *in = fopen(path_of(key), "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	const size_t bytes = fread(data, 1, sizeof data, in);
	fclose(in);
	CU_ASSERT_FATAL(bytes > 0 && bytes < sizeof data);
	for (size_t i = 0; i < bytes; i++) {
		data[i] ^= 1;
		write_file(path_of(key), data, bytes);
		CU_ASSERT_FALSE(has(4, "object", 6));
		data[i] ^= 1;
	}
	for (size_t length = 0; length < bytes; length++) {
		write_file(path_of(key), data, length);
		CU_ASSERT_FALSE(has(4, "object", 6));
	}
	data[bytes] = 0;
	write_file(path_of(key), data, bytes + 1);
	CU_ASSERT_FALSE(has(4, "object", 6));
	write_file(path_of(key), data, bytes);
	CU_ASSERT_TRUE(has(4, "object", 6));
	key_of(5, key); /* an entry with the name of another */
	write_file(path_of(key), data, bytes);
	CU_ASSERT_FALSE(has(5, "object", 6));
}

/* Anything but a regular file is not an entry. Nothing waits for it. */
static void test_no_files(void)
{
	char key[CACHE_KEY], other[256];
	put(6, "object", 6, CACHE_BYTES);
	key_of(6, key);
	snprintf(other, sizeof other, "%s/entry", directory);
	CU_ASSERT_EQUAL(rename(path_of(key), other), 0);
	CU_ASSERT_EQUAL(symlink(other, path_of(key)), 0);
	CU_ASSERT_FALSE(has(6, "object", 6));
	CU_ASSERT_EQUAL(unlink(path_of(key)), 0);
	CU_ASSERT_EQUAL(mkfifo(path_of(key), 0600), 0);
	CU_ASSERT_FALSE(has(6, "object", 6));
	CU_ASSERT_EQUAL(unlink(path_of(key)), 0);
	CU_ASSERT_EQUAL(mkdir(path_of(key), 0700), 0);
	CU_ASSERT_FALSE(has(6, "object", 6));
	put(6, "object", 6, CACHE_BYTES);
	CU_ASSERT_EQUAL(rmdir(path_of(key)), 0);
	put(6, "object", 6, CACHE_BYTES);
	CU_ASSERT_TRUE(has(6, "object", 6));
}

/* An object is used only if its headers have not changed. */
static void test_headers(void)
{
	put(7, "object", 6, CACHE_BYTES);
	CU_ASSERT_TRUE(has(7, "object", 6));
	write_file(header, "int x;", 6);
	CU_ASSERT_FALSE(has(7, "object", 6));
	CU_ASSERT_EQUAL(unlink(header), 0);
	CU_ASSERT_FALSE(has(7, "object", 6));
	put(8, "object", 6, CACHE_BYTES); /* a header that cannot be read: the object is not kept */
	write_file(header, "", 0);
	CU_ASSERT_FALSE(has(8, "object", 6));
	CU_ASSERT_FALSE(has(7, "object", 6));
	write_file(header, "int y;", 6);
	CU_ASSERT_TRUE(has(7, "object", 6));
}

/* The least recently used entries are removed; entries just read stay. */
static void test_evicted(void)
{
	static char object[64 << 10];
	enum { FILES = 8, LIMIT = 6 * 72 << 10 };
	char key[CACHE_KEY];
	for (int i = 0; i < FILES; i++) {
		const struct timespec old[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
		put(100 + i, object, sizeof object, CACHE_BYTES);
		key_of(100 + i, key);
		CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path_of(key), old, 0), 0);
	}
	CU_ASSERT_TRUE(has(100, object, sizeof object));
	put(200, object, sizeof object, LIMIT);
	CU_ASSERT_TRUE(has(100, object, sizeof object));
	CU_ASSERT_TRUE(has(200, object, sizeof object));
	CU_ASSERT_TRUE(has(100 + FILES - 1, object, sizeof object));
	CU_ASSERT_FALSE(has(101, object, sizeof object));
	CU_ASSERT_FALSE(has(102, object, sizeof object));
}

static void test_no_directory(void)
{
	char path[256];
	Cache cache;
	CacheEntry entry;
	char key[CACHE_KEY];
	key_of(1, key);
	snprintf(path, sizeof path, "%s/deeper", header);
	const char *const none[] = {NULL, "", path};
	for (int i = 0; i < 3; i++) {
		cache_open(&cache, none[i], CACHE_BYTES);
		CU_ASSERT_FALSE(cache_get(&cache, key, &entry));
		cache_put(&cache, key, &(CacheEntry){.object = key, .object_bytes = 1});
		cache_close(&cache);
	}
}

static void expect_directory(const char *own, const char *base, const char *home, const char *expected)
{
	const char *const names[] = {"BERTC_CACHE", "XDG_CACHE_HOME", "HOME"},
					  *const values[] = {own, base, home};
	for (int i = 0; i < 3; i++)
		if (values[i])
			setenv(names[i], values[i], 1);
		else
			unsetenv(names[i]);
	char *path = cache_directory();
	CU_ASSERT_EQUAL(path != NULL, expected != NULL);
	if (path && expected)
		CU_ASSERT_STRING_EQUAL(path, expected);
	free(path);
}

static void test_directory(void)
{
	expect_directory("/a", "/b", "/c", "/a");
	expect_directory("", "/b", "/c", NULL);
	expect_directory(NULL, "/b", "/c", "/b/bertc/objects");
	expect_directory(NULL, "relative", "/c", "/c/.cache/bertc/objects");
	expect_directory(NULL, NULL, "/c", "/c/.cache/bertc/objects");
	expect_directory(NULL, NULL, NULL, NULL);
}

/* Processes that write and read the same key: each finds nothing or a complete object. */
static void test_at_once(void)
{
	enum { PROCESSES = 4, ROUNDS = 100 };
	static char object[PROCESSES][32 << 10];
	char key[CACHE_KEY];
	key_of(300, key);
	for (int p = 0; p < PROCESSES; p++)
		memset(object[p], 'a' + p, sizeof object[p]);
	for (int p = 0; p < PROCESSES; p++) {
		if (fork() > 0)
			continue;
		int wrong = 0;
		for (int i = 0; i < ROUNDS; i++) {
			Cache cache;
			CacheEntry entry;
			put(300, object[p], sizeof object[p], CACHE_BYTES);
			cache_open(&cache, objects, CACHE_BYTES);
			if (cache_get(&cache, key, &entry)) {
				const int who = entry.object[0] - 'a';
				wrong += who < 0 || who >= PROCESSES || entry.object_bytes != sizeof object[0]
					|| memcmp(entry.object, object[who], sizeof object[0]) != 0;
				free(entry.memory);
			} else {
				wrong++; /* rename never leaves the name without a file */
			}
			cache_close(&cache);
		}
		_exit(wrong > 0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status = -1;
		wait(&status);
		CU_ASSERT_EQUAL(status, 0);
	}
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"keys", test_keys},
		{"what is kept is found", test_kept},
		{"damaged entries are none", test_damaged},
		{"nor is what is no file", test_no_files},
		{"headers that changed", test_headers},
		{"the oldest go", test_evicted},
		{"no directory", test_no_directory},
		{"which directory", test_directory},
		{"several processes", test_at_once},
	};
	if (!mkdtemp(directory))
		return 1;
	snprintf(header, sizeof header, "%s/header.h", directory);
	snprintf(objects, sizeof objects, "%s/objects", directory);
	FILE *out = fopen(header, "w");
	if (!out || fputs("int y;", out) < 0 || fclose(out) != 0)
		return 1;
	const int status = SUITE_RUN("the cache of compiled pieces", tests);
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command) == 0 ? status : 1;
}
