"""Common code of the tokenizer tests: compares the driver (tests/tools/tokenize_driver.c) with the
`tokenizers` library, answer by answer."""

import json
import os
import pathlib
import subprocess
import sys

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


def ask(directory, file, requests):
    """requests: (max_tokens, text or bytes, pair or None). The answers in the same order."""
    lines = []
    for limit, *texts in requests:
        words = ["x" + (t if isinstance(t, bytes) else t.encode()).hex() for t in texts if t is not None]
        lines.append(" ".join([str(limit)] + words))
    done = subprocess.run(
        [driver_path(), str(directory), file],
        input="\n".join(lines).encode() + b"\n",
        stdout=subprocess.PIPE,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines), (len(answers), len(lines))
    return answers


def byte_offsets(text):
    """Byte where each character begins, and the length."""
    if text.isascii():
        return range(len(text) + 1)
    offsets, at = [0], 0
    for char in text:
        at += len(char.encode())
        offsets.append(at)
    return offsets


def expected(encoding, text, pair=None):
    """A library's encoding as the driver answers."""
    where = [byte_offsets(text), byte_offsets(pair) if pair is not None else None]
    starts, ends, words = [], [], []
    for special, sequence, (start, end), word in zip(
        encoding.special_tokens_mask, encoding.sequence_ids, encoding.offsets, encoding.word_ids
    ):
        inside = sequence is not None
        starts.append(where[sequence][start] if inside else -1)
        ends.append(where[sequence][end] if inside else -1)
        words.append(word if inside else -1)
    return {"ids": encoding.ids, "types": encoding.type_ids, "starts": starts, "ends": ends, "words": words}


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
