#!/usr/bin/env bash
# `bertc report`: it lists all builds of a design, their scores are those of `bertc eval`, sums are correct,
# and pairs with only one order are marked.
set -u
model=$SOURCE/examples/sentiment/model
fail() { echo "FAILED: $*"; exit 1; }
paste <(sed 's/\t/ /g' "$SOURCE/examples/sentiment/sentences.txt") \
	<("$BERTC" run "$model" --quiet <"$SOURCE/examples/sentiment/sentences.txt" | cut -f1) >data.tsv
rows=$(wc -l <data.tsv)
"$BERTC" build "$model" --quiet --emit=checkpoint --passes='drop-layers{strategy=top keep=2}' -o student ||
	fail student
report() { "$BERTC" report "$@" --cpu=baseline --data data.tsv --seq 8 --repeat 2 2>err ||
	{ cat err; fail "report $*"; }; }

report eight "$model" --student student --json --prune='prune-ffn{keep=200}' >eight.json
report eight "$model" --student student --prune='prune-ffn{keep=200}' >eight.txt
[ "$(grep -c '^  bertc eval ' eight.txt)" -eq 8 ] || { cat eight.txt; fail "expected eight commands"; }
while read -r line; do   # the commands give the scores
	words=${line#bertc }; eval "set -- $words"
	"$BERTC" "$@" --json
done < <(sed -n 's/^  bertc/bertc/p' eight.txt) >evals.json
report order "$model" --json \
	--operators='drop-layers{strategy=top keep=2},prune-ffn{share=0.5},quantize-int8' >order.json
report order "$model" --operators='drop-layers{strategy=top keep=2},quantize-int8' >order.txt
grep -q 'only one order' order.txt || { cat order.txt; fail "a pair with one order is not marked"; }
python3 - "$rows" <<'EOF' || fail figures
import json, math
rows = int(__import__("sys").argv[1])
close = lambda a, b: abs(a - b) < 1e-6 * max(1, abs(a))
eight = json.load(open("eight.json")); builds = eight["builds"]
assert eight["rows"] == rows, builds
assert [b["name"] for b in builds][:3] == ["plain", "quantised", "distilled"], builds
# the labels are the answers of the model
assert builds[0]["score"] == 1
assert builds[2]["model"] == "student"
assert len(builds) == 8
evals = [json.loads(l)["builds"][-1] for l in open("evals.json")]
assert all(close(b["score"], e["score"]) for b, e in zip(builds, evals)), (builds, evals)
def change(b): return b["points"], math.log(b["smaller"]), math.log(b["faster"])
for bits, c in zip((3, 5, 6, 7), eight["combinations"]):
    single = [change(builds[1 << k]) for k in range(3) if bits >> k & 1]
    assert all(close(sum(s[i] for s in single), change(c["parts"])[i]) for i in range(3)), c
    assert close(c["measured"]["points"], 100 * (builds[bits]["score"] - builds[0]["score"])), c
    subs = [sub for sub in range(8) if sub & bits == sub]
    signs = [(-1) ** bin(bits ^ sub).count("1") for sub in subs]
    inter = [sum(s * change(builds[sub])[i] for s, sub in zip(signs, subs)) for i in range(3)]
    assert all(map(close, inter, change(c["interaction"]))), (inter, c)
assert abs(inter[1]) > 1e-4, inter   # the three-way interaction of bytes is not zero, so its sign is tested
assert builds[1]["bytes"] < builds[0]["bytes"]
assert builds[2]["bytes"] < builds[0]["bytes"]
assert builds[4]["bytes"] < builds[0]["bytes"]
order = json.load(open("order.json")); builds = order["builds"]
assert [p["other"] is None for p in order["pairs"]] == [False, True, True], order["pairs"]
first = order["pairs"][0]
# dropping a layer and then half of the neurons keeps other neurons than the reverse order
assert builds[first["build"]]["passes"].startswith("drop")
assert builds[first["other"]]["passes"].startswith("prune")
assert builds[first["build"]]["loss"] != \
    builds[first["other"]]["loss"], "the order makes no difference where it must"
assert close(order["all"]["summed"]["points"], sum(b["points"] for b in builds[1:4])), order["all"]
EOF
# the printed commands contain the build options, with names quoted for the shell
cp data.tsv "it's data.tsv"
"$BERTC" report order "$model" --cpu=baseline --weights=bf16 --max-tokens=32 --data "it's data.tsv" \
	--limit 2 --seq 8 --repeat 1 --operators='prune-ffn{keep=200},quantize-int8' >told.txt ||
	fail "report fails with a blank in a name"
told="--data 'it'.''s data.tsv' --limit 2 --max-tokens=32 --weights=bf16 --cpu=baseline"
[ "$(grep -c "^  bertc eval .* $told" told.txt)" -eq 4 ] ||
	{ cat told.txt; fail "the commands lack the options of the builds"; }
line=$(grep '^  bertc eval.*prune-ffn{keep=200},quantize' told.txt)
eval "set -- ${line#  bertc }"
"$BERTC" "$@" >again.txt || fail "the command does not run"
grep -q "of 2" again.txt || { cat again.txt; fail "another number of rows"; }
refuse() { "$BERTC" report "${@:3}" >out 2>err; local got=$?; [ $got -eq "$1" ] && grep -qF -- "$2" err ||
	{ cat err; fail "${*:3}: exit $got"; }; }
refuse 2 "no report" "$model" --data data.tsv
refuse 2 "no student" eight "$model" --data data.tsv
refuse 2 "report chooses the pipelines" order "$model" --data data.tsv --passes=O2
refuse 2 "expected 2 to 8 passes" order "$model" --data data.tsv --operators=quantize-int8
refuse 2 "leave out passes that every build runs" order "$model" --data data.tsv --operators=fuse,dce
refuse 3 "cannot open" order "$model" --data missing.tsv
refuse 2 "takes texts of" order "$model" --data data.tsv --seq 100000
echo "the sums of reports are correct"
