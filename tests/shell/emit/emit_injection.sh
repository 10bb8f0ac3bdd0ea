# Labels, origins and metadata of a model may be any text. They stay text in the emitted C. (The verifier
# restricts the names of heads and outputs.)
. "$SOURCE/tests/shell/emit_common.inc"
# a line that ends in @@ goes on in the next
sed -e ':again' -e '/@@$/{N;s/@@\n//;b again' -e '}' >evil.bir <<'BIR'
module @evil max_tokens 8
meta "note" "*/ #error meta ??/ \" \\ %s %n"
meta "quote\"; system(\"x\"); //" "\n#error newline"
head @h classify single output=out labels=["a\", system(\"touch injected\"), \"", "*/ #error label", @@
"??/\n#error newline", "%s%n%p", "back\\", "\\\"", "{$(touch injected)}", "tab\tend"]
graph @main(%ids: i32[S]) level=graph {
  %w = const rand(1) : f32[9,4]
  %o = const rand(2) : f32[8,4]
  %x = embed %w, %ids : f32[S,4]  # origin */ #error origin ??/
  %p = pool %x {mode=mean} : f32[4]  # \
  %y = linear %p, %o : f32[8]  # "; #error
  return out=%y
}
BIR
"$BERTC" build evil.bir --emit=c --name=evil -o evil.c
for cc in gcc clang-19; do
	command -v $cc >/dev/null || { echo "no $cc: skipped this part"; continue; }
	$cc -std=c17 -Wall -Wextra -Wpedantic -Werror -O1 -DEVIL_MAIN evil.c -o program -lm -pthread
	./program --ids --json <<<"1 2 3" >out.json
	[ ! -e injected ] || fail "a label ran as code"
	cat >labels.c <<'C'
#include "evil.h"
#include <stdio.h>
#include <string.h>
int main(void)
{
	static const char *const want[] = {"a\", system(\"touch injected\"), \"", "*/ #error label",
		"?\?/\n#error newline", "%s%n%p", "back\\", "\\\"",
		"{$(touch injected)}", "tab\tend"};
	for (int i = 0; i < 8; i++)
		if (strcmp(want[i], evil_label(i)) != 0)
			return printf("label %d is %s\n", i, evil_label(i)), 1;
	return evil_label(8) != NULL || strcmp(evil_output(0), "out") != 0;
}
C
	$cc -std=c17 -Wall -Wextra -Werror labels.c evil.c -o labels -lm -pthread
	./labels
done
python3 - <<'PY' 2>/dev/null || [ $? -eq 127 ] || fail "--json is not JSON"
import json
record = json.loads(open("out.json").read())
assert len(record["scores"]) == 8, record
PY

# names of C functions and files
for name in 'a;b' '1st' 'int' 'a b' 'x*/' '' 'class' 'printf' "$(printf 'n%.0s' {1..100})"; do
	mkdir -p result
	expect 2 "$BERTC" build evil.bir --emit=c --name="$name" -o result/x.c
	says --name
	only ""
done
"$BERTC" build evil.bir --cpu=baseline -o 'odd name; $(touch injected) 2nd'
./'odd name; $(touch injected) 2nd' --ids <<<"1 2" >/dev/null
"$BERTC" build evil.bir --cpu=baseline -o int && ./int --ids <<<"1 2" >/dev/null
"$BERTC" build evil.bir --cpu=baseline -o time && ./time --ids <<<"1 2" >/dev/null
[ ! -e injected ] || fail "a file name ran as code"
