/* html_histograms.c: the distribution of each call's samples, as small plots. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/html.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include "vmm/bench/bench.h"

#define SMALL_WIDTH  300
#define SMALL_HEIGHT 150
#define SMALL_LEFT   10
#define SMALL_RIGHT  290
#define SMALL_TOP    12
#define SMALL_BASE   122
#define BUCKETS      48

/* What of a histogram is drawn: its body; the outliers would make it a line. */
struct window {
    double from, width; /* ns: where it begins, and of a bucket */
    uint64_t bucket[BUCKETS];
    uint64_t most, outside;
};

static double number_at(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

/* step: samples lie on multiples of it, so buckets must hold equally many of those. */
static void window_fill(struct window *w, const json_t *call, double step)
{
    double least = number_at(call, "min"), p99 = number_at(call, "p99");
    double span = fmax((p99 - least) * 1.15, 8 * step);
    json_t *bin;
    size_t i;

    memset(w, 0, sizeof(*w));
    w->width = fmax(ceil(span / BUCKETS / step), 1) * step;
    w->from = least - step / 2;
    json_array_foreach(json_object_get(call, "histogram"), i, bin)
    {
        double at = (json_number_value(json_array_get(bin, 0)) - w->from) / w->width;
        uint64_t count = (uint64_t)json_integer_value(json_array_get(bin, 1));

        if (!(at >= 0 && at < BUCKETS)) {
            w->outside += count;
            continue;
        }
        w->bucket[(size_t)at] += count;
        if (w->bucket[(size_t)at] > w->most)
            w->most = w->bucket[(size_t)at];
    }
}

static double window_x(const struct window *w, double ns)
{
    return SMALL_LEFT + (ns - w->from) / (w->width * BUCKETS) * (SMALL_RIGHT - SMALL_LEFT);
}

static void mark_draw(FILE *out, const struct window *w, double ns, const char *name)
{
    double x = window_x(w, ns);

    if (x > SMALL_RIGHT)
        return;
    fprintf(out,
            "<line class=\"mark\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"><title>%s</title>"
            "</line>\n",
            x, SMALL_TOP, x, SMALL_BASE, name);
}

static void window_draw(FILE *out, const struct window *w, const json_t *call)
{
    const double wide = (double)(SMALL_RIGHT - SMALL_LEFT) / BUCKETS;
    char first[NUMBER_TEXT], last[NUMBER_TEXT];

    for (unsigned i = 0; i < BUCKETS; i++) {
        double height =
            (double)w->bucket[i] / (double)(w->most ? w->most : 1) * (SMALL_BASE - SMALL_TOP);

        if (w->bucket[i] > 0)
            fprintf(
                out,
                "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                SMALL_LEFT + i * wide, SMALL_BASE - fmax(height, 1), wide - 0.6,
                fmax(height, 1));
    }
    mark_draw(out, w, number_at(call, "p50"), "p50");
    mark_draw(out, w, number_at(call, "p99"), "p99");
    fprintf(out,
            "<line class=\"base\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>"
            "<text class=\"axis\" x=\"%d\" y=\"140\">%s</text>"
            "<text class=\"axis\" x=\"%d\" y=\"140\" text-anchor=\"end\">%s</text>\n",
            SMALL_LEFT, SMALL_BASE, SMALL_RIGHT, SMALL_BASE, SMALL_LEFT,
            time_text(first, fmax(w->from, 0)), SMALL_RIGHT,
            time_text(last, w->from + w->width * BUCKETS));
}

static void histogram_draw(FILE *out, const json_t *call, double tick_ns)
{
    const char *name = json_string_value(json_object_get(call, "name"));
    char p50[NUMBER_TEXT], p99[NUMBER_TEXT], max[NUMBER_TEXT], title[120];
    double batch = number_at(call, "batch");
    struct window w;

    window_fill(&w, call, tick_ns / fmax(batch, 1));
    snprintf(title, sizeof(title), "Distribution of the samples of %s", name);
    fputs("<figure><figcaption><b>", out);
    html_text(out, name);
    fprintf(out, "</b><br>p50 %s, p99 %s, max %s</figcaption>\n",
            time_text(p50, number_at(call, "p50")), time_text(p99, number_at(call, "p99")),
            time_text(max, number_at(call, "max")));
    plot_begin(out, SMALL_WIDTH, SMALL_HEIGHT, title);
    window_draw(out, &w, call);
    plot_end(out);
    fprintf(out,
            "<p class=\"small\">%lld samples of %.0f each; %llu lie outside.</p></figure>\n",
            (long long)json_integer_value(json_object_get(call, "samples")), batch,
            (unsigned long long)w.outside);
}

void html_histograms(FILE *out, const json_t *calls, double tick_ns)
{
    json_t *call;
    size_t i;

    fputs("<div class=\"grid\">\n", out);
    json_array_foreach(calls, i, call)
    {
        if (result_na(call) == NULL)
            histogram_draw(out, call, tick_ns);
    }
    fputs("</div>\n", out);
}
