"""Compares sparsify with weights zeroed by hand in PyTorch: the same masks, bit for bit, for four
structures, by magnitude and by |w| times the norm of its inputs on texts. transformers loads the
checkpoint, and it compiles again to the same numbers. With refit=yes the remaining weights solve the
normal equations for the inputs of the linears in PyTorch."""

import copy
from safetensors.torch import load_file
from whittling import *


def linears(model):
    """The linears of all layers in the order of the graph."""
    for i, l in enumerate(encoder(model).encoder.layer):
        a = l.attention
        yield from (
            (f"{i}.{n}", m)
            for n, m in (
                ("q", a.self.query),
                ("k", a.self.key),
                ("v", a.self.value),
                ("o", a.output.dense),
                ("in", l.intermediate.dense),
                ("out", l.output.dense),
            )
        )


@torch.no_grad()
def norms(model, batch):
    """Root mean square of every input of every linear, over all tokens."""
    sums, tokens = {}, sum(map(len, batch))
    hooks = [
        m.register_forward_pre_hook(
            lambda m, x, n=n: sums.__setitem__(n, sums.get(n, 0) + x[0][0].double().square().sum(0))
        )
        for n, m in linears(model)
    ]
    logits(model, batch)
    for h in hooks:
        h.remove()
    return {n: (s / tokens).sqrt().numpy() for n, s in sums.items()}


BLOCKS = {"unstructured": (1, 1), "1x4": (1, 4), "4x1": (4, 1), "rows": (1, None)}


def scored(w, structure, norm):
    """One entry per unit in row-major order: score in f32, number of weights, their places. The score is the
    root mean square of the weights."""
    high, wide = BLOCKS[structure]
    wide = wide or w.shape[1]
    score = w.astype(np.float64) * (norm if norm is not None else 1)
    return [
        (
            np.float32(np.sqrt(np.mean(score[r : r + high, c : c + wide] ** 2))),
            w[r : r + high, c : c + wide].size,
            (slice(r, r + high), slice(c, c + wide)),
        )
        for r in range(0, w.shape[0], high)
        for c in range(0, w.shape[1], wide)
    ]


def by_hand(model, sparsity, structure="unstructured", scope="matrix", norm=None):
    model = copy.deepcopy(model)
    names = list(linears(model))
    for group in [[x] for x in names] if scope == "matrix" else [names]:
        units = [
            (s, n, i, k)
            for i, (name, m) in enumerate(group)
            for s, n, k in scored(m.weight.data.numpy(), structure, norm and norm[name])
        ]
        wanted = round(sparsity * sum(m.weight.numel() for _, m in group) + 1e-9)
        # of equal scores, the later unit is removed
        for j in sorted(range(len(units)), key=lambda j: (units[j][0], -j)):
            _, n, i, k = units[j]
            if wanted <= 0:
                break
            group[i][1].weight.data[k] = 0
            wanted -= n
    return model


def emitted(directory, passes, out):
    bertc("build", directory, "--emit=checkpoint", "-o", TMP / out, "--quiet", f"--passes={passes}")
    return TMP / out


def same_zeros(got, want, what):
    for (n, a), (_, b) in zip(linears(got), linears(want)):
        assert torch.equal(a.weight == 0, b.weight == 0), (
            f"{what}: {n}: {((a.weight == 0) != (b.weight == 0)).sum()} of {a.weight.numel()} weights differ"
        )
        assert torch.equal(a.weight, b.weight), f"{what}: {n}"


for n, kind in enumerate(("classify", "tag", "encoder")):
    model, config = make_bert.random_bert(
        kind,
        800 + n,
        TMP / kind,
        num_hidden_layers=2,
        hidden_size=4 * (11, 8, 12)[n],
        num_attention_heads=4,
        intermediate_size=(33, 50, 7)[n],
    )
    batch = texts(config, n)
    for structure in BLOCKS:
        for scope, sparsity in (("matrix", 0.9), ("model", 0.7)) if FULL or n == 0 else (("matrix", 0.9),):
            passes = f"sparsify{{sparsity={sparsity} structure={structure} scope={scope}}}"
            want = by_hand(model, sparsity, structure, scope)
            what = f"{kind}: {passes}"
            got = (
                type(model)
                .from_pretrained(
                    emitted(TMP / kind, passes, f"{kind}.{structure}.{scope}"), attn_implementation="eager"
                )
                .eval()
            )
            same_zeros(got, want, what)
    for a, b in zip(logits(got, batch), logits(want, batch)):
        compare(a, b, "transformers")
    ledger = check(
        kind, TMP / kind, "sparsify{sparsity=0.97 structure=1x4},O2", by_hand(model, 0.97, "1x4"), batch
    )
    assert any(
        "all: " in note and "weights of 12 matrices are zero" in note for note in ledger[0]["notes"]
    ), ledger[0]
    if n:
        continue
    check(kind, TMP / f"{kind}.rows.model", "O2", want, batch)  # the checkpoint, compiled again
    check(
        kind,
        TMP / kind,
        "sparsify{sparsity=0.5},drop-layers{layers=1},O2",
        (lambda m: (encoder(m).encoder.layer.__delitem__(0), m)[1])(by_hand(model, 0.5)),
        batch,
    )


@torch.no_grad()
def reads(model, batch):
    """The inputs of every linear, one row per token."""
    rows = {}
    hooks = [
        m.register_forward_pre_hook(lambda m, x, n=n: rows.setdefault(n, []).append(x[0][0].double()))
        for n, m in linears(model)
    ]
    logits(model, batch)
    for h in hooks:
        h.remove()
    return {n: torch.cat(r) for n, r in rows.items()}


def refitted(w, bias, x, keep, ridge):
    """The weights (H_SS)^-1 (H w)_S row by row, their bias, and 1 / sqrt of the diagonal of H^-1, which
    decides on the removed weights."""
    h = torch.cov(x.T, correction=0).reshape(x.shape[1], x.shape[1])
    h = h + ridge * h.diagonal().mean() * torch.eye(len(h), dtype=h.dtype)
    out = torch.zeros_like(w)
    for r in range(len(w)):
        s = keep[r].nonzero()[:, 0]
        if len(s):
            out[r, s] = torch.linalg.solve(h[s][:, s], h[s] @ w[r])
    return out, bias + (w - out) @ x.mean(0), h.inverse().diagonal().rsqrt()


# The fit of a random model: all structures, both systems of equations (less or more than half of the weights
# removed), one step and several steps.
model, config = make_bert.random_bert(
    "classify",
    850,
    TMP / "refit",
    num_hidden_layers=2,
    hidden_size=44,
    num_attention_heads=4,
    intermediate_size=50,
    max_position_embeddings=64,
    vocab_size=513,
)
from transformers.models.bert import BertTokenizerFast

words = (TMP / "refit" / "vocab.txt").read_text().split()
r = random.Random(3)
lines = [" ".join(w for w in r.choices(words[80:], k=12) if "#" not in w) for _ in range(60)]
(TMP / "refit.tsv").write_text("".join(f"{t}\tLABEL_0\n" for t in lines))
tokenizer = BertTokenizerFast(str(TMP / "refit" / "vocab.txt"), do_lower_case=True)
seen = reads(model, [tokenizer(t)["input_ids"] for t in lines])
batch = texts(config, 1)
for structure, sparsity, steps, ridge in (
    ("unstructured", 0.8, 1, 0.01),
    ("unstructured", 0.3, 2, 0.05),
    ("1x4", 0.7, 3, 0.01),
    ("4x1", 0.4, 1, 0.01),
    ("rows", 0.5, 1, 0.01),
):
    passes = (
        f"sparsify{{sparsity={sparsity} structure={structure} data={TMP}/refit.tsv refit=yes steps={steps} "
        f"ridge={ridge}}}"
    )
    got = (
        type(model)
        .from_pretrained(
            emitted(TMP / "refit", passes, f"refit.{structure}.{steps}"), attn_implementation="eager"
        )
        .eval()
    )
    want = copy.deepcopy(model)
    gone = total = differ = 0
    for (n, a), (_, b) in zip(linears(got), linears(want)):
        keep = a.weight != 0
        w, bias, norm = refitted(b.weight.data.double(), b.bias.data.double(), seen[n], keep, ridge)
        if steps == 1:  # one step uses the matrix before any change, so the masks follow from the scores
            units = scored(b.weight.data.numpy(), structure, norm.numpy())
            wanted = round(sparsity * b.weight.numel() + 1e-9)
            mask = np.ones(keep.shape, bool)
            for _, size, k in sorted(units, key=lambda u: u[0]):
                if wanted <= 0:
                    break
                mask[k] = False
                wanted -= size
            differ += (mask != keep.numpy()).sum()
        b.weight.data.copy_(w)
        b.bias.data.copy_(bias)
        gone += (~keep).sum().item()
        total += keep.numel()
        compare(a.weight.data, w, f"{passes}: {n}", 2e-4)
        compare(a.bias.data, bias, f"{passes}: bias of {n}", 2e-4)
    assert sparsity - 1e-3 < gone / total < sparsity + 0.05 and differ <= 8, (
        f"{passes}: {gone} of {total} are zero, {differ} on the other side of the border"
    )
    ledger = check("refit", TMP / "refit", passes + ",O2", got, batch)
    assert any("after the fit, the error of the outputs is" in note for note in ledger[0]["notes"]), ledger[0]

# Norms of inputs on real texts. f32 kernels compute them, so a few weights close to the limit may be decided
# differently.
if SHARED:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = SHARED / "models/minilm-sst2"
    data = TMP / "rows.tsv"
    lines = (SHARED / "data/sst2/train.tsv").read_text(encoding="utf-8").split("\n")[:61]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = (
        AutoModelForSequenceClassification.from_pretrained(source, attn_implementation="eager").float().eval()
    )
    tokenizer = AutoTokenizer.from_pretrained(source)
    norm = norms(model, [tokenizer(l.split("\t")[0])["input_ids"] for l in lines[1:]])
    got = load_file(emitted(source, f"sparsify{{sparsity=0.5 data={data}}}", "wanda") / "model.safetensors")
    names = {id(p): name for name, p in model.named_parameters()}
    differ = total = 0
    for name, m in linears(model):
        w = m.weight.data.numpy()
        score = (np.abs(w.astype(np.float64)) * norm[name]).astype(np.float32).reshape(-1)
        mask = np.zeros(w.size, bool)
        mask[np.lexsort((-np.arange(w.size), score))[: round(w.size / 2)]] = True
        zero = got[names[id(m.weight)]].float().numpy().reshape(-1) == 0
        differ += (mask & (w.reshape(-1) != 0) != zero & (w.reshape(-1) != 0)).sum()
        total += w.size
    assert differ <= 1e-5 * total, f"{differ} of {total} weights differ"
    print(
        f"minilm-sst2, 50 % by |w| times the norm of its input: {differ} of {total} weights on the other "
        "side of the border"
    )
