# Options of every command that are missing, not a number, not a choice, or given too often. All are usage
# errors.
fail() { echo "$*"; exit 1; }
refuse() { # PATTERN WORDS...: checks exit 2 and the message
	local pattern=$1 status=0; shift
	"$BERTC" "$@" >printed 2>&1 </dev/null || status=$?
	[ $status -eq 2 ] || { cat printed; fail "exit $status, expected 2: $*"; }
	grep -qF -- "$pattern" printed || { cat printed; fail "does not print \"$pattern\": $*"; }
}

# no model: one text for all commands
"$BERTC" build >model.txt 2>&1 && fail "build: exit 0"
wanted=$(sed -n 's/^.*: no model: give/no model: give/p' model.txt)
[ -n "$wanted" ] || { cat model.txt; fail "build: does not say that there is no model"; }
for command in run verify eval tune inspect bench rank-neurons rank-heads 'report eight'; do
	# shellcheck disable=SC2086 # two words
	refuse "$wanted" $command
done
refuse 'no report' report
refuse 'no directory' describe
refuse 'one model at a time: b after a' build a b
refuse 'one graph at a time: b after a' opt a b

# required options
for command in eval tune rank-neurons rank-heads 'report order'; do
	# shellcheck disable=SC2086
	refuse 'no data: give --data FILE' $command model
done
refuse 'no result: give -o OUT' build model
refuse 'no result: give -o REPORT.html' inspect model

# numbers: whole, and within limits
refuse '--limit=2.5: expected a whole number from 1 to 1073741824' eval model --limit 2.5
refuse '--limit=0: expected a whole number' rank-heads model --limit 0
refuse '--max-tokens=x: expected a whole number from 1 to' build model -o out --max-tokens x
refuse '--threads=1e9: expected a whole number from 1 to 256' verify model --threads 1e9
refuse '--max-drop=101: expected a number from 0 to 100' tune model --max-drop=101
refuse '-O 4: expected a whole number from 0 to 3' build model -o out -O4
refuse '-O 4: expected a whole number from 0 to 3' opt graph.bir -O4
refuse '--seq=4,x: expected up to 16 numbers from 1 to 1048576' bench model --seq 4,x

# choices
refuse '--emit=zip: expected exe, lib, shared, obj, c, bir or checkpoint' build model -o out --emit=zip
refuse '--weights=f64: expected f32, f16 or bf16' verify model --weights=f64
refuse '--prefer=fast: expected both, speed or size' tune model --prefer=fast

# options that may be repeated
many=()
for i in {1..17}; do many+=("--search=$i"); done
refuse '--search may be given 15 times at most' build model -o out "${many[@]}"
refuse '--search may be given 16 times at most' opt graph.bir "${many[@]}"
