"""Compares tokenization with the `tokenizers` library on random mixtures of words, added tokens of every
kind, combining marks in every order, white space and control characters: single texts, pairs,
truncation at every small length, other post-processors, ill-formed UTF-8."""

import codecs
import random
import tempfile

import tokenizing as T

T.need()
from tokenizers import AddedToken, processors

random.seed(7)
ROUNDS = 20000 if T.FULL else 1000
WORDS = [
    *T.SPECIALS,
    "un",
    "##aff",
    "##able",
    "the",
    "film",
    "##s",
    "a",
    "##a",
    "b",
    "##b",
    "e",
    "##e",
    "i",
    "##i",
    "##́",
    "中",
    "文",
    "##中",
    "!",
    ".",
    "[",
    "]",
    "#",
    "##",
    "x",
    "##x",
    "mask",
    "new",
    "tok",
    "hello",
    "ᄀ",
    "##ᅡ",
    "##\u302e",
    "##\u1dfb",
    "##\U0001d165",
    "strasse",
    "ß",
    "##ß",
]
VOCAB = {token: i for i, token in enumerate(WORDS)}
ADDED = [
    AddedToken("<x>", single_word=True, normalized=False),
    AddedToken("Hello", normalized=True),
    AddedToken("HÉ", normalized=True, lstrip=True),
    AddedToken("NEW TOK", normalized=True, single_word=True),
    AddedToken("中文", normalized=True),
    AddedToken("ab", normalized=False, rstrip=True),
    AddedToken("abab", normalized=False, lstrip=True),
    AddedToken("<l>", lstrip=True, normalized=False),
    AddedToken("<r>", rstrip=True, normalized=True),
    AddedToken("<lr>", lstrip=True, rstrip=True, single_word=True, normalized=True),
    AddedToken("x y", normalized=False, single_word=True),
    AddedToken("é", normalized=True, rstrip=True),
    AddedToken("_", normalized=True, single_word=True, lstrip=True),
    AddedToken("ß\u1dfb", normalized=True),
]
PARTS = (
    [t.content for t in ADDED]
    + WORDS
    + [
        " ",
        " ",
        "  ",
        "\t",
        "\n",
        "\u3000",
        "\u00a0",
        "\u0085",
        "\u2028",
        "\0",
        "\u200b",
        "\u00ad",
        "\ufffd",
        "\u0301",
        "\u0323",
        "\u0345",
        "\u0344",
        "\u1dfb",
        "\u08d4",
        "\u302e",
        "\u302f",
        "\U0001d165",
        "\U0001d15e",
        "\U0001d160",
        "\U0001d16e",
        "\u1b35",
        "\u1b44",
        "\u0dca",
        "\u0ddd",
        "\u0f73",
        "\u1734",
        "\u1715",
        "İ",
        "I",
        "É",
        "é",
        "e\u0301",
        "Å",
        "ǖ",
        "가",
        "각",
        "ẞ",
        "ϓ",
        "中",
        "文",
        "丽",
        "豈",
        "\U0002f800",
        "a" * 99,
        "a" * 100,
        "a" * 101,
        "😀",
        "_",
        "-",
        "ſ",
        "Ω",
        "Ⓐ",
        "Hé",
        "hE\u0301",
    ]
)


def text():
    return "".join(random.choice(PARTS) for _ in range(random.choice((1, 2, 3, 5, 8, 13, 40))))


def marks():
    return "".join(random.choice(PARTS[-78:-40] + ["a", "\u0323", "\0"]) for _ in range(random.randrange(60)))


def ill_formed(check, tok, where):
    """Ill-formed UTF-8, replaced as by Python's errors="replace". Offsets count the replaced bytes."""
    pool = [
        bytes([b])
        for b in (
            0x41,
            0x20,
            0x80,
            0xBF,
            0xC0,
            0xC2,
            0xE0,
            0xA0,
            0x9F,
            0xED,
            0xEF,
            0xBB,
            0xBD,
            0xF0,
            0x90,
            0x8F,
            0xF4,
            0xF5,
            0xFF,
        )
    ]
    pool += ["é".encode(), "中".encode(), "\ufffd".encode(), "😀".encode()]
    spans = []
    codecs.register_error("spans", lambda e: (spans.append((e.start, e.end)), ("\ue000", e.end))[1])
    cases = [b"".join(random.choice(pool) for _ in range(random.randrange(1, 12))) for _ in range(ROUNDS)]
    for raw, got in zip(cases, T.ask(*where, [(T.PLENTY, raw) for raw in cases])):
        spans.clear()
        raw.decode("utf-8", "spans")
        value = raw.decode("utf-8", "replace")
        where_, at, left = [0], 0, list(spans)
        for char in value:
            if char == "\ufffd" and left and left[0][0] == at:
                at = left.pop(0)[1]
            else:
                at += len(char.encode())
            where_.append(at)
        encoding = tok.encode(value)
        want = T.expected(encoding, value)
        inside = [s is not None for s in encoding.sequence_ids]
        want["starts"] = [where_[o[0]] if i else -1 for o, i in zip(encoding.offsets, inside)]
        want["ends"] = [where_[o[1]] if i else -1 for o, i in zip(encoding.offsets, inside)]
        want["replaced"] = len(spans)
        check.same(got, want, raw)


check = T.Check()
with tempfile.TemporaryDirectory() as temporary:
    number = 0
    for lowercase, strip, chinese, clean in [
        (True, None, True, True),
        (False, None, True, True),
        (True, False, True, True),
        (False, True, True, False),
    ]:
        for added in (ADDED, []):
            tok = T.wordpiece(VOCAB, lowercase, strip, chinese, clean, added=added)
            number += 1
            where = T.save(tok, f"{temporary}/{number}")
            texts = [text() for _ in range(ROUNDS)] + [marks() for _ in range(ROUNDS)]
            check.texts(tok, where, texts, (lowercase, strip, chinese, clean, bool(added)))
        pairs = [(text(), text()) for _ in range(ROUNDS // 40)] + [
            ("", ""),
            ("a", ""),
            ("", "a b"),
            ("a b", "a b"),
            ("a a a", "a b a b"),
        ]
        check.truncated(tok, where, pairs, range(3, 24), "pair")
        check.truncated(tok, where, [(a + b,) for a, b in pairs], range(2, 24), "single")
        ill_formed(check, tok, where)

    # another order and other types; BertProcessing; no post-processor
    special = [("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)]
    for number, processor in enumerate(
        [
            processors.TemplateProcessing(
                single="$A:3 [MASK]:4 [SEP]:5",
                pair="[CLS]:7 $B:1 [SEP]:2 $A:5 [MASK]",
                special_tokens=special,
            ),
            processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
            None,
        ]
    ):
        tok = T.wordpiece(VOCAB, True)
        if processor:
            tok.post_processor = processor
        else:
            import json

            plain = json.loads(tok.to_str())
            plain["post_processor"] = None
            tok = type(tok).from_str(json.dumps(plain))
        where = T.save(tok, f"{temporary}/post{number}")
        check.truncated(tok, where, pairs, range(4, 24), ("post", number))
        check.truncated(tok, where, [(a,) for a, _ in pairs], range(4, 24), ("post", number))
check.end("mixtures")
