#!/usr/bin/env bash
# Compiles both models of this folder, asks questions and fills masks; prints what expected.txt says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bertc=${BERTC:-$here/../../build/release/bertc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bertc" build "$here/qa" -o "$out/qa" --quiet
"$bertc" build "$here/fill-mask" -o "$out/fill" --quiet
context="The capital of Norway is Oslo. People in Norway speak Norwegian."
{
	for question in "What is the capital of Norway?" "Which country has the capital Oslo?" \
		"What do people in Norway speak?"; do
		printf '%s\t%s\n' "$question" "$context" | "$out/qa" | cut -f 1,2,4
	done
	"$out/fill" "The capital of France is [MASK]." | head -n 1 | cut -f 1
	"$out/fill" "People in [MASK] speak Greek." | head -n 1 | cut -f 1
} | tee "$out/got.txt"
diff "$here/expected.txt" "$out/got.txt"
