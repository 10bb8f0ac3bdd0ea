/* trained.c: reads the meta lines of trained scales (trained.h). */
#include <math.h>
#include <string.h>
#include "trained.h"

bool trained_read(const Module *module, const Meta *meta, Trained *trained)
{
	char weight[NAME_BYTES_MAX + 1], scales[NAME_BYTES_MAX + 1];
	if (strncmp(meta->key, TRAINED_PREFIX, sizeof TRAINED_PREFIX - 1) != 0
		|| sscanf(meta->value, "%lf %lf %1024s %1024s %lf", &trained->step, &trained->zero, weight, scales,
			   &trained->unit)
			!= 5)
		return false;
	trained->weight = module_find_tensor(module, weight);
	trained->scales = trained->weight ? module_find_tensor(module, scales) : NULL;
	if (trained->scales
		&& (trained->weight->type.rank != 2 || !dtype_is_float(trained->weight->type.dtype)
			|| !(trained->unit > 0) || !dtype_is_float(trained->scales->type.dtype)
			|| (type_count(&trained->scales->type) != 1
				&& type_count(&trained->scales->type) != trained->weight->type.dim[0].plus)))
		trained->scales = NULL;
	return isfinite(trained->step) && trained->step >= 0 && trained->zero >= -128 && trained->zero <= 127;
}

bool module_has_scales(const Module *module)
{
	Trained trained;
	for (int32_t i = 0; i < module->nmeta; i++)
		if (trained_read(module, &module->meta[i], &trained))
			return true;
	return false;
}
