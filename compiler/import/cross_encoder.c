/* cross_encoder.c: the scores of a CrossEncoder of sentence-transformers. It puts an activation on the scores
 * of a classifier, whatever problem_type says. The first of these names it: activation_fn of
 * config_sentence_transformers.json; sentence_transformers.activation_fn of config.json;
 * sbert_ce_default_activation_function there. Else it is sigmoid for one label, and identity for more. */
#include <string.h>
#include "sbert.h"

/* Classes of torch.nn, and the words of activation.c for what their constructors make without arguments. */
static const struct {
	const char *torch, *word;
} activations[] = {
	{"Identity", "identity"},
	{"Tanh", "tanh"},
	{"ReLU", "relu"},
	{"GELU", "gelu"},
	{"SiLU", "silu"},
	{"Sigmoid", "sigmoid"},
	{"LeakyReLU", "leaky_relu"},
	{"ELU", "elu"},
	{"CELU", "elu"},
	{"SELU", "selu"},
	{"Softsign", "softsign"},
	{"Hardtanh", "hardtanh"},
	{"ReLU6", "relu6"},
	{"Hardsigmoid", "hardsigmoid"},
	{"Hardswish", "hardswish"},
	{"Mish", "mish"},
	{"Tanhshrink", "tanhshrink"},
	{"Softmax", "softmax"},
	{"Softmin", "softmin"},
};

const char *sbert_torch_activation(const char *path)
{
	for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
		if (strcmp(sbert_last_part(path), activations[i].torch) == 0)
			return activations[i].word;
	return NULL;
}

static const char old_key[] = "sbert_ce_default_activation_function", object_key[] = "sentence_transformers";

bool hf_is_cross_encoder(const HfReader *r)
{
	const json_t *old = json_object_get(r->config, old_key);
	return (old && !json_is_null(old))
		|| json_object_get(json_object_get(r->config, object_key), "activation_fn");
}

/* A path that is not of torch counts as none. */
static const char *trusted(const HfReader *r, const char *file, const char *key, const char *path)
{
	if (!path || strncmp(path, "torch.", strlen("torch.")) == 0)
		return path;
	diag_warn(r->diag, 0,
		"%s: %s \"%.80s\" is not a class of torch, and is ignored, as in sentence-transformers", file, key,
		path);
	return NULL;
}

/* *from: the key and the file. */
static bool find_path(const HfReader *r, const char **path, const char **from)
{
	const json_t *object = json_object_get(r->config, object_key);
	*path = trusted(r, "config_sentence_transformers.json", "activation_fn", r->sbert->activation);
	*from = "activation_fn of config_sentence_transformers.json";
	if (*path)
		return true;
	if (object && json_object_get(object, "activation_fn")) {
		*from = "sentence_transformers.activation_fn of config.json";
		if (!json_member_text(object, "activation_fn", path, r->config_path, r->diag))
			return false;
	} else {
		*from = "sbert_ce_default_activation_function of config.json";
		if (!json_member_text(r->config, old_key, path, r->config_path, r->diag))
			return false;
	}
	*path = trusted(r, r->config_path, "the activation", *path);
	return true;
}

bool hf_read_activation(const HfReader *r, HeadDesc *head)
{
	const char *path, *from, *word = head->nlabels == 1 ? "sigmoid" : "identity";
	if (!find_path(r, &path, &from))
		return false;
	if (path)
		word = sbert_torch_activation(path);
	if (!word)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->config_path, 0,
			"the activation \"%.80s\" of a CrossEncoder is not supported", path);
	Problem problem = PROBLEM_REGRESSION;
	if (strcmp(word, "sigmoid") == 0)
		problem = PROBLEM_MULTI;
	else if (strcmp(word, "softmax") == 0 && head->nlabels > 1)
		problem = PROBLEM_SINGLE;
	else if (strcmp(word, "identity") != 0)
		head->activation = word;
	head->problem = problem_names[problem];
	if (path)
		diag_decide(r->diag, "scores", "%s, from %s", word, from);
	else
		diag_decide(r->diag, "scores", "%s, because there %s and no file names an activation", word,
			head->nlabels == 1 ? "is one label" : "are several labels");
	return true;
}
