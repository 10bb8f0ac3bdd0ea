/* inspect_page.c: writes one self-contained HTML file. Names, labels, texts and C code may come from a
 * hostile model. They are JSON in script elements of type application/json. Every '<' in them is written
 * \u003c, so that they cannot end the element. The script displays them as text, never as markup. The content
 * security policy allows only the one style and the one script with its hashes, and no request to the
 * network. */
#include <string.h>
#include <stdlib.h>
#include <utf8proc.h>
#include "compiler/support/files.h"
#include "inspect.h"

extern const char *inspect_file(const char *name, size_t *bytes); /* made by codegen/embed.cmake */

json_t *page_string(const char *text, size_t bytes)
{
	char *clean = checked_malloc(3 * bytes + 1);
	size_t n = 0;
	for (size_t i = 0; i < bytes;) {
		utf8proc_int32_t point;
		const utf8proc_ssize_t taken = utf8proc_iterate(
			(const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(bytes - i), &point);
		if (taken > 0) {
			memcpy(clean + n, text + i, (size_t)taken);
			n += (size_t)taken;
		} else {
			memcpy(clean + n, "\xef\xbf\xbd", 3);
			n += 3;
		}
		i += taken > 0 ? (size_t)taken : 1;
	}
	json_t *string = json_stringn_nocheck(clean, n);
	free(clean);
	return string;
}

json_t *page_lines(const char *text)
{
	json_t *lines = json_array();
	while (*text) {
		const size_t bytes = strcspn(text, "\n");
		json_array_append_new(lines, page_string(text, bytes));
		text += bytes + (text[bytes] == '\n');
	}
	return lines;
}

/* Writes 'sha256-...' for the content security policy: the hash in base64. */
static void print_hash(FILE *out, const char *text, size_t bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char hex[65];
	unsigned char raw[33] = {0}; /* 32 bytes and one of padding: a multiple of 24 bits */
	sha256_hex((const void *const[]){text}, &bytes, 1, hex);
	for (int i = 0; i < 32; i++)
		raw[i] = (unsigned char)strtoul((const char[]){hex[2 * i], hex[2 * i + 1], '\0'}, NULL, 16);
	fputs("'sha256-", out);
	for (int i = 0; i < 33; i += 3) {
		const unsigned bits = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];
		for (int k = 18; k >= 0; k -= 6)
			putc(i == 30 && k == 0 ? '=' : digits[bits >> k & 63], out);
	}
	putc('\'', out);
}

static void print_html(FILE *out, const char *text)
{
	for (; *text; text++)
		if (strchr("<>&\"'", *text))
			fprintf(out, "&#%d;", *text);
		else
			putc(*text, out);
}

static void print_block(FILE *out, const char *key, const json_t *value)
{
	char *text = json_dumps(
		value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
	fprintf(out, "<script type=\"application/json\" id=\"data-%s\">", key);
	for (const char *c = text; *c; c++)
		if (*c == '<')
			fputs("\\u003c", out);
		else
			putc(*c, out);
	fputs("</script>\n", out);
	free(text);
}

/* In the order in which they run. Panels appear on the page in the order of the calls of panel(). */
static const char *const scripts[] = {"page/page.js", "page/charts.js", "page/ledger.js", "page/layers.js",
	"page/probes.js", "page/ir.js", "page/graph.js"};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

static void print_file(FILE *out, const char *tag, const char *name)
{
	size_t bytes;
	const char *text = inspect_file(name, &bytes);
	fprintf(out, "<%s>", tag);
	fwrite(text, 1, bytes, out);
	fprintf(out, "</%s>\n", tag);
}

static void print_hash_of(FILE *out, const char *name)
{
	size_t bytes;
	const char *text = inspect_file(name, &bytes);
	putc(' ', out);
	print_hash(out, text, bytes);
}

static void print_head(FILE *out, const char *title)
{
	fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
		  "http-equiv=\"Content-Security-Policy\" "
		  "content=\"default-src 'none'; base-uri 'none'; form-action 'none'; style-src",
		out);
	print_hash_of(out, "page/page.css");
	fputs("; script-src", out);
	for (int i = 0; i < SCRIPTS; i++)
		print_hash_of(out, scripts[i]);
	fputs("\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		  "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
		out);
	print_html(out, title);
	fputs("</title>\n", out);
	print_file(out, "style", "page/page.css");
	fputs("</head>\n<body>\n<noscript>This page needs JavaScript, which is switched off. Its script is in "
		  "this file.</noscript>\n",
		out);
}

void page_write(const json_t *panels, const char *title, FILE *out)
{
	const char *key;
	json_t *value;
	print_head(out, title);
	json_object_foreach((json_t *)(uintptr_t)panels, key, value) print_block(out, key, value);
	for (int i = 0; i < SCRIPTS; i++)
		print_file(out, "script", scripts[i]);
	fputs("</body>\n</html>\n", out);
}
