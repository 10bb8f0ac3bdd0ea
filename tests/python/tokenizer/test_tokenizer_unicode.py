"""Compares all 1,112,064 code points, alone and between letters, with every setting of the normaliser,
with the library.

The vocabulary has every character that normalisation can give (by the library and by Python's Unicode
tables), alone and after "##", so that ids show the result for each code point. A text has many code points
separated by spaces. The two common normalisers, with and without lower case, are tested on all code points
between letters. Other settings and patterns skip large blocks of code points with equal results. With FULL=1
they also run on all code points, each in its own text."""

import tempfile
import unicodedata
import numpy as np

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
CODES = np.array([ord(c) for c in POINTS])
THINNED = np.logical_or.reduce([(a <= CODES) & (CODES <= b) for a, b in BLOCKS]) & (CODES % 61 != 0)
FEW = POINTS if T.FULL else [POINTS[i] for i in np.flatnonzero(~THINNED)]


def outcomes():
    makers = [
        normalizers.NFD().normalize_str,
        normalizers.Lowercase().normalize_str,
        lambda c: unicodedata.normalize("NFD", c),
        str.lower,
        normalizers.BertNormalizer(lowercase=True).normalize_str,
    ]
    chars = set("ab")
    for first in range(0, len(POINTS), 256):
        some = POINTS[first : first + 256]
        for make in makers:
            parts = make("1".join(some)).split("1")  # no other character becomes a digit
            if len(parts) != len(some):
                parts = map(make, some)
            for char, made in zip(some, parts):
                if made != char and made not in ("", " "):
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


check = T.Check()
vocab = vocabulary()
print(len(vocab), "entries")
with tempfile.TemporaryDirectory() as temporary:
    for number, (lowercase, strip, chinese, clean) in enumerate(SWITCHES):
        tok = T.wordpiece(vocab, lowercase, strip, chinese, clean)
        where = T.save(tok, f"{temporary}/{number}")
        texts = []
        for pattern in PATTERNS:
            points = POINTS if number < 2 and pattern == "a%sb" else FEW
            texts += [" ".join(pattern % c for c in points[i : i + 128]) for i in range(0, len(points), 128)]
        if number < 2:
            texts += [pattern % c for c in (POINTS if T.FULL else FEW[::11]) for pattern in PATTERNS[:2]]
        check.texts(tok, where, texts, (lowercase, strip, chinese, clean))

    # single_word, lstrip and rstrip depend on \w and \s of the library's regular expressions
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
        texts = []
        for pattern in ("%s<x>", "<x>%s", "q%s<y>", "<z>%sq"):
            texts += [".".join(pattern % c for c in FEW[i : i + 128]) for i in range(0, len(FEW), 128)]
        check.texts(tok, where, texts, normalized)
check.end("code points")
