"""Compares --merge with the tasks built alone: the same bytes in fp32 and int8, the numbers of PyTorch,
the base stored once. Bad deltas are refused."""

import json, shutil
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification
from whittling import *


class Tasks(Library):
    def outputs(self):
        return [self.f("output")(i).decode() for i in range(32) if self.f("output")(i)]

    def task(self, batch, name, width):
        """Runs one call and returns one output. It is requested alone, or together with the others."""
        k = self.outputs().index(name)
        ids = np.concatenate([np.array(t, np.int32) for t in batch])
        offsets = np.cumsum([0] + [len(t) for t in batch]).astype(np.int32)
        got = np.full((len(batch), width), np.nan, np.float32)
        p = lambda x: x.ctypes.data_as(ctypes.c_void_p)
        out = (ctypes.c_void_p * 32)()
        floats = (ctypes.c_size_t * 32)()
        out[k] = got.ctypes.data
        floats[k] = got.size
        status = self.f("run_outputs")(
            self.context, p(ids), None, p(offsets), len(batch), 1 << k, out, floats
        )
        if status:
            raise RuntimeError(self.f("strerror")(status).decode())
        return got


def task_directories(base, directory, task, labels, seed, layers):
    """Writes a model that differs from the base in its head and in the biases of `layers`: whole in one
    directory, as a delta in another."""
    config = base.config.__class__(**base.config.to_dict())
    config.num_labels = labels
    config.id2label = {i: f"{task}{i}" for i in range(labels)}
    config.label2id = {v: k for k, v in config.id2label.items()}
    config.problem_type = "regression" if labels == 1 else "single_label_classification"
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(base.state_dict(), strict=False)
    model.eval()
    g = torch.Generator().manual_seed(seed)
    changed = {}
    for name, p in model.named_parameters():
        if name.startswith(("classifier", "bert.pooler")) or (
            name.endswith("bias") and any(f".layer.{i}." in name for i in layers)
        ):
            p.data.copy_(p.data + 0.3 * torch.randn(p.shape, generator=g))
            changed[name] = p.data.contiguous()
    whole, delta = directory / f"{task}-whole", directory / f"{task}-delta"
    model.save_pretrained(whole)
    delta.mkdir()
    save_file(changed, delta / "delta.safetensors")
    shutil.copy(whole / "config.json", delta)
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(directory / name, whole)
        shutil.copy(directory / name, delta)
    return model, whole, delta


base, config = make_bert.random_bert(
    "encoder",
    310,
    TMP / "base",
    num_hidden_layers=3,
    vocab_size=513,
    hidden_size=48,
    num_attention_heads=4,
    intermediate_size=100,
    max_position_embeddings=64,
)
a, a_whole, a_delta = task_directories(base, TMP / "base", "a", 1, 1, (0, 1, 2))
b, b_whole, b_delta = task_directories(base, TMP / "base", "b", 3, 2, (2,))
batch = texts(config, 1, (1, 2, 3, 5, 7, 9, 11))
for options in ((), ("--passes=quantize-int8",), ("-O0", "--cpu=baseline")):
    built = {}
    for name, merge in (("m", f"a={a_delta},b={b_delta}"), ("w", f"b={b_whole},a={a_delta}")):
        built[name] = Tasks(
            build(
                TMP / "base",
                TMP / f"{name}{len(options)}{'O0' in str(options)}.so",
                "--emit=shared",
                f"--name={name}",
                f"--merge={merge}",
                *options,
            ),
            name,
            2,
        )
    for task, width, whole, model in (("a", 1, a_whole, a), ("b", 3, b_whole, b)):
        alone = Library(
            build(
                whole,
                TMP / f"{task}{'_'.join(options)}.so",
                "--emit=shared",
                f"--name={task}",
                "--outputs=",
                *options,
            ),
            task,
        )
        want = alone.run(batch, len(batch) * width).reshape(-1, width)
        for name, library in built.items():
            got = library.task(batch, task, width)
            assert got.tobytes() == want.tobytes(), (
                f"{options} {name}: task {task} differs from its own program"
            )
            assert b"".join(library.task([t], task, width).tobytes() for t in batch) == want.tobytes(), (
                "the same bytes one by one"
            )
        if "int8" not in str(options):
            print(
                f"{task} {options}: "
                f"{max(compare(g, w, task) for g, w in zip(want, logits(model, batch))):.3f} of the "
                "tolerance"
            )

# Passes before merge-tasks change each task by itself. After it they report that they cannot. eval scores
# each head on its own data, with the score of the task's own program.
passes = "drop-layers{layers=0,2},prune-ffn{keep=64},merge-tasks"
both = Tasks(
    build(
        TMP / "base",
        TMP / "cut.so",
        "--emit=shared",
        "--name=cut",
        f"--merge=a={a_delta},b={b_delta}",
        f"--passes={passes}",
    ),
    "cut",
)
for task, width, whole in (("a", 1, a_whole), ("b", 3, b_whole)):
    alone = Library(
        build(
            whole,
            TMP / f"cut-{task}.so",
            "--emit=shared",
            f"--name={task}",
            "--outputs=",
            f"--passes={passes.replace(',merge-tasks', '')}",
        ),
        task,
    )
    assert both.task(batch, task, width).tobytes() == alone.run(batch, len(batch) * width).tobytes(), (
        f"{task} cut and merged differs from its own program"
    )
checked = json.loads(
    run(
        BERTC,
        "verify",
        TMP / "base",
        f"--merge=a={a_delta},b={b_delta}",
        "--passes=fold-const,merge-tasks",
        "--max-abs=1e-4",
        "--json",
    ).stdout
)
assert [o["output"] for o in checked["outputs"]] == ["a", "b"], checked
refused = run(
    BERTC,
    "build",
    TMP / "base",
    "-o",
    TMP / "no",
    f"--merge=a={a_delta},b={b_delta}",
    "--passes=drop-layers{layers=0,2}",
    check=False,
)
assert refused.returncode == 4 and b"put the pass before merge-tasks" in refused.stderr, refused.stderr
rows = [
    ("ba ce di", 1),
    ("fo gu ha babe", 0),
    ("dice", 2),
    ("zo fu ba ka", 1),
    ("ra me", 2),
    ("ti ne ro sa", 0),
]
(TMP / "a.tsv").write_text("".join(f"{t}\t{n / 5}\n" for n, (t, _) in enumerate(rows)))
(TMP / "b.tsv").write_text("".join(f"{t}\tb{n}\n" for t, n in rows[1:]))
score = lambda *args: [json.loads(l) for l in run(BERTC, "eval", *args, "--json").stdout.splitlines()]
pairs = score(
    TMP / "base",
    f"--merge=a={a_delta},b={b_delta}",
    "--data",
    f"a:{TMP / 'a.tsv'}",
    "--data",
    f"b:{TMP / 'b.tsv'}",
    "--passes=quantize-int8",
)
assert [(p["head"], p["rows"], len(p["builds"])) for p in pairs] == [("a", 6, 2), ("b", 5, 2)], pairs
for pair, whole, data in zip(pairs, (a_whole, b_whole), ("a.tsv", "b.tsv")):
    own = score(whole, "--data", TMP / data, "--passes=quantize-int8")[0]
    for x, y in zip(pair["builds"], own["builds"]):
        assert (x["score"], x["metric"], x.get("right")) == (y["score"], y["metric"], y.get("right")), (
            pair,
            own,
        )
assert (
    score(TMP / "base", f"--merge=a={a_delta},b={b_delta}", "--data", TMP / "b.tsv", "--head", "b")[0][
        "builds"
    ][0]["score"]
    == pairs[1]["builds"][0]["score"]
)
refused = run(
    BERTC,
    "eval",
    TMP / "base",
    f"--merge=a={a_delta},b={b_delta}",
    "--data",
    TMP / "b.tsv",
    "--head",
    "c",
    check=False,
)
assert refused.returncode == 2 and b"has no head c; it has a, b" in refused.stderr, refused.stderr

# shared layers are stored and run once: layers 0 and 1 of b and of its twin are the same ops
steps = lambda path: sorted(
    l.split()[-1]
    for l in run(path, "--profile", "--seq", 8, "--repeat", 1).stdout.decode().splitlines()
    if "ffn.in" in l
)
both = build(TMP / "base", TMP / "both", f"--merge=b={b_delta},c={b_whole},a={a_delta}")
assert steps(both) == [
    "a/layer.0.ffn.in",
    "a/layer.1.ffn.in",
    "a/layer.2.ffn.in",
    "layer.0.ffn.in",
    "layer.1.ffn.in",
    "layer.2.ffn.in",
], steps(both)
# a layer has 75,264 bytes; only biases, a pooler and a classifier are new
about = json.loads(run(both, "--about").stdout)
only = json.loads(run(build(b_whole, TMP / "only"), "--about").stdout)
assert about["weight_bytes"] - only["weight_bytes"] < 30000, (about["weight_bytes"], only["weight_bytes"])

# heads are chosen by name, or averaged
line = " ".join(map(str, batch[5])) + "\n"
ask = lambda *options: run(both, "--ids", "--logits", *options, input=line.encode()).stdout
assert ask() == ask("--task=b") == ask("--task=c") == ask("--task=b,c") != ask("--task=a")
average = build(
    TMP / "base",
    TMP / "average",
    f"--merge=b={b_delta},d={task_directories(base, TMP / 'base', 'd', 3, 9, ())[2]}",
)
ask = lambda *o: np.array(json.loads(run(average, "--ids", "--logits", *o, input=line.encode()).stdout))
assert np.allclose(ask("--task=b,d"), (ask("--task=b") + ask("--task=d")) / 2, atol=1e-6) and not np.allclose(
    ask("--task=b"), ask("--task=d")
)
refused = run(both, "--ids", "--task=a,b", check=False, input=line.encode())
assert refused.returncode == 2 and b"have different kinds, so they have no mean" in refused.stderr, refused


# bad deltas, and their messages
def refuse(status, text, *args):
    p = run(BERTC, "build", "-o", TMP / "none", *args, check=False)
    assert p.returncode == status and text in p.stderr.decode() and not (TMP / "none").exists(), (args, p)


refuse(2, "expected NAME=DIR", TMP / "base", "--merge=a")
refuse(2, "two tasks have the name a", TMP / "base", f"--merge=a={a_delta},a={b_delta}")
refuse(3, "needs its base checkpoint: bertc build BASE --merge=NAME=", a_delta)
refuse(
    4, "a checkpoint holds one task", TMP / "base", f"--merge=a={a_delta},b={b_delta}", "--emit=checkpoint"
)
odd = TMP / "odd"
shutil.copytree(a_delta, odd)
save_file(
    {**load_file(a_delta / "delta.safetensors"), "bert.encoder.layer.7.output.dense.bias": torch.zeros(48)},
    odd / "delta.safetensors",
)
refuse(
    3,
    "holds bert.encoder.layer.7.output.dense.bias, which this model does not use",
    TMP / "base",
    f"--merge=a={odd}",
)
other = TMP / "other"
shutil.copytree(a_delta, other)
(other / "vocab.txt").write_text((other / "vocab.txt").read_text().replace("\nq\n", "\nQ\n"))
refuse(4, "has a different tokenizer than the base", TMP / "base", f"--merge=a={other}")

# a description gives the same program
bertc("describe", TMP / "base", f"--merge=a={a_delta},b={b_delta}", "-o", TMP / "two.xml", "--quiet")
described = Tasks(
    build(TMP / "two.xml", TMP / "x.so", "--emit=shared", "--name=x", f"--search={TMP}/base"), "x"
)
assert (
    described.outputs() == ["a", "b"]
    and described.task(batch, "b", 3).tobytes()
    == Tasks(TMP / "m0False.so", "m").task(batch, "b", 3).tobytes()
)

# the shared models: bytes at most 3 % above the base, numbers of PyTorch
if SHARED:
    models = SHARED / "models"
    merge = f"--merge=stsb={models}/bitfit-stsb,mrpc={models}/bitfit-mrpc"
    pairs = [t for t in texts(base.config, 5, (9, 14, 30))]
    for options, bar in (((), 1e-4), (("--passes=quantize-int8",), None)):
        plain = (
            build(models / "minilm-l6", TMP / "plain.so", "--emit=shared", "--name=plain", *options)
            .stat()
            .st_size
        )
        path = build(
            models / "minilm-l6",
            TMP / f"l{len(options)}.so",
            "--emit=shared",
            f"--name=l{len(options)}",
            merge,
            *options,
        )
        more = path.stat().st_size / plain - 1
        assert more <= 0.03, more
        library = Tasks(path, f"l{len(options)}")
        for task, width in (("stsb", 1), ("mrpc", 2)) if FULL or bar else (("mrpc", 2),):
            alone = Tasks(
                build(
                    models / "minilm-l6",
                    TMP / f"{task}{len(options)}.so",
                    "--emit=shared",
                    f"--name={task}",
                    f"--merge={task}={models}/bitfit-{task}",
                    *options,
                ),
                task,
            )
            got = library.task(pairs, task, width)
            assert got.tobytes() == alone.task(pairs, task, width).tobytes(), f"{task} {options}"
            if bar:
                directory = TMP / f"whole-{task}"
                directory.mkdir()
                shutil.copy(models / f"bitfit-{task}" / "config.json", directory)
                tensors = {
                    f"bert.{k}": v for k, v in load_file(models / "minilm-l6" / "model.safetensors").items()
                }
                tensors.update(load_file(models / f"bitfit-{task}" / "delta.safetensors"))
                c = json.loads((directory / "config.json").read_text())
                c["architectures"] = ["BertForSequenceClassification"]
                (directory / "config.json").write_text(json.dumps(c))
                save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
                model = (
                    AutoModelForSequenceClassification.from_pretrained(directory, attn_implementation="eager")
                    .float()
                    .eval()
                )
                print(
                    f"{task}: {max(compare(g, w, task) for g, w in zip(got, logits(model, pairs))):.3f} of "
                    f"the tolerance, {100 * more:.2f} % more bytes than the base"
                )
