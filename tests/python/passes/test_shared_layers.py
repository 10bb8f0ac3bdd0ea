"""ALBERT, whose layers share their weights: which group runs when, and what passes make of weights that many
layers read. A weight stays one constant, whatever happens to it, or the pass is refused.

    test_shared_layers.py"""

import copy, re
from _support import BERTC, FULL, TMP, bertc, build, compare, run
from checkpoints import *
from make_model import FAMILIES, random_model, reference
from transformers import AutoTokenizer

torch.set_grad_enabled(False)
torch.set_num_threads(1)
ROW = FAMILIES["albert"]
SIZES = dict(
    hidden_size=64,
    num_attention_heads=4,
    intermediate_size=96,
    embedding_size=24,
    max_position_embeddings=24,
    vocab_size=97,
    num_labels=3,
    hidden_act="gelu_new",
)
TEXTS = [f"bako zemi {i}" for i in range(9)]
BATCH = [[5], [7, 8, 9, 11, 3], list(range(2, 26))]


def model_of(name, layers, groups, inner=1, tokenizer=True):
    keys = dict(num_hidden_layers=layers, num_hidden_groups=groups, inner_group_num=inner)
    return random_model("albert", "classify", 11, TMP / name, tokenizer, **SIZES, **keys)[0]


def check(directory, model, what, *options):
    for ids, got in zip(BATCH, evaluate(directory, BATCH, *options), strict=True):
        compare(got["logits"], reference(ROW, model, "classify", ids), what, 2e-5)


def left_by(name, passes):
    """Writes the graph after the passes into the folder of the checkpoint."""
    graph = TMP / name / "left.bir"
    last = re.sub(r"\{[^}]*\}", "", passes).split(",")[-1]
    options = ("--emit=bir", f"--passes={passes}", f"--stop-after={last}", "--quiet", "--cpu=baseline")
    run(BERTC, "build", TMP / name, "-o", graph, *options)
    return graph


def refused(name, passes, *words, emit="bir"):
    options = (f"--emit={emit}", "-o", TMP / "none", f"--passes={passes}")
    p = run(BERTC, "build", TMP / name, *options, check=False)
    message = p.stderr.decode()
    assert p.returncode == 4 and all(w in message for w in words), (passes, p.returncode, message)


def matrices(graph, dtype):
    """Constants that are matrices of a layer, by their number of elements."""
    rows = re.findall(rf"const @\S*albert_layers\S* : {dtype}\[(\d+),(\d+)\]", graph.read_text())
    return sorted(int(a) * int(b) for a, b in rows)


def check_order():
    """The groups of 6 layers in 4 groups are 0,0,1,2,2,3."""
    for layers, groups, inner in ((6, 4, 1), (7, 3, 1), (5, 2, 2), (2, 5, 1), (12, 7, 1)):
        name = f"order-{layers}-{groups}-{inner}"
        model = model_of(name, layers, groups, inner)
        rewrite_config(TMP / name, hidden_act=None)  # the default
        check(TMP / name, model, name)


def check_one_constant():
    """Twelve layers have six matrices, in any element type."""
    sizes = sorted([64 * 64] * 4 + [64 * 96] * 2)
    assert matrices(left_by("one", "canonicalize"), "f32") == sizes
    assert matrices(left_by("one", "quantize-int8"), "i8") == sizes
    assert matrices(left_by("one", "compute-bf16"), "bf16") == sizes
    assert matrices(left_by("one", "sparsify{sparsity=0.5}"), "f32") == sizes
    assert matrices(left_by("one", "cast-weights{to=f16}"), "f16") == sizes
    few = sorted([64 * 32] * 4 + [64 * 96] * 2)
    for by in ("magnitude", f"accuracy data={TMP / 'texts'}")[: 2 if FULL else 1]:
        assert matrices(left_by("one", f"prune-heads{{keep=2 by={by}}}"), "f32") == few, by
    assert matrices(left_by("one", "prune-ffn{share=0.5}"), "f32") == sorted([64 * 64] * 4 + [64 * 48] * 2)
    model_of("ids", 12, 1, tokenizer=False)
    build(TMP / "ids", TMP / "m.c", "--emit=c", "--name=m", "--cpu=baseline")
    stored, given = (p.stat().st_size for p in (TMP / "m.weights", TMP / "ids" / "model.safetensors"))
    assert stored < given + 8192, f"{stored} bytes of weights, {given} in the checkpoint"
    two, twelve = (build(TMP / n, TMP / f"{n}.so", "--emit=shared", "--cpu=baseline") for n in ("two", "one"))
    more = twelve.stat().st_size - two.stat().st_size
    assert more < 32768, f"ten more calls of the same layer take {more} bytes"


def least_heads(model):
    """The two heads of the one layer with the least mean over its three runs: of the root of the sum over a
    head's columns of E[x^2] |column of out|^2, divided by the norm over all heads of the run."""
    out = model.base_model.encoder.albert_layer_groups[0].albert_layers[0].attention.dense
    seen = [[] for _ in range(3)]
    tokenizer = AutoTokenizer.from_pretrained(TMP / "three")
    for text in TEXTS:
        inputs = []
        hook = out.register_forward_pre_hook(lambda _, given: inputs.append(given[0][0]))
        model(**tokenizer(text, return_tensors="pt"))
        hook.remove()
        for run_of, x in zip(seen, inputs, strict=True):
            run_of.append(x)
    squares = torch.stack([torch.cat(x).square().mean(0) for x in seen])
    scores = (squares * out.weight.square().sum(0)).view(3, 4, 16).sum(2).sqrt()
    return (scores / scores.norm(dim=1, keepdim=True)).mean(0).argsort()[:2].tolist()


def check_pruning(model):
    """Cuts the same heads and neurons out of all layers by hand."""
    cut = copy.deepcopy(model)
    layer = cut.base_model.encoder.albert_layer_groups[0].albert_layers[0]
    layer.attention.dense.weight.data[:, 16:32] = 0
    layer.ffn_output.weight.data[:, [3, 90]] = 0
    check(left_by("one", "prune-heads{heads=0-11.1},prune-ffn{neurons=0-11.3,0-11.90}"), cut, "pruned")
    refused("one", "prune-heads{heads=0.1}", "layers 0-11 share their weights", "heads=0-11.0")
    refused("one", "prune-ffn{neurons=0-10.1}", "layers 0-11 share their weights")
    fit = f"keep=3 data={TMP / 'texts'}"
    refused("one", f"prune-heads{{by=reconstruction {fit}}}", "layers 0 and 1 share their weights")
    refused("one", f"prune-ffn{{refit=yes {fit}}}", "layers 0 and 1 share their weights")


def check_mean():
    model = model_of("three", 3, 1)
    out = model.base_model.encoder.albert_layer_groups[0].albert_layers[0].attention.dense
    for h in least_heads(model):
        out.weight.data[:, 16 * h : 16 * h + 16] = 0
    check(left_by("three", f"prune-heads{{keep=2 by=activation data={TMP / 'texts'}}}"), model, "least heads")


def check_checkpoints():
    """A checkpoint is written if config.json can express which group runs in each layer."""
    for name, layers, passes, left in (
        ("one", "0,5,11", "drop-layers{layers=0,5,11}", (3, 1)),
        ("order-6-4-1", "2,4", "drop-layers{layers=2,4}", (2, 2)),
        ("order-5-2-2", "2,3,8,9", "drop-layers{layers=2,3,8,9}", (2, 2)),
    ):
        out = TMP / f"{name}.out"
        bertc("build", TMP / name, "--emit=checkpoint", f"--passes={passes}", "-o", out, "--quiet")
        made = ROW.classes()["classify"]
        again, info = made.from_pretrained(out, output_loading_info=True, attn_implementation="eager")
        assert not info["missing_keys"] and not info["unexpected_keys"], (name, info)
        assert (again.config.num_hidden_layers, again.config.num_hidden_groups) == left, again.config
        graph = left_by(name, passes)
        for ids, got in zip(BATCH, evaluate(graph, BATCH), strict=True):
            compare(got["logits"], reference(ROW, again.eval(), "classify", ids), f"{name}: {passes}", 2e-5)
    refused("order-6-4-1", "drop-layers{layers=2,3,4}", "uses the weights of group", emit="checkpoint")
    refused("order-5-2-2", "drop-layers{layers=0,1,2}", "are one run of a group", emit="checkpoint")
    refused("one", "ablate-neurons{neurons=0.3}", "read at two places", emit="checkpoint")
    out = TMP / "fewer.out"
    bertc("build", TMP / "one", "--emit=checkpoint", "--passes=prune-ffn{keep=9}", "-o", out, "--quiet")
    assert ROW.classes()["classify"].from_pretrained(out).config.intermediate_size == 9


(TMP / "texts").write_text("".join(f"{t}\tLABEL_{i % 3}\n" for i, t in enumerate(TEXTS)))
check_order()
model_of("two", 2, 1)
model = model_of("one", 12, 1)
check_one_constant()
check_pruning(model)
check_mean()
check_checkpoints()
print("shared layers: one constant each")
