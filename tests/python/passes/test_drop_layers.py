"""Compares drop-layers with layers removed from a PyTorch model by hand, and the choice of
strategy=contribution with cosines computed in PyTorch."""

import copy
from transformers.models.bert import BertTokenizerFast
from whittling import *


def without(model, gone):
    model = copy.deepcopy(model)
    encoder(model).encoder.layer = torch.nn.ModuleList(
        l for i, l in enumerate(encoder(model).encoder.layer) if i not in gone
    )
    return model


# (strategy, layers to keep), layers removed of six
STRATEGIES = [(("top", 4), {4, 5}), (("even", 4), {2, 4}), (("symmetric", 3), {2, 3, 4})]
for n, kind in enumerate(("classify", "tag", "encoder")):
    model, config = make_bert.random_bert(kind, 200 + n, TMP / kind, num_hidden_layers=6)
    batch = texts(config, n)
    (strategy, keep), gone = STRATEGIES[n]
    check(kind, TMP / kind, f"drop-layers{{strategy={strategy} keep={keep}}},O2", without(model, gone), batch)
    ledger = check(
        kind,
        TMP / kind,
        "drop-layers{layers=5,0},drop-layers{layers=5},O1",
        without(model, {0, 1, 2, 3, 4}),
        batch,
    )
    assert [row["changes"] for row in ledger[:2]] == [4, 1] and ledger[1]["parameters"] < ledger[0][
        "parameters"
    ]

# contribution: removes the layers with the largest cosines between input and output
model, config = make_bert.random_bert(
    "classify", 210, TMP / "c", num_hidden_layers=5, max_position_embeddings=64, type_vocab_size=2
)
tokenizer = BertTokenizerFast(
    vocab_file=str(TMP / "c" / "vocab.txt"), vocab=str(TMP / "c" / "vocab.txt"), model_max_length=64
)
lines = ["banana moti, sela!", "a", "zeku lomi tara vobe. kuna? nasi-poto 42", "dela " * 9, "x1 y2' z3"]
(TMP / "data.tsv").write_text("".join(f"{t}\t{i % 2}\n" for i, t in enumerate(lines)))
sums = {"first": 0, "all": 0}
tokens = 0
with torch.no_grad():
    for t in lines:
        h = model(**tokenizer(t.strip(), return_tensors="pt"), output_hidden_states=True).hidden_states
        cosine = torch.stack(
            [
                torch.nn.functional.cosine_similarity(a[0].double(), b[0].double(), dim=-1)
                for a, b in zip(h, h[1:])
            ]
        )
        sums["first"] = sums["first"] + cosine[:, 0]
        sums["all"] = sums["all"] + cosine.sum(1)
        tokens += cosine.shape[1]
means = {"first": sums["first"] / len(lines), "all": sums["all"] / tokens}
for which, mean in means.items():
    gone = set(mean.argsort(descending=True)[:2].tolist())
    ledger = check(
        "contribution",
        TMP / "c",
        f"drop-layers{{strategy=contribution keep=3 data={TMP}/data.tsv tokens={which}}},O2",
        without(model, gone),
        texts(config, 3),
    )
    said = [float(note.split()[-1]) for note in ledger[0]["notes"] if "cosine" in note]
    assert np.allclose(said, mean.numpy(), atol=6e-5), (said, mean)

for directory, load in shared_models("minilm-ncbi"):
    model = load()
    batch = texts(model.config, 1)
    check(
        directory.name,
        directory,
        "drop-layers{strategy=top keep=4},O2",
        without(model, {4, 5}),
        batch,
        "--weights=f32",
    )
