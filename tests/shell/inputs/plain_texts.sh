#!/usr/bin/env bash
# data= accepts plain text, one text per line, in passes that need no labels. They learn the same from a table
# with labels. Passes that need labels refuse plain text. All refuse JSON.
set -u
model=$SOURCE/examples/sentiment/model
fail() { echo "FAILED: $*"; exit 1; }
refuse() { # TEXT COMMAND...
	local text=$1; shift
	"$@" >out 2>err; local got=$?
	[ $got -eq 3 ] || { cat err; fail "$*: exit $got, expected 3"; }
	grep -qF -- "$text" err || { cat err; fail "$*: the message lacks: $text"; }
}
mkdir plain table
sed 's/\t/ /g' "$SOURCE/examples/sentiment/sentences.txt" >plain/texts
sed 's/$/\tpositive/' plain/texts >table/texts
build() { # FOLDER PIPELINE: FOLDER/m.bir, which names no file of data
	"$BERTC" build "$model" --quiet --emit=bir -o "$1/m.bir" "--passes=$2" 2>err || { cat err; fail "$2"; }
}
same() { # PIPELINE with @ for the file
	build plain "${1//@/$PWD/plain/texts}"
	build table "${1//@/$PWD/table/texts}"
	cmp {plain,table}/m.bir && cmp {plain,table}/m.safetensors ||
		fail "$1 learns something else from plain text"
}
same 'quantize-int8{scheme=static data=@}'
same 'sparsify{sparsity=0.5 data=@}'
same 'drop-layers{strategy=contribution keep=2 data=@}'
same 'prune-heads{by=activation keep=6 data=@}'
same 'prune-ffn{by=reconstruction share=0.9 data=@ limit=4}'
same 'prune-blocks{by=activation keep=5 data=@}'
same 'hard-attention{k=4 layers=auto by=cosine data=@}'
same 'normalize-embeddings{method=z-score layers=0-1 data=@}'
same 'early-exit{from=fit entropy=0.3 data=@}'
for form in plain table; do
	"$BERTC" rank-heads "$model" --data "$form/texts" >$form.heads 2>err || { cat err; fail "rank-heads"; }
done
cmp <(sed 1d plain.heads) <(sed 1d table.heads) || fail "rank-heads differs"
# a header that names the column of texts; labels are not needed
{ echo sentence; cat plain/texts; } >named
{ printf 'index\tsentence\n'; nl -w1 plain/texts; } >numbered
build plain "sparsify{sparsity=0.5 data=$PWD/plain/texts}"
for file in named numbered; do
	build table "sparsify{sparsity=0.5 data=$PWD/$file}"
	cmp {plain,table}/m.safetensors || fail "$file: the header or the numbers were read as texts"
done

none="unknown format of labelled data: plain text has no labels, which are needed here; expected TSV"
for passes in 'prune-heads{by=accuracy keep=6 data=@}' 'prune-blocks{by=accuracy data=@}' \
	'hard-attention{k=4 layers=auto data=@}' 'early-exit{data=@}' \
	'early-exit{target=labels entropy=0.3 data=@}' \
	'quantize-int8{scheme=static sensitivity=yes data=@}' 'ablate-neurons{which=top share=0.1 data=@}'; do
	refuse "$none" "$BERTC" build "$model" -o none "--passes=${passes//@/$PWD/plain/texts}"
done
refuse "$none" "$BERTC" eval "$model" --data plain/texts
refuse "$none" "$BERTC" rank-neurons "$model" --data plain/texts
refuse "$none" "$BERTC" rank-heads "$model" --data plain/texts --by accuracy
refuse "plain/texts:1: error: $none" "$BERTC" build "$model" -o none --data plain/texts

sed 's/.*/{"text": "&"}/' plain/texts >lines.jsonl
printf '[\n"one", "two"\n]\n' >list.json
for file in lines.jsonl list.json; do
	refuse "is JSON; expected" \
		"$BERTC" build "$model" -o none "--passes=sparsify{sparsity=0.5 data=$PWD/$file}"
done
{ yes 'a text' | head -n 30; printf 'a\ttab\n'; } >mixed
refuse "mixed:31: error: has a tab, unlike the lines before" \
	"$BERTC" build "$model" -o none "--passes=sparsify{sparsity=0.5 data=$PWD/mixed}"
printf 'one, two\nthree, four\n' >texts.csv
refuse "unknown format; expected" \
	"$BERTC" build "$model" -o none "--passes=sparsify{sparsity=0.5 data=$PWD/texts.csv}"
echo "plain text is accepted where no labels are needed"
