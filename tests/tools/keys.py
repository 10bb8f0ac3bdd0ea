#!/usr/bin/env python3
"""Reads compiler/support/keys.def. `keys.py --write` renews docs/keys.md, which test_keys.py compares."""

import pathlib, re, sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PAGE = SOURCE / "docs" / "keys.md"
FILES = {
    "CONFIG": "config.json",
    "MODULES": "modules.json",
    "SETTINGS": "config_sentence_transformers.json",
    "ENCODER": "sentence_bert_config.json",
    "POOLING": "config.json of Pooling",
    "LAYERS": "config.json of WeightedLayerPooling",
    "DENSE": "config.json of Dense",
    "NORM": "config.json of LayerNorm",
    "UNIT": "config.json of Normalize",
    "DROPOUT": "config.json of Dropout",
    "MASK": "config.json of MultiVectorMask",
    "CLUSTERS": "config.json of HierarchicalTokenPooling",
    "SPLADE": "config.json of SpladePooling",
    "AUTOENCODER": "config.json of SparseAutoEncoder",
    "WORDS": "wordembedding_config.json, cnn_config.json, lstm_config.json, config.json of "
    "WordWeights, BoW and SparseStaticEmbedding",
    "ROUTER": "router_config.json",
    "ROUTES": "parameters of router_config.json",
    "OTHER": "config.json of modules that are not supported",
    "TOKENIZER": "tokenizer.json",
    "TOKENIZER_CONFIG": "tokenizer_config.json",
    "SPECIAL": "special_tokens_map.json",
    "TOKEN": "a token in these files",
}
WORDS = {"OBEYED": "obeyed", "IDLE": "no effect", "REFUSED": "refused"}


def table():
    """(file, key, status, what) of each row."""
    text = (SOURCE / "compiler" / "support" / "keys.def").read_text()
    rows = re.findall(r'^KEY\((\w+), "([^"]+)", (\w+),\s*"([^"]+)"\)$', text, re.M)
    assert len(rows) == text.count("\nKEY(") and len({r[:2] for r in rows}) == len(rows)
    return rows


def page():
    lines = [
        "# Keys of a model's files",
        "",
        "`bertc` knows the keys of this page. *Obeyed*: the key changes the program; values that bertc does",
        "not support are refused. *No effect*: the key changes no answer. *Refused*: values that would",
        "change an answer are refused. Any other key gives a warning, and `--about` and `--help` of the",
        "program name it. `bertc describe DIR` shows what bertc chose for a directory, with the file and the",
        "key that decided.",
        "",
        "`config.json` may also have the sizes and other keys of its family (`compiler/families/`).",
        "`added_tokens.json` has no keys: it maps tokens to ids. The source of this page is",
        "`compiler/support/keys.def`; `tests/tools/keys.py --write` renews it.",
    ]
    for file, name in FILES.items():
        lines += ["", f"## {name}", "", "| key | | what it does, or why it has no effect |", "|---|---|---|"]
        lines += [f"| `{k}` | {WORDS[s]} | {what} |" for f, k, s, what in table() if f == file]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page())
    else:
        print(page(), end="")
