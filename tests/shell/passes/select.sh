#!/usr/bin/env bash
# hard-attention and prune-tokens through the whole compiler: the same bytes for any other texts in the call
# and any number of threads; against the evaluator; other CPUs; other passes; refusals of --emit=checkpoint;
# layers=auto.
set -u
model=$SOURCE/examples/sentiment/model
fail() { echo "FAILED: $*"; exit 1; }
build() { "$BERTC" build "$model" --quiet "$@" 2>err || { cat err; fail "build $*"; }; }
refuse() { # STATUS TEXT ARGUMENTS..
	local want=$1 text=$2; shift 2
	"$BERTC" build "$model" --quiet "$@" -o none 2>err; local got=$?
	[ $got -eq "$want" ] || { cat err; fail "$*: exit $got, expected $want"; }
	grep -qF -- "$text" err || { cat err; fail "$*: the message lacks: $text"; }
	[ ! -e none ] || fail "$*: the refused build left a result"
}
near() { # FILE FILE: numbers within 1e-4
	paste <(tr -d '[],' <"$1" | tr ' ' '\n') <(tr -d '[],' <"$2" | tr ' ' '\n') |
		awk '{ d = $1 - $2; if (d > 1e-4 || d < -1e-4) { print "differs: " $0; exit 1 } }'
}
# texts of many lengths, one without tokens, one of the maximal length
awk 'BEGIN {
	for (i = 0; i < 24; i++) {
		n = i == 23 ? 512 : i * i % 71
		line = n ? "101" : ""
		for (k = 1; k < n; k++)
			line = line " " (i * 31 + k * k * 17) % 900 + 1000
		print line
	}
}' >ids
grep -v '^$' ids >some

small="drop-layers{layers=0,2},prune-heads{keep=7},prune-ffn{keep=300}"
thin='prune-tokens{layer=0,1 keep=0.6,0.5}'
hard='hard-attention{share=0.3 layers=0,2},hard-attention{threshold=0.03 layers=1}'
number=0
for passes in "$thin" "$hard" "hard-attention{k=5},prune-tokens{layer=1 keep=7}" "$thin,quantize-int8" \
	"$hard,quantize-int8" "$thin,compute-bf16" \
	"$small,hard-attention{k=9},quantize-embeddings{to=f16},prune-tokens{layer=0 keep=0.5}" \
	"prune-tokens{layer=2 keep=1},O0" "$hard,$thin,O0"; do
	number=$((number + 1))
	build "--passes=$passes" -o prog$number
	./prog$number --ids --logits <some >alone || fail "$passes: does not run"
	for more in "--batch 24" "--threads 2" "--threads 3 --batch 5"; do
		./prog$number --ids --logits $more <some | cmp -s - alone || fail "$passes: $more changes the bytes"
	done
	[ "$(./prog$number --ids --logits --batch 24 <ids | wc -l)" -eq "$(wc -l <ids)" ] ||
		fail "$passes: a text without tokens"
	./prog$number --ids --profile >/dev/null || fail "$passes: --profile"
done
build "--passes=$thin" --name=prog1 -o again && cmp prog1 again || fail "two builds differ"

# the evaluator on the graph after the passes
for passes in "$thin" "$hard,$thin"; do
	build --emit=bir --stop-after=canonicalize "--passes=$passes" --search="$model" -o left.bir
	for level in O0 O2; do
		"$BERTC" verify left.bir --search="$model" --passes=$level --max-abs 1e-4 >said 2>&1 ||
			{ cat said; fail "$passes: $level differs from the evaluator"; }
	done
done

# code for several CPUs, the oldest one chosen by BERTC_CPU; sanitizers on the emitted C
build "--passes=$hard,$thin" --cpu=x86-64,x86-64-v3,x86-64-v4 -o any 2>/dev/null &&
	for cpu in x86-64 x86-64-v3 x86-64-v4; do
	BERTC_CPU=$cpu ./any --ids --logits <some >got.$cpu 2>err ||
		{ grep -q 'lacks\|needs' err && continue; cat err; fail "BERTC_CPU=$cpu"; }
	near got.$cpu got.x86-64 || fail "$cpu gives other numbers"
done
build "--passes=$hard,$thin" --emit=c --cpu=baseline --max-tokens=96 --name=sane -o sane.c
awk 'NR % 3 == 1 || NR == 24 { NF = NF > 96 ? 96 : NF; print }' ids >shorter
if cc -std=c17 -O1 -fsanitize=address,undefined -DSANE_MAIN sane.c -o sane -lm -pthread 2>err; then
	ASAN_OPTIONS=detect_leaks=0 ./sane --ids --logits --batch 24 --threads 2 <shorter >said 2>&1 ||
		{ cat said; fail "the sanitizers"; }
	grep -v '^$' said >/dev/null || fail "the program with sanitizers prints nothing"
else
	echo "cc has no sanitizers"
fi

# other machines
head -6 some >few
[ -x any ] && cp any here || build "--passes=$hard,$thin" -o here
./here --ids --logits <few >want
for row in aarch64-linux-gnu:qemu-aarch64-static arm-linux-gnueabihf:qemu-arm-static; do
	IFS=: read -r triple qemu <<<"$row"
	command -v $qemu >/dev/null || { echo "no $qemu"; continue; }
	"$BERTC" build "$model" --quiet --target=$triple "--passes=$hard,$thin" -o there 2>err ||
		{ grep -q 'on Debian install' err && continue; cat err; fail "$triple"; }
	$qemu ./there --ids --logits <few >got || fail "$triple: does not run"
	near got want || fail "$triple: other numbers"
	$qemu ./there --ids --logits --threads 2 --batch 6 <few | cmp -s - got ||
		fail "$triple: other bytes on two threads"
done

refuse 4 "layer 0 drops tokens" --emit=checkpoint "--passes=$thin"
refuse 4 "the attention of layer 0 selects keys" --emit=checkpoint "--passes=hard-attention{k=4}"
refuse 2 "hard-attention must come before prune-tokens" "--passes=$thin,hard-attention{k=4}"
refuse 2 "prune-tokens must come before fuse" "--passes=fuse,$thin"
refuse 2 "there is no layer 7" "--passes=prune-tokens{layer=7 keep=2}"

# layers=auto: the labels are the answers of the model, and none may change. Keeping all keys changes no
# answer. Keeping only the most probable key does.
"$BERTC" build "$model" --quiet -o plain
paste <(sed 's/\t/ /g' "$SOURCE/examples/sentiment/sentences.txt") \
	<(./plain <"$SOURCE/examples/sentiment/sentences.txt" | cut -f1) >data.tsv
auto() { build --emit=bir --stop-after=hard-attention \
	"--passes=hard-attention{$1 layers=auto data=$PWD/data.tsv}" --explain -o auto.bir; grep \
	-c ' selects keys' err; }
[ "$(auto k=128)" -eq 3 ] || { cat err; fail "keeping all keys is refused somewhere"; }
grep -q 'layer 0 alone: score 1.0000, loss' err || { cat err; fail "no score of layer 0"; }
[ "$(auto 'k=128 by=cosine')" -eq 3 ] || { cat err; fail "keeping all keys changes a layer"; }
[ "$(auto 'k=1 by=cosine cosine=1')" -eq 0 ] || { cat err; fail "a single key changes no layer"; }
grep -q 'is unchanged' err || fail "the message lacks the unchanged layers"
echo "selection and thinning are correct"
