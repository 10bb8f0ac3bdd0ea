#!/usr/bin/env bash
# --emit=checkpoint: a model that cannot be written is refused with the reason. No temporary files are left.
set -u
model=$SOURCE/examples/sentiment/model
fail() { echo "FAILED: $*"; exit 1; }
refuse() { # STATUS TEXT ARGUMENTS: checks the status, the message, and that no file is left
	local status=$1 text=$2; shift 2
	"$BERTC" build "$@" 2>err; local got=$?
	[ $got -eq "$status" ] || { cat err; fail "$*: exit $got, expected $status"; }
	grep -qF -- "$text" err || { cat err; fail "$*: the message lacks: $text"; }
	[ -z "$(find . -name '*.tmp-*')" ] || fail "$*: left $(find . -name '*.tmp-*')"
}
"$BERTC" build "$model" --emit=checkpoint -o out --quiet || fail "an unchanged model is refused"
[ "$(cd out && ls)" = "$(cd "$model" && ls | grep -v README)" ] || fail "files: $(ls out)"
cmp -s out/tokenizer.json "$model/tokenizer.json" || fail "tokenizer.json differs from that of the model"
"$BERTC" verify out --max-abs 1e-4 >log 2>&1 || { cat log; fail "the written checkpoint fails verify"; }
"$BERTC" build out/ --emit=checkpoint -o again/ --quiet || fail "a second export fails"
cmp out/model.safetensors again/model.safetensors || fail "a second export gives other bytes"
mkdir empty && "$BERTC" build "$model" --emit=checkpoint -o empty --quiet && [ -s empty/config.json ] ||
	fail "an empty directory is refused"

refuse 2 "exists already" "$model" --emit=checkpoint -o out
cmp -s out/model.safetensors again/model.safetensors || fail "the existing directory was changed"
touch file; refuse 2 "exists" "$model" --emit=checkpoint -o file; [ -f file ] || fail "the file is gone"
refuse 4 "fused and lowered graphs cannot be written" "$model" --emit=checkpoint --passes=O2 -o none
refuse 4 "fused and lowered graphs cannot be written" "$model" --emit=checkpoint --passes=fuse -o none
"$BERTC" build "$model" --emit=bir -o graph.bir --quiet || fail "bir"
refuse 4 "MODEL must be a Hugging Face directory" graph.bir --search="$model" --emit=checkpoint -o none
refuse 2 "there is no layer 99" "$model" --emit=checkpoint --passes='drop-layers{layers=99}' -o none
# each refusal names the pass to leave out
refuse 4 "leave factorize-embeddings out" "$model" --emit=checkpoint --passes='factorize-embeddings{rank=8}' \
	-o none
refuse 4 "leave quantize-int8 out" "$model" --emit=checkpoint --passes=quantize-int8 -o none
refuse 4 "leave compute-bf16 out" "$model" --emit=checkpoint --passes=compute-bf16 -o none
for to in int8 int4; do refuse 4 "leave quantize-embeddings out" "$model" --emit=checkpoint \
	--passes="quantize-embeddings{to=$to}" -o none; done
# changed weights of a Dense module are refused, because its files are copied unchanged
mkdir -p sbert/1_Pooling sbert/2_Dense && cp "$model"/*.json "$model"/*.safetensors sbert
echo '[{"type":"x.Transformer","path":""},{"type":"x.Pooling","path":"1_Pooling"},
	{"type":"x.Dense","path":"2_Dense"}]' >sbert/modules.json
echo '{"pooling_mode_mean_tokens":true}' >sbert/1_Pooling/config.json
echo '{"activation_function":"torch.nn.modules.activation.Tanh"}' >sbert/2_Dense/config.json
header='{"linear.weight":{"dtype":"F32","shape":[2,384],"data_offsets":[0,3072]}}'
{ printf "\\x$(printf %02x ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"; head -c 3072 /dev/zero; } \
	>sbert/2_Dense/model.safetensors
refuse 4 "of head.embed differs when the checkpoint is read back" sbert --emit=checkpoint \
	--passes='cast-weights{to=f16}' -o none
"$BERTC" build sbert --emit=checkpoint --passes='drop-layers{strategy=top keep=1}' -o sbert.out --quiet ||
	fail "sentence-transformers"
cmp sbert/2_Dense/model.safetensors sbert.out/2_Dense/model.safetensors || fail "the Dense module was changed"
refuse 1 "cannot be made" "$model" --emit=checkpoint -o nowhere/none
[ ! -e none ] || fail "a refused model left a directory"
# clean-up passes do not change the result
"$BERTC" build "$model" --emit=checkpoint --passes=canonicalize,cse,dce -o tidy --quiet || fail "tidied"
cmp out/model.safetensors tidy/model.safetensors || fail "tidying changed the weights"
echo "checkpoints are written whole or not at all"
