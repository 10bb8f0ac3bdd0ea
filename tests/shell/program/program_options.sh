# Options, exit codes, environment and guarantees of emitted programs, tested with ids on a small model.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
"$BERTC" build tiny.bir --cpu=baseline -o prog
expect() { # STATUS PATTERN WORDS...: checks exit status and message
	local want=$1 pattern=$2 status=0; shift 2
	"$@" >out 2>err </dev/null || status=$?
	[ $status -eq "$want" ] || { cat out err; fail "exit $status, expected $want: $*"; }
	grep -q -- "$pattern" err || { cat err; fail "no message with \"$pattern\": $*"; }
}
lines 60 31 60 >ids.txt

# batch, threads and order do not change the bytes
./prog --ids --logits <ids.txt >want.txt
[ "$(wc -l <want.txt)" -eq 60 ] || fail "$(wc -l <want.txt) lines for 60"
for options in "--batch 7" "--batch 100" "--threads 2" "--threads 3 --batch 16" "--threads 0"; do
	./prog --ids --logits $options <ids.txt | cmp - want.txt || fail "$options gives other bytes"
done
tac ids.txt | ./prog --ids --logits --batch 9 | tac | cmp - want.txt || fail "the order changes the bytes"
BERTC_NUM_THREADS=2 ./prog --ids --logits <ids.txt | cmp - want.txt ||
	fail "BERTC_NUM_THREADS changes the bytes"
[ "$(./prog --ids --logits "$(head -n 1 ids.txt)")" = "$(head -n 1 want.txt)" ] ||
	fail "a text as an argument and as a line gives different numbers"

# a line is answered before the next one comes
mkfifo asked answered
./prog --ids <asked >answered & job=$!
exec 8>asked 9<answered
for i in 1 2 3; do
	echo "$i $i" >&8
	read -r -t 20 answer <&9 || fail "no answer while the input is open"
done
exec 8>&- 9<&-
wait $job || fail "exit $? at the end of its input"

# an error in a line is reported with its number; other lines are answered; exit 1 at the end
status=0
printf '1 2\n3 99\n4 x\n5\t6\t7\n\n1\t2\r\n-1\n18446744073709551617\n8' | ./prog --ids >out.txt 2>err ||
	status=$?
[ $status -eq 1 ] || fail "exit $status with bad lines, expected 1"
[ "$(wc -l <out.txt)" -eq 4 ] || { cat out.txt; fail "expected 4 answers"; }
for line in 2 3 4 7 8; do grep -q "^<stdin>:$line: error: " err ||
	{ cat err; fail "no error for line $line"; }; done
[ "$(wc -l <err)" -eq 5 ] || { cat err; fail "expected 5 errors"; }
grep -q 'ids 0 to 59' err || fail "an id out of range: the message lacks the range"
long=$(seq -s ' ' 0 40)
expect 0 'note: 41 tokens, cut to 32' ./prog --ids "$long"
expect 1 'error: 41 tokens, at most 32' ./prog --ids --on-overflow error "$long"
./prog --ids --json "$long" 2>/dev/null | grep -q '"truncated": true' ||
	fail "--json does not report that a text was cut"

# usage errors: exit 2; unsupported features: exit 4
expect 2 'no tokenizer' ./prog text
expect 2 'expected 0 to 1' ./prog --ids --threshold 2
expect 2 'expected error, truncate or window' ./prog --ids --on-overflow maybe
expect 2 'expected 0 to 256' ./prog --ids --threads many
expect 2 'expected 0 to 256' ./prog --ids --threads 257
expect 2 'expected 1 to' ./prog --ids --batch 0
expect 2 'exclude each other' ./prog --ids --logits --hidden
expect 2 'for embeddings' ./prog --ids --raw
expect 2 'only for taggers' ./prog --ids --tokens
expect 2 'out of range' ./prog --ids --set overflow=9
expect 2 'out of range' ./prog --ids --set heat=1
expect 2 'unrecognized option' ./prog --no-such-option
expect 2 'expected lengths' ./prog --bench --seq 8,nine
expect 2 'expected lengths' ./prog --bench --seq 33
expect 2 'BERTC_NUM_THREADS' env BERTC_NUM_THREADS=-1 ./prog --ids 1
expect 2 'BERTC_CPU' env BERTC_CPU=pentium ./prog --ids 1
BERTC_CPU=baseline ./prog --ids --logits <ids.txt | cmp - want.txt ||
	fail "a baseline program does not run under BERTC_CPU=baseline"
if [ "$(uname -m)" = x86_64 ] && grep -q avx2 /proc/cpuinfo; then
	"$BERTC" build tiny.bir --cpu=x86-64-v3 -o v3
	expect 4 'AVX2' env BERTC_CPU=baseline ./v3 --ids 1 # a message, never SIGILL
	BERTC_CPU=x86-64-v3 ./v3 --ids 1 >/dev/null
fi

# --about and --version
./prog --help | grep -q -- '--on-overflow=RULE' || fail "--help does not list the options"
./prog --version | grep -q '^prog, made by bertc [0-9]' || fail "--version: $(./prog --version)"
./prog --about >about.json
grep -q '"max_tokens": 32' about.json && grep -q '"passes": "' about.json ||
	{ cat about.json; fail "--about"; }
./prog --bench --seq 4,32 --repeat 2 --json | grep -c '"median_ms"' | grep -qx 2 || fail "--bench --json"
./prog --bench --repeat 2 | grep -q 'tokens/s' || fail "--bench"
./prog --profile --seq 16 --repeat 2 | grep -q 'by kernel' || fail "--profile"
./prog --profile --seq 16 --repeat 2 --json | grep -q '"origin": "layer.0.attention.query' ||
	{ ./prog --profile --json; fail "--profile --json: no origin"; }

# output that cannot be written is an error
if [ -e /dev/full ]; then
	status=0
	./prog --ids 1 >/dev/full 2>err || status=$?
	[ $status -eq 1 ] && grep -q 'cannot write' err || fail "a full disk: exit $status"
fi

# the program opens no file, no library and no connection
if command -v strace >/dev/null; then
	for threads in 1 2; do
		strace -f -o calls ./prog --ids --threads $threads <ids.txt >/dev/null 2>&1 ||
			{ echo "strace does not work here"; break; }
		! grep -E '\b(open|openat|openat2|creat|socket|connect)\(' calls ||
			fail "the program opens files or connections"
		[ "$(grep -cE '\bclone3?\(' calls)" -eq $((threads - 1)) ] ||
			fail "$(grep -cE '\bclone3?\(' calls) threads made with --threads $threads"
	done
else
	echo "no strace: system calls are not checked"
fi
echo ok
