"""--compat=transformers5: each class of transformers in directories where its releases differ. With the
option, ids and segments are those of AutoTokenizer of release 5. Without it, they are those of tokenizer.json
as the `tokenizers` library reads it, and a note names what differs. What cannot follow release 5 is refused
by name."""

import json
import pathlib
import subprocess
import sys
import tempfile

import tokenizing as T

T.need(shared=True)
import unigrams as U
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers as P, processors

try:
    from transformers import AutoTokenizer
except ImportError:
    T.skip("the Python package transformers is not installed")
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "golden"))
import make_tokenizer

MODEL = U.albert_model()
VOCAB, MERGES = make_tokenizer.train_byte_level(400)
WORDS = [
    "<s>",
    "<pad>",
    "</s>",
    "[UNK]",
    "<mask>",
    "<cls>",
    "<sep>",
    "<unk>",
    "[CLS]",
    "[SEP]",
    "[PAD]",
    "[MASK]",
]
WORDS += "hello Hello world five it ' s - well known big x un lead tab line 2 spaces two e don t".split()
WORDS = {word: i for i, word in enumerate(WORDS)}
LIMIT = 12
OPTION = "--compat=transformers5"
TEXTS = [
    ("ﬁve １２ Größe  it's -well-known ",),
    ("Hello World [MASK] <mask> x <unk>",),
    (" lead\ttab\nline  2 spaces中 <q>a",),
    ("``quoted'' don't 9, 10 e\u0301\u0323",),
    ("Größe it", "ﬁve it's two"),
    ("",),
]
BERT = ("[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]")
ROBERTA = ("<s>", "</s>", "<mask>", "<unk>", "<pad>")
MPNET = ("<s>", "</s>", "<mask>", "[UNK]", "<pad>")
FUNNEL = ("<cls>", "<sep>", "<mask>", "<unk>", "<pad>")
ALBERT = ("[CLS]", "[SEP]", "[MASK]", "<unk>", "<pad>")
NAMES = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}


def template(roles, single, pair):
    cls, sep = roles[:2]
    spell = lambda text: text.format(c=cls, s=sep)
    return lambda ids: processors.TemplateProcessing(
        single=spell(single), pair=spell(pair), special_tokens=[(cls, ids(cls)), (sep, ids(sep))]
    )


def roberta(roles, prefix=False):
    return lambda ids: processors.RobertaProcessing(
        (roles[1], ids(roles[1])), (roles[0], ids(roles[0])), True, prefix
    )


def finish(tok, roles, post):
    tok.post_processor = post(tok.token_to_id)
    cls, sep, mask, unk, pad = roles
    tok.add_special_tokens([AddedToken(t, normalized=False) for t in (cls, sep, unk, pad)])
    tok.add_special_tokens([AddedToken(mask, lstrip=True, normalized=False)])
    return tok


def wordpiece(roles, post, lowercase=True):
    tok = T.wordpiece(WORDS, lowercase, roles=False)
    tok.model.unk_token = roles[3]
    return finish(tok, roles, post)


def byte_level(roles, post, prefix=False):
    named = {roles[ROBERTA.index(t)] if t in ROBERTA else t: i for t, i in VOCAB.items()}
    tok = Tokenizer(models.BPE(named, MERGES))
    tok.pre_tokenizer = P.ByteLevel(add_prefix_space=prefix)
    return finish(tok, roles, post)


def unigram(roles, post, kind, drop=False, first=()):
    pieces = [(t, 0.0) for t in first] + [(t, s) for t, s, _ in MODEL.pieces[5:3000]]
    tok = U.unigram(MODEL, kind, drop=drop, pieces=pieces, unk_id=first.index(roles[3]))
    return finish(tok, roles, post)


FIRST = {
    "albert": ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
    "deberta": ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"),
}
PAIR = "{c} $A {s} $B:1 {s}:1"
bert = wordpiece(BERT, template(BERT, "{c} $A {s}", PAIR))
mpnet = wordpiece(MPNET, roberta(MPNET))
funnel = wordpiece(FUNNEL, template(FUNNEL, "{c}:2 $A {s}", "{c}:2 $A {s} $B:1 {s}:1"))
rob = byte_level(ROBERTA, roberta(ROBERTA))
prefixed = byte_level(ROBERTA, roberta(ROBERTA, True), True)
deberta = byte_level(BERT, template(BERT, "{c} $A {s}", PAIR))
doubled = byte_level(BERT, template(BERT, "{c} $A {s}", "{c} $A {s} {s} $B {s}"))
albert, albert5 = (
    unigram(ALBERT, template(ALBERT, "{c} $A {s}", PAIR), kind, drop, FIRST["albert"])
    for kind, drop in (("albert", False), ("albert5", True))
)
rembert = unigram(ALBERT, template(ALBERT, "{c} $A {s}", PAIR), "rembert", False, FIRST["albert"])
xlnet, xlnet5 = (
    unigram(
        FUNNEL,
        template(FUNNEL, "$A {s} {c}:2", "$A {s} $B:1 {s}:1 {c}:2"),
        "xlnet",
        drop,
        ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"),
    )
    for drop in (False, True)
)
xlm, xlm5 = (
    unigram(
        ROBERTA,
        template(ROBERTA, "{c} $A {s}", "{c} $A {s} {s} $B {s}"),
        kind,
        drop,
        ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    )
    for kind, drop in (("xlm-r", False), ("xlm-r5", True))
)
deberta2, deberta25 = (
    unigram(BERT, template(BERT, "{c} $A {s}", PAIR), kind, False, FIRST["deberta"])
    for kind in ("deberta", "deberta5")
)


def update(*path, **members):
    def change(state):
        for key in path:
            state = state[key]
        state.update(members)

    return change


def no_mask(state):
    state["added_tokens"].pop()


def add_two(state):
    token = {"id": len(WORDS), "content": "wo", "single_word": False, "lstrip": False, "rstrip": False}
    state["added_tokens"].append(token | {"normalized": False, "special": False})


NFC = {"type": "NFC"}
CASES = [  # class, model_type, tokenizer, tokenizer_config.json, change to tokenizer.json, words of the note
    ("BertTokenizer", "bert", bert, {}, None, ""),
    ("BertTokenizer", "bert", bert, {}, update(normalizer=NFC), "normalizer"),
    ("BertTokenizer", "bert", bert, {}, update("normalizer", clean_text=False), "normalizer"),
    ("BertTokenizer", "bert", bert, {}, update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer"),
    ("BertTokenizer", "bert", bert, {}, update(post_processor=None), "post_processor"),
    ("BertTokenizer", "bert", bert, {}, update("model", max_input_chars_per_word=3), "settings of the model"),
    ("BertTokenizer", "bert", bert, {"unk_token": "hello"}, None, "settings of the model"),
    ("BertTokenizer", "bert", bert, {"sep_token": "x", "cls_token": "un"}, None, "post_processor"),
    ("BertTokenizer", "bert", bert, {"image_token": "it"}, None, "added tokens"),
    (
        "BertTokenizer",
        "bert",
        bert,
        {"extra_special_tokens": ["it"], "additional_special_tokens": ["x"]},
        None,
        "added",
    ),
    ("BertTokenizer", "bert", bert, {"added_tokens_decoder": {"12": {"content": "hello"}}}, no_mask, ""),
    ("BertTokenizer", "bert", bert, {"added_tokens_decoder": {"12": {"content": "hello"}}}, add_two, "added"),
    ("DistilBertTokenizer", "distilbert", bert, {}, None, ""),
    ("ConvBertTokenizer", "convbert", bert, {"do_lower_case": False}, None, "normalizer"),
    ("PreTrainedTokenizerFast", "bert", bert, {}, None, "segments"),
    ("PreTrainedTokenizerFast", "bert", bert, NAMES, None, ""),
    ("TokenizersBackend", "bert", bert, {}, None, ""),
    ("MPNetTokenizer", "mpnet", mpnet, {}, None, ""),
    ("MPNetTokenizer", "mpnet", mpnet, {}, no_mask, ""),
    ("FunnelTokenizer", "funnel", funnel, {}, None, "segments"),
    ("FunnelTokenizer", "funnel", funnel, NAMES, None, ""),
    ("FunnelTokenizer", "funnel", funnel, NAMES | {"clean_text": False}, None, "normalizer"),
    ("RobertaTokenizer", "roberta", rob, {}, None, ""),
    ("RobertaTokenizer", "roberta", rob, {}, no_mask, "added tokens"),
    ("RobertaTokenizer", "roberta", rob, {}, update(normalizer=NFC), "normalizer"),
    ("RobertaTokenizer", "roberta", rob, {}, update("pre_tokenizer", use_regex=False), "pre_tokenizer"),
    ("RobertaTokenizer", "roberta", rob, {}, update("model", ignore_merges=True), "settings of the model"),
    ("PreTrainedTokenizerFast", "roberta", prefixed, {}, None, ""),
    ("PreTrainedTokenizerFast", "roberta", rob, {"add_prefix_space": True}, None, "pre_tokenizer"),
    ("DebertaTokenizer", "deberta", deberta, {}, None, "post_processor"),
    ("DebertaTokenizer", "deberta", deberta, {"add_prefix_space": True}, None, "post_processor"),
    ("DebertaTokenizer", "deberta", doubled, {}, None, ""),
    ("AlbertTokenizer", "albert", albert, {}, None, "normalizer, pre_tokenizer"),
    ("AlbertTokenizer", "albert", albert5, {}, None, "segments"),
    ("AlbertTokenizer", "albert", albert5, NAMES, None, ""),
    ("AlbertTokenizer", "albert", albert, {"keep_accents": True, "do_lower_case": False}, None, "normalizer"),
    ("AlbertTokenizer", "albert", albert5, {"add_prefix_space": False}, None, "pre_tokenizer"),
    ("AlbertTokenizer", "albert", albert5, {}, update("model", unk_id=4), "settings of the model"),
    ("FNetTokenizer", "fnet", albert, {}, None, ""),
    ("FNetTokenizer", "fnet", rembert, {"do_lower_case": True}, None, ""),
    ("XLNetTokenizer", "xlnet", xlnet, {}, None, "normalizer, pre_tokenizer"),
    ("XLNetTokenizer", "xlnet", xlnet5, {"do_lower_case": True}, None, "segments"),
    ("XLNetTokenizer", "xlnet", xlnet5, NAMES, no_mask, "normalizer"),
    ("XLNetTokenizer", "xlnet", xlnet5, NAMES | {"keep_accents": True}, None, "normalizer"),
    ("XLMRobertaTokenizer", "xlm-roberta", xlm, {}, None, "normalizer, pre_tokenizer"),
    ("XLMRobertaTokenizer", "xlm-roberta", xlm5, {}, None, ""),
    ("XLMRobertaTokenizer", "xlm-roberta", xlm5, {"add_prefix_space": False}, None, "pre_tokenizer"),
    ("CamembertTokenizer", "camembert", xlm, {}, update("model", unk_id=0), "settings of the model"),
    ("CamembertTokenizer", "camembert", xlm5, {}, None, ""),
    ("DebertaV2Tokenizer", "deberta-v2", deberta2, {}, None, "normalizer"),
    ("DebertaV2Tokenizer", "deberta-v2", deberta25, {}, None, ""),
    ("DebertaV2Tokenizer", "deberta-v2", deberta2, {"do_lower_case": True}, None, "normalizer"),
    ("DebertaV2Tokenizer", "deberta-v2", deberta25, {"split_by_punct": True}, None, "pre_tokenizer"),
    ("DebertaV2Tokenizer", "deberta-v2", deberta25, {"add_prefix_space": False}, None, "pre_tokenizer"),
]
OURS = {"do_lower_case", "add_prefix_space", "clean_text"}  # which change ids in release 4, too
REFUSED = [  # class, model_type, tokenizer, words
    ("GPT2Tokenizer", "gpt2", rob, "GPT2Tokenizer"),
    ("RemBertTokenizer", "rembert", rembert, "RemBertTokenizer"),
    ("BarthezTokenizer", "xlm-roberta", xlm, "BarthezTokenizer"),
    ("RobertaTokenizer", "roberta", bert, "reads this file as BPE, but it has WordPiece"),
]
check = T.Check()


def write(directory, tok, name, model_type, config, change):
    path = pathlib.Path(directory)
    path.mkdir()
    state = json.loads(tok.to_str())
    if change:
        change(state)
    for file, value in (
        ("tokenizer.json", state),
        ("tokenizer_config.json", {"tokenizer_class": name} | config),
        ("config.json", {"model_type": model_type}),
    ):
        make_tokenizer.write_json(path / file, value)
    return str(path), "tokenizer.json"


def said(where, *options):
    done = subprocess.run([T.driver_path(), *where, *options], input=b"", capture_output=True)
    return done.returncode, done.stderr.decode()


def compare_release5(where, what):
    tok = AutoTokenizer.from_pretrained(where[0])
    requests = [(limit, *text) for text in TEXTS for limit in (T.PLENTY, LIMIT)]
    for (limit, *text), got in zip(requests, T.ask(*where, requests, OPTION)):
        given = tok(*text, truncation=True, max_length=limit)
        types = given.get("token_type_ids", [0] * len(given["input_ids"]))
        check.same(got, {"ids": given["input_ids"], "types": types}, (what, limit, text))


def compare_file(where, what):
    tok = Tokenizer.from_file("/".join(where))
    for text, got in zip(TEXTS, T.ask(*where, [(T.PLENTY, *text) for text in TEXTS])):
        want = T.expected(tok.encode(*text), *text)
        if what[0] in ("DistilBertTokenizer", "TokenizersBackend"):
            del want["types"]
        check.same(got, want, (what, "as the file says", text))


def compare_vocab(directory):
    """The older form: the mask of release 5 does not include the space before it (T5)."""
    path = pathlib.Path(directory)
    path.mkdir()
    make_tokenizer.write_json(path / "vocab.json", VOCAB)
    (path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES))
    make_tokenizer.write_json(path / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer"})
    make_tokenizer.write_json(path / "config.json", {"model_type": "roberta"})
    compare_release5((str(path), "vocab.json"), "vocab.json")
    older = T.ask(str(path), "vocab.json", [(99, "x <mask>")])[0]["ids"]
    newer = T.ask(str(path), "vocab.json", [(99, "x <mask>")], OPTION)[0]["ids"]
    check.same({"space": newer[2]}, {"space": VOCAB["Ġ"]}, "the space before a mask")
    check.same({"ids": older}, {"ids": newer[:2] + newer[3:]}, "no space before a mask")
    check.same({"noted": OPTION in said((str(path), "vocab.json"))[1]}, {"noted": True}, "vocab.json")


with tempfile.TemporaryDirectory() as temporary:
    for number, (name, model_type, tok, config, change, note) in enumerate(CASES):
        what = (name, config, note)
        where = write(f"{temporary}/{number}", tok, name, model_type, config, change)
        compare_release5(where, what)
        code, message = said(where)
        lines = [line for line in message.split("\n") if OPTION in line]
        check.same({"note": bool(lines), "exit": code}, {"note": bool(note), "exit": 0}, what)
        check.same({"names": note in "".join(lines)}, {"names": True}, what)
        if (
            change is not no_mask
            and not OURS & set(config)
            and not any(key.endswith("tokens") for key in config)
        ):
            if "_token" not in "".join(config) or "unk_token" in config:
                compare_file(where, what)
    for number, (name, model_type, tok, words) in enumerate(REFUSED):
        where = write(f"{temporary}/r{number}", tok, name, model_type, {}, None)
        code, message = said(where, OPTION)
        check.same({"exit": code, "names": words in message}, {"exit": 4, "names": True}, (name, message))
    compare_vocab(f"{temporary}/vocab")
    spiece = write(f"{temporary}/spm", albert, "AlbertTokenizer", "albert", {}, None)[0]
    pathlib.Path(spiece, "tokenizer.json").unlink()
    pathlib.Path(spiece, "spiece.model").symlink_to(U.SPIECE)
    check.same({"exit": said((spiece, "spiece.model"), OPTION)[0]}, {"exit": 4}, "spiece.model")
check.end("--compat=transformers5")
