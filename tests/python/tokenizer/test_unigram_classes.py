"""Unigram directories with a class of transformers. Release 5 builds the normalizer and pre_tokenizer of
these classes anew; bertc reads the file, as the `tokenizers` library does, and notes where that differs.
Compares the note with what transformers builds, and ids with the file."""

import json
import pathlib
import re
import subprocess
import tempfile

import tokenizing as T

T.need(shared=True)
import unigrams as U
from tokenizers import Tokenizer

try:
    from transformers import AutoTokenizer
except ImportError:
    T.skip("the Python package transformers is not installed")

check = T.Check()
MODEL = U.albert_model()
NOTE = re.compile("transformers 5 reads these parts differently: [a-z ,]*(normalizer|pre_tokenizer)")
CASES = [  # class, model_type, normaliser, WhitespaceSplit, settings
    ("AlbertTokenizer", "albert", "albert", False, {}),
    ("AlbertTokenizer", "albert", "albert5", True, {}),
    ("AlbertTokenizer", "albert", "albert5", True, {"do_lower_case": False}),
    ("AlbertTokenizer", "albert", "albert5", True, {"keep_accents": True}),
    ("XLMRobertaTokenizer", "xlm-roberta", "xlm-r", False, {}),
    ("XLMRobertaTokenizer", "xlm-roberta", "xlm-r5", True, {}),
    ("CamembertTokenizer", "camembert", "xlm-r5", False, {}),
    ("XLNetTokenizer", "xlnet", "xlnet", True, {}),
    ("DebertaV2Tokenizer", "deberta-v2", "deberta", False, {}),
    ("DebertaV2Tokenizer", "deberta-v2", "deberta5", False, {}),
]
ROLES = dict.fromkeys(("AlbertTokenizer", "DebertaV2Tokenizer"), ("[CLS]", "[SEP]", "[MASK]"))
TEXTS = ["Hello  world ﬁve", "Größe it's -well-known ", "１２ x"]


def parts(tok):
    state = json.loads(tok.to_str())
    pre = state["pre_tokenizer"]
    items = pre["pretokenizers"] if pre["type"] == "Sequence" else [pre]
    normal = state["normalizer"]
    steps = normal["normalizers"] if normal and normal["type"] == "Sequence" else [normal]
    return steps, items


def pieces_of(name):
    cls, sep, mask = ROLES.get(name, ("<s>", "</s>", "<mask>"))
    if name == "XLNetTokenizer":
        cls, sep = "<cls>", "<sep>"
    special = (
        [cls, "<pad>", sep, "<unk>", mask]
        if name != "DebertaV2Tokenizer"
        else [cls, "[PAD]", sep, "[UNK]", mask]
    )
    return [(t, 0.0) for t in special] + [(t, s) for t, s, _ in MODEL.pieces[5:4000]]


for name, model_type, kind, drop, settings in CASES:
    tok = U.unigram(MODEL, kind, drop=drop, pieces=pieces_of(name), unk_id=3)
    with tempfile.TemporaryDirectory() as directory:
        where = T.save(tok, directory)
        pathlib.Path(directory, "config.json").write_text(json.dumps({"model_type": model_type}))
        config = {"tokenizer_class": name} | settings
        pathlib.Path(directory, "tokenizer_config.json").write_text(json.dumps(config))
        rebuilt = AutoTokenizer.from_pretrained(directory).backend_tokenizer
        command = [T.driver_path(), *where]
        done = subprocess.run(command, input=b"9 x61\n", capture_output=True, text=False)
        differs = parts(rebuilt) != parts(Tokenizer.from_file(f"{directory}/tokenizer.json"))
        noted = bool(NOTE.search(done.stderr.decode()))
        check.same({"noted": noted}, {"noted": differs}, (name, kind, drop, settings))
        answers = T.ask(*where, [(T.PLENTY, text) for text in TEXTS])
        file = Tokenizer.from_file(f"{directory}/tokenizer.json")
        for text, got in zip(TEXTS, answers):
            check.same({"ids": got["ids"]}, {"ids": file.encode(text).ids}, (name, kind, text))
# As XLNetTokenizer saves itself: the texts of a pair, then <cls>. transformers 5 ignores keep_accents.
from transformers import XLNetTokenizer

for settings in ({}, {"do_lower_case": True}, {"keep_accents": True, "do_lower_case": True}):
    with tempfile.TemporaryDirectory() as directory:
        pieces = pieces_of("XLNetTokenizer")
        saved = XLNetTokenizer(pieces, 3, _spm_precompiled_charsmap=MODEL.charsmap, **settings)
        saved.save_pretrained(directory)
        tok = AutoTokenizer.from_pretrained(directory)
        rows = [(text,) for text in [*TEXTS, "", "a <mask> b <cls>``c''"]] + [("Größe it", "ﬁve it's")]
        answers = T.ask(directory, "tokenizer.json", [(T.PLENTY, *row) for row in rows])
        for row, got in zip(rows, answers):
            want = tok(*row)["input_ids"]
            assert want[-1] == tok.cls_token_id
            check.same({"ids": got["ids"]}, {"ids": want}, (settings, row))
check.end("classes of Unigram")
