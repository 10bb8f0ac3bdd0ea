#!/usr/bin/env python3
"""Emitted code against transformers (fp32, eager) on seeded random BERTs of odd sizes, every head, lengths from 1 to the maximum; and that
the comparison notices: any tensor of one model perturbed by 10 % moves the output past the tolerance."""
import numpy as np, torch
from _support import FULL, TMP, Library, build, compare
from make_bert import KINDS, random_bert

torch.set_grad_enabled(False); torch.set_num_threads(1)

def reference(model, kind, ids, types):
    o = model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    if kind == "encoder":
        m = o.last_hidden_state[0].double().mean(0); return (m / m.norm().clamp(min=1e-12)).numpy()
    if kind == "qa": return torch.stack([o.start_logits[0], o.end_logits[0]], 1).numpy()
    return o.logits[0].numpy()

def texts_for(config, seed):
    r = np.random.default_rng(seed); limit = config.max_position_embeddings
    lengths = sorted({1, 2, 3, limit // 2, limit - 1, limit})
    return [(r.integers(0, config.vocab_size, n).tolist(), r.integers(0, config.type_vocab_size, n).tolist()) for n in lengths]

def check(kind, seed, *options):
    directory = TMP / f"{kind}-{seed}"; model, config = random_bert(kind, seed, directory)
    library = Library(build(directory, TMP / f"{kind}{seed}.so", "--emit=shared", "--name=m", *options), "m")
    cases = texts_for(config, seed); want = [reference(model, kind, *c) for c in cases]
    worst = 0
    for (ids, types), w in zip(cases, want):
        got = library.run([ids], w.size, [types]); worst = max(worst, compare(got, w, f"{kind} seed {seed}, {len(ids)} tokens"))
        if kind in ("classify", "tag"):
            a, b = got.reshape(-1, w.shape[-1]), w.reshape(-1, w.shape[-1]); top = np.sort(b, 1)
            sure = top[:, -1] - top[:, -2] > 2e-4 * max(1, np.abs(w).max())   # closer than twice the tolerance either label is right
            assert (a.argmax(1) == b.argmax(1))[sure].all(), f"{kind} seed {seed}: labels differ"
    together = library.run([c[0] for c in cases], sum(w.size for w in want), [c[1] for c in cases])
    alone = np.concatenate([library.run([c[0]], w.size, [c[1]]) for c, w in zip(cases, want)])
    assert together.tobytes() == alone.tobytes(), f"{kind} seed {seed}: a batch changes results"
    print(f"{kind:10} seed {seed:3} hidden {config.hidden_size:4} heads {config.num_attention_heads:2} ffn {config.intermediate_size:4} {config.hidden_act:18} worst {worst:.3f} of the tolerance")
    return model, config, cases, want

def check_sensitivity(model, kind, cases, want):
    """Every tensor that the output depends on matters: 10 % of it moves the output past the tolerance."""
    pooled = kind in ("classify", "multi", "regression", "nsp")
    for name, p in model.named_parameters():
        if "key.bias" in name or ("pooler" in name and not pooled): continue
        old = p.data.clone(); p.data.mul_(1.1)
        moved = max(np.abs(reference(model, kind, *c) - w).max() / (1e-4 * max(1, np.abs(w).max())) for c, w in zip(cases, want))
        p.data.copy_(old)
        assert moved > 1, f"{kind}: {name} perturbed by 10 % stays within the tolerance ({moved:.3f})"

count = 0
for kind in KINDS:
    for seed in range(24 if FULL else 2):
        seed += 100 * list(KINDS).index(kind); model, config, cases, want = check(kind, seed); count += 1
        if seed % 100 < 3: check_sensitivity(model, kind, cases, want)   # more with FULL would only repeat it
for level in "013":
    check("classify", 900 + int(level), f"-O{level}"); count += 1
print(f"{count} models")
