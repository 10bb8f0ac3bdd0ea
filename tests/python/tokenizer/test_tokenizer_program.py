"""Compares --tokenize of an emitted program with the `tokenizers` library on real texts. Tests the tables
through the whole compiler. A program with truncation_side left keeps the end of a text; its windows are those
of other programs."""

import glob
import json
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


def build(model, program, *options):
    subprocess.run([os.environ["BERTC"], "build", model, "-o", program, "--quiet", *options], check=True)
    return program


def run(program, lines, *options):
    done = subprocess.run(
        [program, *options],
        input="\n".join(lines).encode() + b"\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    answers = done.stdout.decode().splitlines()
    assert len(answers) == len(lines), (len(answers), len(lines))
    return answers


def compare(program, lines):
    for line, answer, encoding in zip(lines, run(program, lines, "--tokenize"), tok.encode_batch(lines)):
        check.same({"ids": [int(i) for i in answer.split()]}, {"ids": encoding.ids}, line[:60])


with tempfile.TemporaryDirectory() as temporary:
    compare(build(model, os.path.join(temporary, "program")), lines)
    left = os.path.join(temporary, "left")
    os.mkdir(left)
    for name in os.listdir(model):
        os.symlink(os.path.join(model, name), os.path.join(left, name))
    path = os.path.join(left, "tokenizer_config.json")
    config = json.load(open(path)) | {"truncation_side": "left"}
    os.unlink(path)
    json.dump(config, open(path, "w"))
    programs = [
        build(m, os.path.join(temporary, f"{i}"), "--max-tokens=9") for i, m in enumerate([model, left])
    ]
    lines = lines[:: len(lines) // 60]
    tok.enable_truncation(9, direction="left")
    compare(programs[1], lines)
    windows = [run(program, lines[:20], "--on-overflow=window") for program in programs]
    check.same({"windows": windows[1]}, {"windows": windows[0]}, "windows")
check.end("program")
