"""Segment ids of pairs: a tokenizer returns them only if model_input_names has token_type_ids, in
tokenizer_config.json or else in its class. Compares directories that differ only in this with
transformers."""

import json
import pathlib
import tempfile

from tokenizing import Check, SPECIALS, ask, need, save, wordpiece

need()
try:
    from transformers import AutoTokenizer
except ImportError:
    from tokenizing import skip

    skip("the Python package transformers is not installed")

VOCAB = {word: i for i, word in enumerate([*SPECIALS, "a", "good", "bad", "film"])}
WITH = ["input_ids", "token_type_ids", "attention_mask"]
WITHOUT = ["input_ids", "attention_mask"]
ROLES = {f"{role}_token": f"[{role.upper()}]" for role in ("unk", "sep", "pad", "cls", "mask")}
CASES = [
    {"tokenizer_class": "BertTokenizer"},
    {"tokenizer_class": "BertTokenizer", "model_input_names": WITHOUT},
    {"tokenizer_class": "BertTokenizer", "model_input_names": WITH},
    {"tokenizer_class": "DistilBertTokenizer"},
    {"tokenizer_class": "DistilBertTokenizer", "model_input_names": WITH},
    {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": WITHOUT},
    {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": WITH},
]


def segments(directory, first, second):
    """The segments that a model gets from transformers: 0 for all tokens if the tokenizer returns none."""
    given = AutoTokenizer.from_pretrained(directory)(first, second)
    return given.get("token_type_ids", [0] * len(given["input_ids"]))


check = Check()
with tempfile.TemporaryDirectory() as folder:
    for number, case in enumerate(CASES):
        path = pathlib.Path(folder, str(number))
        where = save(wordpiece(VOCAB, True), path)
        (path / "tokenizer_config.json").write_text(json.dumps(case | ROLES))
        (path / "config.json").write_text(json.dumps({"model_type": "bert"}))
        for pair in (("a good film", "a bad film"), ("a", "good film")):
            (answer,) = ask(*where, [(64, *pair)])
            check.same(answer, {"types": segments(path, *pair)}, case)
check.end("segments")
