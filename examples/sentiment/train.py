#!/usr/bin/env python3
"""Makes the student in this folder: a small BERT distilled from a fine-tuned sentiment classifier on SST-2.

    python train.py TEACHER_DIR SST2_DIR OUT_DIR [--epochs 4] [--layers 0,2,5] [--ffn 768] [--vocab 6000]

TEACHER_DIR is a Hugging Face BertForSequenceClassification, SST2_DIR holds train.tsv and dev.tsv (GLUE's
SST-2: sentence<TAB>label, with a header line). Needs torch, transformers and safetensors; runs on a CPU in
about a quarter of an hour. The student starts as a piece of the teacher (see ../student.py) and then learns
the teacher's logits (Hinton et al., "Distilling the Knowledge in a Neural Network", temperature 2) mixed with
the labels, from the training sentences as they are and with tokens masked at random, so that the teacher also
says what it thinks of incomplete sentences."""

import argparse, pathlib, random, sys, time
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, BertForSequenceClassification

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from student import batches, cut_vocabulary, student_from, write_tokenizer

P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("teacher")
P.add_argument("data")
P.add_argument("out")
P.add_argument("--epochs", type=int, default=4)
P.add_argument("--batch", type=int, default=64)
P.add_argument("--layers", default="0,2,5")
P.add_argument("--ffn", type=int, default=768)
P.add_argument("--vocab", type=int, default=6000)
P.add_argument("--positions", type=int, default=128)
P.add_argument("--rate", type=float, default=2e-4)
P.add_argument("--seed", type=int, default=7)
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
    optimizer = torch.optim.AdamW(student.parameters(), lr=A.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, A.rate, total_steps=len(plan), pct_start=0.1)
    start = time.time()
    for step, group in enumerate(plan):
        text = [sentences[i] if generator.random() < 0.5 else masked(sentences[i], generator) for i in group]
        with torch.no_grad():
            want = teacher(**encode(big, text)).logits
        student.train()
        got = student(**encode(small, text)).logits
        soft = (
            F.kl_div(
                F.log_softmax(got / TEMPERATURE, 1), F.softmax(want / TEMPERATURE, 1), reduction="batchmean"
            )
            * TEMPERATURE**2
        )
        loss = (1 - LABEL_SHARE) * soft + LABEL_SHARE * F.cross_entropy(
            got, torch.tensor([labels[i] for i in group])
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 499 or step + 1 == len(plan):
            print(
                f"step {step + 1}/{len(plan)} loss {loss.item():.4f} dev "
                f"{accuracy(student, small, *dev):.4f} {time.time() - start:.0f} s",
                flush=True,
            )
    student.half().save_pretrained(out)
    stored = BertForSequenceClassification.from_pretrained(out, dtype=torch.float32)
    print(f"dev accuracy of the stored half-precision weights: {accuracy(stored, small, *dev):.4f}")


A = P.parse_args()
main()
