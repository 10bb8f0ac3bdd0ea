"""What programs do with embeddings: similarity, fewer numbers, fewer bits, prompts that are not pooled; and
StaticEmbedding. sentence-transformers is the oracle."""

import ctypes, json
import numpy as np
from safetensors.torch import save_file
from tokenizers import Tokenizer
from sbert import *
from sentence_transformers import quantize_embeddings
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

TEXTS = ["banana moti, sela!", "zeku lomi tara vobe. kuna? nasi-poto 42", "dela " * 9, "", "MOTI sela 7"]
PAIRS = [(a, b) for a in TEXTS for b in TEXTS[1:4]]


def program(home, *options):
    return build(home, TMP / f"{home.name}.program", "--cpu=baseline", *options)


def lines(path, texts, *options):
    out = run(path, *options, input="".join(f"{t}\n" for t in texts).encode()).stdout
    return [json.loads(line) for line in out.decode().splitlines()]


def fails(path, *options):
    p = run(path, *options, "a", check=False)
    assert p.returncode == 2, (options, p.stderr)
    return p.stderr.decode()


def encodes(what, path, home, *options, **how):
    """The program prints what encode() returns for each text alone."""
    model = SentenceTransformer(str(home), device="cpu")
    for text, got in zip(TEXTS, lines(path, TEXTS, *options), strict=True):
        compare(got, model.encode([text], **how)[0], (what, text))


# ---- similarity, by each function, also of the first numbers and with the default prompt
pairs = ["\t".join(pair) for pair in PAIRS]
for name in "cosine", "dot", "euclidean", "manhattan":
    home = saved(name, 1, pool("mean"), prompts={"q": "kuna: "}, similarity_fn_name=name)
    path = program(home)
    model = SentenceTransformer(str(home), device="cpu")
    for dim, prompt in (None, None), (9, None), (None, "q"):
        options = [f"--dim={dim}"] if dim else []
        options += [f"--prompt={prompt}"] if prompt else []
        how = dict(truncate_dim=dim, prompt_name=prompt, batch_size=1)
        want = model.similarity_pairwise(*(model.encode(side, **how) for side in zip(*PAIRS)))
        compare(lines(path, pairs, "--similarity", *options), want, (name, options), tolerance=2e-4)
        objects = lines(path, pairs, "--similarity", "--json", *options)
        compare([o["score"] for o in objects], want, (name, options))
    library = Library(build(home, TMP / f"{name}.so", "--emit=shared", "--name=m", "--cpu=baseline"), "m")
    library.f("similarity").restype = ctypes.c_double
    rows = model.encode(TEXTS[:2], prompt="")
    got = library.f("similarity")(*(row.ctypes.data_as(ctypes.c_void_p) for row in rows))
    compare(got, model.similarity_pairwise(rows[:1], rows[1:]), (name, "library"), tolerance=1e-5)
    compared = [PAIRS[i] for i in (0, 1, 2, 4, 5, 12)]
    similar = model.similarity_pairwise(*(model.encode(side, batch_size=1) for side in zip(*compared)))
    evaluates(name, home, compared, similar.tolist())
set_keys(home / "config_sentence_transformers.json", similarity_fn_name="maxsim")
described = TMP / "described.xml"
assert b'"maxsim" is not known' in bertc("describe", home, "-o", described).stderr
bertc("describe", TMP / "dot", "-o", described)
xml = build(described, TMP / "xml.program", "--cpu=baseline", f"--search={TMP / 'dot'}")
assert lines(xml, pairs, "--similarity") == lines(TMP / "dot.program", pairs, "--similarity")
cut = run(xml, "--similarity", "--on-overflow=window", "--json", f"a\t{'dela ' * 90}")
assert json.loads(cut.stdout)["windows"] > 2, cut.stdout
p = run(xml, "--similarity", "one text", check=False)
assert p.returncode == 1 and b"no tab" in p.stderr, p.stderr

# ---- a query and documents, with their prompts; the query by itself where there are none
prompts = {"query": "kuna: ", "document": "text lomi: "}
for name, about, *modules in (
    ("search", dict(prompts=prompts, default_prompt_name="query", similarity_fn_name="dot"),
        pool("mean", include_prompt=False)),
    ("search-default", dict(prompts={"passage": "lomi: "}, default_prompt_name="passage"), pool("cls")),
):  # fmt: skip
    home = saved(name, 3, *modules, **about)
    model, searched = SentenceTransformer(str(home), device="cpu"), program(home)
    docs = TEXTS + ["kuna banana"]
    for query in "moti sela", "":
        for dim in None, 9:
            cut = [f"--dim={dim}"] if dim else []
            rows = model.encode_document(docs, truncate_dim=dim, batch_size=1)
            want = model.similarity(model.encode_query([query], truncate_dim=dim), rows)[0].numpy()
            got = lines(searched, docs, "--query", query, *cut)
            compare(got, want, (name, query, dim))
            best = run(searched, "--query", query, "--top=3", *cut, *docs).stdout.decode().splitlines()
            order = sorted(range(len(docs)), key=lambda i: -got[i])[:3]
            assert [(int(t[0]), t[2]) for t in (line.split("\t") for line in best)] == [
                (i, docs[i]) for i in order
            ], (query, best, order)
for options in ["--prompt=query"], ["--similarity"], ["--raw"], ["--precision=binary"], ["--ids"]:
    fails(searched, "--query", "a", *options)
fails(searched, "--top=2")

# ---- the first numbers, and codes; the oracle gets the numbers that the program printed
plain = np.array(lines(path, TEXTS), np.float32)
for dim in 5, 99:
    assert (np.array(lines(path, TEXTS, f"--dim={dim}"), np.float32) == plain[:, :dim]).all()
for dim in None, 11:
    kept = plain[:, :dim]
    cut = [f"--dim={dim}"] if dim else []
    [ranges] = lines(path, TEXTS[:3], "--precision=ranges", *cut)
    ends = np.array(ranges, np.float32)
    assert (ends == [kept[:3].min(0), kept[:3].max(0)]).all()
    for precision in "int8", "uint8", "binary", "ubinary", "float32":
        want = quantize_embeddings(kept, precision, ranges=ends)
        options = [*cut, f"--precision={precision}"]
        if "int8" in precision:
            fails(path, *options)
            options += ["--ranges", json.dumps(ranges)]
        assert (np.array(lines(path, TEXTS, *options), want.dtype) == want).all(), options
        raw = run(path, *options, "--raw", *TEXTS).stdout
        assert raw == np.ascontiguousarray(want).tobytes(), options
        [code] = lines(path, TEXTS[:1], *options, "--json")
        assert (np.array(code["embedding"], want.dtype) == want[0]).all()
whole = json.dumps(ranges)
(TMP / "ranges.json").write_text(json.dumps([plain[:3].min(0).tolist(), plain[:3].max(0).tolist()]))
baked = build(TMP / "manhattan", TMP / "baked", "--cpu=baseline", f"--ranges={TMP / 'ranges.json'}")
for cut in [], ["--dim=11"]:
    want = lines(path, TEXTS, "--precision=int8", "--ranges", (TMP / "ranges.json").read_text(), *cut)
    assert lines(baked, TEXTS, "--precision=int8", *cut) == want
given = ["--precision=uint8", "--dim=2", "--ranges=[[0, -1], [0.5, 1]]"]
assert lines(baked, TEXTS, *given) == lines(path, TEXTS, *given)
assert (np.array(lines(baked, TEXTS), np.float32) == plain).all()
for bad in "", "{}", whole, "[[1], [2]]", json.dumps([[1] * plain.shape[1], [0.5] * plain.shape[1]]):
    (TMP / "bad.json").write_text(bad)
    p = bertc("build", TMP / "manhattan", "-o", TMP / "none", f"--ranges={TMP / 'bad.json'}", check=False)
    assert p.returncode == 3 and b"bad.json" in p.stderr, (bad, p.returncode, p.stderr)
for bad in "", "[[1], [2]]", "[[1]]", whole.replace("[[", "[[1e99, "), "[[2]" + whole[1:], whole[:-2]:
    fails(path, "--precision=int8", "--dim=11", "--ranges", bad)
width = plain.shape[1]
assert f"{width} finite numbers" in fails(path, "--precision=int8", "--ranges", whole)
flat = json.dumps([[0.0] * width] * 2)  # a range of one number
want = quantize_embeddings(plain, "int8", ranges=np.zeros((2, width), np.float32))
assert lines(path, TEXTS, "--precision=int8", "--ranges", flat) == want.tolist()
for options in (
    ["--precision=int4"], ["--dim=0"], ["--ranges", whole], ["--similarity", "--raw"],
    ["--similarity", "--ids"], ["--dim=3", "--logits"], ["--precision=binary", "--hidden"],
):  # fmt: skip
    fails(path, *options)

# ---- include_prompt false: the tokens of a prompt are not pooled
asks = {"query": "ask:  kuna ", "long": "lomi " * 30, "none": "", "special": "kuna [SEP]"}
for modes in ("cls", "max", "lasttoken"), ("mean", "weightedmean", "mean_sqrt_len_tokens"):
    home = saved("-".join(modes), 2, pool(*modes, include_prompt=False), unit, prompts=asks)
    path = program(home)
    for prompt in "query", "long", "none", "special":
        encodes(modes, path, home, f"--prompt={prompt}", prompt_name=prompt)
    encodes(modes, path, home)
described.unlink()
bertc("describe", home, "-o", described)
xml = build(described, TMP / "xml2.program", "--cpu=baseline", f"--search={home}")
assert lines(xml, TEXTS, "--prompt=query") == lines(path, TEXTS, "--prompt=query")
assert lines(path, TEXTS, "--prompt=query", "--set=prompt_tokens=0") != lines(path, TEXTS, "--prompt=query")
assert "does not pool the prompt" in fails(path, "--prompt=query", "--on-overflow=window")
set_keys(home / "config_sentence_transformers.json", default_prompt_name="query")
encodes("the default prompt", program(home), home)
model = SentenceTransformer(str(home), device="cpu")
similar = model.similarity_pairwise(*(model.encode(side, batch_size=1) for side in zip(*compared)))
evaluates("the default prompt", home, compared, similar.tolist())
ids = "2 5 6 3"
assert lines(program(home), [ids], "--ids") == lines(xml, [ids], "--ids")

# with byte-level BPE the prompt also takes the first piece of the text
bytewise = TMP / "roberta"
random_model("roberta", "encoder", 3, bytewise, max_position_embeddings=66, pad_token_id=1)
tokenizer = AutoTokenizer.from_pretrained(bytewise, model_max_length=64)
tokenizer.save_pretrained(bytewise)
encoder = Transformer(str(bytewise))
parts = [encoder, Pooling(encoder.get_embedding_dimension(), "mean", include_prompt=False)]
home = TMP / "bytewise"
model = SentenceTransformer(modules=parts, prompts={"q": "query: "}, device="cpu")
model.save(str(home), create_model_card=False)
encodes("byte-level BPE", program(home), home, "--prompt=q", prompt_name="q")

# ---- StaticEmbedding
rows = torch.randn(2000, 12)
words = lambda: Tokenizer.from_file(str(once("encoder", 1) / "tokenizer.json"))


def static(name, tokenizer, *modules, dtype=torch.float32, **settings):
    home = TMP / name
    table = rows[: tokenizer.get_vocab_size()].to(dtype)
    parts = [StaticEmbedding(tokenizer, embedding_weights=table), *modules]
    SentenceTransformer(modules=parts, device="cpu", **settings).save(str(home), create_model_card=False)
    return home


home = static("static", words(), prompts={"q": "kuna "}, truncate_dim=7)
encodes("static", program(home), home)
encodes("static with a prompt", TMP / "static.program", home, "--prompt=q", prompt_name="q")
assert "[CLS]" not in run(TMP / "static.program", "--tokenize", "--json", "moti").stdout.decode()
described.unlink()
bertc("describe", home, "-o", described)
xml = build(described, TMP / "xml3.program", "--cpu=baseline", f"--search={home}")
assert lines(xml, TEXTS) == lines(TMP / "static.program", TEXTS)
bir = build(home, TMP / "static.bir", "--emit=bir")
from_bir = build(bir, TMP / "bir.program", "--cpu=baseline", f"--search={home}")
assert lines(from_bir, TEXTS, "--prompt=q") == lines(xml, TEXTS, "--prompt=q")
for direction in "right", "left":
    tokenizer = words()
    tokenizer.enable_truncation(4, direction=direction)
    home = static(f"static-{direction}", tokenizer, Normalize(), Dense(12, 5))
    encodes("static, cut", program(home), home)
# a directory of model2vec: rows, the row of each token, weights; its second folder does not exist
size = words().get_vocab_size()
mapping, weights = torch.randint(0, 50, (size,)).int(), torch.rand(size, dtype=torch.float64)
names = [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]
names += [{"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}]
for tensors in (
    {"embeddings": rows[:size].contiguous()},
    {"embeddings": rows[:50].contiguous(), "mapping": mapping, "weights": weights},
):
    home = TMP / f"model2vec-{len(tensors)}"
    home.mkdir()
    save_file(tensors, home / "model.safetensors")
    words().save(str(home / "tokenizer.json"))
    (home / "modules.json").write_text(json.dumps(names))
    (home / "config.json").write_text('{"model_type": "model2vec", "normalize": true}')
    (home / "tokenizer_config.json").write_text('{"do_lower_case": false, "truncation_side": "left"}')
    encodes("model2vec", program(home), home)
mapping[3] = 50
save_file(tensors, home / "model.safetensors")
refuses(home, "mapping of token 3 is 50")
save_file({"embeddings": rows[:50].contiguous(), "weights": weights}, home / "model.safetensors")
refuses(home, "weights is f64", "expected f32[50]")
save_file({"weights": weights}, home / "model.safetensors")
refuses(home, "embedding.weight")

# ---- Router: a plain encode() takes the default route, --route another
encoder = Transformer(str(once("encoder", 4)))
wide = encoder.get_embedding_dimension()
documents = [encoder, Pooling(wide, "mean"), Dense(wide, 12)]
queries = [StaticEmbedding(words(), embedding_weights=rows[:size])]
home = TMP / "router"
router = Router.for_query_document(queries, documents)
model = SentenceTransformer(modules=[router, Normalize()], device="cpu")
model.save(str(home), create_model_card=False)
encodes("the default route", program(home), home)
for task in "query", "document":
    path = build(home, TMP / f"{task}.program", "--cpu=baseline", f"--route={task}")
    encodes(task, path, home, task=task)
p = run(BERTC, "describe", home, "--route=other", check=False)
assert p.returncode == 2 and b"known: query, document" in p.stderr, p.stderr
p = run(BERTC, "describe", TMP / "static", "--route=query", check=False)
assert p.returncode == 2 and b"has no Router" in p.stderr, p.stderr
parts = json.loads((home / "router_config.json").read_text())
older = shutil.copytree(home, TMP / "asym")  # the names of older versions
(older / "router_config.json").rename(older / "config.json")
listed = json.loads((older / "modules.json").read_text())
listed[0]["type"] = "sentence_transformers.models.Asym"
(older / "modules.json").write_text(json.dumps(listed))
encodes("Asym", build(older, TMP / "asym.program", "--cpu=baseline", "--route=query"), older, task="query")
parts["parameters"] = {"allow_empty_key": True}
(home / "router_config.json").write_text(json.dumps(parts))
encodes("the first route", program(home), home)
parts["parameters"] = {"allow_empty_key": False}
(home / "router_config.json").write_text(json.dumps(parts))
refuses(home, "no default_route")
parts["parameters"] = {"route_mappings": {"(None, 'text')": "query"}}
(home / "router_config.json").write_text(json.dumps(parts))
refuses(home, "route_mappings")
parts["structure"]["query"] = ["../static"]
(home / "router_config.json").write_text(json.dumps(parts | {"parameters": {}}))
refuses(home, "plain folder name")
