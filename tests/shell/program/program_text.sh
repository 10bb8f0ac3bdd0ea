# Emitted programs on text, with the models of $SHARED: lines, pairs, limits, windows, spans, memory, and the
# time to the first answer.
set -eu
fail() { echo "$*"; exit 1; }
[ -n "${SHARED:-}" ] || { echo "no shared models beside the repository"; exit 77; }
"$BERTC" build "$SHARED/models/minilm-sst2" -o sst2 --quiet
[ "$(printf 'a gripping, beautifully shot film' | ./sst2 | cut -f1)" = positive ] ||
	fail "$(printf 'a gripping, beautifully shot film' | ./sst2)"

# lines: a CR before LF is dropped, an empty line gives an answer, the last line needs no LF
printf 'good\r\n\nbad' >lines.txt
./sst2 <lines.txt >plain.txt
[ "$(wc -l <plain.txt)" -eq 3 ] || { cat plain.txt; fail "expected 3 answers"; }
[ "$(head -n 1 plain.txt)" = "$(./sst2 good)" ] || fail "CR before LF is not dropped"
[ "$(sed -n 2p plain.txt)" = "$(./sst2 '')" ] || fail "an empty line and an empty argument differ"
label='"label": "\(negative\|positive\)", "score": [0-9.e-]*'
scores='"scores": {"negative": [0-9.e-]*, "positive": [0-9.e-]*}'
[ "$(./sst2 --json <lines.txt | grep -c "^{$label, $scores}$")" -eq 3 ] ||
	fail "--json: $(./sst2 --json <lines.txt)"

# --ids reads the output of --tokenize
printf 'a gripping, beautifully shot film\n\nna\xc3\xafve \xe4\xb8\xad\xe6\x96\x87\n' >texts.txt
[ "$(head -n 1 texts.txt | ./sst2 --tokenize)" = "101 1037 13940 1010 17950 2915 2143 102" ] ||
	fail "--tokenize: $(head -n 1 texts.txt | ./sst2 --tokenize)"
./sst2 --logits <texts.txt >want.txt
./sst2 --tokenize <texts.txt | ./sst2 --ids --logits | cmp - want.txt ||
	fail "--ids does not read the output of --tokenize"
for options in "--batch 2" "--threads 2" "--batch 8 --threads 3"; do
	./sst2 --logits $options <texts.txt | cmp - want.txt || fail "$options gives other bytes"
done

# invalid UTF-8 is replaced, or an error under --strict
status=0
printf 'fine\nbro\xffken\nfine\n' | ./sst2 --strict >out.txt 2>err || status=$?
[ $status -eq 1 ] && [ "$(wc -l <out.txt)" -eq 2 ] && grep -q '^<stdin>:2: error: invalid UTF-8' err ||
	{ cat err; fail "--strict: exit $status"; }
[ "$(printf 'bro\xffken\n' | ./sst2 --logits)" = "$(printf 'bro\xef\xbf\xbdken\n' | ./sst2 --logits)" ] ||
	fail "invalid UTF-8 is not taken as U+FFFD"
status=0
./sst2 --hidden good >/dev/null 2>err || status=$?
[ $status -eq 4 ] && grep -q 'outputs=hidden' err || fail "--hidden without hidden rows: exit $status"

# texts longer than the limit
awk 'BEGIN { for (i = 0; i < 700; i++) printf "%s ", i % 3 ? "wonderful" : "film"; print "" }' >long.txt
./sst2 <long.txt >/dev/null 2>err || fail "a long text"
grep -q '^<stdin>:1: note: 702 tokens, cut to 512$' err || { cat err; fail "no note about a cut text"; }
[ "$(./sst2 --on-overflow window --json <long.txt | sed 's/.*"windows": \([0-9]*\)}/\1/')" = 2 ] ||
	fail "windows: $(./sst2 --on-overflow window --json <long.txt)"
./sst2 --on-overflow error <long.txt >/dev/null 2>&1 && fail "--on-overflow error lets a long text pass"

# memory without the mapped weights, and time from start to first answer (minimum of several runs, because the
# machine may be busy)
cat >measure.py <<'PY'
import os, subprocess, sys, time
best, peak = 1e9, 0
for _ in range(12):
    began = time.perf_counter()
    p = subprocess.Popen(["./sst2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write(b"a gripping, beautifully shot film\n"); p.stdin.flush(); p.stdout.readline()
    best = min(best, time.perf_counter() - began)
    status = dict(l.split(":", 1) for l in open(f"/proc/{p.pid}/status"))
    peak = max(peak, int(status["RssAnon"].split()[0]))
    p.stdin.write(b"word " * 510 + b"\n"); p.stdin.flush(); p.stdout.readline()
    status = dict(l.split(":", 1) for l in open(f"/proc/{p.pid}/status"))
    peak = max(peak, int(status["RssAnon"].split()[0]))
    p.stdin.close(); p.wait()
print(f"first answer after {best * 1e3:.1f} ms; {peak / 1024:.1f} MB of memory besides the file")
sys.exit(best > 0.060 or peak > 16 * 1024)   # an idle machine needs at most 15 ms
PY
if command -v python3 >/dev/null; then python3 measure.py || fail "too slow to start, or too much memory"; fi

# tags: whole words, offsets in bytes, the mean of windows
"$BERTC" build "$SHARED/models/minilm-ncbi" -o ncbi --quiet
text='Patients with naïve ataxia-telangiectasia and Wiskott-Aldrich syndrome were seen.'
printf '%s\n\n' "$text" >tags.txt
./ncbi <tags.txt >spans.txt
[ "$(grep -c '^$' spans.txt)" -eq 2 ] || fail "no blank line after each text"
grep -q "	Disease	.*	Wiskott-Aldrich syndrome$" spans.txt ||
	{ cat spans.txt; fail "the span is missing"; }
while IFS=$'\t' read -r start end label score words; do
	[ -n "$start" ] || continue
	[ "$(printf %s "$text" | head -c "$end" | tail -c +$((start + 1)))" = "$words" ] ||
		fail "offsets $start $end do not cut out \"$words\""
done <spans.txt
printf 'good\tbad\nfine\n' | ./ncbi >/dev/null 2>err && fail "a tagger accepts a line with a tab"
grep -q '^<stdin>:1: error: the line has a tab' err || { cat err; fail "no message about the tab"; }
[ "$(./ncbi --tokens 'ataxia is bad' | grep -c '	')" -eq 3 ] ||
	fail "--tokens does not print one line per word"
# a text of many windows: every mention is found, in order and in full
awk 'BEGIN {
	for (i = 0; i < 60; i++)
		printf "patient %d had colorectal cancer and was treated at home for some weeks . ", i
	print ""
}' >long.txt
./ncbi --on-overflow window <long.txt >spans.txt
[ "$(grep -c '	Disease	.*	colorectal cancer$' spans.txt)" -eq 60 ] ||
	{ cat spans.txt; fail "windows lose or cut mentions"; }
cut -f1 spans.txt | grep . | sort -nc || fail "spans of windows are not in order"
echo ok
