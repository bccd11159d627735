/* bus.h: who answers which guest-physical address outside RAM. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "vmm/mem.h"

struct vm;
struct hart;
struct error;

/* Access sizes a range takes, as a mask of the sizes themselves: 1 | 2 | 4 | 8. */
#define BUS_ANY_SIZE 0xf

/*
 * Handlers of a range. offset is below the range's size; size is one of `sizes`, and offset is
 * a multiple of it: the bus refuses everything else (the guest gets an access fault). Handlers
 * run on the accessing hart's thread with the claim's lock held. A read returns the value
 * zero-extended; a write's value is zero-extended from size bytes.
 *
 * glance, if there is one, is asked before a read, without the lock: true with the value that
 * read would return now, if that would change nothing; else false. With it a poll of the UART's
 * LSR takes 20 ns less.
 */
struct bus_ops {
    uint64_t (*read)(void *self, struct hart *hart, uint64_t offset, unsigned size);
    void (*write)(void *self, struct hart *hart, uint64_t offset, unsigned size,
                  uint64_t value);
    uint8_t sizes;
    bool (*glance)(void *self, uint64_t offset, unsigned size, uint64_t *value);
};

struct bus_claim {
    gpa_t gpa;
    uint64_t size;
    const struct bus_ops *ops;
    void *self;
    pthread_mutex_t *lock; /* or NULL: the module locks for itself */
    const char *owner;     /* the module's name */
};

/*
 * x86 guests have a second address space, of 65536 I/O ports. It is a window of the bus that no
 * guest-physical address reaches (they have 52 bits), so that claims, locks, traces and counts
 * are the same for both.
 */
#define BUS_PORTS      (UINT64_C(1) << 63)
#define BUS_PORT(port) (BUS_PORTS + (port))

#define BUS_CLAIMS_MAX 64

/* The claims of a VM, sorted by address. Fixed before harts run, so lookups take no lock. */
struct bus {
    struct bus_claim claim[BUS_CLAIMS_MAX];
    unsigned nclaims;
};

/*
 * Claims [gpa, gpa+size). Refused with *err set: -EINVAL (empty or wraps), -EEXIST (overlaps
 * RAM or another claim, both owners named), -ENOSPC. `lock`, when given, is held around each
 * handler. Lock order: a claim's lock comes before the interrupt controller's.
 */
int bus_claim(struct vm *vm, const struct bus_claim *claim, struct error *err);

/* One access. 0 with *data read or written, or -EFAULT: nothing answers (range, size,
 * alignment). */
int bus_access(struct vm *vm, struct hart *hart, gpa_t gpa, unsigned size, bool write,
               uint64_t *data);

#endif
