"""Checkpoints of quantisation-aware training: quantize-int8{scheme=static} uses their scales, without
data, and gives the codes and numbers of PyTorch's fake-quantised forward. Also its messages, and the
tensor names of other trainers (compiler/model/qat.def)."""

import copy
from whittling import *
import on_codes
from torch.ao.quantization import (
    FakeQuantize,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
)
from safetensors.torch import save_file


RECIPE = "canonicalize,fold-const,cse,fuse,fold-const,cse,dce,quantize-int8{scheme=static attention=f32%s}"
torch.set_num_threads(1)


class Trained(torch.nn.Linear):
    """A linear of Intel's Model-Compression-Research-Package in training: affine inputs with one scale, here
    with symmetric weights that have one scale per row."""

    def __init__(self, linear):
        super().__init__(linear.in_features, linear.out_features)
        self.load_state_dict(linear.state_dict())
        self.input_fake_quant = FakeQuantize(
            MovingAverageMinMaxObserver, 0, 255, dtype=torch.quint8, qscheme=torch.per_tensor_affine
        )
        self.weight_fake_quant = FakeQuantize(
            MovingAveragePerChannelMinMaxObserver,
            -128,
            127,
            dtype=torch.qint8,
            qscheme=torch.per_channel_symmetric,
            ch_axis=0,
        )
        self.frozen = None  # the weight after its fake quantisation, which no longer changes

    def forward(self, x):
        weight = self.weight_fake_quant(self.weight) if self.frozen is None else self.frozen
        return torch.nn.functional.linear(self.input_fake_quant(x), weight, self.bias)


def linears(model):
    """The linears that quantize-int8 converts: {origin: (parent module, attribute, stem of tensor names)}."""
    bert = encoder(model)
    prefix = "" if bert is model else "bert."
    # the mean of an encoder does not use the pooler
    found = {"pooler": (bert.pooler, "dense", "bert.pooler.dense")} if prefix and bert.pooler else {}
    for i, l in enumerate(bert.encoder.layer):
        a = l.attention
        for holder, name, origin, stem in (
            (a.self, "query", "attention.query", "attention.self.query"),
            (a.self, "key", "attention.key", "attention.self.key"),
            (a.self, "value", "attention.value", "attention.self.value"),
            (a.output, "dense", "attention.out", "attention.output.dense"),
            (l.intermediate, "dense", "ffn.in", "intermediate.dense"),
            (l.output, "dense", "ffn.out", "output.dense"),
        ):
            found[f"layer.{i}.{origin}"] = holder, name, f"{prefix}encoder.layer.{i}.{stem}"
    return found


def save(directory, source, tensors):
    """SOURCE's directory with other tensors."""
    shutil.copytree(source, directory, dirs_exist_ok=True)
    save_file(
        {k: v.detach().clone().contiguous() for k, v in tensors.items()},
        directory / "model.safetensors",
        {"format": "pt"},
    )
    return directory


def bir(directory, passes, *options):
    return on_codes.bir(directory, TMP / f"{directory.name}.bir", passes, *options)


def learnt(directory):
    """{origin: OnCodes} after quantize-int8."""
    return on_codes.learnt(bir(directory, RECIPE % "", "--stop-after=quantize-int8"), directory)


# ---- a model after a few steps of quantisation-aware training
model, config = make_bert.random_bert(
    "classify",
    77,
    TMP / "float",
    num_hidden_layers=2,
    hidden_size=64,
    num_attention_heads=4,
    intermediate_size=96,
    num_labels=3,
    hidden_act="gelu",
    vocab_size=128,
    max_position_embeddings=40,
    type_vocab_size=2,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
batch = texts(config, 5, (3, 7, 11, 16, 21, 25, 30, 34)) + texts(config, 6, (2, 5, 9, 13, 18, 22, 28, 33))


def training(model):
    """Replaces every linear that quantize-int8 converts by one with fake quantisation."""
    for holder, name, _ in linears(model).values():
        setattr(holder, name, Trained(getattr(holder, name)))
    return model


@torch.no_grad()
def freeze(model):
    for module in model.eval().modules():
        if isinstance(module, FakeQuantize):
            module.disable_observer()
    for module in model.modules():
        if isinstance(module, Trained):
            module.frozen = module.weight_fake_quant(module.weight)


def take_255_codes(model):
    """Limits codes of inputs to -127..127: of the 256 codes, the one at the far end is lost."""
    for module in model.modules():
        if isinstance(module, Trained):
            f = module.input_fake_quant
            low = int(f.zero_point >= 128)
            f.quant_min, f.quant_max = low, 254 + low
            f.activation_post_process.quant_min, f.activation_post_process.quant_max = low, 254 + low


trained = training(copy.deepcopy(model).train())
optimizer = torch.optim.SGD(trained.parameters(), lr=1e-3)
for step in range(24):
    ids = batch[step % len(batch)]
    optimizer.zero_grad()
    trained(
        input_ids=torch.tensor([ids]),
        token_type_ids=torch.zeros(1, len(ids), dtype=torch.long),
        labels=torch.tensor([step % 3]),
    ).loss.backward()
    optimizer.step()
freeze(trained)
state = trained.state_dict()
qat = save(TMP / "qat", TMP / "float", state)

# ---- codes of weights and inputs
found = learnt(qat)


def place(origin):
    """The (joined) linear that contains this one, and its first row. q, k and v, or k and v, are joined."""
    stem, part = origin.rsplit(".", 1) if "." in origin else ("", origin)
    for parts in (("query", "key", "value"), ("key", "value")):
        joined = found.get(f"{stem}.{parts[0]}")
        if part in parts and joined and len(joined.w) == 64 * len(parts):
            return joined, 64 * parts.index(part)
    return found[origin], 0


codes = differ = 0
for origin, (holder, name, _) in linears(trained).items():
    linear = getattr(holder, name)
    codes_of, at = place(origin)
    m, z = codes_of.m, codes_of.z
    rows = slice(at, at + linear.out_features)
    fake = linear.weight_fake_quant
    step = linear.input_fake_quant.scale.item()
    zero = linear.input_fake_quant.zero_point.item()
    want = torch.round(linear.weight * (1 / fake.scale)[:, None]).clamp(-128, 127)
    got = codes_of.w[rows].float()
    codes += want.numel()
    differ += (got != want).sum().item()
    assert torch.allclose(codes_of.scale[rows].float(), fake.scale * step, rtol=1e-6), origin
    assert (m == 1 / torch.tensor(step)).all() and (z == (zero - 127 if zero < 128 else zero - 128)).all(), (
        origin,
        m[:2],
        z[:2],
        step,
        zero,
    )
assert differ == 0, f"{differ} of {codes} codes differ"
print(f"{codes} codes of {len(linears(trained))} weights as in PyTorch; steps and zero points too")


# ---- the forward
def near(directory, passes, want, what, bar=0.9999):
    rows, ledger = results(directory, passes, batch, [w.numel() for w in want])
    got = [torch.tensor(row.reshape(w.shape)).double() for row, w in zip(rows, want)]
    a, b = torch.cat(got), torch.cat(want)
    cosine = float(torch.nn.functional.cosine_similarity(a, b, dim=0))
    clear = clear_labels(what, got, want)
    print(
        f"{what}: cosine {cosine:.6f}, largest difference {(a - b).abs().max():.4f} of {b.abs().max():.3f}, "
        f"clear labels {clear:.1%}"
    )
    assert cosine >= bar and clear >= 0.5, what
    return ledger


want = logits(trained, batch)
plain = copy.deepcopy(trained)
for holder, name, _ in linears(plain).values():
    linear = torch.nn.Linear(getattr(holder, name).in_features, getattr(holder, name).out_features)
    linear.weight.data, linear.bias.data = getattr(holder, name).weight.data, getattr(holder, name).bias.data
    setattr(holder, name, linear)
LOWERED = ",lower,pack-weights,chain-rows,plan-memory"
near(qat, RECIPE % "" + LOWERED, want, "torch.ao, fake-quantised forward", 0.9995)
take_255_codes(trained)
ledger = near(qat, RECIPE % "" + LOWERED, logits(trained, batch), "the same with 255 codes of inputs")
notes = [n for row in ledger for n in row.get("notes", []) if "scales of the checkpoint" in n]
assert len(notes) == len(found) and "weights of 1 of its 1 readers" in notes[0], notes
near(qat, "O2", logits(plain, batch), "the same in floats", 0.9999999)

# ---- Passes that remove layers or heads also remove their scales. If columns are removed, the scales of the
# weights are computed again from the remaining columns.
for passes, note in (
    ("drop-layers{layers=1},", "weights of 1 of its 1"),
    ("prune-heads{heads=0.1,1.2},", "weights of 0 of its 1"),
):
    out = TMP / "cut.json"
    build(
        qat,
        TMP / "cut.bir",
        "--emit=bir",
        f"--ledger={out}",
        f"--passes={passes}{RECIPE % ''},lower,pack-weights,plan-memory",
    )
    assert any(note in n for row in json.loads(out.read_text())["passes"] for n in row.get("notes", [])), (
        out.read_text()
    )


# ---- pytorch-quantization's names: symmetric inputs, amax
class Symmetric(torch.nn.Module):
    def __init__(self, linear, amax):
        super().__init__()
        self.linear, self.amax = linear, amax

    def forward(self, x):
        s, w = 127 / self.amax, self.linear.weight
        ws = 127 / w.abs().amax(1, keepdim=True)
        return torch.nn.functional.linear(
            torch.clamp(torch.round(x * s), -127, 127) / s,
            torch.clamp(torch.round(w * ws), -127, 127) / ws,
            self.linear.bias,
        )


symmetric, tensors = copy.deepcopy(plain), dict(plain.state_dict())
for origin, (holder, name, stem) in linears(symmetric).items():
    fake = state[f"{stem}.input_fake_quant.scale"], state[f"{stem}.input_fake_quant.zero_point"]
    amax = (fake[0] * torch.maximum(fake[1], 255 - fake[1])).reshape(())
    tensors[f"{stem}._input_quantizer._amax"], tensors[f"{stem}._weight_quantizer._amax"] = (
        amax,
        getattr(holder, name).weight.abs().amax(1, keepdim=True),
    )
    setattr(holder, name, Symmetric(getattr(holder, name), amax))
near(
    save(TMP / "amax", TMP / "float", tensors),
    RECIPE % "" + LOWERED,
    logits(symmetric, batch),
    "pytorch-quantization",
)


# ---- scales of inputs that are stored with the module that computes the input
def metas(directory, *options):
    return dict(
        line.split('"')[1:4:2]
        for line in bir(directory, "canonicalize", *options).read_text().splitlines()
        if line.startswith('meta "scales.')
    )


makers = {k: v for k, v in state.items() if "input_fake_quant" not in k and "_fake_quant.activation" not in k}
for place in ("bert.embeddings.LayerNorm", "bert.encoder.layer.0.intermediate.intermediate_act_fn"):
    makers |= {
        f"{place}.activation_post_process.scale": torch.tensor([0.25]),
        f"{place}.activation_post_process.zero_point": torch.tensor([200], dtype=torch.int32),
    }
makers["bert.encoder.layer.0.attention.output.output_activation.act_scaling_factor"] = torch.tensor([0.5])
said = metas(save(TMP / "makers", TMP / "float", makers))


def says(origin, text):
    assert said.get("scales." + origin, "").startswith(text), (origin, said)


(
    says("layer.0.attention.query", "0.25 72 "),
    says("layer.0.attention.value", "0.25 72 "),
    says("layer.0.ffn.out", "0.25 72 "),
    says("layer.0.ffn.in", "0.5 0 "),
)
says(
    "layer.0.attention.out",
    "0 0 bert.encoder.layer.0.attention.output.dense.weight "
    "bert.encoder.layer.0.attention.output.dense.weight_fake_quant.scale 1",
)
p = bertc(
    "build",
    TMP / "makers",
    "-o",
    TMP / "no.bir",
    "--emit=bir",
    f"--passes={RECIPE % ''},lower,pack-weights,plan-memory",
    check=False,
)
assert p.returncode == 2 and b"give data=FILE" in p.stderr, p.stderr
data = TMP / "data.tsv"
data.write_text("".join(f"babe dice fo{'gu' * n}\tLABEL_{n % 3}\n" for n in range(12)))
build(
    TMP / "makers",
    TMP / "yes.bir",
    "--emit=bir",
    f"--ledger={TMP / 'yes.json'}",
    f"--passes={RECIPE % f' data={data}'},lower,pack-weights,plan-memory",
)
assert "which is learnt from data" in (TMP / "yes.json").read_text()


# ---- Zero points show whether codes have a sign. Quantisation that is switched off has no scale. If the zero
# point is small, the observed minimum distinguishes quint8 from qint8.
def zero_of(zero, low=None, **more):
    stem = "bert.encoder.layer.0.intermediate.dense."
    changed = {k: v for k, v in state.items() if not k.startswith(stem + "input_fake_quant")}
    changed |= {
        stem + "input_fake_quant.scale": torch.tensor([0.1]),
        stem + "input_fake_quant.zero_point": torch.tensor([zero], dtype=torch.int32),
    }
    if low is not None:
        changed[stem + "input_fake_quant.activation_post_process.min_val"] = torch.tensor(low)
    changed |= {stem + k: v for k, v in more.items()}
    return metas(save(TMP / "zero", TMP / "float", changed)).get("scales.layer.0.ffn.in", "").split()[1]


for zero, low, want_zero in (
    (-3, None, "-3"),
    (0, None, "0"),
    (200, None, "72"),
    (10, None, "-118"),
    (10, -1.0, "-118"),
    (10, -13.8, "10"),
    (0, 0.0, "-128"),
):
    assert zero_of(zero, low) == want_zero, (zero, low, zero_of(zero, low))

# ---- scales and zero points that are unusable
stem = "bert.encoder.layer.1.output.dense."
for name, tensor, message in (
    ("input_fake_quant.scale", torch.tensor([0.0]), "is 0 at 0, expected a finite number above 0"),
    ("input_fake_quant.scale", torch.tensor([-0.5]), "is -0.5 at 0"),
    ("input_fake_quant.scale", torch.tensor([float("nan")]), "is nan at 0"),
    ("input_fake_quant.scale", torch.ones(2), "f32[2], expected one float, or one for each"),
    (
        "weight_fake_quant.scale",
        torch.ones(63),
        "f32[63], expected one float, or one for each of the weight's 64 rows",
    ),
    ("weight_fake_quant.scale", torch.full((64,), float("inf")), "is inf at 0"),
    (
        "weight_fake_quant.zero_point",
        torch.full((64,), 3, dtype=torch.int32),
        "is 3 at 0, expected 0: weights in int8 are symmetric",
    ),
    (
        "input_fake_quant.zero_point",
        torch.tensor([300], dtype=torch.int32),
        "is 300, expected one whole number from -128 to 255",
    ),
):
    p = bertc(
        "build",
        save(TMP / "bad", TMP / "float", state | {stem + name: tensor}),
        "-o",
        TMP / "bad.so",
        "--emit=shared",
        check=False,
    )
    assert (
        p.returncode == 3
        and f"layer.1.ffn.out: {stem}{name}".encode() in p.stderr
        and message.encode() in p.stderr
    ), (name, p.returncode, p.stderr)
print("errors name the tensor, and what was expected")

# ---- Shared models with scales that PyTorch observed on real texts. Compares the program with the definition
# of linear_i8, and with PyTorch's fake quantisation. The two round differently if an input lies between two
# codes. So both forwards in PyTorch differ as much as the program differs from the second.
for directory, load in shared_models("minilm-sst2") if SHARED else ():
    batch = real_texts(directory, 500 if FULL else 200)[1]
    model = training(load())
    with torch.no_grad():
        [model(input_ids=torch.tensor([ids])) for ids in batch[::4]]
    freeze(model)
    observed = save(TMP / f"{directory.name}-qat", directory, model.state_dict())
    take_255_codes(model)
    # plain C takes ten times as long; test_static.py runs it
    library, ledger = program(observed, RECIPE % "" + LOWERED, "--cpu=native")
    labelled = hasattr(model, "classifier")
    # four per layer: query, key and value are one linear
    assert sum("scales of the checkpoint" in n for row in ledger for n in row.get("notes", [])) >= 24, ledger
    defined = logits(on_codes.on_codes(load(), learnt(observed))[0], batch)
    fake = logits(model, batch)
    got = [
        torch.tensor(library.run([ids], w.numel()).reshape(w.shape)).double() for ids, w in zip(batch, fake)
    ]
    for what, want, other, bar in (
        ("the definition", defined, got, 0.9999),
        ("fake quantisation", fake, got, 0.9995),
        ("fake quantisation, the definition itself", fake, defined, 0.9995),
    ):
        # of two logits as in test_static.py
        pairs = [(torch.cat(other), torch.cat(want))] if want[0].numel() == 2 else zip(other, want)
        cosine = np.mean(
            [float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)) for a, b in pairs]
        )
        same, labels = equal_labels(other, want) if labelled else (1, 0)
        print(
            f"{directory.name}, {len(batch)} texts, {what}: cosine {cosine:.6f}, {same:.3%} of {labels} "
            "labels equal",
            flush=True,
        )
        if labelled:
            clear_labels(directory.name, other, want)
        assert cosine >= bar and same >= 0.995, f"{directory.name}, {what}"
