#!/usr/bin/env python3
"""Compares emitted code with transformers (fp32, eager) on seeded random models: every family, odd sizes,
every head, lengths from 1 to the maximum. Also checks the comparison: 10 % more of any tensor of a
model moves the output past the tolerance.

    test_golden.py [FAMILY...]"""

import sys
import numpy as np, torch
from _support import FULL, TMP, Library, build, compare
from make_model import FAMILIES, RENAMED, TESTED, random_model, reference

torch.set_grad_enabled(False)
torch.set_num_threads(1)


def texts_for(row, config, seed):
    """Texts as (ids, types). A model for short texts gets every length, others get some lengths."""
    r = np.random.default_rng(seed)
    limit = row.longest(config)
    lengths = range(1, limit + 1) if FULL or limit <= 20 else sorted({1, 2, 3, limit // 2, limit - 1, limit})
    kinds = config.type_vocab_size if row.segments(config) else 1
    texts = [
        (r.integers(0, config.vocab_size, n).tolist(), r.integers(0, kinds, n).tolist()) for n in lengths
    ]
    for ids, _ in texts[2:]:  # the padding id is a token like any other
        ids[len(ids) // 2] = row.padding(config)
    return texts


def check_labels(got, want, what):
    """Labels must be equal, unless the two best scores are closer than twice the tolerance."""
    got, rows = got.reshape(-1, want.shape[-1]), want.reshape(-1, want.shape[-1])
    top = np.sort(rows, 1)
    sure = top[:, -1] - top[:, -2] > 2e-4 * max(1, np.abs(want).max())
    assert (got.argmax(1) == rows.argmax(1))[sure].all(), f"{what}: labels differ"


def check_code(name, library, row, config, cases, want):
    """The outputs of the emitted code for each text. They must not depend on the other texts in the call, nor
    on segments that the family ignores."""
    rows = []
    for (ids, types), w in zip(cases, want):
        rows.append(library.run([ids], w.size, [types]))
        if not row.segments(config):
            assert library.run([ids], w.size).tobytes() == rows[-1].tobytes(), (
                f"{name}: segments change results"
            )
    together = library.run([c[0] for c in cases], sum(w.size for w in want), [c[1] for c in cases])
    assert together.tobytes() == np.concatenate(rows).tobytes(), f"{name}: a batch changes results"
    return rows


def check(family, kind, seed, *options, **overrides):
    row, name = FAMILIES[family], f"{family}-{kind}-{seed}"
    model, config = random_model(family, kind, seed, TMP / name, tokenizer=False, **overrides)
    cases = texts_for(row, config, seed)
    want = [reference(row, model, kind, *c) for c in cases]
    library = Library(build(TMP / name, TMP / f"{name}.so", "--emit=shared", "--name=m", *options), "m")
    rows = check_code(name, library, row, config, cases, want)
    worst = 0
    for (ids, _), got, w in zip(cases, rows, want):
        worst = max(worst, compare(got, w, f"{name}, {len(ids)} tokens"))
        if kind in ("classify", "tag"):
            check_labels(got, w, name)
    print(
        f"{name:26} hidden {config.hidden_size:4} "
        f"heads {getattr(config, 'num_attention_heads', 0):2} {len(cases):2} lengths "
        f"worst {worst:.3f} of the tolerance",
        flush=True,
    )
    return model, cases, want


def check_sensitivity(family, kind, model, cases, want):
    """A change of any used tensor by 10 % moves the output by more than the tolerance."""
    row = FAMILIES[family]
    pooled = row.classifies_pooled and kind in ("classify", "multi", "regression", "nsp")
    for name, p in model.named_parameters():
        idle = row.idle(name, model.config) or name.endswith(
            ("key.bias", "k_lin.bias", "attn.k.bias") + row.unread
        )
        if idle or ("pooler" in name and not pooled):
            continue
        old = p.data.clone()
        p.data.mul_(1.1)
        matters = any(
            np.abs(reference(row, model, kind, *c) - w).max() > 1e-4 * max(1, np.abs(w).max())
            for c, w in zip(cases, want)
        )
        p.data.copy_(old)
        assert matters, f"{family} {kind}: {name} perturbed by 10 % stays within the tolerance"


LEVELS = (
    ("regression", 900, "-O0"),
    ("classify", 901, "-O1", "--cpu=baseline"),
    ("fill-mask", 701),
    ("tag", 903, "-O3"),
)
count = 0
for place, family in enumerate(sys.argv[1:] or TESTED):
    for n, kind in enumerate(FAMILIES[family].classes()):
        for seed in range(24 if FULL else 1):
            # every other masked language model has a decoder of its own
            more = {"tie_word_embeddings": False} if kind == "fill-mask" and family != "bert" else {}
            made = check(family, kind, seed + 100 * n, *(() if FULL else ("--cpu=baseline",)), **more)
            count += 1
            if seed < 3:  # further seeds would only repeat it
                check_sensitivity(family, kind, *made)
    # every level with BERT, one level each with the other families
    levels = LEVELS if FULL or family == "bert" else LEVELS[place % 4 : place % 4 + 1]
    for level in levels:
        check(family, *level)
    count += len(levels)
for n, family in enumerate(() if sys.argv[1:] else RENAMED):
    check(family, ("fill-mask", "classify")[n % 2], 950 + n, "-O1", "--cpu=baseline")
    count += 1
print(f"{count} models")
