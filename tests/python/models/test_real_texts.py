"""On 200 real texts (only with FULL): the weights of SPLADE, the scores of zero-shot classification and the
order of reranked documents, as sentence-transformers and transformers compute them. The encoder is
all-MiniLM-L6-v2; its heads are random, as there are no trained ones."""

import json
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from _support import *

if not FULL:
    skip("only with FULL")
need_shared()
try:
    from sentence_transformers import CrossEncoder, SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling
except ImportError:
    skip("no sentence-transformers")

NEAR = 1e-4  # results that are nearer to each other may change places
ENCODER = SHARED / "models/minilm-l6"
LINES = [t for t in (SHARED / "data/text/en.txt").read_text().splitlines() if t.strip() and "\t" not in t]
TEXTS = LINES[:200]


def saved(name, kind, **settings):
    """The encoder with a random head, and its tokenizer."""
    torch.manual_seed(7)
    model = kind.from_pretrained(ENCODER, dtype=torch.float32, **settings)
    if hasattr(model, "classifier"):
        torch.nn.init.normal_(model.classifier.weight, std=0.5)
    model.save_pretrained(TMP / name)
    AutoTokenizer.from_pretrained(ENCODER).save_pretrained(TMP / name)
    return TMP / name


def lines(program, *options):
    return run(program, *options, input="".join(t + "\n" for t in TEXTS).encode()).stdout


def in_order(found, scores, what):
    """Checks that the places in `found` follow their scores, and that none is missing."""
    assert sorted(found) == list(range(len(scores))), what
    row = [float(scores[i]) for i in found]
    assert all(a > b - NEAR for a, b in zip(row, row[1:])), what


def splade():
    encoder = Transformer(str(saved("masked", AutoModelForMaskedLM)), transformer_task="fill-mask")
    model = SparseEncoder(modules=[encoder, SpladePooling("max")], device="cpu")
    model.save(str(TMP / "splade"), create_model_card=False)
    want = [model.encode(t, convert_to_sparse_tensor=False).numpy() for t in TEXTS]
    program = build(TMP / "splade", TMP / "splade.program")
    rows = np.frombuffer(lines(program, "--raw"), "<f4").reshape(len(TEXTS), -1)
    worst = max(compare(a, b, "SPLADE") for a, b in zip(rows, want, strict=True))
    ids, active = model.tokenizer.get_vocab(), 0
    for line, row in zip(lines(program).decode().splitlines(), want, strict=True):
        found = [ids[token] for token in line.split("\t")[::2]]
        rest = np.setdiff1d(np.arange(len(row)), found)
        assert row[rest].max(initial=0) <= NEAR, "a weight is not printed"
        in_order([*found, *rest[np.argsort(-row[rest])]], row, "SPLADE")
        active += len(found)
    print(f"SPLADE: {worst:.3f} of the tolerance, {active / len(TEXTS):.0f} weights a text, all in order")


def zero_shot():
    names = {0: "contradiction", 1: "neutral", 2: "entailment"}
    home = saved("nli", AutoModelForSequenceClassification, num_labels=3, id2label=names)
    oracle = pipeline("zero-shot-classification", model=str(home), device=-1)
    labels = "politics,sport,money,health,war,law,science,music,food,travel"
    worst = same = 0
    program = build(home, TMP / "nli.program")
    found = map(json.loads, lines(program, "--json", "--labels", labels).splitlines())
    for text, mine in zip(TEXTS, found, strict=True):
        want = oracle(text, candidate_labels=labels)
        scores = dict(zip(want["labels"], want["scores"]))
        worst = max(worst, *(abs(mine["scores"][k] - scores[k]) for k in scores))
        order = np.argsort([-mine["scores"][k] for k in labels.split(",")], kind="stable")
        in_order(order.tolist(), [scores[k] for k in labels.split(",")], text)
        same += mine["label"] == want["labels"][0]
    assert worst <= NEAR and same == len(TEXTS), (worst, same)
    print(f"zero-shot: scores within {worst:.1e}, {same} of {len(TEXTS)} labels equal")


def reranked():
    home = saved("reranker", AutoModelForSequenceClassification, num_labels=1)
    model, query = CrossEncoder(str(home), device="cpu"), "who was nominated for a court?"
    want = model.predict([(query, t) for t in TEXTS], batch_size=1)
    program = build(home, TMP / "reranker.program", "--task=rank")
    printed = lines(program, "--query", query, "--top", "200").decode()
    rows = [line.split("\t") for line in printed.splitlines()]
    worst = max(abs(float(score) - want[int(n)]) for n, score, _ in rows)
    in_order([int(row[0]) for row in rows], want, "reranked")
    assert worst <= NEAR and all(TEXTS[int(n)] == text for n, _, text in rows), worst
    print(f"reranked: scores within {worst:.1e}, the order of all {len(rows)} documents")


torch.set_num_threads(1)
torch.set_grad_enabled(False)
splade()
zero_shot()
reranked()
