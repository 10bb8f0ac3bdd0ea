"""Where a good guess about tokenizers is wrong: a directory for each surprise, with the value that the
library computes, and the words that make it a surprise. The other tests here compare many texts; this one
names the rules."""

import json
import pathlib
import tempfile

import tokenizing as T

T.need(shared=True)
import unigrams as U
from tokenizers import AddedToken, Tokenizer, models, normalizers as N, pre_tokenizers as P, processors

try:
    from transformers import AutoTokenizer
except ImportError:
    T.skip("the Python package transformers is not installed")

OPTION = "--compat=transformers5"
check = T.Check()
MODEL = U.albert_model()
folder = tempfile.TemporaryDirectory()
count = 0


def write(tok, name=None, model_type=None, **config):
    """A directory with this tokenizer.json, and a class."""
    global count
    count += 1
    where = T.save(tok, pathlib.Path(folder.name, str(count)))
    path = pathlib.Path(where[0])
    if name:
        (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name} | config))
        (path / "config.json").write_text(json.dumps({"model_type": model_type}))
    return where


def as_file(rule, tok, where, *text, limit=T.PLENTY):
    """As the tokenizers library. The tokens."""
    (got,) = T.ask(*where, [(limit, *text)])
    encoding = tok.encode(*text)
    check.same(got, T.expected(encoding, *text), (rule, text))
    return encoding.tokens


def as_release5(rule, where, *text, options=(OPTION,)):
    """As AutoTokenizer of release 5. The tokens, and the segments."""
    tok = AutoTokenizer.from_pretrained(where[0])
    given = tok(*text)
    types = given.get("token_type_ids", [0] * len(given["input_ids"]))
    (got,) = T.ask(*where, [(T.PLENTY, *text)], *options)
    check.same(got, {"ids": given["input_ids"], "types": types}, (rule, text))
    return tok.convert_ids_to_tokens(given["input_ids"]), types


def holds(rule, got, want):
    check.same({"surprise": got}, {"surprise": want}, rule)


def template(single, pair, tok, *tokens):
    return processors.TemplateProcessing(single, pair, [(t, tok.token_to_id(t)) for t in tokens])


VOCAB = {w: i for i, w in enumerate([*T.SPECIALS, "hello", "Hello", "a", "b", "ab"])}

# 1: the class's settings replace those of tokenizer.json
where = write(T.wordpiece(VOCAB, False), "BertTokenizer", "bert")
holds(1, as_release5(1, where, "Hello", options=())[0][1], "hello")

# 2: DeBERTa-v2 without its character map
pieces = [(t, 0.0) for t in ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")]
pieces += [("▁", -2.0), ("▁five", -4.0), ("▁12", -4.0), ("▁a", -3.0), ("b", -5.0)]
tok = U.unigram(MODEL, "deberta", pieces=pieces, unk_id=3)
where = write(tok, "DebertaV2Tokenizer", "deberta-v2")
holds(2, as_file(2, tok, where, "ﬁve １２")[1:-1], ["▁five", "▁12"])
holds(2, as_release5(2, where, "ﬁve １２")[0][1:-1], ["▁", "[UNK]", "▁", "[UNK]"])

# 3: pairs of DeBERTa
tok = Tokenizer(models.BPE({"[CLS]": 0, "[SEP]": 1, "a": 2, "b": 3, "[UNK]": 4, "[PAD]": 5, "[MASK]": 6}, []))
tok.pre_tokenizer = P.ByteLevel(add_prefix_space=False)
tok.post_processor = template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", tok, "[CLS]", "[SEP]")
where = write(tok, "DebertaTokenizer", "deberta")
holds(3, as_file(3, tok, where, "a", "b"), ["[CLS]", "a", "[SEP]", "b", "[SEP]"])
holds(3, as_release5(3, where, "a", "b"), (["[CLS]", "a", "[SEP]", "[SEP]", "b", "[SEP]"], [0] * 6))

# 4: segments only where model_input_names has them
tok = U.unigram(MODEL, "albert5", drop=True)
where = write(tok, "AlbertTokenizer", "albert")
as_file(4, tok, where, "a", "b")
holds(4, set(as_release5(4, where, "a", "b")[1]), {0})
names = ["input_ids", "token_type_ids"]
where = write(tok, "AlbertTokenizer", "albert", model_input_names=names)
for options in ((), (OPTION,)):
    holds(4, set(as_release5(4, where, "a", "b", options=options)[1]), {0, 1})

# 5, the space before <mask>: test_transformers5.py; 6, user-defined pieces of .model files: test_spm.py

# 7: a character without a token, with and without byte fallback
tok = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
holds(7, as_file(7, tok, write(tok), "axb"), ["ab"])
vocab = {"<unk>": 0, "a": 1} | {f"<0x{byte:02X}>": byte + 2 for byte in range(256)}
tok = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True))
as_file(7, tok, write(tok), "axéa")

# 8: of equal scores the longest last piece; the price of an unknown
pieces = [("<unk>", -1.0), ("a", -1.0), ("aa", -2.0), ("aaa", -3.0), ("b", -2.0)]
tok = Tokenizer(models.Unigram(pieces, unk_id=0))
holds(8, as_file(8, tok, write(tok), "aaaa"), ["a", "aaa"])
holds(8, as_file(8, tok, write(tok), "xyb"), ["xy", "b"])

# 9: the character map and combining marks
tok = U.unigram(MODEL, "xlm-r5")
where = write(tok)
as_file(9, tok, where, "Vie\u0302\u0323t")
tok.normalizer = N.Sequence([N.Precompiled(MODEL.charsmap)])
mapped = tok.normalizer.normalize_str("Vie\u0323\u0302t")
holds(9, mapped == "Việt", False)
as_file(9, tok, where, "Vie\u0323\u0302t")

# 10: Metaspace "first" behind added tokens and stripped spaces; ByteLevel looks for U+0020
tok = U.unigram(MODEL, "none", "first", added=[AddedToken("<x>", normalized=False)])
where = write(tok)
holds(10, "▁" in as_file(10, tok, where, "<x>hello")[2], False)
as_file(10, tok, where, "hello <x> hello")
tok.normalizer = N.Strip()
where = write(tok)
holds(10, as_file(10, tok, where, " hello")[1][0] == "▁", False)
tok = Tokenizer(models.BPE({"Ġ": 0, "a": 1, "Â": 2, "ł": 3, "Ġa": 4}, [("Ġ", "a")]))
tok.pre_tokenizer = P.ByteLevel(add_prefix_space=True)
where = write(tok)
holds(10, as_file(10, tok, where, "\u00a0a")[0], "Ġ")
holds(10, as_file(10, tok, where, " a"), ["Ġa"])

# 11: the odd place of a pair; the file's own truncation does not count
tok = T.wordpiece(VOCAB, True)
tok.enable_truncation(5)
where = write(tok)
tok.enable_truncation(20)  # 17 places
for first, second, want in ((30, 30, (8, 9)), (31, 30, (9, 8)), (30, 31, (8, 9))):
    texts = ("a " * first, "b " * second)
    tokens = as_file(11, tok, where, *texts, limit=20)
    holds(11, (tokens.count("a"), tokens.count("b")), want)
tok.no_truncation()
as_file(11, tok, where, "a " * 30)
check.end("rules")
