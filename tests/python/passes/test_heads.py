"""Compares rank-heads with PyTorch: attention probabilities, and the loss without each head."""

from whittling import *
from transformers import BertTokenizerFast

r = random.Random(5)
word = lambda: "".join(r.choice("bcdfghklmnprstvz") + r.choice("aeiou") for _ in range(r.randint(1, 3)))
model, config = make_bert.random_bert(
    "classify",
    820,
    TMP / "m",
    num_hidden_layers=2,
    hidden_size=24,
    num_attention_heads=4,
    intermediate_size=33,
    max_position_embeddings=64,
    vocab_size=513,
    num_labels=3,
)
tokenizer = BertTokenizerFast(str(TMP / "m" / "vocab.txt"), do_lower_case=True)
some = [" ".join(word() for _ in range(r.randint(2, 7))) for _ in range(20)]
gold = [r.randrange(3) for _ in some]
data = TMP / "d.tsv"
data.write_text("".join(f"{s}\t{g}\n" for s, g in zip(some, gold)))
entropy = np.zeros(8)
distance = np.zeros(8)
tokens = 0


@torch.no_grad()
def loss(model):
    return np.mean(
        [
            torch.nn.functional.cross_entropy(
                model(input_ids=torch.tensor([tokenizer(s)["input_ids"]])).logits.double(), torch.tensor([g])
            ).item()
            for s, g in zip(some, gold)
        ]
    )


with torch.no_grad():
    for s in some:
        ids = tokenizer(s)["input_ids"]
        n = len(ids)
        tokens += n
        i = torch.arange(n)
        for l, a in enumerate(model(input_ids=torch.tensor([ids]), output_attentions=True).attentions):
            a = a[0].double()
            entropy[4 * l : 4 * l + 4] += -(a * a.log()).sum((1, 2)).numpy()
            distance[4 * l : 4 * l + 4] += (a * (i[:, None] - i).abs()).sum((1, 2)).numpy()
svg = TMP / "h.svg"
got = json.loads(
    run(BERTC, "rank-heads", TMP / "m", "--data", data, "--by=accuracy", "--json", "--heatmap", svg).stdout
)
assert got["tokens"] == tokens and [(h["layer"], h["head"]) for h in got["heads"]] == [
    (l, h) for l in range(2) for h in range(4)
]
compare([h["entropy"] for h in got["heads"]], entropy / tokens, "entropy")
compare([h["distance"] for h in got["heads"]], distance / tokens, "distance")
base = loss(model)
for k, h in enumerate(got["heads"]):
    w = model.bert.encoder.layer[k // 4].attention.output.dense.weight
    old = w.data.clone()
    w.data[:, k % 4 * 6 : k % 4 * 6 + 6] = 0
    assert abs(loss(model) - base - h["importance"]) < 1e-5, (k, loss(model) - base, h["importance"])
    w.data.copy_(old)
assert svg.read_text().count("<title>") == 8
print("heads look where PyTorch's look")
