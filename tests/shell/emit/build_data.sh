# bertc build --data: the ledger, printed and in JSON, has the cost of each pass in score and time. The scores
# are those of bertc eval and are in --about. Otherwise the program is the same as without --data.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
paste <(cut -f1 "$SOURCE/examples/sentiment/sentences.txt") \
	<("$BERTC" run "$model" <"$SOURCE/examples/sentiment/sentences.txt" | cut -f1) >data.tsv
passes='drop-layers{layers=0},quantize-embeddings'
"$BERTC" build "$model" --passes="$passes" --data data.tsv --ledger=l.json -o prog >printed ||
	fail "build --data"
grep -q '^accuracy on data.tsv' printed || { cat printed; fail "the title of the table is missing"; }
grep -q 'score   points  ms/text    change$' printed || { cat printed; fail "no column of scores and times"; }
read -r first dropped last timed <<<"$(python3 - <<'PY'
import json
l = json.load(open("l.json")); rows = [l["start"]] + l["passes"]
assert all("score" in r and r["latency_ms"] > 0 for r in rows), rows
print(rows[0]["score"], rows[1]["score"], rows[-1]["score"], len(rows))
PY
)"
[ "$first" = 1.0 ] || fail "the model's own labels score $first"
scores=$("$BERTC" eval "$model" --passes="$passes" --data data.tsv --json | grep -o '"score": [0-9.]*' |
	tail -1 | cut -d' ' -f2)
awk -v a="$last" -v b="$scores" 'BEGIN { exit !(a - b < 1e-8 && b - a < 1e-8) }' ||
	fail "the ledger ends with $last, eval says $scores"
./prog --about | python3 -c 'import json, sys
l = json.load(sys.stdin)["ledger"]
assert all("score" in r for r in l), l
assert abs(l[-1]["score"] - '"$last"') < 1e-8, l' || fail "--about and the ledger have other scores"
# Without data: no scores, nothing printed. Two builds with data but without times give the same program.
"$BERTC" build "$model" --passes="$passes" -o plain >printed
[ ! -s printed ] || fail "a build without data prints a ledger"
! ./plain --about | grep -q '"score"' || fail "a program built without data has a score"
for i in 1 2; do "$BERTC" build "$model" --passes="$passes" --data data.tsv --limit 3 --no-latency --quiet \
	--name=p -o same$i >printed$i; done
cmp same1 same2 || fail "two builds differ"
[ ! -s printed1 ] || fail "--quiet prints"
cmp <(./same1 --ids --logits <<<"101 7 8 9 102") <(./plain --ids --logits <<<"101 7 8 9 102") ||
	fail "measuring changes the program"
status=0
"$BERTC" build "$model" --data nowhere.tsv -o none >/dev/null 2>&1 || status=$?
[ $status -eq 3 ] || fail "missing data: exit $status, expected 3"
[ ! -e none ] || fail "the refused build left a program"
