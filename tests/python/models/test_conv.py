"""DeBERTa-v2 with a convolution behind its first layer, of one token or several, in one group of columns or
several: the numbers of transformers. Even sizes, other shapes and groups that do not divide are refused.

    test_conv.py"""

import shutil
from _support import TMP, Library, bertc, build, compare
from checkpoints import *
from make_model import FAMILIES, random_model, reference

torch.set_grad_enabled(False)
torch.set_num_threads(1)
ROW = FAMILIES["deberta-v2"]
SIZES = dict(hidden_size=24, num_attention_heads=3, num_hidden_layers=2, intermediate_size=33, num_labels=2)
SIZES |= dict(vocab_size=97, type_vocab_size=0, max_position_embeddings=40)


def check(size, groups, act):
    directory = TMP / f"conv-{size}-{groups}"
    conv = dict(conv_kernel_size=size, conv_groups=groups, conv_act=act)
    model, _ = random_model("deberta-v2", "classify", 5, directory, tokenizer=False, **SIZES, **conv)
    code = build(directory, directory / "m.so", "--emit=shared", "--name=m", "--cpu=baseline")
    library = Library(code, "m")
    for n in (1, 2, 3, 17):
        ids = [(7 * i + n) % 97 for i in range(n)]
        compare(library.run([ids], 2), reference(ROW, model, "classify", ids), f"{size} {groups}, {n} tokens")
    return directory


def refused(directory, code, word, **keys):
    copy = TMP / "refused"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    rewrite_config(copy, **keys)
    p = bertc("build", copy, "--emit=bir", "-o", TMP / "none.bir", check=False)
    assert p.returncode in code and word in p.stderr.decode(), (keys, p.stderr)


for size, groups, act in ((1, 1, "gelu"), (3, 1, "tanh"), (5, 4, "relu")):
    good = check(size, groups, act)
refused(good, (4,), "conv_kernel_size", conv_kernel_size=4)
refused(good, (4,), "conv_kernel_size", conv_kernel_size=16)
refused(good, (3, 4), "conv_kernel_size", conv_kernel_size="3")
refused(good, (4,), "conv_groups", conv_groups=5)
refused(good, (3,), "encoder.conv.conv.weight is f32[24,6,5], expected [24,12,5]", conv_groups=2)
refused(good, (4,), "conv_act", conv_act="nosuch")
for family, keys in (
    ("convbert", {"conv_kernel_size": 4}),
    ("convbert", {"head_ratio": 0}),
    ("nystromformer", {"conv_kernel_size": 4}),
    ("nystromformer", {"num_landmarks": 32}),
    ("fnet", {"use_tpu_fourier_optimizations": True}),
):
    if not (TMP / family).exists():
        random_model(family, "encoder", 1, TMP / family, tokenizer=False)
    refused(TMP / family, (3, 4), next(iter(keys)), **keys)
print("3 convolutions")
