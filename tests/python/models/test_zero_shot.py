"""--labels of emitted programs against the pipeline zero-shot-classification of transformers, on seeded
random models: templates, several labels, the columns of entailment, texts that are too long."""

import json
import torch
from transformers import AutoTokenizer, pipeline
from _support import *
from make_model import FAMILIES, random_model

torch.set_num_threads(1)

TEXTS = [
    "banana moti, sela!",
    "a",
    "zeku lomi tara vobe. kuna? nasi-poto 42",
    "dela " * 90,
    "kuna x1 y2' z3 " * 6,
]
LABELS = "kuna, moti sela,x"
COLUMNS = [
    ["contradiction", "neutral", "entailment"],
    ["ENTAILS", "not"],
    ["neutral", "entailment", "contradiction"],
    ["a", "b", "c"],
]


def models(family, names, seed):
    folder = TMP / f"{family}-{seed}"
    behind = FAMILIES[family].starts_behind_padding
    sizes = {"pad_token_id": 1, "max_position_embeddings": 66} if behind else {"max_position_embeddings": 64}
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    model, _ = random_model(
        family, "classify", seed, folder, num_labels=len(names), type_vocab_size=2, **labels, **sizes
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=64)
    program = build(folder, TMP / f"{family}-{seed}.out", "--cpu=baseline")
    return pipeline("zero-shot-classification", model=model, tokenizer=tokenizer, device=-1), program


def answers(program, *options, code=0, lines=TEXTS):
    p = run(program, *options, input="".join(t + "\n" for t in lines).encode(), check=False)
    assert p.returncode == code, f"{options}: exit {p.returncode}, expected {code}\n{p.stderr.decode()}"
    return p.stdout.decode().split("\n")[:-1], p.stderr.decode()


def check(oracle, program, labels, template, multi):
    options = ["--labels", labels] + (["--template", template] if template else [])
    options += ["--multi-label"] if multi else []
    known = {"hypothesis_template": template} if template else {}
    plain, said = answers(program, *options)
    assert plain == answers(program, *options, "--batch", "4")[0]
    worst = 0
    for text, line, found in zip(TEXTS, plain, map(json.loads, answers(program, *options, "--json")[0])):
        want = oracle(text, candidate_labels=labels, multi_label=multi, **known)
        scores = dict(zip(want["labels"], want["scores"]))
        hypotheses = [(template or "This example is {}.").format(label) for label in scores]
        most = max(len(oracle.tokenizer(text, h, truncation=False)["input_ids"]) for h in hypotheses)
        assert found.get("tokens") == (most if most > 64 else None), (text, found, most)
        for label, score in scores.items():
            worst = max(worst, abs(found["scores"][label] - score))
        assert list(found["scores"]) == [label.strip() for label in labels.split(",")]
        near = want["scores"][0] - want["scores"][1] < 1e-4 if len(scores) > 1 else False
        assert near or found["label"] == want["labels"][0], (text, found, want)
        if multi or len(scores) == 1:
            got = line.split("\t")[0::2] if line else []
            assert got == found["labels"] == [k for k in found["scores"] if scores[k] >= 0.5], (line, want)
        else:
            assert line.split("\t")[0] == found["label"]
    assert worst <= 1e-4, f"{options}: scores differ by {worst}"
    return said


def main():
    for seed, names in enumerate(COLUMNS):
        family = "roberta" if seed == 1 else "bert"
        oracle, program = models(family, names, seed)
        for multi in False, True:
            said = check(oracle, program, LABELS, None, multi)
            assert ("counts as entailment" in said) == (names[0] == "a"), said
        check(oracle, program, "nasi", "{} vobe, dela", False)
        check(oracle, program, "nasi,tara " + "lomi " * 12, "sela {}", True)
    file = TMP / "bert-0" / "config.json"
    config = json.loads(file.read_text())
    raw = {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}  # of a cross-encoder
    file.write_text(json.dumps(config | raw))
    crossed = build(TMP / "bert-0", TMP / "crossed", "--cpu=baseline")
    assert answers(crossed, "--labels", LABELS) == answers(TMP / "bert-0.out", "--labels", LABELS)
    file.write_text(json.dumps(config))
    for options in (
        ["--labels", ","],
        ["--labels", "a", "--template", "no gap"],
        ["--labels", "a", "--template", "{} {}"],
        ["--labels", "a", "--ids"],
        ["--labels", "lomi " * 70],
        ["--template", "{}"],
        ["--multi-label"],
    ):
        answers(program, *options, code=2)
    baked = build(TMP / "bert-0", TMP / "baked", "--cpu=baseline", f"--labels={LABELS}", "--template=a {} b")
    plain = TMP / "bert-0.out"
    want = answers(plain, "--labels", LABELS, "--template", "a {} b", "--json")
    assert answers(baked, "--json") == want and answers(baked, "--logits") == answers(plain, "--logits")
    assert answers(baked, "--labels", "b") == answers(plain, "--labels", "b", "--template", "a {} b")
    zero = build(TMP / "bert-0", TMP / "zero", "--cpu=baseline", "--task=zero-shot")
    assert "give --labels" in answers(zero, code=2)[1]
    assert answers(zero, "--labels", LABELS) == answers(plain, "--labels", LABELS)
    assert answers(zero, "--logits") == answers(plain, "--logits")
    named = ["--task=zero-shot", f"--labels={LABELS}", "--template=a {} b"]
    assert answers(build(TMP / "bert-0", TMP / "named", "--cpu=baseline", *named), "--json") == want
    other = TMP / "bert-3"
    p = bertc("build", other, "-o", TMP / "none", "--task=zero-shot", check=False)
    assert p.returncode == 4 and b"entail" in p.stderr, p.stderr
    for options, code in (
        (["--labels=a,,b"], 2),
        (["--labels=a", "--template=a"], 2),
        (["--template={}"], 2),
        (["--labels=a", "--emit=bir"], 2),
        (["--labels=a", "--emit=shared"], 2),
        (["--labels=a", "--task=embed"], 4),
    ):
        assert bertc("build", TMP / "bert-0", "-o", TMP / "none", *options, check=False).returncode == code
    assert not (TMP / "none").exists()
    answers(program, "--labels", "a,b", "--on-overflow=error", lines=["dela " * 90], code=1)
    answers(program, "--labels", "a,b", lines=["a\tb"], code=1)
    assert len(answers(program, "--labels", "a,b", lines=["", "a"])[0]) == 2
    many = ",".join(f"l{i}" for i in range(1200))
    assert len(answers(program, "--labels", many, lines=["a"])[0]) == 1
    print(f"ok {len(COLUMNS)} models, {len(TEXTS)} texts")


main()
