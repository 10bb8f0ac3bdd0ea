# The cache of compiled code never changes a byte of a result. Builds are cold, warm, without a cache, on one
# core, with damaged entries, and several at once.
. "$SOURCE/tests/shell/emit_common.inc"
export BERTC_CACHE=$PWD/cache
tiny tiny
build() { "$BERTC" build tiny.bir --name=tiny --quiet -o "$@" || fail "build $*"; }

# the program has kernels of this machine; the other results have plain C kernels, which compile fast
cpu=native
for kind in exe lib obj shared; do
	rm -rf cache
	build plain.$kind --emit=$kind --cpu=$cpu --no-cache
	[ ! -e cache ] || fail "--no-cache wrote to the cache"
	build cold.$kind --emit=$kind --cpu=$cpu
	[ "$(ls cache | wc -l)" -gt 4 ] || fail "$kind: the build wrote nothing to the cache"
	ls -l --time-style=+ cache >before
	build warm.$kind --emit=$kind --cpu=$cpu
	ls -l --time-style=+ cache | cmp -s - before || fail "$kind: a warm build changes the cache"
	cmp plain.$kind cold.$kind && cmp plain.$kind warm.$kind
	cpu=baseline
done
build() { "$BERTC" build tiny.bir --cpu=baseline --name=tiny --quiet -o "$@" || fail "build $*"; }
build plain.exe
rm -rf cache
core=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
taskset -c "$core" "$BERTC" build tiny.bir --cpu=baseline --name=tiny -o one.exe
cmp plain.exe one.exe || fail "one core makes other bytes"

# pieces of runtime/ shipped with bertc equal those that a bertc without them compiles
ASAN_OPTIONS=detect_leaks=0 "$BERTC_DEBUG" build tiny.bir --cpu=baseline --name=tiny --no-cache -o alone.exe
cmp plain.exe alone.exe || fail "pieces that come with bertc differ from those compiled now"

# the same text compiled with other flags has another entry
build mixed.shared --emit=shared
cmp plain.shared mixed.shared || fail "a library uses cached pieces of a program"
rm -rf cache
build again.exe

# another model of the same sizes finds all kernels
sed 's/positive/good/' tiny.bir >other.bir
ls cache >before
"$BERTC" build other.bir --cpu=baseline --name=other -o other
[ "$(ls cache | comm -13 before - | wc -l)" -eq 1 ] || fail "another model's kernels are compiled again"

# entries that are damaged, truncated, empty or not files are compiled anew and replaced (those of the other
# model are not read again)
for entry in $(sed "s:^:cache/:" before); do
	case $((i = (${i-0} + 1) % 4)) in
	0) printf x | dd of="$entry" bs=1 seek=300 conv=notrunc 2>/dev/null ;;
	1) truncate -s -1 "$entry" ;;
	2) : >"$entry" ;;
	3) rm "$entry"; ln -s /dev/zero "$entry" ;;
	esac
done
build damaged.exe
cmp plain.exe damaged.exe || fail "a damaged entry changed the program"
rm -f cache/*.*
build mended.exe
cmp plain.exe mended.exe

ls -l cache | grep -q '^[lp]' && fail "a link or pipe in the place of an entry was not replaced"

# a cache directory that cannot be made is not an error
: >file
BERTC_CACHE=$PWD/file/cache build unwritable.exe && cmp plain.exe unwritable.exe
BERTC_CACHE= build none.exe && cmp plain.exe none.exe
env -u BERTC_CACHE -u HOME -u XDG_CACHE_HOME \
	"$BERTC" build tiny.bir --cpu=baseline --name=tiny -o homeless.exe
cmp plain.exe homeless.exe
rm -rf cache
env -u BERTC_CACHE XDG_CACHE_HOME="$PWD/home" "$BERTC" build tiny.bir --cpu=baseline --name=tiny -o home.exe
[ -n "$(ls home/bertc/objects)" ] || fail "\$XDG_CACHE_HOME/bertc/objects is empty"
[ ! -e cache ] || fail "BERTC_CACHE was used though it is not set"

# several builds at once
for i in 1 2 3; do build at_once.$i & done
wait
for i in 1 2 3; do cmp plain.exe at_once.$i || fail "builds at the same time disturb each other"; done
! ls cache | grep -q '\.' || fail "a temporary file was left in the cache"

# the command in --about does not depend on the cache
build a.c --emit=c --no-cache && build b.c --emit=c
cmp a.c b.c
