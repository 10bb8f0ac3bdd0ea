/* emit_checkpoint.c: --emit=checkpoint: writes a model changed by passes as a Hugging Face directory:
 * config.json, model.safetensors, the tokenizer's files and the modules of sentence-transformers. The
 * directory can be trained further and compiled again.
 *
 * Each weight keeps the name of the checkpoint's tensor that it was made from. The remaining layers are
 * renumbered from 0. Tensors that the graph does not use are copied, except those of dropped layers.
 *
 * Not every graph can be expressed by the architecture's config.json. The new directory is therefore read
 * back as `build` would read it. It gets its final name only if the two graphs are equal. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "checkpoint.h"
#include "compiler/support/files.h"
#include "compiler/tokenizer/tokenizer_import.h"

/* ---- what is left of the encoder ------------------------------------------------------------- */

static bool count_layers(Writer *w)
{
	for (const Node *node = w->graph->first; node; node = node->next) {
		const int32_t number = node_layer(node);
		bool known = number < 0;
		for (int32_t i = 0; i < w->nlayers && !known; i++)
			known = w->layer[i] == number;
		if (!known && w->nlayers == MOST_LAYERS)
			return REFUSE(w, "more than %d layers", MOST_LAYERS);
		if (!known)
			w->layer[w->nlayers++] = number;
	}
	const Node *words = graph_lookup(w->graph, 0, NULL);
	w->vocab = words ? node_table_rows(words, 0) : 0;
	return (w->nlayers > 0 && w->vocab > 0) || REFUSE(w, "the graph has no layers or no word table left");
}

/* Refuses ops that a checkpoint cannot express: it holds float weights, not what is computed with them. */
static bool check_ops(const Writer *w)
{
	for (const Node *node = w->graph->first; node; node = node->next) {
		const int32_t layer = node_layer(node);
		if (node->op == OP_THIN)
			return REFUSE(w,
				"layer %d drops tokens, which transformers' %s cannot do; leave prune-tokens out, "
				"or write the checkpoint before that pass",
				layer, w->desc->family->model_type);
		if (node->op == OP_LINEAR_I8 || node->op == OP_LINEAR_BF16)
			return REFUSE(w,
				"%s multiplies in %s, which a checkpoint cannot store; leave %s out here and apply it "
				"when you build the new checkpoint",
				node->origin ? node->origin : "a linear", node->op == OP_LINEAR_I8 ? "int8" : "bf16",
				node->op == OP_LINEAR_I8 ? "quantize-int8" : "compute-bf16");
		if (node->op == OP_EMBED_I8 || node->op == OP_EMBED_I4)
			return REFUSE(w,
				"an embedding table is in %s, which transformers' %s does not read; leave "
				"quantize-embeddings out here and apply it when you build the new checkpoint",
				node->op == OP_EMBED_I8 ? "int8" : "int4", w->desc->family->model_type);
		if (layer < 0 && node->op == OP_LINEAR && node->args[0]->node && node->args[0]->node->op == OP_EMBED)
			return REFUSE(w,
				"the word table is a product of two matrices, but transformers' %s has one; leave "
				"factorize-embeddings out, or write the checkpoint before that pass",
				w->desc->family->model_type);
		if (node->op == OP_SOFTMAX && (node->attr.has & A_SELECT))
			return REFUSE(w,
				"the attention of layer %d selects keys, which transformers' %s cannot do; leave "
				"hard-attention out, or write the checkpoint before that pass",
				layer, w->desc->family->model_type);
	}
	return true;
}

/* True when group number `at` of the remaining ones runs where config.json will have it run. */
static bool group_runs(const Writer *w, int32_t at)
{
	const ModelDesc *d = w->desc;
	const int32_t runs = w->nlayers / d->inner;
	return w->stored[family_group(at / d->inner, runs, w->nstored)]
		== family_group(w->layer[at] / d->inner, d->layers, d->groups);
}

/* Lists what is left of the layers' tensors. Layers that share weights must follow the rule of config.json:
 * each run has all inner layers of a group, and all groups run equally often. */
static bool check_sharing(Writer *w)
{
	const ModelDesc *d = w->desc;
	for (int32_t i = 0; i < w->nlayers; i++) {
		const int32_t number = d->inner ? family_group(w->layer[i] / d->inner, d->layers, d->groups)
										: w->layer[i];
		if (w->nstored == 0 || w->stored[w->nstored - 1] != number)
			w->stored[w->nstored++] = number;
	}
	for (int32_t i = 0; d->inner && i < w->nlayers; i++)
		if (w->layer[i] % d->inner != i % d->inner || w->nlayers % d->inner != 0)
			return REFUSE(w,
				"layers %d to %d are one run of a group (inner_group_num), and some of them are gone; drop "
				"all or none of them",
				w->layer[i] / d->inner * d->inner, w->layer[i] / d->inner * d->inner + d->inner - 1);
	for (int32_t i = 0; d->inner && i < w->nlayers; i++)
		if (!group_runs(w, i))
			return REFUSE(w,
				"layer %d uses the weights of group %d, but with %d layers left in %d groups config.json "
				"would give it those of another; drop equally many layers of each group",
				w->layer[i], family_group(w->layer[i] / d->inner, d->layers, d->groups), w->nlayers,
				w->nstored);
	return true;
}

/* Rows (axis 0) or columns of the weight of the linear that is this part of the layer; 0: the layer has no
 * such linear. */
static int64_t part_width(const Writer *w, int32_t layer, ModelPart part, int32_t axis)
{
	for (const Node *node = w->graph->first; node; node = node->next)
		if (node->op == OP_LINEAR && node_layer(node) == layer && node->place.part == part)
			return node->args[1]->type.dim[axis].plus;
	return 0;
}

/* Refuses layers of different widths: config.json has one width for all layers. *width: that of the
 * feed-forward networks. */
static bool check_widths(const Writer *w, int64_t *width)
{
	const int64_t attention = family_attention(w->desc);
	*width = part_width(w, w->layer[0], PART_FFN_OUT, 1);
	for (int32_t i = 0; i < w->nlayers; i++) {
		const int64_t ffn = part_width(w, w->layer[i], PART_FFN_OUT, 1),
					  query = part_width(w, w->layer[i], PART_ATTENTION_QUERY, 0);
		if (!ffn || (attention && !query))
			return REFUSE(w,
				"layer %d has no %s block left, but every layer of transformers' %s has one; leave "
				"prune-blocks out, or write the checkpoint before that pass",
				w->layer[i], ffn ? "attention" : "feed-forward", w->desc->family->model_type);
		if (query != attention)
			return REFUSE(w,
				"layer %d has %jd of %d attention heads left, which transformers' %s cannot express "
				"(its heads have hidden_size / num_attention_heads channels); leave prune-heads out, or "
				"write the checkpoint before that pass",
				w->layer[i], (intmax_t)(query / (attention / w->desc->heads)), w->desc->heads,
				w->desc->family->model_type);
		if (ffn != *width)
			return REFUSE(w,
				"layer %d has %jd neurons and layer %d has %jd, but intermediate_size is one number for all "
				"layers; prune-ffn{keep=N} keeps the same number in each layer",
				w->layer[0], (intmax_t)*width, w->layer[i], (intmax_t)ffn);
	}
	return true;
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* The element type of all float tensors; float32 if they differ, because transformers loads all weights in
 * one type. */
static const char *common_dtype(const Tensor *const *tensors, int32_t count)
{
	static const char *const names[DT_COUNT] = {
		[DT_F32] = "float32", [DT_F16] = "float16", [DT_BF16] = "bfloat16", [DT_F64] = "float64"};
	const char *name = NULL;
	for (int32_t i = 0; i < count; i++) {
		const char *own = names[tensors[i]->type.dtype];
		if (own && name && own != name)
			return names[DT_F32];
		name = own ? own : name;
	}
	return name ? name : names[DT_F32];
}

/* Keeps the type in config.json unless passes have changed it: weights stored in half precision may be meant
 * to be loaded as float32. */
static void set_dtype(const Writer *w, json_t *config)
{
	const Module *module = w->loaded->module;
	const Tensor **old = mem_alloc(w->mem, (size_t)w->room * sizeof *old);
	int32_t count = 0;
	for (int32_t f = 0; f < module->nfiles; f++)
		for (int32_t t = 0; t < tensor_file_count(module->files[f]); t++)
			old[count++] = tensor_file_get(module->files[f], t);
	const char *now = common_dtype(w->tensors, w->ntensors);
	if (now != common_dtype(old, count))
		json_object_set_new(
			config, json_object_get(config, "torch_dtype") ? "torch_dtype" : "dtype", json_string(now));
}

static void set_size(const Writer *w, json_t *config, Size which, int64_t value)
{
	const FamilySize *size = &w->desc->family->size[which];
	json_object_set_new(config, size->key, json_integer(value));
	if (size->alias)
		json_object_del(config, size->alias);
}

/* The kind of attention of each remaining layer. */
static void set_layer_types(const Writer *w, json_t *config)
{
	const bool *local = w->desc->local;
	if (!local && !json_object_get(config, "layer_types"))
		return;
	json_t *types = json_array();
	for (int32_t i = 0; i < w->nlayers; i++)
		json_array_append_new(
			types, json_string(local && local[w->layer[i]] ? "sliding_attention" : "full_attention"));
	json_object_set_new(config, "layer_types", types);
}

static bool write_config(const Writer *w, int64_t ffn)
{
	const char *from = mem_printf(w->mem, "%s/config.json", w->desc->directory);
	json_t *config = json_read(from, JSON_CONFIG_BYTES_MAX, 0, w->diag);
	if (!config)
		return false;
	set_size(w, config, SIZE_LAYERS, w->nlayers / (w->desc->inner ? w->desc->inner : 1));
	if (w->desc->groups)
		set_size(w, config, SIZE_GROUPS, w->nstored);
	set_size(w, config, SIZE_FFN, ffn);
	set_size(w, config, SIZE_VOCAB, w->vocab);
	set_layer_types(w, config);
	tokenizer_renumber_roles(w->loaded, config);
	set_dtype(w, config);
	const bool good = json_write(config, 15, mem_printf(w->mem, "%s/config.json", w->folder), w->diag);
	json_decref(config);
	return good;
}

/* ---- reading it back ------------------------------------------------------------------------- */

/* A copy in canonical form, so that mere clean-ups by passes make no difference. */
static Module *plain_copy(const Module *module, Diag *diag)
{
	const PassEnv env = {.max_tokens = module->max_tokens};
	Module *copy = module_copy(module);
	Pipeline *pipeline = pipeline_parse("canonicalize,cse,dce", diag);
	if (!pipeline || !pipeline_run(pipeline, copy, &env, NULL, NULL, diag)) {
		module_free(copy);
		copy = NULL;
	}
	pipeline_free(pipeline);
	return copy;
}

static bool compare_graphs(Writer *w, const Module *read)
{
	const Node *where = NULL;
	Module *want = plain_copy(w->loaded->module, w->diag), *got = want ? plain_copy(read, w->diag) : NULL;
	bool good = want && got;
	if (good && !graph_equal(want->graphs[0], got->graphs[0], &where))
		good = REFUSE(w,
			"transformers' %s cannot express the model after these passes: %s%s%s differs when the "
			"checkpoint "
			"is read back; use only passes that drop layers or change the width of all layers alike",
			w->desc->family->model_type, where ? op_info[where->op].name : "an output",
			where && where->origin ? " of " : "", where && where->origin ? where->origin : "");
	module_free(want);
	module_free(got);
	return good;
}

/* The new files must describe the tokenizer that the program would have. */
static bool compare_tokenizers(Writer *w, const TokenizerDesc *got)
{
	return tokenizer_equal(w->loaded->tokenizer, got)
		|| REFUSE(w,
			"the tokenizer's files cannot express the tokenizer after these passes; leave prune-vocab out");
}

static bool read_back(Writer *w)
{
	const LoadOptions options = {.model = w->root,
		.task = w->options->task,
		.route = w->options->route,
		.outputs = w->options->outputs,
		.max_tokens = w->options->max_tokens,
		.transformers5 = w->options->transformers5};
	Loaded again = {0};
	Diag diag;
	diag_init(&diag, w->out);
	bool good = model_load(&options, &again, &diag);
	if (!good)
		REFUSE(w, "the new directory cannot be read back: %s",
			diag.count ? diag.messages[diag.count - 1].text : "no reason");
	good = good && compare_graphs(w, again.module) && compare_tokenizers(w, again.tokenizer);
	model_unload(&again);
	diag_free(&diag);
	return good;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool write_all(Writer *w, int64_t ffn)
{
	return checkpoint_copy_rest(w) && checkpoint_collect(w) && write_config(w, ffn)
		&& safetensors_write(
			mem_printf(w->mem, "%s/model.safetensors", w->folder), w->tensors, w->ntensors, w->diag)
		&& read_back(w) && directory_commit(w->root, w->out, w->diag);
}

bool checkpoint_emit(const Loaded *loaded, const LoadOptions *options, const char *out, Diag *diag)
{
	Writer w = {.options = options,
		.out = out,
		.loaded = loaded,
		.desc = loaded->desc,
		.graph = loaded->module->graphs[0],
		.diag = diag};
	int64_t ffn;
	if (!w.desc || !w.desc->from_config)
		return REFUSE(&w, "MODEL must be a Hugging Face directory, not a description or textual IR");
	if (w.graph->level != LEVEL_GRAPH)
		return REFUSE(
			&w, "fused and lowered graphs cannot be written; give only passes that come before fuse");
	if (loaded->nmerged)
		return REFUSE(&w, "a checkpoint holds one task; leave --merge out and write each task separately");
	for (const Node *node = w.graph->first; node; node = node->next)
		if (node->op == OP_EXIT)
			return REFUSE(
				&w, "transformers' %s has no early exits; leave early-exit out", w.desc->family->model_type);
	if (!check_ops(&w) || !count_layers(&w) || !check_sharing(&w) || !check_widths(&w, &ffn))
		return false;
	char *aside = directory_aside(out, diag);
	if (!aside)
		return false;
	w.root = aside;
	w.mem = mem_new();
	const bool good = write_all(&w, ffn);
	mem_free(w.mem);
	if (!good)
		remove_tree(aside);
	free(aside);
	return good;
}
