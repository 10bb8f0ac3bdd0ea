"""Byte-level BPE: ids, types, byte offsets and words, against the `tokenizers` library: 100 %. Real texts
in six languages, all code points, random strings with added tokens, pairs, truncation; from
tokenizer.json with each setting of add_prefix_space and trim_offsets, and from vocab.json with
merges.txt. FULL=1 tests all combinations."""

import glob
import itertools
import json
import os
import pathlib
import random
import sys
import tempfile

import tokenizing as T

T.need()
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "golden"))
import make_tokenizer

ROUNDS = 4000 if T.FULL else 150
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SETTINGS = list(itertools.product((False, True), repeat=2))  # add_prefix_space, trim_offsets
ADDED = [
    AddedToken("<x>", lstrip=True),
    AddedToken("<y>", rstrip=True, normalized=False),
    AddedToken("word", single_word=True),
    AddedToken("  ", normalized=False),
    AddedToken("ß<x>", lstrip=True, rstrip=True),
    AddedToken("<x", normalized=False, special=True),
]
PIECES = [
    "a",
    "bo",
    "Zu",
    "it's",
    "we'll",
    "I'D",
    "'",
    "''s",
    "x'tre",
    "word",
    "words",
    " word ",
    "<x>",
    "<x",
    "<y>",
    "<mask>",
    " <mask> ",
    "<s>",
    "</s>",
    "<pad>",
    "ß",
    "ß<x>",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\x85",
    "\x00",
    "\x1f",
    "\x7f",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\ufffd",
    "1",
    "23",
    "½",
    "²",
    "٣",
    "Ⅷ",
    "一",
    "中文",
    "日本",
    "ない",
    "한국",
    "नमस्ते",
    "é",
    "e\u0301",
    "\u0301",
    "\u0345",
    "ǅ",
    "İ",
    "ﬁ",
    "😀",
    "👩\u200d👩\u200d👧",
    "🇩🇪",
    "\U000e0067",
    "\U0010ffff",
    ".",
    ",",
    "...",
    "?!",
    "-",
    "_",
    "__",
    "$3.5",
    "%",
    "http://a.b/c?d=e",
    "مرحبا",
    "שלום",
    "Ġ",
    "Ċ",
    "ĠĠ",
    "Â",
]


def byte_level(vocab, merges, prefix=False, trim=True, added=(), post="roberta", regex=True, **options):
    """The library's tokenizer as RoBERTa's classes set it up, or with the post-processors that others use."""
    tok = Tokenizer(models.BPE(vocab, merges, **options))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
    ends = [("<s>", vocab["<s>"]), ("</s>", vocab["</s>"])]
    if post == "roberta":
        tok.post_processor = processors.RobertaProcessing(ends[1], ends[0], trim, prefix)
    else:
        template = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=ends
        )
        tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=trim), template])
    tok.add_special_tokens(
        [AddedToken(t, normalized=False, special=True) for t in SPECIAL[:4] if t in vocab]
        + [AddedToken("<mask>", lstrip=True, normalized=False, special=True)]
    )
    for token in added:
        tok.add_tokens([token])
    return tok


LIMITS = (5, 6, 7, 8, 9, 13, 16, 23)


def mixed(r, most=9):
    return "".join(r.choice(PIECES) for _ in range(r.randint(0, most)))


def letters(r):
    """Many occurrences of few letters, so that merges overlap in every way."""
    return "".join(r.choice("aab  'sßт") for _ in range(r.randint(1, 40)))


def real_texts():
    """Lines of texts in six languages, and whole files. Unless FULL, only a part of each."""
    lines, whole = [], []
    for path in sorted(glob.glob(os.path.join(T.SHARED, "data", "text", "*.txt"))):
        text = open(path, encoding="utf-8", newline="").read()
        lines += text.split("\n") if T.FULL else text.split("\n")[:60]
        whole.append(text if T.FULL else text[:20000])
    return lines, whole


def code_points():
    """All 1,112,064 code points, 256 per text: between letters, after spaces, doubled. Unless FULL, some
    patterns skip most of the large blocks."""
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    few = [
        c
        for c in points
        if ord(c) < 0x3400
        or 0xA000 <= ord(c) < 0xAC00
        or 0xF900 <= ord(c) < 0x1FC00
        or 0xE0000 <= ord(c) < 0xE0200
        or ord(c) % 61 == 0
    ]
    for pattern, which in (("a%s", points), (" %s1", few), ("%s%s ", few), ("!%s\u0301", few)):
        which = points if T.FULL else which
        each = [pattern.replace("%s", c) for c in which]
        yield pattern, ["".join(each[i : i + 256]) for i in range(0, len(each), 256)]


def older_files(directory, vocab, merges, special_map=None, **config):
    path = pathlib.Path(directory)
    path.mkdir(parents=True)
    make_tokenizer.write_json(path / "vocab.json", vocab)
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (path / "merges.txt").write_text(text, encoding="utf-8")
    config = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512} | config
    make_tokenizer.write_json(path / "tokenizer_config.json", config)
    if special_map:
        make_tokenizer.write_json(path / "special_tokens_map.json", special_map)
    return str(path), "vocab.json"


def some_merges_gone(vocab, merges, r):
    """Removes merges, so that only ignore_merges finds the tokens that they made."""
    return vocab, [m for m in merges if r.random() > 0.1]


check = T.Check()
r = random.Random(14)
lines, whole = real_texts() if T.SHARED else ([], [])
vocab, merges = make_tokenizer.train_byte_level(900, lines and make_tokenizer.SENTENCES * 3 + lines[::3])
strings = [mixed(r) for _ in range(ROUNDS)] + [letters(r) for _ in range(ROUNDS // 2)]
pairs = [(mixed(r, 5), mixed(r, 5)) for _ in range(ROUNDS // 10)] + [
    ("", ""),
    ("a", ""),
    ("", " a b"),
    ("a a", "a a a"),
]
with tempfile.TemporaryDirectory() as temporary:
    number = itertools.count()
    save = lambda tok: T.save(tok, f"{temporary}/{next(number)}")
    for prefix, trim in SETTINGS:
        for post in ("roberta", "template"):
            tok = byte_level(vocab, merges, prefix, trim, ADDED if post == "roberta" else (), post)
            where, what = save(tok), (prefix, trim, post)
            check.texts(tok, where, strings + lines[::7], what)
            check.truncated(tok, where, pairs, LIMITS, what)
            check.truncated(tok, where, [(a + b,) for a, b in pairs], LIMITS, what)
    for options in (
        {"ignore_merges": True},
        {"unk_token": "<unk>"},
        {"unk_token": "<unk>", "fuse_unk": True},
    ):
        tokens, rules = some_merges_gone(vocab, merges, r)
        if "unk_token" in options:  # bytes that have no token
            gone = set("bİĊ")
            tokens = {t: i for t, i in tokens.items() if not gone & set(t)}
            rules = [m for m in rules if not gone & set("".join(m))]
        rules = [m for m in rules if {*m, "".join(m)} <= tokens.keys()]
        tok = byte_level(tokens, rules, **options)
        check.texts(tok, save(tok), strings, options)
    tok = byte_level(vocab, merges, regex=False)
    check.texts(tok, save(tok), strings[::3] + lines[::30], "without the pattern")

    tok = byte_level(vocab, merges)
    where = save(tok)
    for pattern, texts in code_points():
        check.texts(tok, where, texts, pattern)

    older = older_files(f"{temporary}/older", vocab, merges)
    check.texts(tok, older, strings + lines[::5], "older files")
    check.truncated(tok, older, pairs, LIMITS, "older files")
    older = older_files(
        f"{temporary}/prefix",
        vocab,
        merges,
        add_prefix_space=True,
        special_map={
            "mask_token": {
                "content": "<mask>",
                "lstrip": False,
                "rstrip": True,
                "normalized": False,
                "single_word": False,
            }
        },
    )
    plain = byte_level(vocab, merges, True)
    state = json.loads(plain.to_str())
    for token in state["added_tokens"]:
        if token["content"] == "<mask>":
            token.update(lstrip=False, rstrip=True)
    check.texts(Tokenizer.from_str(json.dumps(state)), older, strings, "older files, their own <mask>")

    real = os.path.join(T.SHARED, "data", "vocab", "roberta-base")
    if T.SHARED and os.path.isdir(real):
        big = json.load(open(os.path.join(real, "vocab.json"), encoding="utf-8"))
        rules = open(os.path.join(real, "merges.txt"), encoding="utf-8").read().split("\n")
        rules = [tuple(line.split(" ")) for line in rules if line and not line.startswith("#version")]
        for prefix, trim in SETTINGS if T.FULL else SETTINGS[1:3]:
            tok = byte_level(big, rules, prefix, trim)
            check.texts(tok, save(tok), lines + whole + strings, ("roberta-base", prefix, trim))
        tok = byte_level(big, rules)
        real = older_files(f"{temporary}/real", big, rules)
        check.texts(tok, real, lines + whole, "roberta-base, older files")
check.end("byte-level BPE")
