# bertc run, verify, eval and bench: what they print, and their exit codes.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
expect() { # STATUS PATTERN WORDS...: exit status, and something printed
	local want=$1 pattern=$2 status=0; shift 2
	"$@" >printed 2>&1 </dev/null || status=$?
	[ $status -eq "$want" ] || { cat printed; fail "exit $status, expected $want: $*"; }
	grep -q -- "$pattern" printed || { cat printed; fail "does not print \"$pattern\": $*"; }
}

# run: the program's output, its options after --, its exit status
"$BERTC" build tiny.bir -o prog
[ "$("$BERTC" run tiny.bir -- --ids '1 2 3')" = "$(./prog --ids '1 2 3')" ] ||
	fail "run: the answer differs from that of the program"
[ "$(echo 4 5 | "$BERTC" run tiny.bir -- --ids --logits)" = "$(echo 4 5 | ./prog --ids --logits)" ] ||
	fail "run: does not read standard input"
expect 1 'ids 0 to' "$BERTC" run tiny.bir -- --ids 99
expect 2 'no tokenizer' "$BERTC" run tiny.bir text
expect 3 'nowhere' "$BERTC" run nowhere.bir text
expect 2 'no model' "$BERTC" run

# verify: an equal program, then a program that differs
expect 0 '^logits  *[0-9.e-]*  ' "$BERTC" verify tiny.bir --min-cosine 0.99999 --max-abs 1e-4 --count 12
expect 0 '"pass": true' "$BERTC" verify tiny.bir --min-cosine 0.99999 --json --threads 2 --tokens 5
expect 2 'tokens=33: a text has at most 32 tokens; give at most 32' "$BERTC" verify tiny.bir --tokens 33
expect 5 'a requested limit is not met' "$BERTC" verify tiny.bir --max-abs 0
expect 0 'of 6' "$BERTC" verify tiny.bir --weights=bf16
expect 0 'of 4' "$BERTC" verify tiny.bir -O0 --count 4 --max-abs 1e-4
printf '{"ids": [1, 2, 3]}\n\n{"ids": [4, 59], "types": [0, 1]}\n' >data.jsonl
expect 0 '2 texts, 5 tokens' "$BERTC" verify tiny.bir --data data.jsonl --max-abs 1e-4
printf 'not json\n' >bad.jsonl
expect 3 'bad.jsonl:1: error' "$BERTC" verify tiny.bir --data bad.jsonl
echo words >words.txt
expect 3 'jsonl' "$BERTC" verify tiny.bir --data words.txt
expect 2 'expected a number' "$BERTC" verify tiny.bir --min-cosine high

# eval: models and data that it cannot score
printf 'sentence\tlabel\ngood\tpositive\n' >data.tsv
expect 4 'no tokenizer' "$BERTC" eval tiny.bir --data data.tsv
expect 2 'no data' "$BERTC" eval tiny.bir
printf 'nothing that\nis known\n' >odd.tsv
expect 3 'odd.tsv:1: error: unknown format' "$BERTC" eval tiny.bir --data odd.tsv
expect 3 'nowhere.tsv' "$BERTC" eval tiny.bir --data nowhere.tsv

# bench: a row for each length, batch and number of threads, in four formats
expect 0 '| tiny.bir  *|' "$BERTC" bench tiny.bir --seq 4,16 --repeat 2
[ "$(grep -c '^| tiny.bir' printed)" -eq 2 ] || { cat printed; fail "bench: expected 2 rows"; }
expect 0 '^tiny.bir,[0-9]*,' "$BERTC" bench tiny.bir --seq 4 --batch 1,3 --threads 1,2 --repeat 2 -o csv
[ "$(wc -l <printed)" -eq 5 ] || { cat printed; fail "bench -o csv: expected a head and 4 rows"; }
[ "$(awk -F, '{ print NF }' printed | sort -u)" = 16 ] ||
	{ cat printed; fail "bench -o csv: columns differ"; }
expect 0 '"p99_ms"' "$BERTC" bench tiny.bir tiny.bir --seq 4 --repeat 2 -o jsonl
[ "$(grep -c '^{.*"first_answer_ms".*"peak_rss_bytes".*}$' printed)" -eq 2 ] ||
	{ cat printed; fail "bench -o jsonl: expected 2 objects"; }
expect 2 'expected md' "$BERTC" bench tiny.bir -o xml
expect 2 'commas' "$BERTC" bench tiny.bir --seq 4,x
expect 1 'ended with 2' "$BERTC" bench tiny.bir --seq 9999
expect 3 'nowhere' "$BERTC" bench nowhere

if [ -n "${SHARED:-}" ]; then
	model=$SHARED/models/minilm-sst2
	printf 'it was a fine film\tpositive\nit was dull\tnegative\ndull , and worse\t0\n' >reviews.tsv
	expect 0 'accuracy  *1.0000 .*3 of 3' "$BERTC" eval "$model" --data reviews.tsv
	printf 'it was a fine film\tsplendid\n' >other.tsv
	expect 3 'other.tsv:1: error: label "splendid"' "$BERTC" eval "$model" --data other.tsv
	printf 'it was a fine film\tnegative\n' >wrong.tsv
	expect 5 'a requested limit is not met' "$BERTC" eval "$model" --data wrong.tsv --min-score 0.5
	expect 0 '"score": 1' "$BERTC" eval "$model" --data reviews.tsv --weights=bf16 --max-drop 1 --json
	[ "$(grep -o '"build"' printed | wc -l)" -eq 2 ] ||
		{ cat printed; fail "eval: expected fp32 beside bf16"; }
	printf '{"text": "a fine film", "ids": [101, 1037, 2986, 2143, 102]}\n' >golden.jsonl
	expect 0 'token ids identical: 1 of 1' "$BERTC" verify "$model" --data golden.jsonl --max-abs 1e-4
	printf '{"text": "a fine film", "ids": [101, 1037, 2986, 2144, 102]}\n' >golden.jsonl
	expect 5 'token 3 is 2143, expected 2144' "$BERTC" verify "$model" --data golden.jsonl
fi
left=$(ls "$TMP" | sort | tr '\n' ' ' | tr ' ' '\n' | grep -E '^bertc|^tmp' || true)
[ -z "$left" ] || fail "left behind: $left"
"$BERTC" bench nowhere.bir >rows.md 2>/dev/null || [ ! -s rows.md ] ||
	fail "bench: a table without rows: $(cat rows.md)"
for runs in 1 2 5; do
	./prog --bench --seq 8 --repeat $runs --json | sed \
		's/.*"min_ms": \(.*\), "median_ms": \(.*\), "p90_ms": \(.*\), "p99_ms": \([0-9.]*\).*/\1 \2 \3 \4/' \
		| awk '{ if (!($1 <= $2 && $2 <= $3 && $3 <= $4)) exit 1 }' ||
		fail "bench: percentiles of $runs runs out of order"
done
echo ok
