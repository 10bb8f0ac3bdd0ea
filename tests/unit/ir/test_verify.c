/* test_verify.c: checks of the verifier for graphs that the text parser cannot make. The other checks are
 * tested in tests/verify. */
#include "tests/unit/suite.h"
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"
#include "tests/unit/ir_sample.h"

static void expect_error(const Module *module, const char *want)
{
	Diag diag;
	diag_init(&diag, NULL);
	bool good = module_verify(module, &diag);
	int errors = diag.errors;
	const char *said = diag_text(&diag);
	if (want ? !strstr(said, want) : errors > 0)
		printf("\nverify said: %s  wanted %s\n", said, want ? want : "nothing");
	CU_ASSERT_EQUAL(good, want == NULL);
	CU_ASSERT_EQUAL(errors > 0, want != NULL);
	CU_ASSERT_TRUE(!want || strstr(said, want));
	diag_free(&diag);
}

static void test_verify_lists(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	expect_error(module, NULL);

	nodes[2]->prev = nodes[0];
	expect_error(module, "the list of nodes is broken at add");
	nodes[2]->prev = nodes[1];
	graph->last = nodes[1];
	expect_error(module, "does not end at its last");
	graph->last = nodes[3];
	nodes[3]->next = nodes[3];
	expect_error(module, "the list of nodes is broken at relu");
	nodes[3]->next = NULL;
	nodes[2]->op = (Op)1000;
	expect_error(module, "a node has op 1000");
	nodes[2]->op = OP_ADD;
	nodes[2]->nargs = 17;
	expect_error(module, "17 arguments");
	nodes[2]->nargs = 2;
	nodes[2]->nresults = 0;
	expect_error(module, "0 results");
	nodes[2]->nresults = 1;
	expect_error(module, NULL);
	module_free(module);
}

static void test_verify_values(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	Value *x = nodes[1]->results[0], *sum = nodes[2]->results[0], *y = nodes[3]->results[0], stray = *x;

	nodes[2]->args[1] = &stray;
	expect_error(module, "argument %2 is not defined before it is used");
	nodes[2]->args[1] = y;
	expect_error(module, "argument %4 is not defined before it is used");
	nodes[2]->args[1] = sum;
	expect_error(module, "argument %3 is not defined before it is used");
	nodes[2]->args[1] = NULL;
	expect_error(module, "argument 1 is missing");
	nodes[2]->args[1] = x;
	nodes[2]->results[0] = x;
	expect_error(module, "%2 is defined twice");
	nodes[2]->results[0] = NULL;
	expect_error(module, "result 0 of add is missing");
	nodes[2]->results[0] = sum;
	sum->node = nodes[3];
	expect_error(module, "%3 does not belong to the node that makes it");
	sum->node = nodes[2];
	sum->index = 1;
	expect_error(module, "%3 does not belong");
	sum->index = 0;
	sum->id = x->id;
	expect_error(module, "two values have the id 2");
	sum->id = graph->next_id;
	expect_error(module, "%5 has id 5, ids must be below 5");
	sum->id = 3;
	sum->name = "ids";
	expect_error(module, "two values are called %ids");
	sum->name = "a b";
	expect_error(module, "\"a b\" is not a valid name");
	sum->name = NULL;
	sum->type.rank = 9;
	expect_error(module, "no valid type (rank 9)");
	sum->type.rank = 2;
	sum->type.dim[1].plus = -4;
	expect_error(module, "%3 is f32[S,-4], but dims are numbers");
	sum->type.dim[1].plus = 3;
	sum->type.dim[0].symbol = 2;
	expect_error(module, "%3 is f32[S1,3], but dims are");
	sum->type.dim[0].symbol = 1;
	sum->type.dtype = (DType)50;
	expect_error(module, "no valid type");
	sum->type.dtype = DT_F16;
	expect_error(module, "%3 is declared as f16[S,3], but the op makes f32[S,3]");
	sum->type.dtype = DT_F32;
	expect_error(module, NULL);
	graph->outputs[0].value = &stray;
	expect_error(module, "output hidden is not a value of this graph");
	graph->outputs[0].value = NULL;
	expect_error(module, "output hidden is not a value of this graph");
	graph->outputs[0].value = y;
	graph->outputs[0].name = "a b";
	expect_error(module, "output 0 has no valid name");
	graph->outputs[0].name = NULL;
	expect_error(module, "output 0 has no valid name");
	module_free(module);
}

static void test_verify_data(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);
	Tensor *tensor = (Tensor *)nodes[0]->data;

	tensor->bytes = 31;
	expect_error(module, "tensor table is f16[5,3] but has 31 bytes");
	tensor->bytes = 30;
	tensor->type.dim[0] = S;
	expect_error(module, "tensor table has dims that are not numbers");
	tensor->type.dim[0] = N(0);
	expect_error(module, "tensor table has dims that are not numbers");
	tensor->type.dim[0] = N(DIM_MAX);
	tensor->type.dim[1] = N(DIM_MAX);
	expect_error(module, "but has 30 bytes");
	tensor->type = type_make(DT_F16, 2, N(5), N(3));
	nodes[0]->data = NULL;
	expect_error(module, "has no data");
	nodes[0]->data = tensor;
	nodes[2]->data = tensor;
	expect_error(module, "has data, which only const may have");
	nodes[2]->data = NULL;
	const void *data = tensor->data;
	tensor->data = NULL;
	expect_error(module, "tensor table is");
	tensor->data = data;
	expect_error(module, NULL);
	module_free(module);
}

static void test_verify_module(void)
{
	Graph *graph;
	Node *nodes[4];
	Module *module = sample(&graph, nodes);

	module->name = "a b";
	expect_error(module, "module name \"a b\" is not a valid name");
	module->name = "m";
	module->weights = "../x";
	expect_error(module, "weights \"../x\" is not a plain file name");
	module->weights = NULL;
	module->tokenizer = "..";
	expect_error(module, "tokenizer \"..\" is not a plain file name");
	module->tokenizer = NULL;
	module->max_tokens = -1;
	expect_error(module, "max_tokens is -1, expected a number >= 0");
	module->max_tokens = 0;
	module->ngraphs = 0;
	expect_error(module, "0 graphs");
	module->ngraphs = 1;
	graph->level = (Level)3;
	expect_error(module, "has no valid level (3)");
	graph->level = LEVEL_GRAPH;
	Head *head = module_add_head(module, "embed");
	expect_error(module, "head @embed: the task, the problem, the output");
	*head = (Head){.name = "tags", .task = (Task)40, .output = "hidden"};
	expect_error(module, "head @tags: the task");
	const char *labels[] = {"a", NULL, "c"};
	*head = (Head){.name = "tags", .task = TASK_TAG, .output = "hidden", .nlabels = 3, .labels = labels};
	expect_error(module, "label 1 is longer");
	head->labels[1] = "b";
	expect_error(module, NULL);
	CU_ASSERT_TRUE(graph_new(module, "main") != NULL);
	expect_error(module, "two graphs are called @main");
	module->ngraphs = 1;
	Diag diag;
	diag_init(&diag, NULL);
	CU_ASSERT_TRUE(graph_verify_level(graph, LEVEL_FUSED, &diag));
	graph->level = LEVEL_FUSED;
	CU_ASSERT_FALSE(graph_verify_level(graph, LEVEL_GRAPH, &diag));
	diag_free(&diag);
	module_free(module);
}

int main(void)
{
	static const SuiteTest tests[] = {
		{"lists", test_verify_lists},
		{"values", test_verify_values},
		{"data", test_verify_data},
		{"modules", test_verify_module},
	};
	return SUITE_RUN("verify", tests);
}
