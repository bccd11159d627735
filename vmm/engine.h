/* engine.h: what runs guest instructions. One vtable for interpreter, translator and KVM. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_H
#define VMM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/mem.h"
#include "vmm/state.h"

struct error;
struct state_reader;
struct state_writer;
struct vm;
struct hart;
struct hart_fence;
struct arch;
struct x86_start;

/* Capabilities (engine.caps): what needs one that an engine lacks is refused at start-up. */
#define ENGINE_EXACT_STEPS 0x1u  /* counts steps, stops exactly at a budget */
#define ENGINE_M_MODE      0x2u  /* can start a guest in M-mode */
#define ENGINE_U_MODE      0x4u  /* can start a guest in U-mode (programs) */
#define ENGINE_MISALIGNED  0x10u /* can make misaligned accesses trap */
/*
 * Harts start, stop and suspend inside run, below us (KVM's HSM): the core lets every hart's
 * thread enter run at once, and hart->status says nothing about them.
 */
#define ENGINE_HARTS 0x8u
/* tells what happens inside the guest to who watches (hart->watch, observe.h) */
#define ENGINE_WATCH 0x20u
/* translates, and can say where the code of each instruction stands (vm_config.code_map) */
#define ENGINE_CODE_MAP 0x40u
/* stops at breakpoints and after steps: has debug_enable, debug_break and debug_step */
#define ENGINE_DEBUG 0x80u
/*
 * Every VM has the interrupt controllers of a PC, in the kernel. Lines may be edges, and one
 * that an eventfd raises (line_fd) falls again by itself.
 */
#define ENGINE_PC_CHIPS 0x200u

/* The fixed counters, by their bits in mcountinhibit (privileged specification, 3.1.12). */
#define HART_COUNTER_CYCLE   0u
#define HART_COUNTER_INSTRET 2u
#define HART_COUNTER_FIRST   3u /* of the programmable ones */

/*
 * What a programmable counter counts: selectors of mhpmevent. The first ones are the SBI's
 * event indices (SBI 3.0, sections 11.1 and 11.2), as OpenSBI uses them when the device tree is
 * silent. A walk is a translation by the page tables that the engine really made, because its
 * own store of translations lacked it or does not keep such (devices).
 */
#define HART_EVENT_CYCLES       UINT64_C(0x1) /* one for each instruction, as mcycle */
#define HART_EVENT_INSTRUCTIONS UINT64_C(0x2)
#define HART_EVENT_LOAD_WALKS   UINT64_C(0x10019) /* dTLB-load-misses */
#define HART_EVENT_STORE_WALKS  UINT64_C(0x1001b) /* dTLB-store-misses */
#define HART_EVENT_FETCH_WALKS  UINT64_C(0x10021) /* iTLB-load-misses */
#define HART_EVENT_EXCEPTIONS   UINT64_C(0x100)   /* traps into the guest, from the privilege */
#define HART_EVENT_INTERRUPTS   UINT64_C(0x101)   /* that they are taken from */
#define HART_EVENT_DEVICE       UINT64_C(0x102)   /* loads and stores outside RAM */
#define HART_EVENT_FENCE_I      UINT64_C(0x103)   /* executed on this hart */
#define HART_EVENT_SFENCE_VMA   UINT64_C(0x104)   /* likewise; sinval.vma too */

/* Privileges in which an event is not counted. */
#define HART_EVENT_NOT_M 0x1u
#define HART_EVENT_NOT_S 0x2u
#define HART_EVENT_NOT_U 0x4u

/* A register by its name in the architecture's manual. */
struct hart_register {
    char name[8];
    uint64_t value;
};
#define HART_REGISTERS_MAX 40

/* Who answers an SBI extension's calls. */
enum call_route {
    ROUTE_EXITS,  /* they come to the gate, which decides */
    ROUTE_BELOW,  /* decided below us (KVM's TIME, IPI, ...); the gate is told afterwards, if at
                     all (KVM's SRST), and a refusal comes too late */
    ROUTE_HIDDEN, /* the guest gets NOT_SUPPORTED, nobody is asked */
};

/*
 * Delivery. There is one way out of the guest: engine->run calls vm_gate(hart, exit) on the
 * hart's thread, gets the reply in *exit and commits it before the next guest instruction.
 * Whether the exit was an instruction that the engine interprets, a call out of generated code
 * or a return from KVM_RUN is its own affair; so is when it writes the reply (KVM does so on
 * the next entry).
 *
 * What a reply means is in enum gate and enum call_disp. Two rules make them the same on all
 * engines:
 *  - inside the gate, state_get shows the hart as before the instruction that exited: its pc,
 *    its arguments. state_set there replaces the hart; the engine forgets the exit, and the
 *    handler answers CALL_REPLACED.
 *  - when run returns, nothing is pending: the reply was committed, or undone (CALL_PARK,
 *    CALL_STOPPED: pc still on the instruction). So harts outside run can be saved as they are.
 *
 * An engine that generates code may keep the handler of a plain call, and call it without the
 * gate, for as long as vm->call_epoch has not changed: call_fast() in call.h has the rules.
 */

struct engine {
    const char *name;    /* as in --engine */
    const char *summary; /* one line */
    unsigned caps;
    const struct arch *arch; /* of its guests; NULL: riscv64 */

    /* Can this host run it? 0, or -errno with the reason in why (one line). */
    int (*probe)(char *why, size_t size);

    /*
     * Per VM; memory slots and modules are there and final, the index of calls is not:
     * call_route is asked for it next. 0, or -errno with *err set. May be NULL.
     */
    int (*vm_create)(struct vm *vm, struct error *err);
    void (*vm_destroy)(struct vm *vm);

    /*
     * Per hart, on the thread that creates the VM, after the index of calls; fills
     * hart->engine_state. 0 or -errno.
     */
    int (*hart_create)(struct hart *hart);
    void (*hart_destroy)(struct hart *hart);

    /*
     * Runs the guest on the calling thread until the gate says leave or a request is pending
     * that only the core can serve (HART_REQ_STOP, HART_REQ_RESTART). hart->requests is looked
     * at on entry and at least once in some thousand instructions, or when kicked. 0, or -errno
     * when the engine itself failed.
     */
    int (*run)(struct hart *hart);

    /*
     * Makes run look at hart->requests soon, also when it is only about to enter the guest:
     * the request was set before. Never waits. Any thread, async-signal-safe.
     */
    void (*kick)(struct hart *hart);

    /*
     * Raises or lowers an interrupt input, IRQ_*. Any thread. Inputs that only calls drive
     * which are answered below us (KVM: all but the external one) may be ignored.
     */
    void (*hart_irq)(struct hart *hart, unsigned irq, bool level);

    /* True when an interrupt is pending and enabled, so that WFI must not wait. Own thread. */
    bool (*irq_pending)(struct hart *hart);

    /*
     * For engines whose harts have interrupts that only the kernel sees: from the next run on
     * the hart waits there, until `ticks` at the latest, a request, or an interrupt that it
     * takes, which irq_pending tells once. Then it goes on. Own thread, inside the gate. NULL:
     * the core waits.
     */
    void (*wait)(struct hart *hart, uint64_t ticks);

    /*
     * The core begins to wait, and has waited: a hart that sleeps long keeps nothing from
     * others. Own thread, mostly inside the gate. NULL: nobody needs to know.
     */
    void (*asleep)(struct hart *hart, bool asleep);

    /*
     * Programs the S-mode timer of SBI TIME: pending from `ticks` on, cleared until then. Own
     * thread. timer_deadline: the next tick at which a timer of the hart fires; UINT64_MAX:
     * none.
     */
    void (*set_timer)(struct hart *hart, uint64_t ticks);
    uint64_t (*timer_deadline)(struct hart *hart);

    /*
     * Exact counting (ENGINE_EXACT_STEPS). steps: taken so far, on the hart's own thread,
     * inside exits too. set_step_limit: run delivers EXIT_BUDGET when that many are taken.
     */
    uint64_t (*steps)(struct hart *hart);
    void (*set_step_limit)(struct hart *hart, uint64_t steps);

    /* The pc of the instruction that exited. Own thread, inside the gate. NULL: not told. */
    uint64_t (*pc)(struct hart *hart);

    /*
     * Programs the M-mode timer (mtimecmp): IRQ_M_TIMER is pending exactly while the clock is
     * at `ticks` or later. Any thread; use hart_set_mtimer(), which also wakes the hart. NULL:
     * the engine has no M-mode.
     */
    void (*set_mtimer)(struct hart *hart, uint64_t ticks);

    /*
     * An interrupt controller of the engine's own (vm->irq.below): is there one on this host,
     * and driving its lines, any thread. line_fd: each count of an eventfd is an edge of a
     * line; after the harts were made, 0 or -errno. All NULL: there is none.
     */
    bool (*irqchip_there)(void);
    void (*line_set)(struct vm *vm, unsigned gsi, bool level);
    int (*line_fd)(struct vm *vm, unsigned gsi, int fd);
    /*
     * Its state, as a module's (module.h); harts are outside run. Load without a reader makes
     * it as it was in the beginning. NULL: it cannot be saved.
     */
    void (*irqchip_save)(struct vm *vm, struct state_writer *w);
    void (*irqchip_load)(struct vm *vm, struct state_reader *r);
    /* 32-bit stores of `value` at gpa count an eventfd up and are no exits. Before harts run; 0
     * or -errno. NULL: cannot be. */
    int (*store_fd)(struct vm *vm, gpa_t gpa, uint32_t value, int fd);

    /* Executes a fence on the calling thread's own hart. Nothing where RFENCE is below us. */
    void (*fence)(struct hart *hart, const struct hart_fence *fence);

    /*
     * The engine-neutral state. From any thread while the hart is outside run; from its own
     * inside the gate, where state_get shows it before the instruction that exited. What an
     * engine has no registers for (KVM: M-mode's, steps) is as after a kernel start, and
     * ignored when set. 0 or -errno.
     */
    int (*state_get)(struct hart *hart, struct hart_state *state);
    int (*state_set)(struct hart *hart, const struct hart_state *state);

    /*
     * Engines of x86-64 guests have these two in their place. x86_start puts a hart at its
     * beginning (x86/x86.h), before harts run. registers shows what a fault's report names, on
     * the hart's own thread; returns how many there are, at most HART_REGISTERS_MAX.
     */
    int (*x86_start)(struct hart *hart, const struct x86_start *start);
    unsigned (*registers)(struct hart *hart, struct hart_register *list);

    /*
     * And for saved machines these three, in the place of state_get and state_set: what the
     * host's kernel holds of the harts, and of the chips that are in it. Harts are outside run.
     * machine_load reads, checks and keeps it; machine_apply hands it to the kernel, when
     * memory and modules have been loaded, whose lines are high or low already. 0, or -errno
     * with *err set.
     */
    int (*machine_save)(struct vm *vm, struct state_writer *w, struct error *err);
    int (*machine_load)(struct vm *vm, struct state_reader *r, struct error *err);
    int (*machine_apply)(struct vm *vm, struct error *err);

    /*
     * Reads guest-virtual memory as a load of the hart's S-mode would, for a call that has
     * exited (legacy SBI hands over virtual addresses). Own thread. 0; the positive cause
     * (scause) of the exception that the load would raise, nothing copied; or -errno: it cannot
     * be told. NULL: this engine never can.
     */
    int (*read_virt)(struct hart *hart, uint64_t va, void *buf, size_t len);

    /* vm NULL: what holds on every host, for --list-modules. */
    enum call_route (*call_route)(struct vm *vm, uint64_t ext);

    /* The ISA string for the device tree ("riscv,isa") and the list of extensions. */
    const char *(*isa_string)(struct vm *vm);
    const char *const *(*isa_extensions)(struct vm *vm);
    /* The widest paging mode: "riscv,sv39", "riscv,sv48" or "riscv,sv57". */
    const char *(*mmu_type)(struct vm *vm);
    /* Ticks a second of the `time` CSR, where the engine does not choose; NULL: the platform's.
     */
    uint64_t (*timebase_hz)(struct vm *vm);

    /*
     * The `time` CSR as the guest on this hart reads it now, where that is not clock_ticks().
     * Own thread, outside the guest. NULL: it is.
     */
    uint64_t (*time)(struct hart *hart);
    /* Makes it show `ticks` now, for all harts; before they run. 0 or -errno. With `time`. */
    int (*time_set)(struct vm *vm, uint64_t ticks);
    /*
     * ENGINE_HARTS: is the hart stopped (SBI HSM), and making it so or not. While it is outside
     * run; any thread. 0 or -errno.
     */
    bool (*stopped_get)(struct hart *hart);
    int (*stopped_set)(struct hart *hart, bool stopped);
    /*
     * Pages of mem_add_rom have moved, before harts run (a state is loaded). 0 or -errno. NULL:
     * the engine looks them up at each access.
     */
    int (*rom_moved)(struct vm *vm);

    /*
     * The counters behind the cycle and instret CSRs, HART_COUNTER_*, as the next instruction
     * of a hart that has exited with a call reads them. counter_set gives one a value, and lets
     * it count or keeps it still. Own thread. Both NULL: nobody can stop this engine's.
     */
    uint64_t (*counter_get)(struct hart *hart, unsigned counter);
    void (*counter_set)(struct hart *hart, unsigned counter, uint64_t value, bool counts);
    /*
     * Lets that many cycles pass for a hart that has exited with a call, unless its counter is
     * kept still. Own thread. Engines with ENGINE_EXACT_STEPS have it.
     */
    void (*cycles_add)(struct hart *hart, uint64_t cycles);

    /*
     * Programmable counters: `programmable` of them from HART_COUNTER_FIRST on, for counter_get
     * and counter_set too, which stop and start them; one that starts has not overflowed,
     * unless the interrupt of an overflow is still pending. event_known: can they count this?
     * event_set selects, with HART_EVENT_NOT_*; selector 0: nothing. overflows: bit i tells
     * that counter i has overflowed since it was started. Own thread. All NULL when there are
     * none.
     */
    unsigned programmable;
    bool (*event_known)(uint64_t selector);
    void (*event_set)(struct hart *hart, unsigned counter, uint64_t selector, unsigned filters);
    uint64_t (*overflows)(struct hart *hart);

    /*
     * Debugging (ENGINE_DEBUG). debug_enable makes it possible; before harts run; 0, or -errno:
     * this host cannot. Then EXIT_DEBUG is delivered, before the instruction at its pc, at
     * breakpoints and after steps; vm->debug is told. debug_break sets or clears a breakpoint
     * at the guest-physical address of an instruction; any thread. 0, -EINVAL (not even, not
     * RAM), -EEXIST, -ENOENT or -ENOSPC. Guests may see breakpoints in their code, so who ends
     * or saves the machine clears them before. debug_step: EXIT_DEBUG after each instruction,
     * or where the trap or interrupt leads that comes instead; own thread, or before it runs.
     */
    int (*debug_enable)(struct vm *vm);
    int (*debug_break)(struct vm *vm, gpa_t gpa, bool set);
    void (*debug_step)(struct hart *hart, bool on);

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
