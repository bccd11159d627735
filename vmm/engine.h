/* engine.h: what runs guest instructions. One vtable for interpreter, translator and KVM. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_H
#define VMM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/mem.h"
#include "vmm/state.h"

struct vm;
struct hart;
struct hart_fence;

/* Capabilities (engine.caps): what needs one that an engine lacks is refused at start-up. */
#define ENGINE_EXACT_STEPS 0x1u /* counts steps, stops exactly at a budget */
#define ENGINE_M_MODE      0x2u /* can start a guest in M-mode */
#define ENGINE_U_MODE      0x4u /* can start a guest in U-mode (programs) */

/* The fixed counters, by their bits in mcountinhibit (privileged specification, 3.1.12). */
#define HART_COUNTER_CYCLE   0u
#define HART_COUNTER_INSTRET 2u

/* Who answers an SBI extension's calls. */
enum call_route {
    ROUTE_EXITS,  /* they come to the gate */
    ROUTE_BELOW,  /* answered below us (KVM's TIME, IPI, ...) */
    ROUTE_HIDDEN, /* the guest gets NOT_SUPPORTED, nobody is asked */
};

struct engine {
    const char *name;    /* as in --engine */
    const char *summary; /* one line */
    unsigned caps;

    /* Can this host run it? 0, or -errno with the reason in why (one line). */
    int (*probe)(char *why, size_t size);

    /* Per VM; memory slots exist already. 0 or -errno. */
    int (*vm_create)(struct vm *vm);
    void (*vm_destroy)(struct vm *vm);

    /* Per hart, on the thread that creates the VM; fills hart->engine_state. 0 or -errno. */
    int (*hart_create)(struct hart *hart);
    void (*hart_destroy)(struct hart *hart);

    /*
     * Runs the guest on the calling thread until the gate says leave or a request is pending.
     * Exits are delivered by up-call to vm_gate(). hart->requests is looked at at least once in
     * some thousand instructions. 0, or -errno when the engine itself failed.
     */
    int (*run)(struct hart *hart);

    /* Makes run return (or look at hart->requests) soon. Any thread, async-signal-safe. */
    void (*kick)(struct hart *hart);

    /* Raises or lowers an interrupt input, IRQ_*. Any thread. */
    void (*hart_irq)(struct hart *hart, unsigned irq, bool level);

    /* True when an interrupt is pending and enabled, so that WFI must not wait. Own thread. */
    bool (*irq_pending)(struct hart *hart);

    /*
     * Programs the S-mode timer of SBI TIME: pending from `ticks` on, cleared until then. Own
     * thread. timer_deadline: the next tick at which a timer of the hart fires; UINT64_MAX:
     * none.
     */
    void (*set_timer)(struct hart *hart, uint64_t ticks);
    uint64_t (*timer_deadline)(struct hart *hart);

    /* Executes a fence on the calling thread's own hart. */
    void (*fence)(struct hart *hart, const struct hart_fence *fence);

    /* The engine-neutral state. The hart must not be inside run. 0 or -errno. */
    int (*state_get)(struct hart *hart, struct hart_state *state);
    int (*state_set)(struct hart *hart, const struct hart_state *state);

    /*
     * Reads guest-virtual memory as a load of the hart's S-mode would, for a call that has
     * exited (legacy SBI hands over virtual addresses). Own thread. 0; the positive cause
     * (scause) of the exception that the load would raise, nothing copied; or -errno: it cannot
     * be told. NULL: this engine never can.
     */
    int (*read_virt)(struct hart *hart, uint64_t va, void *buf, size_t len);

    enum call_route (*call_route)(struct vm *vm, uint64_t ext);

    /* The ISA string for the device tree ("riscv,isa") and the list of extensions. */
    const char *(*isa_string)(struct vm *vm);
    const char *const *(*isa_extensions)(struct vm *vm);
    /* The widest paging mode: "riscv,sv39", "riscv,sv48" or "riscv,sv57". */
    const char *(*mmu_type)(struct vm *vm);

    /*
     * The counters behind the cycle and instret CSRs, HART_COUNTER_*, as the next instruction
     * of a hart that has exited with a call reads them. counter_set gives one a value, and lets
     * it count or keeps it still. Own thread. Both NULL: nobody can stop this engine's.
     */
    uint64_t (*counter_get)(struct hart *hart, unsigned counter);
    void (*counter_set)(struct hart *hart, unsigned counter, uint64_t value, bool counts);

    /*
     * Gives a feature (SBI_FWFT_*) a value, on a hart that is outside run or has exited with a
     * call. Own thread. 0; -EOPNOTSUPP: the hart has no such feature; -EINVAL: it cannot have
     * that value. NULL: there are none.
     */
    int (*feature_set)(struct hart *hart, unsigned feature, uint64_t value);
};

/* All engines of this build, best first; ends with NULL. */
extern const struct engine *const engine_list[];

#endif
