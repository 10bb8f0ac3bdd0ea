"""Byte-level BPE against the `tokenizers` library, 100 %: ids, byte offsets and words of real texts in six
languages, of all 1,112,064 code points, of random mixtures with added tokens, with add_prefix_space,
trim_offsets and use_regex on and off. FULL=1 tests all code points with each setting."""
import glob
import itertools
import json
import os
import random
import tempfile

import tokenizing as T

T.need(shared=True)
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

random.seed(20261130)
ROUNDS = 4000 if T.FULL else 400
TEXTS = sorted(glob.glob(os.path.join(T.SHARED, "data", "text", "*.txt")))
ROBERTA = os.path.join(T.SHARED, "data", "vocab", "roberta-base")
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
check = T.Check()


def trained(size, alphabet=True):
    """A small vocabulary trained on the texts, with all bytes or only those in the texts."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, show_progress=False, initial_alphabet=letters)
    tok.train(TEXTS, trainer)
    return json.loads(tok.to_str())["model"]


def model_of(data, **options):
    return models.BPE(data["vocab"], [tuple(m) for m in data["merges"]], **options)


def roberta(model, prefix=False, trim=True, regex=True, added=(), normalizer=None, sequence=False):
    tok = Tokenizer(model)
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
    if normalizer:
        tok.normalizer = normalizer
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    tok.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    tok.add_tokens(list(added))
    cls, sep = tok.token_to_id("<s>"), tok.token_to_id("</s>")
    if sequence:
        template = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1",
            special_tokens=[("<s>", cls), ("</s>", sep)])
        level = processors.ByteLevel(add_prefix_space=prefix, trim_offsets=trim)
        tok.post_processor = processors.Sequence([level, template])
    else:
        tok.post_processor = processors.RobertaProcessing(
            ("</s>", sep), ("<s>", cls), trim_offsets=trim, add_prefix_space=prefix)
    return tok


def mixture(parts):
    return "".join(random.choice(parts) for _ in range(random.randrange(30)))


PARTS = [
    "a", "A", "film", " film", "the", "ing", "1", "23", " ", "  ", "\n", "\t", "\u00a0", "\u3000", "'", "'s",
    "'ll", "'S", "'re", "'v", "!", "...", "-", "_", "é", "e\u0301", "ß",
    "中", "文字", "русский", "😀",
    "👩‍👩‍👧", "\u0120", "½",
    "٣",
    "<s>", "</s>", "<mask>", "<x>", "<y>", "film é", "\u200b", "\ufffd", "x" * 70,
]
ADDED = [
    AddedToken("<x>", single_word=True), AddedToken("<y>", lstrip=True, rstrip=True),
    AddedToken("film é", normalized=True), AddedToken(" two ", normalized=False), AddedToken("\u0120q"),
]


def long_words(where, tok):
    """Words longer than the part that is merged at once, and longer than a window."""
    for alphabet in ("a", "ab", "abc", "-", "ing", "中", "é-", "русский", "x1", "  ", "\n "):
        lengths = (63, 64, 65, 66, 130, 1023, 1024, 1025, 5000, 9000)
        texts = ["".join(random.choice(alphabet) for _ in range(n)) for n in lengths]
        check.texts(tok, where, texts, ("long", alphabet))
    whole = [open(path, encoding="utf-8", newline="").read() for path in TEXTS]
    squeezed = ["".join(c for c in text if c.isalpha())[:200000 if T.FULL else 20000] for text in whole]
    check.texts(tok, where, squeezed, "squeezed")


def shuffled_merges():
    """Merges in random order: some are never used, some make the same token in two ways."""
    tokens, merges = list("abcd"), []
    for _ in range(random.randrange(3, 60)):
        pair = random.choice(tokens), random.choice(tokens)
        if len("".join(pair)) <= 20:
            merges.append(pair)
            tokens.append("".join(pair))
    random.shuffle(merges)
    vocab = {token: i for i, token in enumerate(dict.fromkeys(SPECIAL + tokens))}
    return {"vocab": vocab, "merges": merges + merges[:3]}


with tempfile.TemporaryDirectory() as temporary:
    number = itertools.count()
    save = lambda tok: T.save(tok, f"{temporary}/{next(number)}")
    small, bare = trained(6000), trained(3000, alphabet=False)
    merges = open(f"{ROBERTA}/merges.txt", encoding="utf-8").read().split("\n")[1:-1]
    vocab = json.load(open(f"{ROBERTA}/vocab.json"))
    large = {"vocab": vocab, "merges": [line.split(" ") for line in merges]}
    whole = [open(path, encoding="utf-8", newline="").read() for path in TEXTS]
    lines = [line for text in whole for line in text.split("\n")]
    cases = [(large, False, True), (large, True, False), (small, True, True), (small, False, False)]
    for data, prefix, trim in cases:
        tok = roberta(model_of(data), prefix, trim)
        every = 1 if T.FULL or data is large and trim else 7
        check.texts(tok, save(tok), lines[::every], ("texts", prefix, trim))

    for prefix, trim, regex, sequence in itertools.product([False, True], repeat=4):
        for normalizer in (None, normalizers.BertNormalizer(lowercase=True), normalizers.Lowercase()):
            tok = roberta(model_of(small), prefix, trim, regex, ADDED, normalizer, sequence)
            where = save(tok)
            texts = [mixture(PARTS) for _ in range(ROUNDS)]
            check.texts(tok, where, texts, ("mixture", prefix, trim, regex, str(normalizer)))
        pairs = [(mixture(PARTS), mixture(PARTS)) for _ in range(ROUNDS // 40)]
        check.truncated(tok, where, pairs, (4, 5, 8, 17), "pair")

    unknown = {"unk_token": "<unk>"}
    for options in ({}, unknown, unknown | {"fuse_unk": True}, {"ignore_merges": True}):
        tok = roberta(model_of(bare, **options))
        where = save(tok)
        texts = [mixture(PARTS + ["\x01", "\x02\x03", "\U000f0000"]) for _ in range(ROUNDS)] + lines[::40]
        check.texts(tok, where, texts, options)
        texts = ["".join(random.choice("ab\x01\x02中") for _ in range(n)) for n in (60, 70, 500, 1500, 9000)]
        check.texts(tok, where, texts, ("long", options))
    for tok in (roberta(model_of(small), regex=False), roberta(model_of(large))):
        long_words(save(tok), tok)

    for _ in range(ROUNDS // 10):
        tok = roberta(model_of(shuffled_merges()))
        letters = random.choice(["ab", "abcd", "a"])
        lengths = (10, 40, 64, 65, 80, 200, 200, 5000)
        texts = ["".join(random.choice(letters) for _ in range(n)) for n in lengths]
        check.texts(tok, save(tok), texts, "shuffled")

    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    assert len(points) == 1112064
    few = [c for c in points if ord(c) < 0x3100 or ord(c) % 97 == 0]
    for prefix, trim in itertools.product([False, True], repeat=2):
        tok = roberta(model_of(small), prefix, trim)
        where = save(tok)
        for pattern in ("%s<pad>", "a%s!1%s", " %s  ") if T.FULL or prefix and trim else ("%s<pad>",):
            taken = points if T.FULL or pattern == "a%s!1%s" else few
            groups = [taken[i : i + 128] for i in range(0, len(taken), 128)]
            texts = ["".join(pattern.replace("%s", c) for c in group) for group in groups]
            check.texts(tok, where, texts, (pattern, prefix, trim))
check.end("byte-level BPE")
