#!/usr/bin/env bash
# Every pass accepts ranges in lists of layers and of their parts. A number that the model does not have is an
# error with the valid range. drop-layers reports the removed layers.
set -u
model=$SOURCE/examples/sentiment/model # 3 layers of 12 heads and 768 neurons, 384 wide
fail() { echo "FAILED: $*"; exit 1; }
mkdir range list
build() { "$BERTC" build "$model" --emit=bir -o "$1/m.bir" "--passes=$2" 2>err || { cat err; fail "$2"; }; }
same() { # PIPELINE PIPELINE
	rm -f {range,list}/*
	build range "$1"
	build list "$2"
	diff -r range list || fail "$1 is not $2"
}
refuse() { # TEXT PIPELINE
	"$BERTC" build "$model" -o none "--passes=$2" 2>err; local got=$?
	[ $got -eq 2 ] || { cat err; fail "$2: exit $got, expected 2"; }
	grep -qF -- "$1" err || { cat err; fail "$2: the message lacks: $1"; }
	[ ! -e none ] || fail "$2: the refused build left a result"
}
same 'hard-attention{k=4 layers=1-2}' 'hard-attention{k=4 layers=1,2}'
same 'drop-layers{layers=1-2}' 'drop-layers{layers=2,1}'
same 'prune-tokens{layer=0-1 keep=0.8,0.5}' 'prune-tokens{layer=0,1 keep=0.8,0.5}'
same 'normalize-embeddings{method=unit layers=0-1}' 'normalize-embeddings{method=unit layers=0,1}'
same 'prune-heads{heads=0.2-3,1-2.0}' 'prune-heads{heads=0.2,0.3,1.0,2.0}'
same 'prune-ffn{neurons=0-2.0-1}' 'prune-ffn{neurons=0.0,0.1,1.0,1.1,2.0,2.1}'
same 'ablate-neurons{neurons=1-2.5}' 'ablate-neurons{neurons=1.5,2.5}'
same 'prune-blocks{blocks=0.ffn,1-2.attention}' 'prune-blocks{blocks=0.ffn,1.attention,2.attention}'

has="the model has 3: 0-2; expected all, auto or layers as in 0,2,4-7"
refuse "hard-attention: layers=1-3: there is no layer 3; $has" \
	'hard-attention{k=4 layers=1-3}'
refuse "early-exit: layers=0-9: there is no layer 3" 'early-exit{layers=0-9 entropy=0}'
refuse '"2-1" runs backwards' 'drop-layers{layers=2-1}'
refuse "layer 1 is named twice" 'drop-layers{layers=0-1,1}'
refuse "there is no layer 3" 'drop-layers{layers=0-2147483646}'
refuse "a list has no spaces" 'drop-layers{layers=0, 1}'
refuse "a list has no spaces" 'drop-layers{layers=0 - 1}'
refuse "there is no layer 1; the model has 2: 0,2" 'drop-layers{layers=0,2},drop-layers{layers=0-2}'

refuse "drop-layers: keep=99: the model has 3 layers; give at most 3" 'drop-layers{strategy=top keep=99}'
refuse "prune-blocks: keep=7: the model has 6 blocks; give at most 6" 'prune-blocks{keep=7}'
refuse "prune-heads: keep=13: a layer has at most 12 heads; give at most 12" 'prune-heads{keep=13}'
refuse "prune-ffn: keep=9999: a layer has at most" 'prune-ffn{keep=9999}'
refuse "prune-vocab: keep=9999999: the word table has" 'prune-vocab{keep=9999999}'
refuse "factorize-embeddings: rank=9999: the word table has" 'factorize-embeddings{rank=9999}'
refuse "hard-attention: k=9999: a text has at most" 'hard-attention{k=9999}'
refuse "prune-tokens: keep=9999: a text has at most" 'prune-tokens{layer=1 keep=9999}'

# of three layers the paper drops its {3} and {1,3} (odd) or {2} (even); bertc counts from 0
dropped() { # PIPELINE LAYERS
	build range "$1"
	grep -qE "note: ${1%%\{*}.*: drops layers? $2, counted from 0" err ||
		{ cat err; fail "$1 does not drop $2"; }
}
dropped 'drop-layers{strategy=odd-alternate keep=2}' 2
dropped 'drop-layers{strategy=odd-alternate keep=1}' 0,2
dropped 'drop-layers{strategy=even-alternate keep=2}' 1
dropped 'drop-layers{strategy=even keep=1}' 0,2
dropped 'drop-layers{strategy=odd keep=2}' 1
dropped 'drop-layers{strategy=top keep=1}' 1-2
dropped 'drop-layers{layers=0}' 1-2
same 'drop-layers{strategy=odd-alternate keep=2}' 'drop-layers{strategy=even keep=2}'
same 'drop-layers{strategy=even-alternate keep=2}' 'drop-layers{strategy=odd keep=2}'
"$BERTC" build "$model" --quiet --emit=bir -o some.bir "--passes=drop-layers{strategy=top keep=1}" 2>err
[ ! -s err ] || { cat err; fail "--quiet is not quiet"; }
echo "ranges, counts and removed layers are correct"
