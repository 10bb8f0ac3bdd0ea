#!/usr/bin/env bash
# The folders of ir, passes, codegen and compiler do not depend on each other in cycles, by includes or calls.
for tool in python3 nm objdump; do
	command -v $tool >/dev/null || { echo "no $tool"; exit 77; }
done
check() { python3 "$SOURCE/tests/tools/include_cycles.py" "$1" "$2"; }
check "$SOURCE" "$BUILD" || exit 1

# the check itself: it finds a cycle of an include and a call between two folders, and allows a table
low=tree/build/CMakeFiles/bertc_ir.dir/ir high=tree/build/CMakeFiles/bertc_passes.dir/passes
mkdir -p tree/ir tree/passes $low $high
compile() {
	gcc -O1 -fPIC -Itree -c tree/ir/low.c -o $low/low.c.o &&
		gcc -O1 -fPIC -Itree -c tree/passes/high.c -o $high/high.c.o
}
command -v gcc >/dev/null || exit 0
echo 'int low(void);' >tree/ir/low.h
printf '#include "ir/low.h"\nint high(void) { return low(); }\n' >tree/passes/high.c
echo 'int high(void); int (*const table[])(void) = {high}; int low(void) { return 1; }' >tree/ir/low.c
compile && check tree tree/build || { echo "a table of functions counts as a call"; exit 1; }
echo 'int high(void); int low(void) { return high(); }' >tree/ir/low.c
compile && check tree tree/build >calls && { echo "a cycle of calls goes unnoticed"; exit 1; }
grep -q 'ir/low.c uses high of passes/high.c' calls || { cat calls; exit 1; }
echo '#include "passes/high.h"' >tree/ir/low.c
echo >tree/passes/high.h
compile && check tree tree/build >includes && { echo "a cycle of includes goes unnoticed"; exit 1; }
grep -q 'ir/low.c includes passes/high.h' includes
