"""The functions of the C API for a task give what the program prints for the same texts: short texts, texts
that are too long, windows. Other tests compare the program with transformers."""

import ctypes, json, re
import numpy as np
from transformers import AutoTokenizer
from _support import *
from make_model import random_model

LONG = " ".join("banana moti, sela! zeku lomi tara vobe kuna".split() * 12)
TEXTS = ["banana moti, sela!", "", "a", "zeku lomi tara vobe. kuna? nasi-poto 42", LONG]
TEXTS += ["ä ö x1 y2' z3 " * 3]
SIZES = {"max_position_embeddings": 64, "type_vocab_size": 2, "pad_token_id": 0}
OVERFLOW = {"truncate": 1, "window": 2}
I32, F32 = ctypes.c_int32, ctypes.c_float


class Answers:
    """A model's program and library."""

    def __init__(self, kind, seed, *options, **keys):
        self.home = TMP / f"{kind}{seed}"
        random_model("bert", kind, seed, self.home, **SIZES, **keys)
        made = ["--cpu=baseline", "--max-tokens=64", *options]
        self.program = build(self.home, TMP / f"{kind}{seed}.out", *made)
        path = build(self.home, TMP / f"{kind}{seed}.so", "--emit=shared", "--name=m", *made)
        self.library = Library(path, "m")
        self.header = path.with_name("m.h").read_text()

    def call(self, name, *arguments, code=0):
        status = self.library.f(name)(self.library.context, *arguments)
        assert status == code, (name, status, self.library.f("strerror")(status))

    def set(self, rule):
        self.call("set", b"overflow", ctypes.c_double(OVERFLOW[rule]))
        return f"--on-overflow={rule}"

    def printed(self, lines, *options):
        p = run(self.program, "--json", *options, input="".join(f"{line}\n" for line in lines).encode())
        return [json.loads(line) for line in p.stdout.splitlines()]


def texts(values):
    """The arguments `text, bytes` of several texts."""
    raw = [v.encode() for v in values]
    return (ctypes.c_char_p * len(raw))(*raw), (ctypes.c_size_t * len(raw))(*map(len, raw))


def text(value):
    return value.encode(), ctypes.c_size_t(len(value.encode()))


def same(got, want, what):
    """Programs print 9 digits, which determine a float."""
    got, want = np.array(got, np.float32), np.array(want, np.float32)
    assert got.shape == want.shape and (got == want).all(), (what, got, want)


def classify(problem, seed):
    m = Answers("classify", seed, num_labels=3, problem_type=problem)
    names = [m.library.f("label")(i).decode() for i in range(3)]
    for rule in OVERFLOW:
        scores, best = (F32 * (3 * len(TEXTS)))(), (I32 * len(TEXTS))()
        want = m.printed(TEXTS, m.set(rule))
        given = *texts(TEXTS), None, None, len(TEXTS)
        m.call("classify", *given, scores, ctypes.c_size_t(len(scores)), best)
        same(scores, [o["scores"][n] for o in want for n in names], rule)
        if problem != "regression":
            assert [names[b] for b in best] == [o["label"] for o in want]
        m.call("classify", *given, scores, ctypes.c_size_t(len(scores) - 1), None, code=4)


def rank():
    m = Answers("classify", 8, "--task=rank", num_labels=1)
    documents = TEXTS * 7  # more than one call of run_text has
    query = "kuna tara"
    for rule in OVERFLOW:
        n = len(documents)
        scores, order = (F32 * n)(), (I32 * n)()
        want = m.printed(documents, f"--query={query}", m.set(rule))
        m.call("rank", *text(query), *texts(documents), n, scores, order)
        same(scores, [o["score"] for o in want], rule)
        best = m.printed(documents, f"--query={query}", f"--top={n}", f"--on-overflow={rule}")
        assert list(order) == [o["index"] for o in best], (list(order), best)
    m.call("rank", *text(query), *texts([]), 0, None, None)
    bad = (ctypes.c_char_p * 1)(None), (ctypes.c_size_t * 1)(0)
    m.call("rank", *text(query), *bad, 1, scores, None, code=1)


def zero_shot():
    names = ["entailment", "neutral", "contradiction"]
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    m = Answers("classify", 9, num_labels=3, **labels)
    candidates = ["kuna", "moti sela", "x"]
    hypotheses = [f"This example is {c}." for c in candidates]
    for multi in 0, 1:
        want = m.printed(TEXTS, f"--labels={','.join(candidates)}", *["--multi-label"] * multi)
        for value, o in zip(TEXTS, want, strict=True):
            scores, best = (F32 * 3)(), I32()
            m.call("zero_shot", *text(value), *texts(hypotheses), 3, multi, scores, ctypes.byref(best))
            same(scores, list(o["scores"].values()), value)
            assert candidates[best.value] == o["label"]
    m.call("zero_shot", *text("a"), *texts([LONG]), 1, 0, scores, None, code=3)
    m.call("zero_shot", *text("a"), *texts([]), 0, 0, scores, None, code=1)


def choose():
    m = Answers("choice", 3)
    for rule in OVERFLOW:
        for first, *rest in ["a", *TEXTS], ["kuna", "b", LONG], ["a", "b"]:
            scores, best = (F32 * len(rest))(), I32()
            (want,) = m.printed(["\t".join([first, *rest])], m.set(rule))
            m.call("choose", *text(first), *texts(rest), len(rest), scores, ctypes.byref(best))
            same(scores, want["scores"], rule)
            assert best.value == want["choice"]


def spans():
    names = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    m = Answers("tag", 4, num_labels=5, **labels)
    count = 0
    values = TEXTS + ["a " * n + "zekulomitaravobe" for n in range(56, 62)]  # the limit cuts the last word
    for rule in OVERFLOW:
        for value, o in zip(values, m.printed(values, m.set(rule)), strict=True):
            n, size = I32(), len(o["spans"])
            at = (I32 * 256)(), (I32 * 256)(), (ctypes.c_char_p * 256)(), (F32 * 256)()
            m.call("spans", *text(value), *at, 256, ctypes.byref(n))
            assert n.value == size, (n.value, o)
            for key, column in zip(("start", "end", "label"), at):
                found = [v.decode() if isinstance(v, bytes) else v for v in column[:size]]
                assert found == [s[key] for s in o["spans"]], (key, found, o)
            same(at[3][:size], [s["score"] for s in o["spans"]], value)
            if size:
                m.call("spans", *text(value), *at, size - 1, ctypes.byref(n), code=4)
                assert n.value == size
            count += size
    assert count > 20, count


def answer():
    m = Answers("qa", 5)
    for rule in OVERFLOW:
        lines = [("kuna", c) for c in TEXTS] + [("moti sela", LONG)]
        want = m.printed(["\t".join(line) for line in lines], m.set(rule))
        none = m.printed(["\t".join(line) for line in lines], "--allow-no-answer", f"--on-overflow={rule}")
        for line, o, other in zip(lines, want, none, strict=True):
            start, end, score, null = I32(), I32(), F32(), F32()
            out = [ctypes.byref(v) for v in (start, end, score, null)]
            m.call("answer", *text(line[0]), *text(line[1]), *out)
            assert (start.value, end.value) == (o["start"], o["end"]), (line, o, start.value, end.value)
            if start.value >= 0:
                same(score.value, o["score"], line)
            if other["start"] < 0:
                same(null.value, other["score"], line)


def fill():
    m = Answers("fill-mask", 6)
    m.library.f("token").restype = ctypes.POINTER(ctypes.c_char)
    for value in "a [MASK] b", "[MASK] kuna [MASK]", LONG + " [MASK]":
        ids, scores, n = (I32 * 10)(), (F32 * 10)(), I32()
        m.call("fill", *text(value), 5, ids, scores, 2, ctypes.byref(n))
        assert n.value == value[:80].count("[MASK]"), (value, n.value)
        if not n.value:
            continue
        (o,) = m.printed([value])
        lists = o["candidates"] if n.value > 1 else [o["candidates"]]
        found = [c for some in lists for c in some]
        assert list(ids)[: len(found)] == [c["id"] for c in found], (list(ids), found)
        same(scores[: len(found)], [c["score"] for c in found], value)
        size = ctypes.c_size_t()
        name = m.library.f("token")(ids[0], ctypes.byref(size))[: size.value]
        assert name.decode() == found[0]["token"]
        m.call("fill", *text(value), 5, ids, scores, n.value - 1, ctypes.byref(n), code=4)
    assert not m.library.f("token")(-1, ctypes.byref(size))
    assert "m_fill(" in m.header and "m_classify(" not in m.header


def similarity():
    """Rows of run_text; test_embedding.py has the names of similarity_fn_name."""
    m = Answers("encoder", 7, "--task=embed")
    compared = m.library.f("similarity")
    compared.restype = ctypes.c_double
    width = int(re.search(r"define m_OUTPUT_WIDTH (\d+)", m.header)[1])
    for rule in OVERFLOW:
        lines = [(a, b) for a in TEXTS for b in TEXTS if a or b]
        want = m.printed(["\t".join(line) for line in lines], "--similarity", m.set(rule))
        for line, o in zip(lines, want, strict=True):
            rows = (F32 * (2 * width))()
            given = *texts(line), None, None, 2
            m.call("run_text", *given, rows, ctypes.c_size_t(len(rows)), None, None)
            got = compared(rows, ctypes.byref(rows, 4 * width))
            assert abs(got - o["score"]) < 1e-8, (line, got, o)


def sparse():
    m = Answers("fill-mask", 10, "--task=sparse")
    m.library.f("token").restype = ctypes.POINTER(ctypes.c_char)
    size = ctypes.c_size_t()
    word = lambda i: ctypes.string_at(m.library.f("token")(i, ctypes.byref(size)), size.value).decode()
    for rule in OVERFLOW:
        for value, o in zip(TEXTS, m.printed(TEXTS, m.set(rule)), strict=True):
            want = list(o["weights"].items())
            for room in 1000, len(want), 3, 0:
                ids, weights, n = (I32 * room)(), (F32 * room)(), I32()
                m.call("sparse", *text(value), ids, weights, room, ctypes.byref(n))
                held = min(room, n.value)
                assert n.value == len(want) > 3, (value, n.value, len(want))
                assert [word(i) for i in ids[:held]] == [w for w, _ in want[:held]], (value, room)
                same(weights[:held], [x for _, x in want[:held]], value)
    m.call("sparse", *text("a"), None, None, 1, ctypes.byref(n), code=1)
    assert "m_similarity(" in m.header


problems = ["single_label_classification", "multi_label_classification"] + ["regression"] * FULL
for seed, problem in enumerate(problems):
    classify(problem, seed)
for check in rank, zero_shot, choose, spans, answer, fill, similarity, sparse:
    check()
print("ok")
