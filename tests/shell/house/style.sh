#!/usr/bin/env bash
# The limits of HACKING.md: clang-format, columns, lines per file, files per folder, no ?: inside a ?:. Prints
# every violation.
cd "$SOURCE" || exit 1
bad=0
broken() { echo "$1"; bad=1; }
sources() {
	git ls-files -co --exclude-standard -- "$@" |
		while read -r file; do [ ! -f "$file" ] || echo "$file"; done
}
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo "no git, so no list of sources"; exit 77; }
command -v clang-format-19 >/dev/null || { echo "no clang-format-19"; exit 77; }

# layout
sources '*.c' '*.h' '*.cc' | xargs -n 40 clang-format-19 --dry-run 2>&1 | grep 'should be clang-formatted' |
	cut -d: -f1 | sort | uniq -c >"$TMP/layout"
[ ! -s "$TMP/layout" ] || broken "clang-format-19 -i changes: $(cat "$TMP/layout")"

# columns, a tab being four; lines of data (.bir, mutants.txt) and tables of Markdown may be longer
sources '*.c' '*.h' '*.cc' '*.py' '*.sh' '*.inc' '*.js' '*.css' '*.def' '*.rl' '*.rng' '*.cmake' \
	'*CMakeLists.txt' CMakePresets.json check demo tests/run tests/coverage \
	tests/readme tests/figures tests/mutants/run | xargs awk '{
		line = $0
		while ((at = index(line, "\t")))
			line = substr(line, 1, at - 1) sprintf("%" (4 - (at - 1) % 4) "s", "") substr(line, at + 1)
		if (length(line) > 110) print FILENAME ":" FNR ": " length(line) " columns"
	}' >"$TMP/columns"
[ ! -s "$TMP/columns" ] || broken "$(cat "$TMP/columns")"

# lines per file; `long` lists exceptions until they are split
long=""
sources '*.c' '*.h' '*.cc' '*.py' '*.sh' '*.js' '*.css' '*.def' '*.rl' | xargs wc -l |
	awk -v long=" $long " '$2 != "total" && $1 > 500 && !index(long, " " $2 " ") {
		print $2 ": " $1 " lines"
	}' >"$TMP/lines"
[ ! -s "$TMP/lines" ] || broken "$(cat "$TMP/lines")"

# files per folder; each kernel is a file
sources '*' | sed -n 's|/[^/]*$||p' | sort | uniq -c |
	awk '$1 > 40 && $2 != "runtime/kernels" { print $2 ": " $1 " files" }' >"$TMP/folders"
[ ! -s "$TMP/folders" ] || broken "$(cat "$TMP/folders")"

# ?: inside ?:
sources '*.c' '*.h' '*.cc' | xargs "${PYTHON:-python3}" tests/tools/nested_choices.py >"$TMP/nested"
[ ! -s "$TMP/nested" ] || broken "$(cat "$TMP/nested")"
exit $bad
