"""Small tokenizers for random models: WordPiece of made-up syllables, byte-level BPE trained on them."""

import json, pathlib, random

# A little of several scripts, so that merges join bytes inside characters and across them.
SENTENCES = [
    "Größe, straße und übung: 3.5 %!",
    "Привет, мир: это слово и слова.",
    "今日は良い天気です。日本語の文。",
    "这是一个句子，句子里有字。",
    "مرحبا بالعالم هذه كلمات",
    "it's we'll they've I'd   two  spaces\n\tand lines",
    "naïve café 😀😀 x² ½ e\u0301",
]


def syllables(r):
    return "".join(r.choice("bcdfghklmnprstvz") + r.choice("aeiou") for _ in range(r.randint(1, 3)))


def write_json(path, value):
    pathlib.Path(path).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_wordpiece(directory, size, seed=0, name="BertTokenizer"):
    """A vocabulary of `size` pieces: special tokens, letters, their continuations, digits, then syllables."""
    letters = [chr(97 + i) for i in range(26)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + ["##" + c for c in letters]
    pieces += list("0123456789.,!?'-")
    r = random.Random(size)
    while len(pieces) < size:
        p = syllables(r)
        pieces += [q for q in (p, "##" + p) if q not in pieces][: size - len(pieces)]
    pathlib.Path(directory, "vocab.txt").write_text("\n".join(pieces[:size]) + "\n")
    write_json(
        pathlib.Path(directory, "tokenizer_config.json"),
        {"tokenizer_class": name, "do_lower_case": True, "model_max_length": 10**30},
    )


def write_mpnet(directory, size, seed=0):
    """tokenizer.json as MPNetTokenizer saves it: WordPiece with RoBERTa's special tokens."""
    from transformers import MPNetTokenizer

    write_wordpiece(directory, size, seed)
    vocab = pathlib.Path(directory, "vocab.txt")
    pieces = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"] + vocab.read_text().split("\n")[5:size]
    vocab.unlink()
    MPNetTokenizer(vocab={p: i for i, p in enumerate(pieces)}).save_pretrained(directory)


def write_xlnet(directory, size, seed=0):
    """tokenizer.json as XLNetTokenizer saves it: Unigram of letters and syllables of random scores."""
    from transformers import XLNetTokenizer

    pieces = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>", "▁"]
    pieces += [chr(97 + i) for i in range(26)]
    r = random.Random(size)
    while len(pieces) < size:
        p = syllables(r)
        pieces += [q for q in (p, "▁" + p) if q not in pieces][: size - len(pieces)]
    scores = [0.0] * 9 + [-r.uniform(2, 12) for _ in pieces[9:]]
    XLNetTokenizer(vocab=list(zip(pieces, scores))).save_pretrained(directory)
    path = pathlib.Path(directory, "tokenizer_config.json")  # no segments, in all releases of transformers
    write_json(path, json.loads(path.read_text()) | {"model_input_names": ["input_ids", "attention_mask"]})


def train_byte_level(size, lines=None):
    """(vocabulary, merges) of `size` tokens with RoBERTa's special ones, <mask> the last."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    r = random.Random(size)
    lines = lines or SENTENCES * 3 + [" ".join(syllables(r) for _ in range(9)) for _ in range(200)]
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=size - 1,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        ),
    )
    model = json.loads(tok.to_str())["model"]
    vocab = model["vocab"]
    assert len(vocab) == size - 1, f"{len(vocab)} tokens learnt, expected {size - 1}: more lines are needed"
    vocab["<mask>"] = size - 1
    return vocab, [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]


def write_byte_level(directory, size, seed=0, older=None, **config):
    """tokenizer.json as RobertaTokenizer saves it, or (odd seeds) the older vocab.json and merges.txt."""
    from transformers import RobertaTokenizer

    vocab, merges = train_byte_level(size)
    directory = pathlib.Path(directory)
    if seed % 2 if older is None else older:
        write_json(directory / "vocab.json", vocab)
        text = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges)
        (directory / "merges.txt").write_text(text, encoding="utf-8")
        write_json(
            directory / "tokenizer_config.json",
            {"tokenizer_class": "RobertaTokenizer", "model_max_length": 10**30} | config,
        )
    else:
        RobertaTokenizer(vocab=vocab, merges=merges, **config).save_pretrained(directory)
