/* chart.h: charts as SVG, for files that stand alone and for pages that they are put into. */
#ifndef BERTC_CHART_H
#define BERTC_CHART_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum ChartMark { CHART_PLAIN, CHART_FRONT, CHART_CHOSEN } ChartMark;
typedef struct ChartPoint {
	double x, y;
	const char *label; /* any text: shown when pointed at; NULL: none */
	ChartMark mark;    /* fronts are joined by a line, in the order given; what is chosen gets a ring */
} ChartPoint;
typedef struct Chart {
	const char *title, *x_name, *y_name;
	bool from_zero; /* the x axis begins at 0 */
	const ChartPoint *points;
	int32_t count;
} Chart;

/* A scatter chart, 640 by 400 units. Colours are those of the text around it (currentColor), so it is light
 * and dark. The bytes depend on nothing but the chart. Points that are not finite are left out. */
void chart_scatter(const Chart *, FILE *);
/* Text as it may stand in HTML, SVG and attribute values. */
void chart_escape(const char *, FILE *);
/* A round step (1, 2 or 5 times a power of ten) that divides a range into at most `most` parts. */
double chart_step(double range, int most);
#endif
