#!/usr/bin/env bash
# sentence-transformers 6.2.0: in a pipeline of WordEmbeddings, CNN and Pooling, the embedding of a text
# depends on the longest text of its batch. WordEmbeddings pads ids with 0 and looks the padding up in its
# table; CNN convolves the padded rows without a look at the attention mask. So the last tokens of a short
# text see row 0 of the table if a longer text stands beside it, and zeros if the text is alone. A table with
# zeros in row 0 hides this; from_text_file makes such a row, and training with update_embeddings changes it.
# Fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'END'
import numpy, torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import CNN, Pooling, WordEmbeddings
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

torch.manual_seed(0)
table = numpy.random.default_rng(0).standard_normal((4, 6))


def differs(table):
    words = WhitespaceTokenizer(["padding", "red", "green", "blue"], stop_words=[])
    cnn = CNN(6, out_channels=5, kernel_sizes=[3])
    parts = [WordEmbeddings(words, table), cnn, Pooling(5, "mean")]
    model = SentenceTransformer(modules=parts, device="cpu")
    alone = model.encode(["red green"])[0]
    beside = model.encode(["red green", "blue blue blue blue"])[0]
    return abs(alone - beside).max()


random, zeros = differs(table), differs(numpy.vstack([numpy.zeros(6), table[1:]]))
print(f"beside a longer text, an embedding moves by {random:.3f}; with zeros in row 0 by {zeros:.1e}")
assert random > 0.01 and zeros < 1e-6
END
