"""Compares the output of emitted programs for every task with transformers, on seeded random models of
every family: labels, scores, spans, answers, masks.

    test_tasks.py [FAMILY...]"""

import json
import sys
import numpy as np, torch
from transformers import AutoTokenizer
from _support import *
from make_model import FAMILIES, TESTED, random_model

TEXTS = ["banana moti, sela!", "a", "", "zeku lomi tara vobe. kuna? nasi-poto 42", "dela " * 9, "x1 y2' z3"]
PAIRS = [
    ("what is moti", "sela banana moti, and kuna zeku. a tara vobe lomi"),
    ("a", "b"),
    ("who", "one two three four five six seven eight"),
]

family = "bert"  # main() goes through them


def program(kind, seed, *options, **overrides):
    """A model of 64 tokens, its tokenizer, and the program."""
    name = f"{family}-{kind}-{seed}"
    overrides = {"max_position_embeddings": 64, "type_vocab_size": 2, **overrides}
    if FAMILIES[family].starts_behind_padding:
        overrides |= {"pad_token_id": 1, "max_position_embeddings": 66}
    model, _ = random_model(family, kind, seed, TMP / name, **overrides)
    if FAMILIES[family].limit:  # of the family's own tests
        (TMP / name / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    tokenizer = AutoTokenizer.from_pretrained(TMP / name, model_max_length=64)
    # code for newer CPUs takes three times as long
    native = FULL or (family == "bert" and kind == "classify")
    cpu = () if native else ("--cpu=baseline",)
    return model, tokenizer, build(TMP / name, TMP / f"{name}.out", *options, *cpu)


def answers(path, lines, *options, code=0):
    p = run(path, *options, input="".join(line + "\n" for line in lines).encode(), check=False)
    assert p.returncode == code, (
        f"{path} {options}: exit {p.returncode}, expected {code}\n{p.stderr.decode()}"
    )
    return p.stdout.decode().split("\n")[:-1]


def logits(model, tokenizer, text, pair=None):
    with torch.no_grad():
        return model(**tokenizer(text, pair, return_tensors="pt", truncation=True))


def near(got, want, what, tolerance=2e-4):
    assert abs(got - want) <= tolerance, f"{what}: {got}, expected {want}"


def classify(seed):
    model, tokenizer, path = program("classify", seed)
    labels = list(model.config.id2label.values())
    plain, objects, raw = (answers(path, TEXTS, *o) for o in ((), ("--json",), ("--logits",)))
    assert len(plain) == len(objects) == len(raw) == len(TEXTS), plain
    for text, line, obj, row in zip(TEXTS, plain, map(json.loads, objects), map(json.loads, raw)):
        want = logits(model, tokenizer, text).logits[0]
        p = want.softmax(0)
        compare(row, want, "logits")
        label, score = line.split("\t")
        assert label == obj["label"] == labels[want.argmax()], (line, obj, want)
        near(float(score), float(p.max()), line)
        near(obj["score"], float(p.max()), line)
        assert list(obj["scores"]) == labels
        for name, want_score in zip(labels, p):
            near(obj["scores"][name], float(want_score), name)
    return f"classify {len(TEXTS)} texts"


def multi(seed):
    model, tokenizer, path = program("multi", seed)
    labels = list(model.config.id2label.values())
    for threshold in (0.5, 0.2):
        for text, line, obj in zip(
            TEXTS,
            answers(path, TEXTS, "--threshold", threshold),
            map(json.loads, answers(path, TEXTS, "--threshold", threshold, "--json")),
        ):
            p = logits(model, tokenizer, text).logits[0].sigmoid()
            want = [(l, float(s)) for l, s in zip(labels, p) if s >= threshold]
            fields = line.split("\t") if line else []
            assert fields[0::2] == [l for l, _ in want] == obj["labels"], (line, want)
            for got, (_, s) in zip(fields[1::2], want):
                near(float(got), s, line)
            for name, s in zip(labels, p):
                near(obj["scores"][name], float(s), name)
    return "multi-label"


def regression(seed):
    model, tokenizer, path = program("regression", seed, problem_type="regression")
    lines = TEXTS + ["\t".join(p) for p in PAIRS]
    for line, got, obj in zip(lines, answers(path, lines), map(json.loads, answers(path, lines, "--json"))):
        want = float(logits(model, tokenizer, *line.split("\t")).logits[0, 0])
        near(float(got), want, line)
        near(obj["score"], want, line)
        assert "label" not in obj and len(obj) == 1, obj
    rerank(model, tokenizer, path)
    return "regression on texts and pairs"


def rerank(model, tokenizer, path):
    """--query: each line is a document; --top sorts, and equal scores keep their order."""
    query, documents = "what is moti", TEXTS + ["banana moti", "a"]
    # lists, because an empty second text alone counts as none
    want = [float(logits(model, tokenizer, [query], [d]).logits[0, 0]) for d in documents]
    for options in (), ("--batch", "3"):
        got = answers(path, documents, "--query", query, *options)
        for line, obj, score in zip(
            got, map(json.loads, answers(path, documents, "--query", query, "--json", *options)), want
        ):
            near(float(line), score, line)
            near(obj["score"], score, line)
        order = sorted(range(len(documents)), key=lambda i: -float(got[i]))  # stable
        for top in 1, 3, 100:
            best = answers(path, documents, "--query", query, "--top", str(top), *options)
            assert best == [f"{i}\t{got[i]}\t{documents[i]}" for i in order[:top]], (best, order)
    lines = answers(path, documents, "--query", query, "--top", "2", "--json")
    assert [(o["index"], o["text"]) for o in map(json.loads, lines)] == [(i, documents[i]) for i in order[:2]]
    near(json.loads(lines[0])["score"], want[order[0]], lines[0])
    answers(path, ["a\tb"], "--query", query, code=1)
    answers(path, [], "--top", "2", code=2)
    answers(path, [], "--query", query, "--ids", code=2)


def next_sentence(seed):
    model, tokenizer, path = program("nsp", seed)
    for (a, b), line in zip(PAIRS, answers(path, ["\t".join(p) for p in PAIRS])):
        want = logits(model, tokenizer, a, b).logits[0].softmax(0)
        label, score = line.split("\t")
        assert label == ("is_next", "not_next")[int(want.argmax())], (line, want)
        near(float(score), float(want.max()), line)
    return "next sentence"


def tag_program(seed):
    labels = ["O", "B-A", "I-A", "B-B", "I-B"]
    return program(
        "tag",
        seed,
        num_labels=5,
        id2label=dict(enumerate(labels)),
        label2id={l: i for i, l in enumerate(labels)},
    )


def words_of(model, tokenizer, text):
    """(start, end, label, score) of each word. Label and score are those of its first token."""
    e = tokenizer(text, return_tensors="pt", truncation=True)
    p = model(**{k: v for k, v in e.items()}).logits[0].softmax(1)
    words = {}
    for i, w in enumerate(e.word_ids()):
        if w is not None and w not in words:
            words[w] = (*e.word_to_chars(w), model.config.id2label[int(p[i].argmax())], float(p[i].max()))
    return list(words.values())


def spans_of(words):
    spans = []
    open_type = None
    for start, end, label, score in words:
        if label == "O":
            open_type = None
            continue
        if label[0] == "I" and open_type == label[2:]:
            spans[-1][1] = end
            spans[-1][3].append(score)
        else:
            spans.append([start, end, label[2:], [score]])
            open_type = label[2:]
    return [(s, e, l, sum(p) / len(p)) for s, e, l, p in spans]


def tag(seed):
    model, tokenizer, path = tag_program(seed)
    found = 0
    texts = [text.strip() for text in TEXTS]  # byte-level BPE makes words of spaces, which have no offsets
    for text, obj in zip(texts, map(json.loads, answers(path, texts, "--json"))):
        with torch.no_grad():
            want = spans_of(words_of(model, tokenizer, text))
        assert [(s["start"], s["end"], s["label"]) for s in obj["spans"]] == [w[:3] for w in want], (
            text,
            obj,
            want,
        )
        for s, w in zip(obj["spans"], want):
            near(s["score"], w[3], text)
            assert s["text"] == text[s["start"] : s["end"]]
        found += len(want)
    plain = answers(path, texts)
    assert plain.count("") == len(texts), plain
    assert [l.split("\t")[4] for l in plain if l] == [
        s["text"] for o in map(json.loads, answers(path, texts, "--json")) for s in o["spans"]
    ]
    for text, block in zip(texts, token_blocks(answers(path, texts, "--tokens"))):
        with torch.no_grad():
            labels = {w[0]: w[2] for w in words_of(model, tokenizer, text)}
        at = 0
        want = []
        for word in text.split(" "):
            if word:
                want.append(f"{word}\t{labels.get(at, 'O')}")
            at += len(word) + 1
        assert block == want, (text, block, want)
    return f"tag {found} spans"


def token_blocks(lines):
    blocks = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        else:
            blocks.append([])
    return blocks[:-1]


def pipeline_answers(e, context, out, top, threshold):
    """The rule of the question-answering pipeline of transformers 4.57, whose class transformers 5 lacks:
    2 top + 10 spans become whole words, and equal texts add up their scores. No answer counts unless the
    threshold, which is 0 there, is None.
    """
    allowed = np.array([s == 1 for s in e.sequence_ids()])
    allowed[0] = True
    start, end = (
        torch.where(torch.tensor(allowed), l[0], torch.tensor(-1e4)).double().softmax(0).numpy().copy()
        for l in (out.start_logits, out.end_logits)
    )
    none = start[0] * end[0]
    start[0] = end[0] = 0
    scores = np.tril(np.triu(np.outer(start, end)), 14)
    found = {}
    for at in np.argsort(-scores.ravel(), kind="stable")[: 2 * top + 10]:
        i, j = np.unravel_index(at, scores.shape)
        if scores[i, j] == 0:
            continue
        chars = lambda token: e.word_to_chars(e.token_to_word(int(token)), sequence_index=1)
        a, b = chars(i)[0], chars(j)[1]
        text = context[a:b]
        found.setdefault(text.lower(), [0, a, b, text])[0] += scores[i, j]
    ordered = sorted(found.values(), key=lambda f: -f[0])
    if threshold is not None:
        least = none * np.exp(-threshold)
        ordered.insert(sum(f[0] >= least for f in ordered), [none, -1, -1, ""])
    return ordered[:top], none


def qa(seed):
    model, tokenizer, path = program("qa", seed)
    pairs = PAIRS + [("who", "Moti moti MOTI, moti kuna"), ("kuna", "vobelomitaravobe tara")]
    lines = ["\t".join(p) for p in pairs]
    for top, threshold in (1, None), (40, None), (1, 0), (3, 0), (2, 9), (1, -99):
        options = [] if threshold is None else [f"--null-threshold={threshold}"]
        options = ["--allow-no-answer"] if threshold == 0 else options
        many = ["--top", str(top)] if top > 1 else []
        plain = "\n".join(answers(path, lines, *options, *many))
        objects = [json.loads(o) for o in answers(path, lines, "--json", *options, *many)]
        blocks = plain.strip("\n").split("\n\n" if many else "\n")
        for (question, context), block, obj in zip(pairs, blocks, objects, strict=True):
            e = tokenizer(question, context, return_tensors="pt")
            with torch.no_grad():
                out = model(**e)
            want, null = pipeline_answers(e, context, out, top, threshold)
            near(obj["null_score"], null, context)
            rows = obj["answers"] if many else [obj]
            for got, line, (score, *place) in zip(rows, block.split("\n"), want, strict=True):
                near(got["score"], score, (context, options))
                fields = line.split("\t")
                near(float(fields[2]), score, line)
                assert fields[:2] + fields[3:] == [str(got["start"]), str(got["end"]), got["answer"]], line
                # answers of nearly the same score may come in another order
                if sum(abs(score - other[0]) < 1e-5 for other in want) == 1:
                    assert [got["start"], got["end"], got["answer"]] == place, (got, place, options)
    answers(path, ["no context"], code=1)
    return "question answering"


def printable(token):
    """A token as printed in a field of a line."""
    return token.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def fill_mask(seed):
    model, tokenizer, path = program("fill-mask", seed)
    texts = ["a [MASK] moti.", "[MASK]", "one [MASK] two [MASK]", "a [MASK]"]
    texts = [text.replace("[MASK]", tokenizer.mask_token) for text in texts]
    for text, line, obj in zip(texts, answers(path, texts), map(json.loads, answers(path, texts, "--json"))):
        e = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            p = model(**e).logits[0].softmax(1)
        rows = p[(e["input_ids"][0] == tokenizer.mask_token_id)]
        got = obj["candidates"] if len(rows) > 1 else [obj["candidates"]]
        fields = line.split("\t")
        assert len(fields) == 10 * len(rows), line
        for m, (row, candidates) in enumerate(zip(rows, got)):
            values, ids = row.topk(5)
            assert [c["id"] for c in candidates] == ids.tolist(), (candidates, ids)
            tokens = [tokenizer.decode([i]) for i in ids]  # as the fill-mask pipeline prints them
            assert [c["token"] for c in candidates] == tokens, (candidates, tokens)
            assert [printable(t) for t in tokens] == fields[10 * m : 10 * m + 10 : 2], (line, tokens)
            for c, v in zip(candidates, values):
                near(c["score"], float(v), text)
    lines = answers(path, ["no mask here", texts[-1]], code=1)
    assert len(lines) == 1, lines
    return "fill-mask"


def embed(seed):
    model, tokenizer, path = program("encoder", seed, "--task=embed", "--outputs=hidden")
    texts = TEXTS
    raw = run(path, "--raw", input="".join(t + "\n" for t in texts).encode()).stdout
    rows = np.frombuffer(raw, "<f4").reshape(len(texts), -1)
    for text, line, obj, row, hidden in zip(
        texts,
        map(json.loads, answers(path, texts)),
        map(json.loads, answers(path, texts, "--json")),
        rows,
        map(json.loads, answers(path, texts, "--hidden")),
    ):
        with torch.no_grad():
            h = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        want = h.mean(0)
        want = want / want.norm()
        compare(line, want, "embedding")
        compare(hidden, h, "hidden")
        assert line == obj["embedding"]
        assert (np.array(line, np.float32) == row).all()  # 9 digits represent a float exactly
    return "embed"


def windows(seed):
    """A text longer than the limit: compares its windows with windows made by hand."""
    model, tokenizer, path = program("classify", seed, "--max-tokens", "20")
    text = " ".join("b c d f g h k l m n p r s t v z".split() * 4)
    limit = 18
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ends = tokenizer("")["input_ids"]
    lead = ends[: ends[0] == tokenizer.cls_token_id]  # XLNet has both at the end
    tail = ends[len(lead) :]
    with torch.no_grad():
        parts = [
            model(torch.tensor([lead + ids[i : i + limit] + tail])).logits[0]
            for i in range(0, len(ids), limit)
        ]
    compare(
        json.loads(answers(path, [text], "--on-overflow=window", "--logits")[0]),
        torch.stack(parts).mean(0),
        "windows",
    )
    assert json.loads(answers(path, [text], "--on-overflow=window", "--json")[0])["windows"] == len(parts)
    compare(json.loads(answers(path, [text], "--logits")[0]), parts[0], "truncated")
    assert json.loads(answers(path, [text], "--json")[0])["truncated"] is True
    answers(path, [text], "--on-overflow=error", code=1)
    return f"{len(parts)} windows"


def main():
    global family
    checks = {
        classify: 7,
        multi: 1,
        regression: 2,
        next_sentence: 3,
        tag: 4,
        qa: 5,
        fill_mask: 6,
        embed: 8,
        windows: 9,
    }
    seen = set()
    for family in sys.argv[1:] or TESTED:
        # printed text depends on tokenizer and task, so each tokenizer is tested with every task
        row = FAMILIES[family]
        known = row.tokenizer in seen and not FULL and not sys.argv[1:]
        seen.add(row.tokenizer)
        for check, seed in checks.items():
            if known and check not in (classify, fill_mask):
                continue
            needs = {next_sentence: "nsp", fill_mask: "fill-mask"}.get(check, "classify")
            if needs in row.classes():
                print(f"ok {family}: {check(seed)} (seed {seed})", flush=True)


main()
