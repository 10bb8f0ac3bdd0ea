# The figures of verify in --about: directly from `bertc verify -o`, or through a file with `bertc build
# --verified`. Figures of another build are refused.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
"$BERTC" build tiny.bir -o plain
./plain --about | grep -q '^  "verified": null' ||
	{ ./plain --about; fail "--about of an unverified program does not report this"; }

# both ways give the same bytes, also when repeated
mkdir here there
"$BERTC" verify tiny.bir --count 4 --seed 3 --json --name=prog >figures.json
"$BERTC" build tiny.bir --verified=figures.json --name=prog -o here/prog
"$BERTC" verify tiny.bir --count 4 --seed 3 --name=prog -o there/prog >table
grep -q '^logits .* of 4$' table || { cat table; fail "verify -o prints no table"; }
cmp here/prog there/prog || fail "verify -o and build --verified differ"
"$BERTC" verify tiny.bir --count 4 --seed 3 --json --name=prog -o there/prog | cmp - figures.json
cmp here/prog there/prog || fail "verify -o twice differs"
here/prog --about >about.txt
awk '/^  "verified": \{$/ { inside = 1; next } /^  \}/ { inside = 0 } inside' about.txt >verified.txt
for line in '    "inputs": 4' '    "seed": 3' '    "tokens": [0-9]' '    "cpu": "' '    "target": "' \
	'        "output": "logits"' '        "output": "hidden"' \
	'        "max_abs": [0-9]' '        "largest": [0-9]' '        "cosine": [01]' '        "top1_of": 4'; do
	grep -q -- "^$line" verified.txt || { cat about.txt; fail "--about lacks $line"; }
done
! grep -q '"pass"\|"build"' verified.txt || fail "--about carries more than figures"
[ "$(here/prog --ids --logits '1 2 3')" = "$(./plain --ids --logits '1 2 3')" ] ||
	fail "apart from the figures, the programs differ"
"$BERTC" verify tiny.bir --count 2 --emit=c --weights-as=inline --name=prog -o here/prog.c >/dev/null
grep -q 'verified' here/prog.c || fail "verify --emit=c: no figures in the C text"

# data files are named without directories
printf '{"ids": [1, 2, 3]}\n{"ids": [4, 59]}\n' >here/data.jsonl
"$BERTC" verify tiny.bir --data "$PWD/here/data.jsonl" -o by_data >/dev/null
./by_data --about | grep -q '^    "data": "data.jsonl"' ||
	{ ./by_data --about; fail "--about does not name the data"; }
! grep -qF "$PWD" by_data || fail "the program names the directory of its data"

# refused: another pipeline, type of weights, graph or constants than measured
expect 3 "$BERTC" build tiny.bir --verified=figures.json --weights=bf16 -o no; says 'other passes'
expect 3 "$BERTC" build tiny.bir --verified=figures.json -O0 -o no; says 'other passes'
expect 3 "$BERTC" build tiny.bir --verified=figures.json --max-tokens 8 -o no; says 'another graph'
sed 's/rand(7)/rand(8)/' tiny.bir >other.bir
expect 3 "$BERTC" build other.bir --verified=figures.json -o no; says 'another graph'
bad_figures() { # EXPRESSION TEXT: changes the figures by sed and expects the message
	sed "$1" figures.json >bad.json
	expect 3 "$BERTC" build tiny.bir --verified=bad.json -o no; says "$2"
}
bad_figures 's/"pass": true/"pass": false/' 'outside the limits'
bad_figures 's/"tokens": [0-9]*/"tokens": "many"/' 'tokens'
bad_figures 's/"inputs": [0-9]*, //' 'inputs is missing'
bad_figures 's/"output": "logits"/"output": "a\\nb"/' 'not a plain name'
bad_figures 's/"outputs": \[/"outputs": [7, /' 'expected objects'
for text in '[]' '{}' 'no json' '{"build": {}, "pass": true, "outputs": {}}'; do
	echo "$text" >bad.json
	expect 3 "$BERTC" build tiny.bir --verified=bad.json -o no; says 'bad.json'
done
expect 3 "$BERTC" build tiny.bir --verified=nowhere.json -o no; says 'nowhere.json'
expect 2 "$BERTC" build tiny.bir --verified=figures.json --emit=bir -o no; says '--verified'
expect 2 "$BERTC" verify tiny.bir --emit=bir -o no; says '--emit=bir'
expect 2 "$BERTC" verify tiny.bir -o tiny.bir; says 'file of the model'
expect 5 "$BERTC" verify tiny.bir --max-abs 0 -o no
[ ! -e no ] || fail "the refused build left a program"

# a program for another machine has the figures measured on this one
case $(uname -m) in x86_64) other=aarch64-linux-gnu ;; *) other=x86_64-linux-gnu ;; esac
"$BERTC" build tiny.bir --verified=figures.json --target=$other --emit=c -o away.c
grep -q 'verified.*cosine' away.c || fail "no figures in a program for $other"
expect 4 "$BERTC" verify tiny.bir --target=$other; says '--verified'

# a checkpoint: its hash
model=$SOURCE/examples/sentiment/model
"$BERTC" verify "$model" --count 2 --tokens 4 --json >hf.json
"$BERTC" build "$model" --verified=hf.json -o hf
./hf --about | grep -q '"top1_of": 2' || fail "no figures of a directory"
expect 3 "$BERTC" build "$SOURCE/examples/tagger/model" --verified=hf.json -o no; says 'another checkpoint'

# a graph with constants in a file: the hash includes their bytes
"$BERTC" build "$model" --emit=bir -o hf.bir
cp "$model/model.safetensors" .
"$BERTC" verify hf.bir --count 2 --tokens 4 --search "$model" --json >bir.json
"$BERTC" build hf.bir --verified=bir.json --search "$model" --emit=c -o bir.c
printf '\1' | dd of=model.safetensors bs=1 seek=$(($(wc -c <model.safetensors) - 2)) conv=notrunc status=none
expect 3 "$BERTC" build hf.bir --verified=bir.json --search "$model" -o no; says 'another graph'
