"""Sparse encoders: directories of SparseEncoder as the library saves them and as older versions did, and
plain masked language models. The reference evaluator gives the numbers, and programs the printed weights. The
library is the oracle."""

import json, shutil
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
from _support import *
from checkpoints import agree, evaluate, loads, refuses
from make_model import random_model

try:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sparse_encoder.modules import SparseAutoEncoder, SpladePooling
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
except ImportError:
    skip("no sentence-transformers")

TEXTS = ["banana moti, sela!", "zeku lomi tara vobe. kuna? nasi-poto 42", "dela " * 90, ""]
NEAR = 2e-5  # weights that are nearer to each other may change places
checks = 0


def base(family, kind="fill-mask", seed=1):
    """A random model with its tokenizer."""
    path = TMP / f"base-{family}-{kind}-{seed}"
    if not path.exists():
        random_model(family, kind, seed, path, max_position_embeddings=64)
        AutoTokenizer.from_pretrained(path, model_max_length=60).save_pretrained(path)
    return path


def saved(name, *parts, family="bert", **settings):
    """Saves a Transformer for masked words, then the modules."""
    encoder = Transformer(str(base(family)), transformer_task="fill-mask")
    model = SparseEncoder(modules=[encoder, *parts], device="cpu", **settings)
    model.save(str(TMP / name), create_model_card=False)
    return TMP / name


def oracle(home):
    return SparseEncoder(str(home), device="cpu")


def rows(model, texts, **how):
    return [model.encode(t, convert_to_sparse_tensor=False, **how) for t in texts]


def embeds(what, home, *options):
    """The evaluator and SparseEncoder agree on the texts."""
    global checks
    model = oracle(home)
    ids = [model.preprocess([t])["input_ids"][0].tolist() for t in TEXTS]
    want = [{"embedding": row} for row in rows(model, TEXTS, prompt="")]
    got = [{"embedding": o["embedding"]} for o in evaluate(home, ids, *options)]
    agree(what, got, want)
    for g, w in zip(got, want):  # a weight that max_active_dims leaves out is exactly 0
        zeros = w["embedding"] == 0
        assert not torch.tensor(g["embedding"])[zeros & (torch.tensor(g["embedding"]) > NEAR)].numel(), what
    checks += 1


def order(what, pairs, row, names, most=None):
    """Pairs of name and weight are those of the row that are not 0, the largest first."""
    number = {name: i for i, name in enumerate(names)}
    want = [row[number[name]].item() for name, _ in pairs]
    compare([w for _, w in pairs], want, what)
    assert len(number) == len(row) and len(dict(pairs)) == len(pairs), what
    assert all(a > b - NEAR for a, b in zip(want, want[1:])), what
    active = int((row > NEAR).sum())
    if most and most < active:
        assert len(pairs) == most and want[-1] > row.sort(descending=True).values[most - 1] - NEAR, what
    else:
        assert active <= len(pairs) <= int((row > 0).sum()) + 1, (what, len(pairs), active)


def prints(what, home, *options, program=None, texts=TEXTS, latents=False, **how):
    """The program prints the tokens and weights of SparseEncoder.decode; latents have numbers."""
    global checks
    model = oracle(home)
    want = rows(model, texts, **how)
    numbers = range(len(want[0]))
    names = [str(n) for n in numbers] if latents else model.tokenizer.convert_ids_to_tokens(numbers)
    program = program or build(home, TMP / f"{home.name}.program", "--cpu=baseline")
    lines = "".join(f"{t}\n" for t in texts).encode()
    ask = lambda *more: run(program, *options, *more, input=lines).stdout
    for top in None, 3:
        cut = [f"--top={top}"] if top else []
        plain, objects = ask(*cut).decode().split("\n")[:-1], ask("--json", *cut).splitlines()
        for text, line, obj, row in zip(texts, plain, objects, want, strict=True):
            fields = line.split("\t") if line else []
            pairs = list(zip(fields[::2], map(float, fields[1::2]), strict=True))
            order((what, text, top), pairs, row, names, top)
            order((what, text, top), list(json.loads(obj)["weights"].items()), row, names, top)
    raw = np.frombuffer(ask("--raw"), "<f4").reshape(len(texts), -1)
    logits = [json.loads(line) for line in ask("--logits").splitlines()]
    for text, a, b, row in zip(texts, raw, logits, want, strict=True):
        compare(a, row, (what, text, "raw"))
        compare(b, row, (what, text, "logits"))
    checks += 1
    return program


# ---- pooling strategies and activations
for strategy in "max", "sum":
    for function in "relu", "log1p_relu":
        home = saved(f"{strategy}-{function}", SpladePooling(strategy, function, chunk_size=3))
        embeds((strategy, function), home)
prints("max", TMP / "max-relu")
prints("sum", TMP / "sum-log1p_relu")
home = TMP / "max-relu"
set_keys(home / "1_SpladePooling" / "config.json", pooling_strategy="mean")
refuses(home, "1_SpladePooling", "pooling_strategy", '"mean"', "max, sum")
set_keys(home / "1_SpladePooling" / "config.json", pooling_strategy=None, activation_function="gelu")
refuses(home, "1_SpladePooling", "activation_function", '"gelu"', "relu, log1p_relu")
set_keys(home / "1_SpladePooling" / "config.json", activation_function=None)
embeds("defaults", home)
set_keys(home / "1_SpladePooling" / "config.json", strange=1)
assert "strange" in loads(home)[1]

# ---- max_active_dims, prompts, length, and model.xml
asks = {"query": "ask: kuna ", "document": ""}
more = dict(max_active_dims=5, prompts=asks, default_prompt_name="query")
home = saved("few", SpladePooling("max"), **more)
embeds("max_active_dims", home)
program = prints("the default prompt", home)
prints("a prompt by name", home, "--prompt=document", program=program, prompt_name="document")
bertc("describe", home, "-o", TMP / "few.xml")
xml = build(TMP / "few.xml", TMP / "few-xml.program", "--cpu=baseline", f"--search={home}")
prints("model.xml", home, program=xml)
set_keys(home / "config_sentence_transformers.json", max_active_dims=100000)
embeds("more than there are", home)
for wrong in 0, -1, "x":
    set_keys(home / "config_sentence_transformers.json", max_active_dims=wrong)
    refuses(home, "config_sentence_transformers.json", "max_active_dims")
p = run(program, "--prompt=", "a\tb", check=False)
assert p.returncode == 1 and b"takes one text" in p.stderr, p.stderr

# ---- windows: the largest weight of all windows; the C API gives the dense row
home = saved("wide", SpladePooling("sum"))
program = build(home, TMP / "wide.program", "--cpu=baseline")
tokenizer = AutoTokenizer.from_pretrained(home)
text = "dela " * 90 + "moti " * 30
words, parts = text.split(), []
while words:  # a window is cut as a text is, and the next one begins with the first word that is not whole
    parts.append(" ".join(words))
    whole = 1
    while whole < len(words) and len(tokenizer(" ".join(words[: whole + 1]))["input_ids"]) <= 60:
        whole += 1
    words = words[whole:]
lines = "".join(f"{part}\n" for part in parts).encode()
each = [json.loads(line) for line in run(program, "--logits", input=lines).stdout.splitlines()]
assert len(each) > 3
got = json.loads(run(program, "--on-overflow=window", "--logits", text).stdout)
compare(got, np.max(each, axis=0), "windows")
library = Library(build(home, TMP / "wide.so", "--emit=shared", "--name=wide", "--cpu=baseline"), "wide")
width = len(got)
out = np.zeros(width, np.float32)
texts, sizes = (ctypes.c_char_p * 1)(text.encode()), (ctypes.c_size_t * 1)(len(text))
p = lambda x: x.ctypes.data_as(ctypes.c_void_p)
for overflow, want in ((1.0, each[0]), (2.0, np.max(each, axis=0))):
    library.f("set")(library.context, b"overflow", ctypes.c_double(overflow))
    assert not library.f("run_text")(
        library.context, texts, sizes, None, None, 1, p(out), ctypes.c_size_t(width), None, None
    )
    compare(out, want, ("run_text", overflow))

# ---- older directories
home = saved("older", SpladePooling("max"))
listed = json.loads((home / "modules.json").read_text())
module = "sentence_transformers.sparse_encoder.models"
for row, type in zip(listed, ("MLMTransformer.MLMTransformer", "SpladePooling.SpladePooling")):
    row["type"] = f"{module}.{type}"
(home / "modules.json").write_text(json.dumps(listed))
(home / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 9, "do_lower_case": False}))
settings = {"pooling_strategy": "max", "activation_function": "relu", "word_embedding_dimension": None}
(home / "1_SpladePooling" / "config.json").write_text(json.dumps(settings))
embeds("MLMTransformer", home)
prints("MLMTransformer", home)

# ---- every family's decoder of masked words
for family in "distilbert", "roberta", "albert", "electra", "mpnet", "modernbert", "deberta-v2":
    home = saved(f"family-{family}", SpladePooling("max"), family=family)
    embeds(family, home)
prints("byte-level tokens", TMP / "family-roberta")

# ---- sparse autoencoders: their largest latents
def coded(name, *parts, k, standard=False, **settings):
    encoder = Transformer(str(base("bert", "encoder")))
    width = encoder.get_embedding_dimension()
    coder = SparseAutoEncoder(width, 96, k=k, normalize=standard)
    torch.manual_seed(k)
    for parameter in coder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model = SparseEncoder(modules=[encoder, Pooling(width, "mean"), *parts, coder], device="cpu", **settings)
    model.save(str(TMP / name), create_model_card=False)
    return TMP / name


embeds("autoencoder", coded("csr", k=7))
embeds("max_active_dims of an autoencoder", coded("csr-few", k=7, max_active_dims=4))
embeds("more latents than are positive", coded("csr-many", k=60))
home = coded("csr-standard", Normalize(), k=5, standard=True)
embeds("its input is standardised", home)
prints("latents", home, latents=True)
bertc("describe", home, "-o", TMP / "csr.xml")
xml = build(TMP / "csr.xml", TMP / "csr-xml.program", "--cpu=baseline", f"--search={home}")
prints("latents by model.xml", home, program=xml, latents=True)
(TMP / "corpus.txt").write_text("\n".join(TEXTS))  # its words keep their latents
fewer = build(home, TMP / "fewer", "--cpu=baseline", f"--passes=prune-vocab{{corpus={TMP}/corpus.txt}},O2")
prints("latents of fewer words", home, program=fewer, latents=True)
for key in "input_dim", "hidden_dim":
    coder = home / "3_SparseAutoEncoder" / "config.json"
    old = json.loads(coder.read_text())
    set_keys(coder, **{key: old[key] + 1})
    refuses(home, str(old[key]), str(old[key] + 1))
    set_keys(coder, **old)

# ---- a Router: the route of documents, or that of --route
encoder = Transformer(str(base("bert")), transformer_task="fill-mask")
other = Transformer(str(base("bert", seed=2)), transformer_task="fill-mask")
routes = {"query": [other, SpladePooling("sum")], "document": [encoder, SpladePooling("max")]}


def routed(name, **parameters):
    model = SparseEncoder(modules=[Router(routes, **parameters)], device="cpu", prompts={"query": "ask: "})
    model.save(str(TMP / name), create_model_card=False)
    return TMP / name


home = routed("routed", default_route="document")
embeds("the default route", home)
want = rows(oracle(home), TEXTS, task="query")
ids = [oracle(home).preprocess([t], task="query")["input_ids"][0].tolist() for t in TEXTS]
got = evaluate(home, ids, "--route=query")
agree("--route", [{"embedding": o["embedding"]} for o in got], [{"embedding": row} for row in want])
good, messages = loads(home, "--route=question")
assert not good and "question" in messages and "query, document" in messages, messages
good, messages = loads(TMP / "passes", "--route=query") if (TMP / "passes").exists() else (False, "Router")
assert not good and "Router" in messages, messages
embeds("the first route", routed("routed-first"))
home = TMP / "routed"
config = home / "router_config.json"
kept = json.loads(config.read_text())
odd = ({"parameters": []}, {"parameters": {"route_mappings": 1, "default_route": "document"}})
for wrong in ({"structure": {}}, {"structure": {"document": ["none"]}}, {"types": 1}, *odd):
    set_keys(config, **wrong)
    refuses(home, "router_config.json")
    set_keys(config, **kept)
set_keys(config, types={k: "Router" for k in kept["types"]})
refuses(home, "Router")
set_keys(config, **kept)
free = SparseStaticEmbedding(oracle(base("bert")).tokenizer)
mixed = Router.for_query_document([free], [encoder, SpladePooling("max")])
SparseEncoder(modules=[mixed], device="cpu").save(str(TMP / "mixed"), create_model_card=False)
embeds("a query without an encoder", TMP / "mixed")

told = bertc("describe", TMP / "routed", "--route=query", "-o", TMP / "told.xml").stdout.decode()
assert "the sum of log(1 + score) over the tokens, from query_1_SpladePooling/config.json" in told, told

# ---- SparseStaticEmbedding: the weights of the tokens that a text has, for queries
free.weight.data = torch.rand(free.num_dimensions) + 0.1
SparseEncoder(modules=[mixed], device="cpu").save(str(TMP / "idf"), create_model_card=False)
path = build(TMP / "idf", TMP / "idf.program", "--cpu=baseline", "--route=query")
model = oracle(TMP / "idf")
for text in TEXTS:
    got = json.loads(run(path, "--logits", input=f"{text}\n".encode()).stdout)
    compare(got, rows(model, [text], task="query")[0], ("idf", text))
home = TMP / "idf-alone"
SparseEncoder(modules=[free], device="cpu").save(str(home), create_model_card=False)
embeds("idf", home)
(home / "config.json").write_text(json.dumps({"frozen": False, "path": "idf.json"}))
refuses(home, "path")

# ---- a plain checkpoint
plain = TMP / "plain"
shutil.copytree(base("bert"), plain)
embeds("--task=sparse", plain, "--task=sparse")
model = AutoModelForMaskedLM.from_pretrained(plain)
program = build(plain, TMP / "plain.program", "--cpu=baseline", "--task=sparse")
prints("--task=sparse", plain, program=program)
p = run(BERTC, "build", base("bert", "encoder"), "--task=sparse", "-o", TMP / "none", check=False)
assert p.returncode == 3 and b"cls.predictions" in p.stderr, p.stderr

# ---- passes
home = saved("passes", SpladePooling("max"))
lines = TMP / "lines.tsv"
lines.write_text("".join(f"{t}\t\n" for t in TEXTS if t))
for passes in "quantize-int8", "drop-layers{layers=0}", "prune-ffn{keep=16}", "O1", "sparsify{sparsity=0.5}":
    p = run(BERTC, "verify", home, f"--passes={passes}", "--cpu=baseline", "--min-cosine=-1", check=False)
    assert p.returncode == 0, (passes, p.stdout, p.stderr)
for passes in "prune-vocab{keep=50}", "prune-tokens{layer=0 keep=0.5}":
    p = run(BERTC, "build", home, f"--passes={passes}", "-o", TMP / "none", check=False)
    assert p.returncode == 4 and b"sparse" in p.stderr, (passes, p.stderr)
compared = [(TEXTS[i], TEXTS[j]) for i in range(3) for j in range(i + 1, 4) if TEXTS[j]] + [(TEXTS[0], "a")]
compared += [(TEXTS[1], TEXTS[1])]
for function in None, "cosine":
    set_keys(home / "config_sentence_transformers.json", similarity_fn_name=function)
    model = oracle(home)
    similar = [model.similarity(*(model.encode(t) for t in pair)).item() for pair in compared]
    evaluates(function, home, compared, similar)
    program = build(home, TMP / "search.program", "--cpu=baseline")
    rows = model.similarity(model.encode_query(TEXTS[:1]), model.encode_document(TEXTS)).to_dense()[0]
    compare(list(map(float, run(program, "--query", *TEXTS[:1], *TEXTS).stdout.split())), rows, function)

# ---- what programs do not have
home = saved("refused", SpladePooling("max"))
set_keys(home / "sentence_bert_config.json", transformer_task="feature-extraction", modality_config=None)
refuses(home, "SpladePooling", "unsupported place")
set_keys(home / "sentence_bert_config.json", transformer_task="fill-mask")
listed = json.loads((home / "modules.json").read_text())
(home / "modules.json").write_text(json.dumps(listed[:1]))
refuses(home, "modules.json", "SpladePooling")
listed[1]["type"] = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"
(home / "modules.json").write_text(json.dumps(listed))
refuses(home, "Pooling", "unsupported place")
encoder = Transformer(str(base("bert", "encoder")))
dense = SparseEncoder(modules=[encoder, Pooling(encoder.get_embedding_dimension(), "mean")], device="cpu")
dense.save(str(TMP / "dense"), create_model_card=False)
refuses(TMP / "dense", "SparseEncoder", "SpladePooling")

print(f"{checks} checks")
