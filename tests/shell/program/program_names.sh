# --name equal to a file name of the runtime: the emitted C, the library and the program must still compile.
. "$SOURCE/tests/shell/emit_common.inc"
tiny tiny
cc=$(command -v cc || command -v gcc || command -v clang-19) || { echo "no C compiler"; exit 77; }
for name in program api text team task cpu window spans answer json lines report opt model tokenizer linear \
	attention kernel; do
	"$BERTC" build tiny.bir --emit=c --name=$name -o $name.c || fail "--name=$name is refused"
	upper=$(tr a-z A-Z <<<"$name")
	$cc -std=c17 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -D${upper}_MAIN $name.c ||
		fail "--name=$name does not compile"
done
status=0
"$BERTC" build tiny.bir --emit=c --name=rt_x -o x.c 2>/dev/null || status=$?
[ $status -eq 2 ] || fail "--name=rt_x: exit $status, expected 2"
