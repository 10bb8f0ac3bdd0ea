#!/usr/bin/env bash
# Functions that allocate memory are called only through ir/memory.h, which ends the process if they fail.
# Prints every other call, and every other message about memory.
cd "$SOURCE" || exit 1
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo "no git, so no list of sources"; exit 77; }

# Exceptions: ir/memory.h itself; file_read, which reports the file that is too large; a comment in emitted
# headers.
calls='malloc|calloc|realloc|reallocarray|aligned_alloc|strdup|strndup|asprintf|vasprintf|open_memstream'
git ls-files -co --exclude-standard -- 'compiler/*.[ch]' 'codegen/*.[ch]' 'passes/*.[ch]' 'ir/*.[ch]' |
	while read -r file; do [ ! -f "$file" ] || echo "$file"; done |
	xargs grep -nE "(^|[^_[:alnum:]])($calls)\(|[^_[:alnum:]]abort\(\)|\"[^\"]*out of memory" |
	grep -v '^ir/memory\.[ch]:' |
	grep -v '^compiler/support/files\.c:.*= malloc(size + 1); /\* not checked_malloc' |
	grep -v '^codegen/emit_h\.c:.*NULL: out of memory, or the CPU' >"$TMP/calls"
[ ! -s "$TMP/calls" ] || { echo "use ir/memory.h:"; cat "$TMP/calls"; exit 1; }
