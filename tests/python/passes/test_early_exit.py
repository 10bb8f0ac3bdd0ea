"""Compares early-exit with the same exits made by hand in PyTorch: heads of DeeBERT checkpoints, and heads
fitted on texts against a logistic regression fitted by torch. Texts exit where their entropy requires,
for any other texts in the call and any number of threads."""

import json
from safetensors.torch import load_file, save_file
from transformers.models.bert import BertTokenizerFast
from whittling import *


class Exits(Library):
    def set(self, option, value):
        status = self.f("set")(self.context, option.encode(), ctypes.c_double(value))
        if status:
            raise RuntimeError(self.f("strerror")(status).decode())

    def both(self, batch, labels):
        """The logits and the number of layers run, for each text of one call."""
        ids = np.concatenate([np.array(t, np.int32) for t in batch])
        offsets = np.cumsum([0] + [len(t) for t in batch]).astype(np.int32)
        logits = np.full((len(batch), labels), np.nan, np.float32)
        layers = np.full(len(batch), np.nan, np.float32)
        p = lambda x: x.ctypes.data_as(ctypes.c_void_p)
        out = (ctypes.c_void_p * 2)(p(logits), p(layers))
        floats = (ctypes.c_size_t * 2)(logits.size, layers.size)
        status = self.f("run_outputs")(self.context, p(ids), None, p(offsets), len(batch), 3, out, floats)
        if status:
            raise RuntimeError(self.f("strerror")(status).decode())
        return logits, layers


def entropy(logits):
    q = logits.double().log_softmax(-1)
    return float(-(q.exp() * q).sum())


@torch.no_grad()
def by_hand(model, heads, batch, threshold):
    """For each text (logits, layers run, smallest distance of an entropy to the threshold). heads[layer] is a
    function of the layer's rows."""
    rows = []
    for ids in batch:
        o = model(
            input_ids=torch.tensor([ids]),
            token_type_ids=torch.zeros(1, len(ids), dtype=torch.long),
            output_hidden_states=True,
        )
        result, margin = (o.logits[0], model.config.num_hidden_layers), 1e9
        for layer in sorted(heads):
            logits = heads[layer](o.hidden_states[layer + 1][0])
            margin = min(margin, abs(entropy(logits) - threshold))
            if entropy(logits) < threshold:
                result = (logits, layer + 1)
                break
        rows.append((*result, margin))
    return rows


def agree(what, path, model, heads, batch, thresholds, least=3, hand=by_hand):
    """Compares the library with PyTorch at every threshold. Its bytes must depend only on the text."""
    ended = set()
    worst = 0
    for threshold in thresholds:
        want = hand(model, heads, batch, threshold)
        seen = None
        for threads, size in ((1, 1), (1, 3), (3, len(batch)), (2, 5)):
            library = Exits(path, "m", threads)
            library.set("exit_entropy", threshold)
            parts = [
                library.both(batch[i : i + size], model.config.num_labels) for i in range(0, len(batch), size)
            ]
            logits, layers = (np.concatenate([p[k] for p in parts]) for k in (0, 1))
            assert seen is None or (seen[0].tobytes(), seen[1].tobytes()) == (
                logits.tobytes(),
                layers.tobytes(),
            ), f"{what}: {threads} threads, {size} texts a call differ"
            seen = logits, layers
            library.f("free")(library.context)
        for (w, n, margin), g, l in zip(want, *seen):
            if margin < 1e-4:
                continue  # rounding may decide either way
            assert n == l, f"{what}: ran {l} layers, expected {n} at {threshold}"
            worst = max(worst, compare(g, w, f"{what}, {threshold}"))
            ended.add(n)
    assert len(ended) >= least, f"{what}: texts ended after {ended} layers only"
    print(f"{what}: {worst:.3f} of the tolerance; texts ended after {sorted(ended)} layers")


# heads in the checkpoint, as saved by DeeBERT's code
model, config = make_bert.random_bert(
    "classify",
    300,
    TMP / "highway",
    num_hidden_layers=4,
    num_labels=3,
    id2label={i: f"l{i}" for i in range(3)},
    max_position_embeddings=64,
)
tensors = load_file(TMP / "highway" / "model.safetensors")
g = torch.Generator().manual_seed(1)
h = config.hidden_size
heads = {}
for layer in range(3):
    w = [
        1.5 * torch.randn(h, h, generator=g) / h**0.5,
        0.5 * torch.randn(h, generator=g),
        3 * torch.randn(3, h, generator=g) / h**0.5,
        0.5 * torch.randn(3, generator=g),
    ]
    for name, t in zip(
        ("pooler.dense.weight", "pooler.dense.bias", "classifier.weight", "classifier.bias"), w
    ):
        tensors[f"bert.encoder.highway.{layer}.{name}"] = t.contiguous()
    heads[layer] = lambda rows, w=w: torch.tanh(rows[0] @ w[0].T + w[1]) @ w[2].T + w[3]
save_file(tensors, TMP / "highway" / "model.safetensors")
batch = texts(config, 1, (1, 2, 3, 5, 7, 9, 11, 13, 17, 19, 23, 29, 31))
for passes in ("early-exit{entropy=0.5},O2", "early-exit{entropy=0.5},O1"):
    cpu = "native" if passes.endswith("O2") else "baseline"
    options = ("--emit=shared", "--name=m", "--outputs=", f"--cpu={cpu}", f"--passes={passes}")
    build(TMP / "highway", TMP / "highway.so", *options)
    agree(passes, TMP / "highway.so", model, heads, batch, (0, 0.1, 0.3, 0.6, 0.9, 2))
build(
    TMP / "highway",
    TMP / "some.so",
    "--emit=shared",
    "--name=m",
    "--passes=early-exit{layers=0,2 entropy=0.5},O2",
    "--outputs=",
    "--cpu=baseline",
)
agree("layers=0,2", TMP / "some.so", model, {k: heads[k] for k in (0, 2)}, batch, (0, 0.3, 0.6, 0.9), 2)


# prune-tokens before, between and after the exits, with the passes in both orders
@torch.no_grad()
def thinned_by_hand(model, heads, ids, threshold, thin):
    """(logits, layers run, smallest margin of the decisions on tokens and exits). thin: {layer: share of the
    tokens that stay}. The tokens that receive the most attention stay."""
    bert = encoder(model)
    e = bert.embeddings
    n = len(ids)
    margin = 1e9
    x = e.LayerNorm(
        e.word_embeddings(torch.tensor(ids))
        + e.position_embeddings(torch.arange(n))
        + e.token_type_embeddings(torch.zeros(n, dtype=torch.long))
    )
    for i, layer in enumerate(bert.encoder.layer):
        a = layer.attention.self
        d = a.attention_head_size
        q, k, v = (
            f(x).view(len(x), a.num_attention_heads, d).transpose(0, 1) for f in (a.query, a.key, a.value)
        )
        p = (q @ k.transpose(1, 2) / d**0.5).softmax(-1)
        c = (p @ v).transpose(0, 1).reshape(len(x), -1)
        if i in thin:
            score = p.sum((0, 1)).double()
            score[0] = float("inf")
            stay = max(1, int(thin[i] * len(x) + 0.5))
            order = score.argsort(descending=True, stable=True)
            if stay < len(x):
                margin = min(margin, float(score[order[stay - 1]] - score[order[stay]]))
            stay = order[:stay].sort().values
            x, c = x[stay], c[stay]
        x = layer.attention.output.LayerNorm(layer.attention.output.dense(c) + x)
        x = layer.output.LayerNorm(layer.output.dense(layer.intermediate(x)) + x)
        if i in heads:
            logits = heads[i](x)
            margin = min(margin, abs(entropy(logits) - threshold))
            if entropy(logits) < threshold:
                return logits, i + 1, margin
    return model.classifier(torch.tanh(bert.pooler.dense(x[0]))), i + 1, margin


exits = "early-exit{entropy=0.5}"
for passes, thin in (
    (f"prune-tokens{{layer=0 keep=0.5}},{exits}", {0: 0.5}),
    (f"{exits},prune-tokens{{layer=1,3 keep=0.7,0.5}}", {1: 0.7, 3: 0.5}),
    (f"prune-tokens{{layer=3 keep=0.3}},{exits}", {3: 0.3}),
):
    more = texts(config, 3, range(1, 40))
    path = TMP / f"thinned{min(thin)}.so"
    options = ("--emit=shared", "--name=m", "--outputs=", "--cpu=baseline", f"--passes={passes},O2")
    build(TMP / "highway", path, *options)
    agree(
        passes,
        path,
        model,
        heads,
        more,
        (0, 0.1, 0.3, 0.6, 0.9),
        3,
        lambda *a, thin=thin: [thinned_by_hand(*a[:2], ids, a[3], thin) for ids in a[2]],
    )

# heads fitted on texts have the weights of the same regression in torch
words = (TMP / "highway" / "vocab.txt").read_text().split()
r = random.Random(2)
lines = [" ".join(r.choice(words[80:]) for _ in range(r.randint(1, 9))).replace("#", "") for _ in range(150)]
(TMP / "data.tsv").write_text("".join(f"{t}\tl{i % 3}\n" for i, t in enumerate(lines)))
tokenizer = BertTokenizerFast(
    vocab_file=str(TMP / "highway" / "vocab.txt"),
    vocab=str(TMP / "highway" / "vocab.txt"),
    model_max_length=64,
)
with torch.no_grad():
    seen = [model(**tokenizer(t, return_tensors="pt"), output_hidden_states=True) for t in lines]
    rows = [torch.stack([o.hidden_states[l + 1][0].double().mean(0) for o in seen]) for l in range(3)]
    soft = torch.stack([o.logits[0].double().softmax(-1) for o in seen])
build(
    TMP / "highway",
    TMP / "fit.bir",
    "--emit=bir",
    f"--passes=early-exit{{from=fit data={TMP}/data.tsv entropy=0.5 l2=0.01}}",
    "--outputs=",
)
fitted = load_file(TMP / "fit.safetensors")
text = (TMP / "fit.bir").read_text()
heads = {}
for layer in range(3):
    x = (rows[layer] - rows[layer].mean(0)) / rows[layer].std(0, correction=0)
    w = torch.zeros(3, h, dtype=torch.double, requires_grad=True)
    b = torch.zeros(3, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [w, b], max_iter=2000, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def step():
        optimizer.zero_grad()
        loss = -(soft * (x @ w.T + b).log_softmax(-1)).sum(-1).mean() + 0.01 / 2 * (w**2).sum()
        loss.backward()
        return loss

    optimizer.step(step)
    weight = fitted[f"exit.{layer}.weight"]
    want = (w / rows[layer].std(0, correction=0)).detach()
    bias = torch.tensor(
        [
            float(v)
            for v in next(
                l for l in text.splitlines() if l.endswith(f": f32[3]  # exit.{layer}") and "const [" in l
            )
            .split("[")[1]
            .split("]")[0]
            .split(",")
        ]
    )
    compare(weight.numpy(), want.numpy(), f"weights fitted behind layer {layer}")
    got = (rows[layer] @ weight.double().T + bias.double()).log_softmax(-1)
    assert (got - (x @ w.T + b).log_softmax(-1)).abs().max() < 1e-3
    heads[layer] = lambda hidden, weight=weight, bias=bias: hidden.mean(0) @ weight.T + bias
build(
    TMP / "highway",
    TMP / "fit.so",
    "--emit=shared",
    "--name=m",
    f"--passes=early-exit{{from=fit data={TMP}/data.tsv entropy=0.5 l2=0.01}},O2",
    "--outputs=",
    "--cpu=baseline",
)
agree("fitted", TMP / "fit.so", model, heads, batch, (0, 0.9, 1.0, 1.05, 2), 2)

# SST-2: on texts not used to choose the threshold, at most half a point is lost and at most 4 of 6 layers
# run. The speed-up equals the reduction of work.
if SHARED and FULL:
    data = SHARED / "data" / "sst2"
    said = json.loads(
        run(
            BERTC,
            "eval",
            SHARED / "models" / "minilm-sst2",
            "--data",
            data / "test.tsv",
            "--json",
            "--curve=0.05,0.1",
            f"--passes=early-exit{{data={data}/train.tsv held={data}/dev.tsv}},O2",
        ).stdout
    )["builds"][1]["curve"]
    whole, point = said["points"][0], said["points"][1]
    assert point["layers"] <= 4 and 100 * (whole["score"] - point["score"]) <= 0.5, point
    assert (
        abs(point["speed_up"] * point["layers"] / 6 - 1) <= 0.15
        and abs(point["speed_up"] * point["work"] - 1) <= 0.15
    ), point
    print(f"SST-2 test: {point}")
