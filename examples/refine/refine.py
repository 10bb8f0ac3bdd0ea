#!/usr/bin/env python3
"""Trains a checkpoint that bertc has made smaller until it answers as the whole model does.

python refine.py WHOLE_DIR SMALLER_DIR TRAIN.tsv OUT_DIR [--steps 600] [--batch 32] [--rate 1e-4] [--seed 1]

WHOLE_DIR is a Hugging Face BertForSequenceClassification and SMALLER_DIR what `bertc build WHOLE_DIR
--emit=checkpoint` wrote of it; TRAIN.tsv has lines of sentence<TAB>label under a header. The smaller model
learns the probabilities of the whole one (Hinton et al., "Distilling the Knowledge in a Neural Network",
temperature 2) mixed with the labels. Weights are written in the type that SMALLER_DIR has. Needs torch and
transformers."""

import argparse, pathlib, random, sys, time
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, BertForSequenceClassification

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from student import batches

P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("whole")
P.add_argument("smaller")
P.add_argument("train")
P.add_argument("out")
P.add_argument("--steps", type=int, default=600)
P.add_argument("--batch", type=int, default=32)
P.add_argument("--rate", type=float, default=1e-4)
P.add_argument("--seed", type=int, default=1)
TEMPERATURE, LABEL_SHARE = 2.0, 0.3


def main():
    torch.manual_seed(A.seed)
    generator = random.Random(A.seed)
    rows = [line.rstrip("\n").split("\t") for line in open(A.train, encoding="utf-8")][1:]
    sentences, labels = [r[0].strip() for r in rows], [int(r[1]) for r in rows]
    tokenizer = AutoTokenizer.from_pretrained(A.whole)
    whole = BertForSequenceClassification.from_pretrained(A.whole, dtype=torch.float32).eval()
    smaller = BertForSequenceClassification.from_pretrained(A.smaller, dtype="auto")
    stored = smaller.dtype
    smaller = smaller.float().train()
    plan = batches([len(s.split()) for s in sentences], A.batch, generator)
    plan = [plan[i % len(plan)] for i in range(A.steps)]
    # those of the whole model: half of all numbers, and nothing was taken from them
    smaller.bert.embeddings.requires_grad_(False)
    optimizer = torch.optim.AdamW(
        [p for p in smaller.parameters() if p.requires_grad], lr=A.rate, weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, A.rate, total_steps=A.steps, pct_start=0.1)
    start = time.time()
    for step, group in enumerate(plan):
        text = tokenizer(
            [sentences[i] for i in group], truncation=True, max_length=128, padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            want = whole(**text).logits
        got = smaller(**text).logits
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
        torch.nn.utils.clip_grad_norm_(smaller.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99 or step + 1 == A.steps:
            print(
                f"step {step + 1}/{A.steps} loss {loss.item():.4f} {time.time() - start:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    smaller.to(stored).save_pretrained(A.out)
    tokenizer.save_pretrained(A.out)


A = P.parse_args()
main()
