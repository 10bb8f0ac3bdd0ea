/* unpack.c: decodes the coded weights of a model (unpack.h), once per process, before its first context. */
#include "api.h"
#include "unpack.h"

RT_API void rt_unpack(RtUnpack *u)
{
	UnpackTable tables[UNPACK_TABLES_MAX];
	const double begin = rt_seconds();
	u->status = RT_OK;
	for (int32_t i = 0; i < u->npacked && u->status == RT_OK; i++)
		if (!unpack_constant(&u->packed[i], u->from + u->packed[i].from, u->to + u->packed[i].to, tables))
			u->status = RT_E_WEIGHTS;
	u->seconds = rt_seconds() - begin;
}
