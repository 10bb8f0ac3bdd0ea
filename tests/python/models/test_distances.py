"""MPNet: the score bias of every distance from 0 to 511 on both sides has the bucket that torch computes.
Fused programs hold one number for each head and distance up to where buckets end, and no matrix of them. Ids
without a position count as tokens between others.

    test_distances.py"""

import re
from _support import BERTC, TMP, Library, build, compare, run
from checkpoints import *
from make_model import FAMILIES, random_model, reference
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

torch.set_grad_enabled(False)
torch.set_num_threads(1)
LONGEST, HEADS = 512, 3
ROW = FAMILIES["mpnet"]


def lowered(directory, passes, cpu):
    """The graph as it is compiled."""
    out = TMP / "lowered.bir"
    run(BERTC, "build", directory, "--emit=bir", "-o", out, "--quiet", f"--passes={passes}", f"--cpu={cpu}")
    return out.read_text()


def check_buckets(directory):
    """The table of the program, entry by entry: row n of the checkpoint's table holds n."""
    counted = torch.arange(32.0).unsqueeze(1).repeat(1, HEADS)
    name = "mpnet.encoder.relative_attention_bias.weight"
    rewrite(directory, lambda t: t | {name: counted})
    text = lowered(directory, "O2", "baseline")
    found = re.findall(rf"const @(\S+) : f32\[{HEADS},\d+\]  # attention.bias", text)
    assert len(found) == 1, f"{found} are tables of {HEADS} rows"
    tables = load_file(TMP / "lowered.safetensors")[found[0]]
    table, reach = tables[0].tolist(), tables.shape[1] // 2
    assert all(torch.equal(row, tables[0]) for row in tables)
    distances = torch.arange(-LONGEST + 1, LONGEST)
    want = MPNetEncoder.relative_position_bucket(distances).tolist()
    got = [table[reach + max(-reach, min(reach, d))] for d in distances.tolist()]
    assert got == want, [row for row in zip(distances.tolist(), got, want) if row[1] != row[2]]
    assert want[LONGEST - 1 + 20] == 26 and reach < 128, (want[LONGEST - 1 + 20], reach)


def check_fused(directory):
    """One op for each attention, whose memory does not grow with the square of the tokens."""
    cpus = ["baseline", "x86-64-v3", "x86-64-v4", "native"]
    for passes in ("O2", "O2,compute-bf16", "O2,quantize-int8"):
        for cpu in cpus:
            text = lowered(directory, passes, cpu)
            assert len(re.findall(r"= attention .* kernel=\"attention_biased_", text)) == 2, (passes, cpu)
            assert " per_pair=0 " in text and not re.search(r"\w\[\d+,S,S\]", text), (passes, cpu)


def check_long(directory, model):
    library = Library(build(directory, TMP / "m.so", "--emit=shared", "--name=m", "--cpu=baseline"), "m")
    r = torch.Generator().manual_seed(1)
    for n in (129, LONGEST):
        ids = torch.randint(2, 90, (n,), generator=r).tolist()
        ids[5] = ids[40] = 1
        compare(library.run([ids], 2), reference(ROW, model, "classify", ids), f"{n} tokens")


def check_few_buckets(directory):
    rewrite_config(directory, relative_attention_num_buckets=24)
    p = run(BERTC, "build", directory, "--emit=bir", "-o", TMP / "none", check=False)
    assert p.returncode == 4 and b"relative_attention_num_buckets is 24" in p.stderr, p.stderr


directory = TMP / "mpnet"
model, _ = random_model(
    "mpnet",
    "classify",
    3,
    directory,
    tokenizer=False,
    hidden_size=24,
    num_attention_heads=HEADS,
    num_hidden_layers=2,
    intermediate_size=33,
    max_position_embeddings=LONGEST + 2,
    relative_attention_num_buckets=32,
    vocab_size=97,
    num_labels=2,
)
check_long(directory, model)
check_fused(directory)
check_buckets(directory)
check_few_buckets(directory)
print(f"{2 * LONGEST - 1} distances")
