/* compute.c: compute workloads for `make bench`, as one bare program: compute NAME ROUNDS. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>
#include <stdint.h>
#include "guest/lib/program/program.h"

/* Results meet here, so that no work is optimised away; it becomes the exit status. */
static volatile uint64_t sink;

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Bitwise CRC-32: shifts and unpredictable branches turned into masks. */
static void crc(void)
{
    uint32_t value = 0xffffffff;

    for (uint32_t i = 0; i < 20000; i++) {
        value ^= i & 0xff;
        for (unsigned bit = 0; bit < 8; bit++)
            value = (value >> 1) ^ (0xedb88320u & (0u - (value & 1)));
    }
    sink += value;
}

/* Sieve of Eratosthenes: byte stores with strides. */
static void sieve(void)
{
    static uint8_t composite[65536];
    uint64_t found = 0;

    for (size_t i = 0; i < sizeof(composite); i++)
        composite[i] = 0;
    for (size_t i = 2; i < sizeof(composite); i++) {
        if (composite[i])
            continue;
        found++;
        for (size_t j = i * i; j < sizeof(composite); j += i)
            composite[j] = 1;
    }
    sink += found;
}

/* Integer matrix product: multiply-add with regular loads. */
static void matrix(void)
{
    enum { N = 64 };
    static int32_t a[N][N], b[N][N], c[N][N];

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = i + j;
            b[i][j] = i - j;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int32_t sum = 0;

            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    sink += (uint64_t)c[3][5];
}

static uint64_t __attribute__((noinline)) fibonacci(uint64_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

/* Recursive calls: returns and stack traffic. */
static void calls(void)
{
    sink += fibonacci(24);
}

/* Quicksort of random words: unpredictable branches. */
static void sort_range(uint32_t *v, ptrdiff_t low, ptrdiff_t high)
{
    while (low < high) {
        uint32_t pivot = v[(low + high) / 2];
        ptrdiff_t i = low, j = high;

        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t t = v[i];

                v[i++] = v[j];
                v[j--] = t;
            }
        }
        sort_range(v, low, j);
        low = i;
    }
}

static void sort(void)
{
    static uint32_t v[16384];
    const ptrdiff_t n = sizeof(v) / sizeof(v[0]);

    for (ptrdiff_t i = 0; i < n; i++)
        v[i] = (uint32_t)random_next();
    sort_range(v, 0, n - 1);
    sink += v[n / 2];
}

/* A linked list in random order: each load waits for the one before. */
static void chase(void)
{
    enum { N = 2048 };
    static uint32_t next[N];
    uint32_t at = 0;

    for (uint32_t i = 0; i < N; i++)
        next[i] = i;
    for (uint32_t i = N - 1; i > 0; i--) { /* Sattolo's algorithm: one cycle */
        uint32_t j = (uint32_t)(random_next() % i);
        uint32_t t = next[i];

        next[i] = next[j];
        next[j] = t;
    }
    for (uint32_t i = 0; i < 200000; i++)
        at = next[at];
    sink += at;
}

/* The state machine of a small parser: a jump table. */
static void dispatch(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 100000; i++) {
        switch (random_next() >> 40 & 7) {
        case 0: sum += 3; break;
        case 1: sum ^= i; break;
        case 2: sum *= 5; break;
        case 3: sum -= i; break;
        case 4: sum = sum << 3 | sum >> 61; break;
        case 5: sum += sum >> 7; break;
        case 6: sum ^= sum << 9; break;
        default: sum = ~sum; break;
        }
    }
    sink += sum;
}

/* Double precision: a damped oscillator, multiply-adds and a division a step. */
static void floating(void)
{
    double x = 1.0, v = 0.0, dt = 0.001;

    for (unsigned i = 0; i < 100000; i++) {
        double a = -x - 0.1 * v / (1.0 + x * x);

        v += a * dt;
        x += v * dt;
    }
    sink += (uint64_t)(x * 1000000.0);
}

static const struct {
    const char *name;
    void (*run)(void);
} workloads[] = {
    {"crc",      crc     },
    {"sieve",    sieve   },
    {"matrix",   matrix  },
    {"calls",    calls   },
    {"sort",     sort    },
    {"chase",    chase   },
    {"dispatch", dispatch},
    {"floating", floating},
};

static int equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

int program_main(const uint64_t *stack)
{
    const char *const *argv = (const char *const *)(stack + 1);
    uint64_t rounds = 0;

    if (stack[0] != 3)
        return 2;
    for (const char *p = argv[2]; *p >= '0' && *p <= '9'; p++)
        rounds = rounds * 10 + (uint64_t)(*p - '0');
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        if (!equal(argv[1], workloads[i].name))
            continue;
        while (rounds-- > 0)
            workloads[i].run();
        return 0;
    }
    return 3;
}
