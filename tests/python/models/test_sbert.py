"""Directories of sentence-transformers, as the library saves them and as older versions did. The reference
evaluator gives the numbers, and programs the printed answers. The library is the oracle."""

import json, shutil
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, pipeline
from sbert import *
from checkpoints import agree, evaluate
from sentence_transformers import CrossEncoder
from sentence_transformers.sentence_transformer.modules import WeightedLayerPooling

TEXTS = ["banana moti, sela!", "zeku lomi tara vobe. kuna? nasi-poto 42", "dela " * 9, ""]
PAIRS = [("what is moti", "sela banana moti"), ("a", "b c"), ("kuna", "dela " * 20)]
checks = 0


def embeds(what, home):
    """The evaluator and SentenceTransformer agree on the texts."""
    global checks
    model = SentenceTransformer(str(home), device="cpu")
    ids = [model.preprocess([t])["input_ids"][0].tolist() for t in TEXTS]
    want = [{"embedding": torch.from_numpy(model.encode([t])[0])} for t in TEXTS]
    got = [{"embedding": o["embedding"]} for o in evaluate(home, ids)]
    agree(what, got, want)
    checks += 1
    return len(want[0]["embedding"])


# ---- pooling: words, lists in their order, repeats
for modes in [
    ("cls",), ("max",), ("mean",), ("mean_sqrt_len_tokens",), ("weightedmean",), ("lasttoken",),
    ("mean", "cls"), ("lasttoken", "mean", "mean", "max"),
    ("weightedmean", "mean_sqrt_len_tokens", "lasttoken", "max", "cls", "mean"),
]:  # fmt: skip
    embeds(modes, saved("pool-" + "-".join(modes), 1, pool(*modes)))
home = saved("pool-old", 1, pool("mean"), unit)
for keys in [
    {"pooling_mode_lasttoken": True, "pooling_mode_cls_token": True},
    {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False},
    {"pooling_mode_weightedmean_tokens": True},
    {"pooling_mode": "cls", "pooling_mode_mean_tokens": True},
]:
    (home / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | keys))
    embeds(keys, home)
for modes, word in (["mean", "best"], '"best"'), ([], "0 words"), ({}, "an object"):
    (home / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": modes}))
    refuses(home, "1_Pooling", word)

# ---- Dense, LayerNorm, Normalize, wherever they may be
chains = {
    "dense": (pool("mean"), dense(13)),
    "several": (pool("mean"), dense(13, nn.GELU()), dense(9, nn.Identity(), bias=False), dense(7), unit),
    "residual": (pool("cls"), dense(32, nn.ReLU(), use_residual=True)),
    "across": (pool("mean", "max"), dense(11, nn.Sigmoid(), use_residual=True), unit),
    "tokens": (dense(12, **of_tokens), pool("mean"), unit),
    "tokens-residual": (dense(12, nn.SiLU(), use_residual=True, **of_tokens), pool("max")),
    "tokens-unit": (lambda w: Normalize(**of_tokens), pool("mean"), unit),
    "unit-first": (pool("mean"), unit, dense(10), unit),
    "layernorm": (pool("mean"), norm, unit),
    "layernorm-dense": (pool("mean"), dense(10), norm),
    "weighted-nothing": (lambda w: WeightedLayerPooling(w, 4, 1), pool("mean")),
}
for name, modules in chains.items():
    embeds(name, saved("chain-" + name, 2, *modules))
for act in [
    nn.LeakyReLU(0.3), nn.ELU(), nn.CELU(), nn.SELU(), nn.Softsign(), nn.Hardtanh(), nn.ReLU6(),
    nn.Hardsigmoid(), nn.Hardswish(), nn.Mish(), nn.Tanhshrink(), nn.GELU("tanh"),
]:  # fmt: skip
    name = type(act).__name__
    embeds(name, saved("act-" + name, 3, pool("mean"), dense(15, act)))
set_keys(home_dense := TMP / "chain-dense" / "2_Dense" / "config.json", activation_function="mine.Act")
embeds("a class that is not of torch", home_dense.parents[1])
set_keys(home_dense, activation_function="torch.nn.modules.activation.RReLU")
refuses(home_dense.parents[1], "RReLU")
set_keys(home_dense, activation_function=None, module_output_name="other")
refuses(home_dense.parents[1], '"other"')

# ---- WeightedLayerPooling: the states of all layers, or of the last ones
layers = json.loads((once("encoder", 2) / "config.json").read_text())["num_hidden_layers"]
for start in 0, layers - 1:
    shares = torch.rand(layers + 1 - start) + 0.1
    weighted = lambda w: WeightedLayerPooling(w, layers, start, nn.Parameter(shares))
    home = saved(f"weighted-{start}", 2, weighted, pool("mean"))
    rewrite_config(home, output_hidden_states=True)
    embeds(home.name, home)
described = TMP / "weighted.xml"
bertc("describe", home, "-o", described)
xml = build(described, TMP / "weighted.program", "--cpu=baseline", f"--search={home}")
assert run(xml, "sela moti").stdout == run(build(home, TMP / "again", "--cpu=baseline"), "sela moti").stdout
home = saved("weighted-too-many", 2, lambda w: WeightedLayerPooling(w, layers + 1, 0), pool("mean"))
rewrite_config(home, output_hidden_states=True)
refuses(home, f"layer_weights of 1_WeightedLayerPooling/model.safetensors has {layers + 2} numbers")
home = saved("weighted-other", 2, lambda w: WeightedLayerPooling(w, layers, 1), pool("mean"))
rewrite_config(home, output_hidden_states=True)
set_keys(home / "1_WeightedLayerPooling/config.json", layer_start=0)
refuses(home, f"is for {layers} layers and {layers + 1} weights")
refuses(saved("each-softmax", 3, dense(5, nn.Softmax(), **of_tokens), pool("mean")), "softmax")

# ---- truncate_dim: behind Normalize, and not normalised again
for dim, width in ((8, 8), (500, 32)):
    home = saved(f"cut-{dim}", 4, pool("mean"), unit, truncate_dim=dim)
    assert embeds(f"truncate_dim {dim}", home) == width
home = saved("pooled", 4, pool("cls"))
shutil.rmtree(home / "1_Pooling")
(home / "modules.json").write_text(json.dumps(json.loads((home / "modules.json").read_text())[:1]))
text = {"method": "forward", "method_output_name": "pooler_output"}
output = "sentence_embedding"
set_keys(home / "sentence_bert_config.json", modality_config={"text": text}, module_output_name=output)
embeds("the pooler's output", home)
text["method"] = "get_text_features"
set_keys(home / "sentence_bert_config.json", modality_config={"text": text})
refuses(home, "get_text_features")



# ---- texts: prompts, lengths, lowering, nothing stripped; programs print embeddings
def texts(what, home, *options, **how):
    """The program and SentenceTransformer agree on texts of any case and length."""
    global checks
    lines = [t + end for t in TEXTS + ["Banana MOTI", " sela"] for end in ("", " ")]
    model = SentenceTransformer(str(home), device="cpu")
    want = model.encode(lines, batch_size=1, **how)
    program = TMP / f"{home.name}.program"
    if not program.exists():
        build(home, program, "--cpu=baseline")
    out = run(program, *options, input="".join(f"{line}\n" for line in lines).encode()).stdout
    for line, got, expected in zip(lines, out.decode().splitlines(), want, strict=True):
        compare(json.loads(got), expected, (what, line))
    checks += 1


asks = {"query": "ask:  kuna ", "none": "", "clustering": "lomi\n"}
home = saved("prompts", 7, pool("mean"), unit, prompts=asks, default_prompt_name="clustering")
texts("default prompt", home)
texts("named prompt", home, "--prompt=query", prompt_name="query")
texts("empty prompt", home, "--prompt=none", prompt_name="none")
texts("no prompt", home, "--prompt=", prompt="")
p = run(TMP / "prompts.program", "--prompt=other", "a", check=False)
assert p.returncode == 2 and b"clustering, document, none, query" in p.stderr, p.stderr
described = TMP / "prompts.xml"
bertc("describe", home, "-o", described)
xml = build(described, TMP / "prompts-xml.program", "--cpu=baseline", f"--search={home}")
for name in ("query", "clustering"):
    words = run(xml, f"--prompt={name}", "moti").stdout
    assert words == run(TMP / "prompts.program", f"--prompt={name}", "moti").stdout
    assert name != "clustering" or words == run(xml, "moti").stdout

# prune-vocab keeps the words of prompts, which the corpus does not have
word = next(t for t in AutoTokenizer.from_pretrained(home).get_vocab() if len(t) > 3 and t.isalpha())
home = saved("worded", 7, pool("mean"), prompts={"query": f"{word}: "}, default_prompt_name="query")
(TMP / "corpus.txt").write_text("moti\n")
passes = f"prune-vocab{{corpus={TMP}/corpus.txt}},O2"
whole = build(home, TMP / "worded.program", "--cpu=baseline")
fewer = build(home, TMP / "fewer", "--cpu=baseline", f"--passes={passes}")
assert run(whole, "moti").stdout == run(fewer, "moti").stdout

home = saved("cased", 8, pool("mean", "cls"))
set_keys(home / "tokenizer_config.json", do_lower_case=False)
tokenizer = json.loads((home / "tokenizer.json").read_text())
tokenizer["normalizer"]["lowercase"] = False
(home / "tokenizer.json").write_text(json.dumps(tokenizer))
set_keys(home / "sentence_bert_config.json", do_lower_case=True, max_seq_length=9)
texts("lowered, and cut by max_seq_length", home)
graph = build(home, TMP / "cased.bir", "--emit=bir")
again = build(graph, TMP / "cased-bir.program", "--cpu=baseline", f"--search={home}")
assert run(again, "Banana MOTI").stdout == run(TMP / "cased.program", "Banana MOTI").stdout
home = saved("short", 8, pool("mean"))
set_keys(home / "sentence_bert_config.json", processing_kwargs={"text": {"max_length": 5}}, max_seq_length=9)
texts("cut by processing_kwargs", home)

# ---- what programs do not have
home = saved("refused", 4, pool("mean"))
rows = json.loads((home / "modules.json").read_text())
types = ["LogitScore", "LambdaTokenPooling", "CLIPModel"]
for row, type in enumerate(types):
    row %= 2
    changed = [dict(r) for r in rows]
    changed[row]["type"] = f"sentence_transformers.models.{type}"
    (home / "modules.json").write_text(json.dumps(changed))
    refuses(home, type, "not supported")
(home / "modules.json").write_text(json.dumps([row | {"name": "same"} for row in rows]))
refuses(home, "modules.json", '"same"')
(home / "modules.json").write_text(json.dumps([rows[0] | {"type": "t" * 9999}]))
assert len(loads(home)[1]) < 1000
(home / "modules.json").write_text(json.dumps(rows))
set_keys(home / "sentence_bert_config.json", strange=1)
set_keys(home / "config_sentence_transformers.json", other=2)
bir = build(home, TMP / "unknown.bir", "--emit=bir").read_text()
told = "config_sentence_transformers.json: other; sentence_bert_config.json: strange"
assert f'meta "unknown_keys" "{told}"' in bir and loads(home)[1].count("does not know") == 2
for key, value in {
    "processing_kwargs": {"text": {"add_special_tokens": False}},
    "processor_kwargs": {"do_lower_case": False},
    "config_kwargs": {"hidden_act": "relu"},
    "tokenizer_name_or_path": "other",
}.items():
    set_keys(home / "sentence_bert_config.json", **{key: value})
    refuses(home, "sentence_bert_config.json", list(value)[0] if isinstance(value, dict) else key)
    set_keys(home / "sentence_bert_config.json", **{key: None})
set_keys(home / "config_sentence_transformers.json", model_type="SparseEncoder")
refuses(home, "SparseEncoder")


# ---- classifiers: the answers of programs
def printed(home, *options):
    out = TMP / f"{home.name}.out"
    build(home, out, "--cpu=baseline", *options)
    lines = "".join(f"{a}\t{b}\n" for a, b in PAIRS).encode()
    p = run(out, "--json", input=lines)
    objects = [json.loads(line) for line in p.stdout.splitlines()]
    plain = run(out, input=lines).stdout.decode().splitlines()
    return objects, plain


def near(what, got, want):
    compare(got, want, what, tolerance=2e-4)


def scores(what, home):
    """The program prints the scores of CrossEncoder.predict."""
    global checks
    model = CrossEncoder(str(home), device="cpu")
    want = [model.predict([p])[0] for p in PAIRS]
    objects, plain = printed(home)
    if model.num_labels == 1:
        near(what, [o["score"] for o in objects], want)
        near(what, [float(line) for line in plain], want)
    else:
        near(what, [list(o["scores"].values()) for o in objects], want)
    checks += 1


def classifier(name, labels, **config):
    """The plain layout: config.json and weights, without modules.json."""
    home = copied(once("classify", 5), f"plain-{name}")
    torch.manual_seed(labels)
    model = AutoModelForSequenceClassification.from_pretrained(
        home, num_labels=labels, ignore_mismatched_sizes=True
    )
    nn.init.normal_(model.classifier.weight, std=0.2)
    nn.init.normal_(model.classifier.bias)
    model.save_pretrained(home)
    rewrite_config(home, **config)
    return home


def kept(source, name, **options):
    """Saved again by CrossEncoder of today, with modules.json."""
    model = CrossEncoder(str(source), device="cpu", **options)
    model.save_pretrained(str(TMP / name), create_model_card=False)
    return TMP / name


identity, sigmoid = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid"
one, three = classifier("one", 1), classifier("three", 3)
scores("today's, one label", kept(one, "ce-one"))
scores("today's, three labels", kept(three, "ce-three"))
for home in TMP / "ce-one", TMP / "ce-three":
    set_keys(home / "config_sentence_transformers.json", activation_fn=None)
    scores("no activation is named", home)
scores("today's, identity", kept(one, "ce-identity", activation_fn=nn.Identity()))
scores("today's, tanh of three", kept(three, "ce-tanh", activation_fn=nn.Tanh()))
scores("old, identity", classifier("old", 1, sbert_ce_default_activation_function=identity))
home = classifier("regression", 1, problem_type="regression")
rewrite_config(home, sentence_transformers={"activation_fn": sigmoid})
rewrite_config(home, sbert_ce_default_activation_function=identity)
scores("the newer key, whatever problem_type says", home)
home = kept(classifier("both", 1, sentence_transformers={"activation_fn": identity}), "ce-both")
set_keys(home / "config_sentence_transformers.json", activation_fn=sigmoid)
scores("activation_fn of config_sentence_transformers.json first", home)
set_keys(home / "config_sentence_transformers.json", activation_fn="mine.Act")
scores("a class that is not of torch", home)



def pipelines(what, home):
    """Without a sign of CrossEncoder, the answer is that of transformers' pipeline."""
    global checks
    classify = pipeline("text-classification", str(home), device="cpu")
    want = [classify({"text": a, "text_pair": b}, top_k=None) for a, b in PAIRS]
    objects, plain = printed(home, "--task=classify")
    for scored, obj, line in zip(want, objects, plain):
        if "label" in obj:
            assert obj["label"] == scored[0]["label"], (what, obj, scored)
            near(what, obj["score"], scored[0]["score"])
        by_label = obj.get("scores") or {scored[0]["label"]: obj["score"]}
        near(what, [by_label[s["label"]] for s in scored], [s["score"] for s in scored])
    checks += 1


pipelines("one label", one)
pipelines("one label, regression", copied(one, "raw", problem_type="regression"))
pipelines("three labels", three)
pipelines("three labels, regression", copied(three, "raw3", problem_type="regression"))
many = dict(problem_type="multi_label_classification")
pipelines("three labels, multi-label", copied(three, "multi3", **many))

# the modular form
encoder = Transformer(str(once("encoder", 6)))
size = encoder.get_embedding_dimension()
for labels in 1, 2:
    home = TMP / f"ce-modular-{labels}"
    head = Dense(32, labels, activation_function=nn.Identity(), module_output_name="scores")
    model = CrossEncoder(modules=[encoder, Pooling(size, "cls"), Dense(size, 32), head], device="cpu")
    model.save_pretrained(str(home), create_model_card=False)
    scores(f"modular, {labels} labels", home)

print(f"{checks} directories")
