# A file in the working directory with the name of the program's weights, from another build, is not used. The
# name of the result's folder does not matter.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
"$BERTC" build tiny.bir --cpu=baseline --name=prog -o first
./first --ids --logits '5 9 41' >want.txt
head -c 100000 /dev/zero >prog.weights
mkdir 'a "folder" of \ and $HOME'
for cc in "" --cc=gcc; do
	[ -z "$cc" ] || command -v gcc >/dev/null || { echo "no gcc: skipped this part"; continue; }
	for out in second 'a "folder" of \ and $HOME/third'; do
		"$BERTC" build tiny.bir --cpu=baseline --name=prog $cc -o "$out"
		"./$out" --ids --logits '5 9 41' >got.txt
		near want.txt got.txt || { cat want.txt got.txt; fail "$out $cc: other weights"; }
		grep -qv null got.txt || fail "$out $cc: no numbers"
	done
done
"$BERTC" build tiny.bir --cpu=baseline --name=prog -o again
cmp first again || fail "a file in the folder changes the program"
