#!/usr/bin/env bash
# transformers 5.24.0, ModernBERT: {"type": "linear", "factor": 4} as rope_scaling has no effect. `type` is
# the older name of `rope_type`. ModernBertConfig first writes rope_type "default" into both kinds of layers
# and then adds the members of rope_scaling, so that the older name comes too late. Inside rope_parameters
# the older name works, and in rope_scaling the new one does. One expects both names to work in both places.
# Fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'END'
import torch
from transformers import ModernBertConfig, ModernBertModel
from transformers.utils import logging

logging.set_verbosity_error()
SIZES = dict(vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
IDS = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
ids = torch.arange(3, 43)[None].repeat(1, 3)


@torch.no_grad()
def outputs(**keys):
    torch.manual_seed(3)
    config = ModernBertConfig(initializer_range=0.2, **SIZES, **IDS, **keys)
    return ModernBertModel._from_config(config, attn_implementation="eager").eval()(ids).last_hidden_state


def change(**keys):
    return (outputs(**keys) - outputs()).abs().max().item()


sliding = {"rope_type": "default", "rope_theta": 10000.0}
older = change(rope_scaling={"type": "linear", "factor": 4.0})
newer = change(rope_scaling={"rope_type": "linear", "factor": 4.0})
inside = change(
    rope_parameters={
        "full_attention": {"type": "linear", "factor": 4.0, "rope_theta": 160000.0},
        "sliding_attention": sliding,
    }
)
print(f"changes of the output: rope_scaling with type {older}, with rope_type {newer:.4f};")
print(f"rope_parameters with type {inside:.4f}")
assert older == 0 and newer > 1e-3 and inside > 1e-3
END
