/* pieces_compile.c: compiles pieces to objects. Objects in the cache are taken from there. The other pieces
 * are compiled on all cores, the slowest first, and their objects go into the cache. Only one thread uses the
 * cache. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache.h"
#include "pieces.h"

enum { THREADS_MAX = 64 };

/* One object to be made. */
typedef struct Work {
	PieceKind kind;
	const Toolchain *toolchain;
	CompileJob job;
	char key[CACHE_KEY]; /* "": not to be kept */
	bool found, good;
	Diag diag;
} Work;

/* Threads take the rows of `order` one after another; the prefix comes first, as the kernels wait for it. */
typedef struct Crew {
	Work *prefix; /* NULL: it is there, or no kernel needs it */
	Work **order;
	int32_t count;
	atomic_int next;
	pthread_mutex_t mutex;
	pthread_cond_t made;
	bool prefix_made;
} Crew;

/* ---- threads --------------------------------------------------------------------------------- */

static void prefix_done(Crew *crew)
{
	pthread_mutex_lock(&crew->mutex);
	crew->prefix_made = true;
	pthread_cond_broadcast(&crew->made);
	pthread_mutex_unlock(&crew->mutex);
}

/* False: there is none. */
static bool prefix_wait(Crew *crew)
{
	pthread_mutex_lock(&crew->mutex);
	while (crew->prefix && !crew->prefix_made)
		pthread_cond_wait(&crew->made, &crew->mutex);
	pthread_mutex_unlock(&crew->mutex);
	return !crew->prefix || crew->prefix->good;
}

static void *crew_thread(void *argument)
{
	Crew *crew = argument;
	for (int i; (i = atomic_fetch_add(&crew->next, 1)) < crew->count;) {
		Work *work = crew->order[i];
		if (work == crew->prefix) {
			work->good = toolchain_precompile(work->toolchain, &work->job, &work->diag);
			prefix_done(crew);
		} else if (!work->job.prefix || prefix_wait(crew)) {
			work->good = toolchain_compile(work->toolchain, &work->job, &work->diag);
		}
	}
	return NULL;
}

static int core_count(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void crew_run(Crew *crew)
{
	pthread_t threads[THREADS_MAX];
	int count = core_count(), started = 0;
	count = count < crew->count ? count : crew->count;
	count = count < THREADS_MAX ? count : THREADS_MAX;
	while (started < count - 1 && pthread_create(&threads[started], NULL, crew_thread, crew) == 0)
		started++;
	crew_thread(crew);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

/* Pieces after the prefix come last, as they wait for it; among both the longest text first. */
static int by_length(const void *a, const void *b)
{
	const Work *x = *(Work *const *)a, *y = *(Work *const *)b;
	if (!x->job.prefix != !y->job.prefix)
		return x->job.prefix ? 1 : -1;
	return (x->job.bytes < y->job.bytes) - (x->job.bytes > y->job.bytes);
}

/* ---- the cache ------------------------------------------------------------------------------- */

static void work_key(Work *work, const Pieces *pieces)
{
	static const char kinds[][8] = {"alone", "behind"};
	const char *identity = toolchain_identity(work->toolchain);
	const bool behind = work->kind == PIECE_BEHIND;
	const void *const parts[] = {kinds[behind], identity, work->job.name, work->job.text, pieces->prefix};
	const size_t bytes[] = {
		sizeof kinds[0], strlen(identity), strlen(work->job.name), work->job.bytes, pieces->prefix_bytes};
	cache_key(parts, bytes, behind ? 5 : 4, work->key);
}

static void work_find(Work *work, Cache *cache)
{
	CacheEntry entry;
	work->found = work->good = cache_get(cache, work->key, &entry);
	if (!work->found)
		return;
	work->job.object = checked_malloc(entry.object_bytes + 1);
	memcpy(work->job.object, entry.object, entry.object_bytes);
	work->job.object_bytes = entry.object_bytes;
	work->job.headers = checked_malloc(entry.headers_bytes + 1);
	memcpy(work->job.headers, entry.headers, entry.headers_bytes);
	work->job.headers_bytes = entry.headers_bytes;
	free(entry.memory);
}

static void work_keep(const Work *work, Cache *cache)
{
	const CompileJob *job = &work->job;
	if (work->good && !work->found && work->key[0] && job->object)
		cache_put(cache, work->key,
			&(CacheEntry){.object = job->object,
				.object_bytes = job->object_bytes,
				.headers = job->headers,
				.headers_bytes = job->headers_bytes});
}

/* ---- the prefix ------------------------------------------------------------------------------ */

/* A file in memory, for Clang knows precompiled headers only as files. Its path; "": none can be had. */
typedef struct MemoryFile {
	int descriptor;
	char path[32];
} MemoryFile;

static MemoryFile memory_file(void)
{
	MemoryFile file = {.descriptor = memfd_create("prefix", MFD_CLOEXEC)};
	if (file.descriptor >= 0)
		snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.descriptor);
	return file;
}

static bool memory_file_write(const MemoryFile *file, const char *data, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t wrote = write(file->descriptor, data + at, bytes - at);
		if (wrote <= 0)
			return false;
		at += (size_t)wrote;
	}
	return true;
}

/* What was made, to be kept. */
static void prefix_read(Work *prefix, const MemoryFile *file)
{
	struct stat st;
	if (fstat(file->descriptor, &st) != 0 || st.st_size <= 0)
		return;
	prefix->job.object = checked_malloc((size_t)st.st_size);
	ssize_t got = pread(file->descriptor, prefix->job.object, (size_t)st.st_size, 0);
	prefix->job.object_bytes = got > 0 ? (size_t)got : 0;
	prefix->good = got == st.st_size;
}

/* ---- all pieces ------------------------------------------------------------------------------ */

typedef struct Compile {
	const EmitOptions *options;
	const Pieces *pieces;
	const PiecePaths *paths;
	Toolchain *tuned, *any;
	Toolchain *untuned; /* of the prefix: no tuning changes what it declares */
	MemoryFile prefix;
	Work *work; /* the pieces, then the blob, then the prefix */
	int32_t count;
	Cache cache;
	Diag *diag;
} Compile;

/* Entries that are part of bertc: the pieces of runtime/, compiled when bertc itself was. The library has
 * none (shipped_none.c); bertc's program has those that ship.c wrote. */
extern const char shipped_pieces[];
extern const size_t shipped_pieces_bytes;

/* The assembler looks for .incbin where bertc runs before it looks anywhere else, and weights of another
 * build may lie there under the same name: the path is in the text. */
static void blob_work(Compile *c, Work *work)
{
	work->toolchain = c->any;
	work->job = (CompileJob){.name = "blob.c",
		.text = c->paths->blob_text,
		.bytes = strlen(c->paths->blob_text),
		.object_path = c->paths->blob};
}

static void prefix_work(const Compile *c, Work *prefix)
{
	diag_init(&prefix->diag, c->diag->file);
	prefix->toolchain = c->untuned;
	prefix->job = (CompileJob){.name = "prefix",
		.text = c->pieces->prefix,
		.bytes = c->pieces->prefix_bytes,
		.object_path = c->prefix.path};
}

static void list_pieces(Compile *c)
{
	const Pieces *pieces = c->pieces;
	c->count = pieces->count;
	c->work = checked_calloc((size_t)c->count + 2, sizeof *c->work);
	for (int32_t i = 0; i < pieces->count; i++) {
		const Piece *piece = &pieces->at[i];
		Work *work = &c->work[i];
		work->kind = piece->kind;
		work->toolchain = piece->kind == PIECE_RUNTIME ? c->any : c->tuned;
		work->job = (CompileJob){.name = piece->name, .text = piece->text, .bytes = piece->bytes};
		if (piece->kind == PIECE_BEHIND)
			work->job.prefix = c->prefix.path;
		diag_init(&work->diag, c->diag->file);
		work_key(work, pieces);
		work_find(work, &c->cache);
	}
}

/* What a build has besides: the weights, and the prefix, which is the last. */
static void list_others(Compile *c)
{
	const Pieces *pieces = c->pieces;
	Work *prefix = &c->work[pieces->count + 1];
	c->count += 2;
	blob_work(c, prefix - 1);
	diag_init(&prefix[-1].diag, c->diag->file);
	prefix_work(c, prefix);
}

static bool prefix_wanted(const Compile *c)
{
	for (int32_t i = 0; i < c->count; i++)
		if (c->work[i].job.prefix && !c->work[i].found)
			return true;
	return false;
}

/* Takes the prefix from the cache. False: it has to be made. */
static bool prefix_find(Compile *c, Work *prefix)
{
	work_key(prefix, c->pieces);
	work_find(prefix, &c->cache);
	if (prefix->found && !memory_file_write(&c->prefix, prefix->job.object, prefix->job.object_bytes))
		prefix->found = prefix->good = false;
	return prefix->found;
}

static void compile_missing(Compile *c)
{
	Work *prefix = &c->work[c->pieces->count + 1];
	Crew crew = {.mutex = PTHREAD_MUTEX_INITIALIZER, .made = PTHREAD_COND_INITIALIZER};
	crew.order = checked_malloc((size_t)c->count * sizeof *crew.order);
	const bool wanted = prefix_wanted(c);
	if (wanted && !prefix_find(c, prefix))
		crew.order[crew.count++] = crew.prefix = prefix;
	const int32_t first = crew.count;
	for (int32_t i = 0; i < c->count; i++)
		if (!c->work[i].found && &c->work[i] != prefix)
			crew.order[crew.count++] = &c->work[i];
	qsort(crew.order + first, (size_t)(crew.count - first), sizeof *crew.order, by_length);
	crew_run(&crew);
	if (crew.prefix && prefix->good)
		prefix_read(prefix, &c->prefix);
	free(crew.order);
}

/* Messages of all; what ails several is said once. */
static bool report(const Compile *c)
{
	bool good = true;
	for (int32_t i = 0; i < c->count; i++) {
		const Diag *diag = &c->work[i].diag;
		for (int k = 0; good && k < diag->count; k++)
			if (diag->messages[k].severity == SEV_ERROR)
				diag_error(c->diag, diag->code, 0, "%s", diag->messages[k].text);
			else
				diag_warn(c->diag, 0, "%s", diag->messages[k].text);
		good &= diag->errors == 0;
	}
	return good;
}

static bool write_archive(const Compile *c)
{
	ArchiveMember *members = checked_calloc((size_t)c->pieces->count + 1, sizeof *members);
	char **names = checked_calloc((size_t)c->pieces->count + 1, sizeof *names);
	for (int32_t i = 0; i < c->pieces->count; i++) {
		const CompileJob *job = &c->work[i].job;
		names[i] = checked_strdup(job->name);
		names[i][strlen(names[i]) - 1] = 'o';
		members[i] = (ArchiveMember){names[i], job->object, job->object_bytes};
	}
	bool good = toolchain_archive(members, c->pieces->count, c->paths->objects, c->diag);
	for (int32_t i = 0; i < c->pieces->count; i++)
		free(names[i]);
	free(names);
	free(members);
	return good;
}

/* Compiles and keeps what is listed. */
static bool make_objects(Compile *c)
{
	compile_missing(c);
	bool good = report(c);
	for (int32_t i = 0; good && i < c->count; i++)
		work_keep(&c->work[i], &c->cache);
	return good;
}

static void free_work(Compile *c)
{
	for (int32_t i = 0; i < c->count; i++) {
		free(c->work[i].job.object);
		free(c->work[i].job.headers);
		diag_free(&c->work[i].diag);
	}
	free(c->work);
}

/* False and a message: one of them cannot be had. */
static bool toolchains_make(Compile *c, const Target *target, bool pic, const char *sysroot)
{
	c->tuned = toolchain_new(target, target->flags, pic, sysroot, c->diag);
	c->untuned = c->tuned ? toolchain_new(target, target->cpu_flags, pic, sysroot, c->diag) : NULL;
	c->any = c->untuned ? toolchain_new(target, target->base_flags, pic, sysroot, c->diag) : NULL;
	return c->any != NULL;
}

static void compile_end(Compile *c)
{
	if (c->prefix.descriptor >= 0)
		close(c->prefix.descriptor);
	cache_close(&c->cache);
	toolchain_free(c->tuned);
	toolchain_free(c->untuned);
	toolchain_free(c->any);
}

bool pieces_compile(const EmitOptions *options, const Pieces *pieces, const PiecePaths *paths, Diag *diag)
{
	Compile c = {.options = options, .pieces = pieces, .paths = paths, .diag = diag};
	const bool pic = options->kind != EMIT_EXE || !options->is_static;
	char *directory = options->no_cache ? NULL : cache_directory();
	bool good = toolchains_make(&c, &options->target, pic, options->sysroot);
	cache_open(&c.cache, directory, CACHE_BYTES);
	c.cache.shipped = shipped_pieces;
	c.cache.shipped_bytes = shipped_pieces_bytes;
	c.prefix = memory_file();
	if (good) {
		list_pieces(&c);
		list_others(&c);
		good = make_objects(&c) && write_archive(&c);
		free_work(&c);
	}
	compile_end(&c);
	free(directory);
	return good;
}

static bool prefix_make(Compile *c, Work *prefix)
{
	if (!prefix_find(c, prefix) && toolchain_precompile(prefix->toolchain, &prefix->job, &prefix->diag))
		prefix_read(prefix, &c->prefix);
	work_keep(prefix, &c->cache);
	return prefix->good;
}

bool pieces_ship(const Target *target, const Pieces *pieces, bool pic, FILE *out, Diag *diag)
{
	Compile c = {.pieces = pieces, .diag = diag};
	char *directory = cache_directory();
	bool good = toolchains_make(&c, target, pic, NULL);
	cache_open(&c.cache, directory, CACHE_BYTES);
	c.prefix = memory_file();
	if (good) {
		list_pieces(&c);
		good = make_objects(&c);
		if (good && pieces->prefix) {
			prefix_work(&c, &c.work[c.count]);
			good = prefix_make(&c, &c.work[c.count++]);
		}
		for (int32_t i = 0; good && i < c.count; i++)
			good = cache_write(&c.cache, c.work[i].key,
				&(CacheEntry){.object = c.work[i].job.object,
					.object_bytes = c.work[i].job.object_bytes,
					.headers = c.work[i].job.headers,
					.headers_bytes = c.work[i].job.headers_bytes},
				out);
		free_work(&c);
	}
	compile_end(&c);
	free(directory);
	return good;
}
