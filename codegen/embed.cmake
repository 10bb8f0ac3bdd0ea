# Writes the C file OUT. It has the bytes of FILES (paths under ROOT) and the function
 # `const char *SYMBOL(const char *name, size_t *bytes)`, which finds a file by name.
if(NOT SYMBOL)
  set(SYMBOL embedded_file)
endif()
set(C "/* made by codegen/embed.cmake */\n#include <stddef.h>\n#include <string.h>\n")
string(APPEND C "const char *${SYMBOL}(const char *name, size_t *bytes);\n")
set(TABLE "")
set(I 0)
foreach(FILE ${FILES})
  file(READ ${ROOT}/${FILE} HEX HEX)
  string(LENGTH "${HEX}" LENGTH)
  math(EXPR BYTES "${LENGTH} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," HEX "${HEX}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" HEX "${HEX}")
  string(APPEND C "static const unsigned char f${I}[] = {\n${HEX}0};\n")
  string(APPEND TABLE "\t{\"${FILE}\", f${I}, ${BYTES}},\n")
  math(EXPR I "${I} + 1")
endforeach()
string(APPEND C "static const struct {
	const char *name;
	const unsigned char *data;
	size_t bytes;
} table[] = {
${TABLE}};
const char *${SYMBOL}(const char *name, size_t *bytes)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(table[i].name, name) == 0) {
			if (bytes)
				*bytes = table[i].bytes;
			return (const char *)table[i].data;
		}
	return NULL;
}
")
file(WRITE ${OUT} "${C}")
