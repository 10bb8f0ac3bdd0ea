"""Hostile and unusual tokenizer.json files of Unigram: exit 3 or 4, the message names file and key; never a
crash. Random damage to a file: accepted or refused."""

import base64
import json
import pathlib
import random
import struct
import subprocess
import tempfile

import tokenizing as T

T.need(shared=True)
import unigrams as U

check = T.Check()
r = random.Random(7)
TEXT = "Hello ﬁve [CLS] Größe".encode().hex()


def state():
    """A small tokenizer.json."""
    model = U.albert_model()
    pieces = [(text, score) for text, score, _ in model.pieces[:400]]
    return json.loads(U.unigram(model, "xlm-r", pieces=pieces).to_str())


def run(directory, text):
    path = pathlib.Path(directory, "tokenizer.json")
    path.write_bytes(text)
    return subprocess.run(
        [T.driver_path(), directory, "tokenizer.json"],
        input=f"4096 x{TEXT}\n".encode(),
        capture_output=True,
        timeout=60,
    )


def refused(directory, value, code, *words):
    done = run(directory, value if isinstance(value, bytes) else json.dumps(value).encode())
    message = done.stderr.decode()
    check.count += 1
    if done.returncode != code or not all(w in message for w in ("tokenizer.json", *words)):
        check.wrong += 1
        print(f"exit {done.returncode}, expected {code}; {message!r} should have {words}")


def changed(**model):
    value = json.loads(json.dumps(BASE))
    value["model"].update(model)
    return value


def normalized(*items):
    return json.loads(json.dumps(BASE)) | {"normalizer": {"type": "Sequence", "normalizers": list(items)}}


def charsmap(units, texts=b"x\0", size=None):
    data = struct.pack("<I", 4 * len(units) if size is None else size)
    data += b"".join(struct.pack("<I", u & 0xFFFFFFFF) for u in units) + texts
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}


def double_array(keys):
    """The units of a character map's trie. Each inner node has a block of its own."""
    units, blocks = {}, {b"": 256}
    for key in keys:
        for n in range(1, len(key)):
            blocks.setdefault(key[:n], 256 * (len(blocks) + 1))
    position = lambda key: blocks[key[:-1]] ^ key[-1] if key else 0
    for key, base in blocks.items():
        units[position(key)] = (key[-1] if key else 0) | (position(key) ^ base) << 10
    place = 256 * (len(blocks) + 1)
    for key, value in keys.items():
        units[position(key)] = key[-1] | LEAF | (position(key) ^ place) << 10
        units[place] = 1 << 31 | value
        place += 1
    return [units.get(i, 0) for i in range(place)]


def shuffled():
    """A character map that exchanges all ideographs and syllables of two blocks."""
    codes = [*range(0x4E00, 0xA000), *range(0xAC00, 0xD7A4)]
    keys = {chr(code).encode(): 4 * i for i, code in enumerate(codes)}
    texts = b"".join(chr(code).encode() + b"\0" for code in r.sample(codes, len(codes)))
    return charsmap(double_array(keys), texts)


LEAF = 0x100  # the bit of a unit behind which a value lies
BASE = state()
MODELS = [
    ({"vocab": []}, 3, "vocabulary is empty"),
    ({"vocab": {"a": 1}}, 3, "model.vocab"),
    ({"vocab": [["a"]]}, 3, "model.vocab[0]"),
    ({"vocab": [["a", "b"]]}, 3, "model.vocab[0]"),
    ({"vocab": [[1, 1]]}, 3, "model.vocab[0]"),
    ({"vocab": [["a", 1e300]], "unk_id": 0}, 3, "score"),
    ({"vocab": [["a" * 2000, 0.0]], "unk_id": 0}, 4, "2000 bytes"),
    ({"unk_id": 400000}, 3, "unk_id"),
    ({"unk_id": -1}, 3, "unk_id"),
    ({"unk_id": "1"}, 3, "unk_id"),
    ({"unk_id": None}, 4, "unk_id"),
    ({"byte_fallback": 1}, 3, "byte_fallback"),
]
NORMALIZERS = [
    ({"type": "Precompiled", "precompiled_charsmap": "@@@@"}, 3, "base64"),
    ({"type": "Precompiled", "precompiled_charsmap": "AAA"}, 3, "base64"),
    ({"type": "Precompiled", "precompiled_charsmap": ""}, 3, "cut off"),
    ({"type": "Precompiled"}, 3, "precompiled_charsmap"),
    ({"type": "Precompiled", "precompiled_charsmap": 3}, 3, "precompiled_charsmap"),
    (charsmap([0] * 256, size=4096), 3, "cut off"),
    (charsmap([0] * 256, size=3), 3, "cut off"),
    (charsmap([5000 << 10] + [0] * 255), 3, "outside its array"),
    (charsmap([1 << 10] + [0] * 95 + [LEAF | 97 | 5000 << 10] + [0] * 159), 3, "outside its array"),
    (charsmap([0] * 96 + [7, LEAF | 97 | 1 << 10] + [0] * 158), 3, "outside its text"),
    (charsmap([0] * 97 + [LEAF | 97 | 1 << 10] + [0] * 158, b"\xff\0"), 3, "UTF-8"),
    (charsmap([0] * 97 + [LEAF | 97 | 1 << 10] + [0] * 158, b"x" * 99), 3, "24 characters"),
    ({"type": "Replace", "pattern": {"Regex": "(a|b)*"}, "content": "x"}, 4, "(a|b)*"),
    ({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "xy"}, 4, "Replace"),
    ({"type": "Replace", "pattern": {"String": ""}, "content": "x"}, 4, "empty"),
    ({"type": "Replace", "pattern": {"String": "a" * 99}, "content": "x"}, 4, "99 characters"),
    ({"type": "Replace", "content": "x"}, 3, "pattern"),
    ({"type": "Prepend"}, 3, "prepend"),
    (shuffled(), 4, "different ways"),
    ({"type": "ByteLevel"}, 4, "ByteLevel"),
    (7, 3, "normalizer"),
]

with tempfile.TemporaryDirectory() as directory:
    for model, code, *words in MODELS:
        refused(directory, changed(**model), code, *words)
    for item, code, *words in NORMALIZERS:
        refused(directory, normalized(item), code, *words)
    refused(directory, normalized(*[{"type": "NFC"}] * 17), 4, "steps")
    runs = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "A"}
    replace = lambda a, b: {"type": "Replace", "pattern": {"String": a}, "content": b}
    for items in (
        [replace("\r\n", "\n"), replace("\n\n", "x")],
        [replace("ab", ""), replace("xy", "z")],
        [{"type": "NFC"}, replace("aé", "z")],
    ):
        refused(directory, normalized(*items), 4, "may make a part")
    for behind in ("Lowercase", "NFC", "NFD"):
        refused(directory, normalized(runs, {"type": behind}), 4, behind, "runs of spaces")
    space = runs | {"content": " "}  # it may not act before a step that makes spaces or brings two together
    for before in (replace("_", " "), replace(" a", "b"), replace("a", ""), {"type": "NFKD"}):
        refused(directory, normalized(before, space, {"type": "NFKC"}), 4, "NFKC", "runs of spaces")
    refused(directory, json.dumps(changed(vocab=[["a", 0.0]])).replace('"a"', '"a\\u0000"').encode(), 3)
    metaspace = {"type": "Metaspace", "replacement": "ab", "prepend_scheme": "always"}
    refused(directory, BASE | {"pre_tokenizer": metaspace}, 3, "replacement")
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "often"}
    refused(directory, BASE | {"pre_tokenizer": metaspace}, 3, "prepend_scheme")
    # a double array full of units that lead anywhere, back to themselves too
    for _ in range(300 if T.FULL else 12):
        units = [r.choice([r.randrange(1 << 32), i % 256 | r.randrange(512) << 10]) for i in range(512)]
        done = run(directory, json.dumps(normalized(charsmap(units))).encode())
        check.count += 1
        check.wrong += done.returncode not in (0, 3)
    whole = json.dumps(BASE).encode()
    for _ in range(500 if T.FULL else 12):
        damaged = bytearray(whole)
        for _ in range(r.randrange(1, 20)):
            damaged[r.randrange(len(damaged))] = r.choice(b'0123456789"[]{},:ab\\\xff-.e')
        done = run(directory, bytes(damaged))
        check.count += 1
        check.wrong += done.returncode not in (0, 3, 4)
check.end("files of Unigram")
