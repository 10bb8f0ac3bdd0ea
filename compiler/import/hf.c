/* import/hf.c: a Hugging Face directory -> ModelDesc. Reads the heads in config.json (hf_sizes.c reads the
 * rest) and finds the weights, tokenizer and limits beside it. import/sentence_transformers.c reads
 * modules.json of sentence-transformers. This file does not read tensors: the family's builder checks that
 * the checkpoint matches config.json. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "compiler/support/json_file.h"
#include "hf.h"
#include "keys.h"
#include "compiler/families/families.h"
#include "compiler/tokenizer/tokenizer.h"
#include "compiler/support/files.h"
#include "runtime/answers/schemes.h"

/* ---- heads ----------------------------------------------------------------------------------- */

/* The end of the class name in `architectures` tells the head of the checkpoint. */
typedef enum Arch {
	ARCH_NONE,
	ARCH_BARE,
	ARCH_CLASSIFY,
	ARCH_TAG,
	ARCH_QA,
	ARCH_MASK,
	ARCH_CHOICE,
	ARCH_NEXT,
	ARCH_PRETRAINING
} Arch;
static const struct {
	const char *suffix;
	Arch arch;
	const char *task;
} archs[] = {
	{"ForSequenceClassification", ARCH_CLASSIFY, "classify"},
	{"ForTokenClassification", ARCH_TAG, "tag"},
	{"ForQuestionAnswering", ARCH_QA, "qa"},
	{"ForQuestionAnsweringSimple", ARCH_QA, "qa"},
	{"ForMaskedLM", ARCH_MASK, "fill-mask"},
	{"ForMultipleChoice", ARCH_CHOICE, "choice"},
	{"ForNextSentencePrediction", ARCH_NEXT, "classify"},
	{"ForPreTraining", ARCH_PRETRAINING, NULL},
	{"LMHeadModel", ARCH_NONE, NULL},
	{"Model", ARCH_BARE, "embed"},
};

static bool read_arch(HfReader *r, const char **name, Arch *arch, const char **task)
{
	const json_t *list = json_object_get(r->config, "architectures");
	*name = NULL, *arch = ARCH_NONE, *task = NULL;
	if (!list || json_is_null(list))
		return true;
	const json_t *first = json_array_get(list, 0);
	if (!json_is_array(list) || (first && !json_is_string(first)))
		return diag_error_in(
			r->diag, EXIT_INPUT, r->config_path, 0, "architectures is not an array of strings");
	if (!first)
		return true;
	*name = json_string_value(first);
	for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
		size_t length = strlen(*name), suffix = strlen(archs[i].suffix);
		if (length >= suffix && strcmp(*name + length - suffix, archs[i].suffix) == 0) {
			*arch = archs[i].arch;
			*task = archs[i].task;
			return true;
		}
	}
	return true;
}

/* "negative, positive": at most five of them. */
static const char *first_labels(MemArena *mem, const HeadDesc *head)
{
	enum { SHOWN = 5 };
	const char *list = "";
	for (int32_t i = 0; i < head->nlabels && i < SHOWN; i++)
		list = mem_printf(mem, "%s%s%s", list, i ? ", " : "", head->labels[i]);
	return head->nlabels > SHOWN ? mem_printf(mem, "%s, ...", list) : list;
}

static void decide_labels(HfReader *r, const HeadDesc *head, const char *from)
{
	diag_decide(r->diag, "labels", "%d (%s), from %s", head->nlabels, first_labels(r->desc->mem, head), from);
}

/* Labels from id2label, else num_labels names LABEL_i (default 2, as in transformers). */
static bool read_labels(HfReader *r, HeadDesc *head)
{
	const json_t *map = json_object_get(r->config, "id2label");
	int64_t count = -1;
	if (!json_member_int(r->config, "num_labels", 1, LABELS_MAX, &count, r->config_path, r->diag))
		return false;
	if (!map || json_is_null(map)) {
		head->nlabels = count < 0 ? 2 : (int32_t)count;
		head->labels = labels_numbered(r->desc->mem, head->nlabels);
		decide_labels(r, head, count < 0 ? "the default of transformers" : "num_labels of config.json");
		return true;
	}
	size_t size = json_object_size(map);
	if (!json_is_object(map) || size < 1 || size > LABELS_MAX)
		return diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0,
			"id2label is not an object of 1 to %d labels", LABELS_MAX);
	if (count >= 0 && (size_t)count != size)
		return diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0,
			"num_labels is %jd, but id2label has %zu entries", (intmax_t)count, size);
	head->labels = mem_alloc(r->desc->mem, size * sizeof *head->labels);
	for (size_t i = 0; i < size; i++) {
		char key[24];
		snprintf(key, sizeof key, "%zu", i);
		const char *label = json_string_value(json_object_get(map, key));
		if (!label)
			return diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0,
				"id2label has %zu entries, but \"%s\" is %s", size, key,
				json_object_get(map, key) ? "not a string" : "missing; keys are \"0\", \"1\", ...");
		if (!text_is_clean(label))
			return diag_error_in(r->diag, EXIT_INPUT, r->config_path, 0,
				"id2label \"%s\": expected a label of 1 to %d bytes without control characters", key,
				NAME_BYTES_MAX);
		head->labels[i] = mem_string(r->desc->mem, label, strlen(label));
	}
	head->nlabels = (int32_t)size;
	decide_labels(r, head, "id2label of config.json");
	return true;
}

static bool read_problem(HfReader *r, HeadDesc *head)
{
	static const struct {
		const char *hf;
		Problem problem;
		const char *scores;
	} problems[] = {
		{"single_label_classification", PROBLEM_SINGLE, "softmax"},
		{"multi_label_classification", PROBLEM_MULTI, "sigmoid of each label"},
		{"regression", PROBLEM_REGRESSION, "the numbers of the model"},
	};
	const char *single = head->nlabels == 1 ? "sigmoid, because there is one label" : problems[0].scores;
	const char *word = NULL;
	if (!json_member_text(r->config, "problem_type", &word, r->config_path, r->diag))
		return false;
	head->problem = problem_names[PROBLEM_SINGLE]; /* of one label it is a sigmoid */
	if (!word) {
		diag_decide(r->diag, "scores", "%s%s config.json has no problem_type", single,
			head->nlabels == 1 ? " and" : ", because");
		return true;
	}
	for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
		if (strcmp(problems[i].hf, word) == 0) {
			head->problem = problem_names[problems[i].problem];
			diag_decide(r->diag, "scores", "%s, from problem_type of config.json",
				i == 0 ? single : problems[i].scores);
			return true;
		}
	return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->config_path, 0,
		"problem_type \"%s\" is not supported; known: "
		"single_label_classification, multi_label_classification, regression",
		word);
}

static bool add_pair(HfReader *r, const char *name)
{
	const FamilyPair *pair = &r->desc->family->pair;
	const json_t *labels = json_object_get(r->config, "id2label"),
				 *count = json_object_get(r->config, "num_labels");
	HeadDesc *head = description_add_head(r->desc, name, "classify", r->diag);
	if (!head)
		return false;
	head->tensors = pair->tensors;
	head->problem = problem_names[PROBLEM_SINGLE];
	if (pair->relabelled && (labels || count))
		return read_labels(r, head);
	head->nlabels = 2;
	head->labels = (const char **)(uintptr_t)pair->labels;
	return true;
}

/* One label with a probability of its own: tokens below the threshold have no label. */
static bool add_replaced(HfReader *r)
{
	static const char *const labels[] = {"replaced"};
	diag_decide(r->diag, "task", "tag: whether a token was replaced, from architectures of config.json");
	HeadDesc *head = description_add_head(r->desc, NULL, "tag", r->diag);
	if (!head)
		return false;
	head->tensors = r->desc->family->replaced.tensors;
	head->problem = problem_names[PROBLEM_MULTI];
	head->nlabels = 1;
	head->labels = (const char **)labels;
	return true;
}

/* A CrossEncoder with one label makes a number, one with several makes a number for each. */
static bool add_scores(HfReader *r)
{
	HeadDesc *head = description_add_head(r->desc, NULL, task_names[TASK_CLASSIFY], r->diag);
	if (!head || !read_labels(r, head))
		return false;
	if (head->nlabels == 1)
		head->name = head->task = task_names[TASK_RANK];
	diag_decide(r->diag, "task", "%s, because the directory is of a CrossEncoder", head->task);
	return hf_read_activation(r, head);
}

/* Adds the default head of a task for this checkpoint. */
static bool add_head(HfReader *r, const char *task)
{
	HeadDesc *head = description_add_head(r->desc, NULL, task, r->diag);
	if (!head)
		return false;
	if (strcmp(task, "multi-vector") == 0)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->config_path, 0,
			"the task multi-vector needs a directory of MultiVectorEncoder (sentence-transformers)");
	if (strcmp(task, "embed") == 0) {
		head->pooling = "mean";
		head->normalize = true;
		diag_decide(r->diag, "embedding", "mean of the last hidden state, scaled to unit length, by default");
		return true;
	}
	if (strcmp(task, "rank") == 0)
		return read_labels(r, head) && hf_read_activation(r, head);
	if (strcmp(task, "classify") == 0)
		return read_labels(r, head) && read_problem(r, head);
	if (strcmp(task, "tag") != 0)
		return true;
	if (!read_labels(r, head))
		return false;
	diag_decide(r->diag, "label scheme", "%s, from the prefixes of the labels",
		rt_scheme_name(rt_scheme_of(head->labels, head->nlabels)));
	return true;
}

static bool read_heads(HfReader *r)
{
	const char *name, *own_task, *task = r->options->task;
	Arch arch;
	if (!read_arch(r, &name, &arch, &own_task))
		return false;
	HeadDesc *built = r->desc->head; /* by modules.json */
	if (r->sbert->built && (!task || strcmp(task, built->task) == 0)) {
		diag_decide(r->diag, "task", "%s, from the modules of modules.json", built->task);
		return !r->sbert->scores || hf_read_activation(r, built);
	}
	r->desc->nheads = 0;
	r->desc->late = NULL;
	if (!r->sbert->scores || task) { /* prompts are for what modules.json gives */
		r->desc->nprompts = 0;
		r->desc->default_prompt = NULL;
		r->desc->similarity = NULL;
	}
	if (!task && (r->sbert->scores || (arch == ARCH_CLASSIFY && hf_is_cross_encoder(r))))
		return add_scores(r);
	if (arch == ARCH_PRETRAINING && r->desc->family->replaced.build && (!task || strcmp(task, "tag") == 0))
		return add_replaced(r);
	if (!r->desc->family->pair.tensors && (arch == ARCH_NEXT || arch == ARCH_PRETRAINING))
		arch = ARCH_NONE, own_task = NULL;
	if (arch == ARCH_PRETRAINING && !task) {
		diag_decide(r->diag, "task", "fill-mask and %s, from architectures \"%s\" of config.json",
			r->desc->family->pair.name, name);
		return add_head(r, "fill-mask") && add_pair(r, r->desc->family->pair.name);
	}
	if ((arch == ARCH_NEXT || arch == ARCH_PRETRAINING) && (!task || strcmp(task, "classify") == 0)) {
		diag_decide(r->diag, "task",
			"classify: whether the second text follows the first, from architectures \"%s\"", name);
		return add_pair(r, NULL);
	}
	if (!task)
		task = own_task;
	/* the config.json of a delta may still have the class of its base */
	if (r->options->base && arch == ARCH_BARE && !r->options->task
		&& json_object_get(r->config, "problem_type"))
		task = "classify";
	if (!task && name)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->config_path, 0,
			"architecture \"%s\" is not supported; choose a head with --task=embed, classify, tag, rank, "
			"qa, fill-mask, choice or sparse",
			name);
	if (!task)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->config_path, 0,
			"has no architectures, so its head is unknown; give --task=embed, classify, tag, rank, qa, "
			"fill-mask, choice or sparse");
	if (r->options->task)
		diag_decide(r->diag, "task", "%s, from --task", task);
	else
		diag_decide(r->diag, "task", "%s, from architectures \"%s\" of config.json", task, name);
	r->bare = arch == ARCH_BARE && strcmp(task, "embed") == 0;
	return add_head(r, task);
}

/* ---- the files beside config.json ------------------------------------------------------------ */

static bool exists(const ModelDesc *desc, const char *name)
{
	char *path = mem_printf(desc->mem, "%s/%s", desc->directory, name);
	return !file_is_absent(path);
}

static bool find_files(HfReader *r)
{
	ModelDesc *desc = r->desc;
	if (!desc->family->words) {
		desc->weights = desc->tokenizer = "config.json";
		return true;
	}
	if (exists(desc, "model.safetensors"))
		desc->weights = "model.safetensors";
	else if (exists(desc, "model.safetensors.index.json"))
		desc->weights = "model.safetensors.index.json";
	if (!desc->weights && exists(desc, "delta.safetensors")) {
		if (!r->options->base)
			return diag_error_in(r->diag, EXIT_INPUT, desc->directory, 0,
				"has a delta.safetensors, which needs its base checkpoint: bertc build BASE --merge=NAME=%s",
				desc->directory);
		desc->delta = mem_printf(desc->mem, "%s/delta.safetensors", desc->directory);
		desc->weights = r->options->base->weights;
		desc->weights_directory = r->options->base->directory;
	}
	if (!desc->weights
		&& (exists(desc, "pytorch_model.bin") || exists(desc, "pytorch_model.bin.index.json")
			|| exists(desc, "tf_model.h5")))
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, desc->directory, 0,
			"has weights in an unsupported format; convert them with transformers: "
			"AutoModel.from_pretrained(DIR).save_pretrained(DIR) writes model.safetensors");
	if (!desc->weights)
		return diag_error_in(r->diag, EXIT_INPUT, desc->directory, 0,
			"has neither model.safetensors nor model.safetensors.index.json");
	diag_decide(r->diag, "weights", "%s", desc->weights);
	desc->tokenizer = tokenizer_file(desc->directory, desc->mem);
	if (!desc->tokenizer)
		diag_warn(r->diag, 0,
			"%s has no tokenizer (tokenizer.json, vocab.txt, vocab.json with merges.txt, or a SentencePiece "
			".model); the program "
			"will read only token ids",
			desc->directory);
	return true;
}

/* A bare encoder returns all its outputs, including the pooler's if the checkpoint has a pooler. */
static bool find_pooler(HfReader *r)
{
	const Family *family = r->desc->family;
	const char *weight = family->pooler ? mem_printf(r->desc->mem, "%s.weight", family->pooler) : "";
	TensorFile **files;
	int32_t count = checkpoint_open(r->desc, r->options->search, &files, r->diag);
	r->desc->outputs = "hidden";
	for (int32_t f = 0; f < count; f++)
		for (int32_t t = 0; t < tensor_file_count(files[f]); t++)
			if (strcmp(family_bare_name(family, tensor_file_get(files[f], t)->name), weight) == 0)
				r->desc->outputs = "hidden pooled";
	checkpoint_close(files, count);
	return count > 0;
}

/* ---- the length limit ------------------------------------------------------------------------ */

/* A model_max_length above this means no limit: transformers then writes 10^30. */
static const double length_is_none = 1e6;

/* Reads model_max_length of tokenizer_config.json as a real, because 10^30 does not fit an integer. *out does
 * not change if the file or key is missing. */
static bool read_tokenizer_limit(HfReader *r, double *out)
{
	double value = 0;
	if (!exists(r->desc, "tokenizer_config.json"))
		return true;
	char *path = mem_printf(r->desc->mem, "%s/tokenizer_config.json", r->desc->directory);
	json_t *json = json_read(path, JSON_CONFIG_BYTES_MAX, JSON_DECODE_INT_AS_REAL, r->diag);
	const char *key = import_limit_key(json);
	bool good = json && json_member_real(json, key, &value, path, r->diag);
	if (good && json_is_number(json_object_get(json, key))) {
		if (value < 1)
			good = diag_error_in(r->diag, EXIT_INPUT, path, 0, "%s is %g, expected at least 1", key, value);
		else if (value < length_is_none)
			*out = value;
		r->desc->max_tokens_rule = mem_printf(r->desc->mem, "%s of tokenizer_config.json", key);
	}
	json_decref(json);
	return good;
}

/* The limit of the encoder, where no file beside config.json gives a smaller one. */
static void settle_limit(HfReader *r)
{
	ModelDesc *desc = r->desc;
	desc->max_tokens = family_usual(desc);
	desc->max_tokens_rule = mem_printf(desc->mem, "%s of config.json", size_name(desc, SIZE_POSITIONS));
	if (desc->family->size[SIZE_POSITIONS].key)
		return;
	desc->max_tokens_rule = "the usual limit, because no file gives one";
	if (r->options->max_tokens <= 0)
		diag_note(r->diag, 0, "%s reads texts of any length; the program reads %d tokens (--max-tokens)",
			desc->family->model_type, desc->max_tokens);
}

static bool read_limits(HfReader *r)
{
	const SbertEncoder *encoder = &r->sbert->encoder;
	const bool ours = r->sbert->make && r->sbert->make != idf_config; /* it has no other file with a limit */
	double value = encoder->model_limit < length_is_none ? encoder->model_limit : 0;
	if (value > 0)
		r->desc->max_tokens_rule = mem_printf(
			r->desc->mem, "%s of %s", encoder->model_limit_rule, encoder->file);
	if (value == 0 && !ours) {
		if (!read_tokenizer_limit(r, &value))
			return false;
	}
	if (encoder->limit > 0 && encoder->limit < length_is_none) { /* of every call, so it is the last word */
		value = encoder->limit;
		r->desc->max_tokens_rule = mem_printf(
			r->desc->mem, "processing_kwargs.text.max_length of %s", encoder->file);
	}
	r->desc->max_tokens = (int32_t)value;
	if (value == 0 || value > family_longest(r->desc))
		settle_limit(r);
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static const char *directory_name(ModelDesc *desc, const char *directory)
{
	char *real = realpath(directory, NULL);
	const char *slash = real ? strrchr(real, '/') : NULL;
	char *name = name_from_text(desc->mem, slash && slash[1] ? slash + 1 : "model");
	free(real);
	return name;
}

ModelDesc *description_from_hf(const char *directory, const LoadOptions *options, Diag *diag)
{
	ModelDesc *desc = description_new(directory, directory);
	Sbert sbert = {.found = false};
	desc->name = directory_name(desc, directory);
	desc->from_config = true;
	desc->transformers5 = options->transformers5;
	bool read = sbert_read(directory, options->route, desc, &sbert, diag);
	if (read && options->route && !sbert.routed)
		read = diag_error_in(diag, EXIT_USAGE, directory, 0, "--route=%s: has no Router", options->route);
	if (!read) {
		description_free(desc);
		return NULL;
	}
	desc->lowercase = sbert.encoder.lowercase;
	if (desc->lowercase)
		diag_decide(
			diag, "texts", "lower case before anything else, from do_lower_case of %s", sbert.encoder.file);
	if (sbert.directory != directory) {
		desc->modules_directory = desc->directory;
		desc->directory = sbert.directory;
	}
	HfReader reader = {.config_path = mem_printf(desc->mem, "%s/config.json", sbert.directory),
		.options = options,
		.desc = desc,
		.diag = diag,
		.sbert = &sbert};
	json_t *config = sbert.make ? sbert.make(desc, sbert.directory, &sbert.encoder, diag)
								: json_read(reader.config_path, JSON_CONFIG_BYTES_MAX, 0, diag);
	reader.config = config;
	bool good = config != NULL;
	if (good && !json_is_object(config))
		good = diag_error_in(diag, EXIT_INPUT, reader.config_path, 0, "is not a JSON object");
	good = good && hf_read_family(&reader) && hf_refuse_unsupported(&reader) && hf_read_sizes(&reader)
		&& read_heads(&reader) && hf_read_more(&reader) && find_files(&reader)
		&& (!reader.bare || options->base || find_pooler(&reader)) && read_limits(&reader)
		&& description_check(desc, options, diag);
	if (good)
		keys_check(KEYS_CONFIG, config, desc, reader.config_path, diag);
	json_decref(config);
	if (good)
		return desc;
	description_free(desc);
	return NULL;
}

bool import_hf_takes(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool import_hf(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	loaded->desc = description_from_hf(options->model, options, diag);
	return loaded->desc != NULL;
}
