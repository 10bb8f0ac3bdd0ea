/* rotary.c: the angles of rotary positions (Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary
 * Position Embedding"), computed in f32 as torch does, because errors of an angle grow with the place. */
#include <math.h>
#include <string.h>
#include "compiler/support/json_file.h"
#include "family.h"

/* ---- config.json ----------------------------------------------------------------------------- */

/* transformers' `dynamic` changes the angles only beyond the positions of the model, where no text goes. */
static bool read_kind(RotaryDesc *rotary, const json_t *object, const char *path, Diag *diag)
{
	const char *older = "default", *kind = NULL;
	if (!json_member_text(object, "type", &older, path, diag)
		|| !json_member_text(object, "rope_type", &kind, path, diag))
		return false;
	kind = kind ? kind : older;
	if (strcmp(kind, "default") == 0 || strcmp(kind, "dynamic") == 0)
		return true;
	if (strcmp(kind, "linear") != 0)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"rope_type \"%s\" is not supported; known: default, linear, dynamic", kind);
	rotary->factor = 0;
	if (!json_member_real(object, "factor", &rotary->factor, path, diag))
		return false;
	return (rotary->factor >= 1 && isfinite(rotary->factor))
		|| diag_error_in(diag, EXIT_INPUT, path, 0,
			"rope_type \"linear\" has the factor %g, expected a number of at least 1", rotary->factor);
}

bool rotary_read(RotaryDesc *rotary, const json_t *object, const char *key, const char *path, Diag *diag)
{
	double share = 1;
	if (object && !json_is_null(object)) {
		if (!json_is_object(object))
			return diag_error_in(
				diag, EXIT_INPUT, path, 0, "%s has %s, expected an object", key, json_kind(object));
		if (!json_member_real(object, "rope_theta", &rotary->theta, path, diag)
			|| !json_member_real(object, "partial_rotary_factor", &share, path, diag)
			|| !read_kind(rotary, object, path, diag))
			return false;
	}
	if (share != 1)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"%s has the partial_rotary_factor %g, but only whole heads can be rotated", key, share);
	return (rotary->theta > 0 && rotary->theta < 1e30)
		|| diag_error_in(diag, EXIT_INPUT, path, 0,
			"%s: rope_theta is %g, expected a number above 0 and below 1e30", key, rotary->theta);
}

/* transformers takes the angles' size from head_dim, but the heads' from the hidden size. */
bool rotary_head_fits(const ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	const int64_t size = desc->hidden / desc->heads;
	int64_t given = size;
	if (!json_member_int(config, "head_dim", 1, INT32_MAX, &given, path, diag))
		return false;
	return given == size
		|| diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"head_dim is %jd, expected the size of a head, %jd (hidden_size / num_attention_heads)",
			(intmax_t)given, (intmax_t)size);
}

/* As in transformers, a rope_scaling that is not empty replaces rope_parameters. */
bool rotary_read_config(ModelDesc *desc, const json_t *config, const char *path, Diag *diag)
{
	const json_t *scaling = json_object_get(config, "rope_scaling");
	const bool older = scaling && !json_is_null(scaling)
		&& !(json_is_object(scaling) && !json_object_size(scaling));
	const char *key = older ? "rope_scaling" : "rope_parameters";
	desc->rotary = (RotaryDesc){desc->family->rotary, 1};
	return rotary_head_fits(desc, config, path, diag)
		&& json_member_real(config, "rope_theta", &desc->rotary.theta, path, diag)
		&& rotary_read(&desc->rotary, json_object_get(config, key), key, path, diag);
}

/* ---- angles ---------------------------------------------------------------------------------- */

/* 1 / theta^(2i/size) / factor */
static float frequency(const RotaryDesc *rotary, int32_t i, int32_t size)
{
	const float exponent = (float)(2 * i) / (float)size;
	const float power = (float)pow((float)rotary->theta, (double)exponent);
	const float inverse = 1.0f / power;
	return rotary->factor == 1 ? inverse : inverse / (float)rotary->factor;
}

/* [rows,size]: cosines, then sines of the angles of each place. */
static Tensor *angle_table(Builder *b, const RotaryDesc *rotary, int32_t rows, int32_t size)
{
	Tensor *table = tensor_new(b->module, NULL, type_make(DT_F32, 2, dim_number(rows), dim_number(size)));
	float *values = (float *)(uintptr_t)table->data;
	for (int32_t i = 0; i < size / 2; i++) {
		const float turn = frequency(rotary, i, size);
		for (int32_t place = 0; place < rows; place++) {
			const double angle = (double)((float)place * turn);
			float *row = values + (int64_t)place * size;
			row[i] = (float)cos(angle);
			row[size / 2 + i] = (float)sin(angle);
		}
	}
	return table;
}

Value *build_angles(Builder *b, const RotaryDesc *rotary, int32_t size, const char *origin)
{
	const int32_t rows = b->desc->max_tokens;
	if (b->failed || !builder_has_room(b, rows, size, "angles", "give a smaller --max-tokens", origin))
		return NULL;
	Value *places = build_op(b, OP_POSITION_IDS, &b->ids, 1, NULL, origin);
	return build_embed(
		b, graph_const(b->graph, NULL, angle_table(b, rotary, rows, size), origin), places, origin);
}
