/* compute.c: workloads of a program's own instructions: integers, floating point, calls,
 * branches. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/linux/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- integers --- */

#define CRC_BYTES 4096

/* CRC-32 bit by bit: shifts, masks, no loads to speak of. */
static uint64_t crc_run(uint64_t count)
{
    uint64_t start = now_ns();
    uint32_t value = 0xffffffff;

    for (uint64_t n = 0; n < count; n++)
        for (uint32_t i = 0; i < CRC_BYTES; i++) {
            value ^= i & 0xff;
            for (unsigned bit = 0; bit < 8; bit++)
                value = (value >> 1) ^ (0xedb88320u & (0u - (value & 1)));
        }
    bench_sink += value;
    return now_ns() - start;
}

#define MATRIX_N 48

/* The product of two integer matrices: multiplications, additions, loads with strides. */
static uint64_t matrix_run(uint64_t count)
{
    static int32_t a[MATRIX_N][MATRIX_N], b[MATRIX_N][MATRIX_N], c[MATRIX_N][MATRIX_N];
    uint64_t start;

    for (int i = 0; i < MATRIX_N; i++)
        for (int j = 0; j < MATRIX_N; j++) {
            a[i][j] = i + j;
            b[i][j] = i - j;
        }
    start = now_ns();
    for (uint64_t n = 0; n < count; n++) {
        for (int i = 0; i < MATRIX_N; i++)
            for (int j = 0; j < MATRIX_N; j++) {
                int32_t sum = 0;

                for (int k = 0; k < MATRIX_N; k++)
                    sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        a[1][1] = c[3][5]; /* the next product is another one */
    }
    bench_sink += (uint64_t)c[3][5];
    return now_ns() - start;
}

/* --- floating point --- */

struct body {
    double x[3], v[3], mass;
};

#define BODIES 5

/* Bodies that attract one another: multiplications, additions, a square root and a division a
 * pair. Positions and masses are made up. */
static void bodies_place(struct body *body)
{
    for (int i = 0; i < BODIES; i++) {
        body[i].mass = i == 0 ? 40.0 : 0.01 * i;
        for (int k = 0; k < 3; k++) {
            body[i].x[k] = i * 3.0 + k * 0.7 * i;
            body[i].v[k] = i == 0 ? 0.0 : 1.5 - 0.8 * k;
        }
    }
}

static void bodies_step(struct body *body, double dt)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            double d[3], square = 0.0, pull;

            for (int k = 0; k < 3; k++) {
                d[k] = body[i].x[k] - body[j].x[k];
                square += d[k] * d[k];
            }
            pull = dt / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                body[i].v[k] -= d[k] * body[j].mass * pull;
                body[j].v[k] += d[k] * body[i].mass * pull;
            }
        }
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++)
            body[i].x[k] += dt * body[i].v[k];
}

static uint64_t nbody_run(uint64_t count)
{
    static struct body body[BODIES];
    uint64_t start;

    bodies_place(body);
    start = now_ns();
    for (uint64_t n = 0; n < count; n++)
        bodies_step(body, 0.001);
    bench_sink += (uint64_t)(fabs(body[1].x[0]) * 1000.0);
    return now_ns() - start;
}

#define LU_N 48

/* Gaussian elimination with partial pivoting, in place. */
static void lu_factor(double a[LU_N][LU_N])
{
    for (int k = 0; k < LU_N; k++) {
        int pivot = k;

        for (int i = k + 1; i < LU_N; i++)
            if (fabs(a[i][k]) > fabs(a[pivot][k]))
                pivot = i;
        for (int j = 0; pivot != k && j < LU_N; j++) {
            double t = a[k][j];

            a[k][j] = a[pivot][j];
            a[pivot][j] = t;
        }
        for (int i = k + 1; i < LU_N; i++) {
            double factor = a[i][k] / a[k][k];

            a[i][k] = factor;
            for (int j = k + 1; j < LU_N; j++)
                a[i][j] -= factor * a[k][j];
        }
    }
}

static uint64_t lu_run(uint64_t count)
{
    static double source[LU_N][LU_N], a[LU_N][LU_N];
    uint64_t state = 0x2545f4914f6cdd1du, start;

    for (int i = 0; i < LU_N; i++)
        for (int j = 0; j < LU_N; j++)
            source[i][j] = (double)(random_next(&state) >> 40) / 65536.0 - 128.0;
    start = now_ns();
    for (uint64_t n = 0; n < count; n++) {
        memcpy(a, source, sizeof(a));
        lu_factor(a);
    }
    bench_sink += (uint64_t)fabs(a[LU_N - 1][LU_N - 1]);
    return now_ns() - start;
}

/* --- calls and branches --- */

#define FIBONACCI_N     20
#define FIBONACCI_CALLS 21891 /* 2 * fibonacci(21) - 1 */

/* gcc would unroll the recursion into itself, and the calls be fewer. */
static __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls"))) uint64_t
fibonacci(uint64_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t calls_run(uint64_t count)
{
    uint64_t start = now_ns();

    for (uint64_t n = 0; n < count; n++)
        bench_sink += fibonacci(FIBONACCI_N);
    return now_ns() - start;
}

static __attribute__((noinline)) uint64_t step_add(uint64_t x)
{
    return x + 12345;
}

static __attribute__((noinline)) uint64_t step_xor(uint64_t x)
{
    return x ^ x >> 3;
}

static __attribute__((noinline)) uint64_t step_sub(uint64_t x)
{
    return x - 321;
}

static __attribute__((noinline)) uint64_t step_shift(uint64_t x)
{
    return x << 1 | x >> 63;
}

/* Calls by pointer, to four functions in turn, as of a table of methods. */
static uint64_t indirect_run(uint64_t count)
{
    static uint64_t (*volatile const step[4])(uint64_t) = {step_add, step_xor, step_sub,
                                                           step_shift};
    uint64_t start = now_ns(), x = 1;

    for (uint64_t n = 0; n < count; n++)
        x = step[n & 3](x);
    bench_sink += x;
    return now_ns() - start;
}

/* A jump table whose next entry nobody can guess. */
static uint64_t dispatch_run(uint64_t count)
{
    uint64_t state = 88172645463325252u, sum = 0, start = now_ns();

    for (uint64_t n = 0; n < count; n++) {
        switch (random_next(&state) >> 40 & 7) {
        case 0: sum += 3; break;
        case 1: sum ^= n; break;
        case 2: sum *= 5; break;
        case 3: sum -= n; break;
        case 4: sum = sum << 3 | sum >> 61; break;
        case 5: sum += sum >> 7; break;
        case 6: sum ^= sum << 9; break;
        default: sum = ~sum; break;
        }
    }
    bench_sink += sum;
    return now_ns() - start;
}

#define SORT_N 2048

static int int_compare(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* The C library's, which compares by pointer to a function: calls and unforeseeable branches.
 */
static uint64_t qsort_run(uint64_t count)
{
    static int32_t source[SORT_N], v[SORT_N];
    uint64_t state = 88172645463325252u, start;

    for (size_t i = 0; i < SORT_N; i++)
        source[i] = (int32_t)random_next(&state);
    start = now_ns();
    for (uint64_t n = 0; n < count; n++) {
        memcpy(v, source, sizeof(v));
        qsort(v, SORT_N, sizeof(v[0]), int_compare);
    }
    bench_sink += (uint64_t)v[SORT_N / 2];
    return now_ns() - start;
}

const struct workload workloads_compute[] = {
    {"crc",      crc_run,      16,    CRC_BYTES,       60},
    {"matrix",   matrix_run,   4,     1,               60},
    {"nbody",    nbody_run,    600,   1,               60},
    {"lu",       lu_run,       3,     1,               60},
    {"calls",    calls_run,    3,     FIBONACCI_CALLS, 60},
    {"indirect", indirect_run, 30000, 1,               60},
    {"dispatch", dispatch_run, 50000, 1,               60},
    {"qsort",    qsort_run,    1,     SORT_N,          60},
    {NULL,       NULL,         0,     0,               0 },
};
