#!/usr/bin/env bash
# Compiles the model in this folder into one static program and asks it about three sentences. Prints what
# expected.txt says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bertc=${BERTC:-$here/../../build/release/bertc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bertc" build "$here/model" -o "$out/sentiment" --quiet
"$out/sentiment" <"$here/sentences.txt" | cut -c1-12 | tee "$out/got.txt"
diff "$here/expected.txt" "$out/got.txt"
