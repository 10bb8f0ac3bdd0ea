/* json_out.c: writes the program's JSON. Input text may be any bytes; the output is always valid. */
#include "program.h"
#include <math.h>

/* Bytes of the UTF-8 sequence at text, 0 when it is not one (RFC 3629: no overlong forms, no surrogates, up
 * to U+10FFFF). */
RT_FN size_t json_sequence(const unsigned char *text, size_t bytes)
{
	const unsigned char a = text[0];
	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4)
		return 0;
	const size_t length = 2 + (a >= 0xe0) + (a >= 0xf0);
	if (length > bytes)
		return 0;
	/* range of the second byte */
	unsigned char low = 0x80, high = 0xbf;
	switch (a) {
	case 0xe0: low = 0xa0; break;
	case 0xed: high = 0x9f; break;
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break;
	default: break;
	}
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return length;
}

RT_FN void rt_json_string(FILE *out, const char *text, size_t bytes)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + bytes;
	putc('"', out);
	while (at < end) {
		const size_t length = json_sequence(at, (size_t)(end - at));
		if (length == 0)
			fputs("\xef\xbf\xbd", out);
		else if (length > 1)
			fwrite(at, 1, length, out);
		else if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else
			putc(*at, out);
		at += length ? length : 1;
	}
	putc('"', out);
}

RT_FN void rt_json_number(FILE *out, double x)
{
	if (isfinite(x))
		fprintf(out, "%.9g", x);
	else
		fputs("null", out);
}

RT_FN void rt_json_row(FILE *out, const float *row, int32_t n)
{
	putc('[', out);
	for (int32_t i = 0; i < n; i++) {
		if (i)
			fputs(", ", out);
		rt_json_number(out, row[i]);
	}
	putc(']', out);
}

RT_FN void json_newline(FILE *out, int depth) { fprintf(out, "\n%*s", 2 * depth, ""); }

RT_FN void rt_json_indent(FILE *out, const char *json)
{
	int depth = 0, quoted = 0;
	for (const char *at = json; *at; at++) {
		if (quoted) {
			putc(*at, out);
			if (*at == '\\' && at[1])
				putc(*++at, out);
			else if (*at == '"')
				quoted = 0;
			continue;
		}
		if (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
			continue;
		if (*at == '}' || *at == ']')
			json_newline(out, --depth);
		putc(*at, out);
		if (*at == '"')
			quoted = 1;
		else if ((*at == '{' || *at == '[') && (at[1] == '}' || at[1] == ']'))
			putc(*++at, out);
		else if (*at == '{' || *at == '[')
			json_newline(out, ++depth);
		else if (*at == ',')
			json_newline(out, depth);
		else if (*at == ':')
			putc(' ', out);
	}
	putc('\n', out);
}

RT_FN int rt_json_find(const char *json, const char *key, char *value, size_t capacity)
{
	const size_t key_bytes = strlen(key);
	int depth = 0;
	for (const char *at = json; *at; at++) {
		if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		if (*at != '"')
			continue;
		const char *word = ++at;
		while (*at && *at != '"')
			at += *at == '\\' && at[1] ? 2 : 1;
		if (!*at)
			return 0;
		const char *colon = at + 1 + strspn(at + 1, " \n\t\r");
		if (depth != 1 || *colon != ':' || (size_t)(at - word) != key_bytes
			|| memcmp(word, key, key_bytes) != 0)
			continue;
		const char *from = colon + 1 + strspn(colon + 1, " \n\t\r");
		const size_t bytes = *from == '"' ? strcspn(++from, "\"") : strcspn(from, ",} \n\t\r");
		if (bytes >= capacity)
			return 0;
		memcpy(value, from, bytes);
		value[bytes] = '\0';
		return 1;
	}
	return 0;
}
