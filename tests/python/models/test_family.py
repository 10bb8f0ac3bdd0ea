#!/usr/bin/env python3
"""What every family must do beside its numbers (test_golden.py): a description builds the same program,
dropped layers make a checkpoint that transformers loads, the file's other spellings are read, passes work.

    test_family.py [FAMILY...]"""

import re, shutil, sys
import numpy as np, torch
from safetensors.torch import load_file, save_file
from _support import BERTC, TMP, Library, build, compare, run
from make_model import FAMILIES, TESTED, random_model, reference
from make_tokenizer import write_wordpiece

torch.set_grad_enabled(False)
torch.set_num_threads(1)
PASSES = ("quantize-int8", "prune-ffn{keep=8}", "prune-heads{keep=1}", "quantize-embeddings", "compute-bf16")


def program(directory, out, *options):
    return Library(
        build(
            directory,
            TMP / f"{directory.name}.{out}",
            "--emit=shared",
            "--name=m",
            "--cpu=baseline",
            *options,
        ),
        "m",
    )


def describe_builds_the_same(directory, out):
    build(directory, TMP / "direct.bir", "--emit=bir", "--name=m")
    run(BERTC, "describe", directory, "-o", directory / "model.xml")
    build(directory / "model.xml", TMP / "described.bir", "--emit=bir", "--name=m")
    direct, described = ((TMP / f).read_bytes() for f in ("direct.bir", "described.bir"))
    assert direct == described, "describe changes the graph"
    (directory / "model.xml").unlink()


def dropped_layers(family, kind, directory, model, config, text):
    """Layers 0 and 2 of three stay, numbered anew."""
    row, out = FAMILIES[family], TMP / f"{directory.name}.out"
    build(directory, out, "--emit=checkpoint", "--passes=drop-layers{layers=0,2}")
    again, info = type(model).from_pretrained(
        out, output_loading_info=True, attn_implementation="eager", dtype=torch.float32
    )
    left = info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]
    assert not left and again.config.num_hidden_layers == 2, f"{family}: {info}"
    want = reference(row, again.eval(), kind, *text)
    got = program(out, "again.so").run([text[0]], want.size)
    compare(got, want, f"{family} without a layer")
    old = {k: v for k, v in model.state_dict().items() if ".layer." not in k}
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in old.items()), f"{family}: tensors are lost"


def other_spellings(family, directory, want, text):
    """LayerNorm.gamma and .beta, and a checkpoint without the family's prefix."""
    copy = TMP / f"{directory.name}.old"
    shutil.copytree(directory, copy)
    tensors = load_file(copy / "model.safetensors")
    older = {"weight": "gamma", "bias": "beta"}
    old = {re.sub(r"(?<=[Nn]orm\.)(weight|bias)$", lambda m: older[m[0]], k): v for k, v in tensors.items()}
    save_file({k.removeprefix(f"{family}."): v for k, v in old.items()}, copy / "model.safetensors")
    compare(program(copy, "old.so").run([text[0]], want.size), want, f"{family}: older names")


def passes_run(family, directory, want, text):
    for n, passes in enumerate(PASSES):
        got = program(directory, f"passes{n}.so", f"--passes={passes}").run([text[0]], want.size)
        assert np.isfinite(got).all(), f"{family}: {passes}"


def padding_is_renumbered():
    """prune-vocab gives the token that takes no place another id; a text that holds it keeps its places."""
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
    plain = run(build(directory, TMP / "plain"), "--logits", text).stdout
    pruned = run(build(directory, TMP / "pruned", passes), "--logits", text).stdout
    assert plain == pruned, f"{text}: {plain} {pruned}"


count = 0
for family in sys.argv[1:] or TESTED:
    row = FAMILIES[family]
    for n, kind in enumerate(("classify", "fill-mask", "encoder")):
        keys = dict(num_hidden_layers=3, hidden_size=48, num_attention_heads=4, intermediate_size=33)
        directory = TMP / f"{family}-{kind}"
        model, config = random_model(family, kind, 40 + n, directory, **keys)
        text = (np.random.default_rng(n).integers(0, config.vocab_size, 9).tolist(), None)
        want = reference(row, model, kind, *text)
        describe_builds_the_same(directory, TMP)
        dropped_layers(family, kind, directory, model, config, text)
        other_spellings(family, directory, want, text)
        passes_run(family, directory, want, text)
        count += 1
padding_is_renumbered()
print(f"{count} models")
