# Emitted C compiles without a warning as strict C17 with GCC and Clang, in both forms of weights. The header
# also compiles as C++. The cc command in its head comment works. The result computes the same as the program
# of the built-in compiler.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
strict="-std=c17 -Wall -Wextra -Wpedantic -Werror"
ids='5 9 41 2	7 7 3'

"$BERTC" build tiny.bir --cpu=baseline -o reference
./reference --ids --logits <<<"$ids" >reference.txt
# level, CPU, form of the weights, optimisation; some warnings need the optimiser, which is slow on vector
# kernels
for row in '0 baseline inline 1' '0 native incbin 0' '2 native inline 0' '2 baseline incbin 1'; do
	read -r level cpu form optimise <<<"$row"
	rm -rf result; mkdir result
	"$BERTC" build tiny.bir --emit=c --weights-as=$form -O$level --cpu=$cpu --name=tiny -o result/tiny.c
	if [ $form = incbin ]; then only tiny.c tiny.h tiny.weights; else only tiny.c tiny.h; fi
	for cc in gcc clang-19; do
		command -v $cc >/dev/null || { echo "no $cc: skipped this part"; continue; }
		(cd result && $cc $strict -fsyntax-only tiny.c &&
			$cc $strict -O$optimise -ffp-contract=off -DTINY_MAIN tiny.c -o program -lm -pthread)
		result/program --ids --logits <<<"$ids" >got.txt
		near reference.txt got.txt
	done
	rm -f result/program
done
gcc -std=c17 -c result/tiny.c -Wa,-Iresult -o library.o
! nm -g --defined-only library.o | awk '{ print $3 }' | grep -v '^tiny_' || fail "symbols without the prefix"

# the first line has the command that compiles it
line=$(sed -n '1s,^/\* ,,p' result/tiny.c | sed 's/ *(.*//')
(cd result && eval "${line/#cc/gcc}")
[ "$(result/tiny --ids --logits <<<"$ids" | wc -l)" -eq 1 ] ||
	fail "the program built with the printed cc command prints nothing"

cat >use.c <<'C'
#include "tiny.h"
int main()
{
	return tiny_MAX_TOKENS != TINY_MAX_TOKENS || tiny_LABELS != 3 || tiny_OUTPUTS != 2
		|| tiny_OUTPUT_WIDTH != 3 || tiny_PER_TOKEN != 0;
}
C
cp use.c use.cc
gcc $strict -Iresult use.c -o use && ./use
g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iresult use.cc -o use && ./use
