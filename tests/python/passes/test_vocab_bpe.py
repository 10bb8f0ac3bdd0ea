"""prune-vocab on byte-level BPE, and --emit=checkpoint with such a tokenizer, from tokenizer.json and from
vocab.json with merges.txt. transformers' tokenizer of the written directory, the program, and the
program built from that directory give the same ids. Texts of the corpus keep their tokens and their
numbers."""

from transformers import AutoModelForSequenceClassification, AutoTokenizer
from whittling import *
from make_model import random_model
from make_tokenizer import write_byte_level

CORPUS = ["moti banana, sela!  lomi", "Größe it's 42 слова", "今日は\u00a0<mask> x"]
MASK = {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False}
OTHERS = ["gobe vuta we'll", "", " мир 日本語 \u0623", "a<mask>b </s>", "\x01\u00e9\ufffd"]


def ids_of(path, texts):
    p = run(path, "--tokenize", input="".join(t + "\n" for t in texts).encode())
    return [[int(i) for i in line.split()] for line in p.stdout.decode().split("\n")[:-1]]


def load(directory):
    model = AutoModelForSequenceClassification.from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32
    )
    return model.eval(), AutoTokenizer.from_pretrained(directory)


def parts_kept(tokenizer, vocab):
    """Every remaining token that merges had made still has these merges."""
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    made = {"".join(pair) for pair in merges}
    assert all(a in vocab and b in vocab and a + b in vocab for a, b in merges)
    return made


def check_prune(directory, what):
    whole_model, whole = load(directory)
    corpus = TMP / "corpus.txt"
    corpus.write_text("\n".join(CORPUS) + "\n")
    for passes in (f"prune-vocab{{corpus={corpus}}}", "prune-vocab{keep=400}", ""):
        out = TMP / f"{what}.{len(passes)}"
        bertc("build", directory, "--emit=checkpoint", "-o", out, "--quiet", f"--passes={passes}")
        model, tokenizer = load(out)
        vocab, old = tokenizer.get_vocab(), whole.get_vocab()
        assert len(vocab) < len(old) if passes else vocab == old, (len(vocab), len(old))
        assert {t for t in old if len(t) == 1} <= vocab.keys(), "a byte is gone"
        assert "keep" not in passes or len(vocab) <= 410, len(vocab)
        parts_kept(tokenizer, vocab)
        first = build(directory, TMP / f"{out.name}.first", "--cpu=baseline", f"--passes={passes or 'O2'}")
        again = build(out, TMP / f"{out.name}.again", "--cpu=baseline")
        texts = CORPUS + OTHERS
        want = [tokenizer(text)["input_ids"] for text in texts]
        assert ids_of(first, texts) == want, f"{what} {passes}: the program"
        assert ids_of(again, texts) == want, f"{what} {passes}: the checkpoint's program"
        for text, ids in zip(texts, want):
            before = whole(text)["input_ids"]
            if text in OTHERS and "keep" not in passes and passes or "keep" in passes:
                continue
            tokens = tokenizer.convert_ids_to_tokens(ids)
            assert tokens == whole.convert_ids_to_tokens(before), (text, tokens)
            compare(logits(model, [ids])[0], logits(whole_model, [before])[0], f"{what}: {text!r}")
        print(f"ok {what} {passes[:20]}: {len(vocab)} of {len(old)} tokens")


for n, older in enumerate((False, True)):
    directory = TMP / f"model{n}"
    random_model("bert-bpe", "classify", 30 + n, directory, max_position_embeddings=64, vocab_size=700)
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        (directory / name).unlink(missing_ok=True)
    # releases of transformers differ in the default of lstrip
    mask = {"mask_token": MASK} if older else {}
    write_byte_level(directory, 700, older=older, model_max_length=64, **mask)
    check_prune(directory, "older" if older else "json")
