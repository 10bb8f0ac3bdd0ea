# bertc tune reports errors before the search, which takes minutes: data that cannot be scored, results that
# cannot be written.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
awk 'BEGIN { for (i = 0; i < 12; i++) print "the film number " i "\t" (i % 2 ? "negative" : "positive") }' \
	>data.tsv
refuse() { # STATUS TEXT ARGUMENTS: exits with it in two seconds, prints the text once
	local status=$1 text=$2 got=0; shift 2
	timeout 60 "$BERTC" tune "$model" --quiet "$@" >out.txt 2>err.txt || got=$?
	[ $got -eq "$status" ] || { cat err.txt; fail "$*: exit $got, expected $status"; }
	grep -qF -- "$text" err.txt || { cat err.txt; fail "$*: the message lacks: $text"; }
	[ ! -s out.txt ] && [ "$(grep -c error: err.txt)" -le 1 ] ||
		{ cat out.txt err.txt; fail "$*: prints more than the error"; }
}
sed '7s/\t.*/\tlukewarm/' data.tsv >unknown.tsv
refuse 3 'unknown.tsv:7: error: label "lukewarm"' --data unknown.tsv
: >empty.tsv; refuse 3 'has no rows' --data empty.tsv
head -n 1 data.tsv >one.tsv; refuse 3 'too few; expected at least 3' --data one.tsv
refuse 1 'nowhere/program: error: cannot be written' --data data.tsv -o nowhere/program
refuse 1 'nowhere/all.json: error: cannot be written' --data data.tsv --json nowhere/all.json
refuse 1 'nowhere/all.svg: error: cannot be written' --data data.tsv --svg nowhere/all.svg
refuse 2 'is a file of the model' --data data.tsv -o "$model/config.json"
refuse 2 'expected both, speed or size' --data data.tsv --prefer fast
refuse 2 'expected a number from 0 to 100' --data data.tsv --max-drop nan
