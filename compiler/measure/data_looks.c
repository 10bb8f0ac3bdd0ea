/* data_looks.c: recognises the format of a data file by its first lines. */
#include "data_looks.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* True if the first line is a JSON object or array, or opens one. */
bool looks_json(const char *text)
{
	enum { LINE_MAX = 1 << 20 };
	text += strspn(text, " \t\r\n");
	size_t bytes = strcspn(text, "\n");
	while (bytes > 0 && strchr(" \t\r", text[bytes - 1]))
		bytes--;
	if ((*text != '{' && *text != '[') || bytes > LINE_MAX)
		return false;
	if (bytes == 1)
		return true;
	json_t *json = json_loadb(text, bytes, 0, NULL);
	json_decref(json);
	return json != NULL;
}

/* True if the first non-blank lines are words with BIO tags. */
bool looks_tagged(const char *text)
{
	int tagged = 0;
	for (int i = 0; i < 8 && *text; i++) {
		const size_t length = strcspn(text, "\r\n");
		size_t last = length;
		while (last > 0 && text[last - 1] != '\t' && text[last - 1] != ' ')
			last--;
		const char *tag = text + last;
		const size_t bytes = length - last;
		if (length > 0 && last == 0)
			return false;
		if (length > 0 && !(bytes == 1 && *tag == 'O')
			&& !(bytes > 2 && (*tag == 'B' || *tag == 'I') && tag[1] == '-'))
			return false;
		tagged += length > 0;
		text += length + strspn(text + length, "\r");
		text += *text == '\n';
	}
	return tagged > 0;
}

enum { LOOK_LINES = 64 };

/* True for CoNLL-U: after lines that begin with #, ten columns separated by tabs, the first a number. */
bool looks_conllu(const char *text)
{
	while (*text == '#' || *text == '\n' || *text == '\r')
		text += strcspn(text, "\n") + (strchr(text, '\n') != NULL);
	int tabs = 0;
	const size_t digits = strspn(text, "0123456789");
	for (const char *at = text; *at && *at != '\n'; at++)
		tabs += *at == '\t';
	return tabs == 9 && digits > 0;
}

static int count_spaces(const char *text, size_t bytes)
{
	int spaces = 0;
	for (size_t i = 0; i < bytes; i++)
		spaces += text[i] == ' ';
	return spaces;
}

/* True for words with any tags: at least two columns, no space in the first, and a blank line between two
 * texts. said: the caller knows that the file holds tags; a blank line is not required, and spaces may
 * separate the columns. All lines must then have the same number of columns, which the lines of a plain text
 * rarely have. */
bool looks_worded(const char *text, bool said)
{
	static const char start[] = "-DOCSTART-";
	bool parted = said, blank = false;
	int between = 0;
	for (int i = 0; i < LOOK_LINES && *text; i++) {
		const size_t length = strcspn(text, "\r\n"), word = strcspn(text, "\t \r\n");
		const bool spaces = said && text[word] == ' ' && !memchr(text, '\t', length);
		if (length > 0 && (word == 0 || (text[word] != '\t' && !spaces)))
			return false;
		if (length > 0 && spaces && strncmp(text, start, sizeof start - 1) != 0) {
			const int own = count_spaces(text, length);
			if (between && own != between)
				return false;
			between = own;
		}
		parted = parted || (blank && length > 0);
		blank = i > 0 && length == 0;
		text += length + strspn(text + length, "\r");
		text += *text == '\n';
	}
	return parted;
}
