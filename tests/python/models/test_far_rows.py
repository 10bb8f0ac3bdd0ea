"""DeBERTa-v2: the row for each distance, on both sides, is the one that torch computes, for many numbers of
buckets and spans. Fused programs hold tables of rows, and no matrix of scores; their memory grows with the
length as that of other models. Texts may be longer than the span.

    test_far_rows.py"""

import re
from _support import BERTC, FULL, TMP, Library, bertc, build, compare, run
from checkpoints import *
from make_model import FAMILIES, random_model, reference
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

torch.set_grad_enabled(False)
torch.set_num_threads(1)
LONGEST, BEYOND = 600, 640  # positions of config.json; without a table of them, texts may be longer
ROW = FAMILIES["deberta-v2"]
KEYS = dict(hidden_size=24, num_attention_heads=3, num_hidden_layers=2, intermediate_size=33)
KEYS |= dict(vocab_size=97, type_vocab_size=0, num_labels=2, relative_attention=True)
KEYS |= dict(pos_att_type=["c2p", "p2c"], position_biased_input=False, max_position_embeddings=LONGEST)


def lowered(directory, *options):
    """The graph as it is compiled."""
    run(BERTC, "build", directory, "--emit=bir", "-o", TMP / "lowered.bir", "--quiet", *options)
    return (TMP / "lowered.bir").read_text()


def check_rows(directory, buckets, span):
    """The index of the program, distance by distance."""
    side = buckets if buckets > 0 else span
    rewrite(
        directory,
        lambda t: t | {"deberta.encoder.rel_embeddings.weight": torch.ones(2 * side, 24)},
        position_buckets=buckets,
        max_relative_positions=span,
    )
    text = lowered(directory, "--passes=canonicalize")
    (values,) = re.findall(r"const (?:@(\S+)|\[(.*)\]) : i32\[\d+\]  # attention.positions", text)
    if values[0]:
        index = load_file(TMP / "lowered.safetensors")[values[0]].tolist()
    else:
        index = [int(v) for v in values[1].split(",")]
    reach = len(index) // 2
    distances = torch.arange(-LONGEST + 1, LONGEST)  # query minus key
    rows = make_log_bucket_position(distances, buckets, span) if buckets > 0 else distances
    want = torch.clamp(rows.long() + side, 0, 2 * side - 1).tolist()
    got = [index[reach + max(-reach, min(reach, -d))] for d in distances.tolist()]
    wrong = [row for row in zip(distances.tolist(), got, want) if row[1] != row[2]]
    assert not wrong, (buckets, span, wrong)
    return want


def check_fused(directory):
    """One op for each attention, whose memory does not grow with the square of the tokens."""
    for passes in ("O2", "O2,compute-bf16", "O2,quantize-int8"):
        for cpu in ("baseline", "x86-64-v3", "x86-64-v4", "native"):
            text = lowered(directory, f"--passes={passes}", f"--cpu={cpu}")
            kernels = re.findall(r"= attention .*dots=\[2,1\].* kernel=\"attention_relative_", text)
            assert len(kernels) == 2, (passes, cpu)
            assert " per_pair=0 " in text and not re.search(r"\w\[\d+,S,S\]", text), (passes, cpu)


def check_long(directory, model):
    code = build(directory, TMP / "m.so", "--emit=shared", "--name=m", f"--max-tokens={BEYOND}")
    library = Library(code, "m")
    r = torch.Generator().manual_seed(1)
    for n in (31, 130, LONGEST, BEYOND):
        ids = torch.randint(0, 97, (n,), generator=r).tolist()
        compare(library.run([ids], 2), reference(ROW, model, "classify", ids), f"{n} tokens")


def check_refused(directory):
    for buckets, span in ((3, 100), (100, 51), (100, 3)):
        rewrite_config(directory, position_buckets=buckets, max_relative_positions=span)
        p = bertc("build", directory, "--emit=bir", "-o", TMP / "none", check=False)
        assert p.returncode == 4 and f"position_buckets is {buckets}".encode() in p.stderr, p.stderr


directory, count = TMP / "deberta", 0
model, _ = random_model("deberta-v2", "classify", 3, directory, tokenizer=False, **KEYS, position_buckets=256,
    max_relative_positions=512)
check_long(directory, model)
check_fused(directory)
assert check_rows(directory, 256, 512)[LONGEST - 1 + 300] == 256 + 207
few = ((-1, 5, 32, 100), (40, 513))
for buckets in (-1, 4, 5, 8, 31, 32, 64, 100, 128, 256) if FULL else few[0]:
    for span in (40, 127, 128, 512, 513, 1000) if FULL else few[1]:
        if span - 1 > buckets // 2:
            check_rows(directory, buckets, span)
            count += 1
check_refused(directory)
print(f"{count} indices of {2 * LONGEST - 1} distances")
