# Results appear whole or not at all: unwritable places, unknown kinds and targets, an interrupted build.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
mkdir result

expect 1 "$BERTC" build tiny.bir -o missing/directory/tiny
says "cannot be written"
mkdir result/taken
expect 1 "$BERTC" build tiny.bir -o result/taken
says "is a directory"
rmdir result/taken
# a pipe (or /dev/null) is not replaced: a graph is written to it, a program is refused
mkfifo result/pipe
expect 1 "$BERTC" build tiny.bir -o result/pipe
says "not a regular file"
"$BERTC" opt tiny.bir --passes=cse >plain
"$BERTC" opt tiny.bir --passes=cse -o result/pipe & cat result/pipe >piped; wait $!
cmp plain piped
[ -p result/pipe ] || fail "the pipe was replaced by a file"
rm result/pipe
if [ "$(id -u)" -ne 0 ]; then
	chmod a-w result
	expect 1 "$BERTC" build tiny.bir --cpu=baseline -o result/tiny
	says "cannot be written"
	chmod u+w result
fi
expect 1 "$BERTC" build tiny.bir -o /dev/full/tiny
if [ -w /dev/shm ] && command -v unshare >/dev/null && unshare -rm true 2>/dev/null; then # a full disk
	mkdir full
	unshare -rm sh -c 'mount -t tmpfs -o size=64k none full && "$BERTC" build tiny.bir -o full/tiny 2>messages
		s=$?; ls -A full >left; exit $s' && fail "exit 0 though the disk is full"
	[ ! -s left ] || fail "files are left on the full disk: $(cat left)"
fi
only ""

expect 4 "$BERTC" build tiny.bir --emit=checkpoint -o result/x
says checkpoint
expect 4 "$BERTC" build tiny.bir --target=vax-vms -o result/x
says "bertc targets"
expect 4 "$BERTC" build tiny.bir --cpu=i386 -o result/x
says x86-64-v3
expect 4 "$BERTC" build tiny.bir --target=aarch64-linux-gnu --cpu=native -o result/x
expect 4 "$BERTC" build tiny.bir --target=aarch64-linux-gnu --sysroot="$PWD/result" -o result/x
says libc6-dev-arm64-cross
says libgcc-12-dev-arm64-cross
expect 4 "$BERTC" build tiny.bir --target=arm-linux-gnueabihf --sysroot="$PWD/result" -o result/x
says libc6-dev-armhf-cross
expect 1 "$BERTC" build tiny.bir --cc=/nonexistent/cc -o result/x
says /nonexistent/cc
expect 1 "$BERTC" build tiny.bir --cc=false -o result/x
expect 2 "$BERTC" build tiny.bir --emit=pdf -o result/x
expect 2 "$BERTC" build tiny.bir --weights=f8 -o result/x
expect 2 "$BERTC" build tiny.bir -O9 -o result/x
expect 2 "$BERTC" build tiny.bir --max-tokens=0 -o result/x
expect 2 "$BERTC" build tiny.bir --stop-after=fuse -o result/x
expect 2 "$BERTC" build tiny.bir --weights-as=inline -o result/x
expect 2 "$BERTC" build tiny.bir
expect 2 "$BERTC" build -o result/x
expect 2 "$BERTC" build tiny.bir other.bir -o result/x
expect 2 "$BERTC" build tiny.bir --nonsense -o result/x
expect 2 "$BERTC" compile tiny.bir
expect 2 "$BERTC"
expect 3 "$BERTC" build nothing.bir -o result/x
only ""

# an interruption leaves nothing: 130, and no temporary directory
"$BERTC" build tiny.bir --cpu=baseline -o result/tiny & child=$!
for _ in $(seq 200); do [ -z "$(ls -A result)" ] || break; sleep 0.01; done
kill -INT $child 2>/dev/null || true
status=0; wait $child || status=$?
if [ $status -eq 130 ]; then only ""; else [ $status -eq 0 ] ||
	fail "interrupted: exit $status"; only tiny; fi

# results that replace an existing file
rm -f result/*
echo old >result/tiny
"$BERTC" build tiny.bir --cpu=baseline -o result/tiny
only tiny
result/tiny --ids <<<"1 2 3" >/dev/null
