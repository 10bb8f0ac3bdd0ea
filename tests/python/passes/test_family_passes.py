"""Every pass alone on models of every family. The reference evaluator runs the changed graph (no code is
generated). Passes that keep results must equal transformers; others must be close to it, or at least
change the results and stay finite. Removed layers, heads and neurons are also cut out of the PyTorch
model by hand, and transformers loads the result of --emit=checkpoint. One whole program of each family
in int8.

    test_family_passes.py [FAMILY...]"""

import copy, re, shutil, sys
import numpy as np
from _support import BERTC, FULL, TMP, Library, bertc, build, compare, run
from checkpoints import *
from make_model import FAMILIES, TESTED, random_model, reference
from make_tokenizer import syllables
from transformers import AutoTokenizer
import random

torch.set_grad_enabled(False)
torch.set_num_threads(1)
SIZES = dict(
    num_hidden_layers=3,
    hidden_size=64,
    num_attention_heads=4,
    intermediate_size=96,
    hidden_act="gelu",
    type_vocab_size=2,
)
# (pass, options, least cosine with the model before; -1: any). A pass without a row promises the same
# numbers.
LOSSY = [
    ("drop-layers", "strategy=top keep=2", -1),
    ("prune-blocks", "blocks=0.attention,1.ffn", -1),
    ("prune-heads", "heads=0.1,2.3", -1),
    ("prune-heads", "keep=1", -1),
    ("prune-ffn", "neurons=0.5,1.7,1.8", 0.5),
    ("prune-ffn", "keep=8", -1),
    ("hard-attention", "k=4", -1),
    ("prune-tokens", "layer=1 keep=0.5", -1),
    ("factorize-embeddings", "rank=20", -1),
    ("sparsify", "sparsity=0.1", 0.5),
    ("early-exit", "layers=0,1 data={labelled} entropy=0", 0.999),
    ("normalize-embeddings", "method=z-score layers=1 data={labelled}", -1),
    ("ablate-neurons", "neurons=0.3,1.5 to=zero", -1),
    ("quantize-embeddings", "to=int8", 0.99),
    ("cast-weights", "to=f16", 0.9999),
    ("quantize-int8", "", 0.97),
    ("compute-bf16", "", 0.99),
]
# Passes with checks of their own.
APART = ("merge-tasks", "prune-vocab")
# Passes that build a program to learn from data. Unless FULL they run on the one kind named here. Only
# classifiers have exits.
LEARN = {"early-exit": "classify", "normalize-embeddings": "encoder"}
# A text may ask for any token, so no token can be removed.
REFUSED = {"prune-tokens": ("fill-mask",)}


# Of families without attention, or with one of another form. A pass that names heads or blocks ends with an
# error, the others change nothing.
OF_HEADS = ("prune-blocks", "prune-heads", "hard-attention", "prune-tokens")


def pass_names():
    """The passes that `bertc passes` lists."""
    listed = run(BERTC, "passes").stdout.decode().split("\n\n")[1]
    return re.findall(r"^  (\S+)", listed, re.MULTILINE)


def is_refused(refused, name, kind):
    return name in refused or kind in REFUSED.get(name, ())


def refused_by(row, config):
    return [*row.refuses(config), *(OF_HEADS if row.headless else ())]


def cases(refused, kind):
    """Rows as in LOSSY of the passes for a model of this kind. Cosine None: the numbers must be equal."""
    lossy = {row[0] for row in LOSSY}
    rows = LOSSY + [(name, "", None) for name in PASSES if name not in lossy and name not in APART]
    for case in rows:
        learns = LEARN.get(case[0], kind)
        if is_refused(refused, case[0], kind):
            continue
        if learns == kind or (FULL and case[0] != "early-exit"):
            yield case


def layers_of(model):
    """The list of layers of any class of model."""
    base = model.base_model
    return next(m for m in base.modules() if isinstance(m, torch.nn.ModuleList))


def without_layers(model, gone):
    model = copy.deepcopy(model)
    layers = layers_of(model)
    kept = [l for i, l in enumerate(layers) if i not in gone]
    del layers[:]
    layers.extend(kept)
    if 0 in gone and getattr(model.config, "conv_kernel_size", 0):  # DeBERTa's convolution counts as its part
        model.base_model.encoder.conv = None
    if hasattr(model.config, "num_hidden_groups"):  # these decide which group runs
        model.config.num_hidden_layers = model.config.num_hidden_groups = len(kept)
    return model


def last_weights(row, layer):
    """The weights of the last linears of a layer's attention and feed-forward network."""
    if row.blocks:
        return row.blocks(layer)
    found = [(name, m) for name, m in layer.named_modules() if isinstance(m, torch.nn.Linear)]
    assert len(found) in (4, 6, 7), [*layer.named_modules()]  # 4: query, key and value in one; 7: a gate
    last = [[m for name, m in found if ("att" in name) == attends][-1] for attends in (True, False)]
    return [m.weight.data for m in last]


def without_units(row, model, heads, neurons):
    """Sets the columns that read removed units to zero: the same numbers as without these units."""
    model = copy.deepcopy(model)
    for i, layer in enumerate(layers_of(model)):
        out, down = last_weights(row, layer)
        for h in heads.get(i, ()):
            head = out.shape[1] // model.config.num_attention_heads
            out[:, h * head : (h + 1) * head] = 0
        for n in neurons.get(i, ()):
            down[:, n] = 0
    return model


def texts(row, config, seed, lengths=(1, 2, 9, 14)):
    r = random.Random(seed)
    made = [[r.randrange(config.vocab_size) for _ in range(n)] for n in lengths]
    made[3][5] = row.padding(config)
    return made


def first_outputs(rows):
    return [np.asarray(next(iter(r.values()))) for r in rows]


def near(got, want, floor, what):
    """The cosine must be at least `floor`. A single number may have any."""
    got = np.asarray(got).reshape(-1)
    assert got.shape == (want.size,) and np.isfinite(got).all(), f"{what}: {got}, expected {want.shape}"
    want = want.reshape(-1)
    cosine = got @ want / np.linalg.norm(got) / np.linalg.norm(want)
    assert want.size == 1 or cosine >= floor, f"{what}: cosine {cosine:.5f}"


def left_by(directory, passes, batch):
    """The first output of the graph after the passes, and their ledger."""
    place = TMP / f"{directory.name}-left"  # a graph and its weight files share a folder
    if not place.exists():
        shutil.copytree(directory, place)
    graph, ledger = place / "left.bir", TMP / "left.json"
    last = passes.split("{")[0].split(",")[-1]  # else the preset's passes would follow
    bertc(
        "build",
        directory,
        "--emit=bir",
        f"--passes={passes}",
        f"--stop-after={last}",
        f"--ledger={ledger}",
        "-o",
        graph,
        "--quiet",
        "--cpu=baseline",
    )
    return first_outputs(evaluate(graph, batch)), json.loads(ledger.read_text())["passes"]


def check_each_pass(family, row, kind, directory, model, batch, files):
    want = [reference(row, model, kind, ids) for ids in batch]
    for name, options, floor in cases(refused_by(row, model.config), kind):
        text = f"{name}{{{options.format(**files)}}}" if options else name
        before = "lower," if name in ("pack-weights", "chain-rows", "plan-memory") else ""
        got, ledger = left_by(directory, before + text, batch)
        what = f"{family} {kind}: {text}"
        for g, w in zip(got, want, strict=True):
            if floor is None:
                compare(g, w, what, 2e-5)
            else:
                near(g, w, floor, what)
        changes = next(r for r in ledger if r["pass"].split("{")[0] == name)["changes"]
        assert changes or floor is None, f"{what} changes nothing"


def check_refused(refused, kind, directory, files):
    for name, options, _ in LOSSY:
        if is_refused(refused, name, kind):
            passes = f"--passes={name}{{{options.format(**files)}}}"
            p = bertc("build", directory, "--emit=bir", "-o", TMP / "none", passes, check=False)
            assert p.returncode == 4 and name in p.stderr.decode(), (p.returncode, p.stderr)


def check_headless(directory, batch):
    plain, _ = left_by(directory, "dce", batch)
    for name, options, _ in LOSSY:
        if name not in OF_HEADS:
            continue
        passes = f"--passes={name}{{{options}}}"
        p = bertc("build", directory, "--emit=bir", "-o", TMP / "none", passes, check=False)
        said = p.stderr.decode()
        if "=0." in options or name == "prune-tokens":
            assert p.returncode in (2, 4) and name in said, (passes, p.returncode, said)
        else:
            got, ledger = left_by(directory, f"{name}{{{options}}}", batch)
            assert all((g == w).all() for g, w in zip(got, plain)) and not ledger[-1]["changes"], passes


def check_by_hand(family, row, kind, directory, model, batch):
    heads, neurons = {0: [1], 2: [0, 3]}, {0: [5, 6], 1: [90]}
    by_hand = {
        "drop-layers{layers=0,2}": without_layers(model, {1}),
        "drop-layers{strategy=bottom keep=1}": without_layers(model, {0, 1}),
        "prune-ffn{neurons=0.5,0.6,1.90}": without_units(row, model, {}, neurons),
    }
    if not row.headless:
        by_hand["prune-heads{heads=0.1,2.0,2.3}"] = without_units(row, model, heads, {})
    for passes, changed in by_hand.items():
        got, _ = left_by(directory, passes, batch)
        for ids, g in zip(batch, got):
            compare(g, reference(row, changed, kind, ids), f"{family} {kind}: {passes}", 2e-5)


def check_checkpoint(family, row, kind, directory, model, batch):
    """drop-layers, written as a directory: transformers loads it without complaint, and it compiles again."""
    out = TMP / f"{directory.name}.out"
    bertc("build", directory, "--emit=checkpoint", "--passes=drop-layers{layers=0,2}", "-o", out, "--quiet")
    again, info = row.classes()[kind].from_pretrained(
        out, output_loading_info=True, attn_implementation="eager", dtype=torch.float32
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    again.eval()
    changed = without_layers(model, {1})
    for ids, ours in zip(batch, first_outputs(evaluate(out, batch))):
        want = reference(row, changed, kind, ids)
        compare(reference(row, again, kind, ids), want, f"{family} {kind}: checkpoint in transformers", 1e-5)
        compare(ours, want, f"{family} {kind}: checkpoint read again", 2e-5)
    assert again.config.num_hidden_layers == 2
    kept = {k: v for k, v in model.state_dict().items() if not re.search(r"\.\d", k)}
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in kept.items()), f"{family}: tensors are lost"
    for file in directory.iterdir():  # the files of the tokenizer are copied byte for byte
        if file.name not in ("config.json", "model.safetensors"):
            assert (out / file.name).read_bytes() == file.read_bytes(), file.name


def check_vocabulary(family, row, kind, directory, model, corpus):
    """transformers loads the result of prune-vocab. Texts of the corpus keep their numbers."""
    out = TMP / f"{directory.name}.fewer"
    bertc(
        "build",
        directory,
        "--emit=checkpoint",
        f"--passes=prune-vocab{{corpus={corpus}}}",
        "-o",
        out,
        "--quiet",
    )
    small = row.classes()[kind].from_pretrained(out, attn_implementation="eager", dtype=torch.float32).eval()
    before, after = AutoTokenizer.from_pretrained(directory), AutoTokenizer.from_pretrained(out)
    assert small.config.vocab_size < model.config.vocab_size, f"{family}: no token went"
    for text in corpus.read_text().splitlines()[:6]:
        old, new = before(text)["input_ids"], after(text)["input_ids"]
        assert before.convert_ids_to_tokens(old) == after.convert_ids_to_tokens(new), (family, text)
        want = reference(row, model, kind, old)
        compare(reference(row, small, kind, new), want, f"{family} {kind}: fewer words", 1e-5)


def check_program(family, row, kind, directory, model, batch):
    """An int8 program. test_golden.py tests f32 programs."""
    options = ("--emit=shared", "--name=m", "--cpu=baseline", "--passes=quantize-int8")
    library = Library(build(directory, TMP / f"{directory.name}.so", *options), "m")
    for ids in batch:
        want = reference(row, model, kind, ids)
        near(library.run([ids], want.size), want, 0.97, f"{family} {kind}: int8")


PASSES = pass_names()
for name in [row[0] for row in LOSSY] + [*APART, *LEARN]:
    assert name in PASSES, f"there is no pass {name}"
for family in sys.argv[1:] or TESTED:
    row = FAMILIES[family]
    kinds = ("classify", "encoder", "fill-mask", "tag") if FULL else ("classify", "encoder")
    for n, kind in enumerate(k for k in kinds if k in row.classes()):
        directory, r = TMP / f"{family}-{kind}", random.Random(n)
        sizes = SIZES | {"num_labels": 3} if kind in ("classify", "tag") else SIZES
        sizes |= {"pad_token_id": 1} if row.starts_behind_padding else {}
        sizes |= {"max_position_embeddings": 64}
        model, config = random_model(family, kind, 61 + n, directory, **row.unshared(sizes))
        sentences = [" ".join(syllables(r) for _ in range(6)) for _ in range(24)]
        files = {"corpus": TMP / "corpus.txt", "labelled": TMP / "labelled.tsv"}
        files["corpus"].write_text("\n".join(sentences) + "\n")
        files["labelled"].write_text("".join(f"{s}\t{i % 3}\n" for i, s in enumerate(sentences)))
        batch = texts(row, config, n)
        check_by_hand(family, row, kind, directory, model, batch)
        check_checkpoint(family, row, kind, directory, model, batch)
        check_each_pass(family, row, kind, directory, model, batch, files)
        check_refused(row.refuses(config), kind, directory, files)
        if row.headless:
            check_headless(directory, batch)
        if kind == "classify":
            check_vocabulary(family, row, kind, directory, model, files["corpus"])
        if kind == "classify" or FULL:
            check_program(family, row, kind, directory, model, batch)
        print(f"ok {family} {kind}", flush=True)
