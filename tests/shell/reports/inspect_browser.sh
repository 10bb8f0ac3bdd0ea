# The page of `bertc inspect` in headless Chromium, which ./check installs: clicks, keys, dark mode, narrow
# windows, no errors, no requests.
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || [ -n "${CHROMIUM-}" ] ||
	{ echo "no Chromium"; exit 77; }
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
"$BERTC" inspect "$model" --passes='drop-layers{layers=0,2},quantize-int8' --quiet -o small.html
for i in 1 2 3 4 5 6; do printf \
	'a dull film\tnegative\na great film\tpositive\nnot bad at all, really\tpositive\n'; done >data.tsv
for i in 1 2 3 4 5 6; do printf \
	'a\tO\ndull\tB-BAD\nfilm\tO\n\na\tO\ngreat\tB-<img/src=x/onerror=document.title=3>\n\n'; done >tags.conll
"$BERTC" inspect "$model" --passes="early-exit{data=$PWD/data.tsv l2=0.1 max-drop=50},O2" --data data.tsv \
	--conll tags.conll --quiet -o panels.html
tiny tiny
sed -e 's|"negative"|"</script><script>document.title=1</script>"|' \
	-e 's|"positive"|"<img src=x onerror=document.title=2>"|' \
	-e 's|# layer.0.attention.query|# layer.0.<b>x</b>|' tiny.bir >hostile.bir
"$BERTC" inspect hostile.bir --quiet -o hostile.html
python3 "$SOURCE/tests/browser/inspect.py" small.html hostile.html panels.html
if [ -n "$SHARED" ]; then
	"$BERTC" inspect "$SHARED/models/minilm-sst2" --quiet --passes=quantize-int8 -o minilm.html
	[ "$(stat -c %s minilm.html)" -le 5000000 ] ||
		fail "the page of minilm-sst2 has $(stat -c %s minilm.html) bytes"
	limit=4000; [ -z "${FULL-}" ] || limit=1000 # ms; beside other tests it takes longer than alone
	python3 "$SOURCE/tests/browser/inspect.py" --time "$limit" minilm.html
fi
