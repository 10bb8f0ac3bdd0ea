"""Random directories of sentence-transformers, saved by the library."""

import json, shutil
import torch
from torch import nn
from transformers import AutoTokenizer
from _support import *
from checkpoints import loads, refuses, rewrite_config
from make_model import random_model

try:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
except ImportError:
    skip("no sentence-transformers")


def once(kind, seed):
    """A random BERT with its tokenizer."""
    path = TMP / f"base-{kind}-{seed}"
    if not path.exists():
        model, _ = random_model("bert", kind, seed, path, max_position_embeddings=64, type_vocab_size=2)
        AutoTokenizer.from_pretrained(path, model_max_length=64).save_pretrained(path)
    return path


def copied(path, name, **config):
    home = TMP / name
    shutil.copytree(path, home)
    if config:
        rewrite_config(home, **config)
    return home


def saved(name, seed, *modules, **settings):
    """Saves Transformer, then the modules, each made for the width that it gets."""
    home = TMP / name
    encoder = Transformer(str(once("encoder", seed)))
    parts, width = [encoder], encoder.get_embedding_dimension()
    torch.manual_seed(seed)
    for make in modules:
        parts.append(make(width))
        if hasattr(parts[-1], "get_embedding_dimension"):
            width = parts[-1].get_embedding_dimension()
    SentenceTransformer(modules=parts, device="cpu", **settings).save(str(home), create_model_card=False)
    return home


def pool(*modes, **more):
    return lambda width: Pooling(width, modes[0] if len(modes) == 1 else list(modes), **more)


def dense(outputs, act=nn.Tanh(), **more):
    return lambda width: Dense(width, outputs, activation_function=act, **more)


def norm(width):
    layer = LayerNorm(width)
    nn.init.normal_(layer.norm.weight)
    nn.init.normal_(layer.norm.bias)
    return layer


unit = lambda width: Normalize()
of_tokens = dict(module_input_name="token_embeddings")
