#!/usr/bin/env bash
# Emits a shared library and calls it from Python through ctypes (nothing but the standard library).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bertc=${BERTC:-$here/../../build/release/bertc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
"$bertc" build "$here/../sentiment/model" --emit=shared --name=sentiment -o "$out/libsentiment.so" --quiet
python3 "$here/classify.py" "$out/libsentiment.so" "a gripping, beautifully shot film" "the jokes fall flat" \
	| tee "$out/got.txt"
diff "$here/expected.txt" "$out/got.txt"
