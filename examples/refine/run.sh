#!/usr/bin/env bash
# Drops two of six layers of a sentiment classifier, trains what is left on the CPU, compiles it again and
# scores all three. Prints what expected.txt says; the figures go to standard error.
#   FULL=1 ./run.sh [MODEL_DIR SST2_DIR]     trains for minutes, which is why the tests do it under --full
# only
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bertc=${BERTC:-$here/../../build/release/bertc}
shared=${SHARED:-$here/../../../shared}
model=${1:-$shared/models/minilm-sst2}; data=${2:-$shared/data/sst2}; python=${PYTHON:-python3}
[ -f "$model/config.json" ] && [ -f "$data/train.tsv" ] ||
	{ echo "no model in $model or no data in $data"; exit 77; }
"$python" -c 'import torch, transformers' 2>/dev/null ||
	{ echo "no Python with torch and transformers"; exit 77; }
[ -n "${FULL:-}" ] || { echo "trains for minutes; set FULL=1"; exit 77; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
accuracy() { "$bertc" eval "$1" --data "$data/${2:-dev}.tsv" --quiet |
	awk '$2 == "accuracy" { print $3; exit }'; }

"$bertc" build "$model" --passes='drop-layers{strategy=odd-alternate keep=4}' \
	--emit=checkpoint -o "$out/four" --quiet
"$python" "$here/refine.py" "$model" "$out/four" "$data/train.tsv" "$out/refined"
whole=$(accuracy "$model"); dropped=$(accuracy "$out/four"); refined=$(accuracy "$out/refined")
echo "accuracy on dev.tsv: $whole whole, $dropped with four of six layers, $refined refined" >&2
echo "accuracy on test.tsv: $(accuracy "$model" test) whole, $(accuracy "$out/four" \
	test) with four of six layers, $(accuracy "$out/refined" test) refined" >&2
says() { awk -v a="$2" -v whole="$whole" -v name="$1" \
	'BEGIN {
		share = a >= 0.98 * whole ? "at least" : "less than"
		print name ": " share " 98 % of the accuracy of the whole model"
	}'; }
{ says dropped "$dropped"; says refined "$refined"; } | tee "$out/got.txt"
diff "$here/expected.txt" "$out/got.txt"
