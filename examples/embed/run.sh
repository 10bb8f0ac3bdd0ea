#!/usr/bin/env bash
# Builds an embedder from the encoder of the sentiment example (--task embed: the normalised mean of the last
# hidden state) and compares sentences.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bertc=${BERTC:-$here/../../build/release/bertc}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bertc" build "$here/../sentiment/model" --task embed -o "$out/embed" --quiet
"$out/embed" <"$here/sentences.txt" | awk '
	{ gsub(/[][]/, ""); n = split($0, v, ","); for (i = 1; i <= n; i++) m[NR, i] = v[i] }
	END {
		for (a = 1; a <= NR; a++) {
			line = ""
			for (b = 1; b <= NR; b++) {
				s = 0
				for (i = 1; i <= n; i++) s += m[a, i] * m[b, i]
				line = line sprintf("%6.2f", s)
			}
			print line
		}
	}' | tee "$out/got.txt"
diff "$here/expected.txt" "$out/got.txt"
