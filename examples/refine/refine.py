#!/usr/bin/env python3
"""Trains a checkpoint that bertc has made smaller, so that it answers like the whole model again.

python refine.py WHOLE_DIR SMALLER_DIR TRAIN.tsv OUT_DIR [--steps 600] [--batch 32] [--rate 1e-4] [--seed 1]

WHOLE_DIR is a Hugging Face BertForSequenceClassification. SMALLER_DIR is the result of `bertc build
WHOLE_DIR --emit=checkpoint`. TRAIN.tsv has a header and lines of sentence<TAB>label. The smaller model
learns the probabilities of the whole model (Hinton et al., "Distilling the Knowledge in a Neural Network",
temperature 2) and the labels. Weights are written in the type of SMALLER_DIR. Needs torch and
transformers."""

import pathlib, random, sys
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from student import arguments, batches, distilled_loss, learn

DEFAULTS = dict(steps=600, batch=32, rate=1e-4, seed=1)
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

    def loss_of(batch):
        text = tokenizer(
            [sentences[i] for i in batch], truncation=True, max_length=128, padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            want = whole(**text).logits
        truth = torch.tensor([labels[i] for i in batch])
        return distilled_loss(smaller(**text).logits, want, truth, LABEL_SHARE, TEMPERATURE)

    learn(smaller, plan, A.rate, loss_of, 100)
    smaller.to(stored).save_pretrained(A.out)
    tokenizer.save_pretrained(A.out)


A = arguments(__doc__, ["whole", "smaller", "train", "out"], DEFAULTS)
main()
