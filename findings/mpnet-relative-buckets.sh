#!/usr/bin/env bash
# transformers 5.24.0, MPNet: the key relative_attention_num_buckets sets the size of the table of relative
# biases, but not the number of buckets into which distances are sorted. That is always 32.
#   64 in config.json: rows 32 to 63 are never read; results equal those of the first 32 rows alone.
#   16 in config.json: any text fails with an IndexError.
# One expects the key to set both, as it does in T5, whose rule MPNet uses. Fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'END'
import torch
from transformers import MPNetConfig, MPNetModel

SIZES = dict(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48)
SIZES["initializer_range"] = 0.2
ids = torch.arange(3, 43)[None].repeat(1, 5)


@torch.no_grad()
def outputs(model):
    return model.eval()(ids).last_hidden_state


torch.manual_seed(0)
wide = MPNetModel(MPNetConfig(relative_attention_num_buckets=64, **SIZES))
table = wide.encoder.relative_attention_bias.weight
torch.nn.init.normal_(table)
before = outputs(wide)
torch.nn.init.normal_(table[32:])
unread = (outputs(wide) - before).abs().max().item()
torch.nn.init.normal_(table[:32])
read = (outputs(wide) - before).abs().max().item()
print(f"64 buckets: new rows 32 to 63 change the output by {unread}, new rows 0 to 31 by {read:.3f}")
narrow = MPNetModel(MPNetConfig(relative_attention_num_buckets=16, **SIZES))
try:
    outputs(narrow)
    error = None
except IndexError as caught:
    error = caught
print(f"16 buckets: {error!r}")
assert tuple(table.shape) == (64, 2) and unread == 0 and read > 0.01 and error
END
