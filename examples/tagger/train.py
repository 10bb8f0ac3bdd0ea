#!/usr/bin/env python3
"""Makes the student in this folder: a small BERT tagger distilled from a fine-tuned disease tagger on
NCBI-disease.

    python train.py TEACHER_DIR NCBI_DIR OUT_DIR [--epochs 12] [--layers 0,1] [--ffn 384] [--vocab 4000]

TEACHER_DIR is a Hugging Face BertForTokenClassification. NCBI_DIR has train.tsv, devel.tsv and test.tsv in
CoNLL form: word<TAB>IOB2 tag, an empty line between sentences. The student starts as a part of the teacher
(see ../student.py). It learns the tags, and the teacher's logits of the first piece of each word. Only
first pieces correspond, because the two vocabularies split words differently."""

import pathlib, random, sys
import torch
from transformers import AutoTokenizer, BertForTokenClassification

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from student import arguments, batches, cut_vocabulary, distilled_loss, learn, student_from, write_tokenizer

DEFAULTS = dict(epochs=12, batch=32, layers="0,1", ffn=384, vocab=4000, positions=256, rate=4e-4, seed=7)
LABEL_SHARE = 0.5


def read(path, label2id):
    sentences, words, labels = [], [], []
    for line in [*open(path, encoding="utf-8"), "\n"]:
        if line.strip():
            w, l = line.rstrip("\n").split("\t")
            words.append(w)
            labels.append(label2id[l])
        elif words:
            sentences.append((words, labels))
            words, labels = [], []
    return sentences


def encode(tokenizer, group):
    """A padded batch, and for each sentence the position of every word's first piece (words cut off by the
    limit have none)."""
    e = tokenizer(
        [w for w, _ in group],
        is_split_into_words=True,
        truncation=True,
        max_length=A.positions,
        padding=True,
        return_tensors="pt",
    )
    firsts = []
    for k in range(len(group)):
        first = {}
        for position, word in enumerate(e.word_ids(k)):
            if word is not None:
                first.setdefault(word, position)
        firsts.append(first)
    return e, firsts


def spans(labels, names):
    """(first word, last word, type) by the rule: a span starts at B- or at an I- that follows O or another
    type."""
    out, start, kind = set(), None, None
    for i, l in enumerate([*labels, names.index("O")]):
        prefix, _, t = names[l].partition("-")
        if start is not None and (prefix != "I" or t != kind):
            out.add((start, i - 1, kind))
            start = None
        if prefix == "B" or (prefix == "I" and start is None):
            start, kind = i, t
    return out


def f1(model, tokenizer, sentences, names):
    model.eval()
    right = got = want = 0
    with torch.no_grad():
        for i in range(0, len(sentences), 32):
            group = sentences[i : i + 32]
            e, firsts = encode(tokenizer, group)
            best = model(**e).logits.argmax(2)
            for k, (words, labels) in enumerate(group):
                a = spans(
                    [
                        best[k, firsts[k][w]].item() if w in firsts[k] else names.index("O")
                        for w in range(len(words))
                    ],
                    names,
                )
                b = spans(labels, names)
                right += len(a & b)
                got += len(a)
                want += len(b)
    return 2 * right / (got + want)


def main():
    torch.manual_seed(A.seed)
    generator = random.Random(A.seed)
    out = pathlib.Path(A.out)
    out.mkdir(parents=True, exist_ok=True)
    teacher = BertForTokenClassification.from_pretrained(A.teacher, dtype=torch.float32).eval()
    big = AutoTokenizer.from_pretrained(A.teacher)
    names = [teacher.config.id2label[i] for i in range(teacher.config.num_labels)]
    label2id = {n: i for i, n in enumerate(names)}
    train, devel, test = (
        read(pathlib.Path(A.data) / f"{n}.tsv", label2id) for n in ("train", "devel", "test")
    )
    vocab = cut_vocabulary(big, [" ".join(w) for w, _ in train], A.vocab)
    write_tokenizer(A.teacher, out, vocab, A.positions)
    small = AutoTokenizer.from_pretrained(out)
    student = student_from(teacher, vocab, [int(n) for n in A.layers.split(",")], A.ffn, A.positions)
    groups = batches([len(w) for w, _ in train], A.batch, generator)
    taught = [None] * len(train)  # the teacher's logits of each word
    for picked in groups:
        e, firsts = encode(big, [train[i] for i in picked])
        with torch.no_grad():
            logits = teacher(**e).logits
        for k, i in enumerate(picked):
            taught[i] = {w: logits[k, position] for w, position in firsts[k].items()}
    plan = groups + [
        b for _ in range(A.epochs - 1) for b in batches([len(w) for w, _ in train], A.batch, generator)
    ]

    def loss_of(picked):
        e, firsts = encode(small, [train[i] for i in picked])
        got = student(**e).logits
        k, position, want, label = zip(
            *[
                (k, firsts[k][w], taught[i][w], train[i][1][w])
                for k, i in enumerate(picked)
                for w in firsts[k]
                if w in taught[i]
            ]
        )
        return distilled_loss(
            got[list(k), list(position)], torch.stack(want), torch.tensor(label), LABEL_SHARE
        )

    learn(student, plan, A.rate, loss_of, 400, lambda: f" devel F1 {f1(student, small, devel, names):.4f}")
    student.half().save_pretrained(out)
    print(
        "test F1 of the stored half-precision weights: "
        f"{f1(BertForTokenClassification.from_pretrained(out, dtype=torch.float32), small, test, names):.4f}"
    )


A = arguments(__doc__, ["teacher", "data", "out"], DEFAULTS)
main()
