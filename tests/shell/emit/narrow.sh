# Programs with linears in int8 or bf16: results are close to the reference evaluator and do not depend on
# batch, order and threads. Without activations in between, the kernels of all CPUs give the same bytes. The C
# compiles without a warning for every x86 CPU.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
strict="-std=c17 -Wall -Wextra -Wpedantic -Werror"

# near the numbers of f32: measured 0.9978 and 0.99998; logits of real sentences 0.017 of 3.8
"$BERTC" verify "$model" --task=embed --passes=quantize-int8 --min-cosine 0.99 >/dev/null ||
	fail "int8 is far from the reference"
"$BERTC" verify "$model" --task=embed --compute=bf16 --min-cosine 0.999 >/dev/null ||
	fail "bf16 is far from the reference"
"$BERTC" verify "$model" --passes=quantize-int8 --data "$SOURCE/examples/sentiment/sentences.txt" \
	--max-abs 0.1 >/dev/null
! "$BERTC" verify "$model" --passes=quantize-int8 --max-abs 1e-5 >/dev/null 2>&1 ||
	fail "int8 changed nothing"

# the same bytes, whatever other texts are in the call
lines 40 61 6000 >ids.txt
paste <(cut -f1 "$SOURCE/examples/sentiment/sentences.txt") \
	<("$BERTC" run "$model" <"$SOURCE/examples/sentiment/sentences.txt" | cut -f1) >data.tsv
static="quantize-int8{scheme=static data=$PWD/data.tsv}"
# scales of three sentences: 0.985 on random ids, 0.9987 on the sentences
"$BERTC" verify "$model" --task=embed --passes="$static" --min-cosine 0.98 >/dev/null ||
	fail "static int8 is far from the reference"
"$BERTC" verify "$model" --task=embed --passes="$static" --data data.tsv --min-cosine 0.997 >/dev/null ||
	fail "static int8 is far from the reference on its own texts"
for recipe in --passes=quantize-int8 --compute=bf16 "--passes=$static"; do
	"$BERTC" build "$model" "$recipe" -o prog
	./prog --ids --logits <ids.txt >want.txt
	[ "$(wc -l <want.txt)" -eq 40 ] || fail "$(wc -l <want.txt) lines for 40"
	for options in "--batch 7" "--batch 100" "--threads 2" "--threads 3 --batch 16"; do
		./prog --ids --logits $options <ids.txt | cmp - want.txt || fail "$recipe: $options gives other bytes"
	done
	tac ids.txt | ./prog --ids --logits --batch 9 | tac | cmp - want.txt ||
		fail "$recipe: the order changes the bytes"
done

# sums of int8 are exact and sums of bf16 have one order, so all kernels agree
cat >exact.bir <<'BIR'
module @exact max_tokens 60
head @vector embed single output=row
graph @main(%ids: i32[S], %types: i32[S]) level=graph {
  %words = const rand(1) : f32[60,33]
  %w = const rand(2) : f32[70,33]
  %b = const rand(3) : f32[70]
  %v = const rand(4) : f16[100,70]
  %u = const rand(5) : f32[65,100]
  %e = embed %words, %ids : f32[S,33]
  %m = const rand(6) : f32[33]
  %hundred = const splat(100) : f32[33]
  %mm = mul %m, %hundred : f32[33]
  %q, %s = quantize_static %e, %mm, %m : i8[S,33], f32[S]
  %wq = const iota : i8[3,33]
  %ws = const rand(7) : f32[3]
  %bq = const rand(9) : f32[3]
  %h = linear_i8 %q, %s, %wq, %ws, %bq {act=relu} : f32[S,3]
  %mh = const rand(10) : f32[3]
  %r, %rs = quantize_static %h, %mh, %bq : i8[S,3], f32[S]
  %wr = const iota : i8[3,3]
  %i = linear_i8 %r, %rs, %wr, %ws : f32[S,3]
  %v0 = const rand(8) : f32[33,3]
  %x = linear %i, %v0 : f32[S,33]  # second
  %y = linear %x, %w, %b : f32[S,70]
  %z = linear %y, %v : f32[S,100]  # second
  %a = linear %z, %u : f32[S,65]
  %row = pool %a {mode=max} : f32[65]
  return row=%row
}
BIR
recipe='quantize-int8{exclude=second},compute-bf16'
printf '7\n1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n%s\n' "$(seq -s ' ' 0 59)" >few.txt
ran=0
x86=x86_64-linux-gnu arm64=aarch64-linux-gnu
for row in $x86:x86-64 $x86:x86-64-v3 $x86:alderlake $x86:x86-64-v4 $x86:cascadelake $x86:znver4 \
	$arm64:generic:qemu-aarch64-static $arm64:neoverse-n1:qemu-aarch64-static \
	$arm64:neoverse-v1:qemu-aarch64-static \
	arm-linux-gnueabihf:generic:qemu-arm-static arm-linux-gnueabihf:vfpv3-d16:qemu-arm-static; do
	IFS=: read -r triple cpu emulator <<<"$row"
	[ -z "$emulator" ] || command -v "$emulator" >/dev/null ||
		{ echo "no $emulator: skipped $cpu"; continue; }
	"$BERTC" build exact.bir --passes="$recipe" --target=$triple --cpu=$cpu -o prog 2>messages ||
		{ says 'on Debian install'; continue; }
	$emulator ./prog --ids --batch 2 <few.txt >got.txt 2>messages || { says 'lacks'; continue; }
	[ -e exact.txt ] || cp got.txt exact.txt
	cmp got.txt exact.txt || fail "$triple $cpu gives other bytes"
	ran=$((ran + 1))
done
[ $ran -ge 1 ] || fail "no program ran"
[ "$(wc -l <exact.txt)" -eq 3 ] || fail "$(wc -l <exact.txt) lines for 3"

# strict C17: the kernels of all x86 CPUs in one file
cpus=$("$BERTC" targets | awk '/^[a-z]/ { x86 = /x86_64/ } /^  / && x86 { print $1 }' | paste -sd,)
"$BERTC" build exact.bir --passes="$recipe" --emit=c --target=$x86 --cpu="$cpus" -o exact.c
[ "$(grep -c '^/[*] ==== kernels/linear_i8__' exact.c)" -eq 5 ] || fail "too few sets of kernels"
for cc in gcc clang-19; do
	command -v $cc >/dev/null || { echo "no $cc: skipped this part"; continue; }
	$cc $strict -O1 -c exact.c -o exact.o || fail "$cc"
done
