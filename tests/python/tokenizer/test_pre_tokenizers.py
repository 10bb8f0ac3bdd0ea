"""Pre-tokenizers against the `tokenizers` library: Split with the regular expressions of published
tokenizers and with texts, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit,
UnicodeScripts, Sequences of them before ByteLevel and Metaspace, and none. The model WordLevel shows each
word with its place. All code points, random strings, real texts. Expressions that are not supported are
refused by name. FULL=1 tests more."""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import tokenizing as T

T.need()
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers as P

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "golden"))
import make_tokenizer

ROUNDS = 1500 if T.FULL else 50
LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA.replace("{1,3}", "")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PHI = r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
OTHERS = [r"\d{1,3}(?=x)|ab*c?", r"[a-c\-x]+|\W", r"a.*?b|.+?c", r"a??b|\w+?d?| *+x"]
CASES = [P.Split(Regex(r), "isolated") for r in (LLAMA, QWEN, GPT2, PHI, CL100K, *OTHERS)]
CASES += [P.Split(Regex(r"a+|\s"), b, i) for b in BEHAVIORS for i in (False, True)]
CASES += [P.Split(" a", b) for b in BEHAVIORS] + [P.Punctuation(b) for b in BEHAVIORS]
CASES += [
    P.Digits(False),
    P.Digits(True),
    P.Whitespace(),
    P.WhitespaceSplit(),
    P.CharDelimiterSplit("a"),
    P.UnicodeScripts(),
    None,
]
CASES += [
    P.Sequence([P.UnicodeScripts(), P.Whitespace()]),
    P.Sequence([P.Punctuation(), P.UnicodeScripts(), P.Metaspace(prepend_scheme="first")]),
    P.Sequence([P.Whitespace(), P.Digits(True)]),
    P.Sequence([P.Digits(True), P.Split(Regex(GPT2), "isolated"), P.Punctuation()]),
    P.Sequence([P.Punctuation(), P.Metaspace(prepend_scheme="always")]),
    P.Sequence([P.Digits(True), P.Metaspace(prepend_scheme="first", split=False)]),
    P.Sequence([P.WhitespaceSplit(), P.Punctuation(), P.Metaspace(prepend_scheme="first")]),
    P.Sequence([P.Split(Regex(LLAMA), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]),
    P.Sequence([P.Digits(True), P.ByteLevel(add_prefix_space=True)]),
    P.Sequence([P.WhitespaceSplit(), P.BertPreTokenizer()]),
]
PARTS = "a b c x ab abc a-b word Word 's 'S 'll 'LL 'ſ don't 1 23 4567".split(" ")
PARTS += "½ ² ٣ Ⅷ é e\u0301 \u0301 中文 日本 한국".split(" ")
PARTS += [" ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u3000", "\u2028", "\x85", " a", "a "]
PARTS += [
    "!",
    "?!",
    "...",
    "-",
    "_",
    "(",
    ")",
    "$",
    "+",
    "😀",
    "<x>",
    "\U0001e5f1",
    "\U00010d4a",
    "\x00",
    "\u200d",
]
REFUSED = [
    r"\s+$",
    r"^a",
    r"(?:ab)++",
    r"a++(?!b)",
    r"a?+ab",
    r"(?:a++b?)*c",
    r"a{2}?",
    r"(a)\1",
    r"(?<=a)b",
    r"(?<!a)b",
    r"\p{Greek}",
    r"\bfoo",
    r"a|",
    BLOOM,
]
REFUSED += [r"a{1,200}", r"(?i:é)", r"(?=ab)c", r"\h", r"(a", r"(?>a)", "(" * 40 + "a" + ")" * 40]
REFUSED += [r"[]a]b", r"a{,3}", r"a{x}", r"(?i:ss)", r"(?i:aFi)", "(?:" * 20 + ")" + "{64})" * 19 + "{64}"]

check = T.Check()
r = random.Random(18)


def mixed():
    return "".join(r.choice(PARTS) for _ in range(r.randint(0, 9)))


def anything():
    points = (r.randrange(r.choice([0x250, 0x3000, 0x110000])) for _ in range(r.randint(0, 12)))
    return "".join("a" if 0xD800 <= c <= 0xDFFF else chr(c) for c in points)


def code_points(step, between="a"):
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    points = [
        c for c in points if T.FULL or ord(c) < 0x3400 or 0xA000 <= ord(c) < 0x1FC00 or ord(c) % 61 == 0
    ][::step]
    return [between.join(points[i : i + 64]) for i in range(0, len(points), 64)]


def lines():
    found = []
    for path in sorted(pathlib.Path(T.SHARED, "data", "text").glob("*.txt") if T.SHARED else []):
        found += path.read_text(encoding="utf-8").split("\n")[: 400 if T.FULL else 30]
    return found


def compare(tok, texts, what):
    with tempfile.TemporaryDirectory() as directory:
        answers = T.ask(*T.save(tok, directory), [(T.PLENTY, text) for text in texts])
    for text, encoding, got in zip(texts, tok.encode_batch(texts), answers):
        check.same(got, T.expected(encoding, text), (what, text[:60]))


def words(pre):
    vocab = {"[UNK]": 0} | {
        w: i + 1 for i, w in enumerate(["a", "ab", " a", "Ġa", "▁a", "1", "!", " ", "word"])
    }
    tok = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    if pre:
        tok.pre_tokenizer = pre
    tok.add_tokens([AddedToken("<x>", normalized=False)])
    return tok


def refused(regex):
    state = json.loads(words(P.Split("a", "isolated")).to_str())
    state["pre_tokenizer"]["pattern"] = {"Regex": regex}
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory, "tokenizer.json").write_text(json.dumps(state))
        command = [T.driver_path(), directory, "tokenizer.json"]
        done = subprocess.run(command, input=b"9 x61\n", capture_output=True, timeout=60)
    check.count += 1
    if done.returncode != 4 or "regular expression" not in done.stderr.decode():
        check.wrong += 1
        print(f"{regex}: exit {done.returncode}: {done.stderr.decode()}")


real = lines()
for number, pre in enumerate(CASES):
    texts = [mixed() for _ in range(ROUNDS)] + [anything() for _ in range(ROUNDS)] + real[number % 3 :: 3]
    texts += code_points(1 if T.FULL or number == 5 else 60)
    compare(words(pre), texts, (number, pre))
compare(words(P.UnicodeScripts()), code_points(1) + code_points(1, "") + code_points(1, " "), "scripts")

vocab, merges = make_tokenizer.train_byte_level(900, real or None)
for regex in (LLAMA, QWEN):
    tok = Tokenizer(models.BPE(vocab, merges))
    tok.normalizer = normalizers.NFC()
    split = P.Split(Regex(regex), "isolated")
    tok.pre_tokenizer = P.Sequence([split, P.ByteLevel(add_prefix_space=False, use_regex=False)])
    compare(tok, [mixed() for _ in range(ROUNDS)] + real, "BPE")
    compare(tok, [" " * 40000 + "x", "a" * 40000, "1" * 9999, "\n" * 9999 + " x"], "long")
for regex in REFUSED:
    refused(regex)
check.end("pre-tokenizers")
