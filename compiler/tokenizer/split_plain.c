/* split_plain.c: no pre-tokenizer (null), and the end of a Sequence of cuts. */
#include "tokenizer_import.h"
#include "runtime/tokenize/split_plain.h"

static uint32_t class_of(int32_t code) { return unicode_is_space(code) ? RT_SPACE : RT_OTHER; }

const Splitter plain_splitter = {
	.name = "plain",
	.type = "null",
	.split = split_plain,
	.class_of = class_of,
};
