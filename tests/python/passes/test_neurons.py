"""Compares rank-neurons with scikit-learn: activations, the minimum found by the probe, and the ranking. Also
ablate-neurons with that ranking."""

import copy
from whittling import *
from transformers import BertTokenizerFast

try:
    import sklearn
    from sklearn.linear_model import LogisticRegression
except ImportError:
    skip("no scikit-learn")

r = random.Random(3)


def word():
    return "".join(r.choice("bcdfghklmnprstvz") + r.choice("aeiou") for _ in range(r.randint(1, 3)))


def tag(w):
    return "NOUN" if w[0] in "bcdf" else "VERB" if w[-1] in "ae" else "X"


lines = [[word() for _ in range(r.randint(2, 8))] for _ in range(80)]
data = TMP / "tags.tsv"
data.write_text(
    "".join(
        "".join(f"{w}\t{'O' if tag(w) == 'X' else 'B-' + tag(w)}\n" for w in line) + "\n" for line in lines
    )
)
tags = ["B-NOUN", "B-VERB", "O"]
y = np.array(
    [tags.index({"NOUN": "B-NOUN", "VERB": "B-VERB", "X": "O"}[tag(w)]) for line in lines for w in line]
)

model, config = make_bert.random_bert(
    "tag",
    800,
    TMP / "m",
    num_hidden_layers=3,
    hidden_size=24,
    num_attention_heads=4,
    intermediate_size=33,
    max_position_embeddings=64,
    vocab_size=513,
)
tokenizer = BertTokenizerFast(str(TMP / "m" / "vocab.txt"), do_lower_case=True)
rows = []
with torch.no_grad():
    for line in lines:
        e = tokenizer(line, is_split_into_words=True)
        h = torch.cat(
            model.bert(input_ids=torch.tensor([e["input_ids"]]), output_hidden_states=True).hidden_states[1:],
            -1,
        )[0]
        rows += [
            h[max(i for i, w in enumerate(e.word_ids()) if w == k)].double().numpy() for k in range(len(line))
        ]
x = np.array(rows)
width = config.hidden_size


def ranked(*options):
    return json.loads(run(BERTC, "rank-neurons", TMP / "m", "--data", data, "--json", *options).stdout)


def matrix(got):
    w = np.zeros((3, x.shape[1]))
    for n in got["neurons"]:
        w[:, n["layer"] * width + n["neuron"]] = n["weights"]
    return w


def objective(z, w, b, l1, l2):
    s = z @ w.T + b
    s -= s.max(1, keepdims=True)
    return (
        np.mean(np.log(np.exp(s).sum(1)) - s[np.arange(len(y)), y]) + l1 * np.abs(w).sum() + l2 * (w**2).sum()
    )


got = ranked()
assert got["words"] == len(y) and got["tags"] == tags, got["words"]
mean, deviation = (
    np.array([n[k] for n in sorted(got["neurons"], key=lambda n: (n["layer"], n["neuron"]))])
    for k in ("mean", "deviation")
)
compare(mean, x.mean(0), "means")
compare(deviation, x.std(0), "deviations")
z = (x - x.mean(0)) / x.std(0)
for l1, l2 in ((1e-3, 1e-3), (1e-2, 1e-3), (3e-3, 2e-2)):
    got = ranked("--l1", l1, "--l2", l2)
    w = matrix(got)
    more = {} if tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8) else {"penalty": "elasticnet"}
    s = LogisticRegression(
        solver="saga",
        C=1 / (len(y) * (l1 + 2 * l2)),
        l1_ratio=l1 / (l1 + 2 * l2),
        max_iter=200000,
        tol=1e-10,
        random_state=0,
        **more,
    ).fit(z, y)
    here, there = objective(z, w, np.array(got["bias"]), l1, l2), objective(z, s.coef_, s.intercept_, l1, l2)
    assert abs(here - got["objective"]) <= 1e-5 * here, (here, got["objective"])
    assert abs(here - there) <= 1e-4 * there, f"l1={l1}: objective {here} here, {there} there"
    worst = np.abs(w - s.coef_).max() / max(1, np.abs(s.coef_).max())
    assert worst <= 1e-4, f"l1={l1}: weights differ by {worst}"
    assert ((w == 0) == (np.abs(s.coef_) < 1e-5)).mean() > 0.99, "zeros lie elsewhere"
    assert abs(got["accuracy"] - s.score(z, y)) < 2 / len(y)
    print(
        f"l1={l1} l2={l2}: weights within {worst:.2g}, objective within {abs(here - there) / there:.2g}, "
        f"{int((w != 0).any(0).sum())} of {w.shape[1]} neurons"
    )

# the ranking, by growing shares of each tag's weight
order = [n["layer"] * width + n["neuron"] for n in got["neurons"]]
entered = np.ones(w.shape[1])
for k in range(3):
    a = np.abs(w[k])
    by = sorted(range(len(a)), key=lambda i: (-a[i], i))
    before = np.concatenate([[0], np.cumsum(a[by])[:-1]]) / a.sum()
    for i, share in zip(by, before):
        if a[i] > 0:
            entered[i] = min(entered[i], share)
assert order == sorted(range(len(entered)), key=lambda i: (entered[i], -np.abs(w[:, i]).max(), i)), (
    "another order"
)
assert np.allclose([n["salience"] for n in got["neurons"]], np.abs(w).max(0)[order])
for part in got["parts"]:
    n = int(part["share"] * len(order) + 0.5)
    for which, kept in (("top", order[:n]), ("bottom", order[len(order) - n :])):
        only = np.zeros_like(w)
        only[:, kept] = w[:, kept]
        right = ((z @ only.T + got["bias"]).argmax(1) == y).mean()
        assert abs(right - part[which]) < 2 / len(y), (part, which, right)

# sets the neurons that rank first or last to zero, or to their mean over the words
standard = [n["layer"] * width + n["neuron"] for n in ranked()["neurons"]]
for which, to, share in (("top", "zero", 0.25), ("bottom", "mean", 0.5), ("top", "mean", 0.1)):
    gone = np.zeros(len(standard), bool)
    n = round(share * len(standard))
    gone[standard[:n] if which == "top" else standard[-n:]] = True
    changed = copy.deepcopy(model)
    for i, layer in enumerate(changed.bert.encoder.layer):
        g = torch.tensor(gone[i * width : (i + 1) * width])
        value = (
            torch.tensor(x.mean(0)[i * width : (i + 1) * width]).float()
            if to == "mean"
            else torch.zeros(width)
        )
        layer.register_forward_hook(
            lambda m, args, out, g=g, value=value: (
                (torch.where(g, value, out[0]),) + out[1:]
                if isinstance(out, tuple)
                else torch.where(g, value, out)
            )
        )
    check(
        "tag",
        TMP / "m",
        f"ablate-neurons{{which={which} share={share} to={to} data={data}}},O2",
        changed,
        texts(config, 1),
    )

svg = TMP / "n.svg"
run(BERTC, "rank-neurons", TMP / "m", "--data", data, "--heatmap", svg, "--limit", 30, "--top", 3)
import xml.etree.ElementTree as xml

cells = xml.parse(svg).getroot().findall(".//{*}rect")
assert len(cells) == 1 + 3 * width, len(cells)
print("neurons rank as scikit-learn would have them")
