/* checkpoint_tensors.c: the tensors that --emit=checkpoint writes: the graph's constants in the form in which
 * the checkpoint had them, and those that the graph does not read. */
#include <string.h>
#include "checkpoint.h"

static const char *new_name(const Writer *w, const char *name)
{
	const char *digits;
	const int64_t number = family_layer(w->desc->family, name, &digits);
	for (int32_t i = 0; number >= 0 && i < w->nstored; i++)
		if (w->stored[i] == number)
			return mem_printf(
				w->mem, "%.*s%d%s", (int)(digits - name), name, i, digits + strspn(digits, "0123456789"));
	return name;
}

static bool add_tensor(Writer *w, const Tensor *tensor, const char *source)
{
	const char *name = new_name(w, source);
	for (int32_t i = 0; i < w->ntensors; i++)
		if (strcmp(w->tensors[i]->name, name) == 0)
			return tensor_equal(w->tensors[i], tensor)
				|| REFUSE(w,
					"%s is read at two places, and a pass changed it at one of them, but the checkpoint has "
					"it once; leave that linear out of the pass (exclude=), or the pass",
					source);
	Tensor *view = mem_alloc(w->mem, sizeof *view);
	*view = *tensor;
	view->name = name;
	w->sources[w->ntensors] = source;
	w->tensors[w->ntensors++] = view;
	return true;
}

/* The constant that is this part of the tensor; NULL: no op reads it any more. */
static const Tensor *find_part(const Writer *w, const char *source, int32_t part)
{
	for (const Node *node = w->graph->first; node; node = node->next)
		if (node->op == OP_CONST && node->data->parts && node->data->part == part
			&& strcmp(node->data->source, source) == 0)
			return node->data;
	return NULL;
}

/* Adds the tensor of which `first` is part 0: all its parts, one below the other, as a whole or in every
 * head.
 */
static bool add_joined(Writer *w, const Tensor *first)
{
	const Tensor *part = first;
	Type type = first->type;
	for (int32_t i = 1; i < first->parts; i++) {
		part = find_part(w, first->source, i);
		if (!part || part->type.dtype != type.dtype || part->type.rank != type.rank)
			return REFUSE(w, "only a part of %s is left, which transformers' %s has as a whole",
				first->source, w->desc->family->model_type);
		type.dim[0].plus += part->type.dim[0].plus;
	}
	Tensor *whole = tensor_new(w->loaded->module, first->source, type);
	uint8_t *to = (uint8_t *)(uintptr_t)whole->data;
	const int32_t turns = first->heads ? first->heads : 1;
	for (int32_t i = 0; i < turns * first->parts; i++) {
		part = find_part(w, first->source, i % first->parts);
		const int64_t bytes = part->bytes / turns;
		memcpy(to, (const uint8_t *)part->data + i / first->parts * bytes, (size_t)bytes);
		to += bytes;
	}
	return add_tensor(w, whole, first->source);
}

/* Adds a tensor of heads that were repeated: each of them once. A pass may have changed the copies apart. */
static bool add_unrepeated(Writer *w, const Tensor *repeated)
{
	Type type = repeated->type;
	type.dim[0].plus /= repeated->repeats;
	Tensor *once = tensor_new(w->loaded->module, repeated->source, type);
	const int64_t bytes = once->bytes / repeated->heads;
	const uint8_t *from = repeated->data;
	for (int32_t head = 0; head < repeated->heads; head++) {
		memcpy((uint8_t *)(uintptr_t)once->data + head * bytes, from, (size_t)bytes);
		for (int32_t i = 1; i < repeated->repeats; i++)
			if (memcmp(from, from + i * bytes, (size_t)bytes) != 0)
				return REFUSE(w, "%s is shared by %d heads, whose copies now differ", repeated->source,
					repeated->repeats);
		from += repeated->repeats * bytes;
	}
	return add_tensor(w, once, repeated->source);
}

/* Adds a tensor whose heads have an axis of their own in the checkpoint (compiler/model/headed.c), or whose
 * rows are columns there. */
static bool add_headed(Writer *w, const Tensor *tensor, const char *source)
{
	Type type = module_find_tensor(w->loaded->module, source)->type;
	type.dtype = tensor->type.dtype;
	if (type_count(&type) != type_count(&tensor->type))
		return REFUSE(w, "%s has another size, which transformers' %s cannot read", source,
			w->desc->family->model_type);
	Tensor *stored = tensor_new(w->loaded->module, source, type);
	const int64_t rows = tensor->turned ? tensor->type.dim[0].plus : 1, columns = type_count(&type) / rows,
				  bytes = dtype_bytes[type.dtype];
	for (int64_t i = 0; i < rows; i++)
		for (int64_t k = 0; k < columns; k++)
			memcpy((uint8_t *)(uintptr_t)stored->data + (k * rows + i) * bytes,
				(const uint8_t *)tensor->data + (i * columns + k) * bytes, (size_t)bytes);
	return add_tensor(w, stored, source);
}

/* Adds the blocks of the diagonal of a grouped linear's weight (compiler/model/grouped.c). */
static bool add_grouped(Writer *w, const Tensor *tensor, const char *source)
{
	const int64_t rows = tensor->type.dim[0].plus, columns = tensor->type.dim[1].plus,
				  groups = tensor->groups;
	const int64_t width = columns / groups, bytes = dtype_bytes[tensor->type.dtype];
	bool outside = rows % groups != 0 || columns % groups != 0;
	for (int64_t row = 0; row < rows && !outside; row++)
		for (int64_t k = 0; k < columns && !outside; k++)
			outside = k / width != row / (rows / groups) && tensor_at(tensor, row * columns + k) != 0;
	if (outside)
		return REFUSE(w, "%s no longer has %jd equal groups, which transformers' %s expects", source,
			(intmax_t)groups, w->desc->family->model_type);
	const int64_t height = rows / groups;
	const DType dtype = tensor->type.dtype;
	Tensor *stored = tensor_new(w->loaded->module, source,
		tensor->turned ? type_make(dtype, 3, dim_number(groups), dim_number(width), dim_number(height))
					   : type_make(dtype, 3, dim_number(rows), dim_number(width), dim_number(1)));
	for (int64_t row = 0; row < rows; row++)
		for (int64_t k = 0; k < width; k++) {
			const int64_t group = row / height,
						  at = tensor->turned ? (group * width + k) * height + row % height : row * width + k;
			memcpy((uint8_t *)(uintptr_t)stored->data + at * bytes,
				(const uint8_t *)tensor->data + (row * columns + group * width + k) * bytes, (size_t)bytes);
		}
	return add_tensor(w, stored, source);
}

/* Adds the taps of a convolution, which stand side by side (compiler/families/deberta_v2.c). */
static bool add_convolution(Writer *w, const Tensor *tensor, const char *source)
{
	Type type = module_find_tensor(w->loaded->module, source)->type;
	type.dtype = tensor->type.dtype;
	const int64_t rows = type.dim[0].plus, width = type.dim[1].plus, taps = tensor->taps,
				  columns = width * tensor->groups, height = rows / tensor->groups;
	Tensor *stored = tensor_new(w->loaded->module, source, type);
	bool fits = tensor->type.dim[0].plus == rows && tensor->type.dim[1].plus == taps * columns;
	for (int64_t i = 0; fits && i < rows * taps * columns; i++) {
		const int64_t row = i / columns / taps, tap = i / columns % taps,
					  column = i % columns - row / height * width;
		const bool inside = column >= 0 && column < width;
		if (inside)
			tensor_set(stored, (row * width + column) * taps + tap, tensor_at(tensor, i));
		fits = inside || tensor_at(tensor, i) == 0;
	}
	return fits ? add_tensor(w, stored, source)
				: REFUSE(w, "%s no longer has the form that transformers' %s expects", source,
					  w->desc->family->model_type);
}

static bool has_source(const Writer *w, const char *name)
{
	for (int32_t i = 0; i < w->ntensors; i++)
		if (strcmp(w->sources[i], name) == 0)
			return true;
	return false;
}

/* True for a copy of a tensor that the graph reads: the decoder of a tied masked language model, or its bias.
 * transformers ties what is left out. A copy that a pass has not changed too would no longer be tied. */
static bool is_tied_copy(const Writer *w, const Tensor *tensor)
{
	if (w->desc->untied || !family_is_decoder(w->desc->family, tensor->name))
		return false;
	for (int32_t i = 0; i < w->ntensors; i++) {
		const Tensor *read = module_find_tensor(w->loaded->module, w->sources[i]);
		if (read != tensor && tensor_equal(read, tensor))
			return true;
	}
	return false;
}

/* True for the number of a layer, or of a group of layers, that is left, and for -1. */
static bool remains(const Writer *w, int64_t number)
{
	bool left = number < 0;
	for (int32_t i = 0; i < w->nstored; i++)
		left |= w->stored[i] == number;
	return left;
}

/* True for a tensor that the graph does not read: a head for another task, a buffer. If the word table has
 * shrunk, tensors with one row or column per old word no longer fit. */
static bool is_carried_over(const Writer *w, const Tensor *tensor)
{
	const Type *type = &tensor->type;
	const bool by_word = type->rank > 0
		&& (type->dim[0].plus == w->desc->vocab || type->dim[type->rank - 1].plus == w->desc->vocab);
	const char *digits;
	return remains(w, family_layer(w->desc->family, tensor->name, &digits)) && !has_source(w, tensor->name)
		&& !(by_word && w->vocab != w->desc->vocab) && !is_tied_copy(w, tensor);
}

bool checkpoint_collect(Writer *w)
{
	const Module *module = w->loaded->module;
	for (const Node *node = w->graph->first; node; node = node->next)
		w->room += node->op == OP_CONST;
	for (int32_t f = 0; f < module->nfiles; f++)
		w->room += tensor_file_count(module->files[f]);
	w->tensors = mem_alloc(w->mem, (size_t)w->room * sizeof *w->tensors);
	w->sources = mem_alloc(w->mem, (size_t)w->room * sizeof *w->sources);
	for (const Node *node = w->graph->first; node; node = node->next) {
		if (node->op != OP_CONST)
			continue;
		const Tensor *tensor = node->data;
		const char *source = tensor->source ? tensor->source : tensor->name;
		const bool first = tensor->part == 0;
		if (!source || !module_find_tensor(module, source) || !first)
			continue;
		bool added;
		if (tensor->parts)
			added = add_joined(w, tensor);
		else if (tensor->heads)
			added = add_unrepeated(w, tensor);
		else if (tensor->taps)
			added = add_convolution(w, tensor, source);
		else if (tensor->groups)
			added = add_grouped(w, tensor, source);
		else if (tensor->turned || tensor->type.rank != module_find_tensor(module, source)->type.rank)
			added = add_headed(w, tensor, source);
		else
			added = add_tensor(w, tensor, source);
		if (!added)
			return false;
	}
	const int32_t used = w->ntensors;
	for (int32_t f = 0; f < module->nfiles; f++)
		for (int32_t t = 0; t < tensor_file_count(module->files[f]); t++) {
			const Tensor *tensor = tensor_file_get(module->files[f], t);
			if (is_carried_over(w, tensor) && !add_tensor(w, tensor, tensor->name))
				return false;
		}
	return used > 0;
}
