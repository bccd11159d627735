/* html_plots.c: the bars of the HTML report. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/html.h"

#include <math.h>
#include <string.h>
#include "vmm/bench/bench.h"

#define BAR_HEIGHT 16
#define NOTE_LEFT  690 /* where "+12.3 % (1.20 ms)" begins behind the two-sided bars */

static double number_at(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static const char *name_of(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));

    return name != NULL ? name : "";
}

void plot_begin(FILE *out, int width, int height, const char *title)
{
    fprintf(out, "<div class=\"plot\"><svg role=\"img\" viewBox=\"0 0 %d %d\" aria-label=\"",
            width, height);
    html_text(out, title);
    fputs("\">\n", out);
}

void plot_end(FILE *out)
{
    fputs("</svg></div>\n", out);
}

/* --- scales --- */

struct log_scale log_scale_of(double least, double greatest)
{
    struct log_scale scale = {0, 1};

    if (greatest <= 0)
        return scale;
    if (least <= 0)
        least = greatest;
    scale.first = (int)floor(log10(fmax(least, 1e-3)));
    scale.last = (int)ceil(log10(fmin(fmax(greatest, 1e-2), 1e12)));
    if (scale.last <= scale.first)
        scale.last = scale.first + 1;
    return scale;
}

double log_scale_x(const struct log_scale *scale, double ns)
{
    double at = ns <= 0 ? 0 : (log10(ns) - scale->first) / (scale->last - scale->first);

    return PLOT_LABEL + fmin(fmax(at, 0), 1) * (PLOT_RIGHT - PLOT_LABEL);
}

void log_scale_draw(FILE *out, const struct log_scale *scale, int bottom)
{
    for (int power = scale->first; power <= scale->last; power++) {
        double ns = pow(10, power), x = log_scale_x(scale, ns);
        static const char *const units[] = {"ns", "µs", "ms", "s"};
        int unit = power >= 9 ? 3 : power >= 6 ? 2 : power >= 3 ? 1 : 0;

        fprintf(
            out,
            "<line class=\"grid\" x1=\"%.1f\" y1=\"22\" x2=\"%.1f\" y2=\"%d\"/>"
            "<text class=\"axis\" x=\"%.1f\" y=\"15\" text-anchor=\"middle\">%g %s</text>\n",
            x, x, bottom, x, ns / pow(1000, unit), units[unit]);
    }
}

/* The name of a row, at its left. */
static void row_label(FILE *out, const char *name, int y)
{
    fprintf(out, "<text class=\"label\" x=\"%d\" y=\"%d\" text-anchor=\"end\">",
            PLOT_LABEL - 10, y + 20);
    html_text(out, name);
    fputs("</text>\n", out);
}

static void row_absent(FILE *out, const char *why, int y)
{
    fprintf(out, "<text class=\"na\" x=\"%d\" y=\"%d\">n/a: ", PLOT_LABEL + 6, y + 20);
    html_text(out, why);
    fputs("</text>\n", out);
}

/* --- ladder and tasks: medians as bars, up to p99 as a line --- */

static struct log_scale scale_of_entries(const json_t *entries)
{
    double least = INFINITY, greatest = 0;
    json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry)
    {
        if (result_na(entry) != NULL)
            continue;
        if (number_at(entry, "p50") > 0)
            least = fmin(least, number_at(entry, "p50"));
        greatest = fmax(greatest, fmax(number_at(entry, "p99"), number_at(entry, "p50")));
    }
    return log_scale_of(isinf(least) ? 1 : least / 2, greatest);
}

static void time_bar(FILE *out, const struct log_scale *scale, const json_t *entry,
                     const char *note, int y)
{
    char p50[NUMBER_TEXT], p99[NUMBER_TEXT];
    double end = log_scale_x(scale, number_at(entry, "p50"));
    double far = fmax(log_scale_x(scale, number_at(entry, "p99")), end);

    time_text(p50, number_at(entry, "p50"));
    time_text(p99, number_at(entry, "p99"));
    fprintf(out, "<g><title>");
    html_text(out, name_of(entry));
    fprintf(out, ": p50 %s, p99 %s</title>\n", p50, p99);
    fprintf(out,
            "<rect class=\"bar\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n",
            PLOT_LABEL, y + 7, fmax(end - PLOT_LABEL, 1), BAR_HEIGHT);
    fprintf(out,
            "<line class=\"whisker\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
            "<line class=\"whisker\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n",
            end, y + 15, far, y + 15, far, y + 10, far, y + 20);
    fprintf(out, "<text class=\"value\" x=\"%.1f\" y=\"%d\">%s%s</text></g>\n", far + 7, y + 20,
            p50, note);
}

void html_ladder(FILE *out, const json_t *ladder)
{
    struct log_scale scale = scale_of_entries(ladder);
    int bottom = PLOT_TOP + PLOT_ROW * (int)json_array_size(ladder);
    json_t *entry;
    size_t i;

    plot_begin(out, PLOT_WIDTH, bottom + PLOT_BOTTOM,
               "Median time of each kind of crossing, on a logarithmic scale");
    log_scale_draw(out, &scale, bottom);
    json_array_foreach(ladder, i, entry)
    {
        int y = PLOT_TOP + PLOT_ROW * (int)i;

        row_label(out, name_of(entry), y);
        if (result_na(entry) != NULL)
            row_absent(out, result_na(entry), y);
        else
            time_bar(out, &scale, entry, "", y);
    }
    plot_end(out);
}

void html_tasks(FILE *out, const json_t *tasks)
{
    static const struct {
        const char *name, *title;
    } titles[] = {
        {"direct",   "a function call (unikernel style)"},
        {"call",     "one call to the kernel"           },
        {"messages", "messages through two servers"     },
    };
    struct log_scale scale = scale_of_entries(tasks);
    int bottom = PLOT_TOP + PLOT_ROW * (int)json_array_size(tasks);
    json_t *entry;
    size_t i;

    plot_begin(out, PLOT_WIDTH, bottom + PLOT_BOTTOM,
               "Median time of one task done three ways, on a logarithmic scale");
    log_scale_draw(out, &scale, bottom);
    json_array_foreach(tasks, i, entry)
    {
        int y = PLOT_TOP + PLOT_ROW * (int)i;
        const char *title = name_of(entry);
        char note[40];

        for (size_t j = 0; j < sizeof(titles) / sizeof(titles[0]); j++)
            if (strcmp(titles[j].name, title) == 0)
                title = titles[j].title;
        row_label(out, title, y);
        snprintf(note, sizeof(note), ", %lld crossings",
                 (long long)json_integer_value(json_object_get(entry, "crossings")));
        if (result_na(entry) != NULL)
            row_absent(out, result_na(entry), y);
        else
            time_bar(out, &scale, entry, note, y);
    }
    plot_end(out);
}

/* --- phases: shares of a crossing --- */

static const char *const parts[] = {"leave", "dispatch", "handler", "enter"};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void phase_bar(FILE *out, const json_t *entry, int y)
{
    double value[PARTS], sum = 0, x = PLOT_LABEL;
    char text[NUMBER_TEXT];

    for (size_t i = 0; i < PARTS; i++) {
        value[i] = fmax(result_p50(json_object_get(entry, parts[i])), 0);
        sum += value[i];
    }
    for (size_t i = 0; i < PARTS && sum > 0; i++) {
        double width = value[i] / sum * (PLOT_RIGHT - PLOT_LABEL);

        fprintf(out,
                "<rect class=\"part%zu\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\">"
                "<title>%s: %s</title></rect>\n",
                i, x, y + 7, width, BAR_HEIGHT, parts[i], time_text(text, value[i]));
        x += width;
    }
    fprintf(out, "<text class=\"value\" x=\"%d\" y=\"%d\">%s</text>\n", PLOT_RIGHT + 7, y + 20,
            time_text(text, sum));
}

void html_phases(FILE *out, const json_t *phases)
{
    static const char *const titles[PARTS] = {"leave the guest", "dispatch", "handler",
                                              "re-enter"};
    const json_t *calls = json_object_get(phases, "calls");
    int bottom = PLOT_TOP + PLOT_ROW * (int)json_array_size(calls);
    json_t *entry;
    size_t i;

    plot_begin(out, PLOT_WIDTH, bottom + PLOT_BOTTOM,
               "Shares of a crossing's time: leave the guest, dispatch, handler, re-enter");
    for (size_t part = 0; part < PARTS; part++)
        fprintf(out,
                "<rect class=\"part%zu\" x=\"%zu\" y=\"5\" width=\"12\" height=\"12\"/>"
                "<text class=\"axis\" x=\"%zu\" y=\"15\">%s</text>\n",
                part, PLOT_LABEL + part * 130, PLOT_LABEL + part * 130 + 18, titles[part]);
    json_array_foreach(calls, i, entry)
    {
        int y = PLOT_TOP + PLOT_ROW * (int)i;

        row_label(out, name_of(entry), y);
        phase_bar(out, entry, y);
    }
    plot_end(out);
}

/* --- indirect cost: bars to both sides of zero --- */

void html_indirect(FILE *out, const json_t *indirect)
{
    int bottom = PLOT_TOP + PLOT_ROW * (int)json_array_size(indirect);
    const double half = (NOTE_LEFT - 20 - PLOT_LABEL) / 2.0, middle = PLOT_LABEL + half;
    double most = 1; /* percent: below it nothing is told apart anyway */
    json_t *entry;
    size_t i;

    json_array_foreach(indirect, i, entry)
    {
        most = fmax(most, fabs(number_at(entry, "percent")));
    }
    plot_begin(out, PLOT_WIDTH, bottom + PLOT_BOTTOM,
               "How much slower the same loop runs after a crossing, in percent");
    for (int side = -1; side <= 1; side++)
        fprintf(
            out,
            "<line class=\"grid\" x1=\"%.1f\" y1=\"22\" x2=\"%.1f\" y2=\"%d\"/>"
            "<text class=\"axis\" x=\"%.1f\" y=\"15\" text-anchor=\"middle\">%.1f %%</text>\n",
            middle + side * half, middle + side * half, bottom, middle + side * half,
            side * most + 0.0);
    json_array_foreach(indirect, i, entry)
    {
        int y = PLOT_TOP + PLOT_ROW * (int)i;
        double percent = number_at(entry, "percent"), width = fabs(percent) / most * half;
        char text[NUMBER_TEXT];

        row_label(out, name_of(entry), y);
        fprintf(out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>"
                "<text class=\"value\" x=\"%d\" y=\"%d\">%+.1f %% (%s)</text>\n",
                percent > 0 ? "bar" : "bar2", percent > 0 ? middle : middle - width, y + 7,
                fmax(width, 1), BAR_HEIGHT, NOTE_LEFT, y + 20, percent,
                time_text(text, number_at(entry, "slowdown")));
    }
    plot_end(out);
}

/* --- comparison: two bars a row --- */

static void pair_bar(FILE *out, const struct log_scale *scale, const json_t *value,
                     const char *class, int y)
{
    char text[NUMBER_TEXT];
    double end;

    if (!json_is_number(value)) {
        fprintf(out, "<text class=\"na\" x=\"%d\" y=\"%d\">n/a</text>\n", PLOT_LABEL + 6,
                y + 11);
        return;
    }
    end = log_scale_x(scale, json_number_value(value));
    fprintf(out,
            "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\"/>"
            "<text class=\"value\" x=\"%.1f\" y=\"%d\">%s</text>\n",
            class, PLOT_LABEL, y, fmax(end - PLOT_LABEL, 1), end + 7, y + 11,
            time_text(text, json_number_value(value)));
}

void html_comparison(FILE *out, const json_t *comparison)
{
    const json_t *rows = json_object_get(comparison, "rows");
    double least = INFINITY, greatest = 0;
    int shown = 0, row_height = 40;
    struct log_scale scale;
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        for (const char *const *key = (const char *const[]){"a", "b", NULL}; *key; key++) {
            double value = number_at(row, *key);

            least = value > 0 ? fmin(least, value) : least;
            greatest = fmax(greatest, value);
        }
        shown += strcmp(json_string_value(json_object_get(row, "verdict")), "absent") != 0;
    }
    scale = log_scale_of(isinf(least) ? 1 : least / 2, greatest);
    plot_begin(out, PLOT_WIDTH, PLOT_TOP + row_height * shown + PLOT_BOTTOM,
               "Both results side by side, on a logarithmic scale");
    log_scale_draw(out, &scale, PLOT_TOP + row_height * shown);
    shown = 0;
    json_array_foreach(rows, i, row)
    {
        int y = PLOT_TOP + row_height * shown;

        if (strcmp(json_string_value(json_object_get(row, "verdict")), "absent") == 0)
            continue;
        row_label(out, name_of(row), y + 4);
        pair_bar(out, &scale, json_object_get(row, "a"), "bar", y + 6);
        pair_bar(out, &scale, json_object_get(row, "b"), "bar2", y + 20);
        shown++;
    }
    plot_end(out);
}
