# exe, lib, shared, obj and --cc: each result can be used. With the same compiler, all compute the same bytes.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
cat >use.c <<'C'
#include "tiny.h"
#include <stdio.h>
int main(void)
{
	const int32_t ids[] = {5, 9, 41, 2, 7}, offsets[] = {0, 3, 5};
	float out[6];
	tiny *c = tiny_new(1);
	if (!c)
		return puts(tiny_why()), 1;
	int status = tiny_run_ids(c, ids, NULL, offsets, 2, out, 6);
	printf("[%.9g, %.9g, %.9g]\n[%.9g, %.9g, %.9g]\n", out[0], out[1], out[2], out[3], out[4], out[5]);
	tiny_free(c);
	return status;
}
C
cc=$(command -v gcc || command -v clang-19) || { echo "no C compiler"; exit 77; }
"$BERTC" build tiny.bir --cpu=baseline -o tiny
printf '5 9 41\n2 7\n' | ./tiny --ids --logits >want.txt
for kind in lib shared obj; do
	case $kind in lib) file=libtiny.a ;; shared) file=libtiny.so ;; obj) file=tiny.o ;; esac
	mkdir $kind
	"$BERTC" build tiny.bir --cpu=baseline --emit=$kind --name=tiny -o $kind/$file
	[ "$(ls -A $kind | wc -l)" -eq 2 ] || fail "--emit=$kind: expected the result and tiny.h"
	$cc -I$kind use.c $kind/$file -o use -lm -pthread
	LD_LIBRARY_PATH=$kind ./use | cmp - want.txt || fail "--emit=$kind computes something else"
done
[ -z "$(nm -D --defined-only shared/libtiny.so | awk '{ print $3 }' | grep -v '^tiny_')" ] ||
	fail "the shared library exports more than its API"
# two models in one program, with the same internal names
"$BERTC" build tiny.bir --cpu=baseline --emit=lib --name=other -o lib/libother.a
sed 's/tiny/other/g; s/main/other_main/' use.c >other.c
sed 's/main/tiny_main/' use.c >both.c
echo 'int other_main(void); int main(void) { return tiny_main() || other_main(); }' >>both.c
$cc -Ilib both.c other.c lib/libtiny.a lib/libother.a -o both -lm -pthread
./both | cmp - <(cat want.txt want.txt) || fail "two models in one program compute something else"
for file in lib/libtiny.a obj/tiny.o; do
	! nm -g --defined-only $file | awk 'NF == 3 { print $3 }' | grep -v '^tiny_' ||
		fail "$file exports more than its API"
done
! readelf -lW tiny | grep -qE 'INTERP|NEEDED' || fail "the program is not static"
size=$(readelf -SW tiny | sed -n 's/^.* \.rela*\.dyn *[A-Z]* *[0-9a-f]* *[0-9a-f]* *\([0-9a-f]*\) .*/\1/p')
[ $((0x${size:-0})) -lt 4096 ] ||
	fail "the static program has $((0x$size)) bytes of relocations: it would start slowly"
"$BERTC" build tiny.bir --cpu=baseline --no-static -o dynamic
printf '5 9 41\n2 7\n' | ./dynamic --ids --logits | cmp - want.txt
"$BERTC" build tiny.bir --cpu=baseline --cc="$cc" -o other
printf '5 9 41\n2 7\n' | ./other --ids --logits >got.txt
near want.txt got.txt || fail "--cc computes something else"

# the options around the pipeline
[ "$("$BERTC" build tiny.bir --cpu=baseline -O0 --print-pipeline -o t)" = \
	"lower,pack-weights,chain-rows,plan-memory" ] || fail "-O0 runs another pipeline"
[ "$("$BERTC" build tiny.bir --cpu=baseline --passes=dce,fuse --weights=bf16 --print-pipeline -o t)" = \
	"cast-weights{to=bf16},dce,fuse,lower,pack-weights,chain-rows,plan-memory" ] ||
	fail "--passes and --weights make another pipeline"
"$BERTC" build tiny.bir --cpu=baseline --emit=bir -o as_read.bir
! grep -q lowered as_read.bir || fail "--emit=bir without passes lowers"
"$BERTC" build tiny.bir --cpu=baseline --emit=bir -O2 -o lowered.bir --ledger=ledger.json
grep -q 'level=lowered' lowered.bir || fail "--emit=bir -O2 does not lower"
grep -q plan-memory ledger.json || fail "the ledger lacks plan-memory"
"$BERTC" build lowered.bir --passes=plan-memory -o again 2>messages && printf '5 9 41\n2 7\n' |
	./again --ids --logits | cmp - want.txt
./tiny --about | grep -q '"target": "x86_64-linux-gnu"\|"target": "aarch64-linux-gnu"' ||
	fail "--about does not name the target"
