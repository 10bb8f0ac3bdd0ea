"""--emit=checkpoint: transformers loads the directory and computes the same as with the change made by
hand; it compiles again to the same numbers; no other tensor or file is lost."""

import copy
from safetensors import safe_open
from transformers import AutoConfig, BertForPreTraining
from checkpoints import *
from whittling import *


def without(model, gone):
    model = copy.deepcopy(model)
    encoder(model).encoder.layer = torch.nn.ModuleList(
        l for i, l in enumerate(encoder(model).encoder.layer) if i not in gone
    )
    return model


def emit(directory, out, passes=None, *options):
    return build(directory, out, "--emit=checkpoint", *([f"--passes={passes}"] if passes else []), *options)


def load(kind, directory):
    """Loads it as users do. A warning about missing or unexpected weights is a failure."""
    model, info = make_bert.KINDS[kind].from_pretrained(
        directory, output_loading_info=True, attn_implementation="eager", dtype=torch.float32
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    return model.eval()


def evaluated(directory, batch):
    return [next(iter(row.values())) for row in evaluate(directory, batch)]


@torch.no_grad()
def outputs(kind, model, batch):
    rows = (
        logits(model, batch)
        if kind != "qa"
        else [
            torch.stack([o.start_logits[0], o.end_logits[0]], -1).double()
            for o in (model(input_ids=torch.tensor([ids])) for ids in batch)
        ]
    )
    return rows


for n, kind in enumerate(make_bert.KINDS):
    model, config = make_bert.random_bert(kind, 300 + n, TMP / kind, num_hidden_layers=4)
    batch = texts(config, n)
    changed = without(model, {0, 2})
    out = emit(TMP / kind, TMP / f"{kind}.out", "drop-layers{layers=3,1}")
    again = load(kind, out)
    assert again.config.num_hidden_layers == 2
    for (name, a), (other, b) in zip(
        sorted(changed.state_dict().items()), sorted(again.state_dict().items())
    ):
        assert name == other and torch.equal(a, b), f"{kind}: {name}"
    for got, ours, want in zip(
        outputs(kind, again, batch), evaluated(out, batch), outputs(kind, changed, batch)
    ):
        compare(got, want, f"{kind}: transformers")
        compare(ours, want, f"{kind}: compiled again")
    assert (
        AutoConfig.from_pretrained(out).architectures == config.architectures
        and again.config.id2label == config.id2label
    )
    assert (out / "vocab.txt").read_bytes() == (TMP / kind / "vocab.txt").read_bytes()
    # unchanged tensors keep their bits, and writing the checkpoint again gives the same bytes
    twice = emit(out, TMP / f"{kind}.twice")
    assert all(
        (out / f).read_bytes() == (twice / f).read_bytes() for f in ("model.safetensors", "config.json")
    )

# Half precision stays, and transformers loads it with the type in config.json. Shards become one file. Older
# names of LayerNorm are kept. f64 becomes f32.
model, config = make_bert.random_bert("encoder", 320, TMP / "e", num_hidden_layers=3)
batch = texts(config, 1)


def changed_file(change):
    d = TMP / "form"
    shutil.rmtree(d, ignore_errors=True)
    shutil.rmtree(TMP / "form.out", ignore_errors=True)
    shutil.copytree(TMP / "e", d)
    rewrite(d, change)
    return load_file(emit(d, TMP / "form.out", "drop-layers{layers=0,2}") / "model.safetensors"), json.loads(
        (TMP / "form.out" / "config.json").read_text()
    )


tensors, written = changed_file(lambda t: {k: v.half() for k, v in t.items()})
assert written["dtype"] == "float32" and all(t.dtype == torch.float16 for t in tensors.values())
bertc("build", TMP / "e", "--emit=checkpoint", "-o", TMP / "bf16", "--weights=bf16", "--quiet")
kinds = {t.dtype for t in load_file(TMP / "bf16" / "model.safetensors").values()}
assert (
    kinds == {torch.bfloat16, torch.float32}
    and json.loads((TMP / "bf16" / "config.json").read_text())["dtype"] == "float32"
)
tensors, written = changed_file(lambda t: {k: v.double() for k, v in t.items()})
assert written["dtype"] == "float32" and all(t.dtype == torch.float32 for t in tensors.values())
tensors, written = changed_file(
    lambda t: {k.replace("LayerNorm.weight", "LayerNorm.gamma"): v for k, v in t.items()}
)
assert (
    "encoder.layer.1.output.LayerNorm.gamma" in tensors
    and "encoder.layer.2.output.LayerNorm.gamma" not in tensors
)
tensors, _ = changed_file(
    lambda t: {
        **t,
        "embeddings.position_ids": torch.arange(5),
        "my.head.weight": torch.ones(2, 2),
        "encoder.layer.1.extra": torch.ones(1),
    }
)
assert {"my.head.weight", "embeddings.position_ids"} <= tensors.keys() and not any(
    "extra" in k for k in tensors
)
with safe_open(TMP / "form.out" / "model.safetensors", "pt") as f:
    assert f.metadata() == {"format": "pt"}
model.save_pretrained(TMP / "sharded", max_shard_size="20KB")
out = emit(TMP / "sharded", TMP / "sharded.out", "drop-layers{strategy=bottom keep=2}")
for got, want in zip(logits(load("encoder", out), batch), logits(without(model, {0}), batch)):
    compare(got, want, "sharded")

# a model with two heads; a classifier that is used as an embedder keeps its classifier
pretraining(TMP / "pretraining", 3)
again, info = BertForPreTraining.from_pretrained(
    emit(TMP / "pretraining", TMP / "pretraining.out", "drop-layers{layers=1}"), output_loading_info=True
)
assert not info["missing_keys"] and not info["unexpected_keys"], info
again = load("classify", emit(TMP / "classify", TMP / "embedder", "drop-layers{layers=0}", "--task=embed"))
assert torch.equal(
    again.classifier.weight,
    make_bert.random_bert("classify", 301, TMP / "scratch", num_hidden_layers=4)[0].classifier.weight,
)

# sentence-transformers: the module files are copied, with the encoder beside them or in a folder of its own
for sub in ("", "0_Transformer"):
    home = TMP / f"sbert{sub}"
    make_bert.random_bert("encoder", 330, home / sub, num_hidden_layers=3)
    (home / "modules.json").write_text(
        json.dumps(
            [
                {"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{t}"}
                for i, (p, t) in enumerate(
                    (
                        (sub, "Transformer"),
                        ("1_Pooling", "Pooling"),
                        ("2_Dense", "Dense"),
                        ("3_Normalize", "Normalize"),
                    )
                )
            ]
        )
    )
    (home / "1_Pooling").mkdir()
    (home / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (home / "2_Dense").mkdir()
    width = AutoConfig.from_pretrained(home / sub).hidden_size
    (home / "2_Dense" / "config.json").write_text(
        json.dumps(
            {
                "in_features": width,
                "out_features": 5,
                "bias": False,
                "activation_function": "torch.nn.modules.activation.Tanh",
            }
        )
    )
    save_file({"linear.weight": torch.randn(5, width)}, home / "2_Dense" / "model.safetensors")
    limits = f"{sub or '.'}/sentence_{'bert' if sub else 'roberta'}_config.json"  # an older name
    (home / limits).write_text('{"max_seq_length": 12}')
    out = emit(home, TMP / f"sbert{sub}.out", "drop-layers{strategy=top keep=1}")
    for f in (
        "modules.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        limits,
    ):
        assert (out / f).read_bytes() == (home / f).read_bytes(), f
    description = TMP / "few.xml"
    bertc("describe", home / sub, "--task=embed", "-o", description)
    batch = texts(AutoConfig.from_pretrained(out / sub), 2, (1, 5))
    library, _ = program(out, "O1", "--cpu=baseline")
    other, _ = program(home, "drop-layers{layers=0},O1", "--cpu=baseline")
    for ids in batch:
        assert (library.run([ids[:12]], 5) == other.run([ids[:12]], 5)).all()

for directory, fetch in shared_models("minilm-l6"):
    model = fetch()
    batch = texts(model.config, 4)
    out = emit(directory, TMP / directory.name, "drop-layers{strategy=symmetric keep=4}")
    again = type(model).from_pretrained(out, attn_implementation="eager").float().eval()
    for got, want in zip(logits(again, batch), logits(without(model, {2, 3}), batch)):
        compare(got, want, directory.name)
    check(
        f"{directory.name} written and compiled again",
        out,
        "O2",
        without(model, {2, 3}),
        batch,
        "--cpu=native",
    )
print("checkpoints go round")
