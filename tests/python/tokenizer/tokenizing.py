"""Common code of the tokenizer tests: compares the driver (tests/tools/tokenize_driver.c) with the
`tokenizers` library, answer by answer."""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import numpy as np

SHARED = os.environ.get("SHARED", "")
BUILD = os.environ.get("BUILD", "")
FULL = os.environ.get("FULL") == "1"
PLENTY = 1 << 20
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def need(shared=False):
    """Imports the library, or ends the test as skipped."""
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        skip("the Python package tokenizers is not installed")
    if shared and not (SHARED and os.path.isdir(os.path.join(SHARED, "data", "vocab"))):
        skip("SHARED has no data/vocab and data/text")
    if not BUILD:
        skip("BUILD does not say where the build directory is")
    if not os.path.exists(driver_path()):
        subprocess.run(
            ["cmake", "--build", BUILD, "--target", "tokenize_driver"], check=True, stdout=subprocess.DEVNULL
        )


def driver_path():
    return os.path.join(BUILD, "tokenize_driver")


def ask_rows(directory, file, requests, *options):
    """requests: (max_tokens, text or bytes, pair or None). The driver's output: int32 [rows, 5]."""
    lines = []
    for limit, *texts in requests:
        words = ["x" + (t if isinstance(t, bytes) else t.encode()).hex() for t in texts if t is not None]
        lines.append(" ".join([str(limit)] + words))
    done = subprocess.run(
        [driver_path(), str(directory), file, *options],
        input="\n".join(lines).encode() + b"\n",
        stdout=subprocess.PIPE,
        check=True,
    )
    return np.frombuffer(done.stdout, np.int32).reshape(-1, 5)


HEAD = ("status", "tokens", "total", "text_tokens", "pair_tokens", "text_next", "pair_next", "replaced")
COLUMNS = ("ids", "types", "starts", "ends", "words")


def ask(directory, file, requests, *options):
    """The answers as dictionaries of numbers and lists, in the order of the requests."""
    rows = ask_rows(directory, file, requests, *options)
    answers, at = [], 0
    while at < len(rows):
        head = dict(zip(HEAD, rows[at : at + 2].ravel().tolist()))
        tokens = rows[at + 2 : at + 2 + head["tokens"]]
        lists = dict(zip(COLUMNS, tokens.T.tolist()))
        answers.append(lists | head | {"next": [head["text_next"], head["pair_next"]]})
        at += 2 + head["tokens"]
    assert len(answers) == len(requests), (len(answers), len(requests))
    return answers


def byte_starts(text):
    """Byte where each character begins, and the length."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    sizes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
    return np.concatenate([[0], np.cumsum(sizes)])


def expected_rows(encodings, texts):
    """The rows of the tokens of the library's encodings, as the driver prints them, and the number of tokens
    of each. texts: tuples of one text, or of a text and its pair."""
    counts = np.fromiter(map(len, encodings), np.int64, len(encodings))
    total = counts.sum()
    each = itertools.chain.from_iterable
    numbers = lambda values, count: np.fromiter(values, np.int64, count)
    without = lambda values: np.array([-1 if v is None else v for v in values], np.int64)
    words = without(each(e.word_ids for e in encodings))
    sequences = np.where(words < 0, -1, 0)
    if any(len(t) > 1 for t in texts):
        sequences = without(each(e.sequence_ids for e in encodings))
    # where each sequence begins among the characters of all texts
    firsts = np.cumsum([0, *(len(t) for pair in texts for t in pair)])[:-1]
    first_of_text = np.cumsum([0, *map(len, texts)])[:-1]
    begins = firsts[np.repeat(first_of_text, counts) + np.maximum(sequences, 0)]
    at_byte = byte_starts("".join(each(texts)))
    spans = numbers(each(each(e.offsets for e in encodings)), 2 * total).reshape(-1, 2)
    columns = [
        numbers(each(e.ids for e in encodings), total),
        numbers(each(e.type_ids for e in encodings), total),
    ]
    for column in spans.T:
        columns.append(np.where(sequences < 0, -1, at_byte[begins + column] - at_byte[begins]))
    return np.stack([*columns, np.where(sequences < 0, -1, words)], 1), counts


def expected(encoding, text, pair=None):
    """A library's encoding as the driver answers."""
    rows, _ = expected_rows([encoding], [(text,) if pair is None else (text, pair)])
    return dict(zip(COLUMNS, rows.T.tolist()))


class Check:
    """Counts comparisons, prints the first few that differ."""

    def __init__(self):
        self.count = self.wrong = 0

    def same(self, got, want, what):
        self.count += 1
        for key in want:
            if got.get(key) != want[key]:
                self.wrong += 1
                if self.wrong <= 10:
                    self.show(got.get(key), want[key], f"{what!r} {key}")
                return

    def encodings(self, where, requests, encodings, what):
        """Compares the driver's answers to the requests, (max_tokens, text[, pair]), with the library's
        encodings: all rows at once, then one by one if any differ."""
        texts = [request[1:] for request in requests]
        want, counts = expected_rows(encodings, texts)
        rows = ask_rows(*where, requests)
        heads = np.cumsum(counts + 2) - counts - 2
        if len(rows) == counts.sum() + 2 * len(counts):
            tokens = np.delete(rows, [*heads, *(heads + 1)], 0)
            if (rows[heads, :2] == np.stack([0 * counts, counts], 1)).all() and (tokens == want).all():
                self.count += len(requests)
                return
        wrong = self.wrong
        for text, encoding, got in zip(texts, encodings, ask(*where, requests)):
            self.same(got, expected(encoding, *text), (what, *(t[:60] for t in text)))
        assert self.wrong > wrong, f"{what}: the rows differ, but no text does"

    def texts(self, tok, where, texts, what):
        """The same for whole texts."""
        self.encodings(where, [(PLENTY, text) for text in texts], tok.encode_batch(texts), what)

    def truncated(self, tok, where, pairs, limits, what):
        """The same for pairs, or tuples of one text, each cut to each limit."""
        inputs = [pair if len(pair) > 1 else pair[0] for pair in pairs]
        requests, encodings = [], []
        for limit in limits:
            tok.enable_truncation(limit)
            requests += [(limit, *pair) for pair in pairs]
            encodings += tok.encode_batch(inputs)
        tok.no_truncation()
        self.encodings(where, requests, encodings, (what, "truncated"))

    @staticmethod
    def show(got, want, what):
        """Long lists: around the first place that differs."""
        if isinstance(got, list) and isinstance(want, list):
            at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            got, want, what = (
                got[max(at - 3, 0) : at + 8],
                want[max(at - 3, 0) : at + 8],
                f"{what}[{max(at - 3, 0)}:]",
            )
        print(f"differs: {what}\n  got  {got}\n  want {want}")

    def end(self, name):
        print(f"{name}: {self.count} compared, {self.wrong} differ")
        sys.exit(1 if self.wrong or not self.count else 0)


def wordpiece(vocab, lowercase, strip_accents=None, chinese=True, clean=True, added=(), roles=True):
    """The library's tokenizer for a vocabulary (a path of vocab.txt or a dictionary), as BertTokenizer sets
    it up."""
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

    if not isinstance(vocab, dict):
        vocab = {token.rstrip("\n"): i for i, token in enumerate(open(vocab, encoding="utf-8"))}
    tok = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = vocab["[CLS]"], vocab["[SEP]"]
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    if roles:
        tok.add_special_tokens(
            [
                AddedToken(t, normalized=False, special=True)
                for t in ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]")
                if t in vocab
            ]
        )
    for token in added:
        tok.add_tokens([token])
    return tok


def save(tok, directory):
    """Writes tokenizer.json; returns what ask() wants."""
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    tok.save(os.path.join(directory, "tokenizer.json"))
    return str(directory), "tokenizer.json"


def from_vocab_txt(name, directory, **config):
    """A directory with a vocab.txt of $SHARED and a tokenizer_config.json."""
    path = pathlib.Path(directory, name)
    path.mkdir(parents=True, exist_ok=True)
    (path / "vocab.txt").write_bytes(pathlib.Path(SHARED, "data", "vocab", name, "vocab.txt").read_bytes())
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return str(path), "vocab.txt"
