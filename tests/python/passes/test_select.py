"""Compares hard-attention and prune-tokens with PyTorch. First the selecting ops alone, on scores that
both compute exactly: the selections must be the same. Then whole models: seeded random ones, and real
texts on the models of $SHARED. In a whole model, scores are rounded differently than in PyTorch, so of
two keys or tokens with almost equal scores another may stay. The PyTorch code measures how close the
scores are: texts with only clear selections must give the same numbers and labels; a few other texts
may differ."""

import copy, math
from whittling import *


def kept(n, how):
    """how: a share (float) or a number (int)."""
    return min(n, max(1, math.floor(how * n + 0.5))) if isinstance(how, float) else min(n, how)


def largest(x, k):
    """Mask of the k largest along the last axis. Of equal values the first counts."""
    order = torch.argsort(x, dim=-1, descending=True, stable=True)
    return torch.zeros_like(x, dtype=torch.bool).scatter(-1, order[..., :k], True)


def gap(x, k):
    """The smallest distance, over all rows, between the k-th largest value and the next one. Infinite if
    nothing is removed."""
    top = x.topk(min(k + 1, x.shape[-1]), -1).values
    return (top[..., k - 1] - top[..., k]).min().item() if k < x.shape[-1] else math.inf


def select(scores, rule, gaps=[]):
    """Softmax over the selected keys. rule: ("k", N), ("share", X) or ("threshold", P). Appends the smallest
    margin of the selection to gaps."""
    if rule is None:
        return scores.softmax(-1)
    n = scores.shape[-1]
    if rule[0] == "threshold":
        p = scores.softmax(-1)
        mask = p >= rule[1]
        none = ~mask.any(-1, keepdim=True)
        # the smallest change of a score that would move it past the threshold
        gaps.append((p / rule[1]).log().abs().min().item())
        if none.any():
            gaps.append(gap(scores[none[..., 0]], 1))
        mask = torch.where(none, largest(scores, 1), mask)
    else:
        k = kept(n, rule[1] if rule[0] == "k" else float(rule[1]))
        mask = largest(scores, k)
        gaps.append(gap(scores, k))
    return scores.masked_fill(~mask, -math.inf).softmax(-1)


@torch.no_grad()
def emulate(model, ids, rules={}, thin={}, begins=None, pool=None):
    """Runs a BERT by hand on one text. Returns the output and the smallest margin of a selection.
    rules: {layer: rule}; thin: {layer: share or number of tokens that stay}; begins: ids that must stay."""
    gaps = [math.inf]
    bert = encoder(model)
    e = bert.embeddings
    t = torch.tensor(ids)
    n = len(ids)
    x = e.LayerNorm(
        e.word_embeddings(t)
        + e.position_embeddings(torch.arange(n))
        + e.token_type_embeddings(torch.zeros(n, dtype=torch.long))
    )
    must = torch.tensor([begins is not None and begins[i] for i in ids])
    must[0] = True
    at = torch.arange(n)  # which tokens are left
    for i, layer in enumerate(bert.encoder.layer):
        a = layer.attention.self
        heads = a.num_attention_heads
        d = a.attention_head_size
        q, k, v = (f(x).view(len(x), heads, d).transpose(0, 1) for f in (a.query, a.key, a.value))
        p = select(q @ k.transpose(1, 2) / math.sqrt(d), rules.get(i), gaps)
        c = (p @ v).transpose(0, 1).reshape(len(x), -1)
        if i in thin:
            significance = p.sum((0, 1)).double().masked_fill(must, math.inf)
            k = max(kept(len(x), thin[i]), int(must.sum()))
            stay = largest(significance, k).nonzero()[:, 0]
            free = significance[~must]
            if len(free) and k > int(must.sum()):
                gaps.append(gap(free.log(), k - int(must.sum())))  # tokens that must stay are no decision
            x, c, at, must = x[stay], c[stay], at[stay], must[stay]
        x = layer.attention.output.LayerNorm(layer.attention.output.dense(c) + x)
        x = layer.output.LayerNorm(layer.output.dense(layer.intermediate(x)) + x)
    if pool:
        # over the tokens that are left
        return torch.nn.functional.normalize(x.double().mean(0), dim=0), min(gaps)
    if begins is not None:
        # a removed token has the row of the last token before it
        return model.classifier(x)[torch.searchsorted(at, torch.arange(n), right=True) - 1].double(), min(
            gaps
        )
    return model.classifier(torch.tanh(bert.pooler.dense(x[0]))).double(), min(gaps)


def spelled(rules, thin):
    parts = [f"hard-attention{{{rule[0]}={rule[1]} layers={i}}}" for i, rule in rules.items()]
    if thin:
        parts.append(
            f"prune-tokens{{layer={','.join(map(str, thin))} keep={','.join(map(str, thin.values()))}}}"
        )
    return ",".join(parts + ["O2"])


# ---- The ops alone, on whole numbers: sums are exact in any order, and many scores are equal.
serial_op = 0


def op(text, *options):
    """The graph as a library: (ids, width) -> [tokens][width]"""
    global serial_op
    serial_op += 1
    path = TMP / f"op{serial_op}.bir"
    path.write_text(text)
    library = Library(build(path, TMP / f"op{serial_op}.so", "--emit=shared", "--name=m", *options), "m")
    return lambda ids, width: library.run([ids], len(ids) * width).reshape(len(ids), width)


HEADS, D, ROWS = 3, 8, 50
H = HEADS * D
generator = torch.Generator().manual_seed(5)
tables = {name: torch.randint(-2, 3, (ROWS, H), generator=generator).float() for name in "qkv"}


def constant(name):
    return (
        f"  %t{name} = const [{', '.join(str(int(x)) for x in tables[name].flatten().tolist())}] : "
        f"f32[{ROWS},{H}]\n"
        f"  %{name} = embed %t{name}, %ids : f32[S,{H}]\n"
    )


lists = [[(7 * i + 3) % ROWS for i in range(n)] for n in (1, 2, 17, 40)]
for rule in (("k", 1), ("k", 5), ("share", 0.3), ("threshold", 0.07), None):
    attr = "" if rule is None else f" {'keep' if rule[0] == 'k' else rule[0]}={rule[1]}"
    head = (
        "module @m\ngraph @main(%ids: i32[S]) level=fused {\n" + constant("q") + constant("k") + constant("v")
    )
    attention = op(
        head + f"  %y = attention %q, %k, %v {{heads={HEADS} pack=none scale=0.25{attr}}} : f32[S,{H}]\n"
        "  return hidden=%y\n"
        f"}}\n"
    )
    received = op(
        head + f"  %y = received %q, %k {{heads={HEADS} pack=none scale=0.25{attr}}} : f32[S,{HEADS}]\n"
        "  return hidden=%y\n"
        f"}}\n"
    )
    for ids in lists:
        n = len(ids)
        q, k, v = (tables[x][torch.tensor(ids)].view(n, HEADS, D).transpose(0, 1) for x in "qkv")
        p = select((q @ k.transpose(1, 2) * 0.25).double(), rule)
        compare(
            attention(ids, H),
            (p @ v.double()).transpose(0, 1).reshape(n, H),
            f"attention {rule}, {n} tokens",
            1e-5,
        )
        compare(received(ids, HEADS), p.sum(1).t(), f"received {rule}, {n} tokens", 1e-5)
for how in (1, 7, 0.5, 1.0):  # sums of whole numbers: exact, with many ties
    attr = f"share={how}" if isinstance(how, float) else f"keep={how}"
    # thin has a single kernel
    thinned = op(
        "module @m\ngraph @main(%ids: i32[S]) level=graph {\n"
        + constant("q")
        + f"  %p = thin %q {{{attr} symbol=1}} : i32[S1]\n  %g = gather %q, %p : f32[S1,{H}]\n"
        f"  %y = spread %g, %p, %ids : f32[S,{H}]\n  return hidden=%y\n}}\n",
        "--cpu=baseline",
    )
    for ids in lists:
        n = len(ids)
        x = tables["q"][torch.tensor(ids)]
        stay = largest(x.sum(1).masked_fill(torch.arange(n) == 0, math.inf), kept(n, how)).nonzero()[:, 0]
        assert (
            thinned(ids, H) == x[stay][torch.searchsorted(stay, torch.arange(n), right=True) - 1].numpy()
        ).all(), f"thin {attr}, {n} tokens"
print("the ops alone select the same")

# ---- whole models
CLEAR = 1e-4  # scores differ from those of PyTorch by a tenth of this


def check_model(
    what, directory, model, batch, rules, thin, begins=None, pool=None, least=0.3, same=None, code=True
):
    """least: the share of texts in which every selection must have been clear, else the comparison says
    little. same: of all labels, clear or not, the share that must be equal. code: whether to compile a
    program, or to evaluate the graph."""
    if code:
        library, ledger = program(directory, spelled(rules, thin))
        rows = None
    else:
        library = None
        rows, ledger = left_by(directory, spelled(rules, thin), batch)
    worst = clear = labels = 0
    cosines, pairs = [], []
    for n, ids in enumerate(batch):
        want, nearest = emulate(model, ids, rules, thin, begins, pool)
        got = (library.run([ids], want.numel()) if code else rows[n]).reshape(want.shape)
        assert np.isfinite(got).all(), what
        w = want.numpy()
        cosines.append((got * w).sum() / (np.linalg.norm(got) * np.linalg.norm(w)))
        pairs.append((torch.tensor(got), want))
        if nearest < CLEAR:
            continue
        clear += 1
        worst = max(worst, compare(got, want, f"{what}, {len(ids)} tokens"))
        if pool:
            continue
        top = want.topk(2, -1).values
        sure = (top[..., 0] - top[..., 1]).numpy() > 2e-4 * max(1, want.abs().max().item())
        labels += sure.sum()  # within twice the tolerance either label is right
        assert (got.argmax(-1) == want.argmax(-1).numpy())[sure].all(), (
            f"{what}, {len(ids)} tokens: another label"
        )
    print(
        f"{what}: mean cosine {np.mean(cosines):.7f}, {clear} of {len(batch)} texts clear: {worst:.3f} of "
        f"the tolerance, {labels} labels",
        flush=True,
    )
    assert np.mean(cosines) >= 0.9999, what
    if same and not pool:
        share, count = equal_labels(*zip(*pairs))
        print(f"  {share:.3%} of {count} labels equal", flush=True)
        assert share >= same, f"{what}: {share:.2%} of labels equal"
    assert clear >= least * len(batch), f"{what}: {clear} of {len(batch)} texts have no near tie"
    return library, ledger


def together(library, batch, width, per_token=False):
    """One call with all texts must give the same bytes as a call for each text."""
    alone = [library.run([ids], len(ids) * width if per_token else width) for ids in batch]
    assert (library.run(batch, sum(map(len, alone))) == np.concatenate(alone)).all(), (
        "a text depends on what else is in the call"
    )


for n, kind in enumerate(("classify", "encoder", "tag")):
    model, config = make_bert.random_bert(
        kind,
        700 + n,
        TMP / kind,
        num_hidden_layers=4,
        hidden_size=4 * (11, 32, 8)[n],
        num_attention_heads=4,
        intermediate_size=(33, 64, 48)[n],
        max_position_embeddings=40,
    )
    r = random.Random(n)
    batch = [
        [r.randrange(config.vocab_size) for _ in range(r.choice((1, 2, 5, 16, 33, 40)))] for _ in range(24)
    ]
    begins = (
        [not line.startswith("##") for line in (TMP / kind / "vocab.txt").read_text().splitlines()]
        if kind == "tag"
        else None
    )
    pool = kind == "encoder"
    _, plain = left_by(TMP / kind, "O2", [])
    for rules, thin in (
        ({0: ("k", 3), 2: ("share", 0.3)}, {}),
        ({1: ("threshold", 0.05)}, {}),
        ({}, {1: 0.5}),
        ({}, {0: 0.7, 2: 3}),
        ({0: ("k", 4), 1: ("share", 0.5)}, {1: 0.6, 2: 0.5, 3: 2}),
    ):
        # Programs: combined rules, and single rules of one model. The evaluator runs the others.
        code = FULL or bool(rules and thin) or kind == "tag" and not thin
        what = f"{kind} {rules} {thin}"
        library, ledger = check_model(what, TMP / kind, model, batch, rules, thin, begins, pool, code=code)
        if code:
            width = emulate(model, batch[0], rules, thin, begins, pool)[0].shape[-1]
            together(library, batch, width, begins is not None)
        if thin:
            assert ledger[-1]["macs_128"] < plain[-1]["macs_128"], "MACs do not count what is thinned"

if SHARED:
    import tokenizers

    for directory, load in shared_models("minilm-sst2"):
        model = load()
        m = directory.name
        tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
        batch = real_texts(directory, 500 if FULL else 200)[1]
        # and some longer ones
        batch += [sum((b[1:-1] for b in batch[i : i + 4]), [101])[:127] + [102] for i in range(0, 20, 4)]
        begins = (
            [
                not tokenizer.id_to_token(i).startswith("##") if tokenizer.id_to_token(i) else True
                for i in range(model.config.vocab_size)
            ]
            if m == "minilm-ncbi"
            else None
        )
        for rules, thin in (
            ({}, {2: 0.5}),
            ({}, {1: 0.8, 3: 0.6}),
            ({0: ("k", 8), 2: ("share", 0.25), 4: ("threshold", 0.02)}, {}),
        ):
            # long texts have more almost equal scores: of minilm-ncbi's texts a quarter is clear
            library, ledger = check_model(
                f"{m} {rules} {thin}",
                directory,
                model,
                batch,
                rules,
                thin,
                begins,
                m == "minilm-l6",
                least=0.2,
                same=0.995,
            )
        together(
            library,
            batch[:20],
            emulate(model, batch[0], {}, {}, begins, m == "minilm-l6")[0].shape[-1],
            begins is not None,
        )
print("selected and thinned as by hand")
