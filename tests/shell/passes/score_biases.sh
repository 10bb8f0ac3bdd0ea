#!/usr/bin/env bash
# Score biases through the whole compiler. Programs agree with the evaluator, fused and unfused, on several
# CPUs. Results do not depend on the other texts in the call. Memory of tables by distance is not quadratic in
# the length.
set -u
fail() { echo "FAILED: $*"; exit 1; }
table=$SOURCE/tests/passes/fuse/attention-bias.bir
dense=$SOURCE/tests/passes/fuse/attention-bias-factor.bir

for graph in "$table" "$dense"; do
	for how in --passes=O0 "--passes=O2 --cpu=x86-64" "--passes=O2 --cpu=x86-64-v3" "--passes=O2"; do
		"$BERTC" verify "$graph" $how --max-tokens=70 --tokens=70 --max-abs 1e-5 >said 2>&1 && continue
		grep -q 'lacks\|cannot run' said || { cat said; fail "$graph $how"; }
	done
done

"$BERTC" opt "$table" --passes=O2 --elide-constants >lowered || fail "O2"
grep -q ' per_pair=0 ' lowered || fail "a table by distance uses memory of S x S"
grep -q 'kernel="attention_biased_f32' lowered || fail "no kernel for score biases"
"$BERTC" opt "$table" --passes='fuse,dce,compute-bf16,lower' --elide-constants >lowered || fail "bf16"
grep -q 'bits=16 kernel="attention_biased_' lowered || fail "bits=16 has no kernel for score biases"

"$BERTC" build "$dense" --quiet --max-tokens=70 -o prog || fail "build"
awk 'BEGIN {
	for (i = 1; i < 30; i++) {
		line = ""
		for (k = 0; k < i * 7 % 71; k++)
			line = line " " (i * 31 + k * 17) % 50
		if (line != "")
			print line
	}
}' >ids
./prog --ids <ids >alone || fail "does not run"
for more in "--batch 16" "--threads 2" "--threads 3 --batch 5"; do
	./prog --ids $more <ids | cmp -s - alone || fail "$more changes the bytes"
done
# behind prune-tokens, with the positions of the tokens that are left
"$BERTC" opt "$SOURCE/tests/passes/prune-tokens/distances.bir" '--passes=prune-tokens{layer=0 keep=0.5}' \
	-o thinned.bir || fail "prune-tokens"
for how in --passes=O0 "--passes=O2 --cpu=x86-64" "--passes=O2"; do
	"$BERTC" verify thinned.bir $how --max-tokens=30 --tokens=30 --max-abs 1e-5 >said 2>&1 ||
		{ cat said; fail "thinned $how"; }
done
echo "score biases are correct"
