/* import/sentence_transformers.c: modules.json of sentence-transformers -> the head of an embedder, or of a
 * CrossEncoder. The modules are a Transformer and a Pooling, or a StaticEmbedding, or WordEmbeddings, and
 * Dense, LayerNorm and Normalize on each token or after the pooling; or a Transformer for masked words and a
 * SpladePooling. Dropout is skipped: it does nothing at inference. The builder reads weights. */
#include <string.h>
#include "sbert.h"
#include "compiler/support/files.h"

const char *sbert_last_part(const char *dotted)
{
	const char *dot = strrchr(dotted, '.');
	return dot ? dot + 1 : dotted;
}

static bool read_nothing(SbertReader *r, const char *folder)
{
	(void)r;
	(void)folder;
	return true;
}

/* The Transformer's output decides what may follow. */
static bool read_transformer(SbertReader *r, const char *folder)
{
	SbertEncoder *encoder = &r->sbert->encoder;
	if (*folder)
		r->sbert->directory = mem_printf(r->desc->mem, "%s/%s", r->root, folder);
	encoder->late = r->sbert->rows;
	if (!sbert_read_encoder(r->desc, r->sbert->directory, encoder, r->diag))
		return false;
	if (r->sbert->rows && !sbert_check_side(r->desc, r->sbert->directory, r->diag))
		return false;
	r->stage = encoder->words ? STAGE_WORDS : STAGE_ENCODER;
	if (strcmp(encoder->output, "scores") == 0) {
		r->sbert->scores = true;
		r->stage = STAGE_SCORES;
	} else if (strcmp(encoder->output, "sentence_embedding") == 0) {
		r->head->pooling = pooling_words[POOLING_POOLER];
		diag_decide(r->diag, "pooling", "the pooler's output, from modality_config of %s", encoder->file);
		r->stage = STAGE_POOLING;
	}
	return true;
}

/* The mean of a row for each token. */
static bool read_static(SbertReader *r, const char *folder)
{
	if (*folder)
		r->sbert->directory = mem_printf(r->desc->mem, "%s/%s", r->root, folder);
	r->sbert->make = static_config;
	r->head->pooling = pooling_words[POOL_MEAN];
	return !r->sbert->scores
		|| diag_error_in(
			r->diag, EXIT_UNSUPPORTED, r->path, 0, "StaticEmbedding in a CrossEncoder is not supported");
}

/* The older module for masked words. */
static bool read_mlm(SbertReader *r, const char *folder)
{
	r->sbert->encoder.words = true;
	return read_transformer(r, folder);
}

/* Modules that programs do not have. */
static const struct {
	const char *type, *why;
} refused[] = {
	{"CLIPModel", "images are not supported"},
	{"MultiVectorMask", "only a MultiVectorEncoder may have it, once, and before HierarchicalTokenPooling"},
	{"HierarchicalTokenPooling", "only a MultiVectorEncoder may have it, once"},
	{"LambdaTokenPooling", "it is a function of Python"},
	{"LogitScore", "it reads the scores of a causal language model"},
};

static const struct {
	const char *type;
	Stage from, to, stage;
	bool (*read)(SbertReader *, const char *);
} modules[] = {
	{"Transformer", STAGE_START, STAGE_START, STAGE_ENCODER, read_transformer},
	{"StaticEmbedding", STAGE_START, STAGE_START, STAGE_POOLING, read_static},
	{"BoW", STAGE_START, STAGE_START, STAGE_POOLING, sbert_read_bag},
	{"WordEmbeddings", STAGE_START, STAGE_START, STAGE_ENCODER, sbert_read_words},
	{"WordWeights", STAGE_ENCODER, STAGE_ENCODER, STAGE_ENCODER, sbert_read_word_weights},
	{"CNN", STAGE_ENCODER, STAGE_ENCODER, STAGE_ENCODER, sbert_read_cnn},
	{"LSTM", STAGE_ENCODER, STAGE_ENCODER, STAGE_ENCODER, sbert_read_lstm},
	{"MLMTransformer", STAGE_START, STAGE_START, STAGE_WORDS, read_mlm},
	{"SpladePooling", STAGE_WORDS, STAGE_WORDS, STAGE_SPARSE, sbert_read_splade},
	{"WeightedLayerPooling", STAGE_ENCODER, STAGE_ENCODER, STAGE_ENCODER, sbert_read_layer_pooling},
	{"Pooling", STAGE_ENCODER, STAGE_ENCODER, STAGE_POOLING, sbert_read_pooling},
	{"Dense", STAGE_ENCODER, STAGE_POOLING, STAGE_ENCODER, sbert_read_dense},
	{"LayerNorm", STAGE_POOLING, STAGE_POOLING, STAGE_POOLING, sbert_read_layernorm},
	{"SparseStaticEmbedding", STAGE_START, STAGE_START, STAGE_SPARSE, sbert_read_idf},
	{"SparseAutoEncoder", STAGE_POOLING, STAGE_POOLING, STAGE_SPARSE, sbert_read_autoencoder},
	{"Dropout", STAGE_POOLING, STAGE_POOLING, STAGE_POOLING, read_nothing},
	{"Normalize", STAGE_ENCODER, STAGE_POOLING, STAGE_ENCODER, sbert_read_normalize},
};

static bool read_typed(SbertReader *r, const char *type, const char *folder, size_t at)
{
	if (r->sbert->rows && r->stage == STAGE_ENCODER && !r->masked
		&& strcmp(sbert_last_part(type), "MultiVectorMask") == 0)
		return sbert_read_mask(r, folder);
	if (r->sbert->rows && r->stage == STAGE_ENCODER
		&& strcmp(sbert_last_part(type), "HierarchicalTokenPooling") == 0)
		return sbert_read_clusters(r, folder);
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		if (strcmp(sbert_last_part(type), modules[i].type) == 0) {
			if (r->stage < modules[i].from || r->stage > modules[i].to)
				return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
					"module %zu, %s, is at an unsupported place; expected the order Transformer, Pooling, "
					"then Dense, LayerNorm and Normalize; or Transformer for fill-mask, SpladePooling",
					at, modules[i].type);
			if (r->stage < modules[i].stage)
				r->stage = modules[i].stage;
			return modules[i].read(r, folder);
		}
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (strcmp(sbert_last_part(type), refused[i].type) == 0)
			return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
				"module %zu, %s, is not supported: %s", at, refused[i].type, refused[i].why);
	return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
		"module type \"%.80s\" is not supported; known: Transformer, Pooling, StaticEmbedding, "
		"WordEmbeddings, WordWeights, CNN, LSTM, BoW, WeightedLayerPooling, Dense, LayerNorm, Dropout, "
		"Normalize, "
		"MLMTransformer, SpladePooling, SparseAutoEncoder, SparseStaticEmbedding",
		type);
}

static bool folder_is_plain(const char *folder)
{
	return !strchr(folder, '/') && strcmp(folder, ".") != 0 && strcmp(folder, "..") != 0
		&& strlen(folder) <= NAME_BYTES_MAX;
}

/* ---- Router ---------------------------------------------------------------------------------- */

static json_t *router_object(SbertReader *r, const json_t *from, const char *key, const char *path)
{
	json_t *object = json_object_get(from, key);
	if (!object || json_is_object(object))
		return object;
	diag_error_in(r->diag, EXIT_INPUT, path, 0, "%s is %s, expected an object", key, json_kind(object));
	return NULL;
}

/* The route that a plain encode() of texts takes, or that of --route. NULL and a message if there is none. */
static const char *choose_route(SbertReader *r, const json_t *json, json_t *routes, const char *path)
{
	const json_t *parameters = router_object(r, json, "parameters", path),
				 *mappings = router_object(r, parameters, "route_mappings", path);
	const char *name = NULL, *known;
	UnknownKeys names = {""};
	bool first = true;
	json_t *modules;
	keys_check(KEYS_ROUTES, parameters, r->desc, path, r->diag);
	if (r->diag->errors > 0 || !json_member_text(parameters, "default_route", &name, path, r->diag)
		|| !json_member_bool(parameters, "allow_empty_key", &first, path, r->diag))
		return NULL;
	if (json_object_size(mappings) > 0 && !r->route) {
		diag_error_in(
			r->diag, EXIT_UNSUPPORTED, path, 0, "route_mappings is not supported; name a route with --route");
		return NULL;
	}
	json_object_foreach(routes, known, modules)
	{
		name = name || !first ? name : known;
		unknown_add(&names, known);
	}
	if (json_object_get(routes, "text"))
		name = "text";
	name = r->route ? r->route : name;
	if (name && json_is_array(json_object_get(routes, name)))
		return name;
	diag_error_in(r->diag, r->route ? EXIT_USAGE : EXIT_INPUT, path, 0,
		name ? "there is no route %s; known: %s" : "%sno default_route; choose with --route: %s",
		name ? name : "", names.list);
	return NULL;
}

/* Reads the modules of one route, which lie in folders beside router_config.json. */
static bool read_route(SbertReader *r, const json_t *json, const char *path)
{
	json_t *routes = router_object(r, json, "structure", path),
		   *types = router_object(r, json, "types", path);
	const char *name = choose_route(r, json, routes, path);
	const json_t *route = name ? json_object_get(routes, name) : NULL;
	keys_check(KEYS_ROUTER, json, r->desc, path, r->diag);
	for (size_t i = 0; i < json_array_size(route); i++) {
		const char *folder = json_string_value(json_array_get(route, i)),
				   *type = folder ? json_string_value(json_object_get(types, folder)) : NULL;
		if (!type || !*folder || !folder_is_plain(folder))
			return diag_error_in(r->diag, EXIT_INPUT, path, 0,
				"module %zu of the route %s is not a plain folder name with a type", i, name);
		if (!read_typed(r, type, folder, i))
			return false;
	}
	return name != NULL;
}

static bool read_router(SbertReader *r, const char *folder)
{
	char *path = mem_printf(r->desc->mem, "%s/router_config.json", r->root);
	if (file_is_absent(path)) /* of older versions */
		path = mem_printf(r->desc->mem, "%s/config.json", r->root);
	if (r->sbert->routed || *folder || r->stage != STAGE_START)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"a Router is only supported as the first module, in the root directory");
	r->sbert->routed = true;
	json_t *json = json_read(path, JSON_CONFIG_BYTES_MAX, 0, r->diag);
	bool good = json != NULL;
	if (good && !json_is_object(json))
		good = diag_error_in(r->diag, EXIT_INPUT, path, 0, "is not a JSON object");
	good = good && read_route(r, json, path);
	json_decref(json);
	return good;
}

/* ---- modules.json ---------------------------------------------------------------------------- */

static bool read_module(SbertReader *r, const json_t *item, size_t at)
{
	const char *type = NULL, *folder = "";
	if (!json_is_object(item))
		return diag_error_in(
			r->diag, EXIT_INPUT, r->path, 0, "module %zu is %s, expected an object", at, json_kind(item));
	keys_check(KEYS_MODULES, item, r->desc, r->path, r->diag);
	if (!json_member_text(item, "type", &type, r->path, r->diag)
		|| !json_member_text(item, "path", &folder, r->path, r->diag))
		return false;
	if (!type)
		return diag_error_in(r->diag, EXIT_INPUT, r->path, 0, "module %zu has no type", at);
	if (at == 0 && strcmp(folder, ".") == 0) /* as model2vec writes it */
		folder = "";
	if (!folder_is_plain(folder))
		return diag_error_in(r->diag, EXIT_INPUT, r->path, 0,
			"path \"%.80s\" of module %zu is not a plain folder name", folder, at);
	if (strcmp(sbert_last_part(type), "Router") == 0 || strcmp(sbert_last_part(type), "Asym") == 0)
		return read_router(r, folder);
	return read_typed(r, type, folder, at);
}

/* A modules.json must lead to an embedding, to sparse weights, or to the scores of a CrossEncoder. */
static bool check_end(SbertReader *r)
{
	if (r->stage == STAGE_START)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0, "has no Transformer module");
	if (r->stage == STAGE_SCORES)
		return true;
	if (r->stage == STAGE_SPARSE) {
		r->head->dim = 0; /* a SparseEncoder has no truncate_dim */
		return true;
	}
	r->head->top = 0;
	if (r->sbert->rows)
		return r->stage == STAGE_ENCODER || r->stage == STAGE_CLUSTERS
			|| diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
				"a MultiVectorEncoder with a Pooling is not supported");
	if (r->sbert->sparse || r->stage == STAGE_WORDS)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"is of a SparseEncoder, but no module gives sparse weights; expected a SpladePooling after a "
			"Transformer for fill-mask, or a SparseAutoEncoder");
	if (r->sbert->scores)
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"is of a CrossEncoder, but no module gives \"scores\"; expected a Transformer for "
			"sequence-classification, or a Dense with \"module_output_name\": \"scores\"");
	return r->stage == STAGE_POOLING
		|| diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0, "has no Pooling module");
}

/* ---- config_sentence_transformers.json ------------------------------------------------------- */

/* A vector for each token. Other words of similarity_fn_name than these two count as the first. kind:
 * ColBERT is of PyLate. */
static bool read_rows(SbertReader *r, const json_t *json, const char *path, const char *kind)
{
	const char *similarity = "maxsim";
	if (!json_member_text(json, "similarity_fn_name", &similarity, path, r->diag))
		return false;
	r->head->task = task_names[TASK_MULTI_VECTOR];
	r->head->name = r->head->task;
	r->desc->late = mem_alloc(r->desc->mem, sizeof *r->desc->late);
	r->desc->late->mean = strcmp(similarity, "meanmaxsim") == 0;
	diag_decide(r->diag, "scores", "%s, from similarity_fn_name of config_sentence_transformers.json",
		r->desc->late->mean ? "meanmaxsim" : "maxsim");
	return strcmp(kind, "ColBERT") != 0 || sbert_read_pylate(r, json, path);
}

static bool read_kind(SbertReader *r, const json_t *json, const char *path)
{
	const char *kind = NULL;
	if (!json_member_text(json, "model_type", &kind, path, r->diag))
		return false;
	r->sbert->scores = kind && strcmp(kind, "CrossEncoder") == 0;
	r->sbert->sparse = kind && strcmp(kind, "SparseEncoder") == 0;
	r->sbert->rows = kind && (strcmp(kind, "MultiVectorEncoder") == 0 || strcmp(kind, "ColBERT") == 0);
	return !r->sbert->rows || read_rows(r, json, path, kind);
}

/* Another name counts as none, as in sentence-transformers. */
static bool read_similarity(SbertReader *r, const json_t *json, const char *path)
{
	const char *word = NULL;
	if (!json_member_text(json, "similarity_fn_name", &word, path, r->diag))
		return false;
	const int at = word ? word_index(word, similarity_words, SIMILARITY_COUNT) : -1;
	if (word && at < 0)
		diag_warn(r->diag, 0, "%s: similarity_fn_name \"%.80s\" is not known; %s applies", path, word,
			r->sbert->sparse ? "dot" : "cosine");
	r->desc->similarity = at < 0 ? NULL : similarity_words[at];
	return true;
}

static bool read_activation(SbertReader *r, const json_t *json, const char *path)
{
	const char *activation = NULL;
	if (!json_member_text(json, "activation_fn", &activation, path, r->diag))
		return false;
	if (activation)
		r->sbert->activation = mem_string(r->desc->mem, activation, strlen(activation));
	return true;
}

/* Prompts of the program. */
static bool read_prompts(SbertReader *r, const json_t *json, const char *path)
{
	const char *usual = NULL, *name;
	bool known = false;
	json_t *prompts = json_object_get(json, "prompts"), *text;
	if (!json_member_text(json, "default_prompt_name", &usual, path, r->diag))
		return false;
	if (prompts && !json_is_null(prompts) && !json_is_object(prompts))
		return diag_error_in(
			r->diag, EXIT_INPUT, path, 0, "prompts is %s, expected an object", json_kind(prompts));
	json_object_foreach(prompts, name, text)
	{
		if (!json_is_string(text) && !json_is_null(text))
			return diag_error_in(r->diag, EXIT_INPUT, path, 0, "prompt \"%.80s\" is %s, expected a string",
				name, json_kind(text));
		const char *words = json_is_null(text) ? "" : json_string_value(text);
		if (!description_add_prompt(r->desc, name, sbert_prefixed(r, name, words), r->diag))
			return false;
		known |= usual && strcmp(usual, name) == 0;
	}
	if (!sbert_add_prefixes(r))
		return false;
	if (usual && !known)
		return diag_error_in(
			r->diag, EXIT_INPUT, path, 0, "default_prompt_name \"%.80s\" is none of the prompts", usual);
	r->desc->default_prompt = usual ? mem_string(r->desc->mem, usual, strlen(usual)) : NULL;
	const char *list = "";
	for (int32_t i = 0; i < r->desc->nprompts; i++)
		list = mem_printf(r->desc->mem, "%s%s%s", list, i ? ", " : "", r->desc->prompt[i].name);
	if (*list)
		diag_decide(r->diag, "prompts", "%s; %s%s by default, from config_sentence_transformers.json", list,
			usual ? "" : "none", usual ? usual : "");
	return true;
}

static bool read_settings(SbertReader *r)
{
	int64_t dim = 0, top = 0;
	char *path = mem_printf(r->desc->mem, "%s/config_sentence_transformers.json", r->root);
	if (file_is_absent(path))
		return true;
	json_t *json = json_read(path, JSON_CONFIG_BYTES_MAX, 0, r->diag);
	bool good = json != NULL;
	if (good && !json_is_object(json))
		good = diag_error_in(r->diag, EXIT_INPUT, path, 0, "is not a JSON object");
	keys_check(KEYS_SETTINGS, json, r->desc, path, r->diag);
	good = good && read_kind(r, json, path) && read_prompts(r, json, path)
		&& (r->sbert->scores || r->sbert->rows || read_similarity(r, json, path))
		&& (!r->sbert->scores || read_activation(r, json, path))
		&& json_member_int(json, "truncate_dim", 1, INT32_MAX, &dim, path, r->diag)
		&& json_member_int(json, "max_active_dims", 1, INT32_MAX, &top, path, r->diag);
	if (good)
		r->head->top = (int32_t)top;
	if (good && !r->sbert->scores && !r->sbert->rows)
		r->head->dim = (int32_t)dim;
	json_decref(json);
	return good;
}

/* Of modules with the same name, sentence-transformers keeps the last one, in the place of the first. */
static bool check_name(SbertReader *r, const json_t *item, size_t at, json_t *names)
{
	const char *name = json_string_value(json_object_get(item, "name"));
	if (name && json_object_get(names, name))
		return diag_error_in(r->diag, EXIT_UNSUPPORTED, r->path, 0,
			"module %zu has the name \"%.80s\" of an earlier one; give each module its own name", at, name);
	if (name)
		json_object_set_new(names, name, json_true());
	return true;
}

static bool read_list(SbertReader *r)
{
	json_t *json = json_read(r->path, JSON_CONFIG_BYTES_MAX, 0, r->diag), *names = json_object(), *item;
	bool good = json != NULL;
	size_t i;
	if (good && !json_is_array(json))
		good = diag_error_in(r->diag, EXIT_INPUT, r->path, 0, "is not a JSON array");
	json_array_foreach(json, i, item) good = good && check_name(r, item, i, names) && read_module(r, item, i);
	json_decref(names);
	json_decref(json);
	return good;
}

bool sbert_read(const char *directory, const char *route, ModelDesc *desc, Sbert *sbert, Diag *diag)
{
	SbertReader reader = {.root = directory,
		.path = mem_printf(desc->mem, "%s/modules.json", directory),
		.desc = desc,
		.sbert = sbert,
		.route = route,
		.diag = diag};
	sbert->directory = directory;
	sbert->found = !file_is_absent(reader.path);
	if (!sbert->found)
		return sbert_read_encoder(desc, directory, &sbert->encoder, diag);
	reader.head = description_add_head(desc, NULL, task_names[TASK_EMBED], diag);
	if (!reader.head || !read_settings(&reader) || !read_list(&reader) || !check_end(&reader))
		return false;
	if (sbert->rows && desc->late->pylate && !sbert_end_pylate(&reader))
		return false;
	if (sbert->rows && !reader.masked && !desc->late->attends)
		desc->late->fill = 0; /* nothing sees those tokens then */
	if (reader.head->dim)
		diag_decide(diag, "numbers", "the first %d, from truncate_dim of config_sentence_transformers.json",
			reader.head->dim);
	if (sbert->rows && desc->late->fill)
		diag_decide(diag, "queries", "filled up to %d tokens, %s", desc->late->fill, desc->late->fill_rule);
	sbert->built = !sbert->scores || reader.head->nmodules > 0;
	return true;
}
