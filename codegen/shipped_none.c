/* shipped_none.c: no compiled pieces come with a program that links this library, unless it has some itself.
 */
#include <stddef.h>

extern const char shipped_pieces[];
extern const size_t shipped_pieces_bytes;
const char shipped_pieces[1] = "";
const size_t shipped_pieces_bytes = 0;
