"""Ids, types, byte offsets and words of texts in six languages equal those of the `tokenizers` library."""

import glob
import os
import tempfile

import tokenizing as T

T.need(shared=True)
from tokenizers import Tokenizer

check = T.Check()
texts = []
for path in sorted(glob.glob(os.path.join(T.SHARED, "data", "text", "*.txt"))):
    whole = open(path, encoding="utf-8", newline="").read()
    texts += whole.split("\n") + [whole]
assert len(texts) > 1000, len(texts)

with tempfile.TemporaryDirectory() as temporary:
    vocab = lambda name: os.path.join(T.SHARED, "data", "vocab", name, "vocab.txt")
    cases = [
        (
            "uncased",
            T.wordpiece(vocab("bert-base-uncased"), True),
            T.from_vocab_txt("bert-base-uncased", temporary),
        ),
        (
            "cased",
            T.wordpiece(vocab("bert-base-cased"), False),
            T.from_vocab_txt("bert-base-cased", temporary, do_lower_case=False),
        ),
        (
            "multilingual",
            T.wordpiece(vocab("bert-base-multilingual-cased"), False),
            T.from_vocab_txt("bert-base-multilingual-cased", temporary, do_lower_case=False),
        ),
    ]
    minilm = os.path.join(T.SHARED, "models", "minilm-l6")
    if os.path.isdir(minilm):
        tok = Tokenizer.from_file(os.path.join(minilm, "tokenizer.json"))
        tok.no_truncation()
        tok.no_padding()
        cases.append(("minilm", tok, (minilm, "tokenizer.json")))
    for name, tok, where in cases:
        check.texts(tok, where, texts, name)
        answers = T.ask(*where, [(T.PLENTY, text) for text in texts])
        for text, got in zip(texts, answers):
            want = {"total": len(got["ids"]), "next": [len(text.encode()), 0], "replaced": 0}
            check.same(got, want, (name, text[:60]))
check.end("real texts")
