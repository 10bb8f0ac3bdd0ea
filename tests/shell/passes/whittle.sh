#!/usr/bin/env bash
# Passes that learn from data or from a corpus, through the whole compiler: their requirements, their results,
# and --about of the programs.
set -u
model=$SOURCE/examples/sentiment/model
fail() { echo "FAILED: $*"; exit 1; }
build() { "$BERTC" build "$model" --quiet --cpu=baseline "$@" 2>err || { cat err; fail "build $*"; }; }
refuse() { # STATUS TEXT PIPELINE
	"$BERTC" build "$model" --quiet "--passes=$3" -o none 2>err; local got=$?
	[ $got -eq "$1" ] || { cat err; fail "$3: exit $got, expected $1"; }
	grep -qF -- "$2" err || { cat err; fail "$3: the message lacks: $2"; }
	[ ! -e none ] || fail "$3: the refused build left a result"
}
mkdir folder; corpus=$PWD/folder/corpus.txt
cp "$SOURCE/examples/sentiment/sentences.txt" "$corpus"
build -o plain
./plain <"$corpus" >plain.out || fail "the plain program"
paste <(sed 's/\t/ /g' "$corpus") <(cut -f1 plain.out) >folder/data.tsv

# prune-vocab with a corpus: its texts keep their results; other words are split into letters
build "--passes=prune-vocab{corpus=$corpus},O2" -o small --ledger=ledger.json --check-each
./small <"$corpus" >small.out && cmp plain.out small.out || fail "texts of the corpus have other answers"
[ "$(./plain --tokenize <"$corpus" | wc -w)" -eq "$(./small --tokenize <"$corpus" | wc -w)" ] ||
	fail "texts of the corpus have other pieces"
cmp -s <(./plain --tokenize <"$corpus") <(./small --tokenize <"$corpus") && fail "prune-vocab changes no id"
grep -q 'of [0-9]* tokens stay' ledger.json || fail "the ledger lacks the number of remaining tokens"
unknown=$(./small --tokenize $'\U1F600' | tr -dc '0-9 ' | awk '{ print $2 }') # between [CLS] and [SEP]
words=$(./small --tokenize "Xylophonist" | tr -dc '0-9 ')
[ "$(wc -w <<<"$words")" -gt 6 ] || fail "a word outside the corpus has only the pieces $words"
grep -qw -- "$unknown" <<<"$words" && fail "a word outside the corpus is unknown"
[ "$(stat -c %s small)" -lt "$(stat -c %s plain)" ] || fail "the program is not smaller"

"$BERTC" verify "$model" "--passes=prune-vocab{corpus=$corpus},O2" --max-abs 1e-4 >said 2>&1 ||
	{ cat said; fail "verify after prune-vocab"; }
"$BERTC" verify "$model" "--passes=prune-vocab{corpus=$corpus},O2" --max-abs 1e-4 --data "$corpus" >said \
	2>&1 || { cat said; fail "verify of texts after prune-vocab"; }

# a pass learns the same every time, and the result does not contain the path of the data
data=$PWD/folder/data.tsv
pipeline="drop-layers{strategy=contribution keep=2 data=$data}"
pipeline+=",prune-heads{by=activation share=0.7 data=$data limit=9},prune-ffn{keep=512},O2"
build "--passes=$pipeline" -o first
build "--passes=$pipeline" -o second --name=first
cmp first second || fail "two builds differ"
./first --about | grep -q 'data=data.tsv' || fail "--about lacks the pipeline"
grep -qaF "$PWD" first && fail "the program holds the folder of its data"
build "--passes=$pipeline" --emit=c -o first.c
grep -qF "$PWD" first.c && fail "the C file holds the folder of its data"

# by=accuracy: the labels are the answers of the model, so its score is 1
"$BERTC" build "$model" --emit=bir -o accuracy.bir \
	--passes="prune-blocks{by=accuracy keep=5 data=$PWD/folder/data.tsv}" --explain 2>said ||
	{ cat said; fail "by=accuracy"; }
grep -q 'unchanged: score 1.0000, loss' said || { cat said; fail "the score of the whole model is not 1"; }
[ "$(grep -c ' is removed: score ' said)" -eq 1 ] ||
	{ cat said; fail "expected that one of six blocks is removed"; }
"$BERTC" build "$model" --emit=bir -o heads.bir \
	--passes="prune-heads{by=accuracy keep=11 data=$PWD/folder/data.tsv limit=4}" --explain 2>said ||
	{ cat said; fail "heads by accuracy"; }
[ "$(grep -c '11 of 12 heads stay' said)" -eq 3 ] ||
	{ cat said; fail "expected that one head per layer is removed"; }

refuse 3 "cannot open" "drop-layers{strategy=contribution keep=1 data=$PWD/missing.tsv}"
refuse 3 "cannot open" "prune-vocab{corpus=$PWD/missing.txt}"
printf 'a text\tglad\n' >odd.tsv
refuse 3 "neither a label of the model" "prune-blocks{by=accuracy data=$PWD/odd.tsv}"
refuse 2 "prune-heads must come before fuse" "fuse,prune-heads{keep=1}"
refuse 2 "needs texts; give data=FILE" "prune-heads{keep=1 by=activation}"
echo "passes learn from data as expected"
