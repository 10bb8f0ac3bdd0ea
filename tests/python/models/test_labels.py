"""Spans of taggers by the scheme of their labels, against transformers' pipeline, which takes the label of a
word from its first token and groups neighbours (aggregation_strategy="first")."""

import json, random
from transformers import AutoTokenizer, pipeline
from _support import *
from checkpoints import rewrite_config
from make_model import random_model
from make_tokenizer import syllables

r = random.Random(1)
TEXTS = [" ".join(syllables(r) for _ in range(r.randint(1, 12))) + "." for _ in range(30)]
TEXTS += ["banana moti, sela!", "dela " * 30, "nasi-poto 42 x1 y2' z3"]
home = TMP / "tagger"
_, config = random_model("bert", "tag", 5, home, max_position_embeddings=64, type_vocab_size=2)
AutoTokenizer.from_pretrained(home, model_max_length=64).save_pretrained(home)
count = config.num_labels


def labelled(*labels):
    """A program of the tagger with these labels, and what the pipeline finds."""
    labels = [labels[i % len(labels)] for i in range(count)]
    rewrite_config(home, id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})
    name = "-".join(labels)
    tagger = pipeline("token-classification", str(home), aggregation_strategy="first", device="cpu")
    want = [[(s["start"], s["end"], s["entity_group"], s["score"]) for s in tagger(t)] for t in TEXTS]
    return build(home, TMP / name, "--cpu=baseline"), want


def spans(program, *options):
    lines = "".join(t + "\n" for t in TEXTS).encode()
    out = run(program, "--json", *options, input=lines).stdout
    return [
        [(s["start"], s["end"], s["label"], s["score"]) for s in json.loads(line)["spans"]]
        for line in out.splitlines()
    ]


found = 0
for labels in ("O", "Disease"), ("Disease", "O", "Drug"), ("B-X", "O", "I-X"), ("I-X", "O"):
    program, want = labelled(*labels)
    for got, expected in zip(spans(program), want, strict=True):
        assert [g[:3] for g in got] == [e[:3] for e in expected], (labels, got, expected)
        if got:
            compare([g[3] for g in got], [e[3] for e in expected], labels)
        found += len(got)
    if labels == ("I-X", "O"):
        assert spans(program, "--scheme=io") == spans(program)
p = run(program, "--scheme=other", "a", check=False)
assert p.returncode == 2 and b"bilou" in p.stderr
assert found > 20, found
print(f"{found} spans")
