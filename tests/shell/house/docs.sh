#!/usr/bin/env bash
# README and docs: every command shown there runs and prints the output shown (tests/tools/docs.py compares).
# Every pass has a section. Blocks of kind `models` need $SHARED and run under --full; blocks of kind `arm`
# need qemu.
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
cd "$SOURCE" || exit 1
check() { printf '%s\n' README.md docs/*.md | xargs -P 2 -I{} python3 tests/tools/docs.py "$@" {}; }
status=0
for pass in $(sed -n 's/^PASS([a-z_0-9]*, *"\([^"]*\)".*/\1/p' passes/passes.def); do
	grep -qx "### $pass" docs/passes.md || { echo "docs/passes.md has no section on $pass"; status=1; }
done
check || status=1
! command -v qemu-aarch64-static >/dev/null || [ ! -d /usr/aarch64-linux-gnu ] ||
	python3 tests/tools/docs.py --only=arm docs/cross-compiling.md || status=1
[ -z "${FULL-}" ] || [ -z "$SHARED" ] || check --only=models || status=1
exit $status
