"""Seeded random BERTs of odd sizes for the tests, with weights, biases and LayerNorm large enough that every tensor matters: perturbing any one by 10 %
moves the output past the tolerance (key biases, which softmax cancels, aside; test_golden.py checks that too).

    make_bert.random_bert(kind, seed, directory, **overrides) -> (model, config)
"""
import json, pathlib, random
import torch
from transformers import (BertConfig, BertForMaskedLM, BertForNextSentencePrediction, BertForQuestionAnswering, BertForSequenceClassification,
                          BertForTokenClassification, BertModel)

KINDS = {"encoder": BertModel, "classify": BertForSequenceClassification, "multi": BertForSequenceClassification, "regression": BertForSequenceClassification,
         "tag": BertForTokenClassification, "qa": BertForQuestionAnswering, "fill-mask": BertForMaskedLM, "nsp": BertForNextSentencePrediction}
ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"]


def random_config(kind, seed):
    r = random.Random(seed)
    heads = r.choice([1, 2, 3, 4, 5, 7, 12]); size = r.choice([5, 7, 8, 11, 16, 19, 32, 64])
    labels = 1 if kind == "regression" else r.choice([2, 3, 5, 17])
    more = {"num_labels": labels} if kind in ("classify", "multi", "regression", "tag") else {}
    if kind == "multi": more["problem_type"] = "multi_label_classification"
    return BertConfig(vocab_size=r.choice([97, 128, 513]), hidden_size=heads * size, num_attention_heads=heads, num_hidden_layers=r.choice([1, 2, 3]),
                      intermediate_size=r.choice([1, 7, 33, 48, 100, 257]), max_position_embeddings=r.choice([17, 40, 64]), type_vocab_size=r.choice([1, 2, 3]),
                      hidden_act=ACTIVATIONS[seed % len(ACTIVATIONS)], layer_norm_eps=r.choice([1e-12, 1e-5]), **more)

def randomize(model, seed):
    """Weights of variance 1/fan_in (so that signals neither die nor explode), biases and LayerNorm shifts of about 0.5, LayerNorm scales of about 1."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        n = torch.randn(p.shape, generator=g)
        if "LayerNorm.weight" in name: n = 1 + 0.3 * n
        elif p.dim() == 1: n = 0.5 * n
        elif "embeddings" not in name: n = 1.5 * n / p.shape[1] ** 0.5
        p.data.copy_(n)
    return model

def write_vocab(directory, size):
    """A WordPiece vocabulary of `size` pieces: special tokens, letters, their continuations, digits, then made-up syllables."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(97 + i) for i in range(26)] + ["##" + chr(97 + i) for i in range(26)] + list("0123456789.,!?'-")
    r = random.Random(size)
    while len(pieces) < size:
        p = "".join(r.choice("bcdfghklmnprstvz") + r.choice("aeiou") for _ in range(r.randint(1, 3)))
        for q in (p, "##" + p):
            if q not in pieces and len(pieces) < size: pieces.append(q)
    pathlib.Path(directory, "vocab.txt").write_text("\n".join(pieces[:size]) + "\n")
    json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 10 ** 30}, open(pathlib.Path(directory, "tokenizer_config.json"), "w"))

def random_bert(kind, seed, directory, **overrides):
    torch.manual_seed(seed)
    c = random_config(kind, seed)
    for k, v in overrides.items(): setattr(c, k, v)
    c._attn_implementation = "eager"
    model = randomize(KINDS[kind](c), seed).eval()
    directory = pathlib.Path(directory); directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory); write_vocab(directory, c.vocab_size)
    return model, c
