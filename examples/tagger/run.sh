#!/usr/bin/env bash
# Compiles the disease tagger in this folder and prints the spans it finds, with byte offsets, as expected.txt
# says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bertc=${BERTC:-$here/../../build/release/bertc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bertc" build "$here/model" -o "$out/tagger" --quiet
"$out/tagger" <"$here/sentences.txt" |
	awk -F'\t' -v OFS='\t' 'NF { print $1, $2, $3, $5; next } { print }' | tee "$out/got.txt"
diff "$here/expected.txt" "$out/got.txt"
