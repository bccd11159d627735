/* html.h: what the parts of the HTML report share: text, frames of plots, scales. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_HTML_H
#define VMM_BENCH_HTML_H

#include <jansson.h>
#include <stdio.h>

/* Plots are drawn this wide, and scaled to what the page has. Units are CSS pixels. */
#define PLOT_WIDTH  860
#define PLOT_LABEL  250 /* where the bars begin: names of 34 letters fit before */
#define PLOT_RIGHT  760 /* where they end: a time fits behind */
#define PLOT_ROW    30
#define PLOT_TOP    30 /* the axis' numbers */
#define PLOT_BOTTOM 8

/* Text of others: what means something in HTML is escaped. */
void html_text(FILE *out, const char *text);

/* <svg> with its accessible name; </svg>. */
void plot_begin(FILE *out, int width, int height, const char *title);
void plot_end(FILE *out);

/* A logarithmic scale of times from PLOT_LABEL to PLOT_RIGHT: whole decades. */
struct log_scale {
    int first, last; /* powers of ten, in ns */
};
struct log_scale log_scale_of(double least, double greatest);
double log_scale_x(const struct log_scale *scale, double ns);
/* Its lines and numbers, down to `bottom`. */
void log_scale_draw(FILE *out, const struct log_scale *scale, int bottom);

void html_ladder(FILE *out, const json_t *ladder);
void html_tasks(FILE *out, const json_t *tasks);
void html_phases(FILE *out, const json_t *phases);
void html_indirect(FILE *out, const json_t *indirect);
void html_comparison(FILE *out, const json_t *comparison);
/* One small plot a call. tick_ns: the step of the probe's clock. */
void html_histograms(FILE *out, const json_t *calls, double tick_ns);

#endif
