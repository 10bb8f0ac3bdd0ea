"""Keys of tokenizer_config.json, special_tokens_map.json, added_tokens.json and tokenizer.json that change
ids, and keys that do not: directories that differ in one key, compared with transformers' AutoTokenizer. Each
is read with tokenizer.json and with vocab.txt. Wrong values: exit 3, with the key in the message."""

import json
import pathlib
import subprocess
import tempfile

import tokenizing as T

T.need()
try:
    from transformers import AutoTokenizer
except ImportError:
    T.skip("the Python package transformers is not installed")

WORDS = [
    *T.SPECIALS,
    "[unused0]",
    "[unused1]",
    "[",
    "]",
    "<",
    ">",
    "un",
    "##used",
    "##0",
    "##1",
    "mask",
    "film",
]
WORDS += ["hello", "Hello", "hé", "Hé", "HÉ", "he", "He", "H", "h", "##e", "中", "文", "##文", "q", "x"]
WORDS += list("abcdefgijklmnop") + ["I", "hi", "I'm"]
VOCAB = {word: i for i, word in enumerate(WORDS)}
NEW = len(VOCAB)
BASE = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
TEXTS = [
    ("a [unused0] film",),
    ("Hello Hé HÉ hé [MASK]  x",),
    ("中文 a<q> [unused1] [SEP]",),
    (" ".join("abcdefgijklm"),),
    (" ".join("abcdefg"), " ".join("ijklmnop")),
    ("a <x>b<q>[unused0]film",),
]
LIMIT = 8


def token(content, **flags):
    plain = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": False}
    return {"content": content} | plain | flags


def without(*keys):
    return {key: None for key in keys}  # None removes a key of BASE


BOTH = [  # tokenizer_config.json, special_tokens_map.json, added_tokens.json
    ({},),
    ({"truncation_side": "left"},),
    ({"truncation_side": "right"},),
    ({"padding_side": "left", "truncation_strategy": "only_first", "max_length": 4, "stride": 2},),
    ({"additional_special_tokens": ["[unused0]"]},),
    ({"additional_special_tokens": ["<q>", "[unused0]", token("<x>", rstrip=True, __type="AddedToken")]},),
    ({"extra_special_tokens": ["[unused0]", "<q>"]},),
    ({"extra_special_tokens": {"image_token": "[unused0]"}},),
    ({"added_tokens_decoder": {"5": token("[unused0]", special=True)}},),
    ({"added_tokens_decoder": {"5": token("[unused0]", normalized=True, lstrip=True)}},),
    ({"added_tokens_decoder": {str(NEW): token("<q>"), str(NEW + 1): token("<x>", single_word=True)}},),
    ({"added_tokens_decoder": {"5": token("[unused0]")}}, {"additional_special_tokens": ["[unused1]"]}),
    ({}, {"additional_special_tokens": ["[unused0]"], "mask_token": token("[MASK]", lstrip=True)}),
    ({}, None, {"<q>": NEW, "[unused0]": VOCAB["[unused0]"]}),
    ({"additional_special_tokens": ["<q>"]}, None, {"<q>": NEW}),
    ({"bos_token": "[unused0]", "eos_token": "<q>"},),
    ({"do_lower_case": False},),
    (without("do_lower_case"),),
    (without("tokenizer_class"),),
    (without("tokenizer_class", "do_lower_case"),),
    ({"strip_accents": False},),
    ({"strip_accents": True, "do_lower_case": False},),
    ({"strip_accents": None, "do_lower_case": False},),
    ({"tokenize_chinese_chars": False},),
    ({"do_basic_tokenize": False, "never_split": ["[unused0]", "film"], "wordpieces_prefix": "@@"},),
    ({"add_prefix_space": True, "clean_up_tokenization_spaces": True, "clean_text": False},),
    ({"model_input_names": ["input_ids", "attention_mask"]},),
    ({"split_special_tokens": True},),
    (
        {
            "split_special_tokens": True,
            "added_tokens_decoder": {"5": token("[unused0]"), "8": token("]", special=True)},
        },
    ),
    ({"model_max_length": 10**30, "name_or_path": "x", "backend": "tokenizers"},),
]


def normalizer(**members):
    return lambda state: state["normalizer"].update(members)


def truncation(direction):
    def change(state):
        state["truncation"] = dict(direction=direction, max_length=3, strategy="LongestFirst", stride=0)

    return change


def added(*tokens):
    return lambda state: state["added_tokens"].extend(
        {"id": VOCAB.get(t["content"], NEW)} | t for t in tokens
    )


def no_mask(state):
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] != "[MASK]"]


FILE = [  # a change to tokenizer.json, then as above
    (normalizer(lowercase=False), {}),
    (normalizer(lowercase=False), without("do_lower_case")),
    (normalizer(lowercase=False), without("do_lower_case", "tokenizer_class")),
    (normalizer(lowercase=False), {"tokenizer_class": "DistilBertTokenizerFast"}),
    (normalizer(lowercase=False), {"tokenizer_class": "ElectraTokenizer"}),
    (normalizer(lowercase=False), {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}),
    (normalizer(strip_accents=False), {}),
    (normalizer(handle_chinese_chars=False), {}),
    (normalizer(lowercase=False, strip_accents=True), {"do_lower_case": False}),
    (truncation("Left"), {}),
    (truncation("Left"), {"truncation_side": "right"}),
    (truncation("Right"), {"truncation_side": "left"}),
    (no_mask, {}),
    (no_mask, without("tokenizer_class")),
    (no_mask, {"tokenizer_class": "PreTrainedTokenizerFast"}),
    (added(token("[unused0]", special=True), token("<q>", rstrip=True)), {}),
    (added(token("[unused0]", lstrip=True)), {"additional_special_tokens": ["[unused0]"]}),
    (
        added(token("[unused0]", special=True, lstrip=True), token("<q>")),
        {
            "added_tokens_decoder": {
                "5": token("[unused0]", special=True),
                str(NEW): token("<q>", rstrip=True),
            }
        },
    ),
]
WRONG = [
    ({"truncation_side": "middle"}, "truncation_side"),
    ({"truncation_side": 1}, "truncation_side"),
    ({"split_special_tokens": "yes"}, "split_special_tokens"),
    ({"do_lower_case": "yes"}, "do_lower_case"),
    ({"strip_accents": 1}, "strip_accents"),
    ({"tokenize_chinese_chars": []}, "tokenize_chinese_chars"),
    ({"bos_token": 7}, "bos_token"),
    ({"additional_special_tokens": "x"}, "additional_special_tokens"),
    ({"added_tokens_decoder": []}, "added_tokens_decoder"),
]
check = T.Check()


def write(path, change, config, special=None, added=None):
    path = pathlib.Path(path)
    tok = T.wordpiece(VOCAB, True)
    if change:
        T.save(tok, path)
        state = json.loads((path / "tokenizer.json").read_text())
        change(state)
        (path / "tokenizer.json").write_text(json.dumps(state))
    else:
        path.mkdir()
        (path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    config = {
        key: value for key, value in (BASE | config).items() if value is not None or key == "strip_accents"
    }
    for name, value in (
        ("config.json", {"model_type": "bert"}),
        ("tokenizer_config.json", config),
        ("special_tokens_map.json", special),
        ("added_tokens.json", added),
    ):
        if value is not None:
            (path / name).write_text(json.dumps(value))
    return str(path), "tokenizer.json" if change else "vocab.txt"


def compare(where, what):
    tok = AutoTokenizer.from_pretrained(where[0])
    requests = [(limit, *text) for text in TEXTS for limit in (T.PLENTY, LIMIT)]
    answers = [*T.ask(*where, requests), *T.ask(*where, requests, "--compat=transformers5")]
    for (limit, *text), got in zip(requests * 2, answers):
        given = tok(*text, truncation=True, max_length=limit)
        types = given.get("token_type_ids", [0] * len(given["input_ids"]))
        if tok.__class__.__name__ == "TokenizersBackend":
            types = got["types"]  # releases of transformers differ: test_segments.py
        check.same(got, {"ids": given["input_ids"], "types": types}, (what, limit, text))


def refused(where, key):
    done = subprocess.run([T.driver_path(), *where], input=b"", capture_output=True)
    check.count += 1
    if done.returncode != 3 or key not in done.stderr.decode() or done.stdout:
        check.wrong += 1
        print(f"{key}: exit {done.returncode}: {done.stderr.decode()}")


with tempfile.TemporaryDirectory() as temporary:
    for number, case in enumerate(BOTH):
        compare(write(f"{temporary}/v{number}", None, *case), case)
        compare(write(f"{temporary}/j{number}", lambda state: None, *case), case)
    for number, (change, *case) in enumerate(FILE):
        compare(write(f"{temporary}/f{number}", change, *case), (number, case))
    for number, (config, key) in enumerate(WRONG):
        refused(write(f"{temporary}/w{number}", None, config), key)
    refused(write(f"{temporary}/wd", truncation("Up"), {}), "direction")
check.end("keys of tokenizer_config.json")
