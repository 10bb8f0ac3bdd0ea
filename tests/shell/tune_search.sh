# bertc tune on a small model: the pipeline it prints builds, and a journal that was cut off leads to the same result.
[ -n "$FULL" ] || { echo "takes minutes: ./check --full"; exit 77; }
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
awk 'BEGIN { split("good bad fine poor great awful", w, " "); for (i = 0; i < 36; i++) print "the film number " i " is " w[i % 6 + 1] "\t" (i % 2 ? "negative" : "positive") }' >data.tsv
tune() { "$BERTC" tune "$model" --data data.tsv --max-drop 20 --candidates 8 --quiet "$@"; }
tune --journal whole.txt --json all.json --svg all.svg >one.txt || [ $? -eq 5 ]
grep -q '^bertc tune journal 1 ' whole.txt && grep -q '<svg' all.svg || fail "no journal or no chart"
head -c "$(($(stat -c %s whole.txt) * 2 / 3))" whole.txt >cut.txt
tune --journal cut.txt --json again.json >two.txt || [ $? -eq 5 ]
for file in all again; do
	python3 -c 'import json, sys
c = json.load(open(sys.argv[1]))["candidates"]
assert len(c) > 8 and any(x["built"] for x in c[1:])
for x in c: print(x["pipeline"], x["winner"], x.get("searched"), x.get("held"), x.get("bytes"))' $file.json >$file.txt
done
cmp all.txt again.txt || fail "a journal that was cut off leads elsewhere"
pipeline=$(tail -n 1 one.txt)
"$BERTC" eval "$model" --data data.tsv --passes="$pipeline" >/dev/null || fail "the pipeline printed does not build: $pipeline"
status=0; tune --journal data.tsv >/dev/null 2>err.txt || status=$?
[ $status -eq 3 ] && grep -q 'is no journal of this model' err.txt || { cat err.txt; fail "another file was taken for a journal (exit $status)"; }
