"""WordEmbeddings of sentence-transformers, with WordWeights, CNN and LSTM: the tokens of WhitespaceTokenizer
and the embeddings of the library, for each text alone."""

import json
import numpy as np
from safetensors.torch import load_file, save_file
from safetensors.torch import save_file
from sbert import *
from sentence_transformers.sentence_transformer.modules import (
    CNN, LSTM, BoW, Dense, Normalize, Pooling, WordEmbeddings, WordWeights
)
from sentence_transformers.sentence_transformer.modules.tokenizer import (
    TransformersTokenizerWrapper, WhitespaceTokenizer
)
from transformers import AutoTokenizer

r = np.random.default_rng(5)
ENDS = "ΑΣ:Α ΑΣ\u00adΑ ΣΊΣΥΦΟΣ ΟΔΌΣ. ΣΣ Σ ΑΣ'Β"
ENDS += " İstanbul ẞtraße ÅNGSTRÖM ǅ ⅣΣ"
WORDS = "PADDING_TOKEN the cat Cat sat it's don't on mat 3.5 42 U.S. New_York ??? sits; x".split()
WORDS += ENDS.lower().split() + ["οδός", "σίσυφοσ", "i̇stanbul", "cat,", "twice", "twice"]
WORDS += ["ΟΔΟΣ", "İX"]
TEXTS = [
    *("the Cat sat on the mat", 'The CAT, sat! "on" (mat) 3.5 (42) ???', "unknown words only", ""),
    *(" \v\u3000 ", "it's IT'S Don't U.S. u.s. New_York new_york sits; sits", ENDS),
    *(ENDS.lower(), "cat " * 40, "cat\x1ccat\x85the\xa0mat\u2028on"),
    "twice cat, ,cat, --the-- a" + "x" * 2000 + " mat",
    *("«cat» cat… x.x ..x..", "ΟΔΟΣ İX cat"),
]
STOPS = ["on", "The", "the", ""]


def words(stops=STOPS, lower=False, width=12, tokens=WORDS):
    tokenizer = WhitespaceTokenizer(list(dict.fromkeys(tokens)), stop_words=stops, do_lower_case=lower)
    return WordEmbeddings(tokenizer, r.standard_normal((len(tokenizer.vocab), width)))


def weights(module, unknown=0.5):
    some = {w: float(r.uniform(0.1, 2)) for w in module.tokenizer.vocab[::2]} | {"cat": 3, "don't": 0}
    some |= {"ΟΔΟΣ".lower(): 1.5, "İX".lower(): 0.7}
    return WordWeights(module.tokenizer.vocab, some, unknown)


def made(name, *modules):
    home = TMP / name
    SentenceTransformer(modules=list(modules), device="cpu").save_pretrained(str(home))
    return home


def embeds(name, *modules):
    """The program prints what encode() returns for each text alone."""
    home = made(name, *modules)
    model = SentenceTransformer(str(home), device="cpu")
    path = build(home, TMP / f"{name}.program", "--cpu=baseline")
    lines = run(path, input="".join(f"{t}\n" for t in TEXTS).encode()).stdout.decode().splitlines()
    tokenizer = model[0].tokenizer
    for text, line in zip(TEXTS, lines, strict=True):
        if tokenizer.tokenize(text) or len(modules) <= 2:  # without tokens, modules get padding
            compare(json.loads(line), model.encode([text])[0], (name, text))
    return home


plain = words()
embeds("words", plain, Pooling(12, "mean"))
embeds("lower", words(["on"], True), Pooling(12, ["mean", "max", "lasttoken"]), Normalize())
embeds("weights", plain, weights(plain), Pooling(12, ["mean", "max", "mean_sqrt_len_tokens"]), Dense(36, 7))
sizes = dict(out_channels=5, kernel_sizes=[1, 3, 7])
cnn, lstm = CNN(12, **sizes), LSTM(15, 9, num_layers=2)
home = embeds("layers", words([]), cnn, lstm, Pooling(18, ["mean", "max"]))
twice = LSTM(12, 6), LSTM(12, 6), CNN(12, 6, [1, 3]), CNN(12, 6, [1, 3])
two = embeds("two", words([]), *twice, Pooling(12, "max"))
backbone = AutoTokenizer.from_pretrained(once("encoder", 3))
wrapped = WordEmbeddings(TransformersTokenizerWrapper(backbone), r.standard_normal((len(backbone), 6)))
embeds("wrapped", wrapped, LSTM(6, 4, bidirectional=False), Pooling(4, "mean"))

some = {w: float(r.uniform(0.1, 2)) for w in WORDS[::2]} | {"cat": 3}
embeds("bag", BoW(WORDS, some, 0.5))
once_each = embeds("bag-once", BoW(WORDS, some, cumulative_term_frequency=False), Dense(len(set(WORDS)), 5))

# the description says the same as the directory
described = TMP / "described.xml"
bertc("describe", home, "-o", described)
xml = build(described, TMP / "xml.program", "--cpu=baseline", f"--search={home}")
assert run(xml, "the cat").stdout == run(TMP / "layers.program", "the cat").stdout
bertc("build", two, "--emit=bir", "-o", TMP / "two.bir")
text = build(TMP / "two.bir", TMP / "bir.program", "--cpu=baseline", f"--search={two}")
assert run(text, "the cat").stdout == run(TMP / "two.program", "the cat").stdout
bertc("describe", once_each, "-o", described)
places = [f"--search={p}" for p in (once_each, *once_each.glob("0_*"))]
xml = build(described, TMP / "xml.program", "--cpu=baseline", *places)
assert run(xml, "the cat").stdout == run(TMP / "bag-once.program", "the cat").stdout

for name, config, keys, word in (
    ("even", CNN(12, 5, [2]), None, "odd"),
    ("stride", CNN(12, 5, [3], [2]), None, "stride_sizes"),
    ("vocab", weights(plain), {"vocab": ["a"]}, "vocab has 1 words"),
    ("number", weights(plain), {"word_weights": {"cat": "3"}}, "expected a number"),
):
    width = 12 if keys else config.get_embedding_dimension()
    home = made(name, plain, config, Pooling(width, "mean"))
    if keys:
        set_keys(next(home.glob("1_*")) / "config.json", **keys)
    refuses(home, word)
home = made("tokens", plain, Pooling(12, "mean"))
file = next(home.rglob("whitespacetokenizer_config.json"))
bad = ("vocab", ["a", 1], "item 1"), ("vocab", ["a", ""], "empty"), ("stop_words", 3, "array")
for key, value, word in bad:
    set_keys(file, **{"vocab": WORDS, "stop_words": []} | {key: value})
    refuses(home, word)
set_keys(next(home.rglob("wordembedding_config.json")), tokenizer_class="x.PhraseTokenizer")
refuses(home, "PhraseTokenizer")
file = next(two.glob("1_*")) / "model.safetensors"
save_file({k: v for k, v in load_file(file).items() if k != "encoder.weight_ih_l0"}, file)
refuses(two, "no tensor encoder.weight_ih_l0")
home = made("bag-twice", BoW(WORDS))
set_keys(next(home.glob("0_*")) / "config.json", vocab=["a", "b", "a"])
refuses(home, '"a" is there twice')

# after an encoder whose tensors have a prefix, by the description
model, config = random_model("bert", "classify", 3, TMP / "prefixed")
bertc("describe", TMP / "prefixed", "--task=embed", "-o", described)
part = LSTM(config.hidden_size, 4)
(TMP / "prefixed" / "lstm").mkdir()
save_file(part.state_dict(), TMP / "prefixed" / "lstm" / "model.safetensors")
text = described.read_text()
assert 'normalize="true"/>' in text, text
described.write_text(text.replace('normalize="true"/>', 'normalize="false"><lstm href="lstm"/></head>'))
library = Library(
    build(described, TMP / "m.so", "--emit=shared", "--name=m", f"--search={TMP / 'prefixed'}"), "m"
)
with torch.no_grad():
    hidden = model.bert(torch.tensor([[5, 6, 7]])).last_hidden_state
    compare(library.run([[5, 6, 7]], 8), part.encoder(hidden)[0].mean(1)[0], "LSTM after an encoder")
