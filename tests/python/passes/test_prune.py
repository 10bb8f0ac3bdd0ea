"""Compares prune-heads, prune-ffn and prune-blocks with the same weights cut out of a PyTorch model by
hand. Also checks that parameters, work and memory shrink."""

import copy
from whittling import *


def sliced(linear, rows=None, columns=None):
    w, b = linear.weight.data, linear.bias.data
    if rows is not None:
        w, b = w[rows], b[rows]
    if columns is not None:
        w = w[:, columns]
    new = torch.nn.Linear(w.shape[1], w.shape[0])
    new.weight.data, new.bias.data = w.clone(), b.clone()
    return new


def without_heads(model, gone):
    """gone: {layer: heads}"""
    model = copy.deepcopy(model)
    for i, heads in gone.items():
        a = encoder(model).encoder.layer[i].attention
        d = a.self.attention_head_size
        stay = [c for c in range(a.self.query.out_features) if c // d not in heads]
        for part in ("query", "key", "value"):
            setattr(a.self, part, sliced(getattr(a.self, part), rows=stay))
        a.output.dense = sliced(a.output.dense, columns=stay)
    return model


def without_neurons(model, gone):
    model = copy.deepcopy(model)
    for i, neurons in gone.items():
        l = encoder(model).encoder.layer[i]
        stay = [n for n in range(l.intermediate.dense.out_features) if n not in neurons]
        l.intermediate.dense = sliced(l.intermediate.dense, rows=stay)
        l.output.dense = sliced(l.output.dense, columns=stay)
    return model


class NormOnly(torch.nn.Module):
    def __init__(self, output):
        super().__init__()
        self.LayerNorm = output.LayerNorm

    def forward(self, hidden, x):
        return self.LayerNorm(x)


def without_blocks(model, gone):
    model = copy.deepcopy(model)
    for i, part in gone:
        l = encoder(model).encoder.layer[i]
        if part == "ffn":
            l.output = NormOnly(l.output)
        else:
            l.attention.output = NormOnly(l.attention.output)
    return model


def least(scores, keep):
    """The units that are removed from a layer: all but the `keep` units with the highest scores."""
    return set(torch.as_tensor(scores).argsort(descending=True)[keep:].tolist())


def head_norms(layer):
    a = layer.attention
    d = a.self.attention_head_size
    n = a.self.value.out_features // d
    return [
        (
            a.self.value.weight[h * d : (h + 1) * d].double().norm()
            * a.output.dense.weight[:, h * d : (h + 1) * d].double().norm()
        ).item()
        for h in range(n)
    ]


def neuron_norms(layer):
    return (
        layer.intermediate.dense.weight.double().norm(dim=1) * layer.output.dense.weight.double().norm(dim=0)
    ).tolist()


def spelled(gone):
    return ",".join(f"{i}.{u}" for i, units in gone.items() for u in sorted(units))


for n, kind in enumerate(("classify", "tag", "encoder")):
    model, config = make_bert.random_bert(
        kind,
        400 + n,
        TMP / kind,
        num_hidden_layers=3,
        hidden_size=4 * (11, 8, 32)[n],
        num_attention_heads=4,
        intermediate_size=(33, 48, 7)[n],
    )
    batch = texts(config, n)
    layers = encoder(model).encoder.layer
    _, plain = left_by(TMP / kind, "O2", [])
    heads = {0: {1}, 1: {0, 2, 3}, 2: {3}}
    neurons = {0: {0, 6}, 2: {1, 2, 3}}
    blocks = [(1, "attention"), (2, "ffn")]
    ledger = check(
        kind, TMP / kind, f"prune-heads{{heads={spelled(heads)}}},O2", without_heads(model, heads), batch
    )
    for key in ("parameters", "weight_bytes", "macs_128"):
        assert ledger[-1][key] < plain[-1][key], (key, ledger[-1], plain[-1])
    ledger = check(
        kind,
        TMP / kind,
        f"prune-ffn{{neurons={spelled(neurons)}}},O2",
        without_neurons(model, neurons),
        batch,
    )
    for key in ("parameters", "macs_128"):
        assert ledger[-2][key] < plain[-2][key]
    ledger = check(
        kind,
        TMP / kind,
        f"prune-blocks{{blocks={','.join(f'{i}.{p}' for i, p in blocks)}}},O2",
        without_blocks(model, blocks),
        batch,
    )
    by_norm = {i: least(head_norms(l), 2) for i, l in enumerate(layers)}
    both = without_heads(
        without_neurons(model, {i: least(neuron_norms(l), 5) for i, l in enumerate(layers)}), by_norm
    )
    ledger = check(kind, TMP / kind, "prune-ffn{keep=5},prune-heads{by=magnitude keep=2},O2", both, batch)
    assert (
        ledger[-1]["arena_bytes"] < plain[-1]["arena_bytes"]
        and ledger[-1]["parameters"] < plain[-1]["parameters"]
    )

# a different width in every layer, then without two layers, then in half precision
model, config = make_bert.random_bert(
    "classify",
    410,
    TMP / "mix",
    num_hidden_layers=4,
    hidden_size=40,
    num_attention_heads=5,
    intermediate_size=50,
)
changed = without_heads(without_neurons(model, {3: set(range(49))}), {0: {0, 1, 2, 3}, 3: {2}})
del encoder(changed).encoder.layer[1:3]
check(
    "mix",
    TMP / "mix",
    f"prune-heads{{heads=0.0,0.1,0.2,0.3,3.2}},prune-ffn{{neurons={spelled({3: set(range(49))})}}},"
    f"drop-layers{{layers=0,3}},O2",
    changed,
    texts(config, 1),
)
half = copy.deepcopy(changed).half().float()
for name, p in half.named_parameters():  # --weights=f16 leaves biases and LayerNorm
    if p.dim() == 1:
        p.data.copy_(dict(changed.named_parameters())[name].data)
check(
    "mix f16",
    TMP / "mix",
    f"prune-heads{{heads=0.0,0.1,0.2,0.3,3.2}},prune-ffn{{neurons={spelled({3: set(range(49))})}}},"
    f"drop-layers{{layers=0,3}},O2",
    half,
    texts(config, 1),
    "--weights=f16",
)

# A checkpoint can express an equal number of neurons in all layers, but no other cut. A refused build writes
# nothing.
model, config = make_bert.random_bert(
    "classify",
    420,
    TMP / "ck",
    num_hidden_layers=2,
    intermediate_size=48,
    hidden_size=36,
    num_attention_heads=3,
)


def emit(passes, out):
    options = ("--emit=checkpoint", "--quiet", f"--passes={passes}")
    return bertc("build", TMP / "ck", "-o", TMP / out, *options, check=False)


assert emit("prune-ffn{keep=20},drop-layers{layers=1}", "narrow").returncode == 0
again = type(model).from_pretrained(TMP / "narrow", attn_implementation="eager").eval()
assert again.config.intermediate_size == 20
want = without_neurons(model, {1: least(neuron_norms(model.bert.encoder.layer[1]), 20)})
del want.bert.encoder.layer[0]
for got, expected in zip(logits(again, texts(config, 2)), logits(want, texts(config, 2))):
    compare(got, expected, "narrow checkpoint")
check("narrow, compiled again", TMP / "narrow", "O2", want, texts(config, 2))
for passes, why in (
    ("prune-heads{keep=2}", "layer 0 has 2 of 3 attention heads left"),
    ("prune-ffn{neurons=0.1}", "layer 0 has 47 neurons and layer 1 has 48"),
    ("prune-blocks{blocks=1.ffn}", "layer 1 has no feed-forward block left"),
    ("prune-blocks{blocks=0.attention}", "layer 0 has no attention block left"),
):
    p = emit(passes, "refused")
    assert p.returncode == 4 and why in p.stderr.decode(), p.stderr.decode()
    assert not list(TMP.glob("refused*")), passes

for directory, load in shared_models("minilm-sst2"):
    model = load()
    batch = texts(model.config, 5)
    layers = encoder(model).encoder.layer
    changed = without_neurons(model, {i: least(neuron_norms(l), 1000) for i, l in enumerate(layers)})
    changed = without_heads(changed, {i: least(head_norms(l), 9) for i, l in enumerate(layers)})
    check(
        directory.name,
        directory,
        "prune-ffn{keep=1000},prune-heads{keep=9},prune-blocks{blocks=0.ffn},O2",
        without_blocks(changed, [(0, "ffn")]),
        batch,
    )


# refit: least squares over real texts fits the remaining weights to the outputs before. The same normal
# equations are solved here.
@torch.no_grad()
def refitted(model, batch, gone, part, width, ridge=0.01):
    """part(layer): the linear that loses inputs. gone: {layer: units of `width` inputs}. Returns {layer:
    (weight, bias)}, with zeros for the removed inputs."""
    seen = {i: [] for i in gone}
    hooks = [
        part(encoder(model).encoder.layer[i]).register_forward_pre_hook(
            lambda _, args, i=i: seen[i].append(args[0][0].double())
        )
        for i in gone
    ]
    for ids in batch:
        model(input_ids=torch.tensor([ids]), token_type_ids=torch.zeros(1, len(ids), dtype=torch.long))
    for hook in hooks:
        hook.remove()
    fitted = {}
    for i, units in gone.items():
        x = torch.cat(seen[i])
        w = part(encoder(model).encoder.layer[i]).weight.double()
        b = part(encoder(model).encoder.layer[i]).bias.double()
        mean = x.mean(0)
        h = (x - mean).T @ (x - mean) / len(x)
        h += ridge * h.diagonal().mean() * torch.eye(len(h), dtype=torch.double)
        stay = [c for c in range(w.shape[1]) if c // width not in units]
        new = torch.zeros_like(w)
        new[:, stay] = torch.linalg.solve(h[stay][:, stay], h[stay] @ w.T).T
        fitted[i] = (new.float(), (b + (w - new) @ mean).float())
    return fitted


def with_weights(model, fitted, part):
    model = copy.deepcopy(model)
    for i, (w, b) in fitted.items():
        linear = part(encoder(model).encoder.layer[i])
        linear.weight.data, linear.bias.data = w, b
    return model


if SHARED:
    from transformers import AutoTokenizer

    directory, load = next(shared_models("minilm-sst2"))
    model = load()
    data = SHARED / "data/sst2/dev.tsv"
    tokenizer = AutoTokenizer.from_pretrained(directory)
    lines = [tokenizer(line.split("\t")[0])["input_ids"] for line in data.read_text().splitlines()[1:41]]
    heads = {0: {1, 7}, 3: {0}, 5: {2, 3, 11}}
    neurons = {1: set(range(0, 120, 2)), 4: {0, 5, 1535}}
    options = f"refit=yes data={data} limit=40"
    inner, outer = (lambda l: l.attention.output.dense), (lambda l: l.output.dense)
    want = without_heads(with_weights(model, refitted(model, lines, heads, inner, 32), inner), heads)
    check(
        "refit heads",
        directory,
        f"cast-weights{{to=f32}},prune-heads{{heads={spelled(heads)} {options}}},O2",
        want,
        lines[:6],
    )
    want = without_neurons(with_weights(model, refitted(model, lines, neurons, outer, 1), outer), neurons)
    check(
        "refit neurons",
        directory,
        f"cast-weights{{to=f32}},prune-ffn{{neurons={spelled(neurons)} {options}}},O2",
        want,
        lines[:6],
    )
    far = lambda m: sum((a - b).norm().item() for a, b in zip(logits(m, lines), logits(model, lines)))
    assert 3 * far(want) < far(without_neurons(model, neurons)), (
        far(want),
        far(without_neurons(model, neurons)),
    )

if SHARED:  # measured on data: the pass reports the score that eval gives afterwards
    data = SHARED / "data/sst2/dev.tsv"
    out = TMP / "ledger.json"
    limit = 200 if FULL else 60
    passes = f"prune-blocks{{by=accuracy keep=11 data={data} limit={limit}}},O2"
    model = SHARED / "models/minilm-sst2"
    build(model, TMP / "b.so", "--emit=shared", f"--passes={passes}", f"--ledger={out}")
    note = [n for n in json.loads(out.read_text())["passes"][0]["notes"] if " is removed" in n][0]
    block = note.split()
    listed = f"prune-blocks{{blocks={block[3]}.{block[0]}}},O2"
    scored = json.loads(
        run(
            BERTC,
            "eval",
            SHARED / "models/minilm-sst2",
            "--data",
            data,
            "--limit",
            limit,
            "--json",
            f"--passes={listed}",
        ).stdout
    )["builds"]
    assert (
        abs(scored[1]["score"] - float(note.split("score ")[1].split(",")[0])) < 1e-4
        and scored[1]["score"] >= scored[0]["score"]
    ), (note, scored)
print("pruned models are as cut by hand")
