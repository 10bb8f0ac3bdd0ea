"""Compares the reading of vocab.txt with tokenizer_config.json and special_tokens_map.json with
transformers' BertTokenizer on the same directory. Broken files and unsupported settings: exit 3 and 4,
with the found value in the message."""

import json
import pathlib
import subprocess
import tempfile

import tokenizing as T

T.need()
try:
    from transformers import BertTokenizer
except ImportError:
    T.skip("the Python package transformers is not installed")

WORDS = [
    *T.SPECIALS,
    "a",
    "##a",
    "é",
    "##é",
    "e",
    "##e",
    "hé",
    "he",
    "中",
    "文",
    "中文",
    "<",
    "q",
    ">",
    "!",
    "a",
    "Q",
    "",
    "[",
    "]",
    "x\u00a0y",
]
TEXT = "Hé [MASK]  中文 <q> aé! <Q>  [SEP] aa [CLS][mask] É"
LSTRIP = {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
CONFIGS = [
    ({}, None),
    ({"do_lower_case": False, "model_max_length": 512}, None),
    ({"do_lower_case": True, "strip_accents": False}, None),
    ({"do_lower_case": False, "strip_accents": True, "model_max_length": 10**30}, {"unk_token": "[UNK]"}),
    ({"tokenize_chinese_chars": False, "strip_accents": None}, None),
    ({}, {"mask_token": LSTRIP, "additional_special_tokens": ["<q>"]}),
    ({"cls_token": "<q>", "sep_token": "!"}, None),
    (
        {
            "added_tokens_decoder": {
                "4": LSTRIP | {"special": True},
                "26": LSTRIP | {"content": "<q>", "normalized": True, "special": False},
            }
        },
        None,
    ),
]
check = T.Check()


def write(directory, config, special, vocab="\n".join(WORDS) + "\n"):
    path = pathlib.Path(directory)
    path.mkdir()
    (path / "vocab.txt").write_bytes(vocab.encode() if isinstance(vocab, str) else vocab)
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"} | config))
    if special is not None:
        (path / "special_tokens_map.json").write_text(json.dumps(special))
    return str(path)


def refused(directory, name, text, code, *words):
    path = pathlib.Path(directory, name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    done = subprocess.run([T.driver_path(), directory, name], input=b"", capture_output=True)
    message = done.stderr.decode()
    check.count += 1
    if done.returncode != code or not all(w in message for w in words) or done.stdout:
        check.wrong += 1
        print(f"{text[:200]!r}: exit {done.returncode}, expected {code}; {message!r} should have {words}")


GOOD = {
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3},
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "normalizer": {"type": "BertNormalizer"},
    "added_tokens": [],
}


def changed(*path, to):
    """GOOD with one value replaced."""
    root = json.loads(json.dumps(GOOD))
    at = root
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = to
    return json.dumps(root)


with tempfile.TemporaryDirectory() as temporary:
    for number, (config, special) in enumerate(CONFIGS):
        directory = write(f"{temporary}/{number}", config, special)
        tok = BertTokenizer.from_pretrained(directory)
        for text in [TEXT, TEXT.upper(), TEXT[::-1]]:
            (got,) = T.ask(directory, "vocab.txt", [(T.PLENTY, text)])
            check.same(got, {"ids": tok(text)["input_ids"]}, (config, special, text))
    directory = write(f"{temporary}/crlf", {}, None, "\r\n".join(WORDS))
    check.same(T.ask(directory, "vocab.txt", [(99, "a é")])[0], {"ids": [2, 20, 9, 3]}, "CR LF")

    d = f"{temporary}/0"
    refused(d, "vocab.txt", "[UNK]\n\xff".encode("latin-1"), 3, "vocab.txt:2", "UTF-8")
    refused(d, "vocab.txt", "[UNK]\na\0b\n", 3, "vocab.txt:2")
    refused(d, "vocab.txt", "a\nb\n[CLS]\n[SEP]\n", 3, "[UNK]")
    refused(d, "vocab.txt", "[UNK]\na\n", 3, "[CLS]")
    refused(d, "vocab.txt", "", 3, "empty")
    t = "tokenizer.json"
    for text in (
        "",
        "{",
        "[]",
        "7",
        '"x"',
        "{}",
        "[" * 100000,
        '{"model":' * 100,
        '{"a":1,"a":2}',
        '{"model":{"type":"WordPiece","vocab":{"\\ud800":1}}}',
    ):
        refused(d, t, text, 3, t)
    refused(d, t, changed("model", "type", to="Nosuch"), 4, "Nosuch", "WordPiece")
    refused(d, t, changed("model", "type", to="Unigram"), 3, "vocab", "array of pieces")
    refused(d, t, changed("model", "type", to=7), 3, "type")
    refused(d, t, changed("model", "vocab", to=[]), 3, "vocab", "an array")
    refused(d, t, changed("model", "vocab", to={}), 3, "empty")
    refused(d, t, changed("model", "vocab", to={"a": 0}), 3, "[UNK]")
    refused(d, t, changed("model", "vocab", to={"[UNK]": 0, "a": 0}), 3, "same id", '"a"')
    for bad in (-1, 1 << 24, 1 << 40, 1.5, "3", None, []):
        refused(d, t, changed("model", "vocab", to={"[UNK]": 0, "a": bad}), 3, '"a"')
    refused(d, t, changed("model", "vocab", to={"[UNK]": 0, "a": (1 << 24) - 1}), 4, "unused ids")
    refused(d, t, changed("model", "vocab", to={"[UNK]": 0, "a" * 5000: 1}), 4, "5000")
    refused(d, t, changed("model", "max_input_chars_per_word", to=1 << 50), 4, "max_input_chars_per_word")
    refused(d, t, changed("model", "max_input_chars_per_word", to=-1), 3, "max_input_chars_per_word")
    refused(d, t, changed("model", "continuing_subword_prefix", to=1), 3, "continuing_subword_prefix")
    refused(d, t, changed("normalizer", to={"type": "NFKC\n\x1b[31m"}), 4, "NFKC", "BertNormalizer")
    refused(
        d,
        t,
        changed(
            "normalizer", to={"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Nosuch"}]}
        ),
        4,
        "Nosuch",
    )
    refused(d, t, changed("normalizer", to={"type": "BertNormalizer", "lowercase": "yes"}), 3, "lowercase")
    refused(d, t, changed("normalizer", to=5), 3, "normalizer")
    refused(d, t, changed("pre_tokenizer", to={"type": "Nosuch"}), 4, "Nosuch", "BertPreTokenizer")
    refused(d, t, changed("post_processor", to={"type": "RobertaProcessing"}), 3, "cls")
    template = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {},
    }
    pair = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
    refused(d, t, changed("post_processor", to=template), 3, "pair", "missing")
    refused(d, t, changed("post_processor", to=template | {"pair": pair[:1]}), 4, "pair", "B 0")
    refused(d, t, changed("post_processor", to=template | {"pair": pair + pair}), 4, "A 2 times")
    refused(
        d,
        t,
        changed(
            "post_processor", to=template | {"pair": pair + [{"SpecialToken": {"id": "[SEP]", "type_id": 0}}]}
        ),
        3,
        "[SEP]",
    )
    refused(
        d,
        t,
        changed(
            "post_processor",
            to=template
            | {
                "pair": pair + [{"SpecialToken": {"id": "x", "type_id": 0}}],
                "special_tokens": {"x": {"ids": [-5]}},
            },
        ),
        3,
        '"x"',
    )
    refused(d, t, changed("post_processor", to=template | {"pair": pair + [7] * 9}), 3, "neither")
    refused(
        d,
        t,
        changed(
            "post_processor",
            to=template
            | {
                "pair": pair + [{"SpecialToken": {"id": "x", "type_id": 0}}] * 90,
                "special_tokens": {"x": {"ids": [1]}},
            },
        ),
        4,
        "64",
    )
    refused(
        d,
        t,
        changed("post_processor", to={"type": "BertProcessing", "sep": ["[SEP]", "2"], "cls": ["[CLS]", 1]}),
        3,
        "sep",
    )
    refused(d, t, changed("added_tokens", to={}), 3, "added_tokens")
    refused(d, t, changed("added_tokens", to=[5]), 3, "added_tokens[0]")
    refused(d, t, changed("added_tokens", to=[{"id": 9}]), 3, "content")
    refused(d, t, changed("added_tokens", to=[{"id": -9, "content": "x"}]), 3, "id")
    refused(d, t, changed("added_tokens", to=[{"id": 9, "content": "x" * 2000}]), 4, "2000")
    (pathlib.Path(d) / "tokenizer_config.json").write_text("{")
    refused(d, t, json.dumps(GOOD), 3, "tokenizer_config.json")
    refused(d, "../escape.json", json.dumps(GOOD), 3)
check.end("tokenizer files")
