#!/usr/bin/env python3
"""Makes the student in this folder: a small BERT distilled from a fine-tuned sentiment classifier on SST-2.

    python train.py TEACHER_DIR SST2_DIR OUT_DIR [--epochs 4] [--layers 0,2,5] [--ffn 768] [--vocab 6000]

TEACHER_DIR is a Hugging Face BertForSequenceClassification. SST2_DIR has train.tsv and dev.tsv of GLUE's
SST-2: a header and lines of sentence<TAB>label. Needs torch, transformers and safetensors; runs on a CPU
in about a quarter of an hour. The student starts as a part of the teacher (see ../student.py). It learns
the teacher's logits (Hinton et al., "Distilling the Knowledge in a Neural Network", temperature 2) and the
labels. Training uses the sentences and copies of them with tokens masked at random, so that the student
also learns the teacher's logits of incomplete sentences."""

import pathlib, random, sys
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from student import arguments, batches, cut_vocabulary, distilled_loss, learn, student_from, write_tokenizer

DEFAULTS = dict(epochs=4, batch=64, layers="0,2,5", ffn=768, vocab=6000, positions=128, rate=2e-4, seed=7)
TEMPERATURE, LABEL_SHARE, MASKED_SHARE = 2.0, 0.3, 0.15


def read(path):
    rows = [line.rstrip("\n").split("\t") for line in open(path, encoding="utf-8")][1:]
    return [r[0].strip() for r in rows], [int(r[1]) for r in rows]


def encode(tokenizer, sentences):
    return tokenizer(sentences, truncation=True, max_length=A.positions, padding=True, return_tensors="pt")


def accuracy(model, tokenizer, sentences, labels):
    model.eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(sentences), 128):
            right += (
                (
                    model(**encode(tokenizer, sentences[i : i + 128])).logits.argmax(1)
                    == torch.tensor(labels[i : i + 128])
                )
                .sum()
                .item()
            )
    return right / len(sentences)


def masked(sentence, generator):
    words = sentence.split()
    return " ".join("[MASK]" if generator.random() < MASKED_SHARE else w for w in words)


def main():
    torch.manual_seed(A.seed)
    generator = random.Random(A.seed)
    out = pathlib.Path(A.out)
    out.mkdir(parents=True, exist_ok=True)
    sentences, labels = read(pathlib.Path(A.data) / "train.tsv")
    dev = read(pathlib.Path(A.data) / "dev.tsv")
    big = AutoTokenizer.from_pretrained(A.teacher)
    teacher = BertForSequenceClassification.from_pretrained(A.teacher, dtype=torch.float32).eval()
    vocab = cut_vocabulary(big, sentences, A.vocab)
    write_tokenizer(A.teacher, out, vocab, A.positions)
    small = AutoTokenizer.from_pretrained(out)
    student = student_from(teacher, vocab, [int(n) for n in A.layers.split(",")], A.ffn, A.positions)
    lengths = [len(s.split()) for s in sentences]
    plan = [b for _ in range(A.epochs) for b in batches(lengths, A.batch, generator)]

    def loss_of(batch):
        text = [sentences[i] if generator.random() < 0.5 else masked(sentences[i], generator) for i in batch]
        with torch.no_grad():
            want = teacher(**encode(big, text)).logits
        got = student(**encode(small, text)).logits
        return distilled_loss(got, want, torch.tensor([labels[i] for i in batch]), LABEL_SHARE, TEMPERATURE)

    learn(student, plan, A.rate, loss_of, 500, lambda: f" dev {accuracy(student, small, *dev):.4f}")
    student.half().save_pretrained(out)
    stored = BertForSequenceClassification.from_pretrained(out, dtype=torch.float32)
    print(f"dev accuracy of the stored half-precision weights: {accuracy(stored, small, *dev):.4f}")


A = arguments(__doc__, ["teacher", "data", "out"], DEFAULTS)
main()
