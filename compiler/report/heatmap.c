/* heatmap.c: draws the neurons or heads of each layer as cells of an SVG image. The tooltip of a cell has its
 * value. */
#include <math.h>
#include "compiler/support/files.h"
#include "compiler/measure/neurons.h"

enum { COLUMNS = 48, CELL = 10, TOP = 40, LABEL = 64 };

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		case '"': fputs("&quot;", out); break;
		default:
			if ((unsigned char)*text >= ' ')
				putc(*text, out);
		}
}

static void print_layer(FILE *out, const Neurons *n, int32_t layer, int y, int cell, const char *unit,
	const double *values, double largest)
{
	fprintf(out, "<text x=\"8\" y=\"%d\">layer %d</text>\n", y + 10, n->at[layer]);
	for (int32_t i = 0; i < n->width; i++) {
		const double value = values[(int64_t)layer * n->width + i], share = largest > 0 ? value / largest : 0;
		/* white to dark blue, by the square root of the value, because most values are small */
		fprintf(out,
			"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"hsl(215,70%%,%.0f%%)\"><title>%s "
			"%d.%d: %.4g</title></rect>\n",
			LABEL + i % COLUMNS * cell, y + i / COLUMNS * cell, cell - 1, cell - 1,
			97 - 75 * sqrt(share > 0 ? share : 0), unit, n->at[layer], i, value);
	}
}

bool heatmap_write(
	const char *path, const char *title, const char *unit, const Neurons *n, const double *values, Diag *diag)
{
	AtomicFile file;
	double largest = 0;
	const int cell = n->width < COLUMNS ? 3 * CELL : CELL, columns = n->width < COLUMNS ? n->width : COLUMNS;
	const int block = (n->width + COLUMNS - 1) / COLUMNS * cell + 8;
	if (!atomic_open(&file, path, diag))
		return false;
	for (int64_t i = 0; i < (int64_t)n->layers * n->width; i++)
		largest = values[i] > largest ? values[i] : largest;
	fprintf(file.stream,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
		"font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"8\" y=\"22\" font-size=\"14\">",
		LABEL + (columns * cell > 480 ? columns * cell : 480) + 8, TOP + n->layers * block);
	print_escaped(file.stream, title);
	fprintf(file.stream, " (darkest: %.4g)</text>\n", largest);
	for (int32_t layer = 0; layer < n->layers; layer++)
		print_layer(file.stream, n, layer, TOP + layer * block, cell, unit, values, largest);
	fputs("</svg>\n", file.stream);
	return atomic_commit(&file, diag);
}
