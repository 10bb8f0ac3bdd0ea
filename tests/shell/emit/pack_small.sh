# --pack=small: a smaller program with the same answers, byte for byte, for all kinds of weights. The cost is
# reported. Its C compiles without a warning. Damaged weights are refused.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model texts=$SOURCE/examples/sentiment/sentences.txt
strict="-std=c17 -Wall -Wextra -Wpedantic -Werror -O1"
bytes() { wc -c <"$1"; }

recipes=('sparsify{sparsity=0.9},quantize-int8')
[ -z "${FULL-}" ] || recipes+=(O2 quantize-int8 'sparsify{sparsity=0.9},cast-weights{to=f32},O2')
for recipe in "${recipes[@]}"; do
	"$BERTC" build "$model" --passes="$recipe" -o plain -q
	"$BERTC" build "$model" --passes="$recipe" --pack=small --name=plain -o small 2>messages
	./plain --json <"$texts" >want.txt
	./small --json <"$texts" | cmp - want.txt || fail "$recipe: other answers"
	./small --json --threads 3 --batch 4 <"$texts" | cmp - want.txt ||
		fail "$recipe: other answers in three threads"
	case $recipe in O2) continue ;; esac   # f16 weights are almost random and compress little
	says "at its start they are decoded to"
	[ "$(bytes small)" -lt "$(bytes plain)" ] || fail "$recipe: $(bytes small) bytes, $(bytes plain) without"
	./small --about | grep -q '"unpack_ms"' || fail "$recipe: --about lacks the time of decoding"
	./small --profile --seq 8 --repeat 1 | grep -q '^at the start: .* MB of weights decoded' ||
		fail "$recipe: --profile lacks the time of decoding"
	! ./plain --about | grep -q unpack || fail "--about of a plain program has a time of decoding"
done
"$BERTC" build "$model" --passes='sparsify{sparsity=0.9},quantize-int8' --pack=small --name=plain -o again -q
"$BERTC" build "$model" --passes='sparsify{sparsity=0.9},quantize-int8' --pack=small --name=plain -o small -q
cmp again small || fail "two builds differ"

# several CPUs in one program, as C, for another compiler; every CPU's code reads what it should
"$BERTC" build "$model" --passes='sparsify{sparsity=0.9},quantize-int8' --cpu=x86-64,x86-64-v3 -o several -q
"$BERTC" build "$model" --passes='sparsify{sparsity=0.9},quantize-int8' --cpu=x86-64,x86-64-v3 --pack=small \
	-o several.small -q
for cpu in x86-64 x86-64-v3; do
	BERTC_CPU=$cpu ./several --json <"$texts" >want.txt || { cat want.txt; continue; }
	BERTC_CPU=$cpu ./several.small --json <"$texts" | cmp - want.txt || fail "$cpu: other answers"
done
# weights with 90 % zeros, relative to f32: as the kernels read them (at least 7.5 times smaller), and in the
# program (17 times)
if [ -n "$SHARED" ]; then
	"$BERTC" build "$SHARED/models/minilm-sst2-sparse90" --passes=quantize-int8 --pack=small -o sparse \
		2>messages
	mb='\([0-9.]*\) MB'
	sed -n "s/.* linears, $mb in f32, take $mb .* decoded to $mb .*/\1 \2 \3/p" messages |
		awk '{ printf "sparse90: %.1f MB in f32, %.1f times smaller for the kernels", $1, $1 / $3
			printf ", %.1f times in the program\n", $1 / $2
			good = $1 / $3 >= 7.5 && $1 / $2 >= 17 } END { exit !good }' ||
		fail "sparse weights are too large: $(cat messages)"
fi
expect 2 "$BERTC" build "$model" --pack=small --emit=bir -o x.bir
says "--pack=small is for weights in programs"
expect 2 "$BERTC" build "$model" --pack=tiny -o x
command -v gcc >/dev/null || { echo "no gcc: skipped this part"; exit 0; }
"$BERTC" build "$model" --passes=quantize-int8 --cpu=x86-64 -o plain -q
"$BERTC" build "$model" --passes=quantize-int8 --cpu=x86-64 --pack=small --emit=c --name=small -o small.c -q
./plain --json <"$texts" >want.txt
# compiled once: the weights are read when the text of the assembler is
gcc $strict -ffp-contract=off -fno-math-errno -Dsmall_MAIN -DSMALL_MAIN -S small.c -o small.s
gcc small.s -o small -lm -pthread
./small --json <"$texts" >got.txt
[ "$(cut -d'"' -f4 got.txt)" = "$(cut -d'"' -f4 want.txt)" ] ||
	fail "the program compiled by GCC gives other labels"
coded=$(sed -n '/RtPacked small_packed\[\]/{n;s/[^0-9]*\([0-9]*\),.*/\1/p;}' small.c)
[ -n "$coded" ] || fail "the coded weights are not found in the program"
for at in $((coded + 3)) $((coded + 1000)) $((coded + 20000)); do   # lengths of codes, and bits
	cp small.weights good.weights
	printf '\377\000\377' | dd of=small.weights bs=1 seek=$at conv=notrunc 2>/dev/null
	gcc small.s -o damaged -lm -pthread
	expect 1 ./damaged "a fine film"
	says "the weights in the program are damaged"
	mv good.weights small.weights
done
