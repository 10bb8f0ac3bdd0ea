#!/usr/bin/env python3
"""Writes encoders of the published base sizes with seeded random weights, to time them beside other runtimes.
Not a test.

    SHARED=... make_base.py DIRECTORY [--families bert,distilbert,roberta] [--dtype float32|float16]

DIRECTORY/NAME-base is a Hugging Face directory: config.json, model.safetensors, and a vocabulary of $SHARED.
`bertc build DIRECTORY/NAME-base --task=embed` makes an embedder of it.
"""

import argparse, os, pathlib, shutil
import torch
from make_model import FAMILIES
from make_tokenizer import write_json

# Sizes and files of bert-base-uncased, distilbert-base-uncased and roberta-base.
SIZES = {
    "bert": dict(vocab_size=30522),
    "distilbert": dict(vocab_size=30522, num_hidden_layers=6),
    "roberta": dict(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5),
}
FILES = {
    "bert": ["bert-base-uncased/vocab.txt"],
    "distilbert": ["bert-base-uncased/vocab.txt"],
    "roberta": ["roberta-base/vocab.json", "roberta-base/merges.txt"],
}


def write(family, directory, dtype, vocabularies):
    row = FAMILIES[family]
    torch.manual_seed(1)
    model = row.classes()["encoder"](row.config(**SIZES[family]))
    model.to(dtype).save_pretrained(directory)
    for file in FILES[family]:
        shutil.copyfile(vocabularies / file, directory / pathlib.Path(file).name)
    write_json(
        directory / "tokenizer_config.json",
        {"tokenizer_class": row.stem + "Tokenizer", "model_max_length": 512},
    )


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("directory", type=pathlib.Path)
    p.add_argument("--families", default=",".join(SIZES))
    p.add_argument("--dtype", default="float32", choices=["float32", "float16"])
    a = p.parse_args()
    for name in a.families.split(","):
        out = a.directory / f"{name}-base"
        write(name, out, getattr(torch, a.dtype), pathlib.Path(os.environ["SHARED"], "data", "vocab"))
        print(out)
