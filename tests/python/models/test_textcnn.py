"""Text CNNs against PyTorch: random sizes and widths of convolutions, texts of 1 to 512 tokens; classifier
and tagger by the reference evaluator and by programs, and what is refused."""

import json, random
import torch
from torch import nn
from safetensors.torch import save_file
from _support import *
from checkpoints import agree, evaluate, refuses
from make_tokenizer import write_wordpiece

VOCAB = 200
ARCHITECTURES = {"classify": "TextCNNForSequenceClassification", "tag": "TextCNNForTokenClassification"}


class TextCNN(nn.Module):
    def __init__(self, kind, embedding, widths, filters, labels):
        super().__init__()
        self.kind = kind
        self.embeddings = nn.Embedding(VOCAB, embedding)
        self.convs = nn.ModuleList(
            nn.Conv1d(embedding, n, width, padding="same") for width, n in zip(widths, filters, strict=True)
        )
        self.classifier = nn.Linear(sum(filters), labels)

    def forward(self, ids):
        x = self.embeddings(torch.tensor([ids])).transpose(1, 2)
        rows = torch.cat([torch.relu(conv(x)) for conv in self.convs], 1).transpose(1, 2)[0]
        return self.classifier(rows.amax(0) if self.kind == "classify" else rows)


def made(kind, seed, **keys):
    """A random model, and the directory that holds it."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    widths = [r.randint(1, 9) for _ in range(r.randint(1, 4))]
    filters = [r.randint(1, 40) for _ in widths]
    embedding, labels = r.randint(1, 70), r.randint(2, 5)
    model = TextCNN(kind, embedding, widths, filters, labels).eval()
    home = TMP / f"{kind}-{seed}"
    home.mkdir()
    save_file(model.state_dict(), home / "model.safetensors")
    config = {
        "model_type": "textcnn",
        "architectures": [ARCHITECTURES[kind]],
        "vocab_size": VOCAB,
        "embedding_size": embedding,
        "hidden_size": sum(filters),
        "id2label": {i: f"L{i}" for i in range(labels)},
    }
    (home / "config.json").write_text(json.dumps(config | keys))
    write_wordpiece(home, VOCAB, seed)
    return model, home


def texts(seed):
    r = random.Random(seed)
    return [[r.randrange(VOCAB) for _ in range(n)] for n in (1, 2, 3, r.randint(4, 90), 512)]


worst = 0.0
for seed in range(12 if FULL else 4):
    for kind in ARCHITECTURES:
        model, home = made(kind, seed)
        with torch.no_grad():
            want = [{"logits": model(ids)} for ids in texts(seed)]
        got = [{"logits": row["logits"]} for row in evaluate(home, texts(seed))]
        worst = max(worst, agree(home.name, got, want))
        if seed < 2 or FULL:
            flat = torch.cat([w["logits"].flatten() for w in want])
            library = Library(build(home, TMP / f"{home.name}.so", "--emit=shared", "--name=m"), "m")
            worst = max(worst, compare(library.run(texts(seed), len(flat)), flat, home.name))
print(f"worst {worst:.3g} of the tolerance")

home = made("classify", 99)[1]
answer = run(build(home, TMP / "classify"), input=b"sela banana moti\n").stdout.decode()
assert answer.split("\t")[0] in json.loads((home / "config.json").read_text())["id2label"].values(), answer
set_keys(home / "config.json", hidden_size=7)
refuses(home, "filters, expected hidden_size 7")
set_keys(home / "config.json", hidden_size=None, embedding_size=71)
refuses(home, "expected [200,71]; does config.json embedding_size match")
