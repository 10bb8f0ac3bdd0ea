"""Unigram: ids, byte offsets and words against the `tokenizers` library: 100 %. ALBERT's pieces with the
normalisers of each class (NFKC, precompiled character map, runs of spaces, ..) and all forms of
Metaspace; real texts in six languages, code points one by one, random strings with added tokens, pairs,
truncation; small vocabularies with equal sums, byte fallback and long words. FULL=1 tests all
combinations."""

import glob
import itertools
import os
import random
import tempfile

import tokenizing as T

T.need(shared=True)
from tokenizers import AddedToken, Tokenizer, normalizers as N
import unigrams as U

ROUNDS = 1500 if T.FULL else 60
KINDS = "albert albert5 accents xlnet xlm-r xlm-r5 deberta deberta5 nmt bert prepend none".split()
KINDS += "rembert rembert-bare one-space".split()
FORMS = list(itertools.product(("always", "first", "never"), (True, False), (False, True)))
ADDED = [AddedToken(t, normalized=False) for t in U.USER] + [
    AddedToken("<x>", lstrip=True),
    AddedToken("<Y y>", rstrip=True),
    AddedToken("word", single_word=True),
    AddedToken("éa"),
    AddedToken("  ", normalized=False),
]
PIECES = [" ", "  ", "   ", ""]
PIECES += "a b Hello World  word  words <x> <Y y> [MASK] [CLS] é . - ( ) – £ €".split(" ")
PIECES += "e\u0301 e\u0301\u0323 \u0301 \u0323 Vie\u0302\u0323t \u0344 \u0e33 \u0600 \u0600a".split(" ")
PIECES += "\U0001d165 ﷺ ﬁve １２ ｶﾞ Ａ ½ Å İ ß ǅ 한국".split(" ")
PIECES += "\u1100\u1161 日本語 नमस्ते 😀 👩\u200d👧 🇩🇪🇫🇷".split(" ")
PIECES += "` `` ''' '' …… ---- aaaa !!!!! 1,000 9, ０ ▁ ▁a".split(" ")
PIECES += ["\x01", "\x00", "\ufeff", "\u200b", "\u200d", "\r", "\n", "\r\n", "\t"]
PIECES += ["\u3000", "\u00a0", "\ufffd"]

check = T.Check()
r = random.Random(16)


def mixed(most=9):
    return "".join(r.choice(PIECES) for _ in range(r.randint(0, most)))


def code_point():
    code = r.randrange(r.choice([0x250, 0x3000, 0x110000]))
    return "a" if 0xD800 <= code <= 0xDFFF else chr(code)


def anything():
    marks = lambda: chr(r.randrange(0x300, 0x370)) if r.random() < 0.2 else ""
    return "".join(code_point() + marks() for _ in range(r.randint(0, 12)))


def compare(tok, texts, what):
    """The library reads the saved file: its JSON rounds scores."""
    with tempfile.TemporaryDirectory() as directory:
        where = T.save(tok, directory)
        tok = Tokenizer.from_file(f"{directory}/tokenizer.json")
        pairs = [(limit, mixed(5), mixed(5)) for limit in (5, 8, 9) for _ in range(9)]
        answers = T.ask(*where, [(T.PLENTY, text) for text in texts] + pairs)
        for text, encoding, got in zip(texts, tok.encode_batch(texts), answers):
            check.same(got, T.expected(encoding, text), (what, text[:60]))
        for (limit, *pair), got in zip(pairs, answers[len(texts) :]):
            tok.enable_truncation(limit)
            check.same(got, T.expected(tok.encode(*pair), *pair), (what, limit, pair))


def real_lines():
    lines = []
    for path in sorted(glob.glob(os.path.join(T.SHARED, "data", "text", "*.txt"))):
        text = open(path, encoding="utf-8", newline="").read()
        lines += text.split("\n") if T.FULL else text.split("\n")[:60]
    return lines


def code_points():
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    few = [c for c in points if ord(c) < 0x3400 or 0xF900 <= ord(c) < 0x1FC00 or ord(c) % 61 == 0]
    for pattern in ("a%s ", "%s", "e%s\u0301", " %s "):
        which = points if T.FULL else few[:: 4 if pattern == "a%s " else 20]
        each = [pattern.replace("%s", c) for c in which]
        yield from ("".join(each[i : i + 64]) for i in range(0, len(each), 64))


def small_vocabulary():
    """Few letters, few scores: many ways with equal sums, some of which meet late."""
    letters = r.choice(["ab", "abc", "aé中", "a"])
    scores = [-r.random() * 10 for _ in range(r.choice([2, 3, 50]))]
    longest = r.choice([3, 8, 20])
    word = lambda: "".join(r.choice(letters + "▁") for _ in range(r.randrange(1, longest + 1)))
    texts = sorted({word() for _ in range(30)})
    pieces = [("<unk>", r.choice([0.0, -3.0, -50.0]))] + [(text, r.choice(scores)) for text in texts]
    fallback = r.random() < 0.5
    if fallback:
        pieces += [(f"<0x{b:02X}>", r.choice(scores)) for b in range(256) if r.random() < 0.995]
    options = {"pieces": pieces, "unk_id": 0, "byte_fallback": fallback}
    tok = U.unigram(None, "none", scheme=r.choice(["always", "never"]), split=r.random() < 0.5, **options)
    lengths = (3, 40, 1023, 1024, 1025, 3000, 20000)
    texts = ["".join(r.choice(letters + " x鿿<") for _ in range(n)) for n in lengths]
    texts += [letters[0] * n for n in (7, 1025, 9000, 20000)]
    compare(tok, [*texts, "x" * 5000, "ab<unk>x" * 5, "鿿" * 4000], ("small", pieces[:6]))


def long_rows():
    """Rows of characters that Replace joins, longer than the runtime reads at once."""
    replace = lambda *pairs: [N.Replace(a, b) for a, b in pairs]
    for steps, letters in (
        (replace(("``", '"'), ("''", '"')), "`'"),
        ([N.NFKD(), N.Lowercase(), *replace(("...", "…"))], ".a"),
        (replace(("aabaa", "X"), ("ba", "YZ")), "ab"),
        ([N.Lowercase(), *replace(("aba", "X")), N.NFC()], "aAbB"),
    ):
        tok = U.unigram(model, "albert")
        tok.normalizer = N.Sequence(steps)
        texts = ["".join(r.choice(letters) for _ in range(r.randint(60, 200))) for _ in range(30)]
        ends = ["", "x", *letters]
        for a, b, c, n in itertools.product(ends, letters, ends, (63, 64, 65, 129, 200)):
            texts.append(a + b * n + c)
        compare(tok, texts, ("long rows", letters))


model = U.albert_model()
lines = real_lines()
for number, kind in enumerate(KINDS):
    for form in FORMS if T.FULL else [FORMS[number % len(FORMS)]]:
        tok = U.unigram(model, kind, *form, added=ADDED)
        texts = lines[number % 5 :: 1 if T.FULL else 5] + [mixed() for _ in range(ROUNDS)]
        compare(tok, texts + [anything() for _ in range(ROUNDS)], (kind, form))
for kind in KINDS if T.FULL else ["albert", "xlm-r"]:
    compare(U.unigram(model, kind), list(code_points()), (kind, "code points"))
for kind in ("rembert", "rembert-bare", "one-space"):  # without the added token of two spaces
    compare(U.unigram(model, kind), [mixed() for _ in range(ROUNDS)], (kind, "runs"))
marks = [c for first, last in ((0x300, 0x370), (0x890, 0x8A0), (0x1AB0, 0x1B00)) for c in range(first, last)]
compare(U.unigram(model, "xlm-r5"), [f"\u01cb{chr(c)}" for c in marks], "clusters of two")
for _ in range(200 if T.FULL else 5):
    small_vocabulary()
long_rows()
check.end("Unigram")
