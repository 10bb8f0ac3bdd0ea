/* verified.c: takes figures of verify into a program's --about. verify stores its figures together with a
 * description of the build. A build accepts them, directly from verify or from the file of verify --json,
 * only if its own description is the same. cmd_verify.c does the measuring. */
#include <math.h>
#include <string.h>
#include "compiler/support/files.h"
#include "compiler/support/json_file.h"
#include "compiler/import/import.h"
#include "verified.h"

enum { FIGURES_BYTES_MAX = 1 << 20, OUTPUTS_MAX = 32 };

/* ---- what was built -------------------------------------------------------------------------- */

json_t *verified_build(const json_t *about)
{
	static const char *const keys[] = {"graph_sha256", "passes", "target", "cpu"};
	json_t *build = json_object(), *hash = json_object_get(json_object_get(about, "model"), "model_sha256");
	if (hash)
		json_object_set(build, "model_sha256", hash);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		json_object_set(build, keys[i], json_object_get(about, keys[i]));
	return build;
}

/* The CPU may differ: the figures name theirs, and a program for another machine is verified on this one. */
static bool same_build(const json_t *measured, const json_t *now, const char *path, Diag *diag)
{
	static const struct {
		const char *key, *what, *way_out;
	} rows[] = {
		{"model_sha256", "another checkpoint", "run `bertc verify` on this one"},
		{"graph_sha256", "another graph",
			"give verify and build the same --task, --outputs, --max-tokens and configuration"},
		{"passes", "other passes", "give verify and build the same --passes, -O and --weights"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *then = NULL, *here = json_string_value(json_object_get(now, rows[i].key));
		if (!json_member_text(measured, rows[i].key, &then, path, diag))
			return false;
		if (strcmp(then ? then : "", here ? here : "") != 0)
			return diag_error_in(diag, EXIT_INPUT, path, 0,
				"has the figures of %s: %s is %.256s there, %.256s here; %s", rows[i].what, rows[i].key,
				then ? then : "missing", here ? here : "missing", rows[i].way_out);
	}
	return true;
}

/* ---- the figures ----------------------------------------------------------------------------- */

json_t *verified_real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static bool take_text(json_t *to, const json_t *from, const char *key, const char *path, Diag *diag)
{
	const char *text = NULL;
	if (!json_member_text(from, key, &text, path, diag))
		return false;
	if (!text || !text_is_clean(text) || strchr(text, '/'))
		return diag_error_in(diag, EXIT_INPUT, path, 0,
			"%s is not a plain name; expected the output of `bertc verify --json`", key);
	return json_object_set_new(to, key, json_string(text)) == 0;
}

static bool take_count(json_t *to, const json_t *from, const char *key, const char *path, Diag *diag)
{
	int64_t count = -1;
	if (!json_member_int(from, key, 0, INT64_MAX, &count, path, diag))
		return false;
	if (count < 0)
		return diag_error_in(
			diag, EXIT_INPUT, path, 0, "%s is missing; expected the output of `bertc verify --json`", key);
	return json_object_set_new(to, key, json_integer(count)) == 0;
}

/* null is a valid figure: it stands for NaN or infinity. */
static bool take_real(json_t *to, const json_t *from, const char *key, const char *path, Diag *diag)
{
	double x = NAN;
	return json_member_real(from, key, &x, path, diag) && json_object_set_new(to, key, verified_real(x)) == 0;
}

static bool take_output(json_t *outputs, const json_t *from, const char *path, Diag *diag)
{
	if (!json_is_object(from))
		return diag_error_in(
			diag, EXIT_INPUT, path, 0, "outputs holds %s, expected objects", json_kind(from));
	json_t *to = json_object();
	json_array_append_new(outputs, to);
	return take_text(to, from, "output", path, diag) && take_real(to, from, "max_abs", path, diag)
		&& take_real(to, from, "largest", path, diag) && take_real(to, from, "cosine", path, diag)
		&& (!json_object_get(from, "top1")
			|| (take_count(to, from, "top1", path, diag) && take_count(to, from, "top1_of", path, diag)));
}

/* Copies known figures only: the file is untrusted. */
static bool take_figures(json_t *to, const json_t *from, const char *path, Diag *diag)
{
	const json_t *outputs = json_object_get(from, "outputs");
	json_t *taken = json_array();
	bool good = take_count(to, from, "inputs", path, diag) && take_count(to, from, "tokens", path, diag)
		&& (json_object_get(from, "data") ? take_text(to, from, "data", path, diag)
										  : take_count(to, from, "seed", path, diag));
	json_object_set_new(to, "outputs", taken);
	if (!json_is_array(outputs) || json_array_size(outputs) > OUTPUTS_MAX)
		return diag_error_in(diag, EXIT_INPUT, path, 0,
			"outputs is not an array of at most %d; expected the output of `bertc verify --json`",
			OUTPUTS_MAX);
	for (size_t i = 0; good && i < json_array_size(outputs); i++)
		good = take_output(taken, json_array_get(outputs, i), path, diag);
	return good;
}

json_t *verified_read(const char *path, Diag *diag)
{
	json_t *verified = json_read(path, FIGURES_BYTES_MAX, 0, diag);
	if (!verified
		|| (json_is_object(json_object_get(verified, "build"))
			&& json_is_boolean(json_object_get(verified, "pass"))))
		return verified;
	json_decref(verified);
	diag_error_in(
		diag, EXIT_INPUT, path, 0, "has no figures of a build; expected the output of `bertc verify --json`");
	return NULL;
}

bool verified_embed(json_t *about, const json_t *verified, const char *path, Diag *diag)
{
	const json_t *measured = json_object_get(verified, "build");
	json_t *now = verified_build(about), *figures = json_object();
	json_object_set_new(about, "verified", figures);
	bool good = json_is_true(json_object_get(verified, "pass"))
		|| diag_error_in(diag, EXIT_INPUT, path, 0,
			"has figures outside the limits given to verify, which are not stored in a program");
	good = good && same_build(measured, now, path, diag) && take_text(figures, measured, "target", path, diag)
		&& take_text(figures, measured, "cpu", path, diag) && take_figures(figures, verified, path, diag);
	json_decref(now);
	return good;
}
