# The inspector's page in headless Chromium: clicks, keys, dark, narrow, no error, no request.  `./check --full` installs it.
command -v chromium >/dev/null || [ -n "${CHROMIUM-}" ] || { echo "no Chromium"; exit 77; }
. "$SOURCE/tests/shell/emit_common.inc"
"$BERTC" inspect "$SOURCE/examples/sentiment/model" --passes='drop-layers{layers=0,2},quantize-int8' --quiet -o small.html
tiny tiny
sed -e 's|"negative"|"</script><script>document.title=1</script>"|; s|"positive"|"<img src=x onerror=document.title=2>"|; s|# layer.0.attention.query|# layer.0.<b>x</b>|' tiny.bir >hostile.bir
"$BERTC" inspect hostile.bir --quiet -o hostile.html
python3 "$SOURCE/tests/browser/inspect.py" small.html hostile.html
if [ -n "$SHARED" ]; then
	"$BERTC" inspect "$SHARED/models/minilm-sst2" --quiet --passes=quantize-int8 -o minilm.html
	[ "$(stat -c %s minilm.html)" -le 5000000 ] || fail "the page of minilm-sst2 has $(stat -c %s minilm.html) bytes"
	python3 "$SOURCE/tests/browser/inspect.py" --time 1000 minilm.html
fi
