"""Compares all 1,112,064 code points, alone and between letters, with every setting of the normaliser,
with the library.

The vocabulary has every character that normalisation can give (by the library and by Python's Unicode
tables), alone and after "##", so that ids show the result for each code point. A text has many code points
separated by spaces. The two common normalisers, with and without lower case, are tested on all code
points. Other settings and patterns skip large blocks of code points with equal results; with FULL=1 they
also run on all code points, each in its own text."""

import tempfile
import unicodedata

import tokenizing as T

T.need()
from tokenizers import AddedToken, normalizers

POINTS = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
assert len(POINTS) == 1112064


BLOCKS = [
    (0x3400, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xE000, 0xF8FF),
    (0x17000, 0x18CFF),
    (0x20000, 0xDFFFF),
    (0xE0200, 0x10FFFF),
]
FEW = (
    POINTS
    if T.FULL
    else [c for c in POINTS if ord(c) % 61 == 0 or not any(a <= ord(c) <= b for a, b in BLOCKS)]
)


def outcomes():
    makers = [
        normalizers.NFD().normalize_str,
        normalizers.Lowercase().normalize_str,
        lambda c: unicodedata.normalize("NFD", c),
        str.lower,
        normalizers.BertNormalizer(lowercase=True).normalize_str,
    ]
    chars = set("ab")
    for char in POINTS:
        for make in makers:
            made = make(char)
            if made not in ("", " ", char):
                chars.update(made)
                chars.update([] if "\uac00" <= char <= "\ud7a3" else char)
    return sorted(chars - {"\0"})


def vocabulary():
    chars = outcomes()
    tokens = T.SPECIALS + chars + ["##" + c for c in chars]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


SWITCHES = [  # lowercase, strip_accents, chinese, clean
    (True, None, True, True),
    (False, None, True, True),
    (True, False, True, True),
    (False, True, False, True),
    (True, True, True, False),
    (False, False, False, False),
]
PATTERNS = ["%s", "a%sb", "a\u0323%s\u0301\u0345b"]


def compare(check, tok, where, texts, what):
    answers = T.ask(*where, [(T.PLENTY, text) for text in texts])
    for text, encoding, got in zip(texts, tok.encode_batch(texts), answers):
        check.same(got, T.expected(encoding, text), (what, text[:40]))


check = T.Check()
vocab = vocabulary()
print(len(vocab), "entries")
with tempfile.TemporaryDirectory() as temporary:
    for number, (lowercase, strip, chinese, clean) in enumerate(SWITCHES):
        tok = T.wordpiece(vocab, lowercase, strip, chinese, clean)
        where = T.save(tok, f"{temporary}/{number}")
        for pattern in PATTERNS:
            points = POINTS if number < 2 and pattern in PATTERNS[:2] else FEW
            texts = [" ".join(pattern % c for c in points[i : i + 128]) for i in range(0, len(points), 128)]
            compare(check, tok, where, texts, (lowercase, strip, chinese, clean, pattern))
        if number < 2:
            single = [pattern % c for c in (POINTS if T.FULL else FEW[::11]) for pattern in PATTERNS[:2]]
            compare(check, tok, where, single, "alone")

    # \w and \s of the library's regular expressions, which decide about single_word, lstrip and rstrip
    plain = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "x", "y", "z"])}
    for normalized in (False, True):
        tok = T.wordpiece(
            plain,
            False,
            False,
            False,
            False,
            roles=False,
            added=[
                AddedToken("<x>", single_word=True, normalized=normalized),
                AddedToken("<y>", lstrip=True, normalized=normalized),
                AddedToken("<z>", rstrip=True, normalized=normalized),
            ],
        )
        where = T.save(tok, f"{temporary}/added{normalized}")
        for pattern in ("%s<x>", "<x>%s", "q%s<y>", "<z>%sq"):
            texts = [".".join(pattern % c for c in FEW[i : i + 128]) for i in range(0, len(FEW), 128)]
            compare(check, tok, where, texts, (normalized, pattern))
check.end("code points")
