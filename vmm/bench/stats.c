/* stats.c: histograms of samples. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int hist_add(struct bench_hist *hist, double value, uint64_t count)
{
    if (count == 0)
        return 0;
    if (hist->nbins == hist->room) {
        size_t room = hist->room == 0 ? 64 : 2 * hist->room;
        struct bench_bin *bin = realloc(hist->bin, room * sizeof(*bin));

        if (bin == NULL)
            return -ENOMEM;
        hist->bin = bin;
        hist->room = room;
    }
    hist->bin[hist->nbins++] = (struct bench_bin){value, count};
    hist->total += count;
    return 0;
}

static int bin_compare(const void *a, const void *b)
{
    const struct bench_bin *x = a, *y = b;

    return (x->value > y->value) - (x->value < y->value);
}

void hist_sort(struct bench_hist *hist)
{
    size_t n = 0;

    if (hist->nbins == 0)
        return;
    qsort(hist->bin, hist->nbins, sizeof(*hist->bin), bin_compare);
    for (size_t i = 1; i < hist->nbins; i++) {
        if (bin_compare(&hist->bin[n], &hist->bin[i]) == 0)
            hist->bin[n].count += hist->bin[i].count;
        else
            hist->bin[++n] = hist->bin[i];
    }
    hist->nbins = n + 1;
}

void hist_free(struct bench_hist *hist)
{
    free(hist->bin);
    *hist = (struct bench_hist){0};
}

void hist_scale(struct bench_hist *hist, double take_off, double divisor)
{
    for (size_t i = 0; i < hist->nbins; i++)
        hist->bin[i].value = fmax(0.0, (hist->bin[i].value - take_off) / divisor);
    hist_sort(hist);
}

double hist_percentile(const struct bench_hist *hist, double percent)
{
    /* Less a trifle, or 99.9 % of 1000, which is no double, would become sample 1000. */
    double rank = ceil(percent / 100.0 * (double)hist->total - 1e-6);
    uint64_t seen = 0;

    for (size_t i = 0; i < hist->nbins; i++) {
        seen += hist->bin[i].count;
        if ((double)seen >= rank)
            return hist->bin[i].value;
    }
    return hist->bin[hist->nbins - 1].value;
}

double hist_mean(const struct bench_hist *hist)
{
    double sum = 0;

    for (size_t i = 0; i < hist->nbins; i++)
        sum += hist->bin[i].value * (double)hist->bin[i].count;
    return sum / (double)hist->total;
}

double hist_midmean(const struct bench_hist *hist)
{
    double first = (double)hist->total / 4.0, last = (double)hist->total - first;
    double seen = 0, sum = 0;

    /* Samples at the edges of the middle half count in part. */
    for (size_t i = 0; i < hist->nbins; i++) {
        double from = fmax(seen, first);

        seen += (double)hist->bin[i].count;
        if (fmin(seen, last) > from)
            sum += hist->bin[i].value * (fmin(seen, last) - from);
    }
    return sum / (last - first);
}
