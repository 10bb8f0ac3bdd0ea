# The panels of heads, neurons and exits have the same figures as rank-heads, rank-neurons and `eval --curve`.
# Bad files are refused.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
sentiment_texts 40 7 >texts
"$BERTC" build "$model" --quiet -o plain && paste texts <(./plain <texts | cut -f1) >data.tsv ||
	fail "no data"
# tags of words: whether they express a judgement; one tag contains markup
for i in $(seq 0 29); do
	for j in 0 1 2 3 4; do
		word=${judging[(i * 5 + j * j * 7 + i / 4) % 12]}
		case $word in good | great | fun) tag=B-GOOD ;; bad | dull) tag='B-</script><b>' ;; *) tag=O ;; esac
		printf '%s\t%s\n' "$word" "$tag"
	done
	echo
done >tags.conll
exits="early-exit{data=$PWD/data.tsv l2=0.1 max-drop=50},O2"
"$BERTC" inspect "$model" --quiet --no-latency --passes="$exits" --data data.tsv --conll tags.conll \
	--limit 25 -o page.html || fail "inspect"
[ "$(python3 "$SOURCE/tests/browser/wellformed.py" page.html)" = \
	"model layers neurons ledger columns code exits" ] || fail "the page has other blocks"
"$BERTC" rank-heads "$model" --data data.tsv --limit 25 --json >heads.json || fail "rank-heads"
"$BERTC" rank-neurons "$model" --data tags.conll --limit 25 --json >neurons.json || fail "rank-neurons"
"$BERTC" eval "$model" --data data.tsv --limit 25 --passes="$exits" --curve --json >curve.json ||
	fail "eval --curve"
python3 - <<'P' || fail "the panels have other figures"
import json, re
blocks = {n: json.loads(t) for n, t in re.findall(r'id="data-([a-z]+)">([^<]*)<', open("page.html").read())}
near = lambda a, b: abs(a - b) <= 2e-6 * max(1, abs(b))
layers, heads = blocks["layers"], json.load(open("heads.json"))
assert layers["importance_by"] == heads["by"] == "activation" and layers["texts"] == 25
for h in heads["heads"]:
    layer = next(l for l in layers["layers"] if l["number"] == h["layer"])
    for key in ("entropy", "distance", "importance"):
        assert near(layer[key][h["head"]], h[key]), (key, h, layer[key])
assert sum(len(l["entropy"]) for l in layers["layers"]) == len(heads["heads"]) == 36
page, told = blocks["neurons"], json.load(open("neurons.json")); width = page["width"]
assert page["words"] == told["words"] == 125
assert page["data"] == "tags.conll"
assert page["layers"] == [0, 1, 2]
assert page["all_tags"] == 3
assert page["tags"] == ["O", "B-</script><b>", "B-GOOD"], page["tag_words"]
assert sorted(page["tag_words"], reverse=True) == page["tag_words"], page["tag_words"]
assert sum(page["tag_words"]) == 125, page["tag_words"]
assert page["order"] == [n["layer"] * width + n["neuron"] for n in told["neurons"]]
assert near(page["accuracy"], told["accuracy"])
assert len(page["parts"]) == 4
assert all(near(a[k], b[k]) for a, b in zip(page["parts"], told["parts"]) for k in a)
assert near(page["largest"], max(n["salience"] for n in told["neurons"]))
assert max(abs(w) for tag in page["weights"] for w in tag) == 100
for n in told["neurons"]:
    for k, tag in enumerate(told["tags"]):
        shown = page["weights"][page["tags"].index(tag)][n["layer"] * width + n["neuron"]]
        assert abs(shown - 100 * n["weights"][k] / page["largest"]) <= .5001, n
assert page["tenth"] == \
    [sum(n // width == l for n in page["order"][:len(page["order"]) // 10]) for l in range(3)]
page, told = blocks["exits"], json.load(open("curve.json"))["builds"][-1]["curve"]
assert page["texts"] == 25
assert near(page["default"], told["default"])
assert len(page["points"]) == len(told["points"]) > 10
assert "energy" not in page
for a, b in zip(page["points"], told["points"]):
    assert set(a) == {"exit_entropy", "layers", "work", "score"}, (a, b)
    assert all(near(a[k], b[k]) for k in a), (a, b)
    assert b["ms"] > 0, (a, b)
assert page["points"][0]["layers"] == 3 > page["points"][-1]["layers"] == 1
P
"$BERTC" inspect "$model" --quiet --passes="$exits" --data data.tsv --limit 5 -o timed.html ||
	fail "inspect with times"
python3 -c "import json,re
x = json.loads(re.search(r'id=\"data-exits\">([^<]*)<', open('timed.html').read())[1])
assert all(p['ms'] > 0 and p['speed_up'] > 0 for p in x['points']) and x['energy']" ||
	fail "no times of exits"
"$BERTC" inspect "$model" --quiet --passes="$exits" -o bare.html || fail "inspect without data"
python3 -c "import json,re
b = dict(re.findall(r'id=\"data-([a-z]+)\">([^<]*)<', open('bare.html').read()))
assert not {'exits', 'neurons'} & set(b)
assert json.loads(b['layers'])['importance_by'] == 'magnitude'" || fail "the page has panels that need data"

tiny tiny
"$BERTC" inspect tiny.bir --quiet --conll tags.conll -o tiny.html || fail "a model without tokenizer"
grep -q 'cannot be run on words' tiny.html || fail "the page lacks the reason for missing neurons"
expect 3 "$BERTC" inspect "$model" --conll none.conll -o x.html; says "none.conll"
expect 3 "$BERTC" inspect "$model" --conll data.tsv -o x.html; says "expected CoNLL"
printf 'a\tO\nb\tO\n\n' >one.conll
expect 3 "$BERTC" inspect "$model" --conll one.conll -o x.html; says "expected at least two tags"
[ ! -e x.html ] || fail "a failed run left a page"
