/* chart.c: see chart.h. */
#include <math.h>
#include "compiler/support/files.h"
#include "chart.h"

enum { WIDTH = 640, HEIGHT = 400, LEFT = 64, RIGHT = 16, TOP = 36, BOTTOM = 48, TICKS = 6 };

typedef struct Axis {
	double low, high, step;
} Axis;

void chart_escape(const char *text, FILE *out)
{
	for (; text && *text; text++)
		switch (*text) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\'': fputs("&#39;", out); break;
		default:
			if ((unsigned char)*text >= 0x20) /* XML allows no control characters */
				putc(*text, out);
		}
}

double chart_step(double range, int most)
{
	if (!(range > 0) || !isfinite(range))
		return 1;
	const double rough = range / most, power = pow(10, floor(log10(rough)));
	const double steps[] = {1, 2, 5, 10};
	for (int i = 0; i < 4; i++)
		if (steps[i] * power >= rough * (1 - 1e-9))
			return steps[i] * power;
	return 10 * power;
}

static bool shown(const ChartPoint *p) { return isfinite(p->x) && isfinite(p->y); }

static Axis axis_of(const Chart *chart, bool vertical)
{
	double low = INFINITY, high = -INFINITY;
	for (int32_t i = 0; i < chart->count; i++) {
		const double v = vertical ? chart->points[i].y : chart->points[i].x;
		if (!shown(&chart->points[i]))
			continue;
		low = fmin(low, v);
		high = fmax(high, v);
	}
	if (!(low <= high)) {
		low = 0;
		high = 1;
	}
	if (!vertical && chart->from_zero)
		low = fmin(low, 0);
	if (low == high) {
		low -= 0.5;
		high += 0.5;
	}
	const double step = chart_step(high - low, TICKS);
	return (Axis){floor(low / step) * step, ceil(high / step) * step, step};
}

static double place(const Axis *a, double v, double from, double to)
{
	return from + (v - a->low) / (a->high - a->low) * (to - from);
}
static double px(const Axis *a, double v) { return place(a, v, LEFT, WIDTH - RIGHT); }
static double py(const Axis *a, double v) { return place(a, v, HEIGHT - BOTTOM, TOP); }

static void draw_axes(const Chart *chart, const Axis *x, const Axis *y, FILE *out)
{
	fputs("<g stroke=\"currentColor\" stroke-opacity=\".15\">\n", out);
	for (int i = 0; x->low + i * x->step <= x->high + x->step / 2; i++)
		fprintf(out, "<path d=\"M%.1f %dV%d\"/>\n", px(x, x->low + i * x->step), TOP, HEIGHT - BOTTOM);
	for (int i = 0; y->low + i * y->step <= y->high + y->step / 2; i++)
		fprintf(out, "<path d=\"M%d %.1fH%d\"/>\n", LEFT, py(y, y->low + i * y->step), WIDTH - RIGHT);
	fputs("</g>\n<g fill=\"currentColor\" stroke=\"none\">\n", out);
	for (int i = 0; x->low + i * x->step <= x->high + x->step / 2; i++)
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>\n",
			px(x, x->low + i * x->step), HEIGHT - BOTTOM + 18,
			fabs(x->low + i * x->step) < x->step / 2 ? 0.0 : x->low + i * x->step);
	for (int i = 0; y->low + i * y->step <= y->high + y->step / 2; i++)
		fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n", LEFT - 8,
			py(y, y->low + i * y->step) + 4,
			fabs(y->low + i * y->step) < y->step / 2 ? 0.0 : y->low + i * y->step);
	fprintf(out, "<text x=\"%d\" y=\"20\" font-size=\"15\" font-weight=\"600\">", LEFT);
	chart_escape(chart->title, out);
	fprintf(out, "</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT, HEIGHT - 10);
	chart_escape(chart->x_name, out);
	fprintf(out, "</text>\n<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"end\">", TOP);
	chart_escape(chart->y_name, out);
	fputs("</text>\n</g>\n", out);
}

static void draw_points(const Chart *chart, const Axis *x, const Axis *y, FILE *out)
{
	const char *command = "M";
	fputs("<path fill=\"none\" stroke=\"#2f81f7\" stroke-width=\"1.5\" d=\"", out);
	for (int32_t i = 0; i < chart->count; i++)
		if (chart->points[i].mark != CHART_PLAIN && shown(&chart->points[i])) {
			fprintf(out, "%s%.1f %.1f", command, px(x, chart->points[i].x), py(y, chart->points[i].y));
			command = "L";
		}
	fputs("\"/>\n", out);
	for (int32_t i = 0; i < chart->count; i++) {
		const ChartPoint *p = &chart->points[i];
		if (!shown(p))
			continue;
		if (p->mark == CHART_CHOSEN)
			fprintf(out,
				"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\" fill=\"none\" stroke=\"#d29922\" "
				"stroke-width=\"2\"/>\n",
				px(x, p->x), py(y, p->y));
		fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"%s\"%s><title>", px(x, p->x),
			py(y, p->y), p->mark == CHART_PLAIN ? "2.5" : "4",
			p->mark == CHART_PLAIN ? "currentColor" : "#2f81f7",
			p->mark == CHART_PLAIN ? " fill-opacity=\".45\"" : "");
		chart_escape(p->label, out);
		fputs("</title></circle>\n", out);
	}
}

void chart_scatter(const Chart *chart, FILE *out)
{
	const Axis x = axis_of(chart, false), y = axis_of(chart, true);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"font-family=\"system-ui, sans-serif\" "
		"font-size=\"12\" color=\"#57606a\" aria-label=\"",
		WIDTH, HEIGHT);
	chart_escape(chart->title, out);
	fputs("\">\n", out);
	draw_axes(chart, &x, &y, out);
	draw_points(chart, &x, &y, out);
	fputs("</svg>\n", out);
}
