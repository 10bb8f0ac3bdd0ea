"""Compares the figures of `bertc inspect` for layers and heads with PyTorch: cosines of hidden states,
outputs without a layer, and shares of attention."""

import copy, re
from transformers.models.bert import BertTokenizerFast
from whittling import *


def kind(q, k, id, tokenizer):
    if id in (tokenizer.cls_token_id, tokenizer.sep_token_id):
        return 0 if id == tokenizer.cls_token_id else 1
    return {0: 2, -1: 3, 1: 4}.get(k - q, 5 if abs(k - q) <= 4 else 6)


model, config = make_bert.random_bert(
    "classify", 310, TMP / "m", num_hidden_layers=4, max_position_embeddings=64, type_vocab_size=2
)
model.set_attn_implementation("eager")
tokenizer = BertTokenizerFast(
    vocab_file=str(TMP / "m" / "vocab.txt"), vocab=str(TMP / "m" / "vocab.txt"), model_max_length=64
)
lines = ["banana moti, sela!", "a", "zeku lomi tara vobe. kuna? nasi-poto 42", "dela " * 9, "x1 y2' z3"]
(TMP / "data.tsv").write_text("".join(f"{t}\t{i % 2}\n" for i, t in enumerate(lines)))
run(
    BERTC,
    "inspect",
    TMP / "m",
    "--quiet",
    "--no-latency",
    "--data",
    TMP / "data.tsv",
    "-o",
    TMP / "page.html",
)
said = json.loads(re.search(r'id="data-layers">([^<]*)<', (TMP / "page.html").read_text())[1])

count = config.num_hidden_layers
first = np.zeros(count)
every = np.zeros(count)
mass = np.zeros((count, config.num_attention_heads, 7))
entropy, distance = np.zeros((2, count, config.num_attention_heads))
without = np.zeros(count)
tokens = 0
cosine = torch.nn.functional.cosine_similarity
with torch.no_grad():
    for t in lines:
        batch = tokenizer(t.strip(), return_tensors="pt")
        ids = batch.input_ids[0].tolist()
        tokens += len(ids)
        o = model(**batch, output_hidden_states=True, output_attentions=True)
        for l in range(count):
            c = cosine(o.hidden_states[l][0].double(), o.hidden_states[l + 1][0].double(), dim=-1)
            first[l] += c[0]
            every[l] += c.sum()
            p = o.attentions[l][0].double()
            i = torch.arange(len(ids))
            entropy[l] -= (p * p.log()).sum((1, 2)).numpy()
            distance[l] += (p * (i[:, None] - i).abs()).sum((1, 2)).numpy()
            for q in range(len(ids)):
                for k in range(len(ids)):
                    mass[l, :, kind(q, k, ids[k], tokenizer)] += o.attentions[l][0, :, q, k].numpy()
            less = copy.deepcopy(model)
            del less.bert.encoder.layer[l]
            without[l] += cosine(less(**batch).logits[0].double(), o.logits[0].double(), dim=0)
assert [layer["number"] for layer in said["layers"]] == list(range(count)) and said["texts"] == len(lines)
for l, layer in enumerate(said["layers"]):
    assert (
        abs(layer["cosine_first"] - first[l] / len(lines)) < 1e-4
        and abs(layer["cosine_all"] - every[l] / tokens) < 1e-4
    ), (l, layer["cosine_first"], first[l] / len(lines))
    assert abs(layer["without"] - without[l] / len(lines)) < 1e-4, (
        l,
        layer["without"],
        without[l] / len(lines),
    )
    assert np.allclose(layer["heads"], mass[l] / tokens, atol=1e-4), l
    assert np.allclose(layer["entropy"], entropy[l] / tokens, atol=1e-4) and np.allclose(
        layer["distance"], distance[l] / tokens, atol=1e-4
    ), l
print("layers and heads are what PyTorch says")
