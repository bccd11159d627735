/* stats.h: histograms of samples, and what is told of them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_STATS_H
#define VMM_BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

struct bench_bin {
    double value;
    uint64_t count; /* at least 1 */
};

/* Begins as {0}. The bins ascend, each value once, after hist_sort. */
struct bench_hist {
    struct bench_bin *bin; /* owned */
    size_t nbins, room;
    uint64_t total; /* samples */
};

/* 0 or -ENOMEM. A count of 0 is nothing. */
int hist_add(struct bench_hist *hist, double value, uint64_t count);
/* Sorts the bins and joins equal ones. What follows needs it. */
void hist_sort(struct bench_hist *hist);
void hist_free(struct bench_hist *hist);

/* Each value becomes (value - take_off) / divisor, and none falls below 0. */
void hist_scale(struct bench_hist *hist, double take_off, double divisor);

/*
 * The least value that at least `percent` of the samples do not exceed (nearest rank: the
 * sample number ceil(percent / 100 * total)); percent 0 is the least value, 100 the greatest.
 * The histogram is not empty, as below.
 */
double hist_percentile(const struct bench_hist *hist, double percent);
double hist_mean(const struct bench_hist *hist);

/*
 * The mean of the middle half: as deaf to outliers as a median, but finer than the steps of the
 * clock.
 */
double hist_midmean(const struct bench_hist *hist);

#endif
