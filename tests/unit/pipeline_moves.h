/* pipeline_moves.h: for each pass of passes.def, draws random parameters and lists the parts of a model that
 * it changes. The order of two passes that change different parts must not matter. */
#ifndef PIPELINE_MOVES_H
#define PIPELINE_MOVES_H
#include <stdarg.h>
#include <string.h>
#include "passes/passes.h"
#include "tiny_encoder.h"

static uint64_t moves_state;

/* splitmix64: any seed gives a good sequence. */
static int pick(int n)
{
	uint64_t z = moves_state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (int)((z ^ z >> 31) % (uint64_t)n);
}

#define ANY(...) \
	(((const char *const[]){ \
		__VA_ARGS__})[pick((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))])

/* The text of a pass so far: "name{key=value key=value". */
typedef struct Draw {
	const TinyEncoder *model;
	const PassInfo *pass;
	char text[512];
	size_t bytes;
} Draw;

static bool pass_takes(const PassInfo *pass, const char *key)
{
	return pass_option_find((int32_t)(pass - pass_info), key) != NULL;
}

__attribute__((format(printf, 3, 4))) static void option(Draw *d, const char *key, const char *format, ...)
{
	if (!pass_takes(d->pass, key))
		return;
	d->bytes += (size_t)snprintf(
		d->text + d->bytes, sizeof d->text - d->bytes, "%s%s=", strchr(d->text, '{') ? " " : "{", key);
	va_list args;
	va_start(args, format);
	d->bytes += (size_t)vsnprintf(d->text + d->bytes, sizeof d->text - d->bytes, format, args);
	va_end(args);
}

/* "0,2,3": some of n, at least one, rising. */
static const char *rising(int n)
{
	static char text[128];
	char *end = text;
	const int one = pick(n);
	for (int i = 0; i < n; i++)
		if (i == one || pick(3) == 0)
			end += sprintf(end, "%s%d", end > text ? "," : "", i);
	return text;
}

/* "0.1,2.3": one or two units of layers. */
static const char *units(const Draw *d, int n)
{
	static char text[64];
	int bytes = sprintf(text, "%d.%d", pick(d->model->layers), pick(n));
	if (pick(2))
		sprintf(text + bytes, ",%d.%d", pick(d->model->layers), pick(n));
	return text;
}

static void with_data(Draw *d, const char *file)
{
	option(d, "data", "%s", file);
	if (pick(3) == 0)
		option(d, "limit", "%d", 1 + pick(8));
}

static void ranked_by(Draw *d)
{
	const int way = pick(4);
	if (way)
		option(d, "by", "%s", (const char *[]){"", "magnitude", "activation", "accuracy"}[way]);
	if (way > 1)
		with_data(d, "texts.tsv");
}

/* ---- whittling ------------------------------------------------------------------------------- */

static void draw_drop_layers(Draw *d)
{
	const int way = pick(3);
	if (way == 0) {
		option(d, "layers", "%s", rising(d->model->layers));
		return;
	}
	option(d, "strategy", "%s",
		way == 1 ? "contribution" : ANY("top", "bottom", "odd-alternate", "even-alternate", "symmetric"));
	option(d, "keep", "%d", 1 + pick(d->model->layers));
	if (way == 1) {
		with_data(d, "texts.tsv");
		if (pick(2))
			option(d, "tokens", "%s", ANY("first", "all"));
	}
}

static void draw_prune_blocks(Draw *d)
{
	if (pick(3) == 0) {
		option(d, "blocks", "%d.%s", pick(d->model->layers), ANY("attention", "ffn"));
		return;
	}
	ranked_by(d);
	if (strstr(d->text, "accuracy") && pick(2)) /* by=accuracy needs no number */
		return;
	if (pick(2))
		option(d, "keep", "%d", pick(2 * d->model->layers + 1));
	else
		option(d, "share", "0.%d", pick(10));
}

static void draw_units(Draw *d, const char *key, int n)
{
	const int refit = pick(3);
	if (pick(3) == 0) {
		option(d, key, "%s", units(d, n));
		if (refit == 0) {
			option(d, "refit", "yes");
			with_data(d, "texts.tsv");
		}
		return;
	}
	if (refit == 0) {
		option(d, "by", "reconstruction");
		with_data(d, "texts.tsv");
		if (pick(2))
			option(d, "ridge", "0.%d", 1 + pick(30));
	} else {
		ranked_by(d);
	}
	if (pick(2))
		option(d, "keep", "%d", 1 + pick(n));
	else
		option(d, "share", "0.%d", pick(10));
}

static void draw_prune_heads(Draw *d) { draw_units(d, "heads", d->model->heads); }
static void draw_prune_ffn(Draw *d) { draw_units(d, "neurons", d->model->ffn); }

static void draw_hard_attention(Draw *d)
{
	switch (pick(3)) {
	case 0: option(d, "k", "%d", 1 + pick(6)); break;
	case 1: option(d, "share", "0.%d", 1 + pick(9)); break;
	default: option(d, "threshold", "0.%d", 1 + pick(9));
	}
	const int way = pick(4);
	switch (way) {
	case 0: return;
	case 1: option(d, "layers", "all"); break;
	case 2: option(d, "layers", "%s", rising(d->model->layers)); break;
	default: option(d, "layers", "auto");
	}
	if (way < 3)
		return;
	if (pick(2)) {
		option(d, "by", "cosine");
		if (pick(2))
			option(d, "cosine", "0.%d", 1 + pick(9));
	}
	with_data(d, "texts.tsv");
}

static void draw_prune_tokens(Draw *d)
{
	option(d, "layer", "%s", rising(d->model->layers));
	option(d, "keep", "%s%d", ANY("0.", ""), 1 + pick(6));
}

static void draw_prune_vocab(Draw *d)
{
	const int form = pick(3);
	if (form < 2)
		option(d, "corpus", "corpus.txt");
	if (form > 0)
		option(d, "keep", "%d", 1 + pick(d->model->vocab));
}

static void draw_factorize_embeddings(Draw *d)
{
	option(d, "rank", "%d", 1 + pick(d->model->heads * d->model->size));
}

static void draw_sparsify(Draw *d)
{
	option(d, "sparsity", "%s", ANY("0", "0.2", "0.5", "0.9", "1"));
	if (pick(2))
		option(d, "structure", "%s", ANY("unstructured", "1x4", "4x1", "rows"));
	if (pick(2))
		option(d, "scope", "%s", ANY("matrix", "model"));
	if (pick(3) == 0)
		option(d, "exclude", "%s", ANY("layer.0", "*.ffn.*", "layer.1.attention"));
	if (pick(3))
		return;
	with_data(d, "texts.tsv");
	if (pick(2)) {
		option(d, "refit", "yes");
		if (pick(2))
			option(d, "steps", "%d", 1 + pick(3));
		if (pick(2))
			option(d, "ridge", "0.%d", 1 + pick(30));
	}
}

static void draw_early_exit(Draw *d)
{
	if (pick(2))
		option(d, "layers", "%s", rising(d->model->layers > 1 ? d->model->layers - 1 : 1));
	if (pick(3) == 0)
		option(d, "from", "fit");
	if (pick(2))
		option(d, "pool", "%s", ANY("mean", "first"));
	if (pick(2))
		option(d, "target", "%s", ANY("logits", "labels"));
	option(d, "data", "texts.tsv");
	if (pick(3) == 0)
		option(d, "limit", "%d", 5 + pick(5));
	if (pick(2))
		option(d, "entropy", "0.%d", pick(10));
	else if (pick(2))
		option(d, "held", "texts.tsv");
	if (pick(3) == 0)
		option(d, "max-drop", "%d", pick(60));
	if (pick(3) == 0)
		option(d, "l2", "0.0%d", 1 + pick(9));
}

static void draw_normalize_embeddings(Draw *d)
{
	const char *method = ANY("z-score", "min-max", "all-but-the-top", "unit");
	option(d, "method", "%s", method);
	if (d->model->head != TINY_EMBED || pick(2))
		option(d, "layers", "%s", pick(2) ? "all" : rising(d->model->layers));
	if (!strcmp(method, "unit"))
		return;
	if (!strcmp(method, "all-but-the-top") && pick(2))
		/* of few directions that are left a vector is short, and what a pass rounds grows in it as it is
		 * brought to unit length: three of six taken away made 1e-7 of fuse's weights 2e-4 */
		option(d, "components", "%d", 1 + pick(1 + d->model->heads * d->model->size / 4));
	with_data(d, "texts.tsv");
}

static void draw_ablate_neurons(Draw *d)
{
	const bool listed = pick(2);
	if (listed) {
		option(d, "neurons", "%s", units(d, d->model->heads * d->model->size));
	} else {
		option(d, "which", "%s", ANY("top", "bottom"));
		option(d, "share", "0.%d", pick(10));
	}
	const char *to = ANY("zero", "mean");
	option(d, "to", "%s", to);
	if (!listed || !strcmp(to, "mean"))
		with_data(d, "words.conll");
}

/* ---- storing and computing ------------------------------------------------------------------- */

static void draw_quantize_embeddings(Draw *d) { option(d, "to", "%s", ANY("int8", "int4", "f16", "bf16")); }
static void draw_cast_weights(Draw *d) { option(d, "to", "%s", ANY("f32", "f16", "bf16")); }

static void draw_excluding(Draw *d)
{
	if (pick(3) == 0)
		option(d, "exclude", "%s", ANY("layer.0", "*.ffn.*", "layer.1.attention,head.*", "*"));
}

static void draw_quantize_int8(Draw *d)
{
	const bool constant = pass_takes(d->pass, "method") && pick(2);
	draw_excluding(d);
	if (constant || pick(2))
		option(d, "scheme", "%s", constant ? "static" : "dynamic");
	if (pick(2))
		option(d, "attention", "%s", ANY("bf16", "f32"));
	if (!constant)
		return;
	const char *method = ANY("minmax", "percentile", "mse");
	with_data(d, "texts.tsv");
	option(d, "method", "%s", method);
	if (!strcmp(method, "percentile") && pick(2))
		option(d, "percentile", "%s", ANY("90", "99.9", "100"));
	if (pick(2))
		option(d, "granularity", "%s", ANY("tensor", "channel"));
	if (pick(4) == 0)
		option(d, "scales", "%s", ANY("checkpoint", "data"));
	if (pick(3) == 0)
		option(d, "sensitivity", "%s", ANY("yes", "no"));
	if (pick(3) == 0)
		option(d, "budget", "%d", pick(60));
}

static void draw_fuse(Draw *d)
{
	static const char *const patterns[] = {"activation", "epilogue", "attention", "first-row", "fold-scale",
		"fold-bias", "qkv", "embed-layernorm", "add-layernorm"};
	if (pick(2))
		option(d, "only", "%s,%s", patterns[pick(9)], patterns[pick(9)]);
}

static void draw_chain_rows(Draw *d)
{
	if (pick(3) == 0)
		option(d, "rows", "%d", 16 + pick(200));
}

static void draw_lower(Draw *d)
{
	if (pick(3))
		option(d, "sparse", "%s", ANY("always", "always", "never", "auto"));
	if (pick(4) == 0)
		option(d, "tokens", "%s", ANY("1", "8", "512"));
}

static void draw_plain(Draw *d) { (void)d; }

/* ---- the tables ------------------------------------------------------------------------------ */

/* Parts of a model. FLOW: the activations, which passes measure on data; every lossy pass changes them. */
enum Part {
	P_LAYERS = 1,
	P_BLOCKS = 2,
	P_HEADS = 4,
	P_FFN = 8,
	P_NORMS = 16,
	P_WORDS = 32,
	P_VOCAB = 64,
	P_RESULT = 128,
	P_SELECT = 256,
	P_TOKENS = 512,
	P_EXITS = 1024,
	P_STORE = 2048,
	P_FLOW = 4096
};
static const char *const part_names[] = {"layers", "blocks", "heads", "ffn", "norms", "words", "vocabulary",
	"result", "selection", "tokens", "exits", "storage", "flow"};
enum { PARTS = sizeof part_names / sizeof *part_names };

/* tolerance: largest change by a lossless pass, relative to the largest number if that is above 1. Most
 * lossless passes change no bit. */
static const struct Move {
	const char *pass;
	void (*draw)(Draw *);
	uint32_t writes;
	double tolerance;
} moves[] = {
	{"merge-tasks", draw_plain, 0, 0},
	{"share-weights", draw_plain, 0, 0},
	{"drop-layers", draw_drop_layers, P_LAYERS, 0},
	{"prune-blocks", draw_prune_blocks, P_BLOCKS, 0},
	{"prune-heads", draw_prune_heads, P_HEADS, 0},
	{"prune-ffn", draw_prune_ffn, P_FFN, 0},
	{"hard-attention", draw_hard_attention, P_SELECT, 0},
	{"prune-tokens", draw_prune_tokens, P_TOKENS, 0},
	{"prune-vocab", draw_prune_vocab, P_WORDS | P_VOCAB, 0},
	{"factorize-embeddings", draw_factorize_embeddings, P_WORDS, 0},
	{"sparsify", draw_sparsify, P_HEADS | P_FFN, 0},
	{"early-exit", draw_early_exit, P_EXITS, 0},
	{"normalize-embeddings", draw_normalize_embeddings, P_NORMS | P_RESULT, 0},
	{"ablate-neurons", draw_ablate_neurons, P_NORMS, 0},
	{"quantize-embeddings", draw_quantize_embeddings, P_WORDS, 0},
	{"cast-weights", draw_cast_weights, P_STORE, 0},
	{"canonicalize", draw_plain, 0, 0},
	{"fold-const", draw_plain, 0, 1e-6},
	{"cse", draw_plain, 0, 0},
	{"dce", draw_plain, 0, 0},
	{"fuse", draw_fuse, 0, 1e-5},
	{"quantize-int8", draw_quantize_int8, P_STORE, 0},
	{"compute-bf16", draw_excluding, P_STORE, 0},
	{"lower", draw_lower, 0, 0},
	{"pack-weights", draw_plain, 0, 0},
	{"chain-rows", draw_chain_rows, 0, 0},
	{"plan-memory", draw_plain, 0, 0},
};
enum { MOVES = sizeof moves / sizeof *moves };

/* The parts on which the decisions of a pass depend, if it has this option (NULL: always). */
static const struct Look {
	const char *pass, *key;
	uint32_t reads;
} looks[] = {
	{NULL, "data", P_FLOW},
	{"drop-layers", "strategy", P_LAYERS | P_BLOCKS},
	{"prune-blocks", "keep", P_LAYERS | P_BLOCKS | P_HEADS | P_FFN | P_STORE},
	{"prune-blocks", "share", P_LAYERS | P_BLOCKS | P_HEADS | P_FFN | P_STORE},
	{"prune-heads", "keep", P_STORE},
	{"prune-heads", "share", P_LAYERS | P_BLOCKS | P_STORE},
	{"prune-ffn", "keep", P_STORE},
	{"prune-ffn", "share", P_LAYERS | P_BLOCKS | P_STORE},
	{"factorize-embeddings", NULL, P_STORE | P_VOCAB},
	{"quantize-embeddings", NULL, P_STORE},
	{"sparsify", NULL, P_NORMS | P_STORE},
	{"sparsify", "scope", P_LAYERS | P_BLOCKS},
	/* f32 weights take factors; otherwise factors become ops */
	{"normalize-embeddings", NULL, P_STORE},
	{"ablate-neurons", NULL, P_STORE},
	{"cast-weights", NULL, P_NORMS},
};

static const struct Move *move_of(const PassInfo *pass)
{
	for (int i = 0; i < MOVES; i++)
		if (!strcmp(moves[i].pass, pass->name))
			return &moves[i];
	return NULL;
}

/* Random parameters for a pass; the text is malloc'd. */
static char *draw_pass(const PassInfo *pass, const TinyEncoder *model)
{
	Draw d = {.model = model, .pass = pass};
	d.bytes = (size_t)snprintf(d.text, sizeof d.text, "%s", pass->name);
	move_of(pass)->draw(&d);
	if (strchr(d.text, '{'))
		strcat(d.text, "}");
	return strdup(d.text);
}

static bool item_has(const PassItem *item, const char *key)
{
	for (int i = 0; i < item->noptions; i++)
		if (!strcmp(item->options[i].key, key))
			return true;
	return false;
}

static uint32_t item_reads(const PassItem *item)
{
	uint32_t reads = 0;
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
		if ((!looks[i].pass || !strcmp(looks[i].pass, pass_info[item->pass].name))
			&& (!looks[i].key || item_has(item, looks[i].key)))
			reads |= looks[i].reads;
	return reads;
}

/* True if a pass may change results beyond rounding. cast-weights does by storing fewer bits, but has no
 * flag. */
static bool item_is_lossy(const PassItem *item)
{
	const PassInfo *pass = &pass_info[item->pass];
	return (pass->flags & PASS_NUMBERS)
		|| (!strcmp(pass->name, "cast-weights") && item->noptions
			&& strcmp(item->options[0].value, "f32") != 0);
}

/* True if the decisions of one pass depend on parts that the other changes. In the other order, it may then
 * choose differently. */
static uint32_t items_choose(const PassItem *a, const PassItem *b)
{
	const uint32_t wa = move_of(&pass_info[a->pass])->writes, wb = move_of(&pass_info[b->pass])->writes;
	const uint32_t fa = item_is_lossy(a) ? P_FLOW : 0, fb = item_is_lossy(b) ? P_FLOW : 0;
	return ((wa | fa) & item_reads(b)) | ((wb | fb) & item_reads(a));
}

/* The parts that two passes have in common; 0: they commute. */
static uint32_t items_meet(const PassItem *a, const PassItem *b)
{
	const uint32_t wa = move_of(&pass_info[a->pass])->writes, wb = move_of(&pass_info[b->pass])->writes;
	return (wa & wb) | items_choose(a, b);
}
#endif
