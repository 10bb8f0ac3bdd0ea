# A line longer than 64 MiB is reported as soon as it exceeds the limit, because its end may never come. The
# rest of it is skipped; the next line is answered.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
"$BERTC" build tiny.bir --cpu=baseline -o prog

long() { head -c $((1 << 26 | 1 << 18)) /dev/zero | tr '\0' 1; }
mkfifo pipe
./prog --ids <pipe >answer 2>complaint & program=$!
exec 3>pipe
long >&3
for _ in $(seq 600); do [ ! -s complaint ] || break; sleep 0.05; done
grep -q '<stdin>:1: error: a line of more than 67108864 bytes' complaint ||
	fail "no message about the long line: $(cat complaint)"
printf '1111\n1 2 3\n' >&3
exec 3>&-
status=0; wait $program || status=$?
[ $status -eq 1 ] || fail "exit $status"
[ "$(wc -l <answer)" -eq 1 ] || fail "$(wc -l <answer) answers"
[ "$(wc -l <complaint)" -eq 1 ] || fail "more than one message: $(cat complaint)"

# the compiler reads a graph from standard input, here with an endless comment
mkfifo graph
"$BERTC" opt - --passes= <graph >answer 2>complaint & compiler=$!
exec 3>graph
{ printf '#'; long; } >&3 2>/dev/null || true
status=0; wait $compiler || status=$?
exec 3>&-
[ $status -eq 3 ] || fail "opt: exit $status"
grep -q '<stdin>: error: more than 67108864 bytes of text' complaint ||
	fail "no message about the long line: $(cat complaint)"
