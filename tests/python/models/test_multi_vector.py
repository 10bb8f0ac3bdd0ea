"""MultiVectorEncoder (late interaction, ColBERT) as sentence-transformers saves it: vectors of tokens, with
what fills queries up, limits, tokens without rows and prompts; scores of documents for a query; the C API.
The library is the oracle."""

import ctypes, json, string
import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer
from _support import *
from checkpoints import evaluate, loads, refuses
from make_model import FAMILIES, random_model

try:
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder import MultiVectorEncoder
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling, MultiVectorMask
except ImportError:
    skip("no sentence-transformers with MultiVectorEncoder")

torch.set_num_threads(1)
TEXTS = ["banana moti, sela!", "zeku lomi tara vobe. kuna? nasi-poto 42"]
TEXTS += ["dela " * 30, "", "a", ". , !", "[q] moti"]
TOKENS = dict(module_input_name="token_embeddings")
ENCODE = {"": "encode", "query": "encode_query", "document": "encode_document"}
checks = 0


def once(family, seed):
    """A random encoder with its tokenizer."""
    path = TMP / f"base-{family}-{seed}"
    if not path.exists():
        behind = FAMILIES[family].starts_behind_padding
        sizes = {"max_position_embeddings": 66 if behind else 64} | ({"pad_token_id": 1} if behind else {})
        sizes |= {"local_attention": 40} if family == "modernbert" else {}
        random_model(family, "encoder", seed, path, **sizes)
        AutoTokenizer.from_pretrained(path, model_max_length=40).save_pretrained(path)
    return path


def saved(name, family="bert", seed=1, width=16, mask={}, unit=True, clusters=None, settings={}, **keys):
    """A directory with Transformer, Dense, MultiVectorMask, Normalize and clusters, or some of them."""
    home = TMP / name
    parts = [Transformer(str(once(family, seed)), **keys)]
    torch.manual_seed(seed)
    if width:
        inner = parts[0].get_embedding_dimension()
        parts.append(Dense(inner, width, bias=False, activation_function=nn.Identity(), **TOKENS))
    parts += [MultiVectorMask(**mask)] if mask is not None else []
    parts += [Normalize(**TOKENS)] if unit else []
    parts += [HierarchicalTokenPooling(**clusters)] if clusters else []
    MultiVectorEncoder(modules=parts, device="cpu", **settings).save(str(home), create_model_card=False)
    return home


def oracle(home):
    keys = {"attn_implementation": "eager", "dtype": torch.float32}
    return MultiVectorEncoder(str(home), device="cpu", model_kwargs=keys)


def lines(program, *options, texts=None):
    return run(program, *options, input="".join(t + "\n" for t in texts or TEXTS).encode()).stdout


def same(what, got, want):
    assert len(got) == len(want), f"{what}: {len(got)} rows, expected {len(want)}"
    if len(want):
        compare(got, want, what)


def vectors(what, home, model=None, program=None):
    """The program gives the rows of the library for texts, queries and documents."""
    global checks
    model = model or oracle(home)
    program = program or build(home, TMP / f"{home.name}.program", "--cpu=baseline")
    for task, encode in ENCODE.items():
        want = [getattr(model, encode)(t, convert_to_numpy=True) for t in TEXTS]
        options = [f"--prompt={task}"] if task else []
        for line, rows in zip(lines(program, *options).splitlines(), want, strict=True):
            same((what, task), json.loads(line), rows)
        printed = lines(program, "--json", "--batch=4", *options).splitlines()
        for line, rows in zip(printed, want, strict=True):
            same((what, task, "json"), json.loads(line)["embeddings"], rows)
        raw((what, task), lines(program, "--raw", *options), want)
        tokens = lines(program, "--tokenize", *options).splitlines()
        for line, text in zip(tokens, TEXTS, strict=True):
            seen = model.preprocess([text], task=task or None, prompt=prompt_of(model, task))
            ids = seen["input_ids"][0]
            keep = seen["attention_mask"][0].bool()
            if any(isinstance(m, MultiVectorMask) for m in model) and "query_expansion_positions" in seen:
                keep = keep | seen["query_expansion_positions"][0]
            assert list(map(int, line.split())) == ids[keep].tolist(), (what, task, text)
        checks += 1
    return model, program


def raw(what, data, want):
    """The numbers of --raw."""
    at = 0
    for rows in want:
        n = int.from_bytes(data[at : at + 4], "little")
        got = np.frombuffer(data, "<f4", n * rows.shape[1], at + 4).reshape(n, rows.shape[1])
        same(what, got, rows)
        at += 4 + got.nbytes
    assert at == len(data)


def prompt_of(model, task):
    return model.prompts.get(task or model.default_prompt_name)


def ranks(what, model, program, queries=("moti sela?", "", "dela kuna " * 40)):
    """The program gives the scores and the order of the library."""
    global checks
    docs = TEXTS + ["moti sela banana", "kuna lomi", TEXTS[0]]
    for query in queries:
        want = model.similarity(model.encode_query([query]), model.encode_document(docs))[0].tolist()
        got = [float(x) for x in lines(program, "--query", query, texts=docs).split()]
        scale = max(1.0, *(abs(w) for w in want if w > -1e8))
        for g, w in zip(got, want, strict=True):
            assert abs(g - w) <= 1e-4 * (scale if w > -1e8 else 1e9), (what, query, g, w)
        best = sorted(range(len(docs)), key=lambda i: -got[i])
        assert [want[i] for i in best] == sorted(want, reverse=True) or np.allclose(
            [want[i] for i in best], sorted(want, reverse=True), rtol=0, atol=1e-5
        ), (what, query)
        top = lines(program, "--query", query, "--top=5", texts=docs).decode().splitlines()
        top = [line.split("\t") for line in top]
        assert [(int(t[0]), t[2]) for t in top] == [(i, docs[i]) for i in best[:5]], top
        checks += 1


# ---- what fills queries up, limits, tokens without rows, prompts
points = list(string.punctuation)
fixed = {"strategy": "fixed", "length": 12}
cases = {
    "colbert": dict(
        query_expansion=fixed,
        document_length=20,
        mask=dict(skiplist_words=points + ["zz"]),
        settings=dict(prompts={"query": "[Q] ", "document": "[D] ", "other": "kuna "}),
    ),
    "attended": dict(
        family="roberta", query_expansion=fixed | {"attend": True}, mask=dict(skiplist_words=["Ġ,"])
    ),
    "hidden": dict(family="roberta", query_expansion=fixed),
    "min": dict(
        family="distilbert",
        query_expansion={"strategy": "min", "length": 9, "token": "[UNK]"},
        query_length=11,
        document_length=7,
        mask=dict(skiplist_words=[".", "[UNK]"], skiplist_tasks=["query", "document"]),
        settings=dict(prompts={"passage": "lomi ", "query": ""}, similarity_fn_name="meanmaxsim"),
    ),
    "min-long": dict(query_expansion={"strategy": "min", "length": 50}),  # queries are cut to 40 tokens
    "modernbert": dict(family="modernbert", query_expansion={"strategy": "min", "length": 20}),
    "mpnet": dict(family="mpnet", query_expansion=fixed, width=0, query_length=30),
    "no-mask": dict(query_expansion=fixed, mask=None),
    "no-mask-attended": dict(query_expansion=fixed | {"attend": True}, mask=None, unit=False),
    "nothing": dict(width=0, unit=False, settings=dict(prompts={"sum": "moti "}, default_prompt_name="sum")),
    "clusters": dict(clusters=dict(pool_factor=2)),
    "clusters-all": dict(
        query_expansion=fixed,
        unit=False,
        mask=dict(skiplist_words=["."]),
        clusters=dict(
            pool_factor=1.1, num_protected_tokens=0, normalize_embeddings=False, tasks=["query", "document"]
        ),
    ),
    "clusters-none": dict(unit=False, clusters=dict(pool_factor=1, tasks="document")),
    "no-rows": dict(mask=dict(skiplist_words=["[CLS]", "[SEP]", ".", ",", "!"], skiplist_tasks="document")),
}
made = {}
for name, keys in cases.items():
    made[name] = vectors(name, saved(name, **keys))
    ranks(name, *made[name])

# ---- other ways to the same program
home, (model, program) = TMP / "colbert", made["colbert"]
described = TMP / "colbert.xml"
bertc("describe", home, "-o", described)
xml = build(described, TMP / "colbert-xml.program", "--cpu=baseline", f"--search={home}")
for options in ["--prompt=query"], ["--prompt=document"], ["--prompt=other"], ["--query", "moti"]:
    assert lines(xml, *options) == lines(program, *options), options
ids = lines(program, "--tokenize", "--prompt=query")
assert lines(program, "--logits", "--ids", texts=ids.decode().splitlines()) == lines(
    program, "--logits", "--prompt=query"
)
# prune-vocab keeps tokens that fill queries up or have no row, though the corpus does not have them
vocab = AutoTokenizer.from_pretrained(once("bert", 1)).get_vocab()
fill, word = [t for t in vocab if len(t) > 3 and t.isalpha()][:2]
home = saved("own", query_expansion=fixed | {"token": fill}, mask=dict(skiplist_words=[word]))
(TMP / "corpus.txt").write_text("moti\n")
passes = f"prune-vocab{{corpus={TMP}/corpus.txt}},O2"
whole = build(home, TMP / "whole", "--cpu=baseline")
fewer = build(home, TMP / "fewer", "--cpu=baseline", f"--passes={passes}")
for task in "--prompt=query", "--prompt=document":
    assert lines(whole, task, texts=["moti", word]) == lines(fewer, task, texts=["moti", word]), task
home = TMP / "colbert"
for family, keys in ("bert", {}), ("distilbert", dict(query_expansion=fixed)):
    # a directory made from a plain encoder: 128 columns
    torch.manual_seed(7)
    plain = TMP / f"plain-{family}"
    MultiVectorEncoder(str(once(family, 3)), device="cpu").save(str(plain), create_model_card=False)
    if keys:
        set_keys(plain / "sentence_bert_config.json", **keys)
    for ids in [3, 7, 9], [5]:
        given = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids))}
        want = oracle(plain).forward(given)["token_embeddings"][0]
        compare(evaluate(plain, [ids])[0]["embeddings"], want.detach().numpy(), (family, ids))

# ---- verify, passes, limits
out = bertc("verify", home, "--max-abs=1e-4").stdout.decode()
assert "embeddings" in out, out
small = build(home, TMP / "small", "--cpu=baseline", "--passes=quantize-embeddings,quantize-int8")
cosines = []
for line, text in zip(lines(small, "--prompt=query").splitlines(), TEXTS, strict=True):
    got, want = np.array(json.loads(line)), model.encode_query(text, convert_to_numpy=True)
    cosines += (got * want).sum(1).tolist()
assert min(cosines) > 0.95, cosines
for passes in "drop-layers{strategy=top keep=1}", "prune-heads{keep=1}", "prune-vocab{keep=60}":
    less = build(home, TMP / "less", "--cpu=baseline", f"--passes={passes}")
    got = [len(json.loads(line)) for line in lines(less, "--prompt=query").splitlines()]
    assert got == [12] * len(TEXTS), passes
drop = "--passes=drop-layers{strategy=top keep=1}"
checkpoint = build(home, TMP / "checkpoint", "--emit=checkpoint", drop)
less = vectors("checkpoint", checkpoint)[1]
assert lines(less) == lines(build(home, TMP / "less", "--cpu=baseline", drop))
p = bertc("build", home, "-o", TMP / "pruned", "--passes=prune-tokens{layer=0 keep=0.5}", check=False)
assert p.returncode == 4 and b"may need any token" in p.stderr, p.stderr
short = build(home, TMP / "short", "--cpu=baseline", "--max-tokens=14")
got = [len(json.loads(line)) for line in lines(short, "--prompt=document").splitlines()]
want = [min(len(r), 14) for r in (model.encode_document(t) for t in TEXTS)]
assert max(got) <= 14 and got[0] == want[0], (got, want)
refused = bertc("build", home, "-o", TMP / "short", "--max-tokens=11", check=False)
assert refused.returncode == 4 and b"filled up to 12 tokens" in refused.stderr, refused.stderr

# ---- windows: rows of documents that are too long; a query is cut
flags = ["--on-overflow=window"]
rows = [json.loads(line) for line in lines(program, "--prompt=document", *flags).splitlines()]
long = model.tokenizer("[D] " + TEXTS[2])["input_ids"]
skipped = set(model.tokenizer.convert_tokens_to_ids(points)) - {model.tokenizer.unk_token_id}
assert len(rows[2]) == len([i for i in long if i not in skipped]) > 20
assert lines(program, "--prompt=query", *flags) == lines(program, "--prompt=query")
cut = ["--prompt=query", "--json", "dela " * 12]  # 48 tokens in 40, then 50
assert json.loads(run(made["min-long"][1], *cut).stdout)["truncated"]
assert run(made["min-long"][1], *cut, "--on-overflow=error", check=False).returncode == 1
plain = lines(program, "--hidden", "--prompt=document")
assert lines(program, "--hidden", "--query=moti") == plain and plain

# ---- bertc eval: a query and a document, by MaxSim
for name in "colbert", "clusters-all":
    of = made[name][0]
    pairs = [(TEXTS[i], TEXTS[j]) for i, j in ((0, 1), (1, 0), (1, 1), (2, 1), (0, 4), (4, 6))]
    sides = of.encode_query([q for q, _ in pairs]), of.encode_document([d for _, d in pairs])
    evaluates(name, TMP / name, pairs, of.similarity_pairwise(*sides).tolist())

# ---- the C API
def shared(home):
    name = home.name.replace("-", "_")
    return Library(build(home, TMP / f"{name}.so", "--emit=shared", f"--name={name}", "--cpu=baseline"), name)


def run_text(library, texts, task, flag=0):
    """The rows of each text."""
    for option, value in (b"task", task), (b"overflow", flag):
        assert library.f("set")(library.context, option, ctypes.c_double(value)) == 0
    data = [t.encode() for t in texts]
    array = (ctypes.c_char_p * len(data))(*data)
    sizes = (ctypes.c_size_t * len(data))(*map(len, data))
    offsets = (ctypes.c_int32 * (len(data) + 1))()
    floats = np.full(16 * 512, np.nan, np.float32)
    for room in 0, floats.size:
        status = library.f("run_text")(
            library.context, array, sizes, None, None, len(data),
            floats.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(room), offsets, None,
        )  # fmt: skip
        assert (status == 0) == (room > 0), status
    assert np.isnan(floats[16 * offsets[len(data)] :]).all()
    return [floats[16 * a : 16 * b].reshape(-1, 16) for a, b in zip(offsets, offsets[1:])]


for name in "colbert", "clusters-all":
    of, library = made[name][0], shared(TMP / name)
    for task, (word, encode) in enumerate(ENCODE.items()):
        given = [(prompt_of(of, word) or "") + t for t in TEXTS]
        for text, rows in zip(TEXTS, run_text(library, given, task, 1), strict=True):
            same((name, "library", word), rows, getattr(of, encode)(text, convert_to_numpy=True))
        if word == "query":
            queries = run_text(library, given, task, 1)
    score, docs = library.f("maxsim"), run_text(library, given, 2, 1)
    score.restype = ctypes.c_double
    side = lambda rows: (rows.ctypes.data_as(ctypes.c_void_p), len(rows))
    for query, rows in zip(TEXTS, queries):
        printed = map(float, lines(made[name][1], "--query", query).split())
        for doc, want in zip(docs, printed, strict=True):
            got = score(*side(rows), *side(doc))
            assert abs(got - want) <= 1e-5 * max(1, abs(want)), (name, query, got, want)
library = shared(home)
for text, rows in zip(TEXTS, run_text(library, ["[D] " + t for t in TEXTS], 2, 2), strict=True):
    line = lines(program, "--prompt=document", *flags, texts=[text])
    same("windows of the library", rows, json.loads(line))
assert library.f("set")(library.context, b"task", ctypes.c_double(3)) != 0

# ---- what is refused
wrong = ["--prompt=summary"], ["--query", "a", "--prompt=query"], ["--top", "2"], ["--query", "a", "--raw"]
for options in wrong:
    assert run(program, *options, "b", check=False).returncode == 2, options
p = run(program, "--query", "a", input=b"b\tc\nd\n", check=False)
assert p.returncode == 1 and b"has a tab" in p.stderr and p.stdout.count(b"\n") == 1, p
config = home / "sentence_bert_config.json"
for value, words in [
    ({"strategy": "most", "length": 3}, ["most", "fixed"]),
    ({"strategy": "min"}, ["no length"]),
    ({"strategy": "min", "length": 9, "shape": 1}, ["shape"]),
    ({"strategy": "min", "length": 2.5}, ["2.5"]),
    ([], ["an array"]),
    ({"strategy": "min", "length": 99}, ["filled up to 99"]),
]:
    set_keys(config, query_expansion=value)
    refuses(home, *words)
set_keys(config, query_expansion=fixed, query_length=5)
refuses(home, "query_length is 5")
set_keys(config, query_expansion=fixed | {"token": "[none]"}, query_length=None)
p = bertc("build", home, "-o", TMP / "none", check=False)
assert p.returncode == 4 and b"[none]" in p.stderr, p.stderr
set_keys(config, query_expansion=fixed)
set_keys(home / "tokenizer_config.json", padding_side="left")
refuses(home, "padding_side")
set_keys(home / "tokenizer_config.json", padding_side=None)
masks = next(home.glob("*_MultiVectorMask")) / "config.json"
for keys, words in [
    ({"keep_only_token_ids": [5]}, "keep_only_token_ids"),
    ({"skiplist_words": "x"}, "skiplist_words"),
    ({"skiplist_words": [3]}, "skiplist_words"),
    ({"skiplist_tasks": 3}, "skiplist_tasks"),
]:
    before = masks.read_text()
    set_keys(masks, **keys)
    refuses(home, words)
    masks.write_text(before)
narrow = saved("narrow", family="modernbert", query_expansion={"strategy": "fixed", "length": 22})
refuses(narrow, "local attention to 40", "at most 21")
refuses(saved("deberta", family="deberta-v2", query_expansion=fixed), "deberta-v2", "attend")
assert loads(saved("deberta-attended", family="deberta-v2", query_expansion=fixed | {"attend": True}))[0]
pooled = TMP / "clusters"
rows = json.loads((pooled / "modules.json").read_text())
for type in "HierarchicalTokenPooling", "LambdaTokenPooling", "MultiVectorMask", "Pooling", "Normalize":
    (pooled / "modules.json").write_text(json.dumps(rows + [rows[-1] | {"name": "9", "type": f"x.{type}"}]))
    refuses(pooled, type)
(pooled / "modules.json").write_text(json.dumps(rows))
set_keys(pooled / rows[-1]["path"] / "config.json", pool_factor=0.5)
refuses(pooled, "pool_factor is 0.5")
shorter = saved("shorter", query_expansion={"strategy": "min", "length": 12})
set_keys(shorter / "sentence_bert_config.json", processing_kwargs={"text": {"max_length": 8}})
vectors("cut to fewer tokens than it is filled up to", shorter)
words = [f"{i:04}" + "x" * 1000 for i in range(4096)]  # 4 MB, and memory in proportion
many = saved("many", mask={"skiplist_words": words})
run("bash", "-c", 'ulimit -v 2000000; "$@"', "-", BERTC, "build", many, "--emit=bir", "-o", TMP / "many.bir")
good, messages = loads(once("bert", 1), "--task=multi-vector")
assert not good and "MultiVectorEncoder" in messages, messages

# ---- PyLate: a Transformer and a Dense, the rest in config_sentence_transformers.json
def pylate(name, family="bert", tokens=(), **keys):
    home = saved(name, family=family, mask=None, unit=False)
    rows = json.loads((home / "modules.json").read_text())
    rows[1]["type"] = "pylate.models.Dense.Dense"
    (home / "modules.json").write_text(json.dumps(rows))
    dense = home / rows[1]["path"] / "config.json"
    set_keys(dense, module_input_name=None, module_output_name=None)
    old = {"model_type": "ColBERT", "similarity_fn_name": "MaxSim"}
    old |= {"query_prefix": "[Q] ", "document_prefix": "[D] "}
    set_keys(home / "config_sentence_transformers.json", **old | keys)
    if tokens:
        tokenizer = AutoTokenizer.from_pretrained(home)
        tokenizer.add_tokens(list(tokens))
        tokenizer.save_pretrained(home)
        model = AutoModel.from_pretrained(home)
        model.resize_token_embeddings(len(tokenizer))
        model.save_pretrained(home)
    return home


both = pylate("both", attend_to_expansion_tokens=True)
set_keys(both / "sentence_bert_config.json", query_expansion={"strategy": "fixed", "length": 12})
for name, home in {
    "old": pylate("old", query_length=16, document_length=18),
    "added": pylate("added", tokens=["[Q] ", "[D] "]),
    "marked": pylate("marked", prompts={"query": "[unused1] kuna ", "sum": None}, query_prefix="[UNK] "),
    "skips": pylate(
        "skips", skiplist_words=["."], do_query_expansion=False, query_length=9, document_prefix=None
    ),
    "none": pylate("none", skiplist_words=[]),
    "both": both,
    "attends": pylate("attends", attend_to_expansion_tokens=True, query_length=12),
    "odd": pylate(
        "odd",
        query_expansion={"strategy": "min", "length": 10},
        query_prefix="",
        attend_to_mask_tokens=True,
    ),
}.items():
    ranks(name, *vectors(name, home))
    described = TMP / f"{name}.xml"
    bertc("describe", home, "-o", described)
    xml = build(described, TMP / f"{name}-xml.program", "--cpu=baseline", f"--search={home}")
    bir = build(home, TMP / f"{name}.bir", "--emit=bir")
    bir = build(bir, TMP / f"{name}-bir.program", "--cpu=baseline", f"--search={home}")
    for program in xml, bir:
        for options in ["--prompt=query"], ["--prompt=document"]:
            assert lines(program, *options) == lines(TMP / f"{name}.program", *options), (program, options)

# ---- real texts
if FULL and SHARED and (SHARED / "models/minilm-l6").exists():
    torch.manual_seed(5)
    real = TMP / "real"
    expansion = {"strategy": "fixed", "length": 32}
    parts = [Transformer(str(SHARED / "models/minilm-l6"), query_expansion=expansion)]
    parts += [Dense(384, 128, bias=False, activation_function=nn.Identity(), **TOKENS)]
    parts += [MultiVectorMask(points), Normalize(**TOKENS)]
    MultiVectorEncoder(modules=parts, device="cpu").save(str(real), create_model_card=False)
    TEXTS = (SHARED / "data/text/en.txt").read_text().splitlines()[:200]
    model, program = oracle(real), build(real, TMP / "real.program")
    for task in "query", "document":
        want = getattr(model, ENCODE[task])(TEXTS, batch_size=1, convert_to_numpy=True)
        raw(("real", task), lines(program, "--raw", f"--prompt={task}"), want)
    ranks("real", model, program, ["Who wrote the first book about birds?"])
print(f"{checks} checks")
