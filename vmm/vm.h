/* vm.h: a virtual machine, from its configuration to its end. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "vmm/arch.h"
#include "vmm/bus.h"
#include "vmm/call.h"
#include "vmm/clock.h"
#include "vmm/console.h"
#include "vmm/deterministic.h"
#include "vmm/engine.h"
#include "vmm/error.h"
#include "vmm/hart.h"
#include "vmm/irq.h"
#include "vmm/loader.h"
#include "vmm/mem.h"
#include "vmm/module.h"

/* How a guest starts; each takes its own set of modules. */
enum start_kind {
    START_KERNEL,   /* S-mode, SBI answered by modules */
    START_FIRMWARE, /* M-mode image, no SBI of ours */
    START_PROGRAM,  /* static ELF in U-mode */
};

#define VM_REQUESTS_MAX 32

struct phases;

/* What the command line decided. Strings are borrowed and outlive the VM. */
struct vm_config {
    struct host *host;
    const struct engine *engine;
    const char *engine_why;  /* or NULL: why no better engine was taken */
    const struct arch *arch; /* NULL: riscv64 */
    enum start_kind start;
    const char *image;   /* kernel, firmware or program; "opensbi": fw_dynamic of Debian */
    const char *payload; /* firmware starts: the kernel that the firmware starts, or NULL */
    const char *initrd;  /* or NULL */
    const char *append;  /* or NULL: a default for the console */
    const char *dtb;     /* or NULL: made by the core */
    bool raw;            /* the image has no header */
    char *const *argv;   /* program arguments, argv[0] the program; NULL-terminated */
    uint64_t mem_size;
    unsigned nharts;
    uint64_t max_steps; /* of each hart; of all together when deterministic; UINT64_MAX: none */
    bool misaligned_traps;  /* misaligned loads and stores raise exceptions */
    bool deterministic;     /* see deterministic.h */
    uint64_t seed;          /* of a deterministic run */
    const char *load_state; /* or NULL: where the machine goes on from */
    enum console_input console;
    int in_fd, out_fd;
    struct module_request request[VM_REQUESTS_MAX];
    unsigned nrequests;
    const char *without[VM_REQUESTS_MAX];
    unsigned nwithout;
    const char *policy; /* or NULL: a policy file */
    const char *deny[VM_REQUESTS_MAX];
    unsigned ndeny;
    struct phases *phases; /* or NULL: what the first hart's time stamps go to (phases.h) */
    const char *allow[VM_REQUESTS_MAX];
    unsigned nallow;
    const char *rate[VM_REQUESTS_MAX];
    unsigned nrate;
    bool policy_learn; /* let all calls pass, and remember them (policy_learned) */
    const char *module_file[VM_REQUESTS_MAX]; /* module_file.h */
    unsigned nmodule_files;
    bool no_eventfds; /* stores and interrupts of devices: see notify.h */
    bool slow_calls;  /* every call takes the gate, for tests of the other way */
    /* observe.h */
    unsigned trace;         /* WATCH_*, without WATCH_STATS */
    const char *trace_file; /* or NULL: standard error */
    FILE *console_copy;     /* what the guest prints goes here too; or NULL */
    bool stats;             /* print them */
    const char *stats_json; /* or NULL */
    const char *symbols;    /* names for pcs, or NULL: the image's */
    const char *code_map;   /* or NULL: where the translator says what it makes */
};

/* Why a VM ended. */
enum stop_cause {
    CAUSE_NONE,
    CAUSE_EXIT,          /* the exit call, or SRST shutdown */
    CAUSE_FINISHER,      /* the test finisher device */
    CAUSE_RESET,         /* the guest asked for a reboot */
    CAUSE_INVALID_ECALL, /* a bare program called what nobody answers */
    CAUSE_FAULT,
    CAUSE_BUDGET,
    CAUSE_KILLED, /* a signal to the monitor */
    CAUSE_QUIT,   /* the user left */
    CAUSE_ENGINE, /* the engine failed */
    CAUSE_POLICY, /* a rule stops the guest that breaks it */
};

/* The first stop wins; what came later is not recorded. */
struct vm_stop {
    enum stop_cause cause;
    int status; /* the process's exit status */
    int hart;   /* -1: none in particular */
    bool has_pc;
    uint64_t pc;
    char text[160];      /* details for people; may be empty */
    unsigned nregisters; /* of a fault; 0: not told */
    struct hart_register registers[HART_REGISTERS_MAX];
};

struct vm {
    const struct vm_config *config;
    struct host *host;
    const struct engine *engine;
    void *engine_state;

    struct mem mem;
    struct bus bus;
    struct irq_router irq;
    _Atomic(struct notify_owed *) owed;
    struct notify *notify; /* or NULL: all stores to devices are exits (notify.h) */
    /* The harts have ended, and nothing of the guest changes memory any more. */
    _Atomic bool quiet;
    struct clock clock;
    struct deterministic *det; /* or NULL: harts are threads, time is the host's */
    struct console console;
    bool console_made;
    /* Who debugs the guest, or NULL: called at each EXIT_DEBUG, on the hart's thread. */
    void (*debug)(void *arg, struct hart *hart, uint64_t pc);
    void *debug_arg;
    struct policy *policy; /* frozen before the index of calls is built */
    struct call_index *calls;
    struct observer *observer;   /* or NULL: nobody watches */
    _Atomic uint64_t call_epoch; /* call.h, "The epoch rule"; generated code reads it */
    /* Answers outside their call's contract: how many, and of which call the first was. */
    _Atomic uint64_t breaches;
    const struct call_desc *_Atomic breach;

    struct module_instance *instance;
    unsigned ninstances;
    struct module_files *module_files; /* or NULL: nothing was loaded */

    struct hart *hart;
    unsigned nharts;
    _Atomic unsigned harts_live; /* program starts: harts that have not exited */

    struct image image;
    struct image payload; /* with config->payload */
    gpa_t fw_info;        /* what a2 of firmware points to (fw_dynamic); 0: nothing */
    gpa_t dtb_gpa;
    gpa_t initrd_gpa;
    uint64_t initrd_size;
    void *dtb;
    size_t dtb_size;

    /* Harts that wait for others' fences. Order: no other lock is taken under it. */
    pthread_mutex_t fence_lock;
    pthread_cond_t fence_cond;
    _Atomic unsigned fence_waiters;

    pthread_mutex_t stop_lock; /* order: before a hart's lock */
    pthread_cond_t stop_cond;
    struct vm_stop stop;
    _Atomic bool stopping;
};

static inline const struct arch *vm_arch(const struct vm *vm)
{
    return vm->config->arch ? vm->config->arch : &arch_riscv64;
}

/*
 * Does anybody watch its exits (observe.h)? Built with TG_NO_OBSERVE nobody can, and the
 * questions cost nothing: tests/bench/off.sh measures what they cost otherwise.
 */
static inline bool vm_observed(const struct vm *vm)
{
#ifdef TG_NO_OBSERVE
    (void)vm;
    return false;
#else
    return __builtin_expect(vm->observer != NULL, 0);
#endif
}

/*
 * Makes a VM: memory, modules, engine, harts, images, device tree. Nothing of the guest has
 * run. On failure everything is released and *err says why. 0 or -errno.
 */
int vm_create(struct vm *vm, const struct vm_config *config, struct error *err);

/* Runs it to its end. The result is in vm->stop. 0, or -errno with *err set. */
int vm_run(struct vm *vm, struct error *err);

void vm_destroy(struct vm *vm);

/*
 * Ends the VM: cause and status are kept if nothing stopped it before; every hart leaves soon.
 * hart is NULL when none is to blame. fmt may be NULL. Any thread, from handlers too.
 */
void vm_stop(struct vm *vm, enum stop_cause cause, int status, const struct hart *hart,
             const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * The same, with the pc of the guest instruction to blame, and the hart's registers. Own thread
 * of the hart.
 */
void vm_stop_at(struct vm *vm, enum stop_cause cause, int status, const struct hart *hart,
                uint64_t pc, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

const char *stop_cause_name(enum stop_cause cause);

#endif
