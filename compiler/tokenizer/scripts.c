/* scripts.c: the pre-tokenizer UnicodeScripts, as a cut: a piece is a run of characters of one script. After
 * its first character it may contain characters that belong to any script. */
#include <string.h>
#include "regex.h"
#undef RT_TABLES_ONLY
#include "runtime/tokenize/cuts.h"

enum { SCRIPTS = 135, CODES = 0x110000, WIDTH = SCRIPTS + 2 }; /* a column for each class, and for the end */

static const struct {
	int32_t first, count;
	uint8_t script; /* from 1 on */
} rows[] = {
#define S(FIRST, COUNT, SCRIPT) {0x##FIRST, COUNT, SCRIPT},
#include "scripts.def"
#undef S
};

/* State 0 is the beginning, state n a piece of script n. Class 0 belongs to any script. */
void scripts_cut(TokenizerImport *import, Cut *cut)
{
	uint8_t *of = mem_alloc(import->mem, CODES);
	uint16_t *table = mem_alloc(import->mem, sizeof *table * (SCRIPTS + 1) * WIDTH);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		memset(of + rows[i].first, rows[i].script, (size_t)rows[i].count);
	for (int32_t state = 0; state <= SCRIPTS; state++)
		for (int32_t column = 0; column < WIDTH; column++) {
			uint16_t *to = &table[state * WIDTH + column];
			*to = state ? CUT_DEAD | CUT_MATCHES : CUT_DEAD;
			if (column <= SCRIPTS && (state ? column == state || column == 0 : column > 0))
				*to = (uint16_t)(state ? state : column);
		}
	*cut = (Cut){.classes = SCRIPTS + 1,
		.ntable = (SCRIPTS + 1) * WIDTH,
		.behavior = CUT_REMOVED,
		.invert = true,
		.of = of,
		.table = table};
}
