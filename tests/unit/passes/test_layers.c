/* test_layers.c: finds layers and blocks in graphs without origins, in pre-norm encoders, with values shared
 * by all layers, and with gated feed-forward networks. */
#include "tests/unit/whittled.h"
#include "tests/unit/suite.h"
#include "passes/whittle/layers.h"
#include <time.h>

enum { HEADS = 2, SIZE = 3, HIDDEN = HEADS * SIZE, FFN = 5, LAYERS = 3 };

typedef enum Shared { SHARED_NOTHING, SHARED_ROWS, SHARED_BIAS } Shared;
typedef enum Gate { GATE_NONE, GATE_LINEAR, GATE_HALF } Gate;
typedef struct Plan {
	bool pre_norm, named;
	Shared shared;
	Gate gate;
} Plan;

/* ---- an encoder as text ---------------------------------------------------------------------- */

static void put_linear(FILE *out, const char *name, int at, const char *x, int outputs, int inputs)
{
	fprintf(out, "  %%%s%d.w = const rand(%d) : f32[%d,%d]\n  %%%s%d.b = const rand(%d) : f32[%d]\n", name,
		at, 100 * at + name[0], outputs, inputs, name, at, 100 * at + name[0] + 50, outputs);
	fprintf(out, "  %%%s%d = linear %%%s, %%%s%d.w, %%%s%d.b : f32[S,%d]", name, at, x, name, at, name, at,
		outputs);
}

static void put_origin(FILE *out, const Plan *plan, int layer, const char *part)
{
	if (plan->named)
		fprintf(out, "  # layer.%d.%s", layer, part);
	fputc('\n', out);
}

static void put_norm(FILE *out, const Plan *plan, const char *name, int at, const char *x, const char *part)
{
	fprintf(out, "  %%%s%d = layernorm %%%s, %%gamma, %%beta {eps=1e-05} : f32[S,%d]", name, at, x, HIDDEN);
	put_origin(out, plan, at, part);
}

static void put_heads(FILE *out, const Plan *plan, const char *name, int at, bool keys)
{
	fprintf(out, "  %%%sr%d = reshape %%%s%d {shape=[S,%d,%d]} : f32[S,%d,%d]", name, at, name, at, HEADS,
		SIZE, HEADS, SIZE);
	put_origin(out, plan, at, "attention");
	fprintf(out, "  %%%st%d = transpose %%%sr%d {perm=%s} : %s", name, at, name, at,
		keys ? "[1,2,0]" : "[1,0,2]", keys ? "f32[2,3,S]" : "f32[2,S,3]");
	put_origin(out, plan, at, "attention");
}

static void put_attention(FILE *out, const Plan *plan, int at, const char *x)
{
	char reads[32];
	snprintf(reads, sizeof reads, "%s", x);
	if (plan->shared == SHARED_ROWS) {
		fprintf(out, "  %%xp%d = add %%%s, %%places : f32[S,%d]", at, x, HIDDEN);
		put_origin(out, plan, at, "attention");
		snprintf(reads, sizeof reads, "xp%d", at);
	}
	static const char *const names[] = {"q", "k", "v"}, *const parts[] = {"query", "key", "value"};
	for (int i = 0; i < 3; i++) {
		char part[32];
		snprintf(part, sizeof part, "attention.%s", parts[i]);
		put_linear(out, names[i], at, i == 2 ? x : reads, HIDDEN, HIDDEN);
		put_origin(out, plan, at, part);
		put_heads(out, plan, names[i], at, i == 1);
	}
	fprintf(out, "  %%sc%d = matmul %%qt%d, %%kt%d : f32[2,S,S]", at, at, at);
	put_origin(out, plan, at, "attention");
	if (plan->shared == SHARED_BIAS) {
		fprintf(out, "  %%sb%d = add %%sc%d, %%bias : f32[2,S,S]", at, at);
		put_origin(out, plan, at, "attention");
	}
	fprintf(out, "  %%p%d = softmax %%%s%d : f32[2,S,S]", at, plan->shared == SHARED_BIAS ? "sb" : "sc", at);
	put_origin(out, plan, at, "attention");
	fprintf(out, "  %%c%d = matmul %%p%d, %%vt%d : f32[2,S,3]", at, at, at);
	put_origin(out, plan, at, "attention");
	fprintf(out, "  %%ct%d = transpose %%c%d {perm=[1,0,2]} : f32[S,2,3]", at, at);
	put_origin(out, plan, at, "attention");
	fprintf(out, "  %%cj%d = reshape %%ct%d {shape=[S,6]} : f32[S,6]", at, at);
	put_origin(out, plan, at, "attention");
	snprintf(reads, sizeof reads, "cj%d", at);
	put_linear(out, "o", at, reads, HIDDEN, HIDDEN);
	put_origin(out, plan, at, "attention.out");
}

static void put_ffn(FILE *out, const Plan *plan, int at, const char *x)
{
	put_linear(out, "f", at, x, plan->gate == GATE_HALF ? 2 * FFN : FFN, HIDDEN);
	put_origin(out, plan, at, "ffn.in");
	if (plan->gate == GATE_HALF) {
		fprintf(out, "  %%fa%d = slice %%f%d {axis=1 start=0 end=5} : f32[S,5]", at, at);
		put_origin(out, plan, at, "ffn.act");
		fprintf(out, "  %%u%d = slice %%f%d {axis=1 start=5 end=10} : f32[S,5]", at, at);
		put_origin(out, plan, at, "ffn.act");
	} else if (plan->gate == GATE_LINEAR) {
		put_linear(out, "u", at, x, FFN, HIDDEN);
		put_origin(out, plan, at, "ffn.gate");
	}
	fprintf(out, "  %%t%d = tanh %%%s%d : f32[S,5]", at, plan->gate == GATE_HALF ? "fa" : "f", at);
	put_origin(out, plan, at, "ffn.act");
	fprintf(out, "  %%m%d = mul %%t%d, %%%s%d : f32[S,5]", at, at, plan->gate ? "u" : "f", at);
	put_origin(out, plan, at, "ffn.act");
	char reads[32];
	snprintf(reads, sizeof reads, "m%d", at);
	put_linear(out, "g", at, reads, HIDDEN, FFN);
	put_origin(out, plan, at, "ffn.out");
}

/* *x names what the layer reads, and then what it makes. */
static void put_layer(FILE *out, const Plan *plan, int at, char x[32])
{
	char inner[32];
	snprintf(inner, sizeof inner, "%s", x);
	if (plan->pre_norm) {
		put_norm(out, plan, "na", at, x, "attention.norm");
		snprintf(inner, sizeof inner, "na%d", at);
	}
	put_attention(out, plan, at, inner);
	fprintf(out, "  %%s%d = add %%%s, %%o%d : f32[S,6]", at, x, at);
	put_origin(out, plan, at, "attention.residual");
	char sum[32];
	snprintf(sum, sizeof sum, "s%d", at);
	put_norm(out, plan, "nf", at, sum, plan->pre_norm ? "ffn.norm" : "attention.norm");
	snprintf(inner, sizeof inner, "nf%d", at);
	put_ffn(out, plan, at, inner);
	fprintf(out, "  %%h%d = add %%g%d, %%%s : f32[S,6]", at, at, plan->pre_norm ? sum : inner);
	put_origin(out, plan, at, "ffn.residual");
	snprintf(x, 32, "h%d", at);
	if (!plan->pre_norm) {
		put_norm(out, plan, "nh", at, x, "ffn.norm");
		snprintf(x, 32, "nh%d", at);
	}
}

static void put_shared(FILE *out, const Plan *plan)
{
	if (plan->shared == SHARED_NOTHING)
		return;
	fprintf(out, "  %%where = const rand(3) : f32[16,6]\n  %%at = position_ids %%ids : i32[S]\n");
	fprintf(out, "  %%places = embed %%where, %%at : f32[S,6]\n");
	if (plan->shared != SHARED_BIAS)
		return;
	fprintf(out,
		"  %%pr = reshape %%places {shape=[S,2,3]} : f32[S,2,3]\n"
		"  %%pa = transpose %%pr {perm=[1,0,2]} : f32[2,S,3]\n"
		"  %%pb = transpose %%pr {perm=[1,2,0]} : f32[2,3,S]\n"
		"  %%bias = matmul %%pa, %%pb : f32[2,S,S]\n");
}

static Module *planned(const Plan *plan)
{
	char *text = NULL, x[32] = "x";
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	fprintf(out,
		"module @planned max_tokens 16\nhead @classify classify single output=logits "
		"labels=[\"a\", \"b\"]\ngraph @main(%%ids: i32[S]) level=graph {\n");
	fprintf(out,
		"  %%gamma = const rand(1) : f32[6]\n  %%beta = const rand(2) : f32[6]\n"
		"  %%words = const rand(4) : f32[11,6]\n  %%x = embed %%words, %%ids : f32[S,6]\n");
	put_shared(out, plan);
	for (int i = 0; i < LAYERS; i++)
		put_layer(out, plan, i, x);
	fprintf(out, "  %%last = layernorm %%%s, %%gamma, %%beta {eps=1e-05} : f32[S,6]\n", x);
	fprintf(out,
		"  %%cls = pool %%last {mode=first} : f32[6]\n  %%wc = const rand(5) : f32[2,6]\n"
		"  %%logits = linear %%cls, %%wc : f32[2]\n  return logits=%%logits\n}\n");
	fclose(out);
	Module *module = module_of_text(text);
	free(text);
	return module;
}

static void strip(Module *module)
{
	for (Node *node = module->graphs[0]->first; node; node = node->next)
		node_set_origin(module->graphs[0], node, NULL);
}

/* Both come to the same graph. */
static void same_by_structure(const Module *named_one, const char *pipeline)
{
	const Node *where = NULL;
	Module *a = module_copy(named_one), *b = module_copy(named_one);
	strip(b);
	runs(pipeline, a);
	runs(pipeline, b);
	const bool same = graph_equal(a->graphs[0], b->graphs[0], &where);
	if (!same)
		printf("\n%s differs at %s\n", pipeline, where && where->origin ? where->origin : "?");
	CU_ASSERT_TRUE(same);
	CU_ASSERT_FALSE(graph_equal(a->graphs[0], named_one->graphs[0], &where));
	module_free(a);
	module_free(b);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The layer found for each op is that of its former origin. */
static void test_names(void)
{
	for (int i = 0; i < 18; i++) {
		const Plan plan = {i % 2, true, i / 2 % 3, i / 6};
		Module *module = planned(&plan), *bare = module_copy(module);
		strip(bare);
		const char *why = layers_infer(bare->graphs[0]);
		if (why)
			printf("\npre_norm %d shared %d gate %d: %s\n", plan.pre_norm, plan.shared, plan.gate, why);
		CU_ASSERT_PTR_NULL(why);
		const Node *a = module->graphs[0]->first, *b = bare->graphs[0]->first;
		for (; a; a = a->next, b = b->next) {
			const bool right = node_layer(a) == node_layer(b)
				&& (a->op == OP_CONST || a->place.part == b->place.part || a->place.layer < 0
					|| plan.shared == SHARED_BIAS);
			if (!right)
				printf("\n%s became %s\n", a->origin ? a->origin : "-", b->origin ? b->origin : "-");
			CU_ASSERT_TRUE(right);
		}
		module_free(module);
		module_free(bare);
	}
}

static const char *const whittling[] = {
	"drop-layers{strategy=top keep=2}",
	"drop-layers{strategy=contribution keep=1 data=texts.tsv}",
	"drop-layers{layers=0,2},drop-layers{layers=2}",
	"prune-heads{keep=1}",
	"prune-heads{keep=1 by=reconstruction data=texts.tsv}",
	"prune-ffn{keep=3}",
	"prune-ffn{share=0.5 by=activation data=texts.tsv}",
	"prune-blocks{blocks=0.ffn,2.attention}",
	"prune-blocks{keep=3 by=magnitude}",
	"sparsify{sparsity=0.5 scope=model}",
	"prune-tokens{layer=1 keep=0.5}",
	"early-exit{layers=0,1 data=texts.tsv limit=4 entropy=0.3}",
	"hard-attention{k=1 layers=1}",
	"ablate-neurons{neurons=1.2}",
	"normalize-embeddings{method=z-score layers=1 data=texts.tsv}",
};

static void test_passes(void)
{
	for (int i = 0; i < 6; i++) {
		const Plan plan = {i % 2, true, SHARED_NOTHING, i / 2};
		Module *module = planned(&plan);
		for (size_t k = 0; k < sizeof whittling / sizeof *whittling; k++)
			same_by_structure(module, whittling[k]);
		module_free(module);
	}
	for (TinyAct act = 0; act < TINY_ACTS; act++) {
		TinyEncoder e = tiny;
		e.act = act;
		Module *module = encoder(&e);
		same_by_structure(module, "prune-ffn{keep=2},drop-layers{strategy=bottom keep=2}");
		module_free(module);
	}
}

/* ---- values that layers share ---------------------------------------------------------------- */

static void test_shared(void)
{
	for (int i = 0; i < 8; i++) {
		const Plan plan = {i % 2, i / 2 % 2, i / 4 ? SHARED_BIAS : SHARED_ROWS, GATE_NONE};
		Module *module = planned(&plan);
		Module *dropped = module_copy(module), *thinned = module_copy(module);
		runs("drop-layers{strategy=bottom keep=1}", dropped);
		CU_ASSERT_TRUE(difference(module, dropped) > 1e-6);
		Layers layers;
		Diag diag;
		diag_init(&diag, NULL);
		CU_ASSERT_TRUE_FATAL(layers_find(dropped->graphs[0], "test", &layers, &diag));
		CU_ASSERT_EQUAL(layers.count, 1);
		CU_ASSERT_EQUAL(layers.at[0].number, 2);
		CU_ASSERT_EQUAL(layers.at[0].nshared, 1);
		diag_free(&diag);
		/* rows by position can be made again after an exit, a bias with two axes of tokens cannot */
		char *message = run("early-exit{layers=0 data=texts.tsv limit=4}", module);
		CU_ASSERT_PTR_NOT_NULL_FATAL(message);
		CU_ASSERT_PTR_NOT_NULL(strstr(message, plan.shared == SHARED_BIAS ? "%bias" : "too few texts"));
		free(message);
		message = run("prune-tokens{layer=0,1 keep=0.9,0.9}", thinned);
		if (plan.shared == SHARED_ROWS) {
			CU_ASSERT_PTR_NULL(message);
			CU_ASSERT_TRUE(difference(module, thinned) < 10);
		} else {
			CU_ASSERT_PTR_NOT_NULL(message);
		}
		free(message);
		if (plan.shared == SHARED_BIAS) { /* a matrix of each head, which is not the layer's */
			Module *heads = module_copy(module);
			runs("prune-heads{keep=1}", heads);
			CU_ASSERT_TRUE(difference(module, heads) < 1e-12);
			module_free(heads);
		}
		module_free(module);
		module_free(dropped);
		module_free(thinned);
	}
}

/* Heads go with their rows of tables by distance; they stay where a matrix has numbers for each. */
static void test_biases_by_head(void)
{
	for (TinyBias bias = TINY_UNBIASED; bias < TINY_BIASES; bias++) {
		TinyEncoder e = tiny;
		e.bias = bias;
		Module *module = encoder(&e), *pruned = module_copy(module);
		runs("prune-heads{keep=1}", pruned);
		CU_ASSERT_EQUAL(difference(module, pruned) > 1e-9, bias != TINY_DENSE);
		module_free(pruned);
		module_free(module);
	}
}

/* If all tokens are kept, the model does not change, including shared rows. */
static void test_shared_kept(void)
{
	const Plan plan = {true, true, SHARED_ROWS, GATE_NONE};
	Module *module = planned(&plan), *thinned = module_copy(module);
	runs("prune-tokens{layer=0,1 keep=16,1.0}", thinned);
	CU_ASSERT_TRUE(difference(module, thinned) < 1e-12);
	module_free(module);
	module_free(thinned);
}

/* ---- gates ----------------------------------------------------------------------------------- */

/* A neuron whose column of out is zero can go, and nothing changes; one whose gate is gone likewise. */
static void test_dead_neuron(void)
{
	for (int i = 0; i < 6; i++) {
		const Plan plan = {i % 2, true, SHARED_NOTHING, i / 2};
		Module *module = planned(&plan);
		const Tensor *out = value_tensor(named(module->graphs[0], "g1.w"));
		for (int n = 0; n < HIDDEN; n++) {
			tensor_set((Tensor *)(uintptr_t)out, n * FFN + 1, 0);
			tensor_set((Tensor *)(uintptr_t)out, n * FFN + 4, 0);
		}
		Module *pruned = module_copy(module), *other = module_copy(module);
		runs("prune-ffn{neurons=1.1,1.4}", pruned);
		CU_ASSERT_TRUE(difference(module, pruned) < 1e-12);
		runs("prune-ffn{neurons=1.0}", other);
		CU_ASSERT_TRUE(difference(module, other) > 1e-9);
		const Node *in = named(pruned->graphs[0], "f1")->node, *last = named(pruned->graphs[0], "g1")->node;
		CU_ASSERT_EQUAL(in->args[1]->type.dim[0].plus, plan.gate == GATE_HALF ? 6 : 3);
		CU_ASSERT_EQUAL(in->args[2]->type.dim[0].plus, plan.gate == GATE_HALF ? 6 : 3);
		CU_ASSERT_EQUAL(last->args[1]->type.dim[1].plus, 3);
		if (plan.gate == GATE_LINEAR)
			CU_ASSERT_EQUAL(named(pruned->graphs[0], "u1")->node->args[1]->type.dim[0].plus, 3);
		Module *twice = module_copy(pruned);
		runs("prune-ffn{neurons=1.2}", twice);
		CU_ASSERT_TRUE(module_verify(twice, &(Diag){0}));
		module_free(twice);
		module_free(module);
		module_free(pruned);
		module_free(other);
	}
}

/* The least magnitude of a gated network is that of both linears: a neuron whose gate is zero goes first. */
static void test_gate_magnitude(void)
{
	for (Gate gate = GATE_LINEAR; gate <= GATE_HALF; gate++) {
		const Plan plan = {false, true, SHARED_NOTHING, gate};
		Module *module = planned(&plan);
		const char *weight = gate == GATE_HALF ? "f0.w" : "u0.w", *bias = gate == GATE_HALF ? "f0.b" : "u0.b";
		const int row = gate == GATE_HALF ? FFN + 3 : 3;
		Tensor *w = (Tensor *)(uintptr_t)value_tensor(named(module->graphs[0], weight));
		for (int k = 0; k < HIDDEN; k++)
			tensor_set(w, row * HIDDEN + k, 0);
		tensor_set((Tensor *)(uintptr_t)value_tensor(named(module->graphs[0], bias)), row, 0);
		Module *pruned = module_copy(module), *listed = module_copy(module);
		runs("prune-ffn{keep=4}", pruned);
		runs("prune-ffn{neurons=0.3}", listed);
		CU_ASSERT_TRUE(difference(module, listed) < 1e-12);
		const Tensor *a = value_tensor(named(pruned->graphs[0], "g0")->node->args[1]),
					 *b = value_tensor(named(listed->graphs[0], "g0")->node->args[1]);
		CU_ASSERT_TRUE(tensor_equal(a, b));
		module_free(module);
		module_free(pruned);
		module_free(listed);
	}
}

/* ---- graphs that are not clear --------------------------------------------------------------- */

static Module *parsed(const char *body)
{
	char text[4096];
	snprintf(text, sizeof text,
		"module @m\ngraph @main(%%ids: i32[S]) level=graph {\n  %%t = const rand(1) : f32[9,4]\n  %%w = "
		"const "
		"rand(2) : f32[4,4]\n  %%x = embed %%t, %%ids : f32[S,4]\n%s}\n",
		body);
	return module_of_text(text);
}

static void test_unclear(void)
{
	static const struct {
		const char *body, *why;
	} cases[] = {
		{"  %y = tanh %x : f32[S,4]\n  return y=%y\n", "no residual block"},
		{"  %a = relu %x : f32[S,4]\n  %l = linear %a, %w : f32[S,4]\n  %y = add %l, %x : f32[S,4]\n"
		 "  return y=%y\n",
			"has a softmax in it"},
		{"  %a = softmax %x : f32[S,4]\n  %l = linear %a, %w : f32[S,4]\n  %y = add %l, %x : f32[S,4]\n"
		 "  %b = tanh %x : f32[S,4]\n  %c = softmax %b : f32[S,4]\n  %m = linear %c, %w : f32[S,4]\n"
		 "  %z = add %m, %b : f32[S,4]\n  return y=%y, z=%z\n",
			"two chains"},
		{"  %a = softmax %x : f32[S,4]\n  %l = linear %a, %w : f32[S,4]\n  %y = add %l, %x : f32[S,4]\n"
		 "  %m = linear %y, %w : f32[S,4]\n  %z = add %m, %y : f32[S,4]\n"
		 "  %n = tanh %y : f32[S,4]\n  %o = linear %n, %w : f32[S,4]\n  %u = add %o, %y : f32[S,4]\n"
		 "  return z=%z, u=%u\n",
			"two residual blocks continue the same block"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Module *module = parsed(cases[i].body);
		const char *why = layers_infer(module->graphs[0]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(why);
		if (!strstr(why, cases[i].why))
			printf("\n%s, expected %s\n", why, cases[i].why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, cases[i].why));
		for (const Node *node = module->graphs[0]->first; node; node = node->next)
			CU_ASSERT_PTR_NULL(node->origin);
		module_free(module);
	}
}

/* Attention of an unknown form is still a layer's: whole layers can go, heads cannot. */
static void test_unknown_attention(void)
{
	Module *module = parsed("  %a = softmax %x : f32[S,4]\n  %l = linear %a, %w : f32[S,4]\n"
							"  %y = add %l, %x : f32[S,4]\n  %b = softmax %y : f32[S,4]\n"
							"  %m = linear %b, %w : f32[S,4]\n  %z = add %m, %y : f32[S,4]\n  return z=%z\n");
	Module *dropped = module_copy(module);
	runs("drop-layers{layers=1}", dropped);
	CU_ASSERT_EQUAL(named(dropped->graphs[0], "b")->node->args[0]->node->op, OP_EMBED);
	runs("prune-heads{keep=1}", module);
	CU_ASSERT_STRING_EQUAL(named(module->graphs[0], "m")->node->origin, "layer.1.attention.out");
	module_free(module);
	module_free(dropped);
}

/* Candidates that are not blocks, each as long as the graph: the backward search is bounded. */
static void test_hostile(void)
{
	enum { OPS = 20000 };
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	fprintf(out,
		"module @m\ngraph @main(%%ids: i32[S]) level=graph {\n  %%t = const rand(1) : f32[9,4]\n"
		"  %%w = const rand(2) : f32[4,4]\n  %%x = embed %%t, %%ids : f32[S,4]\n"
		"  %%r0 = tanh %%x : f32[S,4]\n");
	for (int i = 1; i < OPS; i++)
		fprintf(out,
			"  %%l%d = linear %%r%d, %%w : f32[S,4]\n  %%a%d = add %%l%d, %%x : f32[S,4]\n"
			"  %%r%d = tanh %%a%d : f32[S,4]\n",
			i, i - 1, i, i, i, i);
	fprintf(out, "  return y=%%r%d\n}\n", OPS - 1);
	fclose(out);
	Module *module = module_of_text(text);
	const clock_t start = clock();
	CU_ASSERT_PTR_NOT_NULL(layers_infer(module->graphs[0]));
	CU_ASSERT_TRUE((double)(clock() - start) / CLOCKS_PER_SEC < 20);
	module_free(module);
	free(text);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"names", test_names},
		{"passes", test_passes},
		{"shared", test_shared},
		{"biases by head", test_biases_by_head},
		{"shared kept", test_shared_kept},
		{"dead neuron", test_dead_neuron},
		{"gate magnitude", test_gate_magnitude},
		{"unclear", test_unclear},
		{"unknown attention", test_unknown_attention},
		{"hostile", test_hostile},
	};
	return SUITE_RUN("layers", tests);
}
