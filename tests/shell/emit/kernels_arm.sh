#!/bin/sh
# kernels_arm.sh: the checks of tests/unit/kernel_checks.h on AArch64 and ARMv7, cross-compiled and run by
# qemu.
set -eu
CLANG=$(command -v clang-19 || true)
[ -n "$CLANG" ] || { echo "needs clang-19"; exit 77; }
ran=0
missing=

# check TRIPLE EMULATOR SUFFIXES FLAGS..: every kernel of the architecture must have run; their names end in
# one of SUFFIXES
check() {
	triple=$1 emulator=$2 suffixes=$3
	shift 3
	if ! command -v "$emulator" >/dev/null; then missing="$missing $emulator"; return 0; fi
	if [ ! -e "/usr/$triple/lib/libc.a" ]; then missing="$missing libc.a($triple)"; return 0; fi
	"$CLANG" --target="$triple" "$@" -fuse-ld=lld -static -O2 -std=c17 -D_GNU_SOURCE -Wall -Wextra \
		-Wpedantic -Werror \
		"$SOURCE/tests/unit/kernel_checks_main.c" -I"$SOURCE" -o "$TMP/checks-$triple" -lm
	"$emulator" "$TMP/checks-$triple" >"$TMP/$triple.txt" ||
		{ cat "$TMP/$triple.txt"; echo "kernels of $triple are wrong"; exit 1; }
	for suffix in $suffixes; do
		for kernel in $(sed -n "s/.*\\(\\<[a-z0-9_]*__$suffix\\),.*/\\1/p" "$SOURCE/runtime/kernels.def"); do
			grep -qw "$kernel" "$TMP/$triple.txt" || { echo "$kernel did not run"; exit 1; }
		done
	done
	echo "$triple: $(tail -1 "$TMP/$triple.txt")"
	ran=$((ran + 1))
}

check aarch64-linux-gnu qemu-aarch64-static 'neon64 dotprod i8mm'
check arm-linux-gnueabihf qemu-arm-static neon32 -march=armv7-a -mfpu=neon-vfpv4 -mfloat-abi=hard
[ $ran -eq 2 ] || { echo "missing:$missing"; exit 77; }
