"""Recurrent students (family bilstm) against torch.nn.LSTM and torch.nn.GRU: odd sizes, several layers, one
direction or both, all poolings, tags, texts of 1 to 512 tokens, alone and together.

    test_recurrent.py"""

import json
import numpy as np
from _support import TMP, Library, bertc, build, compare
from checkpoints import *
from safetensors.torch import save_file

torch.set_grad_enabled(False)
torch.set_num_threads(1)
LENGTHS = (1, 2, 7, 33, 512)


def student(name, **keys):
    """A random student's directory, and a function that computes its numbers for ids."""
    torch.manual_seed(len(name))
    directory = TMP / name
    directory.mkdir(exist_ok=True)
    ways = 2 if keys.get("bidirectional", True) else 1
    kind = torch.nn.GRU if keys.get("rnn_type") == "gru" else torch.nn.LSTM
    width, columns = keys["hidden_size"] // ways, keys["embedding_size"]
    words = torch.nn.Embedding(keys["vocab_size"], columns)
    rnn = kind(columns, width, keys["num_hidden_layers"], bidirectional=ways == 2, batch_first=True)
    dense = torch.nn.Linear(width * ways, 13) if keys.pop("dense", False) else None
    out = torch.nn.Linear(13 if dense else width * ways, 3)
    parts = {"embeddings": words, "rnn": rnn, "classifier": out} | ({"hidden": dense} if dense else {})
    tensors = {f"{p}.{k}": 2 * v for p, m in parts.items() for k, v in m.state_dict().items()}
    for part, module in parts.items():
        module.load_state_dict({k: tensors[f"{part}.{k}"] for k in module.state_dict()})
    save_file(tensors, directory / "model.safetensors")
    tags = keys.pop("tags", False)
    classes = "BilstmForTokenClassification" if tags else "BilstmForSequenceClassification"
    config = {"model_type": "bilstm", "architectures": [classes], "num_labels": 3} | keys
    (directory / "config.json").write_text(json.dumps(config))

    def run(ids):
        x = rnn(words(torch.tensor([ids])))[0][0]
        if tags:
            return out(x)
        pooling = keys.get("classifier_pooling", "last")
        if pooling == "last":
            x = torch.cat([x[-1, :width], x[0, width:]])
        else:
            x = x.max(0)[0] if pooling == "max" else x.mean(0)
        return out(torch.relu(dense(x))) if dense else out(x)

    return directory, run


SIZES = dict(vocab_size=61, embedding_size=21, num_hidden_layers=1)
for name, keys in {
    "paper": dict(hidden_size=26, dense=True),
    "one-way": dict(hidden_size=37, bidirectional=False, num_hidden_layers=2),
    "gru-max": dict(hidden_size=70, rnn_type="gru", classifier_pooling="max", num_hidden_layers=2),
    "gru-mean": dict(hidden_size=9, rnn_type="gru", bidirectional=False, classifier_pooling="mean"),
    "tags": dict(hidden_size=34, tags=True),
}.items():
    directory, want = student(name, **SIZES | keys)
    texts = [[(11 * i * i + n) % 61 for i in range(n)] for n in LENGTHS]
    for cpu in ("baseline", "native"):
        code = build(directory, directory / f"{cpu}.so", "--emit=shared", "--name=m", f"--cpu={cpu}")
        library = Library(code, "m")
        alone = [library.run([ids], want(ids).numel()) for ids in texts]
        for ids, got in zip(texts, alone):
            compare(got, want(ids), f"{name} {cpu}, {len(ids)} tokens")
        together = library.run(texts, sum(map(len, alone)))
        assert (together == np.concatenate(alone)).all(), f"{name} {cpu}: texts of one call change each other"

for key, value, word in (
    ("rnn_type", "rnn", "rnn_type"),
    ("classifier_pooling", "first", "classifier_pooling"),
    ("hidden_size", 35, "even"),
    ("hidden_size", 36, "weight_ih"),
    ("bidirectional", 1, "bidirectional"),
):
    rewrite_config(directory, **{key: value})
    p = bertc("build", directory, "--emit=bir", "-o", TMP / "none.bir", check=False)
    assert p.returncode in (1, 2, 3, 4) and word in p.stderr.decode(), (key, value, p.returncode, p.stderr)
    rewrite_config(directory, **{"rnn_type": "lstm", "classifier_pooling": "last", "hidden_size": 34})
    rewrite_config(directory, bidirectional=True)
rewrite(directory, lambda tensors: tensors | {"rnn.weight_hh_l0": torch.zeros(68, 9)})
p = bertc("build", directory, "--emit=bir", "-o", TMP / "none.bir", check=False)
assert p.returncode == 3 and b"does hidden_size match this checkpoint?" in p.stderr, p.stderr
