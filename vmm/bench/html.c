/* html.c: the report as one page that needs nothing else. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/html.h"

#include <stdlib.h>
#include <string.h>
#include "vmm/bench/bench.h"

/* Both schemes keep a contrast of 4.5 to 1 for text, and 3 to 1 for what is drawn. */
static const char style[] =
    ":root{color-scheme:light dark;--page:#ffffff;--card:#f6f7f9;--text:#1b1f24;--dim:#57606a;"
    "--line:#d0d7de;--a:#1f6fb2;--b:#b35900;--c:#2e7d32;--d:#7b4fb5;--mark:#c62828;"
    "--bad:#b3261e;--good:#1f6b2d}\n"
    "@media (prefers-color-scheme:dark){:root{--page:#12161b;--card:#1b2129;--text:#e6eaef;"
    "--dim:#a3adb8;--line:#3a444f;--a:#5aa9ec;--b:#f0a35e;--c:#7ccf82;--d:#c3a2f0;"
    "--mark:#ff8a80;--bad:#ff9a90;--good:#86d692}}\n"
    "body{margin:0 auto;max-width:960px;padding:24px 16px 48px;background:var(--page);"
    "color:var(--text);font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;margin:0 0 4px}h2{font-size:1.15rem;margin:32px 0 4px}\n"
    "p{margin:4px 0 10px;max-width:75ch}.dim,.small{color:var(--dim)}.small{font-size:.8rem}\n"
    ".plot,figure{background:var(--card);border:1px solid "
    "var(--line);border-radius:8px}\n"
    ".plot{overflow-x:auto}.plot svg{display:block;width:100%;min-width:640px;height:auto}\n"
    "figure{margin:0;max-width:330px;padding:10px 10px 4px}figure .plot{border:0}figure .plot "
    "svg{min-width:0}\n"
    "figcaption{font-size:.85rem;overflow-wrap:anywhere}\n"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:12px}\n"
    "svg text{font-family:system-ui,sans-serif;font-size:13px;fill:var(--text);"
    "stroke:var(--card);stroke-width:4px;paint-order:stroke}\n"
    "svg text.axis{fill:var(--dim);font-size:12px}svg text.na{fill:var(--dim);"
    "font-style:italic}\n"
    "svg line.grid,svg line.base{stroke:var(--line);stroke-width:1}\n"
    "svg line.whisker{stroke:var(--text);stroke-width:1.5}\n"
    "svg line.mark{stroke:var(--mark);stroke-width:1.5;stroke-dasharray:3 2}\n"
    ".bar,.part0{fill:var(--a)}.bar2,.part1{fill:var(--b)}.part2{fill:var(--c)}"
    ".part3{fill:var(--d)}\n"
    ".key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}\n"
    ".key.bar{background:var(--a)}.key.bar2{background:var(--b)}\n"
    ".wide{overflow-x:auto;margin-top:8px}table{border-collapse:collapse;font-size:.88rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:4px 10px;border-bottom:1px solid var(--line);text-align:right;"
    "white-space:nowrap}\n"
    "th{color:var(--dim);font-weight:600}th:first-child,td:first-child,td.text,th.text"
    "{text-align:left}td.text{white-space:normal;overflow-wrap:anywhere}\n"
    ".bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}\n";

void html_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc(*text, out); break;
        }
    }
}

static double number_at(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static const char *string_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text != NULL ? text : "";
}

static void page_begin(FILE *out, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
          out);
    html_text(out, title);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
    html_text(out, title);
    fputs("</h1>\n", out);
}

static void section_begin(FILE *out, const char *title, const char *text)
{
    fprintf(out, "<section>\n<h2>%s</h2>\n<p>%s</p>\n", title, text);
}

static void section_end(FILE *out)
{
    fputs("</section>\n", out);
}

static void cell_number(FILE *out, double value)
{
    char text[NUMBER_TEXT];

    fprintf(out, "<td>%s</td>", number_text(text, value));
}

/* Heads of columns; those of text begin with ~, and stand at the left. */
static void table_begin(FILE *out, const char *const *heads)
{
    fputs("<div class=\"wide\"><table>\n<thead><tr>", out);
    for (; *heads != NULL; heads++)
        fprintf(out, "<th scope=\"col\"%s>%s</th>", **heads == '~' ? " class=\"text\"" : "",
                *heads + (**heads == '~'));
    fputs("</tr></thead>\n<tbody>\n", out);
}

static void table_end(FILE *out)
{
    fputs("</tbody></table></div>\n", out);
}

static void cell_name(FILE *out, const char *name)
{
    fputs("<tr><td>", out);
    html_text(out, name);
    fputs("</td>", out);
}

/* "n/a" over the rest of the row, with the reason. */
static void cell_absent(FILE *out, const char *why, unsigned columns)
{
    fprintf(out, "<td class=\"text dim\" colspan=\"%u\">n/a: ", columns);
    html_text(out, why);
    fputs("</td></tr>\n", out);
}

/* --- sections --- */

/* A fact is a string, or {"na": why}. */
static void fact_row(FILE *out, const char *title, const json_t *fact)
{
    cell_name(out, title);
    if (result_na(fact) != NULL) {
        cell_absent(out, result_na(fact), 1);
        return;
    }
    fputs("<td class=\"text\">", out);
    html_text(out, json_string_value(fact) != NULL ? json_string_value(fact) : "");
    fputs("</td></tr>\n", out);
}

static void fingerprint_section(FILE *out, const json_t *result)
{
    static const char *const heads[] = {"fact", "~value", NULL};
    static const struct {
        const char *title, *key;
    } facts[] = {
        {"processor",         "cpu"     },
        {"kernel",            "kernel"  },
        {"machine",           "machine" },
        {"governor",          "governor"},
        {"Tollgate",          "tollgate"},
        {"commit",            "commit"  },
        {"compiler",          "compiler"},
        {"build",             "build"   },
        {"time",              "time"    },
        {"processor's flags", "flags"   },
    };
    const json_t *f = json_object_get(result, "fingerprint");

    section_begin(out, "Where this was measured", "Compare only what comes from one machine.");
    table_begin(out, heads);
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        fact_row(out, facts[i].title, json_object_get(f, facts[i].key));
    table_end(out);
    section_end(out);
}

static void targets_section(FILE *out, const json_t *result)
{
    static const char *const heads[] = {"figure", "is", "at most", "~unit", "~verdict", NULL};
    json_t *entry;
    size_t i;

    section_begin(out, "Targets",
                  "What the project asks of its interpreter, in a release build.");
    table_begin(out, heads);
    json_array_foreach(json_object_get(result, "targets"), i, entry)
    {
        bool met = json_is_true(json_object_get(entry, "met"));

        cell_name(out, string_at(entry, "name"));
        if (result_na(entry) != NULL) {
            cell_absent(out, result_na(entry), 4);
            continue;
        }
        cell_number(out, number_at(entry, "value"));
        cell_number(out, number_at(entry, "limit"));
        fputs("<td class=\"text\">", out);
        html_text(out, string_at(entry, "unit"));
        fprintf(out, "</td><td class=\"text %s\">%s</td></tr>\n", met ? "good" : "bad",
                met ? "met" : "missed");
    }
    table_end(out);
    section_end(out);
}

static void calls_section(FILE *out, const json_t *result)
{
    static const char *const heads[] = {"call, ns", "p50", "p90",  "p99",
                                        "p99.9",    "max", "mean", NULL};
    json_t *entry;
    size_t i;

    section_begin(out, "Every figure",
                  "In ns, without the empty loop. A sample is the mean of as many crossings as "
                  "make it a hundred steps of the guest's clock, so its highest values "
                  "understate those of single calls; &ldquo;round&rdquo; above does not.");
    table_begin(out, heads);
    json_array_foreach(json_object_get(result, "calls"), i, entry)
    {
        cell_name(out, string_at(entry, "name"));
        if (result_na(entry) != NULL) {
            cell_absent(out, result_na(entry), 6);
            continue;
        }
        for (size_t j = 1; heads[j] != NULL; j++)
            cell_number(out, number_at(entry, heads[j]));
        fputs("</tr>\n", out);
    }
    table_end(out);
    section_end(out);
}

static void phases_section(FILE *out, const json_t *result)
{
    static const char *const heads[] = {"p50, ns",     "leave",     "dispatch", "handler",
                                        "enter",       "own",       "round",    "round p99",
                                        "round p99.9", "round max", NULL};
    const json_t *phases = json_object_get(result, "phases");
    json_t *entry;
    size_t i;

    section_begin(
        out, "Where the time goes",
        "The monitor&rsquo;s own time stamps, each call by itself, in a run of its own; "
        "the bars show shares of the sum at their right. &ldquo;Own&rdquo; is the four "
        "together, "
        "exit by exit. &ldquo;Round&rdquo; is from one "
        "exit to the next, with the guest&rsquo;s own instructions between them. Taking the "
        "stamps keeps the processor from overlapping the phases, so together they are more "
        "than "
        "the call takes undisturbed.");
    if (result_na(phases) != NULL) {
        fputs("<p class=\"dim\">n/a: ", out);
        html_text(out, result_na(phases));
        fputs("</p>\n", out);
        section_end(out);
        return;
    }
    html_phases(out, phases);
    table_begin(out, heads);
    json_array_foreach(json_object_get(phases, "calls"), i, entry)
    {
        const json_t *round = json_object_get(entry, "round");

        cell_name(out, string_at(entry, "name"));
        for (size_t j = 1; j < 7; j++) {
            double p50 = result_p50(json_object_get(entry, heads[j]));

            if (p50 < 0)
                fputs("<td>n/a</td>", out);
            else
                cell_number(out, p50);
        }
        cell_number(out, number_at(round, "p99"));
        cell_number(out, number_at(round, "p99.9"));
        cell_number(out, number_at(round, "max"));
        fputs("</tr>\n", out);
    }
    table_end(out);
    section_end(out);
}

static void counters_section(FILE *out, const json_t *result)
{
    const json_t *counters = json_object_get(result, "counters");
    const char *heads[COUNTERS + 2] = {"for a crossing and the loop"};
    json_t *row;
    size_t i;

    fputs("<p>Host counters: ", out);
    if (result_na(counters) != NULL) {
        fputs("<span class=\"dim\">n/a: ", out);
        html_text(out, result_na(counters));
        fputs("</span></p>\n", out);
        return;
    }
    fputs("</p>\n", out);
    for (unsigned c = 0; c < COUNTERS; c++)
        heads[c + 1] = counter_name(c);
    table_begin(out, heads);
    json_array_foreach(json_object_get(counters, "rows"), i, row)
    {
        cell_name(out, string_at(row, "name"));
        for (unsigned c = 0; c < COUNTERS; c++) {
            if (json_object_get(row, counter_name(c)) == NULL)
                fputs("<td>n/a</td>", out);
            else
                cell_number(out, number_at(row, counter_name(c)));
        }
        fputs("</tr>\n", out);
    }
    table_end(out);
}

static void plots_print(FILE *out, const json_t *result)
{
    double hz = number_at(json_object_get(result, "probe"), "timebase_hz");

    section_begin(out, "The ladder",
                  "From the cheapest boundary to the dearest: the bar is the median, the line "
                  "reaches to the 99th percentile.");
    html_ladder(out, json_object_get(result, "ladder"));
    section_end(out);
    targets_section(out, result);
    phases_section(out, result);
    section_begin(out, "Distributions",
                  "Dashed lines: the median and the 99th percentile. The height is relative to "
                  "the fullest bucket.");
    html_histograms(out, json_object_get(result, "calls"), hz > 0 ? 1e9 / hz : 1);
    section_end(out);
    section_begin(
        out, "What follows a crossing",
        "A loop full of branches that fits the caches, timed alone and right after one "
        "crossing: what it takes longer is the crossing&rsquo;s indirect cost.");
    html_indirect(out, json_object_get(result, "indirect"));
    counters_section(out, result);
    section_end(out);
    section_begin(
        out, "One task done three ways",
        "A sum over 64 bytes, computed by a function in the same address space, by one "
        "call from U-mode to the guest&rsquo;s kernel, and by a chain of messages from "
        "U-mode through two servers in U-mode and back.");
    html_tasks(out, json_object_get(result, "tasks"));
    section_end(out);
}

static void intro_print(FILE *out, const json_t *result)
{
    const json_t *f = json_object_get(result, "fingerprint");

    fputs("<p class=\"dim\">", out);
    html_text(out, bench_label(result));
    fputs(" on ", out);
    html_text(out,
              string_at(f, "cpu")[0] != '\0' ? string_at(f, "cpu") : "an unnamed processor");
    fputs(", ", out);
    html_text(out, string_at(f, "kernel"));
    fputs("; Tollgate ", out);
    html_text(out, string_at(f, "tollgate"));
    fputs(", ", out);
    html_text(out, string_at(f, "commit"));
    fputs("; ", out);
    html_text(out, string_at(f, "time"));
    fputs("</p>\n", out);
}

/* Ends a page that was written to memory. NULL: there was not enough. */
static char *page_finish(FILE *out, char **text)
{
    bool bad;

    fputs("</body>\n</html>\n", out);
    bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad) {
        free(*text);
        return NULL;
    }
    return *text;
}

char *bench_html(const json_t *result)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return NULL;
    page_begin(out, "What a crossing costs");
    intro_print(out, result);
    plots_print(out, result);
    calls_section(out, result);
    fingerprint_section(out, result);
    return page_finish(out, &text);
}

static void comparison_table(FILE *out, const json_t *comparison)
{
    static const char *const heads[] = {"figure", "A",        "B", "~unit",
                                        "B-A, %", "~verdict", NULL};
    json_t *row;
    size_t i;

    table_begin(out, heads);
    json_array_foreach(json_object_get(comparison, "rows"), i, row)
    {
        const char *verdict = string_at(row, "verdict");
        const json_t *percent = json_object_get(row, "percent");

        cell_name(out, string_at(row, "name"));
        for (const char *const *key = (const char *const[]){"a", "b", NULL}; *key; key++) {
            if (json_is_number(json_object_get(row, *key)))
                cell_number(out, number_at(row, *key));
            else
                fputs("<td>n/a</td>", out);
        }
        fputs("<td class=\"text\">", out);
        html_text(out, string_at(row, "unit"));
        if (json_is_number(percent))
            fprintf(out, "</td><td>%+.1f</td>", json_number_value(percent));
        else
            fputs("</td><td></td>", out);
        fprintf(out, "<td class=\"text %s\">%s</td></tr>\n",
                strcmp(verdict, "regression") == 0 ? "bad"
                : strcmp(verdict, "better") == 0   ? "good"
                                                   : "dim",
                verdict);
    }
    table_end(out);
}

char *bench_html_compare(const json_t *comparison)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const json_t *threshold = json_object_get(comparison, "threshold");

    if (out == NULL)
        return NULL;
    page_begin(out, "What a crossing costs, side by side");
    fputs("<p><span class=\"key bar\"></span>A: ", out);
    html_text(out, string_at(comparison, "a"));
    fputs("<br><span class=\"key bar2\"></span>B: ", out);
    html_text(out, string_at(comparison, "b"));
    fputs("</p>\n", out);
    if (json_is_number(threshold))
        fprintf(out, "<p class=\"%s\">%lld of the figures regressed by more than %g %%.</p>\n",
                number_at(comparison, "regressions") > 0 ? "bad" : "good",
                (long long)json_integer_value(json_object_get(comparison, "regressions")),
                json_number_value(threshold));
    section_begin(out, "Side by side", "Medians. What neither has is left out.");
    html_comparison(out, comparison);
    section_end(out);
    section_begin(out, "Every figure", "A figure of B above A&rsquo;s is slower.");
    comparison_table(out, comparison);
    section_end(out);
    return page_finish(out, &text);
}
