# Sourced by bad_input_*.sh: a BERT of one layer as a Hugging Face directory, written without any tool, and a check that a
# build is refused: the right exit status, a message with the right words, no output file and nothing left behind.
set -eu
cd "$TMP"

fail() { echo "$*"; exit 1; }

bytes() { printf "\\$(printf %03o $(($1 & 255)))"; }   # one byte by its number

# checkpoint FILE: hidden 4, ffn 6, 9 words, 5 positions, 2 types, 2 labels; all numbers are zero
checkpoint() {
	local header='{' at=0 name shape count
	while read -r name shape; do
		count=$((4 * ${shape/,/*}))
		header+="\"$name\":{\"dtype\":\"F32\",\"shape\":[$shape],\"data_offsets\":[$at,$((at + count))]},"
		at=$((at + count))
	done <<-'TENSORS'
		bert.embeddings.word_embeddings.weight 9,4
		bert.embeddings.position_embeddings.weight 5,4
		bert.embeddings.token_type_embeddings.weight 2,4
		bert.embeddings.LayerNorm.weight 4
		bert.embeddings.LayerNorm.bias 4
		bert.encoder.layer.0.attention.self.query.weight 4,4
		bert.encoder.layer.0.attention.self.query.bias 4
		bert.encoder.layer.0.attention.self.key.weight 4,4
		bert.encoder.layer.0.attention.self.key.bias 4
		bert.encoder.layer.0.attention.self.value.weight 4,4
		bert.encoder.layer.0.attention.self.value.bias 4
		bert.encoder.layer.0.attention.output.dense.weight 4,4
		bert.encoder.layer.0.attention.output.dense.bias 4
		bert.encoder.layer.0.attention.output.LayerNorm.weight 4
		bert.encoder.layer.0.attention.output.LayerNorm.bias 4
		bert.encoder.layer.0.intermediate.dense.weight 6,4
		bert.encoder.layer.0.intermediate.dense.bias 6
		bert.encoder.layer.0.output.dense.weight 4,6
		bert.encoder.layer.0.output.dense.bias 4
		bert.encoder.layer.0.output.LayerNorm.weight 4
		bert.encoder.layer.0.output.LayerNorm.bias 4
		bert.pooler.dense.weight 4,4
		bert.pooler.dense.bias 4
		classifier.weight 2,4
		classifier.bias 2
	TENSORS
	header="${header%,}}"
	{
		local length=${#header} i
		for i in 0 8 16 24; do bytes $((length >> i)); done
		printf '\0\0\0\0%s' "$header"
		head -c $at /dev/zero
	} >"$1"
}

config='"model_type": "bert", "architectures": ["BertForSequenceClassification"], "vocab_size": 9, "hidden_size": 4, "num_attention_heads": 2,
"num_hidden_layers": 1, "intermediate_size": 6, "max_position_embeddings": 5, "type_vocab_size": 2, "id2label": {"0": "no", "1": "yes"}'

# tiny_hf DIR
tiny_hf() {
	mkdir -p "$1"
	checkpoint "$1/model.safetensors"
	printf '{%s}' "$config" >"$1/config.json"
}

# refused STATUS WORDS MODEL [OPTION...]: WORDS is a fixed part of what is said on standard error
refused() {
	local status=0 want=$1 words=$2 model=$3
	shift 3
	rm -rf out-of-build; mkdir out-of-build
	"$BERTC" build "$model" --emit=obj -o out-of-build/result.o "$@" >said 2>&1 </dev/null || status=$?
	[ $status -eq "$want" ] || { cat said; fail "$model $*: exit $status, expected $want"; }
	grep -qF -- "$words" said || { cat said; fail "$model $*: nothing is said of: $words"; }
	grep -q 'error: ' said || { cat said; fail "$model $*: no line is an error"; }
	[ -z "$(ls -A out-of-build)" ] || { ls -A out-of-build; fail "$model $*: something is left of it"; }
}
