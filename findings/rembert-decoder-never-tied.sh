#!/usr/bin/env bash
# transformers 5.24.0, RemBERT: tie_word_embeddings: true ties nothing. With input and output embeddings of
# one size, the decoder of RemBertForMaskedLM still has weights of its own, and is saved with them. One
# expects the key to be obeyed, or an error. Fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'END'
import torch
from transformers import BertConfig, BertForMaskedLM, RemBertConfig, RemBertForMaskedLM
from transformers.utils import logging

logging.set_verbosity_error()
SIZES = dict(vocab_size=60, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48)
SIZES["tie_word_embeddings"] = True
SIZES["pad_token_id"] = 0


def tied(model):
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


IDS = dict(bos_token_id=1, eos_token_id=2)
rembert = RemBertForMaskedLM(RemBertConfig(input_embedding_size=16, output_embedding_size=16, **SIZES, **IDS))
bert = BertForMaskedLM(BertConfig(**SIZES))
shapes = [tuple(m.weight.shape) for m in (rembert.get_input_embeddings(), rembert.get_output_embeddings())]
print(f"RemBERT, both embeddings {shapes}: tied {tied(rembert)}; BERT: tied {tied(bert)}")
assert shapes[0] == shapes[1] and not tied(rembert) and tied(bert)
END
