"""Compares normalize-embeddings and ablate-neurons with PyTorch: statistics of all rows, then hooks on
layers or a change of the embedding. Covers functions folded into a LayerNorm or a linear, and functions
with their own ops."""

import copy
from whittling import *
from transformers import BertTokenizerFast


def sentences(seed, n):
    r = random.Random(seed)
    word = lambda: "".join(r.choice("bcdfghklmnprstvz") + r.choice("aeiou") for _ in range(r.randint(1, 3)))
    return [" ".join(word() for _ in range(r.randint(2, 7))) for _ in range(n)]


def fit(method, rows, components=1):
    """The function that the method learns from rows [n, width]."""
    mean = rows.mean(0)
    if method == "z-score":
        s = rows.std(0, correction=0)
        s[s == 0] = 1
        return lambda x: (x - mean) / s
    if method == "min-max":
        low = rows.min(0).values
        span = rows.max(0).values - low
        span[span == 0] = 1
        return lambda x: (x - low) / span
    if method == "unit":
        return lambda x: torch.nn.functional.normalize(x, dim=-1)
    v = torch.linalg.svd(rows - mean, full_matrices=False).Vh[:components]
    return lambda x: (x - mean) - (x - mean) @ v.T @ v


@torch.no_grad()
def rows_of(model, layer, batch):
    return torch.cat(
        [
            model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layer + 1][0]
            for ids in batch
        ]
    ).double()


def with_hook(model, layer, f):
    model = copy.deepcopy(model)
    encoder(model).encoder.layer[layer].register_forward_hook(
        lambda m, args, out: (
            (f(out[0].double()).float(),) + out[1:] if isinstance(out, tuple) else f(out.double()).float()
        )
    )
    return model


def count(ledger, text):
    return sum(text in n for n in ledger[0]["notes"])


data = TMP / "texts.tsv"
some = sentences(1, 60)
data.write_text("".join(f"{s}\t0\n" for s in some))
for n, kind in enumerate(("classify", "encoder")):
    model, config = make_bert.random_bert(
        kind,
        700 + n,
        TMP / kind,
        num_hidden_layers=3,
        hidden_size=(36, 40)[n],
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        vocab_size=513,
    )
    tokenizer = BertTokenizerFast(str(TMP / kind / "vocab.txt"), do_lower_case=True)
    known = [tokenizer(s)["input_ids"] for s in some]
    batch = texts(config, n)
    # two layers: the second learns from the output of the changed first
    for method in ("min-max", "unit") if kind == "classify" else ("z-score", "all-but-the-top"):
        more = " components=2" if method == "all-but-the-top" else ""
        learn = "" if method == "unit" else f" data={data}"
        for layers in ((0, 2),):
            changed = model
            for i in layers:
                changed = with_hook(changed, i, fit(method, rows_of(encoder(changed), i, known), 2))
            ledger = check(
                kind,
                TMP / kind,
                f"normalize-embeddings{{method={method} layers={','.join(map(str, layers))}{more}{learn}}},"
                "O2",
                changed,
                batch,
            )
            assert count(ledger, "folded into gamma and beta") == (
                len(layers) if method in ("z-score", "min-max") else 0
            ), ledger[0]["notes"]

    if kind == "encoder":  # the output of an embedder is the mean, scaled to unit length afterwards

        @torch.no_grad()
        def means(batch):
            return torch.stack(
                [model(input_ids=torch.tensor([ids])).last_hidden_state[0].double().mean(0) for ids in batch]
            )

        for method in ("z-score", "min-max", "all-but-the-top"):
            f = fit(method, means(known), 3)
            more = " components=3" if method == "all-but-the-top" else ""
            # if the pooled rows are also an output, their LayerNorm must stay
            for outputs in ("", "hidden") if FULL or method == "z-score" else ("",):
                library, ledger = program(
                    TMP / kind,
                    f"normalize-embeddings{{method={method} data={data}{more}}},O2",
                    *([f"--outputs={outputs}"] if outputs else []),
                )
                assert library.l.m_output
                for ids, want in zip(batch, torch.nn.functional.normalize(f(means(batch)), dim=-1)):
                    compare(library.run([ids], want.numel()), want, f"embedding, {method}, {len(ids)} tokens")

    # neurons set to zero, in an inner layer and in the last one
    gone = {0: [0, 7], 2: [1, 2, 30]}
    changed = model
    for i, neurons in gone.items():
        mask = torch.ones(config.hidden_size, dtype=torch.double)
        mask[neurons] = 0
        changed = with_hook(changed, i, lambda x, mask=mask: x * mask)
    ledger = check(
        kind,
        TMP / kind,
        f"ablate-neurons{{neurons={','.join(f'{i}.{j}' for i, l in gone.items() for j in l)}}},O2",
        changed,
        batch,
    )
    assert count(ledger, "folded into gamma and beta") == 2 and count(ledger, "layer 2: 3 of") == 1
# NaN weights: passes that learn from texts would learn NaN, so they are refused
from safetensors.torch import load_file, save_file

tensors = load_file(TMP / "classify" / "model.safetensors")
name = next(k for k in tensors if k.endswith("layer.1.intermediate.dense.weight"))
tensors[name][0, 0] = float("nan")
shutil.copytree(TMP / "classify", TMP / "nan")
save_file(tensors, TMP / "nan" / "model.safetensors", metadata={"format": "pt"})
for passes in (
    f"normalize-embeddings{{method=z-score layers=1 data={data}}}",
    f"sparsify{{sparsity=0.5 data={data}}}",
    f"sparsify{{sparsity=0.5 data={data} refit=yes}}",
    f"prune-ffn{{by=activation share=0.5 data={data}}}",
):
    p = run(
        BERTC, "build", TMP / "nan", "-o", TMP / "none", "--quiet", f"--passes={passes}", check=False, cwd=TMP
    )
    assert p.returncode == 1 and b"no" in p.stderr and b"number" in p.stderr, (passes, p.returncode, p.stderr)
print("embeddings are post-processed and neurons held as by hand")
