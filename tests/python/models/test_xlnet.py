"""config.json of XLNet: its keys, their defaults and older spellings, and keys that are refused. Compares
the reference evaluator with transformers on the same directory, and a program with texts and pairs. Texts
may have any length."""

import json, re
from _support import BERTC, TMP, bertc, build, compare, run
from checkpoints import *
from make_model import randomize
from make_tokenizer import write_xlnet
from transformers import AutoTokenizer, XLNetConfig, XLNetForSequenceClassification as Model, XLNetModel

torch.set_grad_enabled(False)
torch.set_num_threads(1)
SIZES = dict(vocab_size=97, d_model=24, n_head=3, d_inner=20, n_layer=2, num_labels=3)
# Keys that are set in config.json; None: left out.
FORMS = {
    "as saved": {},
    "far tokens count as near ones": {"clamp_len": 4},
    "a limit beyond the text": {"clamp_len": 600},
    "a limit of 0": {"clamp_len": 0},
    "the first token": {"summary_type": "first"},
    "the mean": {"summary_type": "mean"},
    "the index of <cls>": {"summary_type": "cls_index"},
    "no projection": {"summary_use_proj": False},
    "another activation": {"summary_activation": "gelu_new"},
    "neither": {"summary_use_proj": False, "summary_activation": "linear", "summary_type": "mean"},
    "activation, epsilon": {"ff_activation": "relu", "layer_norm_eps": 0.01},
    "of other uses": {"same_length": True, "untie_r": False, "mem_len": 7, "reuse_len": 3,
                      "use_mems_eval": False, "summary_last_dropout": 0.9, "start_n_top": 2},
    "other spellings": {"d_model": None, "n_head": None, "n_layer": None, "vocab_size": None,
                        "hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2, "n_token": 97},
    "defaults": {k: None for k in ("attn_type", "bi_data", "clamp_len", "summary_type", "summary_use_proj",
                                   "summary_activation", "ff_activation", "layer_norm_eps", "d_head")},
}  # fmt: skip
# Keys that are refused: value, exit code, and words of the message.
REFUSED = {
    "attn_type": [("uni", 4, "attn_type"), (1, 3, "attn_type")],
    "bi_data": [(True, 4, "bi_data")],
    "clamp_len": [(-2, 3, "clamp_len"), ("4", 3, "clamp_len"), (2**40, 3, "clamp_len")],
    "d_head": [(12, 3, "d_head"), (-1, 3, "d_head")],
    "summary_type": [("attn", 4, "summary_type"), ("", 4, "summary_type"), (2, 3, "summary_type")],
    "summary_use_proj": [(1, 3, "summary_use_proj")],
    "summary_proj_to_labels": [(True, 4, "summary_proj_to_labels")],
    "summary_activation": [("nosuch", 4, "summary_activation")],
    "architectures": [(["XLNetForQuestionAnswering"], 4, "XLNetForQuestionAnsweringSimple"),
                      (["XLNetLMHeadModel"], 4, "--task")],
}  # fmt: skip


TEXTS = ["bako zu te", "", "a, b; ba", "naïve ﬁ １２", "bako zu\tte ma ko", "\tx", "<mask> <cls>"]
NAMES = ["input_ids", "token_type_ids", "attention_mask"]


def texts():
    r = torch.Generator().manual_seed(3)
    return [torch.randint(0, 97, (n,), generator=r).tolist() for n in (1, 2, 4, 5, 8, 13, 40)]


def load(kind, directory):
    return kind.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval()


def compare_form(name, number, keys):
    directory = TMP / f"form{number}"
    model = randomize(Model(XLNetConfig(**SIZES)), 5 + number)
    model.save_pretrained(directory)
    rewrite_config(directory, **keys)
    model = load(Model, directory)
    want = [{"logits": model(torch.tensor([ids])).logits[0]} for ids in texts()]
    worst = agree(name, evaluate(directory, texts()), want)
    print(f"{name:30} worst {worst:.3f} of the tolerance", flush=True)


def check_segments(directory):
    """Segments count only where tokenizer_config.json asks for them: of each text, and of <cls>. Heads that
    are pruned take their part of the tables along. Attention stays one op, whose memory is linear."""
    model, out = load(Model, directory), directory / "m.bir"
    (directory / "tokenizer_config.json").write_text(json.dumps({"model_input_names": NAMES}))
    pairs = []
    for n, ids in enumerate(texts()):
        cut = n if n < len(ids) else 0
        pairs.append((ids, [0] * cut + [1] * (len(ids) - cut - 1) + [2]))

    def wanted():
        for ids, types in pairs:
            given = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([types])}
            yield {"logits": model(**given).logits[0]}

    agree("segments", evaluate(directory, pairs), list(wanted()))
    build(directory, out, "--emit=bir", "--passes=prune-heads{heads=0.1,1.0,1.2}", "--stop-after=prune-heads")
    for layer, heads in ((0, [1]), (1, [0, 2])):
        model.transformer.layer[layer].rel_attn.o.data[:, heads] = 0
    agree("segments, fewer heads", evaluate(out, pairs), list(wanted()))
    build(directory, out, "--emit=bir", "--passes=O2")
    graph = out.read_text()
    assert " per_pair=0 " in graph and not re.search(r"\w\[\d+,S,S\]", graph), graph


def refused(directory, code, words, *options):
    p = bertc("build", directory, "--emit=bir", "-o", TMP / "none.bir", *options, check=False)
    said = p.stderr.decode()
    assert p.returncode == code and words in said, f"{directory.name} {options}: {p.returncode} {said}"


def check_refused(directory):
    saved = (directory / "config.json").read_text()
    for key, rows in REFUSED.items():
        for value, code, words in rows:
            (directory / "config.json").write_text(json.dumps(json.loads(saved) | {key: value}))
            refused(directory, code, words)
    (directory / "config.json").write_text(saved)
    refused(directory, 4, "fill-mask", "--task=fill-mask")
    XLNetModel(XLNetConfig(**SIZES | {"d_model": 15})).save_pretrained(TMP / "odd")
    refused(TMP / "odd", 3, "d_model is 15")


def check_length(directory):
    """No file limits the length of texts: 512 tokens unless the user asks for another limit."""
    p = run(BERTC, "build", directory, "--emit=bir", "-o", TMP / "long.bir")
    assert b"512 tokens (--max-tokens)" in p.stderr, p.stderr
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 700}))
    long = torch.randint(0, 97, (700,), generator=torch.Generator().manual_seed(1)).tolist()
    want = [{"logits": load(Model, directory)(torch.tensor([long])).logits[0]}]
    agree("700 tokens", evaluate(directory, [long]), want)
    XLNetModel(XLNetConfig(**SIZES | {"d_model": 126})).save_pretrained(TMP / "wide")
    refused(TMP / "wide", 4, "--max-tokens", f"--max-tokens={2**20}")


def check_program(directory):
    """The tokenizer of transformers 5 gives no segments, neither for texts nor for pairs, unless its files
    ask for them. That of transformers 4 does, and so does bertc without --compat=transformers5."""
    write_xlnet(directory, 97)
    path, model = directory / "tokenizer_config.json", load(Model, directory)
    plain = {k: v for k, v in json.loads(path.read_text()).items() if k != "model_input_names"}
    for number, (names, options) in enumerate(
        (({}, ["--compat=transformers5"]), ({}, []), ({"model_input_names": NAMES}, []))
    ):
        path.write_text(json.dumps(plain | names))
        tokenizer = AutoTokenizer.from_pretrained(directory)
        program = build(directory, TMP / f"program{number}", "--cpu=baseline", *options)
        for text in TEXTS:
            given = tokenizer(*text.split("\t"), return_tensors="pt", return_token_type_ids=not options)
            assert given["input_ids"][0, -1] == tokenizer.cls_token_id
            ids = run(program, "--tokenize", input=text.encode() + b"\n").stdout.split()
            assert list(map(int, ids)) == given["input_ids"][0].tolist(), (text, ids, given)
            got = json.loads(run(program, "--logits", input=text.encode() + b"\n").stdout)
            compare(got, model(**given).logits[0].double(), text)


for number, (name, keys) in enumerate(FORMS.items()):
    compare_form(name, number, keys)
check_segments(TMP / "form1")
check_refused(TMP / "form0")
check_length(TMP / "form0")
check_program(TMP / "form0")
