# Emitted C compiles without a warning with GCC and Clang at -O0, -O1 and -O3: small models with every form of
# linear, for old and new CPUs, and every kernel of the table.
. "$SOURCE/tests/shell/emit_common.inc"
strict="-std=c17 -Wall -Wextra -Wpedantic -Werror"
tiny tiny
compilers=$(for cc in gcc clang-19; do command -v $cc || true; done)
[ -n "$compilers" ] || { echo "no C compiler"; exit 77; }

# Clang's warnings all come before it makes machine code, which takes a third of its time
form() { # NAME PASSES CPUS [OPTION...]
	local name=$1 passes=$2 cpus=$3 cc level only
	shift 3
	"$BERTC" build tiny.bir --emit=c --name="$name" -o "$name.c" --passes="$passes" --cpu="$cpus" "$@"
	for cc in $compilers; do
		for level in 0 1 3; do
			case $cc$level in *clang*[13]) only=-emit-llvm ;; *) only= ;; esac
			"$cc" $strict -O$level $only $main -c "$name.c" -Wa,-I. -o "$name.o" ||
				fail "$name: ${cc##*/} -O$level"
		done
	done
}
code=pack-weights,chain-rows,plan-memory
main=-DSPARSE_MAIN # once is enough: main is the same in all programs
form sparse "sparsify{sparsity=0.9},fuse,quantize-int8{exclude=*query},lower{sparse=always},$code" \
	x86-64-v3,znver5
# GCC reports the loop annotations that it ignores only when a sanitizer instruments the loops
! command -v gcc >/dev/null ||
	gcc $strict -O0 -fsanitize=undefined -DSPARSE_MAIN -c sparse.c -Wa,-I. -o sparse.o ||
	fail "sparse: gcc -O0 -fsanitize=undefined"
main=
form narrow "fuse,compute-bf16,lower,$code" x86-64,znver4 --pack=small

# all kernels; gcc checks them fully at -O0, too
for cc in $compilers; do
	case $cc in *clang*) only=-emit-llvm ;; *) only= ;; esac
	"$cc" $strict -D_GNU_SOURCE -O0 $only -I"$SOURCE" -c "$SOURCE/tests/unit/kernel_checks_main.c" \
		-o kernels.o || fail "kernels: ${cc##*/} -O0"
done
cross() { # TRIPLE FLAGS..
	local triple=$1
	shift
	[ -e "/usr/$triple/include/stdio.h" ] || { echo "no C library of $triple: skipped this part"; return 0; }
	for cc in "$(command -v clang-19) --target=$triple" "$(command -v $triple-gcc)"; do
		[ -n "${cc%% *}" ] && [ -n "$cc" ] || continue
		$cc $strict -D_GNU_SOURCE -O0 "$@" -I"$SOURCE" -c "$SOURCE/tests/unit/kernel_checks_main.c" \
			-o kernels.o || fail "kernels: ${cc##*/}"
	done
}
cross aarch64-linux-gnu
cross arm-linux-gnueabihf -march=armv7-a -mfpu=neon-vfpv4 -mfloat-abi=hard
