/* chart.h: charts as SVG, as files of their own or inside a page. */
#ifndef BERTC_CHART_H
#define BERTC_CHART_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum ChartMark { CHART_PLAIN, CHART_FRONT, CHART_CHOSEN } ChartMark;
typedef struct ChartPoint {
	double x, y;
	const char *label; /* any text, shown as a tooltip; NULL: none */
	ChartMark mark;    /* a line joins FRONT points in the order given; a CHOSEN point gets a ring */
} ChartPoint;
typedef struct Chart {
	const char *title, *x_name, *y_name;
	bool from_zero; /* the x axis begins at 0 */
	const ChartPoint *points;
	int32_t count;
} Chart;

/* Writes a scatter chart of 640 by 400 units. Text and axes use currentColor, for light and dark pages. The
 * bytes depend only on the chart. Skips points that are not finite. */
void chart_scatter(const Chart *, FILE *);
/* Writes text escaped for HTML, SVG and attribute values. */
void chart_escape(const char *, FILE *);
/* The smallest round step (1, 2 or 5 times a power of ten) that divides a range into at most `most` parts. */
double chart_step(double range, int most);
#endif
