# Without memory bertc says so in one line, exits 1, and leaves nothing: neither half a result nor temporary
# files. The limits go from too little to start to enough, in steps.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
mkdir result temporary
export TMPDIR=$PWD/temporary
enough() { (ulimit -v "$1" && shift && "$@") >output 2>messages; }

at=$(awk '/VmPeak/ { print $2 }' /proc/self/status)
refused=0 built=0
for megabytes in $(seq 200 20 900); do
	status=0
	enough $((megabytes * 1024)) "$BERTC" build tiny.bir --cpu=baseline -o result/tiny || status=$?
	case $status in
	0) only tiny; built=1; break ;;
	1) says "out of memory"; only ""; refused=$((refused + 1)) ;;
	127) ;; # the loader finds no room for the libraries
	*) cat messages; fail "exit $status with $megabytes MB of memory" ;;
	esac
	[ -z "$(ls -A temporary)" ] || fail "left in TMPDIR with $megabytes MB: $(ls -A temporary)"
done
echo "refused $refused, built $built"
