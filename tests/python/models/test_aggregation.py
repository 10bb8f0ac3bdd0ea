"""--aggregation of taggers against the pipeline token-classification of transformers: on sentences of NCBI-
disease with the tagger for them (FULL: 1,000), and on seeded random models with several kinds of
tokenizer and labels. --format=xml against the spans."""

import html
import json
import os
import random
import re
import warnings
from pathlib import Path
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
from _support import *
from make_model import FAMILIES, random_model

torch.set_num_threads(1)

warnings.filterwarnings("ignore", message="Tokenizer does not support real words")
HOW = ["simple", "first", "average", "max"]
SHARED = Path(os.environ["SHARED"]) if os.environ.get("SHARED") else None
LABELS = {
    "bert": ["O", "B-A", "I-A", "B-B", "I-B"],
    "roberta": ["B-A", "O", "I-A", "I-B"],
    "albert": ["A", "B", "O", "C"],
}


def sentences(path, most):
    words = [block.split("\n") for block in path.read_text().strip().split("\n\n")]
    return [" ".join(line.split("\t")[0] for line in block) for block in words[:most]]


def spans_of(program, texts, *options):
    p = run(program, *options, "--json", input="".join(t + "\n" for t in texts).encode())
    return [json.loads(line)["spans"] for line in p.stdout.decode().split("\n")[:-1]]


def compare(oracle, program, texts):
    count = 0
    for how in HOW:
        for text, found in zip(texts, spans_of(program, texts, f"--aggregation={how}")):
            want = oracle(text, aggregation_strategy=how) if text else []
            at = [len(text[:i].encode()) for i in range(len(text) + 1)]
            expected = [(at[w["start"]], at[w["end"]], w["entity_group"]) for w in want]
            got = [(f["start"], f["end"], f["label"]) for f in found]
            assert got == expected, (how, text, got, expected)
            for f, w in zip(found, want):
                assert abs(f["score"] - float(w["score"])) < 1e-4, (how, text, f, w)
            count += len(want)
    return count


def check_xml(program, texts):
    p = run(program, "--format=xml", input="".join(t + "\n" for t in texts).encode())
    lines = p.stdout.decode().split("\n")[:-1]
    for text, line, spans in zip(texts, lines, spans_of(program, texts), strict=True):
        assert html.unescape(re.sub(r"</?[\w.-]+>", "", line)) == text, (text, line)
        found = [(name, html.unescape(inner)) for name, inner in re.findall(r"<([\w.-]+)>([^<]*)</\1>", line)]
        assert found == [(s["label"], s["text"]) for s in spans], (line, spans)


def check_shared_places(program):
    """Tokens of one character share its place; XML cannot hold U+FFFE and U+FFFF."""
    texts = ["\U0001f600\ufdfa\u65e5" * 4, "a \U0001f600 \ufffe\uffff"]
    for options in [], ["--aggregation=simple"]:
        p = run(program, "--format=xml", *options, input="".join(t + "\n" for t in texts).encode())
        lines = p.stdout.decode().split("\n")[:-1]
        for text, line, spans in zip(texts, lines, spans_of(program, texts, *options), strict=True):
            want = text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
            assert html.unescape(re.sub(r"</?[\w.-]+>", "", line)) == want, (text, line)
            assert re.findall(r"<([\w.-]+)>", line) == [s["label"] for s in spans], (line, spans)


def random_texts(most):
    rng = random.Random(5)
    words = "banana moti, sela! nasi-poto 42 x1 y2' über Ünïcode 日本 a zekuzekuzeku".split()
    return ["", "a", "<b> & c"] + [" ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(most)]


def check_random(family, names):
    folder, texts = TMP / family, random_texts(100 if FULL else 12)
    sizes = {"pad_token_id": 1} if FAMILIES[family].starts_behind_padding else {}
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    model, _ = random_model(family, "tag", 3, folder, num_labels=len(names), **labels, **sizes)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    oracle = pipeline("token-classification", model=model, tokenizer=tokenizer, device=-1)
    program = build(folder, TMP / f"{family}.out", "--cpu=baseline")
    spans = compare(oracle, program, texts)
    check_xml(program, texts)
    check_shared_places(program)
    print(f"ok {family}: {spans} spans", flush=True)
    return program


def main():
    for family, names in LABELS.items():
        program = check_random(family, names)
    for options in (
        ["--aggregation=last"],
        ["--format=yaml"],
        ["--json", "--format=yaml"],
        ["--aggregation=first", "--aggregation=last"],
        ["--format=xml", "--json"],
        ["--aggregation=first", "--tokens"],
        ["--aggregation=first", "--ids"],
    ):
        assert run(program, *options, "a", check=False).returncode == 2, options
    if not SHARED or not (SHARED / "models/minilm-ncbi").exists():
        return
    folder = SHARED / "models/minilm-ncbi"
    texts = sentences(SHARED / "data/ncbi_disease/test.tsv", 1000 if FULL else 40)
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype="float32")
    oracle = pipeline(
        "token-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device=-1
    )
    program = build(folder, TMP / "ncbi", "--weights=f32")
    print(f"ok NCBI-disease: {compare(oracle, program, texts)} spans in {len(texts)} sentences")


main()
