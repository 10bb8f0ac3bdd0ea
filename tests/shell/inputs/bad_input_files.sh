# Names of files that are pipes, sockets, devices, directories, or dangling or circular symbolic links. bertc
# refuses them by name, does not wait for them, and does not treat them as missing files.
. "$SOURCE/tests/shell/bad_input_common.inc"

embedder() { # DIR: a model of sentence-transformers with all optional files
	tiny_hf "$1"
	mkdir "$1/1_Pooling"
	printf '[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]' \
		>"$1/modules.json"
	printf '{"word_embedding_dimension": 4, "pooling_mode_mean_tokens": true}' >"$1/1_Pooling/config.json"
	printf '{"max_seq_length": 5}' >"$1/sentence_bert_config.json"
	printf '{"prompts": {}}' >"$1/config_sentence_transformers.json"
	printf '{"tokenizer_class": "BertTokenizer"}' >"$1/tokenizer_config.json"
	printf '{"unk_token": "[UNK]"}' >"$1/special_tokens_map.json"
	printf '{"[PAD]": 0}' >"$1/added_tokens.json"
	printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c d >"$1/vocab.txt"
}
fresh() { rm -rf model; cp -r good model; }

spoil() { # KIND PATH
	rm -rf "$2"
	case $1 in
	pipe) mkfifo "$2" ;;
	directory) mkdir "$2" ;;
	device) ln -s /dev/zero "$2" ;;
	dangling) ln -s nowhere "$2" ;;
	loop) ln -s "${2##*/}" "$2" ;;
	esac
}
BERTC_REAL=$BERTC
limited() { timeout 120 "$BERTC_REAL" "$@"; } # a faulty bertc would wait forever
export -f limited
BERTC=limited

embedder good
"$BERTC" build good --emit=bir -o good.bir --quiet || fail "the model itself does not build"
for name in config.json model.safetensors modules.json 1_Pooling/config.json sentence_bert_config.json \
	config_sentence_transformers.json tokenizer_config.json special_tokens_map.json added_tokens.json \
	vocab.txt tokenizer.json; do
	for kind in pipe directory device dangling loop; do
		fresh
		spoil $kind "model/$name"
		refused 3 "model/$name: error: " model
	done
done

# an index, its shards, and a delta
for kind in pipe dangling; do
	fresh
	mv model/model.safetensors model/shard.safetensors
	spoil $kind model/model.safetensors.index.json
	refused 3 "model.safetensors.index.json: error: " model
	rm model/model.safetensors.index.json
	printf '{"weight_map": {"bert.pooler.dense.bias": "shard.safetensors"}}' \
		>model/model.safetensors.index.json
	spoil $kind model/shard.safetensors
	refused 3 "shard.safetensors: error: " model
	tiny_hf task
	rm task/model.safetensors
	spoil $kind task/delta.safetensors
	refused 3 "delta.safetensors: error: " good --merge=task=task
done

# byte-level BPE, in its older form
for name in vocab.json merges.txt; do
	for kind in pipe dangling; do
		fresh
		rm model/vocab.txt model/tokenizer_config.json
		printf '{"a": 0, "b": 1}' >model/vocab.json
		printf '#version: 0.2\na b\n' >model/merges.txt
		spoil $kind "model/$name"
		refused 3 "model/$name: error: " model
	done
done

# a model, and what options name
cat >tiny.bir <<'BIR'
module @tiny weights "w.safetensors" max_tokens 5
graph @main(%ids: i32[S]) level=graph {
  %w = const @bert.embeddings.word_embeddings.weight : f32[9,4]
  %x = embed %w, %ids : f32[S,4]
  return hidden=%x
}
BIR
checkpoint w.safetensors
"$BERTC" build tiny.bir --emit=bir -o other.bir --quiet || fail "the graph itself does not build"
mkdir elsewhere; cp w.safetensors elsewhere
for kind in pipe directory device dangling loop; do
	for name in model.bir model.xml journal; do spoil $kind $name; done
	refused 3 model.bir model.bir
	refused 3 model.xml model.xml
	spoil $kind w.safetensors
	refused 3 "w.safetensors: error: " tiny.bir --search=elsewhere
	for option in --tune-cache --verified; do refused 3 "journal: error: " good $option=journal; done
	refused 3 "journal: error: " good --passes='prune-vocab{corpus=journal}'
	refused 3 "journal: error: " good --passes='normalize-embeddings{method=z-score data=journal}'
done
# a pipe from the shell works like a file
"$BERTC" opt <(sed 's/weights "[^"]*"//; s/const @.* :/const rand(1) :/' tiny.bir) --passes=cse |
	grep -q embed || fail "a pipe of the shell's"
