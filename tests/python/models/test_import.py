"""Imports BERTs in all the forms in which they are saved: seeded random models of transformers with other
prefixes, older names, other element types, in shards, with every kind of head, and with modules of
sentence-transformers. Compares the reference evaluator (`test_load --eval`) with transformers.
Generates no code."""

import random, shutil
from _support import FULL, TMP
from transformers import AutoConfig
from checkpoints import *

worst = 0.0


def texts(config, seed, lengths=(1, 2, 9)):
    r = random.Random(seed)
    return [
        (
            [r.randrange(config.vocab_size) for _ in range(n)],
            [r.randrange(config.type_vocab_size) for _ in range(n)],
        )
        for n in (*lengths, config.max_position_embeddings)
    ]


@torch.no_grad()
def outputs(model, batch, **more):
    return [
        model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]), **more)
        for ids, types in batch
    ]


def check(what, got, want):
    global worst
    worst = max(worst, agree(what, got, want))


def hidden(o):
    return o.hidden_states[-1][0]


# ---- heads of every kind, every activation
def want_of(kind, o):
    if kind == "encoder":
        mean = o.last_hidden_state[0].mean(0)
        return {
            "embedding": mean / mean.norm(),
            "hidden": o.last_hidden_state[0],
            "pooled": o.pooler_output[0],
        }
    if kind == "qa":
        return {"logits": torch.stack([o.start_logits[0], o.end_logits[0]], -1), "hidden": hidden(o)}
    if kind in ("tag", "fill-mask"):
        return {"logits": o.logits[0], "hidden": hidden(o)}
    return {"logits": o.logits[0]}


seed = 100
for kind in make_bert.KINDS:
    for _ in range(4 if FULL else 2):
        seed += 1
        directory = TMP / f"{kind}{seed}"
        model, config = make_bert.random_bert(kind, seed, directory)
        batch = texts(config, seed)
        check(
            f"{kind} seed {seed}",
            evaluate(directory, batch),
            [want_of(kind, o) for o in outputs(model, batch, output_hidden_states=True)],
        )


# ---- the same checkpoint under other names and types
def old_names(t):
    return {
        k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in t.items()
    }


def with_prefix(t):
    return {"bert." + k: v for k, v in t.items()}


def with_extras(t):
    n = t["embeddings.position_embeddings.weight"].shape[0]
    return {
        **t,
        "embeddings.position_ids": torch.arange(n).unsqueeze(0),
        "never.used": torch.ones(3, 3),
        "cls.predictions.bias": torch.zeros(5),
    }


model, config = make_bert.random_bert("encoder", 7, TMP / "forms")
batch = texts(config, 7)
want = [want_of("encoder", o) for o in outputs(model, batch)]
for name, change in {
    "gamma and beta": old_names,
    "bert. prefix": with_prefix,
    "extra tensors": with_extras,
    "f64": lambda t: {k: v.double() for k, v in t.items()},
}.items():
    directory = TMP / "form"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(TMP / "forms", directory)
    rewrite(directory, change)
    check(name, evaluate(directory, batch), want)
for dtype in (torch.float16, torch.bfloat16):
    directory = TMP / str(dtype)
    shutil.copytree(TMP / "forms", directory)
    rewrite(directory, lambda t: {k: v.to(dtype) for k, v in t.items()})
    rounded = make_bert.random_bert("encoder", 7, TMP / "scratch")[0].to(dtype).float()
    check(str(dtype), evaluate(directory, batch), [want_of("encoder", o) for o in outputs(rounded, batch)])
model.save_pretrained(TMP / "sharded", max_shard_size="3KB")
assert len(list((TMP / "sharded").glob("*.safetensors"))) > 2, "the sharded checkpoint has no shards"
check("sharded", evaluate(TMP / "sharded", batch), want)
no_pooler = TMP / "no_pooler"
shutil.copytree(TMP / "forms", no_pooler)
rewrite(no_pooler, lambda t: {k: v for k, v in t.items() if "pooler" not in k})
check(
    "without pooler",
    evaluate(no_pooler, batch),
    [{k: v for k, v in w.items() if k != "pooled"} for w in want],
)

# ---- masked LM: tied and untied decoders, either name of the bias; pretraining: two heads
for name, change in {
    "own decoder": lambda t: {
        **t,
        "cls.predictions.decoder.weight": torch.randn(t["bert.embeddings.word_embeddings.weight"].shape),
    },
    "equal decoder": lambda t: {
        **t,
        "cls.predictions.decoder.weight": t["bert.embeddings.word_embeddings.weight"],
    },
    "decoder.bias": lambda t: {
        ("cls.predictions.decoder.bias" if k == "cls.predictions.bias" else k): v for k, v in t.items()
    },
}.items():
    directory = TMP / name.replace(" ", "_")
    model, config = make_bert.random_bert("fill-mask", 21, directory)
    batch = texts(config, 21)
    rewrite(directory, change)
    decoder = load_file(directory / "model.safetensors").get("cls.predictions.decoder.weight")
    if decoder is not None:
        model.cls.predictions.decoder.weight = torch.nn.Parameter(decoder)
    check(
        name,
        evaluate(directory, batch),
        [want_of("fill-mask", o) for o in outputs(model, batch, output_hidden_states=True)],
    )
model, config = pretraining(TMP / "pretraining", 2, hidden_act="gelu_new")
batch = texts(config, 5)
both = outputs(model, batch, output_hidden_states=True)
check(
    "pretraining",
    evaluate(TMP / "pretraining", batch),
    [
        {
            "fill-mask": o.prediction_logits[0],
            "next-sentence": o.seq_relationship_logits[0],
            "hidden": hidden(o),
        }
        for o in both
    ],
)
check(
    "pretraining as fill-mask",
    evaluate(TMP / "pretraining", batch, "--task=fill-mask"),
    [{"logits": o.prediction_logits[0], "hidden": hidden(o)} for o in both],
)
check(
    "pretraining as classify",
    evaluate(TMP / "pretraining", batch, "--task=classify"),
    [{"logits": o.seq_relationship_logits[0]} for o in both],
)

# ---- other uses of a checkpoint
model, config = make_bert.random_bert("classify", 31, TMP / "classify")
batch = texts(config, 31)
all_of_it = outputs(model, batch, output_hidden_states=True)


def embedding(h):
    return h.mean(0) / h.mean(0).norm()


with torch.no_grad():
    pooled = [model.bert.pooler(o.hidden_states[-1])[0] for o in all_of_it]
check(
    "classifier as embedder",
    evaluate(TMP / "classify", batch, "--task=embed"),
    [{"embedding": embedding(hidden(o)), "hidden": hidden(o)} for o in all_of_it],
)
check(
    "classifier with outputs",
    evaluate(TMP / "classify", batch, "--outputs=pooled,hidden"),
    [{"logits": o.logits[0], "pooled": p, "hidden": hidden(o)} for o, p in zip(all_of_it, pooled)],
)
model, config = make_bert.random_bert("regression", 32, TMP / "rank")
batch = texts(config, 32)
check(
    "rank",
    evaluate(TMP / "rank", batch, "--task=rank"),
    [{"logits": o.logits[0]} for o in outputs(model, batch)],
)


# ---- sentence-transformers
def sbert(directory, pooling, dense=(), normalize=False, sub="", new_style=None):
    modules = ["Transformer", "Pooling"] + ["Dense"] * len(dense) + ["Normalize"] * normalize
    paths = [sub] + [f"{i}_{m}" for i, m in enumerate(modules)][1:]
    width = AutoConfig.from_pretrained(directory / sub).hidden_size
    (directory / "modules.json").write_text(
        json.dumps(
            [
                {"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{m}"}
                for i, (m, p) in enumerate(zip(modules, paths))
            ]
        )
    )
    for p in paths[1:]:
        (directory / p).mkdir()
    keys = [
        "cls_token",
        "mean_tokens",
        "max_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    ]
    (directory / "1_Pooling" / "config.json").write_text(
        json.dumps(
            {"pooling_mode": new_style}
            if new_style
            else {"word_embedding_dimension": width, **{f"pooling_mode_{k}": k in pooling for k in keys}}
        )
    )
    for path, (linear, activation) in zip(paths[2:], dense):
        (directory / path / "config.json").write_text(
            json.dumps(
                {
                    "in_features": linear.in_features,
                    "out_features": linear.out_features,
                    "bias": linear.bias is not None,
                    "activation_function": f"torch.nn.modules.{activation}",
                }
            )
        )
        save_file(
            {f"linear.{k}": v.contiguous() for k, v in linear.state_dict().items()},
            directory / path / "model.safetensors",
        )


parts = {
    "cls_token": lambda h: h[0],
    "max_tokens": lambda h: h.max(0).values,
    "mean_tokens": lambda h: h.mean(0),
    "mean_sqrt_len_tokens": lambda h: h.sum(0) / len(h) ** 0.5,
    "weightedmean_tokens": lambda h: (
        (h * torch.arange(1.0, len(h) + 1).unsqueeze(1)).sum(0) / (len(h) * (len(h) + 1) / 2)
    ),
    "lasttoken": lambda h: h[-1],
}
torch.manual_seed(3)
for n, (pooling, dense, normalize) in enumerate(
    [
        *(((p,), 0, False) for p in parts),
        (tuple(parts), 0, True),
        (("mean_tokens",), 1, True),
        (("cls_token", "mean_tokens"), 2, False),
    ]
):
    directory = TMP / f"sbert{n}"
    sub = "0_Transformer" if n % 3 == 2 else ""
    model, config = make_bert.random_bert("encoder", 50 + n, directory / sub)
    batch = texts(config, n)
    width = config.hidden_size * len(pooling)
    layers = []
    for i in range(dense):
        layers.append(
            (torch.nn.Linear(width, 13 + i, bias=i == 0), ["activation.Tanh", "linear.Identity"][i])
        )
        width = 13 + i
    sbert(directory, pooling, layers, normalize, sub)

    def of(h):
        x = torch.cat([f(h) for p, f in parts.items() if p in pooling])
        for linear, activation in layers:
            x = linear(x).tanh() if "Tanh" in activation else linear(x)
        return x / x.norm() if normalize else x

    check(
        f"sentence-transformers {pooling} {dense} {normalize}",
        evaluate(directory, batch),
        [
            {"embedding": of(o.last_hidden_state[0]), "hidden": o.last_hidden_state[0]}
            for o in outputs(model, batch)
        ],
    )
model, config = make_bert.random_bert("encoder", 70, TMP / "newstyle")
sbert(TMP / "newstyle", (), new_style="cls")
batch = texts(config, 70)
check(
    "pooling_mode as a word",
    evaluate(TMP / "newstyle", batch),
    [
        {"embedding": o.last_hidden_state[0][0], "hidden": o.last_hidden_state[0]}
        for o in outputs(model, batch)
    ],
)

print(f"all forms agree; worst error {worst:.3f} of the tolerance")
