# Tuning: the same tuning file gives the same bytes. Other tiles give the same results, bit for bit. `build
# --tune` measures undecided shapes and saves the decisions. Bad files and targets are refused. No times are
# checked.
. "$SOURCE/tests/shell/emit_common.inc"
model=$SOURCE/examples/sentiment/model
export XDG_CACHE_HOME=$PWD/cache
head='bertc-tune 1'

# --- refused: a missing file, a bad line by file and line, another machine, several CPUs at once
tiny tiny
expect 3 "$BERTC" build tiny.bir --tune-cache=none.txt -o a
says 'none.txt: error: cannot open'
printf '%s\n' "$head" 'linear f32 K=24 N=24 act=none cpu=x86-64-v3 -> linear_f32_8x48__avx512' \
	'linear f32 K=24 N=24 cpu=z -> x' >bad.txt
expect 3 "$BERTC" build tiny.bir --tune-cache=bad.txt -o a
says 'bad.txt:2: error: the CPU x86-64-v3 lacks instructions that the kernel linear_f32_8x48__avx512 needs'
says 'bad.txt:3: error: expected OP TYPE'
case $(uname -m) in aarch64) other=x86_64-linux-gnu ;; *) other=aarch64-linux-gnu ;; esac
expect 4 "$BERTC" build tiny.bir --target=$other --tune -o a
says '--tune times code on this machine'
expect 4 "$BERTC" build tiny.bir --cpu=baseline,native --tune -o a
says 'one CPU at a time'
expect 2 "$BERTC" build tiny.bir --emit=bir --tune -o a
expect 2 env -u XDG_CACHE_HOME -u HOME "$BERTC" build tiny.bir --tune -o a
says 'give --tune-cache=FILE'
[ ! -e a ] || fail "a refused build left a program"
"$BERTC" targets | grep -q '(native)' || { echo "no CPU of targets.def is this one"; exit 77; }

# --- the same tuning file at any path gives the same bytes; the result does not contain its path
"$BERTC" build tiny.bir --emit=c --cpu=znver4 --target=x86_64-linux-gnu --weights=f32 --name=tiny -o plain.c
printf '%s\n' "$head" 'linear f32 K=24 N=* act=* cpu=znver4 -> linear_f32_8x48__avx512' \
	'chain-rows linear f32 width=* cpu=znver4 -> 24' >one.txt
mkdir deep && { echo "$head"; echo '# sorted another way'; sed 1d one.txt | tac; } >deep/two.txt
for cache in one.txt deep/two.txt; do
	"$BERTC" build tiny.bir --emit=c --cpu=znver4 --target=x86_64-linux-gnu --weights=f32 --name=tiny \
		--tune-cache=$cache -o out.c
	cp out.c $(basename $cache .txt).c
	cp tiny.weights $(basename $cache .txt).weights
done
cmp one.c two.c && cmp one.weights two.weights || fail "the same decisions give other bytes"
grep -q 'linear_f32_8x48__avx512_k24(' one.c &&
	grep -q 'rt_chain_begin(call, thread, call->ntokens, 24)' one.c || fail "the tuning file is not used"
! grep -q 8x48__avx512_k plain.c || fail "without tuning, an alternative kernel is used"
! grep -q 'one.txt\|two.txt\|tune-cache' one.c || fail "the result contains the name of the tuning file"

# --- --tune: existing lines apply, the other shapes are measured once, and a build with the file equals the
# tuned build
native=$("$BERTC" targets | sed -n 's/^  \([^ ]*\) .*(native).*/\1/p')
case $("$BERTC" targets | grep '(native)') in *AVX-512*) tile=linear_f32_8x48__avx512 \
	default=linear_f32__avx512 ;; *) tile= ;; esac
if [ -n "$tile" ]; then
	sed 's/max_tokens 32/max_tokens 256/' tiny.bir >longer.bir
	[ ! -e cache ] || fail "the refused build made a folder"
	"$BERTC" build longer.bir --weights=f32 --tune --name=tiny -o tuned >table
	kept=cache/bertc/tune.txt
	[ "$(head -n 1 $kept)" = "$head" ] &&
		[ "$(sed '/^#/d;1d' $kept)" = "$(sed '/^#/d;1d' $kept | LC_ALL=C sort)" ] ||
			fail "the tuning file is not sorted"
	grep -q "^linear f32 K=24 N=48 act=relu cpu=$native -> linear_f32.*__avx512$" $kept ||
		{ cat $kept; fail "no decision"; }
	shape="linear f32 K=24 N=48 act=relu cpu=$native"
	times="default [0-9./]*  chosen [0-9./]* ms at 8/32/128 tokens"
	grep -q "^$shape  $times  linear_f32" table ||
		{ cat table; fail "no line in the table"; }
	! grep -q 'N=24' $kept || fail "a tile that would be half empty was timed"
	# an L2 cache of more than 1 MiB holds all rows of this model: there is no choice then
	[ "$(getconf LEVEL2_CACHE_SIZE)" -gt 1048576 ] ||
		grep -q "^chain-rows linear f32 width=48 cpu=$native -> [0-9]*$" $kept ||
		{ cat $kept; fail "no decision for the chain"; }
	"$BERTC" build longer.bir --weights=f32 --tune-cache=$kept --name=tiny -o again
	cmp tuned again || fail "a build with the cache differs from the one that made it"
	cp $kept before
	"$BERTC" build longer.bir --weights=f32 --tune --name=tiny -o again >table
	grep -q '^0 shapes timed' table && cmp before $kept && cmp tuned again ||
		{ cat table; fail "decided shapes were measured again"; }

	printf '%s\n# mine\nchain-rows linear f32 width=* cpu=%s -> 17
linear f32 K=384 N=* act=* cpu=%s -> %s\n' \
		"$head" $native $native $tile >mine.txt
	"$BERTC" build "$model" --weights=f32 --tune --tune-cache=mine.txt -o sentiment >table
	grep -q "^linear f32 K=384 N=\* act=\* cpu=$native -> $tile$" mine.txt ||
		fail "a line written by the user is gone"
	[ "$(grep -c '^linear' mine.txt)" -eq 2 ] && grep -q '^1 shapes timed' table ||
		{ cat mine.txt table; fail "expected one shape to be timed"; }

	# --- tiles and blocks do not change results
	"$BERTC" build "$model" --weights=f32 -o plain
	for threads in 1 3; do
		for program in sentiment plain; do ./$program --logits --threads $threads "a fine film" \
			"$(seq -s ' ' 60)" "" bad >$program.out; done
		cmp sentiment.out plain.out && [ -s plain.out ] ||
			fail "tiles of 8 x 48 in blocks of 17 rows give other results, $threads threads"
	done
fi
