# A signal ends a build with status 128 + its number. No partial file is left, and no compiler keeps running.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
mkdir result tmp
export TMPDIR=$PWD/tmp
cat >slow <<'SH'
#!/bin/sh
echo $$ >worker.new && mv worker.new worker
for last; do :; done
exec sleep 100
SH
chmod +x slow

wait_for() { for _ in $(seq 1000); do "$@" && return; sleep 0.02; done; fail "not within 20 s: $*"; }
ended() { ! kill -0 "$1" 2>/dev/null; }
nothing_left() {
	[ -z "$(ls -A result)" ] || fail "$1 left $(ls -A result)"
	[ -z "$(ls -A tmp)" ] || fail "$1 left $(ls -A tmp) in TMPDIR"
}

ends_with() { # SIGNAL STATUS: while another compiler works
	rm -f worker
	env --default-signal=HUP "$BERTC" build tiny.bir --cpu=baseline --cc="$PWD/slow" -o result/tiny \
		2>/dev/null & child=$!
	wait_for test -s worker
	kill -"$1" $child
	status=0; wait $child || status=$?
	[ $status -eq "$2" ] || fail "SIG$1: exit $status, expected $2"
	wait_for ended "$(cat worker)"
	nothing_left "SIG$1"
}
ends_with INT 130
ends_with TERM 143
ends_with HUP 129
ends_with QUIT 131
ends_with PIPE 141

# while the built-in Clang compiles; a build that has finished by then has written its result, which is whole
for signal in TERM HUP QUIT; do
	for delay in 0.05 0.3; do
		env --default-signal=HUP "$BERTC" build tiny.bir --cpu=baseline --no-cache -o result/tiny & child=$!
		sleep $delay
		kill -$signal $child 2>/dev/null || true
		status=0; wait $child || status=$?
		case $status in 0 | 129 | 131 | 143) ;; *) fail "SIG$signal after $delay s: exit $status" ;; esac
		[ ! -e result/tiny ] || result/tiny --ids <<<"1 2 3" >/dev/null ||
			fail "SIG$signal after $delay s left a part of a program"
		[ $status -ne 0 ] || [ -e result/tiny ] || fail "exit 0 without a result"
		rm -f result/tiny
		nothing_left "SIG$signal after $delay s"
	done
done

# nohup: the end of the terminal does not end the build
cat >resting <<'SH'
#!/bin/sh
[ -e hung ] || { touch working; while [ ! -e hung ]; do sleep 0.02; done; }
exec gcc "$@"
SH
chmod +x resting
nohup "$BERTC" build tiny.bir --cpu=baseline --cc="$PWD/resting" -o result/tiny >/dev/null 2>&1 & child=$!
wait_for test -e working
kill -HUP $child
touch hung
wait $child
result/tiny --ids <<<"1 2 3" >/dev/null
rm result/tiny

# `run`: the program ends with it
mkfifo stdin
"$BERTC" run tiny.bir --cpu=baseline -- --ids <stdin >answer & child=$!
exec 3>stdin
echo 1 2 3 >&3
wait_for test -s answer
program=$(cat /proc/$child/task/$child/children)
[ -n "$program" ] || fail "run has no child"
kill -TERM $child
status=0; wait $child || status=$?
[ $status -eq 143 ] || fail "run: exit $status, expected 143"
wait_for ended $program
exec 3>&-
nothing_left run
