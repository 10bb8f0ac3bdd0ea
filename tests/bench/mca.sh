#!/usr/bin/env bash
# mca.sh: analyses the loops over K of the AArch64 linear kernels with llvm-mca, because an emulator cannot be
# timed. Not a test.
#   tests/bench/mca.sh [CPU..]   prints the table of docs/arm-kernels.md
# For the largest tile of each kernel, built from examples/sentiment/model (K = 384): cycles per iteration,
# multiply-adds per cycle, and the share of the cycles that the multiplications alone would take. llvm-mca
# does not model caches and memory.
set -eu
cd "$(dirname "$0")/../.."
BERTC=${BERTC:-build/release/bertc}
object=$(mktemp --suffix=.o); trap 'rm -f "$object"' EXIT
[ $# -gt 0 ] || set -- cortex-a53 cortex-a72 cortex-a76 neoverse-n1 neoverse-v1 neoverse-v2
echo '| CPU | kernel | instructions | multiplications | cycles | multiply-adds a cycle | of peak |'
echo '|---|---|---|---|---|---|---|'
row() { # prints a row of the table for a line of hot_loops.py
	awk -v cpu=$cpu -v core=$core -v each=$each '{
		printf "| %s | %s | %d | %d | ", cpu, core, $3, $4
		printf "%.1f | %.1f | %.0f %% |\n", $6, $4 * each / $6, 100 * $7
	}'
}
for cpu; do
	for recipe in --weights=f32 --weights=f16 --compute=bf16 --passes=quantize-int8; do
		"$BERTC" build examples/sentiment/model --emit=obj --target=aarch64-linux-gnu --cpu=$cpu $recipe \
			--quiet -o "$object"
		case $recipe in *f32) core=linear_f32 ;; *f16) core=linear_f16 ;; *int8) core=linear_i8 ;; *) \
			core=linear_dotbf16 ;; esac
		[ $recipe != --compute=bf16 ] || core=linear_dotbf16
		each=4 # multiply-adds per instruction
		if [ $core = linear_i8 ]; then
			each=8
			case $cpu in cortex-a76 | neoverse-n1) each=16 ;; neoverse-*) each=32 ;; esac
		fi
		python3 tests/tools/hot_loops.py "$object" "${core}__[a-z0-9]*_k384" --mca $cpu | sort -k4,4n |
			tail -1 |
			row
	done
	# sparse weights: each piece has one loop
	for recipe in '--weights=f32 --passes=lower{sparse=always}' \
		'--passes=quantize-int8,lower{sparse=always}'; do
		"$BERTC" build examples/sentiment/model --emit=obj --target=aarch64-linux-gnu --cpu=$cpu $recipe \
			--quiet -o "$object"
		case $cpu$recipe in
		cortex-a53*int8* | cortex-a72*int8*) core=linear_i8_sparse_neon piece=16 each=8 ;;   # no SDOT
		*int8*) core=linear_i8_sparse_dotprod piece=32 each=16 ;;
		*) core=linear_sparse_neon piece=32 each=4 ;;
		esac
		python3 tests/tools/hot_loops.py "$object" "${core}_piece$piece" --mca $cpu |
			row
	done
done
