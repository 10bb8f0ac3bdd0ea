#!/usr/bin/env bash
# sentence-transformers 6.2.0: a Dense module that acts on each token (module_input_name and
# module_output_name token_embeddings) may have any activation of torch. Softmax() is made without a dim, and
# torch then takes dim 0 of a tensor with three dims: the softmax runs over the texts of the batch, not over
# the numbers of a token. A text that is encoded alone gets 1 everywhere, and the same text beside others gets
# numbers that depend on them. On sentence_embedding, which has two dims, the same module is right. Fails if
# that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'END'
import numpy, torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer.modules import Pooling, WordEmbeddings
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

torch.manual_seed(0)
names = dict(module_input_name="token_embeddings", module_output_name="token_embeddings")
words = WhitespaceTokenizer(["", "red", "green", "blue"], stop_words=[])
table = numpy.random.default_rng(0).standard_normal((4, 6))
dense = Dense(6, 5, activation_function=torch.nn.Softmax(), **names)
model = SentenceTransformer(
    modules=[WordEmbeddings(words, table), dense, Pooling(5, "mean")], device="cpu"
)
alone = model.encode(["red green"])[0]
beside = model.encode(["red green", "blue blue"])[0]
print("alone: ", alone)
print("beside:", beside)
assert numpy.allclose(alone, 1) and abs(beside - alone).max() > 0.1
END
