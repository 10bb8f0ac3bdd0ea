"""Compares factorize-embeddings with a truncated SVD in PyTorch, and prune-vocab with transformers'
tokenizer and model, loaded from the checkpoint that bertc writes: the same ids, pieces at offsets, and
numbers. For texts of the corpus the numbers are those of the whole model."""

import copy, ctypes
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.bert import BertTokenizerFast
from whittling import *


def factored(model, rank):
    model = copy.deepcopy(model)
    words = encoder(model).embeddings.word_embeddings
    u, s, v = torch.linalg.svd(words.weight.data.double(), full_matrices=False)
    words.weight.data.copy_((u[:, :rank] * s[:rank]) @ v[:rank])
    return model


for n, kind in enumerate(("classify", "fill-mask", "encoder")):
    model, config = make_bert.random_bert(
        kind,
        500 + n,
        TMP / kind,
        vocab_size=513,
        hidden_size=(36, 40, 33)[n],
        num_attention_heads=(4, 5, 3)[n],
    )
    for rank in (1, 17):
        ledger = check(
            kind,
            TMP / kind,
            f"factorize-embeddings{{rank={rank}}},O2",
            factored(model, rank),
            texts(config, n),
        )
    whole = config.vocab_size * config.hidden_size
    plain = sum(p.numel() for p in model.parameters())
    assert ledger[0]["parameters"] < plain - whole + 17 * (513 + 2 * config.hidden_size) + 600, ledger[0]


def tokenized(library, text, room=512):
    ids, n = np.zeros(room, np.int32), ctypes.c_int32()
    p = ids.ctypes.data_as(ctypes.c_void_p)
    assert (
        library.f("tokenize")(
            library.context,
            text.encode(),
            ctypes.c_size_t(len(text.encode())),
            None,
            ctypes.c_size_t(0),
            p,
            np.zeros(room, np.int32).ctypes.data_as(ctypes.c_void_p),
            None,
            None,
            ctypes.c_int32(room),
            ctypes.byref(n),
        )
        == 0
    )
    return ids[: n.value].tolist()


CORPUS = ["banana moti, sela!", "zeku lomi tara vobe. kuna? nasi-poto 42", "dela dela\t1", "x1 y2' z3"]
OTHERS = [
    "gobe vuta",
    "lomi banana unknown words",
    "a",
    "",
    "[MASK] tara [SEP] moti",
    "\u00e9t\u00e9 na\u00efve \u4e2d",
]


def check_vocab(what, directory, corpus, others, *options, keep=0):
    """Builds with a pruned vocabulary, writes the checkpoint, and compares program, checkpoint and the model
    before. With keep= there is no corpus: the lowest ids stay."""
    (TMP / "corpus.txt").write_text("\n".join(corpus) + "\n")
    out = TMP / f"{what}.{keep}.pruned"
    passes = f"prune-vocab{{keep={keep}}}" if keep else f"prune-vocab{{corpus={TMP}/corpus.txt}}"
    if keep:
        corpus, others = [], corpus + others
    bertc("build", directory, "--emit=checkpoint", "-o", out, "--quiet", f"--passes={passes}")
    classes = {
        "BertForMaskedLM": AutoModelForMaskedLM,
        "BertForSequenceClassification": AutoModelForSequenceClassification,
    }
    architecture = json.loads((out / "config.json").read_text())["architectures"][0]

    def load(d):
        return classes[architecture].from_pretrained(
            d, attn_implementation="eager", dtype=torch.float32
        ).eval(), AutoTokenizer.from_pretrained(d)

    (model, tokenizer), (small, fewer) = load(directory), load(out)
    library, _ = program(directory, f"{passes},O2", *options)
    again, _ = program(out, "O2", *options)
    vocab, old = fewer.get_vocab(), tokenizer.get_vocab()
    assert len(vocab) == small.config.vocab_size < len(old) and sorted(vocab.values()) == list(
        range(len(vocab))
    )
    order = sorted(vocab, key=vocab.get)
    assert [old[t] for t in order] == sorted(old[t] for t in order), "the order changed"
    assert all(t in vocab for t in old if len(t.removeprefix("##")) == 1) and all(
        t in vocab for t in tokenizer.all_special_tokens
    )
    columns = [old[t] for t in order]
    if keep:
        single = (
            {t for t in old if len(t.removeprefix("##")) == 1}
            | set(tokenizer.all_special_tokens)
            | set(tokenizer.get_added_vocab())
        )
        filled = [t for t in sorted(old, key=old.get) if t not in single and not t.startswith("[")][
            : max(0, keep - len(single))
        ]
        assert set(vocab) == single | set(filled) and (len(vocab) == keep or not filled), (
            f"{what}: not the lowest ids"
        )
    for line in corpus + others:
        for text in line.split("\t"):
            ids = fewer(text)["input_ids"]
            got = tokenized(library, text)
            assert got == ids == tokenized(again, text), f"{what}: {text!r}: {got}, expected {ids}"
            want = logits(small, [ids])[0]
            numbers = library.run([ids], want.numel()).reshape(want.shape)
            compare(numbers, want, f"{what}: {text!r}")
            compare(again.run([ids], want.numel()), want, f"{what}, compiled again: {text!r}")
            if line in corpus:
                whole = tokenizer(text)["input_ids"]
                assert tokenizer.convert_ids_to_tokens(whole) == fewer.convert_ids_to_tokens(ids)
                full = logits(model, [whole])[0]
                compare(
                    want,
                    full[..., columns] if architecture == "BertForMaskedLM" else full,
                    f"{what}: {text!r} before and after",
                )
    assert small.config.pad_token_id == fewer.pad_token_id
    print(f"{what}{f', keep={keep}' * (keep > 0)}: {len(vocab)} of {len(old)} tokens")


# vocab.txt, with ids in the configuration
make_bert.random_bert("classify", 510, TMP / "txt", vocab_size=513, max_position_embeddings=64)
config = json.loads((TMP / "txt" / "tokenizer_config.json").read_text()) | {"model_max_length": 64}
(TMP / "txt" / "tokenizer_config.json").write_text(json.dumps(config))
check_vocab("txt", TMP / "txt", CORPUS, OTHERS)
for keep in (200, 1):
    check_vocab("txt", TMP / "txt", CORPUS, OTHERS, keep=keep)
# tokenizer.json with an added token; ids in the template and in added_tokens_decoder; a decoder that shares
# the table
model, _ = make_bert.random_bert("fill-mask", 511, TMP / "json", vocab_size=514, max_position_embeddings=64)
lines = (TMP / "json" / "vocab.txt").read_text().split("\n")[:513]
(TMP / "json" / "vocab.txt").write_text("\n".join(lines) + "\n")
tokenizer = BertTokenizerFast(
    vocab_file=str(TMP / "json" / "vocab.txt"), vocab=str(TMP / "json" / "vocab.txt"), model_max_length=64
)
assert tokenizer.add_tokens(["new-word"]) == 1 and len(tokenizer) == 514
tokenizer.save_pretrained(TMP / "json")
(TMP / "json" / "vocab.txt").unlink(missing_ok=True)
check_vocab("json", TMP / "json", CORPUS, OTHERS + ["moti new-word sela"])
check_vocab("json", TMP / "json", CORPUS, OTHERS + ["moti new-word sela"], keep=300)
# keep= needs a vocabulary sorted by frequency: the same words in alphabetical order are refused
words = (TMP / "txt" / "vocab.txt").read_text().split("\n")[:-1]
(TMP / "sorted").mkdir(exist_ok=True)
for f in (TMP / "txt").iterdir():
    (TMP / "sorted" / f.name).write_bytes(f.read_bytes())
(TMP / "sorted" / "vocab.txt").write_text("\n".join(words[:5] + sorted(words[5:])) + "\n")
import subprocess

refused = subprocess.run(
    [BERTC, "build", TMP / "sorted", "-o", TMP / "refused", "--passes=prune-vocab{keep=200},O2"],
    capture_output=True,
    text=True,
)
assert refused.returncode == 4 and "the vocabulary is sorted" in refused.stderr, refused.stderr
# a second prune-vocab counts the tokens left by the first
(TMP / "corpus.txt").write_text("moti\n")
(TMP / "first.txt").write_text("moti sela lomi\n")
twice, _ = program(
    TMP / "json", f"prune-vocab{{corpus={TMP}/first.txt}},prune-vocab{{corpus={TMP}/corpus.txt}},O2"
)
once, _ = program(TMP / "json", f"prune-vocab{{corpus={TMP}/corpus.txt}},O2")
for text in OTHERS + CORPUS:
    assert tokenized(twice, text) == tokenized(once, text), text
outs = []
for name, passes in (
    ("twice", "prune-vocab{{corpus={0}/first.txt}},prune-vocab{{corpus={0}/corpus.txt}}"),
    ("once", "prune-vocab{{corpus={0}/corpus.txt}}"),
):
    build(TMP / "json", TMP / name, "--emit=checkpoint", f"--passes={passes.format(TMP)}")
    outs.append(TMP / name)
for f in ("tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"):
    assert (outs[0] / f).read_bytes() == (outs[1] / f).read_bytes(), f

for directory, load in shared_models("minilm-l6"):
    model = load()
    check(
        directory.name,
        directory,
        "factorize-embeddings{rank=200},O2",
        factored(model, 200),
        texts(model.config, 6),
        "--weights=f32",
    )
if SHARED:
    lines = [l.rstrip("\n").split("\t")[0].strip() for l in open(SHARED / "data/sst2/dev.tsv")][1:41]
    check_vocab(
        "minilm-sst2",
        SHARED / "models/minilm-sst2",
        lines,
        ["Antidisestablishmentarianism \u00fcber alles", "\u4e2d\u56fd", "quixotic zebras"],
        "--weights=f32",
        "--cpu=native",
    )
    check_vocab(
        "minilm-sst2",
        SHARED / "models/minilm-sst2",
        lines,
        ["Antidisestablishmentarianism \u00fcber alles", "[unused7] zebras"],
        "--weights=f32",
        "--cpu=native",
        keep=9000,
    )
print("vocabularies and tables shrink as they should")
