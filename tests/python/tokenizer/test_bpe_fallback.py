"""BPE over characters, as SentencePiece's converters set it up: byte fallback, Metaspace, or Prepend and
Replace without a pre-tokenizer, unknown tokens with and without fusing; against the `tokenizers` library.
Long words too. What is not supported is refused by name."""

import json
import pathlib
import random
import subprocess
import sys
import tempfile

import tokenizing as T

T.need()
from tokenizers import AddedToken, Tokenizer, models, normalizers as N, pre_tokenizers as P, trainers

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "golden"))
import make_tokenizer

ROUNDS = 2000 if T.FULL else 150
PARTS = [
    "a",
    "bo",
    "film",
    " ",
    "  ",
    "   ",
    "▁",
    "é",
    "e\u0301",
    "中",
    "文x",
    "😀",
    "\x01",
    "\n",
    "<x>",
    "<0x41>",
    "Q",
    "鿿",
]
check = T.Check()
r = random.Random(19)


def mixed():
    return "".join(r.choice(PARTS) for _ in range(r.randint(0, 12)))


def trained(bytes_too):
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.pre_tokenizer = P.Metaspace()
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256) if bytes_too]
    trainer = trainers.BpeTrainer(vocab_size=len(special) + 200, show_progress=False, special_tokens=special)
    tok.train_from_iterator(make_tokenizer.SENTENCES * 3, trainer)
    model = json.loads(tok.to_str())["model"]
    return model["vocab"], [tuple(m) for m in model["merges"]]


def compare(tok, texts, what):
    with tempfile.TemporaryDirectory() as directory:
        answers = T.ask(*T.save(tok, directory), [(T.PLENTY, text) for text in texts])
    for text, encoding, got in zip(texts, tok.encode_batch(texts), answers):
        check.same(got, T.expected(encoding, text), (what, text[:60]))


def refused(state, word):
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory, "tokenizer.json").write_text(json.dumps(state))
        command = [T.driver_path(), directory, "tokenizer.json"]
        done = subprocess.run(command, input=b"9 x61\n", capture_output=True, timeout=60)
    check.count += 1
    if done.returncode != 4 or word not in done.stderr.decode():
        check.wrong += 1
        print(f"exit {done.returncode}: {done.stderr.decode()}, expected {word}")


for bytes_too in (True, False):
    vocab, merges = trained(bytes_too)
    for options in ({}, {"unk_token": "<unk>"}, {"unk_token": "<unk>", "fuse_unk": True}):
        tok = Tokenizer(models.BPE(vocab, merges, byte_fallback=bytes_too, **options))
        for pre in (P.Metaspace(), P.Metaspace(prepend_scheme="first", split=False), None):
            if pre:
                tok.pre_tokenizer = pre
            else:
                tok = Tokenizer(models.BPE(vocab, merges, byte_fallback=bytes_too, **options))
                tok.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
            tok.add_tokens([AddedToken("<x>", normalized=False)])
            texts = [mixed() for _ in range(ROUNDS)]
            texts += ["".join(r.choice("abo 中Q") for _ in range(n)) for n in (60, 64, 65, 700, 9000)]
            compare(tok, [*texts, "鿿" * 64, "鿿" * 65, "鿿" * 5000], (bytes_too, options, pre))
vocab, merges = trained(True)
state = json.loads(Tokenizer(models.BPE(vocab, merges, byte_fallback=True)).to_str())
state["model"]["merges"].append(["<0x41>", "<0x42>"])
state["model"]["vocab"]["<0x41><0x42>"] = len(vocab)
refused(state, "merge")
state = json.loads(Tokenizer(models.BPE(vocab, merges, byte_fallback=True)).to_str())
del state["model"]["vocab"]["<0x41>"]
refused(state, "not all tokens")
check.end("BPE with byte fallback")
