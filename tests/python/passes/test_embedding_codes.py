"""Compares quantize-embeddings with PyTorch: tables in int8, int4 and f16 are decoded and put back into
the model."""

import copy, math
from whittling import *


def int8(table):
    """One scale per row, codes -127..127."""
    largest = table.abs().amax(1, keepdim=True)
    codes = (table.double() * 127 / largest.double()).round()
    return torch.where(largest > 0, codes.float() * (largest / 127), 0)


def int4(table):
    """One scale per row, codes -7..7. The scale is the best of eleven, from half of the row's largest number
    to all of it."""
    largest = table.abs().amax(1, keepdim=True) / 7
    best, least = torch.zeros_like(table), torch.full((len(table), 1), math.inf, dtype=torch.double)
    for part in range(20, 9, -1):
        scale = largest * part / 20
        real = (table / scale).round().clamp(-7, 7) * scale
        error = (table.double() - real.double()).square().sum(1, keepdim=True)
        best, least = torch.where(error < least, real, best), torch.minimum(error, least)
    return best


def f16(table):
    return table.half().float()


def stored(model, kind):
    """The model with its tables in `kind`. With int4, tables of positions and types are in int8."""
    changed = copy.deepcopy(model)
    e = encoder(changed).embeddings
    for n, table in enumerate((e.word_embeddings, e.position_embeddings, e.token_type_embeddings)):
        table.weight.data = (int8 if kind is int4 and n else kind)(table.weight.data)
    return changed


for n, kind in enumerate(("classify", "encoder", "tag")):
    model, config = make_bert.random_bert(
        kind, 900 + n, TMP / kind, hidden_size=4 * (8, 11, 16)[n], num_attention_heads=4
    )
    kinds = (int8, int4, f16)
    # each kind of codes comes first once, so that one of its programs is compiled
    for codes in kinds[n:] + kinds[:n]:
        check(
            kind,
            TMP / kind,
            f"quantize-embeddings{{to={codes.__name__}}},O2",
            stored(model, codes),
            texts(config, n),
            "--weights=f32",
        )
    # the codes must differ from the plain tables, or the test would show nothing
    passed = (logits(stored(model, int4), texts(config, n)), logits(model, texts(config, n)))
    assert max((a - b).abs().max() for a, b in zip(*passed)) > 1e-3
for directory, load in shared_models("minilm-sst2"):
    model = load()
    for codes in (int8, int4):
        check(
            directory.name,
            directory,
            f"quantize-embeddings{{to={codes.__name__}}},O2",
            stored(model, codes),
            texts(model.config, 6),
            "--weights=f32",
        )
print("tables hold what their codes say")
