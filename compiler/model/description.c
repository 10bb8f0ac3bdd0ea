/* description.c: ModelDesc, the model description: creates it and checks the consistency of its fields.
 * import/hf.c and import/xml.c read it, description_write.c writes it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "family.h"

enum { OUTPUT_HIDDEN, OUTPUT_POOLED, OUTPUT_WORDS };
static const char *const output_words[] = {[OUTPUT_HIDDEN] = "hidden", [OUTPUT_POOLED] = "pooled"};

#define WORD(KIND, NAME, TEXT) WORD_##KIND(NAME, TEXT)
#define WORD_PACK(NAME, TEXT)
#define WORD_ACT(NAME, TEXT)
#define WORD_POOL(NAME, TEXT) [POOL_##NAME] = TEXT,
#define POOLING(NAME, word) [POOLING_##NAME] = #word,
const char *const pooling_words[POOLING_COUNT] = {
#include "ir/enums.def"
	POOLING(POOLER, pooler) POOLING(LATE, late)};

const char *const similarity_words[SIMILARITY_COUNT] = {"cosine", "dot", "euclidean", "manhattan"};

#define BIAS(NAME, text) [BIAS_##NAME] = text,
const char *const bias_words[BIAS_COUNT] = {
#include "biases.def"
};
#undef BIAS

#define TRAIT(NAME, text) [TRAIT_##NAME] = text,
const char *const trait_words[TRAIT_COUNT] = {
#include "traits.def"
};
#undef TRAIT

/* ---- creating -------------------------------------------------------------------------------- */

ModelDesc *description_new(const char *path, const char *directory)
{
	MemArena *mem = mem_new();
	ModelDesc *desc = mem_alloc(mem, sizeof *desc);
	desc->mem = mem;
	desc->path = mem_string(mem, path, strlen(path));
	desc->directory = mem_string(mem, directory, strlen(directory));
	return desc;
}

void description_free(ModelDesc *desc)
{
	if (!desc)
		return;
	module_free(desc->module);
	mem_free(desc->mem);
}

HeadDesc *description_add_head(ModelDesc *desc, const char *name, const char *task, Diag *diag)
{
	if (desc->nheads == HEADS_MAX) {
		diag_error_in(diag, EXIT_UNSUPPORTED, desc->path, 0, "more than %d heads", HEADS_MAX);
		return NULL;
	}
	HeadDesc *head = &desc->head[desc->nheads++];
	*head = (HeadDesc){.task = mem_string(desc->mem, task, strlen(task))};
	head->name = name ? mem_string(desc->mem, name, strlen(name)) : head->task;
	return head;
}

bool description_add_prompt(ModelDesc *desc, const char *name, const char *text, Diag *diag)
{
	if (!text_is_clean(name))
		return diag_error_in(diag, EXIT_INPUT, desc->path, 0,
			"expected names of prompts of 1 to %d bytes without control characters", NAME_BYTES_MAX);
	if (strlen(text) > PROMPT_BYTES_MAX || desc->nprompts == PROMPTS_MAX)
		return diag_error_in(diag, EXIT_UNSUPPORTED, desc->path, 0,
			"prompt \"%.80s\": at most %d prompts of at most %d bytes are supported", name, PROMPTS_MAX,
			PROMPT_BYTES_MAX);
	for (int32_t i = 0; i < desc->nprompts; i++)
		if (strcmp(desc->prompt[i].name, name) == 0)
			return diag_error_in(diag, EXIT_INPUT, desc->path, 0, "two prompts have the name %.80s", name);
	if (!desc->prompt)
		desc->prompt = mem_alloc(desc->mem, PROMPTS_MAX * sizeof *desc->prompt);
	desc->prompt[desc->nprompts++] = (struct PromptDesc){
		mem_string(desc->mem, name, strlen(name)), mem_string(desc->mem, text, strlen(text))};
	return true;
}

void description_set_pooling(ModelDesc *desc, const char *pooling)
{
	for (int32_t i = 0; i < desc->nheads; i++) {
		const int task = word_index(desc->head[i].task, task_names, TASK_COUNT);
		if (task == TASK_CLASSIFY || task == TASK_RANK || task == TASK_CHOICE)
			desc->head[i].pooling = pooling;
	}
}

/* ---- words and names ------------------------------------------------------------------------- */

int word_index(const char *word, const char *const *list, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(word, list[i]) == 0)
			return i;
	return -1;
}

char *name_from_text(MemArena *mem, const char *text)
{
	size_t length = strnlen(text, 64);
	char *name = mem_printf(mem, "_%.*s", (int)length, text), *start = name + 1;
	for (char *c = start; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
			*c = '_';
	if (!*start)
		return mem_string(mem, "model", 5);
	return *start >= '0' && *start <= '9' ? name : start;
}

const char **labels_numbered(MemArena *mem, int32_t count)
{
	const char **labels = mem_alloc(mem, (size_t)count * sizeof *labels);
	for (int32_t i = 0; i < count; i++)
		labels[i] = mem_printf(mem, "LABEL_%d", i);
	return labels;
}

/* Number of bytes of the UTF-8 sequence at text. 0 if it is invalid, a control character, or a code point
 * that XML does not allow. */
static int clean_sequence(const unsigned char *text)
{
	static const uint32_t least[] = {0, 0x20, 0x80, 0x800, 0x10000};
	int bytes = 0;
	if (*text < 0x80)
		bytes = 1;
	else if (*text >> 5 == 6)
		bytes = 2;
	else if (*text >> 4 == 14)
		bytes = 3;
	else if (*text >> 3 == 30)
		bytes = 4;
	uint32_t code = bytes == 1 ? *text : *text & (0x7f >> bytes);
	for (int i = 1; i < bytes; i++) {
		if (text[i] >> 6 != 2)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	bool control = code == 0x7f || (code >= 0x80 && code < 0xa0) || code == 0x2028 || code == 0x2029
		|| code == 0xfffe || code == 0xffff;
	return bytes && code >= least[bytes] && code <= 0x10ffff && !control && (code < 0xd800 || code > 0xdfff)
		? bytes
		: 0;
}

bool text_is_clean(const char *text)
{
	size_t length = strnlen(text, NAME_BYTES_MAX + 1);
	if (length == 0 || length > NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < length;) {
		int bytes = clean_sequence((const unsigned char *)text + i);
		if (!bytes)
			return false;
		i += (size_t)bytes;
	}
	return true;
}

/* ---- checking -------------------------------------------------------------------------------- */

typedef struct Checker {
	ModelDesc *desc;
	Diag *diag;
} Checker;
#define FAIL(checker, code, ...) diag_error_in((checker)->diag, (code), (checker)->desc->path, 0, __VA_ARGS__)

static bool check_encoder(Checker *c)
{
	const ModelDesc *d = c->desc;
	const Family *family = d->family;
	const char *eps = d->from_config && family->eps.key ? family->eps.key : "eps";
	if (family_width(d) % d->heads != 0)
		return FAIL(c, EXIT_INPUT, "%s is %d, expected a multiple of the %d heads (%s)",
			size_name(d, d->bottleneck ? SIZE_BOTTLENECK : SIZE_HIDDEN), family_width(d), d->heads,
			size_name(d, SIZE_HEADS));
	if (d->trait[TRAIT_NARROW_ATTENTION] + d->trait[TRAIT_NARROW_QUERY] > (d->bottleneck > 0))
		return FAIL(c, EXIT_INPUT,
			"traits has narrow-attention or narrow-query, which exclude each other and need a bottleneck "
			"above 0");
	if (family->size[SIZE_TYPES].key && d->types < 1 && !family->typeless)
		return FAIL(c, EXIT_INPUT, "%s is %d, expected at least 1", size_name(d, SIZE_TYPES), d->types);
	if (family_longest(d) < 1)
		return FAIL(c, EXIT_INPUT, "%s is %d, but positions start after %s %d, so no token has a position",
			size_name(d, SIZE_POSITIONS), d->positions, size_name(d, SIZE_PADDING), d->padding);
	if (family->skips_padding && d->padding >= d->vocab)
		return FAIL(c, EXIT_INPUT, "%s is %d, expected an id of the %d tokens (%s), 0 to %d",
			size_name(d, SIZE_PADDING), d->padding, d->vocab, size_name(d, SIZE_VOCAB), d->vocab - 1);
	if (!(d->eps > 0 && d->eps <= 1))
		return FAIL(c, EXIT_INPUT, "%s is %g, expected a number above 0 and at most 1", eps, d->eps);
	if (family_depth(d) > MOST_LAYERS)
		return FAIL(c, EXIT_UNSUPPORTED, "%d layers (%s) of %d (%s) are more than %d layers", d->layers,
			size_name(d, SIZE_LAYERS), d->inner, size_name(d, SIZE_INNER), MOST_LAYERS);
	if (d->head_activation && !activation_is_known(d->head_activation))
		return FAIL(c, EXIT_UNSUPPORTED, "%s \"%s\" is not supported; known: %s",
			d->from_config ? family->head_activation.key : "head-activation", d->head_activation,
			activation_list());
	if (d->kv_heads && d->heads % d->kv_heads != 0)
		return FAIL(c, EXIT_INPUT, "%s is %d, expected a divisor of the %d heads (%s)",
			size_name(d, SIZE_KV_HEADS), d->kv_heads, d->heads, size_name(d, SIZE_HEADS));
	if (family->rotary && d->hidden / d->heads % 2 != 0)
		return FAIL(c, EXIT_INPUT, "%s is %d, but %d heads (%s) of an odd size have no rotary positions",
			size_name(d, SIZE_HIDDEN), d->hidden, d->heads, size_name(d, SIZE_HEADS));
	if (d->conv > 0 && (!d->conv_activation || !activation_is_known(d->conv_activation)))
		return FAIL(c, EXIT_UNSUPPORTED, "%s \"%s\" is not supported; known: %s",
			d->from_config ? "conv_act" : "conv-activation", d->conv_activation ? d->conv_activation : "",
			activation_list());
	if (!activation_is_known(d->activation))
		return FAIL(c, EXIT_UNSUPPORTED, "%s \"%s\" is not supported; known: %s",
			d->from_config ? family->activation.key : "activation", d->activation, activation_list());
	return true;
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);
	for (const char *at = words; (at = strstr(at, word)); at += length)
		if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
	return false;
}

/* Checks `pooling`: 1 to POOLINGS_MAX known words. */
static bool check_pooling(Checker *c, const HeadDesc *head)
{
	if (strcmp(head->pooling, pooling_words[POOLING_LATE]) == 0 && strcmp(head->task, "embed") != 0)
		return true;
	char *list = mem_string(c->desc->mem, head->pooling, strlen(head->pooling)), *rest;
	int count = 0;
	for (char *word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		const int pooling = word_index(word, pooling_words, POOLING_COUNT);
		if (pooling < 0)
			return FAIL(c, EXIT_INPUT,
				"head %s: pooling \"%s\" is not supported; known: first, last, mean, max, mean_sqrt, "
				"mean_weighted, sum, pooler, late",
				head->name, word);
		if (pooling == POOLING_LATE)
			return FAIL(c, EXIT_INPUT,
				"head %s: pooling \"late\" is for classifiers, and cannot be joined with others", head->name);
		if (pooling == POOLING_POOLER && !c->desc->family->pooler)
			return FAIL(c, EXIT_UNSUPPORTED, "head %s: pooling \"%s\": the family %s has no pooler",
				head->name, word, c->desc->family->model_type);
		if (++count > POOLINGS_MAX)
			return FAIL(
				c, EXIT_UNSUPPORTED, "head %s: more than %d words in pooling", head->name, POOLINGS_MAX);
	}
	return count > 0 || FAIL(c, EXIT_INPUT, "head %s: pooling is empty", head->name);
}

/* The words of a sparse head on a decoder of masked words. */
static bool check_sparse(Checker *c, HeadDesc *head)
{
	if (!head->pooling)
		head->pooling = pooling_words[POOL_MAX];
	if (strcmp(head->pooling, pooling_words[POOL_MAX]) != 0
		&& strcmp(head->pooling, pooling_words[POOL_SUM]) != 0)
		return FAIL(c, EXIT_UNSUPPORTED, "head %s: pooling \"%s\" is not supported; known: max, sum",
			head->name, head->pooling);
	return !head->activation || strcmp(head->activation, log1p_relu) == 0
		|| FAIL(c, EXIT_UNSUPPORTED, "head %s: activation \"%s\" is not supported; known: %s", head->name,
			head->activation, log1p_relu);
}

/* Refuses fields that the task's head does not have, instead of ignoring them. */
static bool check_parts(Checker *c, HeadDesc *head, Task task)
{
	const HeadSpec *spec = family_head(c->desc->family, head);
	const bool sparse = task == TASK_SPARSE;
	const bool labels = task == TASK_CLASSIFY || task == TASK_RANK || task == TASK_TAG;
	if (!spec)
		return FAIL(c, EXIT_UNSUPPORTED, "head %s: the family %s has no head for the task %s", head->name,
			c->desc->family->model_type, head->task);
	if (!labels && head->nlabels)
		return FAIL(c, EXIT_INPUT, "head %s has labels, but the task %s takes none", head->name, head->task);
	if (head->problem && !labels)
		return FAIL(
			c, EXIT_INPUT, "head %s has a problem, but the task %s takes none", head->name, head->task);
	if (head->problem && task == TASK_TAG && strcmp(head->problem, problem_names[PROBLEM_REGRESSION]) == 0)
		return FAIL(c, EXIT_INPUT, "head %s: the task tag takes the problem single or multi", head->name);
	if (labels && !head->nlabels)
		return FAIL(c, EXIT_INPUT, "head %s has no labels; add the attribute labels", head->name);
	if (!spec->pooling && head->pooling && !sparse)
		return FAIL(
			c, EXIT_INPUT, "head %s has a pooling, but the task %s takes none", head->name, head->task);
	if (!spec->tensors && head->tensors)
		return FAIL(c, EXIT_INPUT, "head %s names tensors, but the task %s has none of its own", head->name,
			head->task);
	const bool scores = task == TASK_CLASSIFY || task == TASK_RANK;
	const bool rows = task == TASK_MULTI_VECTOR;
	if (task != TASK_EMBED && !scores && !rows && !sparse && head->nmodules)
		return FAIL(c, EXIT_INPUT,
			"head %s: modules are only for the tasks embed, multi-vector, sparse, classify and rank",
			head->name);
	if (rows != (c->desc->late != NULL) || (rows && c->desc->nheads > 1))
		return FAIL(c, EXIT_INPUT,
			"head %s: the task multi-vector and the element <late> need each other, and allow no other head",
			head->name);
	for (int32_t i = 0; rows && i < head->nmodules; i++)
		if (!head->module[i].each)
			return FAIL(c, EXIT_INPUT, "head %s: module %s needs the attribute each-token", head->name,
				module_words[head->module[i].kind]);
	if (task != TASK_EMBED && (head->normalize || head->dim))
		return FAIL(c, EXIT_INPUT, "head %s: normalize and dim are only for the task embed", head->name);
	if (head->top && !sparse)
		return FAIL(c, EXIT_INPUT, "head %s: top is only for the task sparse", head->name);
	if (sparse && !head->nmodules && !check_sparse(c, head))
		return false;
	if (head->activation && !scores && !sparse)
		return FAIL(
			c, EXIT_INPUT, "head %s has an activation, but the task %s takes none", head->name, head->task);
	if (head->activation && scores && !activation_is_known(head->activation))
		return FAIL(c, EXIT_UNSUPPORTED, "head %s: activation \"%s\" is not supported; known: %s", head->name,
			head->activation, activation_list());
	if (!head->tensors)
		head->tensors = spec->tensors;
	if (!head->pooling)
		head->pooling = spec->pooling;
	for (int32_t i = 0; i < head->nmodules; i++)
		if (head->module[i].kind == MODULE_DENSE && !activation_is_known(head->module[i].activation))
			return FAIL(c, EXIT_UNSUPPORTED, "head %s: activation \"%s\" is not supported; known: %s",
				head->name, head->module[i].activation, activation_list());
	return !head->pooling || check_pooling(c, head);
}

static bool check_head(Checker *c, HeadDesc *head, int32_t at)
{
	int task = word_index(head->task, task_names, TASK_COUNT);
	if (task < 0)
		return FAIL(c, EXIT_UNSUPPORTED, "task \"%s\" is not known", head->task);
	if (head->problem && word_index(head->problem, problem_names, PROBLEM_COUNT) < 0)
		return FAIL(c, EXIT_UNSUPPORTED, "head %s: problem \"%s\" is not known", head->name, head->problem);
	if (!name_is_valid(head->name))
		return FAIL(c, EXIT_INPUT,
			"head name \"%s\": expected a letter or '_', then letters, digits, '_', '.' or '-'", head->name);
	for (int32_t i = 0; i < at; i++)
		if (strcmp(c->desc->head[i].name, head->name) == 0)
			return FAIL(c, EXIT_INPUT, "two heads have the name %s", head->name);
	if (c->desc->nheads > 1 && word_index(head->name, output_words, OUTPUT_WORDS) >= 0)
		return FAIL(
			c, EXIT_INPUT, "a head cannot have the name %s, which is the name of another output", head->name);
	if (task == TASK_RANK && head->nlabels != 1)
		return FAIL(c, EXIT_INPUT,
			"head %s: the task rank needs a classifier with one label, but this one has %d", head->name,
			head->nlabels);
	return check_parts(c, head, (Task)task);
}

/* Merges the outputs of the description and of --outputs, each once. */
static bool settle_outputs(Checker *c, const char *asked)
{
	ModelDesc *desc = c->desc;
	const char *words = desc->outputs;
	for (int32_t i = 0; !words && i < desc->nheads; i++) {
		int task = word_index(desc->head[i].task, task_names, TASK_COUNT);
		if (task == TASK_EMBED || task == TASK_TAG || task == TASK_QA || task == TASK_FILL_MASK
			|| task == TASK_MULTI_VECTOR || task == TASK_SPARSE)
			words = "hidden";
	}
	char *list = mem_printf(desc->mem, "%s %s", words ? words : "", asked ? asked : ""), *rest;
	desc->outputs = "";
	for (char *word = strtok_r(list, " ,", &rest); word; word = strtok_r(NULL, " ,", &rest)) {
		if (word_index(word, output_words, OUTPUT_WORDS) < 0)
			return FAIL(c, asked ? EXIT_USAGE : EXIT_INPUT,
				"output \"%s\" is not supported; known: hidden, pooled", word);
		if (strcmp(word, output_words[OUTPUT_POOLED]) == 0 && !desc->family->pooler)
			return FAIL(c, EXIT_UNSUPPORTED, "output \"%s\": the family %s has no pooler", word,
				desc->family->model_type);
		if (!has_word(desc->outputs, word))
			desc->outputs = mem_printf(desc->mem, "%s%s%s", desc->outputs, *desc->outputs ? " " : "", word);
	}
	return true;
}

static void settle_max_tokens(Checker *c, int asked)
{
	ModelDesc *desc = c->desc;
	const int32_t longest = family_longest(desc);
	if (desc->max_tokens == 0 || desc->max_tokens > longest) {
		desc->max_tokens = family_usual(desc);
		desc->max_tokens_rule = "the positions of the encoder";
	}
	if (asked > longest)
		diag_warn(c->diag, 0,
			"--max-tokens %d is more than the encoder's %d positions; the limit is the number of positions",
			asked, longest);
	if (asked > 0) {
		desc->max_tokens = asked < longest ? asked : longest;
		desc->max_tokens_rule = "the option max-tokens";
	}
}

bool description_check(ModelDesc *desc, const LoadOptions *options, Diag *diag)
{
	Checker checker = {desc, diag};
	if (!check_encoder(&checker))
		return false;
	for (int32_t i = 0; i < desc->nheads; i++)
		if (!check_head(&checker, &desc->head[i], i))
			return false;
	settle_max_tokens(&checker, options->max_tokens);
	if (desc->late && !description_settle_late(desc, options->max_tokens, diag))
		return false;
	diag_decide(diag, "longest text", "%d tokens, from %s", desc->max_tokens, desc->max_tokens_rule);
	return settle_outputs(&checker, options->outputs);
}
