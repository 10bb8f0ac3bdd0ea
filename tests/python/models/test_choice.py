#!/usr/bin/env python3
"""Multiple choice: models of every family that transformers has a class for, by the reference evaluator;
summaries of every kind; programs on text, on ids and in windows.

    test_choice.py [FAMILY...]"""

import json, sys
import numpy as np, torch
from transformers import AutoTokenizer
from _support import BERTC, FULL, TMP, build, compare, run
from checkpoints import agree, evaluate, rewrite_config
from make_model import FAMILIES, random_model, randomize, reference

torch.set_grad_enabled(False)
torch.set_num_threads(1)
LINES = [
    ("zeku lomi tara vobe", "banana moti, sela!", "kuna", "a b c"),
    ("what is moti", "one", "", "dela " * 9, "x1 y2' z3"),
    ("a", "b"),
    ("", "nasi", "poto 42"),
]
SUMMARIES = [  # of ELECTRA and RoFormer; None: the key is missing
    {"summary_type": "mean", "summary_activation": "tanh"},
    {"summary_type": "cls_index", "summary_use_proj": False},
    {"summary_type": None, "summary_use_proj": None, "summary_activation": None},
    {"summary_type": "first", "summary_use_proj": True, "summary_activation": "relu"},
]


def on_ids(family, seed, **keys):
    """A model of the family against transformers, on texts of ids; every text is a choice."""
    row, directory = FAMILIES[family], TMP / f"{family}-{seed}"
    model, config = random_model(family, "choice", seed, directory, tokenizer=False)
    if keys:
        model = summary(family, directory, keys)
    r = np.random.default_rng(seed)
    longest = row.longest(config)
    kinds = config.type_vocab_size if row.segments(config) else 1
    lengths = [1, 2, longest // 2, longest]
    texts = [
        (r.integers(0, config.vocab_size, n).tolist(), r.integers(0, kinds, n).tolist()) for n in lengths
    ]
    want = [{"logits": torch.tensor(reference(row, model, "choice", *text))} for text in texts]
    worst = agree(f"{family} {keys}", evaluate(directory, texts), want, 1e-4)
    got = [w["logits"] for w in evaluate(directory, texts)]
    assert np.argmax(got) == int(torch.stack([w["logits"] for w in want]).argmax()), family
    return worst


def summary(family, directory, keys):
    """The model of a directory after its config.json has got these keys."""
    row = FAMILIES[family]
    rewrite_config(directory, **keys)
    config = row.config().from_pretrained(directory, attn_implementation="eager")
    model = row.chooser()(config).eval()
    randomize(model, 3, row.gain)
    model.save_pretrained(directory)
    rewrite_config(directory, **keys)
    return model


def answers(path, lines, *options, code=0):
    done = run(path, *options, input="".join(line + "\n" for line in lines).encode(), check=False)
    assert done.returncode == code, (done.returncode, done.stderr.decode())
    return done.stdout.decode().split("\n")[:-1], done.stderr.decode()


def expected(model, tokenizer, line):
    """The logits of the choices of a line, without padding. An empty choice is a text in lists only."""
    pairs = [([line[0]], [choice]) for choice in line[1:]]
    given = [tokenizer(*pair, return_tensors="pt", truncation="longest_first") for pair in pairs]
    return torch.cat([model(**{k: v[None] for k, v in g.items()}).logits[0] for g in given])


def on_text(family, seed):
    directory = TMP / f"{family}-text"
    keys = {"max_position_embeddings": 66, "type_vocab_size": 2, "pad_token_id": 1}
    model, _ = random_model(family, "choice", seed, directory, **keys)
    if FAMILIES[family].limit:
        (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    tokenizer = AutoTokenizer.from_pretrained(directory, model_max_length=64)
    program = build(directory, TMP / f"{family}.out", "--max-tokens=64", "--cpu=baseline")
    lines = ["\t".join(line) for line in LINES]
    plain, objects, raw, ids = (
        answers(program, lines, *o)[0] for o in ((), ("--json",), ("--logits",), ("--tokenize",))
    )
    printed = plain, map(json.loads, objects), map(json.loads, raw)
    for line, text, obj, row in zip(LINES, *printed, strict=True):
        want = expected(model, tokenizer, line)
        compare(row, want, f"{family}: {line}")
        p = want.softmax(0)
        compare(obj["scores"], p, line)
        best, *scores = text.split("\t")
        assert int(best) == obj["choice"] == int(p.argmax()), (text, obj, p)
        compare([float(s) for s in scores], p, line, 2e-4)
        assert obj["score"] == obj["scores"][int(best)] and "windows" not in obj, obj
    assert answers(program, ids, "--ids", "--logits")[0] == raw, "--ids reads what --tokenize prints"
    assert answers(program, lines, "--batch=4")[0] == plain, "a batch"
    pieces = [json.loads(line) for line in answers(program, lines, "--tokenize", "--json")[0]]
    assert [len(p) for p in pieces] == [len(line) - 1 for line in LINES], pieces
    first = tokenizer(*LINES[0][:2])["input_ids"]
    assert pieces[0][0]["ids"] == first, (pieces[0][0], first)
    for name, lines, message in (
        ("no choices", ["alone"], "no tab"),
        ("a bad id", ["1 2 | 3 x"], "expected token ids"),
    ):
        options = ["--ids"] if "|" in lines[0] else []
        got, said = answers(program, lines + ["1\t2"], *options, code=1)
        assert len(got) == 1 and message in said, (name, got, said)
    windows(model, tokenizer, program)
    if family == "bert":
        scored(model, tokenizer, directory)


def scored(model, tokenizer, directory):
    """bertc eval counts the rows whose best choice is the labelled one."""
    texts = ["zeku lomi", "what is moti", "a", "kuna", "tara vobe", "nasi poto 42"]
    rows = [(t, *(f"{a} {t[::-1]}" for a in ("one", "dela moti", "")), k % 3) for k, t in enumerate(texts)]
    right = sum(int(expected(model, tokenizer, row[:4]).argmax()) == row[4] for row in rows)
    table = [("text", "choice0", "choice1", "choice2", "label"), *rows]
    data = TMP / "choices.tsv"
    data.write_text("".join("\t".join(map(str, row)) + "\n" for row in table))
    build = json.loads(run(BERTC, "eval", directory, "--data", data, "--json", "--max-tokens=64").stdout)
    assert build["builds"][0]["right"] == right and build["builds"][0]["of"] == len(rows), (build, right)
    assert 0 < right < len(rows), right
    data.write_text("text\tchoice0\tchoice1\tlabel\na\tb\tc\t2\n")
    p = run(BERTC, "eval", directory, "--data", data, check=False)
    assert p.returncode == 3 and b"is not the number of a choice, 0 to 1" in p.stderr, p.stderr


def windows(model, tokenizer, program):
    """A choice above the limit counts with the mean of its windows; the others stay as they are."""
    long = " ".join("b c d f g h k l m n p r s t v z".split() * 6)
    line = "\t".join(("a", long, "b"))
    one = lambda *options: json.loads(answers(program, [line], *options)[0][0])
    said, cut = one("--on-overflow=window", "--json"), one("--json")
    assert said["windows"] > 2 and "truncated" not in said, said
    assert cut["truncated"] and "windows" not in cut, cut
    row, short = one("--on-overflow=window", "--logits"), one("--logits")
    want = expected(model, tokenizer, ("a", long, "b"))
    compare(short, want, "cut")
    assert row[1] == short[1] and row[0] != short[0], (row, short)
    if tokenizer.cls_token == "[CLS]":  # one token for each word, wherever a window begins
        text, rest = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in ("a", long))
        tail, limit = [tokenizer.sep_token_id], 60
        lead = [tokenizer.cls_token_id, *text, *tail]
        parts = [rest[i : i + limit] + tail for i in range(0, len(rest), limit)]
        types = [[0] * len(lead) + [1] * len(part) for part in parts]
        logits = [
            model(torch.tensor([[lead + part]]), token_type_ids=torch.tensor([[kinds]])).logits[0]
            for part, kinds in zip(parts, types)
        ]
        compare(row[0], torch.stack(logits).mean(), "the mean of the windows")
        assert said["windows"] == len(parts) + 1, (said, len(parts))
    answers(program, [line], "--on-overflow=error", code=1)


count = 0
families = sys.argv[1:] or [f for f in FAMILIES if FAMILIES[f].chooser() and f != "bert-bpe"]
for family in families:
    for seed in range(24 if FULL else 1):
        on_ids(family, seed)
        count += 1
for family in [f for f in families if f in ("electra", "roformer")]:
    for seed, keys in enumerate(SUMMARIES):
        on_ids(family, 50 + seed, **keys)
        count += 1
for family in [f for f in families if f in ("bert", "roberta")]:
    on_text(family, 7)
print(f"{count} models of {len(families)} families")
