"""Checkpoints of every family in the forms in which they are saved: other prefixes, older names, other
element types, shards, other tasks, modules of sentence-transformers. Compares the reference evaluator with
transformers on the same directory. Generates no code, except for one tagger.

    test_family_forms.py [FAMILY...]"""

import random, re, shutil, sys
from _support import BERTC, FULL, TMP, bertc, build, run
from checkpoints import *
from make_model import FAMILIES, TESTED, random_model, randomize
from make_tokenizer import SENTENCES
import transformers

torch.set_grad_enabled(False)
torch.set_num_threads(1)
SMALL = dict(vocab_size=61, hidden_size=24, num_attention_heads=3, num_hidden_layers=2, intermediate_size=40)
PARTS = {
    "cls_token": lambda h: h[0],
    "max_tokens": lambda h: h.max(0).values,
    "mean_tokens": lambda h: h.mean(0),
}


def texts(row, config, seed, most=40):
    """Texts of ids. The longest has the maximal length of the model. One contains the padding id."""
    r = random.Random(seed)
    made = [
        [r.randrange(config.vocab_size) for _ in range(n)] for n in (1, 2, 9, min(most, row.longest(config)))
    ]
    made[2][3] = made[2][4] = row.padding(config)
    return made


def load(row, kind, directory):
    made = row.classes()[kind].from_pretrained(directory, attn_implementation="eager", dtype=torch.float32)
    return made.eval()


def unit(v):
    return v / v.norm().clamp(min=1e-12)


def outputs(row, model, kind, batch):
    """The outputs that the evaluator prints: the first output and the further outputs of the program."""
    for ids in batch:
        o = model(**row.inputs(ids), output_hidden_states=True)
        hidden = o.hidden_states[-1][0]
        if kind == "encoder":
            has_pooler = any("pooler" in name for name, _ in model.named_parameters())
            pooled = {"pooled": o.pooler_output[0]} if has_pooler else {}
            yield {"embedding": unit(hidden.mean(0)), "hidden": hidden} | pooled
        elif kind == "qa":
            yield {"logits": torch.stack([o.start_logits[0], o.end_logits[0]], -1), "hidden": hidden}
        else:
            rows = kind in ("tag", "fill-mask", "replaced")
            yield {"logits": o.logits[0]} | ({"hidden": hidden} if rows else {})


def check_heads(family, row):
    for n, kind in enumerate(row.classes()):
        for seed in range(4 if FULL else 1):
            directory = TMP / f"{family}-{kind}-{seed}"
            model, config = random_model(family, kind, 40 + 10 * n + seed, directory)
            batch = texts(row, config, n)
            agree(directory.name, evaluate(directory, batch), outputs(row, model, kind, batch))


def check_pretraining(family, row):
    """Models with both heads of pre-training: masked words, and the relation of two texts."""
    if not row.pair:
        return
    name, logits, labels = row.pair
    for n, keys in enumerate(({}, {"num_labels": 3})):
        config = row.config(**SMALL, **keys)
        row.settle(config)
        config._attn_implementation = "eager"
        model = getattr(transformers, row.stem + "ForPreTraining")(config)
        randomize(model, n, row.gain).eval().save_pretrained(TMP / f"{family}-pair{n}")
        want = []
        for ids in texts(row, config, n):
            o = model(**row.inputs(ids), output_hidden_states=True)
            heads = {"fill-mask": o.prediction_logits[0], name: o[logits][0]}
            want.append(heads | {"hidden": o.hidden_states[-1][0]})
        agree(f"{family}: both heads", evaluate(TMP / f"{family}-pair{n}", texts(row, config, n)), want)
    bertc("describe", TMP / f"{family}-pair0", "-o", TMP / "pair.xml")
    assert all(f"<label>{l}</label>" in (TMP / "pair.xml").read_text() for l in labels), labels


def check_discriminator(family, row):
    """A discriminator tags words. `bertc eval` on the tags that its program prints gives a score of 1."""
    if "replaced" not in row.classes():
        return
    directory = TMP / f"{family}-words"
    random_model(family, "replaced", 77, directory)
    lines = "\n".join(" ".join(re.findall(r"[a-z]+", s.lower())) for s in SENTENCES).encode()
    program = build(directory, TMP / f"{family}-words.out", "--cpu=baseline")
    tagged = run(program, "--tokens", input=lines).stdout.decode()
    assert {line.split("\t")[1] for line in tagged.splitlines() if line} == {"O", "replaced"}, tagged
    (TMP / "words.conll").write_text(tagged)
    scored = run(BERTC, "eval", directory, "--data", TMP / "words.conll").stdout.decode()
    assert re.search(r"^fp32 .* 1\.0000 ", scored, re.MULTILINE), scored


def older_names(t):
    return {
        k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in t.items()
    }


def check_names(family, row):
    """The file of a bare encoder with other names, other types, or unused tensors."""
    model, config = random_model(family, "encoder", 7, TMP / f"{family}-forms", num_hidden_layers=2)
    batch = texts(row, config, 7)
    places = torch.arange(row.longest(config)).unsqueeze(0)
    forms = {
        "gamma and beta": older_names,
        "prefix": lambda t: {f"{model.base_model_prefix}.{k}": v for k, v in t.items()},
        "extra tensors": lambda t: t | {"embeddings.position_ids": places, "never.used": torch.ones(3, 3)},
        "f64": lambda t: {k: v.double() for k, v in t.items()},
        "f16": lambda t: {k: v.half() for k, v in t.items()},
        "bf16": lambda t: {k: v.bfloat16() for k, v in t.items()},
        "without pooler": lambda t: {k: v for k, v in t.items() if "pooler" not in k},
        "without computed": lambda t: {k: v for k, v in t.items() if not k.endswith(row.computed or "none")},
    }
    for name, change in forms.items():
        directory = TMP / f"{family}-{name}"
        shutil.copytree(TMP / f"{family}-forms", directory)
        rewrite(directory, change)
        want = list(outputs(row, load(row, "encoder", directory), "encoder", batch))
        if name == "without pooler":
            want = [{k: v for k, v in w.items() if k != "pooled"} for w in want]
        agree(f"{family}: {name}", evaluate(directory, batch), want)
    model.save_pretrained(TMP / f"{family}-shards", max_shard_size="2KB")
    assert len(list((TMP / f"{family}-shards").glob("*.safetensors"))) > 1
    agree("shards", evaluate(TMP / f"{family}-shards", batch), outputs(row, model, "encoder", batch))


def check_uses(family, row):
    """Uses a classifier as an embedder, a regression model as a ranker, and an encoder with the modules of
    sentence-transformers."""
    model, config = random_model(family, "classify", 31, TMP / f"{family}-classify")
    batch = texts(row, config, 31)
    hidden = [model(**row.inputs(ids), output_hidden_states=True).hidden_states[-1][0] for ids in batch]
    agree(
        f"{family}: a classifier as an embedder",
        evaluate(TMP / f"{family}-classify", batch, "--task=embed"),
        [{"embedding": unit(h.mean(0)), "hidden": h} for h in hidden],
    )
    model, config = random_model(family, "regression", 32, TMP / f"{family}-rank")
    batch = texts(row, config, 32)
    agree(
        f"{family}: rank",
        evaluate(TMP / f"{family}-rank", batch, "--task=rank"),
        outputs(row, model, "regression", batch),
    )
    for n, (modes, normalize) in enumerate(
        ((["mean_tokens"], True), (["cls_token"], False), (["cls_token", "mean_tokens", "max_tokens"], True))
    ):
        directory, sub = TMP / f"{family}-st{n}", ("", "0_Transformer")[n % 2]
        model, config = random_model(family, "encoder", 50 + n, directory / sub)
        sentence_transformer(directory, sub, modes, normalize, max_seq_length=12)
        batch, want = texts(row, config, n, 12), []
        for ids in batch:
            h = model(**row.inputs(ids)).last_hidden_state[0]
            pooled = torch.cat([PARTS[m](h) for m in PARTS if m in modes])
            want.append({"embedding": unit(pooled) if normalize else pooled, "hidden": h})
        agree(f"{family}: sentence-transformers {modes}", evaluate(directory, batch), want)


for family in sys.argv[1:] or TESTED:
    for check in (check_heads, check_pretraining, check_discriminator, check_names, check_uses):
        check(family, FAMILIES[family])
        print(f"ok {family}: {check.__name__}", flush=True)
