# Names that begin with a dash: of models, results, data and directories, for every command.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
mkdir -- -model -out -tmp
mv tiny.bir ./-tiny.bir
printf "a text\t1\nanother\t0\n" >-data.tsv

# every command reads a model after `--`, and by its path; here the error is the missing file
for command in build opt run verify inspect bench eval tune rank-heads rank-neurons "report order"; do
	options=
	case $command in
	build | inspect) options="-o out" ;;
	opt) options=--passes=cse ;;
	eval | tune | rank-* | report*) options=--data=-data.tsv ;;
	esac
	expect 3 "$BERTC" $command $options -- -none.bir
	says "-none.bir: error: "
	expect 3 "$BERTC" $command $options ./-none.bir
	says "./-none.bir: error: "
done
expect 3 "$BERTC" describe -- -model
says "-model"
expect 3 "$BERTC" describe ./-model
says "./-model"
"$BERTC" run --cpu=baseline -- -tiny.bir --ids <<<"1 2 3" >answer

# results, temporary directories and kept files
"$BERTC" build --cpu=baseline -o -out/-prog -- -tiny.bir
./-out/-prog --ids <<<"1 2 3" | cmp - answer
TMPDIR=-tmp "$BERTC" verify --cpu=baseline -- -tiny.bir >figures
"$BERTC" build --cpu=baseline --save-temps=-tmp --dump-ir=-tmp -o -prog ./-tiny.bir
./-prog --ids <<<"1 2 3" | cmp - answer

# the command in --about works
"$BERTC" build --cpu=baseline --emit=c -o c.c ./-tiny.bir
grep -q 'bertc build .* ./-tiny.bir$' c.c
"$BERTC" build --cpu=baseline --emit=c -o c.c -- "$PWD/-tiny.bir"
grep -q 'bertc build .* -- -tiny.bir$' c.c

# a name that looks like an option
expect 2 "$BERTC" build -tiny.bir -o prog
says "write ./-tiny.bir, or \`--\` before it"
expect 2 "$BERTC" build -nothing -o prog
if grep -q "looks like an option" messages; then fail "there is no -nothing"; fi
