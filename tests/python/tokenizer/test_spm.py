"""Tokenizers with a SentencePiece .model file alone: ids, offsets, templates against the converters of
transformers (convert_slow_tokenizer) for each class. Hostile files: exit 3 or 4, never a crash."""

import json
import pathlib
import random
import subprocess
import tempfile
import types

import tokenizing as T

T.need(shared=True)
import unigrams as U
import sentencepiece as S

try:
    from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS, generate_merges
except ImportError:
    T.skip("the Python package transformers is not installed")
from tokenizers import AddedToken

check = T.Check()
r = random.Random(3)
TEXTS = [
    "well-known  (yes) . £5 x. £ ．（",
    "Größe 9, 10, x, ﬁve １２ ``quoted'' ''a``",
    " lead  and trail  ",
    "<mask> <s> [MASK] [CLS] <sep>x <unk> <pad>",
    "e\u0301\u0323 Việt \t tab\nline\r\n",
    "한국어 日本語 नमस्ते 😀",
    "",
    "a",
]
TEXTS += [
    "".join(r.choice(["a", "-", " ", "é", "9,", "(", "x.", "\u3000"]) for _ in range(12)) for _ in range(40)
]
CASES = [  # class, model_type, file, settings
    ("AlbertTokenizer", "albert", "spiece.model", {}),
    ("AlbertTokenizer", "albert", "spiece.model", {"do_lower_case": False}),
    ("AlbertTokenizer", "albert", "spiece.model", {"keep_accents": True}),
    ("FNetTokenizer", "fnet", "spiece.model", {}),
    ("FNetTokenizer", "fnet", "spiece.model", {"do_lower_case": True, "keep_accents": False}),
    ("RemBertTokenizer", "rembert", "sentencepiece.model", {}),
    ("RemBertTokenizer", "rembert", "sentencepiece.model", {"do_lower_case": True, "keep_accents": False}),
    ("XLNetTokenizer", "xlnet", "spiece.model", {}),
    ("XLNetTokenizer", "xlnet", "spiece.model", {"do_lower_case": True, "keep_accents": True}),
    ("XLMRobertaTokenizer", "xlm-roberta", "sentencepiece.bpe.model", {}),
    ("CamembertTokenizer", "camembert", "sentencepiece.bpe.model", {}),
    ("DebertaV2Tokenizer", "deberta-v2", "spm.model", {}),
    ("DebertaV2Tokenizer", "deberta-v2", "spm.model", {"do_lower_case": True}),
    ("DebertaV2Tokenizer", "deberta-v2", "spm.model", {"split_by_punct": True}),
]
ALBERTS = ("AlbertTokenizer", "FNetTokenizer", "RemBertTokenizer")
ROLES = {
    **dict.fromkeys(ALBERTS, ["<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"]),
    "XLNetTokenizer": ["<unk>", "<sep>", "<pad>", "<cls>", "<mask>"],
    "DebertaV2Tokenizer": ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"],
}
ROBERTA = ["<unk>", "</s>", "<pad>", "<s>", "<mask>"]


def model_for(name):
    """ALBERT's pieces with the special pieces of the class."""
    model = U.albert_model()
    pieces = [p for p in model.pieces if p[2] in (S.NORMAL, S.USER)][:6000] + [("9,", -3.0, S.NORMAL)]
    if name in ALBERTS:
        special = [
            ("<pad>", S.CONTROL),
            ("<unk>", S.UNKNOWN),
            *((t, S.CONTROL) for t in ("[CLS]", "[SEP]", "[MASK]")),
        ]
    elif name == "XLNetTokenizer":
        special = [
            ("<unk>", S.UNKNOWN),
            *((t, S.CONTROL) for t in "<s> </s> <cls> <sep> <pad> <mask> <eod>".split()),
        ]
    elif name == "DebertaV2Tokenizer":
        special = [("[PAD]", S.CONTROL), ("[CLS]", S.CONTROL), ("[SEP]", S.CONTROL), ("[UNK]", S.UNKNOWN)]
        special += [("[MASK]", S.USER)]
    else:
        special = [("<unk>", S.UNKNOWN), ("<s>", S.CONTROL), ("</s>", S.CONTROL)]
    model.pieces = [(text, 0.0, kind) for text, kind in special] + pieces
    model.unk_id = next(i for i, (_, kind) in enumerate(special) if kind == S.UNKNOWN)
    return model


def converted(name, model, settings):
    """transformers' converter, without the packages that read the file."""
    converter = object.__new__(SLOW_TO_FAST_CONVERTERS[name])
    converter.proto = types.SimpleNamespace(
        pieces=[types.SimpleNamespace(piece=t, score=s, type=k) for t, s, k in model.pieces],
        trainer_spec=types.SimpleNamespace(
            model_type=model.kind, unk_id=model.unk_id, unk_piece=model.unk_piece
        ),
        normalizer_spec=types.SimpleNamespace(precompiled_charsmap=model.charsmap),
    )
    ids = {t: i for i, (t, _) in enumerate(converter.vocab(converter.proto))}
    defaults = {"do_lower_case": name == "AlbertTokenizer", "keep_accents": name in ALBERTS[1:]}
    defaults["split_by_punct"] = False
    converter.original_tokenizer = types.SimpleNamespace(
        convert_tokens_to_ids=ids.__getitem__, vocab_file="", **(defaults | settings)
    )
    raw = {t: i for i, (t, _, _) in enumerate(model.pieces)}
    merges = types.SimpleNamespace(extract=lambda scores: (raw, generate_merges(raw, scores)))
    converter.SpmExtractor = lambda file: merges
    tok = converter.converted()
    roles = ROLES.get(name, ROBERTA)
    tok.add_special_tokens([AddedToken(t, normalized=False) for t in roles[:4] if t in ids])
    tok.add_special_tokens([AddedToken(roles[4], lstrip=True, normalized=False)])
    return tok


def write(directory, file, data, config, model_type):
    directory = pathlib.Path(directory)
    (directory / file).write_bytes(data)
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "config.json").write_text(json.dumps({"model_type": model_type}))


def run(directory, data):
    (pathlib.Path(directory) / "spiece.model").write_bytes(data)
    return subprocess.run(
        [T.driver_path(), directory, "spiece.model"], input=b"99 x61\n", capture_output=True
    )


def refused(directory, data, code, word):
    done = run(directory, data)
    check.count += 1
    if (
        done.returncode != code
        or word not in done.stderr.decode()
        or "spiece.model" not in done.stderr.decode()
    ):
        check.wrong += 1
        print(f"exit {done.returncode}, expected {code} and {word!r}: {done.stderr.decode()}")


for number, (name, model_type, file, settings) in enumerate(
    [*CASES, *(case[:3] + (None,) for case in CASES)]
):
    model = model_for(name)
    if settings is None:  # type BPE, with some pieces of equal scores
        settings, model.kind, model.unk_piece = {}, S.BPE, model.pieces[model.unk_id][0]
        model.pieces = [(t, float(round(s / 4)), kind) for t, s, kind in model.pieces]
    tok = converted(name, model, settings)
    named = {"tokenizer_class": name} if number % 2 else {}
    with tempfile.TemporaryDirectory() as directory:
        write(directory, file, S.write(model), settings | named, model_type)
        pairs = [(a, b) for a in TEXTS[:4] for b in TEXTS[:4]]
        requests = [(T.PLENTY, t) for t in TEXTS] + [(T.PLENTY, *pair) for pair in pairs]
        for (_, *texts), got in zip(requests, T.ask(directory, file, requests)):
            check.same(got, T.expected(tok.encode(*texts), *texts), (name, settings, texts))

for _ in range(12):  # type BPE, with few letters and few scores: many pairs compete
    model = model_for("XLMRobertaTokenizer")
    words = {"".join(r.choice("ab▁") for _ in range(r.randint(1, 6))) for _ in range(60)}
    words = sorted(words | set("ab▁"))
    r.shuffle(words)
    model.pieces = model.pieces[:3] + [(w, float(-r.randint(1, 2)), S.NORMAL) for w in words]
    model.kind = S.BPE
    tok = converted("XLMRobertaTokenizer", model, {})
    with tempfile.TemporaryDirectory() as directory:
        write(directory, "sentencepiece.bpe.model", S.write(model), {}, "xlm-roberta")
        texts = ["".join(r.choice("aabb ") for _ in range(40)) for _ in range(20)]
        answers = T.ask(directory, "sentencepiece.bpe.model", [(T.PLENTY, t) for t in texts])
        for text, got in zip(texts, answers):
            check.same(got, T.expected(tok.encode(text), text), ("few letters", words, text))

with tempfile.TemporaryDirectory() as directory:
    model = model_for("AlbertTokenizer")
    model.pieces = model.pieces[:300]
    write(directory, "spiece.model", b"", {"tokenizer_class": "AlbertTokenizer"}, "albert")
    good = S.write(model)
    for data, word in (
        (b"", "no pieces"),
        (b"\x0a", "cut off"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "cut off"),
        (b"\x0b\x0b", "unknown type"),
        (S.field(1, S.field(1, b"a\0b")), "NUL"),
        (S.field(1, S.field(1, b"\xff")), "UTF-8"),
        (S.field(1, S.field(2, 1.0)), "no text"),
        (S.field(1, S.field(1, b"a") + S.field(2, float("nan"))), "score"),
        (S.field(1, S.field(1, b"a") + S.field(2, float("inf"))), "score"),
        (S.field(1, S.field(1, b"a")) + S.field(2, S.field(40, 7)), "unk_id"),
        (good + S.field(3, S.field(2, b"\xff\xff\xff\x7f")), "precompiled_charsmap"),
    ):
        refused(directory, data, 3, word)
    refused(directory, good + S.field(2, S.field(3, 3)), 4, "model_type")
    refused(directory, S.field(1, S.field(1, b"a" * 2000)), 4, "2000 bytes")
    for _ in range(500 if T.FULL else 30):
        data = bytearray(r.choice([good, good + S.field(2, S.field(3, S.BPE) + S.field(40, model.unk_id))]))
        for _ in range(r.randrange(1, 9)):
            data[r.randrange(3000 if r.random() < 0.8 else len(data))] = r.randrange(256)
        done = run(directory, bytes(data[: r.choice([len(data), r.randrange(len(data))])]))
        check.count += 1
        check.wrong += done.returncode not in (0, 3, 4)
    write(directory, "spiece.model", good, {"tokenizer_class": "PhobertTokenizer"}, "albert")
    refused(directory, good, 4, "tokenizer_class")
check.end("SentencePiece models")
