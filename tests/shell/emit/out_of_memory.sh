# Out of memory, bertc reports it, exits 1, and leaves no partial result and no temporary files. Memory limits
# go in steps from too little to start to enough.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
mkdir result temporary
export TMPDIR=$PWD/temporary
enough() { (ulimit -v "$1" && shift && "$@") >output 2>messages; }

refused=0 built=0
for megabytes in $(seq 200 20 900); do
	status=0
	enough $((megabytes * 1024)) "$BERTC" build tiny.bir --cpu=baseline -o result/tiny || status=$?
	case $status in
	0) only tiny; built=1; break ;;
	1) # the linker's message differs
		grep -qiE 'out of memory|cannot allocate memory' messages || {
			cat messages
			fail "the message does not mention memory"
		}
		only ""
		refused=$((refused + 1)) ;;
	127) ;; # the loader has no memory for the libraries
	*) cat messages; fail "exit $status with $megabytes MB of memory" ;;
	esac
	[ -z "$(ls -A temporary)" ] || fail "left in TMPDIR with $megabytes MB: $(ls -A temporary)"
done
[ $refused -gt 0 ] && [ $built -eq 1 ] || fail "refused $refused times, built $built times"
