#!/usr/bin/env python3
"""Every family: a description builds the same program, other spellings of files are read, and any padding
id works. test_golden.py tests the numbers, test_family_passes.py the passes.

    test_family.py [FAMILY...]"""

import re, shutil, sys
import numpy as np, torch
from safetensors.torch import load_file, save_file
from _support import BERTC, TMP, bertc, build, run
from checkpoints import evaluate
from make_model import FAMILIES, TESTED, random_model
from make_tokenizer import write_wordpiece

torch.set_grad_enabled(False)
torch.set_num_threads(1)


def describe_builds_the_same(directory, out):
    for folder in ("direct", "described"):  # a graph may have a file of constants in its folder
        (TMP / folder).mkdir(exist_ok=True)
    build(directory, TMP / "direct" / "m.bir", "--emit=bir", "--name=m")
    bertc("describe", directory, "-o", directory / "model.xml")
    build(directory / "model.xml", TMP / "described" / "m.bir", "--emit=bir", "--name=m")
    files = sorted(f.name for f in (TMP / "direct").iterdir())
    assert files == sorted(f.name for f in (TMP / "described").iterdir()), files
    for file in files:
        direct, described = ((TMP / f / file).read_bytes() for f in ("direct", "described"))
        # the description has no config.json
        direct = re.sub(rb'meta "unknown_keys" .*\n', b"", direct)
        assert direct == described, f"describe changes the graph: {file}"
    (directory / "model.xml").unlink()


def other_spellings(family, directory, text):
    """LayerNorm.gamma and .beta, or tensor names without the family's prefix, give the same graph."""
    copy = TMP / f"{directory.name}.old"
    shutil.copytree(directory, copy)
    tensors = load_file(copy / "model.safetensors")
    older = {"weight": "gamma", "bias": "beta"}
    norm = re.compile(r"((?:[Nn]orm\d?|[._]ln)\.)(weight|bias)$")
    old = {norm.sub(lambda m: m[1] + older[m[2]], k): v for k, v in tensors.items()}
    prefix = FAMILIES[family].classes()["encoder"].base_model_prefix
    old = {k.removeprefix(f"{prefix}."): v for k, v in old.items()}
    assert old.keys() != tensors.keys(), f"{family}: no name has another spelling"
    save_file(old, copy / "model.safetensors")
    assert evaluate(copy, [text]) == evaluate(directory, [text]), f"{family}: older names"


def padding_is_renumbered():
    """prune-vocab changes the id of the padding token, which has no position. A text with this token keeps
    the positions of its other tokens."""
    directory = TMP / "renumbered"
    keys = dict(vocab_size=400, pad_token_id=200, max_position_embeddings=230)
    random_model("roberta", "classify", 9, directory, **keys)
    for file in ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        (directory / file).unlink(missing_ok=True)
    write_wordpiece(directory, keys["vocab_size"], 9)
    words = (directory / "vocab.txt").read_text().split("\n")
    text = " ".join(w.replace("##", "a") for w in (words[300], words[200], words[390]))
    (TMP / "corpus.txt").write_text(text + "\n")
    passes = f"--passes=prune-vocab{{corpus={TMP / 'corpus.txt'}}}"
    plain = run(build(directory, TMP / "plain", "--cpu=baseline"), "--logits", text).stdout
    pruned = run(build(directory, TMP / "pruned", "--cpu=baseline", passes), "--logits", text).stdout
    assert plain == pruned, f"{text}: {plain} {pruned}"


count = 0
for family in sys.argv[1:] or TESTED:
    for n, kind in enumerate(("classify", "fill-mask", "encoder")):
        if kind not in FAMILIES[family].classes():
            continue
        keys = dict(num_hidden_layers=3, hidden_size=48, num_attention_heads=4, intermediate_size=33)
        directory = TMP / f"{family}-{kind}"
        _, config = random_model(family, kind, 40 + n, directory, **keys)
        text = np.random.default_rng(n).integers(0, config.vocab_size, 9).tolist()
        describe_builds_the_same(directory, TMP)
        other_spellings(family, directory, text)
        count += 1
padding_is_renumbered()
print(f"{count} models")
