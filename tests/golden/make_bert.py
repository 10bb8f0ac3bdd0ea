"""The BERT row of make_model.py, for tests of what only BERT has or where the family makes no difference."""

from make_model import FAMILIES, random_model, randomize  # noqa: F401
from make_tokenizer import write_wordpiece as write_vocab  # noqa: F401

KINDS = FAMILIES["bert"].classes()


def random_bert(kind, seed, directory, **overrides):
    return random_model("bert", kind, seed, directory, **overrides)
