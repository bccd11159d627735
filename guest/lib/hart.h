/* hart.h: harts of a kernel guest, its beginning and its end. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_HART_H
#define GUEST_LIB_HART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/lib/layout.h"
#include "guest/lib/trap.h"

typedef void hart_fn(void *arg);

#define PRINT_LINE 192

/* What belongs to one hart; on RISC-V tp points to it. */
struct hart_local {
    uint64_t id;    /* the SBI's hart ID */
    unsigned index; /* 0: the hart that booted */
    struct guard *guard;
    irq_fn *irq;
    hart_fn *fn;
    void *arg;
    char line[PRINT_LINE]; /* output up to the end of its line */
    size_t line_len;
};

#ifdef __x86_64__
#define KERNEL_MODE "64-bit mode"

extern struct hart_local hart_first; /* the only one that x86 guests use */

static inline struct hart_local *hart_self(void)
{
    return &hart_first;
}
#else
#define KERNEL_MODE "S-mode"

static inline struct hart_local *hart_self(void)
{
    struct hart_local *self;

    __asm__("mv %0, tp" : "=r"(self));
    return self;
}
#endif

/* Harts in the device tree, at most HARTS_MAX; index 0 is the one that booted. */
unsigned hart_count(void);
uint64_t hart_id(unsigned index);

/* A hart ID that no hart has. */
uint64_t hart_id_absent(void);

/*
 * Starts hart `index` (1..hart_count()-1) by HSM; it runs fn(arg), then stops itself. Returns
 * the SBI error. hart_state: its HSM state, or a negative SBI error.
 */
int64_t hart_launch(unsigned index, hart_fn *fn, void *arg);
int64_t hart_state(unsigned index);

/* Waits until hart `index` is in an HSM state. */
void hart_await(unsigned index, int64_t state);

/* Ticks of the `time` CSR. */
uint64_t time_now(void);
void time_spin(uint64_t ticks);

/*
 * Sets the SBI timer of this hart, with the legacy call when TIME is absent. With the boot
 * argument tg.sstc it is stimecmp, which the hart must have then.
 */
void timer_set(uint64_t ticks);

/* Sends an IPI to hart `index`, with the legacy call when IPI is absent. The SBI error. */
int64_t ipi_send(unsigned index);

/* Ends by SBI SRST: shutdown, reason 0 or "system failure"; by the finisher when that returns.
 */
_Noreturn void system_off(bool failed);

/* End by the finisher device: pass, or fail with a status of 1..255. */
_Noreturn void system_pass(void);
_Noreturn void system_fail(unsigned status);

/* The guest itself: dtb is the device tree. A return ends by system_off(result != 0). */
int guest_main(const void *dtb);

/* For start.S. */
extern char hart_stack[HARTS_MAX][HART_STACK_SIZE];
void hart_entry(void);
_Noreturn void guest_begin(uint64_t id, const void *dtb);
_Noreturn void hart_begin(uint64_t id);

#endif
