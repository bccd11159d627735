/* debug.h: breakpoints in memory, and harts that are alone in the guest, on any architecture.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_KVM_DEBUG_H
#define VMM_ENGINE_KVM_DEBUG_H

#include <pthread.h>
#include "vmm/engine/kvm/common.h"

#define KVM_BREAKS_MAX 64u
#define KVM_PLANTS_MAX 288u

/* Code that was replaced by a trap. */
struct kvm_break {
    uint8_t *host; /* NULL: free */
    uint16_t kept;
};

/*
 * Memory is every hart's, so all others are kept out of the guest during a step: none runs past
 * the breakpoint that is lifted for it, or into those that it needs.
 */
struct kvm_debug {
    uint16_t trap;        /* the instruction that comes out as KVM_EXIT_DEBUG */
    unsigned width;       /* its bytes: 1 or 2 */
    pthread_mutex_t lock; /* order: innermost */
    pthread_cond_t changed;
    unsigned inside;          /* harts in KVM_RUN that take no step */
    const struct hart *alone; /* the one that takes a step, or NULL */
    struct kvm_break place[KVM_BREAKS_MAX];
};

/* What a hart is about; its own thread's. */
struct kvm_debug_hart {
    bool step;       /* debug_step */
    bool stepped;    /* an instruction was executed since the last EXIT_DEBUG */
    bool past_break; /* the breakpoint at break_pc was told: go over it */
    uint64_t break_pc;
};

/* What a step has written. */
struct kvm_plants {
    unsigned n;
    struct kvm_break plant[KVM_PLANTS_MAX];
};

/* NULL: no memory. destroy takes NULL, too. */
struct kvm_debug *kvm_debug_make(uint16_t trap, unsigned width);
void kvm_debug_free(struct kvm_debug *d);

/* debug_break (engine.h). */
int kvm_break_set(struct kvm_debug *d, struct vm *vm, gpa_t gpa, bool set);
/* Is there a breakpoint at this place (NULL: no)? */
bool kvm_break_at(struct kvm_debug *d, const uint8_t *host);

/* Around KVM_RUN of a hart that takes no step. */
void kvm_debug_enter(struct kvm_debug *d);
void kvm_debug_leave(struct kvm_debug *d);
/* Around a step: no other hart is in the guest. */
void kvm_alone_begin(struct kvm_debug *d, struct hart *hart);
void kvm_alone_end(struct kvm_debug *d);

/*
 * Alone: a trap at host, unless it is NULL; what a breakpoint there has replaced, for the
 * instruction that is to be executed; and as it was before. True: there was a place for it.
 */
bool kvm_plant(struct kvm_debug *d, struct kvm_plants *p, uint8_t *host);
void kvm_plant_lift(struct kvm_debug *d, struct kvm_plants *p, uint8_t *host);
void kvm_plants_clean(struct kvm_debug *d, struct kvm_plants *p);

#endif
