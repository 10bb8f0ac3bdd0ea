/* text_sample.h: common code of the tests of the text form: texts, paths of their files, and expectations. */
#ifndef TEXT_SAMPLE_H
#define TEXT_SAMPLE_H
#include "tests/unit/directory.h"
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include "ir/text/text.h"

typedef struct Case {
	const char *text;
	int line;
	const char *message;
} Case;

#define BODY(line) "graph @main(%ids: i32[S]) {\n  " line "\n  return x=%ids\n}\n"

static inline Module *parse(const char *text, Diag *diag)
{
	diag_init(diag, "t.bir");
	return module_parse(text, strlen(text), directory, NULL, diag);
}
#endif
