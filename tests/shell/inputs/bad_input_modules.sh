# Files that belong to another model: sizes in the modules of sentence-transformers, and ids and segments that
# the tokenizer adds to texts.
. "$SOURCE/tests/shell/bad_input_common.inc"

# tensors FILE NAME SHAPE..: f32 zeros
tensors() {
	local file=$1 header='{' at=0 name shape count i
	shift
	while [ $# -gt 0 ]; do
		name=$1 shape=$2
		shift 2
		count=$((4 * ${shape/,/*}))
		header+="\"$name\":{\"dtype\":\"F32\",\"shape\":[$shape],\"data_offsets\":[$at,$((at + count))]},"
		at=$((at + count))
	done
	header="${header%,}}"
	{
		for i in 0 8 16 24; do bytes $((${#header} >> i)); done
		printf '\0\0\0\0%s' "$header"
		head -c $at /dev/zero
	} >"$file"
}

tiny_hf model
mkdir model/1_Pooling model/2_Dense
printf '[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"},
{"type": "x.Dense", "path": "2_Dense"}]' >model/modules.json
tensors model/2_Dense/model.safetensors linear.weight 3,4 linear.bias 3
pooling='"pooling_mode_mean_tokens": true'
dense='"activation_function": "torch.nn.modules.linear.Identity"'

says_of_modules() { # POOLING DENSE: more keys for their config.json
	printf '{%s%s}' "$pooling" "${1:+, $1}" >model/1_Pooling/config.json
	printf '{%s%s}' "$dense" "${2:+, $2}" >model/2_Dense/config.json
}
good() { says_of_modules "$@"; "$BERTC" build model --emit=bir -o good.bir || fail "refused: $*"; }
bad() { says_of_modules "$2" "$3"; refused 3 "$1" model; }
good '' ''
good '"word_embedding_dimension": 4' '"in_features": 4, "out_features": 3, "bias": true'
good '"embedding_dimension": 4' '"bias": true'
bad 'in_features 5' '' '"in_features": 5, "out_features": 3'
bad 'out_features 4' '' '"in_features": 4, "out_features": 4'
bad 'out_features is 0' '' '"out_features": 0'
bad 'in_features is a string' '' '"in_features": "4"'
bad '"bias": false' '' '"bias": false'
for key in word_embedding_dimension embedding_dimension; do # only informative: a warning
	good "\"$key\": 8" '' 2>said
	grep -q 'warning: .*word_embedding_dimension 8' said || fail "no warning about $key"
done
bad 'word_embedding_dimension is a string' '"word_embedding_dimension": "4"' ''
tensors model/2_Dense/model.safetensors linear.weight 3,4
good '' '"bias": false'
bad 'bias' '' '"bias": true'

# a Router with many routes: the message names the first ones
printf '[{"type": "x.Router", "path": ""}]' >model/modules.json
printf '{"structure": {%s "z": []}}' "$(printf '"route%d": [], ' {1..20000})" >model/router_config.json
refused 2 'known: route1, route2, ' model --route=other
[ "$(wc -c <said)" -lt 1000 ] || fail "the message has $(wc -c <said) bytes"
rm model/router_config.json

# templates; the model has 9 words and 2 segments
tiny_hf model
rm -r model/modules.json model/?_*
template() { # SINGLE PAIR: pieces of the template; the name of a special token is its id
	printf '{"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "b": 2}},
		"pre_tokenizer": {"type": "BertPreTokenizer"},
		"post_processor": {"type": "TemplateProcessing", "single": [%s], "pair": [%s], "special_tokens": {
		"three": {"id": "three", "ids": [3], "tokens": ["a"]},
		"nine": {"id": "nine", "ids": [9], "tokens": ["b"]}}}}' "$1" "$2" >model/tokenizer.json
}
text() { printf '{"Sequence": {"id": "%s", "type_id": %d}}' "$1" "$2"; }
token() { printf '{"SpecialToken": {"id": "%s", "type_id": %d}}' "$1" "$2"; }
one="$(token three 0), $(text A 0)"
two="$(text A 0), $(text B 1), $(token three 1)"
template "$one" "$two"
"$BERTC" build model --emit=bir -o good.bir || fail "a good template is refused"
template "$one, $(token nine 0)" "$two"
refused 3 'adds the id 9 to a text' model
template "$one" "$two, $(token nine 1)"
refused 3 'adds the id 9 to a pair' model
template "$(text A 2)" "$two"
refused 3 'gives a text the segment 2' model
template "$one" "$(text A 0), $(text B 2)"
refused 3 'gives a pair the segment 2' model
printf '{"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1}},
	"pre_tokenizer": {"type": "BertPreTokenizer"},
	"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}}' \
	>model/tokenizer.json
refused 3 'adds the id 101 to a text' model
