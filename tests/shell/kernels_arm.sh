#!/bin/sh
# kernels_arm.sh: the checks of tests/unit/kernel_checks.h on AArch64 and ARMv7, cross-compiled and run by qemu.
set -eu
CLANG=$(command -v clang-19 || true)
[ -n "$CLANG" ] || { echo "needs clang-19"; exit 77; }
ran=0
missing=

# check TRIPLE EMULATOR SUFFIX FLAGS..: every kernel of the architecture, whose names end in SUFFIX, must be among those that ran
check() {
	triple=$1 emulator=$2 suffix=$3
	shift 3
	if ! command -v "$emulator" >/dev/null; then missing="$missing $emulator"; return 0; fi
	if [ ! -e "/usr/$triple/lib/libc.a" ]; then missing="$missing libc.a($triple)"; return 0; fi
	"$CLANG" --target="$triple" "$@" -fuse-ld=lld -static -O2 -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror \
		"$SOURCE/tests/unit/kernel_checks_main.c" -o "$TMP/checks-$suffix" -lm
	"$emulator" "$TMP/checks-$suffix" >"$TMP/$suffix.txt" || { cat "$TMP/$suffix.txt"; echo "kernels of $triple are wrong"; exit 1; }
	for kernel in $(sed -n "s/.*\\(\\<[a-z0-9_]*__$suffix\\),.*/\\1/p" "$SOURCE/runtime/kernels.def"); do
		grep -qw "$kernel" "$TMP/$suffix.txt" || { echo "$kernel did not run"; exit 1; }
	done
	echo "$triple: $(tail -1 "$TMP/$suffix.txt")"
	ran=$((ran + 1))
}

check aarch64-linux-gnu qemu-aarch64-static neon64
check arm-linux-gnueabihf qemu-arm-static neon32 -march=armv7-a -mfpu=neon-vfpv4 -mfloat-abi=hard
[ $ran -eq 2 ] || { echo "missing:$missing"; exit 77; }
