/* shipped.c: the output of ship.c as data of bertc; the macro SHIPPED names the file. */
#include <stddef.h>

__asm__(".pushsection .rodata\n"
		"\t.globl shipped_pieces\n"
		"shipped_pieces:\n"
		"\t.incbin \"" SHIPPED "\"\n"
		"shipped_pieces_end:\n"
		"\t.balign 8\n"
		"\t.globl shipped_pieces_bytes\n"
		"shipped_pieces_bytes:\n"
		"\t.quad shipped_pieces_end - shipped_pieces\n"
		"\t.popsection\n");
