"""Compares the reading of files beside vocab.json and tokenizer.json of byte-level BPE with transformers'
RobertaTokenizer on the same directory: added tokens, their order and flags, add_prefix_space,
trim_offsets. Broken and hostile files: exit 3 and 4, with file and key in the message."""

import json
import pathlib
import subprocess
import sys
import tempfile

import tokenizing as T

T.need()
try:
    from transformers import AutoTokenizer, RobertaTokenizer
except ImportError:
    T.skip("the Python package transformers is not installed")
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "golden"))
import make_tokenizer

VOCAB, MERGES = make_tokenizer.train_byte_level(500)
SIZE = len(VOCAB)
VERSION = "#version: 0.2\n"
LINES = VERSION + "".join(f"{a} {b}\n" for a, b in MERGES)
TEXTS = [
    "it's <mask> and  <mask>\u00a0x <q> Größe<q> <r>  <z>",
    " lead <s></s> <pad><unk> STRASSE <w>",
    "",
    "a",
]
PAIRS = [(a, b) for a in TEXTS for b in TEXTS]


def token(content, **flags):
    plain = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    return {"content": content} | plain | flags


# releases of transformers differ in the default
MASK = {"mask_token": token("<mask>", lstrip=True, __type="AddedToken")}
CASES = [  # tokenizer_config.json, special_tokens_map.json, added_tokens.json
    (MASK, None, None),
    (MASK | {"add_prefix_space": True}, None, None),
    (MASK | {"trim_offsets": False}, None, None),
    (MASK | {"truncation_side": "left"}, None, None),
    (MASK | {"truncation_side": "left", "add_prefix_space": True}, None, None),
    (MASK | {"add_prefix_space": True, "trim_offsets": False}, None, None),
    (MASK, None, {"<q>": SIZE + 1, "<r>": SIZE}),
    (MASK | {"additional_special_tokens": ["<r>"]}, None, {"<r>": SIZE, "<q>": SIZE + 1, "<z>": SIZE + 2}),
    ({}, None, {"<mask>": VOCAB["<mask>"], "<q>": SIZE}),
    ({}, {"mask_token": token("<mask>", lstrip=True), "additional_special_tokens": ["<q>", "<r>"]}, None),
    (MASK | {"extra_special_tokens": ["<w>", "<q>"]}, None, None),
    (MASK, {"cls_token": "</s>", "sep_token": "<s>"}, None),
    (  # with added_tokens_decoder the other two files are ignored, and ids give the order
        {
            "added_tokens_decoder": {
                str(SIZE + 1): token("<r>", special=False, normalized=True),
                str(SIZE): token("<q>", special=True, rstrip=True),
                str(VOCAB["<mask>"]): token("<mask>", special=True),
            }
        },
        {"cls_token": "</s>", "mask_token": token("<mask>", lstrip=True)},
        {"<z>": SIZE + 2},
    ),
]
check = T.Check()


def write(path, config, special=None, added=None, merges=LINES, name="RobertaTokenizer"):
    path = pathlib.Path(path)
    path.mkdir()
    make_tokenizer.write_json(path / "vocab.json", VOCAB)
    (path / "merges.txt").write_bytes(merges.encode() if isinstance(merges, str) else merges)
    make_tokenizer.write_json(path / "config.json", {"model_type": "roberta"})
    make_tokenizer.write_json(path / "tokenizer_config.json", {"tokenizer_class": name} | config)
    for file, value in (("special_tokens_map.json", special), ("added_tokens.json", added)):
        if value is not None:
            make_tokenizer.write_json(path / file, value)
    return path


def same(path, file, what):
    tok = AutoTokenizer.from_pretrained(path)
    assert isinstance(tok, RobertaTokenizer), type(tok)
    for limit in (T.PLENTY, 9, 14):
        tok.backend_tokenizer.enable_truncation(limit, direction=tok.truncation_side)
        requests = [(limit, text) for text in TEXTS] + [(limit, *pair) for pair in PAIRS]
        for texts, got in zip(requests, T.ask(path, file, requests)):
            want = T.expected(tok.backend_tokenizer.encode(*texts[1:]), *texts[1:])
            check.same(got, want, (what, texts))


def refused(path, file, code, *words):
    done = subprocess.run([T.driver_path(), path, file], input=b"", capture_output=True, timeout=60)
    message = done.stderr.decode()
    check.count += 1
    if done.returncode != code or not all(w in message for w in words) or done.stdout:
        check.wrong += 1
        print(f"{path.name}/{file}: exit {done.returncode}, expected {code}; {message!r} should have {words}")


def accepted(path, file, text, want, what):
    (got,) = T.ask(path, file, [(T.PLENTY, text)])
    check.same(got, {"ids": want}, what)


def save_changed(path, change):
    """tokenizer.json of a saved RobertaTokenizer, changed."""
    tok = RobertaTokenizer(vocab=VOCAB, merges=MERGES)
    tok.save_pretrained(path)
    make_tokenizer.write_json(path / "config.json", {"model_type": "roberta"})
    state = json.loads((path / "tokenizer.json").read_text())
    change(state)
    (path / "tokenizer.json").write_text(json.dumps(state))


def set_prefix(state):
    state["pre_tokenizer"]["add_prefix_space"] = True
    state["post_processor"].update(add_prefix_space=True, trim_offsets=False)


def drop_added(state):
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] not in ("<unk>", "<pad>")]


def hostile_merges(directory):
    cases = [
        ("three", VERSION + "a b c\n", 3, "merges.txt", "merge 0"),
        ("one", VERSION + "ab\n", 3, "merges.txt", "merge 0"),
        ("nul", VERSION + "a\0z b\n", 3, "merges.txt", "merge 0"),
        ("bytes", VERSION.encode() + b"\xff \xfe\n", 3, "merges.txt", "UTF-8"),
        ("unknown", VERSION + "\u4e00 \u4e01\n", 3, "merges.txt", "is not in the vocabulary"),
        ("long", VERSION + "a" * 5000 + " b\n", 3, "merges.txt", "merge 0"),
        ("empty-part", VERSION + " b\n", 3, "merges.txt", "merge 0"),
    ]
    for name, text, code, *words in cases:
        refused(write(directory / name, MASK, merges=text), "vocab.json", code, *words)
    spelled = [VOCAB[c] for c in "its"]
    for name, text in (("none", ""), ("version", VERSION), ("versions", VERSION * 3)):
        path = write(directory / name, MASK, merges=text)
        accepted(path, "vocab.json", "its", [VOCAB["<s>"], *spelled, VOCAB["</s>"]], name)
    path = write(directory / "crlf", MASK, merges=LINES.replace("\n", "\r\n"))
    want = RobertaTokenizer(vocab=VOCAB, merges=MERGES)("Größe it's")["input_ids"]
    accepted(path, "vocab.json", "Größe it's", want, "CR LF")
    path = write(directory / "end", MASK, merges=LINES.rstrip("\n"))
    accepted(path, "vocab.json", "Größe it's", want, "no line end at the end")


def hostile_vocab(directory):
    cases = [
        ("array", "[]", 3, "vocab.json", "an array"),
        ("deep", "[" * 100000, 3, "vocab.json", "nested"),
        ("deeper", '{"a":' * 5000, 3, "vocab.json"),
        ("negative", '{"<s>": 0, "</s>": -1}', 3, "vocab.json", "out of range"),
        ("huge", '{"<s>": 0, "</s>": 99999999999}', 3, "vocab.json", "out of range"),
        ("holes", '{"<s>": 0, "</s>": 16777215}', 4, "vocab.json", "unused ids"),
        ("twice", '{"<s>": 0, "</s>": 0}', 3, "vocab.json", "same id"),
        ("latin", b'{"<s>": 0, "\xff": 1}', 3, "vocab.json"),
        ("surrogate", '{"<s>": 0, "\\ud800": 1}', 3, "vocab.json"),
        ("nul", '{"<s>": 0, "a\\u0000": 1}', 3, "vocab.json"),
        ("no-ends", '{"a": 0}', 3, "<s>"),
    ]
    for name, text, code, *words in cases:
        path = write(directory / f"v-{name}", MASK, merges="")
        (path / "vocab.json").write_bytes(text.encode() if isinstance(text, str) else text)
        refused(path, "vocab.json", code, *words)
    for name, value, *words in (
        ("list", [], "an array"),
        ("text", {"<q>": "7"}, "<q>", "a string"),
        ("negative", {"<q>": -7}, "<q>", "out of range"),
        ("huge", {"<q>": 1 << 70}, "<q>", "out of range"),
    ):
        path = write(directory / f"a-{name}", MASK, None, value)
        refused(path, "vocab.json", 3, "added_tokens.json", *words)
    for key, value in (("add_prefix_space", 1), ("trim_offsets", "yes"), ("extra_special_tokens", 7)):
        refused(write(directory / f"k-{key}", MASK | {key: value}), "vocab.json", 3, key)


with tempfile.TemporaryDirectory() as temporary:
    directory = pathlib.Path(temporary)
    for number, (config, special, added) in enumerate(CASES):
        same(write(directory / f"older{number}", config, special, added), "vocab.json", (config, added))
    for number, change in enumerate((lambda state: None, set_prefix, drop_added)):
        for more in ({}, {"add_prefix_space": True}, {"trim_offsets": False}):
            path = directory / f"json{number}{len(more)}{'trim_offsets' in more}"
            save_changed(path, change)
            config = json.loads((path / "tokenizer_config.json").read_text())
            for key in ("add_prefix_space", "trim_offsets"):
                config.pop(key, None)
            make_tokenizer.write_json(path / "tokenizer_config.json", config | more)
            same(path, "tokenizer.json", (change.__name__, more))
    hostile_merges(directory)
    hostile_vocab(directory)
check.end("files of byte-level BPE")
