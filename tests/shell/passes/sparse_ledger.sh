#!/usr/bin/env bash
# Structured and unstructured pruning together, down to three percent of the layers' weights: the ledger's
# parameters and work match the zeros in the checkpoint that the same passes make.
set -u
model=$SOURCE/examples/sentiment/model
fail() { echo "FAILED: $*"; exit 1; }
build() { "$BERTC" build "$model" --quiet --cpu=baseline "$@" 2>err || { cat err; fail "build $*"; }; }
ffn=$(sed -n 's/.*"intermediate_size": *\([0-9]*\).*/\1/p' "$model/config.json")
passes="prune-ffn{keep=$((ffn / 4))},sparsify{sparsity=0.95 structure=1x4}"
build -o both "--passes=$passes,O2,lower{sparse=always}" --ledger=both.json
build -o thin "--passes=prune-ffn{keep=$((ffn / 4))},O2,lower{sparse=never}" --ledger=thin.json
build -o whole --passes=O2 --ledger=whole.json
build --emit=checkpoint -o made "--passes=$passes"
for sparse in never always; do   # the same in int8, with another op
	fused=canonicalize,fold-const,cse,fuse,fold-const,cse,dce
	build -o "int8-$sparse" --ledger="int8-$sparse.json" \
		"--passes=$passes,$fused,quantize-int8,lower{sparse=$sparse},pack-weights,chain-rows,plan-memory"
done
"$BERTC" verify "$model" --quiet --cpu=baseline --passes="$passes,O2,lower{sparse=always}" >/dev/null 2>err ||
	{ cat err; fail verify; }
python3 - "$ffn" <<'EOF' || fail figures
import json, struct, sys
def last(name): return json.load(open(name))["passes"][-1]
def numbers(path):
    data = open(path + "/model.safetensors", "rb").read(); size = struct.unpack("<Q", data[:8])[0]
    for name, t in json.loads(data[8:8 + size]).items():
        if name == "__metadata__" or "encoder.layer" not in name or len(t["shape"]) != 2: continue
        width = {"F32": 4, "F16": 2, "BF16": 2}[t["dtype"]]
        raw = data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]]
        yield t["shape"][0] * t["shape"][1], sum(any(raw[i:i + width]) for i in range(0, len(raw), width))
both, thin, whole = last("both.json"), last("thin.json"), last("whole.json")
dense = sum(n for n, _ in numbers("made")); left = sum(k for _, k in numbers("made"))
config = json.load(open("made/config.json"))
h, layers = config["hidden_size"], config["num_hidden_layers"]
original = layers * (4 * h * h + 2 * h * int(sys.argv[1]))
assert 0.045 <= left / dense <= 0.055 and left / original < 0.035, (left, dense, original)
# stored words: nonzero ones, padded to an even count per band of four outputs
gone = thin["parameters"] - both["parameters"]; stored = dense - gone
print(f"{left} of {original} weights are not zero ({100 * left / original:.1f} %), {stored} stored; "
      f"parameters {whole['parameters']}, {thin['parameters']}, {both['parameters']}; "
      f"MACs {whole['macs_128']}, {thin['macs_128']}, {both['macs_128']}")
assert left <= stored <= 2 * left + 16 * layers * 6 * 64, (left, stored)
assert thin["macs_128"] < whole["macs_128"], (whole, thin, both)
assert both["weight_bytes"] < thin["weight_bytes"], (whole, thin, both)
# one multiplication per weight and row; in the last layer all linears but keys and values have one row
few, all = last("int8-always.json"), last("int8-never.json"); ffn = int(sys.argv[1]) // 4
rows = 128 - 127 / layers * (2 * h * h + 2 * h * ffn) / (4 * h * h + 2 * h * ffn)
for sparse, plain in ((both, thin), (few, all)):
    gone, saved = plain["parameters"] - sparse["parameters"], plain["macs_128"] - sparse["macs_128"]
    assert gone > 0.7 * dense and abs(saved / (rows * gone) - 1) < 0.01, (gone, saved, rows)
EOF
