/* sbi.h: what the SBI extensions share: replies, hart masks, addresses, remote fences. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HYPERCALLS_SBI_H
#define HYPERCALLS_SBI_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/call.h"
#include "vmm/hart.h"
#include "vmm/vm.h"

/* SBI 3.0, section 3.1: a hart_mask_base that stands for every hart. */
#define SBI_MASK_ALL UINT64_MAX

/* ASIDs have 16 bits at most; hardware ignores the others in sfence.vma (privileged, 4.2.1). */
#define SBI_ASID_MASK 0xffffu

/* Ends a call with an error, or with success and a value (SBI 3.0, section 3). */
static inline enum call_disp sbi_error(struct call *c, int64_t error)
{
    c->error = error;
    return CALL_RET2;
}

static inline enum call_disp sbi_value(struct call *c, uint64_t value)
{
    c->value = value;
    return CALL_RET2;
}

/* The same for legacy calls, which have a0 only (section 5). */
static inline enum call_disp sbi_legacy_result(struct call *c, int64_t result)
{
    c->error = result;
    return CALL_RET1;
}

/*
 * Resolves a hart list (section 3.1) to *harts, bit i for hart i. SBI_SUCCESS, or
 * SBI_ERR_INVALID_PARAM when it names a hart that does not exist. A stopped hart is valid. An
 * empty mask is no error whatever the base is, since the base need not be a hart itself.
 */
int sbi_harts(const struct vm *vm, uint64_t mask, uint64_t base, uint64_t *harts);

/*
 * Can a hart start at this guest-physical address (section 9.1)? It must be RAM, and even, as
 * every instruction address is (IALIGN is 16 with the C extension).
 */
bool sbi_code_valid(const struct vm *vm, uint64_t addr);

/* Counts an event of SBI PMU (section 11.6) on a hart. */
static inline void sbi_count(struct hart *hart, unsigned event)
{
    atomic_fetch_add_explicit(&hart->events[event], 1, memory_order_relaxed);
}

/* Counts what a hart sends to each other one of `harts`, and that these receive it. */
void sbi_count_sent(struct hart *self, uint64_t harts, unsigned sent);

/*
 * Shared memory of a call (section 3.2): RAM, all of it. SBI_SUCCESS or
 * SBI_ERR_INVALID_ADDRESS.
 */
int sbi_shmem(const struct vm *vm, uint64_t lo, uint64_t hi, uint64_t size);

/*
 * Sends S-mode software interrupts. Stopped harts are passed over: section 7 knows no error for
 * them, and OpenSBI does the same.
 */
void sbi_send_ipis(struct hart *self, uint64_t harts);

/* Has harts execute FENCE.I. */
void sbi_fence_code(struct hart *self, uint64_t harts);

/*
 * Fences [start, start+size) of address spaces on harts (section 8): everything when start and
 * size are 0 or size is 2^64-1, and also when the range wraps around; nothing when only size is
 * 0. Stopped harts are included, since they may run again before the caller thinks of them.
 */
void sbi_fence_range(struct hart *hart, uint64_t harts, struct hart_fence fence);

#endif
