# bertc tune on a small model: the printed pipeline builds, and the program's --about has its score. A
# truncated journal or another number of processes gives the same result.
[ -n "$FULL" ] || { echo "takes minutes: ./check --full"; exit 77; }
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
awk 'BEGIN {
	split("good bad fine poor great awful", w, " ")
	for (i = 0; i < 36; i++)
		print "the film number " i " is " w[i % 6 + 1] "\t" (i % 2 ? "negative" : "positive")
}' >data.tsv
tune() { "$BERTC" tune "$model" --data data.tsv --max-drop 20 --candidates 6 --quiet "$@"; }
tune --jobs 2 --journal whole.txt --json all.json --svg all.svg -o tuned >one.txt ||
	fail "no winner (exit $?)"
grep -q '^bertc tune journal 3 ' whole.txt && grep -q '<svg' all.svg || fail "no journal or no chart"
head -c "$(($(stat -c %s whole.txt) * 2 / 3))" whole.txt >cut.txt
tune --jobs 1 --journal cut.txt --json again.json >two.txt ||
	fail "no winner with a truncated journal (exit $?)"
for file in all again; do
	python3 -c 'import json, sys
c = json.load(open(sys.argv[1]))["candidates"]
assert len(c) > 8 and any(x["built"] for x in c[1:]) and sum(x["winner"] for x in c) == 1
keys = "winner searched held points estimate estimate_error bytes faster predicted".split()
for x in c: print(x["pipeline"], *map(x.get, keys))' $file.json >$file.txt
done
cmp all.txt again.txt || { diff all.txt again.txt; fail "a truncated journal gives another result"; }
cmp whole.txt cut.txt || fail "the journals differ"
pipeline=$(tail -n 1 one.txt)
[ "$pipeline" = "$(tail -n 1 two.txt)" ] || fail "another pipeline: $(tail -n 1 two.txt)"
"$BERTC" eval "$model" --data data.tsv --passes="$pipeline" --json >eval.json ||
	fail "the printed pipeline does not build: $pipeline"
# the program contains the figures of eval
./tuned --about >about.json
python3 -c 'import json
about, tuned = json.load(open("about.json")), json.load(open("about.json"))["tuned"]
assert tuned["data"] == "data.tsv", tuned
assert tuned["metric"] == "accuracy", tuned
assert tuned["searched"]["rows"] == 24, tuned
assert tuned["held"]["rows"] == 12, tuned
plain, score = (sum(tuned[k][f] * tuned[k]["rows"] for k in ("searched", "held")) for f in ("fp32", "score"))
assert abs(tuned["points_lost"] - 100 * (plain - score) / 36) < 1e-9, tuned
assert tuned["interval"][0] <= tuned["points_lost"] <= tuned["interval"][1], tuned
assert tuned["points_lost"] <= 20, tuned
assert tuned["estimate"] <= 20, tuned
assert tuned["faster_by_cost"] > 1, tuned
assert tuned["bytes"] < tuned["fp32_bytes"], tuned
print(round(score), "of 36")' >figures.txt || { cat about.json; fail "--about has no such figures"; }
python3 -c 'import json
print(next(b["right"] for b in json.load(open("eval.json"))["builds"] if b["build"] != "fp32"), "of 36")' \
	>evaluated.txt || { cat eval.json; fail "eval"; }
cmp figures.txt evaluated.txt || { cat figures.txt evaluated.txt eval.json; fail "eval gives other figures"; }
status=0; tune --journal data.tsv >/dev/null 2>err.txt || status=$?
[ $status -eq 3 ] && grep -q 'is not a journal of this model' err.txt ||
	{ cat err.txt; fail "a file that is no journal was accepted (exit $status)"; }
