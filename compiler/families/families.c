/* families.c: finds a family by its model_type. */
#include <string.h>
#include "families.h"

static const Family *const families[] = {
#define FAMILY(NAME, doc) &family_##NAME,
#include "families.def"
#undef FAMILY
};

enum { FAMILY_COUNT = sizeof families / sizeof *families };

const Family *family_find(const char *model_type)
{
	for (int i = 0; i < FAMILY_COUNT; i++)
		if (strcmp(families[i]->model_type, model_type) == 0)
			return families[i];
	return NULL;
}

const char *family_list(MemArena *mem)
{
	const char *list = families[0]->model_type;
	for (int i = 1; i < FAMILY_COUNT; i++)
		list = mem_printf(mem, "%s, %s", list, families[i]->model_type);
	return list;
}
