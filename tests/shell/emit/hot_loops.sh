# The loops over K of the linear kernels keep their tile in registers: the compiled loop has the
# multiplications of the largest tile, possibly unrolled, and does not access the stack. (Two more pointers in
# such a loop caused up to 11 reloads per iteration.) Loops with one multiplication are not loops over K.
. "$SOURCE/tests/shell/emit_common.inc"
command -v llvm-objdump-19 >/dev/null || { echo "needs llvm-objdump-19"; exit 77; }
command -v python3 >/dev/null || { echo "needs python3"; exit 77; }
# linears of one depth: less to compile than a whole model
cat >hot.bir <<'BIR'
module @hot max_tokens 64
head @vector embed single output=row
graph @main(%ids: i32[S], %types: i32[S]) level=graph {
  %words = const rand(1) : f32[60,384]
  %w = const rand(2) : f16[384,384]
  %c = const rand(3) : f16[2,384]
  %e = embed %words, %ids : f32[S,384]
  %h = linear %e, %w : f32[S,384]
  %y = linear %h, %c : f32[S,2]
  %row = pool %y {mode=max} : f32[2]
  return row=%row
}
BIR
model=hot.bir

# TARGET CPU RECIPE 'FUNCTION TILES LARGEST'..: kernels for 1 to TILES rows; the largest has LARGEST
# multiplications (or a multiple). In an int8 or bf16 program the classifier, with few outputs, is in f16. For
# a sparse kernel, FUNCTION is a pattern of its pieces; each has one loop, over two words of two or four
# outputs per iteration.
check() {
	local target=$1 cpu=$2 recipe=$3 pattern; shift 3
	"$BERTC" build "$model" --emit=obj --target=$target --cpu=$cpu $recipe ${static:+"$static"} --quiet \
		-o hot.o
	for expected; do
		read -r function tiles largest <<<"$expected"
		case $function in *_piece*) pattern=$function ;; *) pattern="${function}__[a-z0-9]*_k384" ;; esac
		python3 "$SOURCE/tests/tools/hot_loops.py" hot.o "$pattern" >loops.txt
		awk -v tiles=$tiles -v largest=$largest '
			$4 == 1 { next }
			{ count++ }
			$5 > 0 { print "on the stack: " $0; bad = 1 }
			$4 > 0 && $4 % largest == 0 { full = 1 }
			END { if (count < tiles) { print count + 0 " loops, expected " tiles; bad = 1 }
				if (!full) { print "no loop of " largest " multiplications"; bad = 1 }
				exit bad }' loops.txt ||
			{ cat loops.txt; fail "$target $cpu $recipe: $function"; }
		echo "$cpu $recipe $function: $(wc -l <loops.txt) loops"
	done
}

check x86_64-linux-gnu x86-64-v3 --weights=f32          'linear_f32 6 12'
check x86_64-linux-gnu x86-64-v3 --passes=quantize-int8 'linear_i8 4 8' 'linear_f16 6 12'
check x86_64-linux-gnu x86-64-v3 --compute=bf16         'linear_dotbf16 5 20'
check x86_64-linux-gnu alderlake --passes=quantize-int8 'linear_i8 6 12'
check x86_64-linux-gnu skylake-avx512 --passes=quantize-int8 'linear_i8 8 16'
check x86_64-linux-gnu znver4    --weights=f32          'linear_f32 12 24'
check x86_64-linux-gnu znver4    --passes=quantize-int8 'linear_i8 12 24' 'linear_f16 12 24'
check x86_64-linux-gnu znver4    --compute=bf16         'linear_dotbf16 12 24'
# sparse weights
sparse='--weights=f32 --passes=lower{sparse=always}' sparse_i8='--passes=quantize-int8,lower{sparse=always}'
check x86_64-linux-gnu x86-64-v3 "$sparse"    'linear_sparse_avx2_piece[0-9]* 4 16'
check x86_64-linux-gnu x86-64-v3 "$sparse_i8" 'linear_i8_sparse_avx2_piece[0-9]* 4 32'
check x86_64-linux-gnu alderlake "$sparse_i8" 'linear_i8_sparse_avxvnni_piece[0-9]* 4 16'
check x86_64-linux-gnu skylake-avx512 "$sparse_i8" 'linear_i8_sparse_avx512_piece[0-9]* 3 32'
check x86_64-linux-gnu znver4    "$sparse"    'linear_sparse_avx512_piece[0-9]* 5 32'
check x86_64-linux-gnu znver4    "$sparse_i8" 'linear_i8_sparse_avx512vnni_piece[0-9]* 5 32'
check aarch64-linux-gnu cortex-a53  "$sparse"    'linear_sparse_neon_piece[0-9]* 4 32'
check aarch64-linux-gnu cortex-a53  "$sparse_i8" 'linear_i8_sparse_neon_piece[0-9]* 2 32'
check arm-linux-gnueabihf cortex-a15 "$sparse"    'linear_sparse_neon_piece[0-9]* 2 16'
check arm-linux-gnueabihf cortex-a15 "$sparse_i8" 'linear_i8_sparse_neon_piece[0-9]* 1 16'
check aarch64-linux-gnu neoverse-n1 "$sparse_i8" 'linear_i8_sparse_dotprod_piece[0-9]* 4 32'
# tiles that only tuning chooses
for tile in linear_f32_8x48__avx512 linear_f32_6x64__avx512; do
	printf 'bertc-tune 1\nlinear f32 K=* N=* act=* cpu=znver4 -> %s\n' $tile >$tile.txt
done
printf 'bertc-tune 1\nlinear_i8 i8 K=* N=* act=* cpu=znver4 -> linear_i8_8x48__avx512vnni\n' >i8.txt
check x86_64-linux-gnu znver4 "--weights=f32 --tune-cache=linear_f32_8x48__avx512.txt" 'linear_f32_8x48 8 24'
check x86_64-linux-gnu znver4 "--weights=f32 --tune-cache=linear_f32_6x64__avx512.txt" 'linear_f32_6x64 6 24'
check x86_64-linux-gnu znver4 "--passes=quantize-int8 --tune-cache=i8.txt" 'linear_i8_8x48 8 24'
printf 'bertc-tune 1\nlinear f32 K=* N=* act=* cpu=x86-64-v3 -> linear_f32_4x24__avx2\n' >avx2.txt
check x86_64-linux-gnu x86-64-v3 "--weights=f32 --tune-cache=avx2.txt" 'linear_f32_4x24 4 12'
check aarch64-linux-gnu cortex-a53  --weights=f32          'linear_f32_6x16 6 24'
check aarch64-linux-gnu cortex-a53  --passes=quantize-int8 'linear_i8 3 24' 'linear_f16 8 16'
check aarch64-linux-gnu neoverse-n1 --weights=f32          'linear_f32 8 16'
check aarch64-linux-gnu neoverse-n1 --passes=quantize-int8 'linear_i8 5 20' 'linear_f16 8 16'
check aarch64-linux-gnu neoverse-v1 --passes=quantize-int8 'linear_i8 4 16'
check aarch64-linux-gnu neoverse-v1 --compute=bf16         'linear_dotbf16 8 32'
check arm-linux-gnueabihf cortex-a15 --passes=quantize-int8 'linear_i8 2 8'
# the same loops in kernels that write codes; each needs a build, and their source is the same as above
[ -n "${FULL-}" ] || exit 0
model=$SOURCE/examples/sentiment/model
paste <(cut -f1 "$SOURCE/examples/sentiment/sentences.txt") \
	<("$BERTC" run "$model" <"$SOURCE/examples/sentiment/sentences.txt" | cut -f1) >data.tsv
static="--passes=quantize-int8{scheme=static data=$PWD/data.tsv}"
check x86_64-linux-gnu x86-64-v3 '' 'linear_i8_codes 4 8'
check x86_64-linux-gnu alderlake '' 'linear_i8_codes 6 12'
check x86_64-linux-gnu skylake-avx512 '' 'linear_i8_codes 8 16'
check x86_64-linux-gnu znver4 '' 'linear_i8_codes 12 24'
check aarch64-linux-gnu cortex-a53 '' 'linear_i8_codes 3 24'
check aarch64-linux-gnu neoverse-n1 '' 'linear_i8_codes 5 20'
check aarch64-linux-gnu neoverse-v1 '' 'linear_i8_codes 4 16'
check arm-linux-gnueabihf cortex-a15 '' 'linear_i8_codes 2 8'
