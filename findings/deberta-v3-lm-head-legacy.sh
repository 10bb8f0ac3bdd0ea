#!/usr/bin/env bash
# transformers 5.24.0, DeBERTa-v3: a masked LM whose config.json does not say "legacy": false gets a new
# random head, although the checkpoint holds a trained one. DebertaV2ForMaskedLM has two heads: the older
# one (cls.predictions) and that of the paper's code (lm_predictions.lm_head). `legacy` chooses, and its
# default is true. config.json files from before this key do not have it, and checkpoints with
# lm_predictions.lm_head then load with a report of missing weights instead of an error. Two loads give two
# different answers. One expects the names in the checkpoint to decide. Fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'END'
import json, pathlib, tempfile
import torch
from transformers import DebertaV2Config, DebertaV2ForMaskedLM
from transformers.utils import logging

logging.set_verbosity_error()
ids = torch.arange(3, 13)[None]


@torch.no_grad()
def logits(model):
    return model.eval()(ids).logits


torch.manual_seed(0)
saved = DebertaV2ForMaskedLM(
    DebertaV2Config(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
        legacy=False,
    )
)
with tempfile.TemporaryDirectory() as folder:
    saved.save_pretrained(folder)
    load = lambda: DebertaV2ForMaskedLM.from_pretrained(folder)
    same = (logits(load()) - logits(saved)).abs().max().item()
    file = pathlib.Path(folder, "config.json")
    config = json.loads(file.read_text())
    del config["legacy"]
    file.write_text(json.dumps(config))
    first, second = logits(load()), logits(load())
other = (first - logits(saved)).abs().max().item()
again = (first - second).abs().max().item()
print(f"with legacy: false the logits differ from the saved model by {same}")
print(f"without the key by {other:.3f}, and two loads from each other by {again:.3f}")
assert same < 1e-6 and other > 0.01 and again > 0.01
END
