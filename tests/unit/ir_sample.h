/* ir_sample.h: a small module that the tests of graphs and of the verifier change and break. */
#include "module_text.h"
#include <string.h>
#include "ir/ir.h"

#define S dim_symbol(1)
#define N(number) dim_number(number)

/* A module of two nodes: %y = relu(x + x) for x = embed of a constant table. */
static Module *sample(Graph **graph, Node *nodes[4])
{
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_new("sample");
	*graph = graph_new(module, "main");
	Value *ids = graph_add_input(*graph, "ids", type_make(DT_I32, 1, S));
	Tensor *tensor = tensor_new(module, "table", type_make(DT_F16, 2, N(5), N(3)));
	Value *table = graph_const(*graph, NULL, tensor, "embeddings");
	Value *x = graph_emit(*graph, NULL, OP_EMBED, (Value *[]){table, ids}, 2, NULL, "embeddings", &diag);
	Value *sum = graph_emit(*graph, NULL, OP_ADD, (Value *[]){x, x}, 2, NULL, NULL, &diag);
	Value *y = graph_emit(*graph, NULL, OP_RELU, &sum, 1, NULL, NULL, &diag);
	graph_add_output(*graph, "hidden", y);
	nodes[0] = table->node;
	nodes[1] = x->node;
	nodes[2] = sum->node;
	nodes[3] = y->node;
	CU_ASSERT_EQUAL(diag.errors, 0);
	diag_free(&diag);
	return module;
}
