#!/usr/bin/env bash
# sentence-transformers 6.2.0: saving and loading WordEmbeddings shifts words to other vectors if a word is in
# the list of WhitespaceTokenizer twice. Before, each place of the list is an id, and a repeated word has its
# last place. save() writes the words without repeats, but all rows of the table. After loading, every word
# behind the repeated one has a smaller id, and so the vector of another word. Fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - "$folder" <<'END'
import sys
import numpy
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, WordEmbeddings
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

words = WhitespaceTokenizer(["padding", "red", "red", "green"], stop_words=[])
table = numpy.eye(4)
saved = SentenceTransformer(modules=[WordEmbeddings(words, table), Pooling(4, "mean")], device="cpu")
saved.save_pretrained(f"{sys.argv[1]}/model")
loaded = SentenceTransformer(f"{sys.argv[1]}/model", device="cpu")
before, after = (int(m.encode("green").argmax()) for m in (saved, loaded))
print(f"green has row {before} before, and row {after} after saving and loading")
assert (before, after) == (3, 2)
END
