/* module.h: devices and services, registered, ordered and torn down by the core. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_MODULE_H
#define VMM_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/bus.h"
#include "vmm/call.h"
#include "vmm/error.h"
#include "vmm/snapshot.h"

struct vm;
struct hart;
struct fdt_builder;
struct acpi_builder;
struct module_instance;

/* In which starts a module is there without being asked for (module.starts, a mask). */
#define MODULE_KERNEL   0x1
#define MODULE_FIRMWARE 0x2
#define MODULE_PROGRAM  0x4
#define MODULE_X86      0x8 /* kernel starts of x86-64 guests, beside MODULE_KERNEL */

/* key=value pairs of --device NAME,key=value..., already split. */
struct module_option {
    const char *key;
    const char *value; /* "" when the key stood alone */
};

/* Documentation and check of the keys a module takes; ends with a NULL key. */
struct module_key {
    const char *key;
    const char *help;
};

/* A fixed range of guest-physical addresses that a module answers. Ends with size 0. */
struct module_mmio {
    gpa_t gpa;
    uint64_t size;
    const struct bus_ops *ops;
};

/*
 * A module. All its state hangs off *self: no mutable statics, several VMs live in one process.
 * Any pointer may be NULL. The core calls create in list order, destroy in reverse, and unwinds
 * what was created when one fails.
 */
struct module {
    const char *name;         /* as in --device, --without, --list-modules */
    const char *summary;      /* one line for --list-modules */
    const char *const *after; /* modules that must come before, NULL-terminated */
    unsigned starts;          /* MODULE_* mask: default presence */
    unsigned archs;           /* ARCH_* mask: whose guests can have it; 0: everyone's */
    bool multiple;            /* --device may name it several times */
    const struct module_key *keys;
    const struct call_desc *calls;
    size_t ncalls;
    const struct module_mmio *mmio;

    /*
     * Creates an instance. Options are checked against `keys` before. Claims further MMIO with
     * bus_claim, interrupt lines with irq_claim. 0, or a negative errno with *err set. -ENODEV:
     * the host lacks what it is made of; it is left out then, unless --device asked for it.
     */
    int (*create)(struct module_instance *inst, struct error *err);
    /* The policy is frozen, nothing of the guest has run. 0, or -errno with *err set. */
    int (*ready)(void *self, struct error *err);
    void (*reset)(void *self);
    void (*destroy)(void *self);
    /*
     * All that a guest can tell of the instance's state, for snapshots and for the hash that
     * compares two runs; load puts it into an instance of the same options. Errors stick in the
     * writer or reader; load checks every value, since the file may be anybody's.
     */
    void (*save)(void *self, struct state_writer *w);
    void (*load)(void *self, struct state_reader *r);
    /* Adds this instance's nodes to the device tree, below /soc. 0 or -errno. */
    int (*fdt)(void *self, struct fdt_builder *fdt);
    /* Names it in the ACPI tables, which x86-64 guests have instead (acpi.h). */
    void (*acpi)(void *self, struct acpi_builder *acpi);

    /* A hart that was stopped starts anew: what it had set up is forgotten. On its thread. */
    void (*hart_reset)(void *self, struct hart *hart);
    /* A hart goes on in the guest after it slept or its run was left. On its thread. */
    void (*hart_enter)(void *self, struct hart *hart);
};

/* A module in a VM. */
struct module_instance {
    const struct module *module;
    struct vm *vm;
    unsigned index; /* 0, 1, ... among the instances of one module */
    const struct module_option *options;
    unsigned noptions;
    void *self; /* set by create */
};

/* The value of an option, or NULL when it was not given. */
const char *module_option(const struct module_instance *inst, const char *key);

/* What the command line asked for. */
struct module_request {
    const char *name;
    struct module_option options[16];
    unsigned noptions;
};

/* The one list of all modules, in order (vmm/modules.def); ends with NULL. */
extern const struct module *const module_list[];

const struct module *module_find(const char *name);

/*
 * Decides which modules this VM has (defaults of its start, plus requests, minus without), in
 * list order, checks dependencies, and creates them. On failure everything is torn down again.
 */
int modules_create(struct vm *vm, struct error *err);
/* The same with a list of one's own, as module_list (tests bring theirs). */
int modules_create_from(struct vm *vm, const struct module *const *list, struct error *err);
/* Calls the hook of that name; -errno with *err set. */
int modules_ready(struct vm *vm, struct error *err);
void modules_reset(struct vm *vm);
/* Call the hooks of the same names. Own thread of the hart, outside the guest. */
void modules_hart_reset(struct hart *hart);
void modules_hart_enter(struct hart *hart);
void modules_destroy(struct vm *vm);

/* True when the VM has an instance of the named module. */
bool module_present(const struct vm *vm, const char *name);

/*
 * Parses "NAME[,key=value...]" into *req, which owns nothing: the strings live in `text`, which
 * is cut up. -EINVAL with *err set.
 */
int module_request_parse(char *text, struct module_request *req, struct error *err);

#endif
