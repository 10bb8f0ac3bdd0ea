"""Broken checkpoints of every family: keys of config.json with wrong types and sizes; tensors that are
missing, have another shape or are truncated. Each is refused with exit 3 or 4 and the name of the key
or tensor. Nothing crashes, and no result is left.

    test_family_hostile.py [FAMILY...]"""

import shutil, sys
from types import SimpleNamespace
from _support import TMP, bertc
from checkpoints import *
from make_model import FAMILIES, TESTED, random_model

SIZES = [
    "hidden_size",
    "num_attention_heads",
    "num_hidden_layers",
    "intermediate_size",
    "max_position_embeddings",
    "vocab_size",
]
# of some families
MORE_SIZES = ["embedding_size", "num_hidden_groups", "inner_group_num", "relative_attention_num_buckets"]
MORE_SIZES += ["intra_bottleneck_size", "num_feedforward_networks"]
MORE_SIZES += ["input_embedding_size", "q_groups", "output_groups"]
# null is no default: transformers 4 takes it for false, or for no activation
NULLS = ["trigram_input", "use_bottleneck", "key_query_shared_bottleneck", "classifier_activation"]
NULLS += ["position_biased_input", "legacy", "summary_use_proj", "summary_activation", "pooler_hidden_act"]
NULLS += ["hidden_act", "layer_norm_eps"]
NONSENSE = ["24", 24.5, -1, 0, 2**31, 2**62, [24], {"n": 24}, True]
count = 0


def refused(directory, codes, *words):
    """The build must fail with one of the exit codes, and its message must contain one of the words."""
    global count
    count += 1
    out = TMP / "result.bir"
    done = bertc("build", directory, "--emit=bir", "-o", out, "--quiet", check=False)
    message = done.stderr.decode(errors="replace")
    what = f"{directory.name}: {words}"
    assert done.returncode in codes, f"{what}: exit {done.returncode}, expected {codes}\n{message}"
    assert "error: " in message and any(w in message for w in words), f"{what} not in: {message}"
    assert not out.exists() and not list(TMP.glob("result*")), f"{what}: something is left of it"


def broken(good, name):
    directory = good.parent / f"{good.name}-{name}"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(good, directory)
    return directory


def check_config(family, row, good):
    own_keys = row.config().to_dict()
    for key in SIZES + [k for k in MORE_SIZES if k in own_keys]:
        own = row.names.get(key, key)
        if not own:
            continue
        for n, value in enumerate(NONSENSE):
            directory = broken(good, f"{key}-{n}")
            rewrite_config(directory, **{own: value})
            refused(directory, (3, 4), own)
        if key == "num_hidden_groups" or (key == "num_hidden_layers" and "num_hidden_groups" in own_keys):
            continue  # more runs of the same weights, or groups that never run
        config = json.loads((good / "config.json").read_text())
        hidden = config[row.names.get("hidden_size", "hidden_size")]
        more = {"hidden_size": 2 * hidden, "num_attention_heads": hidden + 1}
        if key == "max_position_embeddings" and not row.has_positions:
            continue
        directory = broken(good, f"{key}-more")  # the tensors have another size
        rewrite_config(directory, **{own: more.get(key, config[own] + 1)})
        refused(directory, (3, 4), own)
    activation = row.names.get("hidden_act", "hidden_act")
    for value in ("nosuch", "", 3, None.__class__.__name__, ["gelu"], "gelu\x00", "a" * 100000):
        directory = broken(good, "activation")
        rewrite_config(directory, **{activation: value})
        refused(directory, (3, 4), activation, "is not JSON")
    for key in NULLS:
        own = row.names.get(key, key)
        read = own in own_keys and (family == "xlnet" or not own.startswith("summary_"))
        if read:  # ELECTRA has a summary in heads for multiple choice only
            directory = broken(good, "null")
            config = json.loads((good / "config.json").read_text()) | {own: None}
            (directory / "config.json").write_text(json.dumps(config))
            refused(directory, (3,), f"{own} is null")
    if row.starts_behind_padding and row.padding(SimpleNamespace(pad_token_id=7)) == 7:
        for value in (-1, 10**6, "1", 1.5, [1], json.loads((good / "config.json").read_text())["vocab_size"]):
            directory = broken(good, "padding")
            rewrite_config(directory, pad_token_id=value)
            refused(directory, (3, 4), "pad_token_id", "max_position_embeddings")
    for key in ("is_decoder", "add_cross_attention"):
        if key in row.config().to_dict():
            directory = broken(good, key)
            rewrite_config(directory, **{key: True})
            refused(directory, (4,), key)


def check_tensors(family, row, good, model):
    """Each tensor in turn is removed, then gets one more row. One tensor gets another type."""
    stored = load_file(good / "model.safetensors")
    for name in stored:
        if name.endswith(row.unread):
            continue
        directory = broken(good, "tensor")
        if not name.endswith(row.computed or "none"):
            rewrite(directory, lambda t: {k: v for k, v in t.items() if k != name})
            refused(directory, (3, 4), name.removesuffix(".weight").removesuffix(".bias"))
        rewrite(directory, lambda t: stored | {name: torch.cat([stored[name], stored[name][:1]])})
        refused(directory, (3, 4), name.removesuffix(".weight").removesuffix(".bias"))
    name = max(stored, key=lambda k: stored[k].numel())
    directory = broken(good, "integers")
    rewrite(directory, lambda t: t | {name: t[name].to(torch.int32)})
    refused(directory, (3, 4), name)
    whole = (good / "model.safetensors").read_bytes()
    for n in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        directory = broken(good, "cut")
        (directory / "model.safetensors").write_bytes(whole[:n])
        refused(directory, (3,), "model.safetensors")


def check_model_type(family, row, good):
    for value, code in (("nosuch", 4), ("", 4), (3, 3), ([family], 3), ("x" * 5000, 4), ("../bert", 4)):
        directory = broken(good, "type")
        rewrite_config(directory, model_type=value, architectures=None)
        refused(directory, (3, 4), "model_type")
    other = next(f for f in FAMILIES if f != family)
    directory = broken(good, "other")  # another family's tensors
    rewrite_config(directory, model_type=other, architectures=None)
    refused(directory, (3, 4), "config.json", "embeddings")


torch.set_num_threads(1)
for family in sys.argv[1:] or TESTED:
    row = FAMILIES[family]
    model, config = random_model(
        family, "classify", 3, TMP / family, **row.unshared({"num_hidden_layers": 1, "num_labels": 3})
    )
    check_config(family, row, TMP / family)
    check_tensors(family, row, TMP / family, model)
    check_model_type(family, row, TMP / family)
    print(f"ok {family}: {count} refused so far", flush=True)
