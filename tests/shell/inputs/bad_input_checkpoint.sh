# Bad checkpoints: truncated, with a false header, with shards outside the directory. And results that cannot
# be written.
. "$SOURCE/tests/shell/bad_input_common.inc"
tiny_hf good
tiny_hf model
weights=model/model.safetensors

: >$weights; refused 3 model.safetensors model
head -c 7 good/model.safetensors >$weights; refused 3 model.safetensors model
head -c 900 good/model.safetensors >$weights; refused 3 model.safetensors model
head -c -1 good/model.safetensors >$weights; refused 3 model.safetensors model
{ cat good/model.safetensors; printf x; } >$weights; refused 3 model.safetensors model
{ printf '\377\377\377\377\377\377\377\377'; tail -c +9 good/model.safetensors; } >$weights
refused 3 model.safetensors model
# header STATUS WORDS SED: the header changed in place, its length kept
header() {
	sed "$3" good/model.safetensors >$weights
	cmp -s good/model.safetensors $weights && fail "$3 changes nothing"
	refused "$1" "$2" model
}
header 3 model.safetensors 's/"shape":\[9,4\]/"shape":[9,5]/'
header 3 model.safetensors 's/"data_offsets":\[0,144\]/"data_offsets":[4,148]/'
header 3 model.safetensors 's/classifier.bias/classifier.bia"/'
header 3 model.safetensors 's/"classifier.bias"/"classifier.bia\\"/'
header 3 'holds no tensor' 's/classifier.bias/classifier.boas/'
header 3 model.safetensors 's/"dtype":"F32","shape":\[9,4\]/"dtype":"Q32","shape":[9,4]/'
header 3 model.safetensors 's/pooler.dense.bias/pooler.dense.bi\x00s/'

# shards: a name in an index is a plain file name
rm $weights
for name in ../good/model.safetensors /etc/passwd.safetensors .. . '' model/ nothere.safetensors; do
	printf '{"weight_map": {"bert.embeddings.word_embeddings.weight": "%s"}}' "$name" >$weights.index.json
	refused 3 'model' model
done
cp good/model.safetensors model/a.safetensors
printf '{"weight_map": {"classifier.bias": "a.safetensors"}}' >$weights.index.json
refused 3 'places in no file' model
rm $weights.index.json model/a.safetensors
refused 3 'neither model.safetensors nor' model
: >model/pytorch_model.bin; refused 4 'save_pretrained' model

# results that cannot be written: exit 1, and an existing file stays
mkdir place; echo old >place/result
status=0; "$BERTC" build good --emit=obj -o place --quiet 2>said || status=$?
[ $status -eq 1 ] && [ -d place ] || { cat said; fail "over a directory: exit $status"; }
status=0; "$BERTC" build good --emit=obj -o nowhere/result --quiet 2>said || status=$?
[ $status -eq 1 ] || { cat said; fail "into no directory: exit $status"; }
printf '{' >model/config.json
status=0; "$BERTC" build model --emit=obj -o place/result --quiet 2>said || status=$?
[ $status -eq 3 ] && [ "$(cat place/result)" = old ] && [ "$(ls -A place)" = result ] ||
	fail "a failed build changed the existing result"
status=0; "$BERTC" describe good -o nowhere/model.xml --quiet 2>said || status=$?
[ $status -eq 1 ] || { cat said; fail "describe into no directory: exit $status"; }
