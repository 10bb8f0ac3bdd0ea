# One program for several CPUs runs the newest code that the CPU supports. BERTC_CPU chooses another. On a
# CPU that is too old it exits with 4 and a message. The results of each code are those of a program for that
# CPU alone. Equal weights are stored once.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
target=x86_64-linux-gnu
qemu_x86() { # MODEL WORDS...: under an emulated CPU, without qemu's remarks about what it does not emulate
	local model=$1; shift
	local status=0
	qemu-x86_64-static -cpu "$model" "$@" 2>&1 | grep -v '^qemu-x86_64-static: warning' || true
	return "${PIPESTATUS[0]}"
}
ids='5 9 41 2	7 7 3'
runs() { [ "$(uname -m)" = x86_64 ] && case $1 in x86-64) true ;; x86-64-v3) grep -q avx2 /proc/cpuinfo ;; \
	*) grep -q avx512vl /proc/cpuinfo ;; esac; }

"$BERTC" build tiny.bir --target=$target --cpu=x86-64-v4,x86-64,x86-64-v3 --name=prog -o prog
for cpu in x86-64 x86-64-v3 x86-64-v4; do
	"$BERTC" build tiny.bir --target=$target --cpu=$cpu --name=prog -o only_$cpu
	runs $cpu || { echo "this machine is not $cpu: its code is not run"; continue; }
	newest=$cpu
	./only_$cpu --ids --logits "$ids" >want.txt
	BERTC_CPU=$cpu ./prog --ids --logits "$ids" | cmp - want.txt ||
		fail "BERTC_CPU=$cpu: the numbers differ from those of the program for $cpu"
	BERTC_CPU=$cpu ./prog --bench --seq 4 --repeat 1 | grep -q "^prog for $cpu, " ||
		fail "--bench does not name $cpu"
	BERTC_CPU=$cpu ./prog --profile --seq 4 --repeat 1 --json | grep -q "^{\"cpu\": \"$cpu\"" ||
		fail "--profile does not name $cpu"
done
if [ -n "${newest-}" ]; then
	./prog --bench --seq 4 --repeat 1 | grep -q "^prog for $newest, " ||
		fail "the program does not run the newest code for this machine"
	./prog --about >about.json
	grep -q '^  "cpu": "x86-64,x86-64-v3,x86-64-v4"' about.json &&
		[ "$(grep -c '^      "cpu": ' about.json)" -eq 3 ] ||
		{ cat about.json; fail "--about does not list the CPUs"; }
	# the weights take less space than in three programs, and at least as much as in one
	awk '/^  "/ { inside = /"variants"/ }
		/^  "weight_bytes"/ { all = $2 + 0 }
		inside && /^      "weight_bytes"/ { one = $2 + 0; sum += one; most = one > most ? one : most }
		END { if (!(all >= most && all < 0.9 * sum)) { print all, most, sum; exit 1 } }' about.json ||
		fail "weights are not shared"
	expect 2 env BERTC_CPU=z80 ./prog --ids "$ids"; says 'x86-64, x86-64-v3, x86-64-v4'
fi

# other CPUs than this one
"$BERTC" build tiny.bir --target=$target --cpu=x86-64-v3,x86-64-v4 --name=prog -o newer
if command -v qemu-x86_64-static >/dev/null; then
	qemu_x86 Nehalem ./prog --bench --seq 4 --repeat 1 | grep -q '^prog for x86-64, ' ||
		fail "Nehalem does not run the plain code"
	qemu_x86 Haswell ./prog --bench --seq 4 --repeat 1 | grep -q '^prog for x86-64-v3, ' ||
		fail "Haswell does not run the AVX2 code"
	qemu_x86 Haswell ./newer --ids --logits "$ids" >got.txt && runs x86-64-v3 &&
		{ ./only_x86-64-v3 --ids --logits "$ids" | cmp - got.txt || fail "the numbers on Haswell differ"; }
	expect 4 qemu_x86 Nehalem ./newer --ids "$ids"
	grep -q 'this CPU lacks AVX2.*(x86-64-v3, x86-64-v4)' output ||
		{ cat output; fail "Nehalem: no message"; }
	expect 4 qemu_x86 Nehalem ./only_x86-64-v3 --ids "$ids"
	BERTC_CPU=x86-64-v4 expect 4 qemu_x86 Haswell ./newer --ids "$ids"
	grep -q 'this CPU lacks AVX-512' output || { cat output; fail "Haswell as x86-64-v4: no message"; }
else
	echo "no qemu-x86_64-static: old CPUs are not tested"
fi

# as C, by both compilers, and with --cc; emit_compilers.sh compiles such C with the optimiser
strict="-std=c17 -Wall -Wextra -Wpedantic -Werror"
mkdir result
"$BERTC" build tiny.bir --emit=c --target=$target --cpu=x86-64,x86-64-v3,x86-64-v4 --name=prog \
	-o result/prog.c
"$BERTC" build tiny.bir --emit=c --target=$target --cpu=x86-64-v4,x86-64-v3,x86-64,x86-64-v3 --name=prog \
	-o prog.c
cmp <(grep -v '^ \*   command' prog.c) <(grep -v '^ \*   command' result/prog.c) &&
	cmp prog.weights result/prog.weights || fail "the order of --cpu changes the program"
[ "$(grep -c 'pushsection' result/prog.c)" -eq 1 ] || fail "the C file includes the weights more than once"
if [ "$(uname -m)" = x86_64 ]; then
	cat >use.c <<'C'
#include <stdio.h>
#include "prog.h"
int main(void)
{
	prog *p = prog_new(1);
	puts(p ? prog_cpu(p) : prog_why());
	prog_free(p);
	return prog_cpu(NULL) != NULL;
}
C
	for cc in gcc clang-19; do
		command -v $cc >/dev/null || { echo "no $cc: skipped this part"; continue; }
		(cd result && $cc $strict -O0 -ffp-contract=off -c prog.c -o prog.o &&
			$cc $strict -I. ../use.c prog.o -o use -lm -pthread)
		[ "$(result/use)" = "$newest" ] || fail "$cc: the library runs $(result/use), not $newest"
		[ "$(nm -g --defined-only result/prog.o | awk '{ print $3 }' | grep -cv '^prog_')" -eq 0 ] ||
			fail "$cc: symbols without the prefix"
	done
	if command -v gcc >/dev/null; then
		"$BERTC" build tiny.bir --cc=gcc --cpu=x86-64,x86-64-v3 --name=prog -o by_gcc
		BERTC_CPU=x86-64 ./by_gcc --ids --logits "$ids" >got.txt
		near <(BERTC_CPU=x86-64 ./prog --ids --logits "$ids") got.txt || fail "GCC's program differs"
	fi
	"$BERTC" verify tiny.bir --cpu=x86-64,$newest --max-abs 1e-4 --json | grep -q "\"cpu\": \"$newest\"" ||
		fail "verify does not name the CPU of the code that ran"
fi

# a lowered module has one graph per CPU, in the order of the CPUs
"$BERTC" build tiny.bir --target=$target --cpu=x86-64,x86-64-v3 --emit=bir \
	--passes=canonicalize,fold-const,cse,fuse,fold-const,cse,dce,lower -o two.bir
[ "$(grep -c '^graph ' two.bir)" -eq 2 ] || fail "--emit=bir does not hold a graph for each CPU"
"$BERTC" build two.bir --target=$target --cpu=x86-64,x86-64-v3 --passes=lower,pack-weights,plan-memory \
	--name=prog -o from_two
[ "$(uname -m)" != x86_64 ] || [ "$(BERTC_CPU=x86-64 ./from_two --ids --logits "$ids")" = \
	"$(BERTC_CPU=x86-64 ./prog --ids --logits "$ids")" ] || fail "the lowered module gives other numbers"
expect 4 "$BERTC" build two.bir --target=$target --cpu=x86-64-v3 --passes=lower,pack-weights,plan-memory -o no
says 'one for each'

expect 4 "$BERTC" build tiny.bir --target=$target --cpu=x86-64-v3,pentium -o no; says 'unknown CPU pentium'
expect 4 "$BERTC" build tiny.bir --target=arm-linux-gnueabihf --cpu=cortex-a9,cortex-a7 -o no
says 'build a program for each'
[ ! -e no ] || fail "the refused build left a file"

# AArch64
"$BERTC" build tiny.bir --target=aarch64-linux-gnu --cpu=neoverse-v1,cortex-a72 --name=prog --emit=c -o arm.c
grep -q '\.cpu = "cortex-a72"' arm.c && grep -q '\.cpu = "neoverse-v1"' arm.c ||
	fail "arm.c does not hold both CPUs"
if command -v qemu-aarch64-static >/dev/null && "$BERTC" build tiny.bir --target=aarch64-linux-gnu \
	--cpu=cortex-a72,neoverse-v1 --name=prog -o arm 2>messages; then
	for cpu in cortex-a72 neoverse-v1; do
		BERTC_CPU=$cpu qemu-aarch64-static ./arm --bench --seq 4 --repeat 1 | grep -q "^prog for $cpu, " ||
			fail "AArch64: BERTC_CPU=$cpu"
	done
	qemu-aarch64-static -cpu cortex-a53 ./arm --ids --logits "$ids" >/dev/null ||
		fail "AArch64: the program fails on an old CPU"
else
	cat messages; echo "no qemu-aarch64-static or no C library for it: not run"
fi
echo ok
