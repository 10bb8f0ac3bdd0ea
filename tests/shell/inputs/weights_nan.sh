# A checkpoint with a NaN weight: commands and passes that learn from data report it instead of using it.
. "$SOURCE/tests/shell/emit_common.inc"
cp -r "$SOURCE/examples/sentiment/model" sick
chmod -R u+w sick
# the last number of the file belongs to some weight: all ones is a NaN in every float format
bytes=$(stat -c %s sick/model.safetensors)
printf '\377\377\377\377' | dd of=sick/model.safetensors bs=1 seek=$((bytes - 4)) conv=notrunc status=none
awk 'BEGIN { for (i = 0; i < 12; i++) print "the film number " i "\t" (i % 2 ? "negative" : "positive") }' \
	>data.tsv
refuse() { # ARGUMENTS: checks exit 1, the reason, and no other output
	local got=0
	"$BERTC" "$@" >out.txt 2>err.txt || got=$?
	[ $got -eq 1 ] && grep -q 'are its weights damaged?\|are the model.s weights damaged?' err.txt ||
		{ cat out.txt err.txt; fail "$*: exit $got, expected 1 and a reason"; }
}
refuse build sick --quiet -o none --passes='hard-attention{k=2 layers=auto data=data.tsv}'
refuse build sick --quiet -o none --passes='prune-heads{by=accuracy share=0.5 data=data.tsv}'
refuse rank-heads sick --data data.tsv --by accuracy
# the first tensor belongs to the embeddings, which affect every head
header=$(od -An -tu8 -N8 sick/model.safetensors | tr -d ' ')
head -c 400 sick/model.safetensors | grep -q '"bert.embeddings' ||
	fail "the first tensor is not of the embeddings"
printf '\377\377\377\377' | dd of=sick/model.safetensors bs=1 seek=$((header + 8)) conv=notrunc status=none
refuse rank-heads sick --data data.tsv
refuse rank-heads sick --data data.tsv --by magnitude
[ ! -e none ] || fail "the refused build left a program"
