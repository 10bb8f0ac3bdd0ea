#!/usr/bin/env bash
# transformers 5.24.0, tokenizers: an empty second text is dropped when one pair is given, and kept when
# pairs come in lists. tokenizer("a film", "") makes one segment, "[CLS] a film [SEP]". tokenizer(["a
# film"], [""]) makes two, "[CLS] a film [SEP] [SEP]", and the model's answer differs. So a reranker scores
# an empty document in two ways, depending on the form of the call. The reason is a test of the text's
# truth, not of None. One expects both forms to give the same ids. Fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.24.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'END'
from transformers import BertTokenizer

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film"]
tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)})
one = tokenizer("a film", "")["input_ids"]
listed = tokenizer(["a film"], [""])["input_ids"][0]
print(f"one pair: {one}; the same pair in lists: {listed}")
assert one == [2, 5, 6, 3] and listed == [2, 5, 6, 3, 3]
END
