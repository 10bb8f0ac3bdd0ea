#!/usr/bin/env bash
# Emits a static library and a header, links a C program against them with one cc line, and runs it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bertc=${BERTC:-$here/../../build/release/bertc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cd "$out"
"$bertc" build "$here/../sentiment/model" --emit=lib --name=sentiment -o libsentiment.a --quiet
cc -std=c17 -Wall -Wextra -I. "$here/classify.c" libsentiment.a -o classify -lm -lpthread
./classify "a gripping, beautifully shot film" "the jokes fall flat" | tee got.txt
diff "$here/expected.txt" got.txt
