"""Compares --tokenize of an emitted program with the `tokenizers` library on real texts. Tests the tables
through the whole compiler."""

import glob
import os
import subprocess
import tempfile

import tokenizing as T

T.need(shared=True)
from tokenizers import Tokenizer

model = os.path.join(T.SHARED, "models", "minilm-sst2")
if not os.path.isdir(model) or not os.environ.get("BERTC"):
    T.skip("SHARED has no models/minilm-sst2, or BERTC does not say where the compiler is")

tok = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
tok.no_padding()
tok.enable_truncation(512)  # model_max_length of its tokenizer_config.json
lines = []
for path in sorted(glob.glob(os.path.join(T.SHARED, "data", "text", "*.txt"))):
    lines += [
        line for line in open(path, encoding="utf-8", newline="").read().split("\n") if "\t" not in line
    ]

check = T.Check()
with tempfile.TemporaryDirectory() as temporary:
    program = os.path.join(temporary, "program")
    subprocess.run([os.environ["BERTC"], "build", model, "-o", program, "--quiet"], check=True)
    done = subprocess.run(
        [program, "--tokenize"],
        input="\n".join(lines).encode() + b"\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    answers = done.stdout.decode().splitlines()
    assert len(answers) == len(lines), (len(answers), len(lines))
    for line, answer, encoding in zip(lines, answers, tok.encode_batch(lines)):
        check.same({"ids": [int(i) for i in answer.split()]}, {"ids": encoding.ids}, line[:60])
check.end("program")
