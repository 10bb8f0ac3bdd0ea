/* shipped_none.c: an empty stand-in for shipped.c, for programs that link this library without compiled
 * pieces.
 */
#include <stddef.h>

extern const char shipped_pieces[];
extern const size_t shipped_pieces_bytes;
const char shipped_pieces[1] = "";
const size_t shipped_pieces_bytes = 0;
