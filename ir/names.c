/* names.c: names as written in .bir. */
#include <string.h>
#include "ir.h"

bool name_is_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	if (!name || !*name || !strchr(letters, *name))
		return false;
	size_t bytes = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-");
	return name[bytes] == 0 && bytes <= 255;
}

char *value_print(const Value *value, char text[264])
{
	if (value->name)
		snprintf(text, 264, "%%%s", value->name);
	else
		snprintf(text, 264, "%%%u", value->id);
	return text;
}
