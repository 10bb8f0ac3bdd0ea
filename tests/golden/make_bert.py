"""The BERT row of make_model.py, for tests of features that only BERT has or that do not depend on the
family."""

from make_model import FAMILIES, random_model, randomize  # noqa: F401
from make_tokenizer import write_wordpiece as write_vocab  # noqa: F401

KINDS = FAMILIES["bert"].classes()


def random_bert(kind, seed, directory, **overrides):
    return random_model("bert", kind, seed, directory, **overrides)
