/* families/summary.c: the keys summary_* of config.json: the row that a head reads, as SequenceSummary of
 * transformers computes it. XLNet's classifiers have it, and the multiple choice of ELECTRA and RoFormer. */
#include <string.h>
#include "compiler/support/json_file.h"
#include "families.h"

/* transformers takes the last token for cls_index, too. */
static bool read_kind(ModelDesc *desc, const json_t *config, const char *kind, const char *path, Diag *diag)
{
	static const char *const kinds[][2] = {
		{"last", "last"}, {"first", "first"}, {"mean", "mean"}, {"cls_index", "last"}};
	if (!json_member_text(config, "summary_type", &kind, path, diag))
		return false;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i][0], kind) == 0) {
			description_set_pooling(desc, kinds[i][1]);
			return true;
		}
	return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
		"summary_type \"%.64s\" is not supported; known: last, first, mean, cls_index", kind);
}

bool summary_read(
	ModelDesc *desc, const json_t *config, const char *kind, bool projects, const char *path, Diag *diag)
{
	bool labels = false;
	if (!json_member_flag(config, "summary_use_proj", &projects, path, diag)
		|| !json_member_flag(config, "summary_proj_to_labels", &labels, path, diag))
		return false;
	if (projects && labels)
		return diag_error_in(diag, EXIT_UNSUPPORTED, path, 0,
			"summary_proj_to_labels is true, expected false: the last linear reads rows of the hidden "
			"size, not of labels");
	desc->trait[TRAIT_BARE_HEAD] = !projects;
	return read_kind(desc, config, kind, path, diag);
}

bool summary_read_choice(
	ModelDesc *desc, const json_t *config, const char *kind, bool projects, const char *path, Diag *diag)
{
	if (desc->nheads == 1 && strcmp(desc->head[0].task, task_names[TASK_CHOICE]) == 0)
		return summary_read(desc, config, kind, projects, path, diag);
	desc->head_activation = desc->family->head_activation.fallback;
	return true;
}
