/* split_bert.c: the pre-tokenizer BertPreTokenizer: splits words at white space and punctuation. */
#include "tokenizer_import.h"
#include "runtime/tokenize/split_bert.h"

static uint32_t class_of(int32_t code)
{
	if (unicode_is_space(code))
		return RT_SPACE;
	return unicode_is_punctuation(code) ? RT_BERT_PUNCTUATION : RT_OTHER;
}

const Splitter bert_splitter = {
	.name = "bert",
	.type = "BertPreTokenizer",
	.split = split_bert,
	.class_of = class_of,
};
