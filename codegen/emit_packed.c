/* emit_packed.c: --pack=small: chooses the constants to entropy code (pack.c), and writes the glue that
 * decodes them once, before the first context (runtime/unpack.c). They are decoded into static memory of the
 * program. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "emit.h"
#include "pack.h"

void emit_packed_constants(Emitter *e)
{
	for (int32_t g = 0; g < e->module->ngraphs; g++)
		for (const Node *node = e->module->graphs[g]->first; node; node = node->next) {
			const int32_t at = node_weight(node);
			if (at < 0 || !(node->attr.has & A_panel))
				continue;
			const Value *weight = node->args[at];
			const Type *x = &node->args[0]->type;
			const bool sparse = weight->type.rank == 1;
			RtPacked shape = {.word = dtype_bytes[weight->type.dtype]};
			if (sparse) {
				shape.word = x->dtype == DT_I8 ? 1 : 4;
				shape.outputs = (int32_t)node->attr.width;
				shape.words = (int32_t)sparse_words(x->dim[x->rank - 1].plus, x->dtype);
			}
			weights_place_coded(&e->weights, value_tensor(weight), &shape);
		}
}

void emit_packed_tables(const Emitter *e, FILE *c)
{
	const Weights *w = &e->weights;
	const char *name = e->options->name;
	if (!w->npacked)
		return;
	fprintf(c,
		"\n/* ==== weights that are decoded at the start */\n"
		"static unsigned char %s_unpacked[%zu] __attribute__((aligned(4096)));\n"
		"static const RtPacked %s_packed[] = {\n",
		name, w->decoded_bytes, name);
	for (int32_t i = 0; i < w->npacked; i++) {
		const RtPacked *p = &w->packed[i];
		fprintf(c, "\t{%zu, %zu, %zu, %zu, %d, %d, %d, %d, 0x%llxu},\n", p->from, p->from_bytes, p->to,
			p->to_bytes, (int)p->outputs, (int)p->words, (int)p->order, (int)p->word,
			(unsigned long long)p->hash);
	}
	fprintf(c,
		"};\nstatic RtUnpack %s_unpack_state = {.packed = %s_packed, .npacked = %d, .from = %s_blob, "
		".from_bytes = %zu,\n"
		"\t.to = %s_unpacked, .to_bytes = %zu};\n",
		name, name, (int)w->npacked, name, w->coded_bytes, name, w->decoded_bytes);
	fprintf(c,
		"static void %s_unpack_once(void) { rt_unpack(&%s_unpack_state); }\n"
		"static int %s_unpack(void)\n{\n\tstatic pthread_once_t once = PTHREAD_ONCE_INIT;\n"
		"\tpthread_once(&once, %s_unpack_once);\n\treturn %s_unpack_state.status;\n}\n",
		name, name, name, name, name);
}

/* Decodes everything as the program will. Returns the time in seconds. */
static double decode(const Weights *w, bool *good)
{
	static UnpackTable tables[UNPACK_TABLES_MAX];
	struct timespec begin, end;
	uint8_t *to = checked_malloc(w->decoded_bytes);
	*good = true;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int32_t i = 0; i < w->npacked && *good; i++)
		*good = unpack_constant(
			&w->packed[i], w->blob.data + w->packed[i].from, to + w->packed[i].to, tables);
	clock_gettime(CLOCK_MONOTONIC, &end);
	free(to);
	return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

/* The size of the weights in f32. */
static double f32_bytes(const Weights *w)
{
	double elements = 0;
	for (const RtPacked *p = w->packed; p < w->packed + w->npacked; p++)
		elements += p->outputs ? (double)p->outputs * p->words * (UNPACK_WORD / p->word)
							   : (double)p->to_bytes / p->word;
	return 4 * elements;
}

bool emit_packed_report(const Emitter *e)
{
	const Weights *w = &e->weights;
	bool good = true;
	if (!w->npacked) {
		diag_note(e->diag, 0,
			"--pack=small: no linear's weights shrink by an eighth or more; all are stored as they are");
		return true;
	}
	const double seconds = decode(w, &good);
	if (!good)
		return diag_error(e->diag, EXIT_RUN, 0, "--pack=small: decoding does not restore the weights");
	if (!e->options->quiet)
		diag_note(e->diag, 0,
			"--pack=small: the weights of %d linears, %.3f MB in f32, take %.3f MB in the program; "
			"at its start they are decoded to %.3f MB of memory (%.1f ms here)",
			(int)w->npacked, f32_bytes(w) * 1e-6, (double)w->coded_bytes * 1e-6,
			(double)w->decoded_bytes * 1e-6, seconds * 1e3);
	return true;
}
