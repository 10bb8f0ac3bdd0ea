#!/usr/bin/env bash
# --help of every command, `bertc passes` for every pass, and --help of a program fit 80 columns. No example
# is wrapped: its lines are indented.
. "$SOURCE/tests/shell/emit_common.inc"
export COLUMNS=200 # what is wide shows as such
tiny tiny
"$BERTC" build tiny.bir --quiet -o prog
"$BERTC" build "$SOURCE/examples/tagger/model" --cpu=baseline --quiet -o tagger
"$BERTC" build "$SOURCE/examples/capitals/qa" --cpu=baseline --quiet -o qa
commands=$("$BERTC" --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 15 ] || fail "--help lists $(wc -w <<<"$commands") commands"
{
	"$BERTC" --help
	for command in $commands; do "$BERTC" $command --help && echo; done
	"$BERTC" passes
	passes=$("$BERTC" passes | awk 'BEGIN { RS = "" } NR == 2')
	for pass in $(sed -n 's/^  \([a-z0-9-]*\) .*/\1/p' <<<"$passes"); do "$BERTC" passes $pass && echo; done
	./prog --help && ./tagger --help && ./qa --help
} >help.txt || fail "--help exits with $?"
! awk 'length($0) > 80 { print length($0) ": " $0; wide = 1 } END { exit !wide }' help.txt || fail "too wide"
! awk '!/^ / { if (examples && /./) { print; wrapped = 1 }
	examples = /^Examples?:/ } END { exit !wrapped }' help.txt || fail "an example is wrapped"
echo "$(wc -l <help.txt) lines"
