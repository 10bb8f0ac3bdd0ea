"""Common code of the tests of passes that change a model: compares a model built with passes with the same
change made by hand in PyTorch."""

import json, random, shutil
import numpy as np, torch
from _support import *
from checkpoints import evaluate
import make_bert


def texts(config, seed, lengths=(1, 2, 9)):
    r = random.Random(seed)
    return [
        [r.randrange(config.vocab_size) for _ in range(n)]
        for n in (*lengths, min(config.max_position_embeddings, 40))
    ]


@torch.no_grad()
def logits(model, batch):
    """The first output of the program for each text. That of an encoder is its normalised mean."""
    rows = []
    for ids in batch:
        o = model(input_ids=torch.tensor([ids]), token_type_ids=torch.zeros(1, len(ids), dtype=torch.long))
        if hasattr(o, "logits"):
            rows.append(o.logits[0].double())
        else:
            rows.append(torch.nn.functional.normalize(o.last_hidden_state[0].double().mean(0), dim=0))
    return rows


serial = 0
cpus = {}


def cpu_of(directory, options):
    """A test's first random model is built for this CPU, the others for the oldest one, which takes a third
    of the time: what passes do is the same, and kernels have tests of their own. Builds of one directory are
    for one CPU."""
    if FULL or SHARED in directory.parents or any("--cpu" in str(o) for o in options):
        return ()
    name = cpus.setdefault(directory, "baseline" if cpus else "native")
    return (f"--cpu={name}",)


def program(directory, passes, *options):
    """The model, built with passes, as a library; and its ledger."""
    global serial
    options = (*options, *cpu_of(directory, options))
    serial += 1
    out = TMP / f"whittled{serial}.so"
    ledger = TMP / f"whittled{serial}.json"
    build(
        directory,
        out,
        "--emit=shared",
        "--name=m",
        f"--passes={passes}",
        "--outputs=",
        f"--ledger={ledger}",
        *options,
    )
    return Library(out, "m"), json.loads(ledger.read_text())["passes"]


def left_by(directory, passes, batch, *options):
    """Runs the passes, then the reference evaluator on their graph. Returns first outputs and the ledger."""
    graph, ledger = directory / "left.bir", TMP / "left.json"  # a graph and its weight files share a folder
    more = (f"--passes={passes}", "--outputs=", f"--ledger={ledger}", *cpu_of(directory, options), *options)
    build(directory, graph, "--emit=bir", *more)
    rows = [np.array(next(iter(row.values()))) for row in evaluate(graph, batch)]
    graph.unlink()
    return rows, json.loads(ledger.read_text())["passes"]


compiled = set()


def results(directory, passes, batch, sizes, *options):
    """The first output of each text, and the ledger. sizes: how many numbers a text has. The first build of
    a directory is a program. The reference evaluator runs the graphs of the others, which takes a tenth of
    the time."""
    if directory in compiled and SHARED not in directory.parents and not FULL:
        return left_by(directory, passes, batch, *options)
    compiled.add(directory)
    library, ledger = program(directory, passes, *options)
    return [library.run([ids], size) for ids, size in zip(batch, sizes)], ledger


def check(what, directory, passes, changed, batch, *options):
    """Builds DIRECTORY with passes and compares with the model that was changed by hand. Returns the
    ledger."""
    wanted = logits(changed, batch)
    rows, ledger = results(directory, passes, batch, [want.numel() for want in wanted], *options)
    worst = 0
    for ids, want, got in zip(batch, wanted, rows):
        got = got.reshape(want.shape)
        worst = max(worst, compare(got, want, f"{what}: {passes}, {len(ids)} tokens"))
        top = want.topk(min(2, want.shape[-1]), -1).values
        if want.shape[-1] > 1:
            clear = (top[..., 0] - top[..., 1]).numpy() > 2e-4
            assert (got.argmax(-1) == want.argmax(-1).numpy())[clear].all(), f"{what}: labels differ"
    print(f"{what}: {passes}: {worst:.3f} of the tolerance")
    return ledger


def clear_labels(what, got, want):
    """Of a model in int8: where the two best of `want` lie further apart than a tenth of what logits come to
    (root mean square), labels are the same. Nearer, one code of int8 on the border may decide, which rounding
    carries to either side; it has moved a tag of minilm-ncbi by a 24th, and one of 16,908 by more than a
    tenth: of 5,000 one may differ. Returns the share of rows that are so clear."""
    got, want = (torch.cat([r.reshape(-1, r.shape[-1]) for r in rows]) for rows in (got, want))
    top = want.topk(2, -1).values
    clear = top[:, 0] - top[:, 1] > 0.1 * want.square().mean().sqrt()
    wrong = ((got.argmax(-1) != want.argmax(-1)) & clear).sum().item()
    assert wrong <= len(clear) // 5000, f"{what}: {wrong} clear labels of {len(clear)} differ"
    return clear.double().mean().item()


def equal_labels(got, want):
    """The share of rows with the same label, and the number of rows."""
    got, want = (torch.cat([r.reshape(-1, r.shape[-1]) for r in rows]).argmax(-1) for rows in (got, want))
    return (got == want).double().mean().item(), len(want)


def encoder(model):
    return getattr(model, "bert", model)


def shared_models(*few):
    """The three models, as transformers loads them, in fp32; unless FULL only those named: they differ in
    their heads, and random models have each."""
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoModel

    for name, kind in (
        ("minilm-sst2", AutoModelForSequenceClassification),
        ("minilm-ncbi", AutoModelForTokenClassification),
        ("minilm-l6", AutoModel),
    ):
        if SHARED and (FULL or name in few):
            yield (
                SHARED / "models" / name,
                lambda name=name, kind=kind: (
                    kind.from_pretrained(SHARED / "models" / name, attn_implementation="eager").float().eval()
                ),
            )


def real_texts(directory, count, longest=128):
    """Of a shared model, the file to learn from and so many ids of texts to judge by: those of its own
    task."""
    from transformers import AutoTokenizer

    folder, train, judge = {
        "minilm-sst2": ("sst2", "train.tsv", "dev.tsv"),
        "minilm-ncbi": ("ncbi_disease", "train.tsv", "devel.tsv"),
        "minilm-l6": ("stsb", "sts-train.tsv", "sts-dev.tsv"),
    }[directory.name]
    text = (SHARED / "data" / folder / judge).read_text()
    lines = text.splitlines()
    if folder == "sst2":
        sentences = [l.rsplit("\t", 1)[0] for l in lines[1:]]
    elif folder == "stsb":
        sentences = [l.split("\t")[5] for l in lines]
    else:
        sentences = [
            " ".join(w.split("\t")[0] for w in s.splitlines()) for s in text.split("\n\n") if s.strip()
        ]
    tokenizer = AutoTokenizer.from_pretrained(directory)
    return SHARED / "data" / folder / train, [
        tokenizer(s, truncation=True, max_length=longest)["input_ids"] for s in sentences[:count]
    ]
