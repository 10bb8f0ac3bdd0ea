# Bad config.json and files beside it: broken, inconsistent, hostile, or of another kind. The build is refused
# with the reason.
. "$SOURCE/tests/shell/bad_input_common.inc"
tiny_hf good
"$BERTC" build good --emit=obj -o good.o --quiet || fail "the tiny model itself does not build"

# bad STATUS WORDS CONFIG
bad() {
	printf '%s' "$3" >model/config.json
	refused "$1" "$2" model
}
tiny_hf model
bad 3 'config.json' ''
bad 3 'is not JSON' '{"a": '
bad 3 'is not JSON' "$(head -c 200 /dev/urandom | tr -d '\0')"
bad 3 'is not a JSON object' '[1, 2]'
bad 3 'nested more than' "{\"a\": $(head -c 5000 /dev/zero | tr '\0' '[')"
bad 3 'has no model_type' '{}'
bad 4 'known: bert' '{"model_type": "llama"}'
bad 4 'known: bert' '{"model_type": "%s%s%n"}'
bad 4 'is_decoder' "{$config, \"is_decoder\": true}"
bad 4 'relative_key_query' "{$config, \"position_embedding_type\": \"relative_key_query\"}"
bad 4 'known: gelu' "{$config, \"hidden_act\": \"laplace\"}"
bad 3 'layer_norm_eps is 0' "{$config, \"layer_norm_eps\": 0.0}"
bad 3 'overflow' "{$config, \"layer_norm_eps\": 1e999}"
bad 3 'num_labels' "{$config, \"num_labels\": 3}"
bad 3 'duplicate' "{$config, \"hidden_size\": 8}"
for lie in 'vocab_size 10' 'hidden_size 8' 'intermediate_size 7' 'max_position_embeddings 6' \
	'type_vocab_size 3'; do
	read -r key value <<<"$lie"
	bad 3 "$key match this checkpoint?" "{$(sed "s/\"$key\": [0-9]*/\"$key\": $value/" <<<"$config")}"
done
bad 3 'layer.1.attention.query: model.safetensors holds no tensor' \
	"{${config/'"num_hidden_layers": 1'/'"num_hidden_layers": 2'}}"
for value in 0 -4 4.5 '"4"' true null 4294967300; do
	bad 3 'hidden' "{${config/'"hidden_size": 4'/"\"hidden_size\": $value"}}"
done
bad 3 'hidden_size is null' "{${config/'"hidden_size": 4'/'"hidden_size": null'}}"
roberta=${config/'"model_type": "bert"'/'"model_type": "roberta"'}
bad 3 'pad_token_id is null' "{$roberta, \"pad_token_id\": null}"
bad 3 'pad_token_id is 5000, expected an id of the' \
	"{${roberta/'"max_position_embeddings": 5'/'"max_position_embeddings": 6000'}, \"pad_token_id\": 5000}"
bad 3 'too big integer' "{${config/'"hidden_size": 4'/'"hidden_size": 99999999999999999999'}}"
bad 3 'expected a multiple of' "{${config/'"num_attention_heads": 2'/'"num_attention_heads": 3'}}"
bad 3 'classifier' "{${config/', "1": "yes"'/}}"
bad 3 'control characters' "{${config/yes/a\\u000ab}}"
bad 3 'is not JSON' "{${config/yes/a\\u0000b}}"

# directories in place of files, and files that are too large
tiny_hf model
rm model/config.json; mkfifo model/config.json; refused 3 'expected a regular file' model
rm model/config.json; mkdir model/config.json; refused 3 'expected a regular file' model
rmdir model/config.json; head -c 20000000 /dev/zero >model/config.json; refused 3 'at most' model
rm model/config.json; refused 3 'config.json' model
refused 3 'nowhere' nowhere
: >empty; refused 3 'is not a model: the name has no known suffix' empty

# files beside config.json
tiny_hf model
printf '{"model_max_length": "many"}' >model/tokenizer_config.json
refused 3 'model_max_length is a string' model
rm model/tokenizer_config.json
printf '[{"type": "x.Transformer", "path": "../good"}]' >model/modules.json
refused 3 'plain folder name' model
printf '[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "/etc"}]' >model/modules.json
refused 3 'plain folder name' model
printf '[{"type": "x.Transformer", "path": ""}, {"type": "x.WordEmbeddings", "path": "1"}]' \
	>model/modules.json
refused 4 'WordEmbeddings' model
rm model/modules.json
refused 3 'qa_outputs.weight' model --task=qa
refused 2 'scores' model --outputs=scores
