# The page of `bertc inspect` without a browser: the same bytes every time, well-formed HTML, all blocks, no
# markup from a hostile model. And the ledger: JSON, in the program, with scores. inspect_browser.sh tests the
# page in Chromium.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
page() { "$BERTC" inspect "$@" >said 2>messages || { cat said messages; fail "inspect $*: exit $?"; }; }
json() { # PAGE EXPRESSION: prints its value; b: blocks of the page, t: tokens, p: passes
	python3 - "$1" "$2" <<'PY'
import json, re, sys
page = open(sys.argv[1]).read()
b = {n: json.loads(t) for n, t in re.findall(r'id="data-([a-z]+)">([^<]*)<', page)}
print(eval(sys.argv[2], {"b": b, "t": len(b["layers"].get("tokens", [])), "p": b["ledger"]["passes"]}))
PY
}

page "$model" --passes='drop-layers{layers=0,2},quantize-int8' --cpu=baseline -o one.html --ledger=ledger.json
page "$model" --passes='drop-layers{layers=0,2},quantize-int8' --cpu=baseline -o two.html
cmp one.html two.html || fail "two pages of one model differ"
[ "$(python3 "$SOURCE/tests/browser/wellformed.py" one.html)" = "model layers ledger columns code" ] ||
	fail "the page has other blocks"
grep -qF "$SOURCE" one.html && fail "the page names a folder of this machine"
[ "$(ls)" = "$(printf '%s\n' ledger.json messages one.html said two.html)" ] ||
	{ ls; fail "temporary files are left"; }
[ "$(json one.html "[i for c in b['columns'] for i in c['passes']] == list(range(-1, len(p)))")" = True ] ||
	fail "not every pass is in one column"
[ "$(json one.html "len(b['columns']) < len(b['ledger']['passes'])")" = True ] ||
	fail "unchanged passes are not merged"
[ "$(json one.html "any('linear_i8' in l for l in b['code']['functions'][0])")" = True ] ||
	fail "no C of this model"
heads="[h for l in b['layers']['layers'] for h in l['heads']]"
[ "$(json one.html "all(abs(sum(h) - 1) < 1e-5 for h in $heads)")" = True ] ||
	fail "attention does not sum to 1"
[ "$(json one.html "[len(l['heads']) for l in b['layers']['layers']]")" = "[12, 12, 12]" ] ||
	fail "not twelve heads in each of three layers"
[ "$(json one.html "all(-1 <= l['without'] <= 1 for l in b['layers']['layers'])")" = True ] ||
	fail "no sensitivity"
maps="[m for l in b['layers']['layers'] for m in l['map']]"
[ "$(json one.html "all(len(m) == t * t for m in $maps)")" = True ] || fail "a map of another size"
sums="[sum(m[i:i + t]) for m in $maps for i in range(0, len(m), t)]"
[ "$(json one.html "all(95 <= s <= 105 for s in $sums)")" = True ] ||
	fail "a map is not the probabilities of one text"
[ "$(json one.html "b['ledger']['start']['parameters'] > b['ledger']['passes'][0]['parameters']")" = True ] ||
	fail "dropping layers drops no parameters"
python3 -c "import json; l = json.load(open('ledger.json')); first = l['passes'][0]
assert l['start']['nodes'] > 0 and first['pass'].startswith('drop-layers') and 'cosine' in first" ||
	fail "--ledger"

# the ledger in the program does not depend on the clock and on build options
"$BERTC" build "$model" --passes='drop-layers{layers=0,2},quantize-int8' --cpu=baseline --quiet -o prog
"$BERTC" build "$model" --passes='drop-layers{layers=0,2},quantize-int8' --cpu=baseline --quiet --check-each \
	--ledger=second.json --name=prog -o again
cmp prog again || fail "--check-each or --ledger changes the program"
./prog --about | grep -q '"pass": "drop-layers{layers=0,2}"' ||
	{ ./prog --about; fail "--about has no ledger"; }

# with labelled data: scores, times, file names without directories
printf '%s\t%s\n' 'a wonderful, moving film' positive 'dull and far too long' negative \
	'I would watch it again at once' positive >data.tsv
page "$model" --passes='drop-layers{layers=0,2}' --cpu=baseline --data "$PWD/data.tsv" -o scored.html \
	--ledger=scored.json
[ "$(json scored.html "b['ledger']['metric'] + ' of ' + b['model']['data']")" = "accuracy of data.tsv" ] ||
	fail "no metric or no data"
scored="all(0 <= r['score'] <= 1 and r['latency_ms'] > 0 for r in [b['ledger']['start']] + p)"
[ "$(json scored.html "$scored")" = True ] || fail "no score or no latency"
grep -qF "$PWD" scored.html && fail "the page names the folder of its data"
grep -q 'points  ms/text' said || { cat said; fail "the printed ledger has no scores"; }
head -n 1 data.tsv >one.tsv
page "$model" -O0 --cpu=baseline --data one.tsv --no-latency -o quiet.html
page "$model" -O0 --cpu=baseline --data one.tsv --no-latency -o quiet2.html
cmp quiet.html quiet2.html || fail "--no-latency leaves a time in the page"

# for a single text, the shares of attention by distance match its attention map
python3 - quiet.html <<'PY' || fail "shares and map of one text differ"
import json, re, sys
data = json.loads(re.search(r'id="data-layers">([^<]*)<', open(sys.argv[1]).read())[1])
tokens = data["tokens"]; n = len(tokens); special = {"[CLS]": 0, "[SEP]": 1}
def kind(q, k):
    if tokens[k] in special: return special[tokens[k]]
    return {0: 2, -1: 3, 1: 4}.get(k - q, 5 if abs(k - q) <= 4 else 6)
assert data["texts"] == 1 and n > 6
for layer in data["layers"]:
    for mass, cells in zip(layer["heads"], layer["map"]):
        sums = [0] * 7
        for i, cell in enumerate(cells): sums[kind(i // n, i % n)] += cell / 100 / n
        assert max(abs(a - b) for a, b in zip(sums, mass)) < .03, (mass, sums)
PY

# a hostile model: labels, tensor and part names with markup; no tokenizer
tiny tiny
sed -e 's|"negative"|"</script><script>alert(1)</script>"|' \
	-e 's|"positive"|"<!--<img src=x onerror=alert(2)>"|' \
	-e 's|# layer.0.attention.query|# layer.0.</script><b onclick=alert(3)>|' tiny.bir >hostile.bir
grep -q 'alert(3)' hostile.bir || fail "the hostile model contains no script"
page hostile.bir --cpu=baseline -o hostile.html
[ "$(python3 "$SOURCE/tests/browser/wellformed.py" hostile.html)" = "model layers ledger columns code" ] ||
	fail "a hostile model breaks the page"
[ "$(json hostile.html "b['model']['heads'][0]['labels'][0]")" = "</script><script>alert(1)</script>" ] ||
	fail "a label was changed"
[ "$(json hostile.html "'tokenizer' in b['layers']['why']")" = True ] ||
	fail "the page lacks the reason for missing layers"

expect 2 "$BERTC" inspect "$model"; says "give -o REPORT.html"
expect 2 "$BERTC" inspect "$model" --emit=lib -o x.html; says "bertc build"
expect 3 "$BERTC" inspect "$model" --data none.tsv -o x.html; says "none.tsv"
expect 2 "$BERTC" inspect "$model" --passes=no-such -o x.html; says "no-such"
[ ! -e x.html ] || fail "a failed run left a page"
