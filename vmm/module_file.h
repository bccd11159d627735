/* module_file.h: modules that are built elsewhere and loaded from a file (--module FILE.so). */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_MODULE_FILE_H
#define VMM_MODULE_FILE_H

#include <stdint.h>
#include "vmm/engine.h"
#include "vmm/hart.h"
#include "vmm/host.h"
#include "vmm/module.h"
#include "vmm/vm.h"

/*
 * The version of what a module and the monitor know of each other: these headers. It is raised
 * with every change of a structure, constant or function's meaning that a module can use. The
 * sizes tell changes that someone forgot.
 */
#define MODULE_FILE_VERSION 1
#define MODULE_FILE_SIZES   8

struct module_file {
    uint32_t version;
    uint32_t size[MODULE_FILE_SIZES];
    const struct module *module;
};

#define MODULE_FILE_LAYOUT                                                                     \
    {                                                                                          \
        sizeof(struct module), sizeof(struct module_instance), sizeof(struct call_desc),       \
            sizeof(struct call), sizeof(struct vm), sizeof(struct hart), sizeof(struct host),  \
            sizeof(struct engine),                                                             \
    }

/*
 * A module's file has this once, at its end, in place of its line in vmm/modules.def: the
 * `static const struct module` that it brings. Static, since a name that the monitor has too
 * would mean the monitor's.
 */
#define MODULE_FILE(brought)                                                                   \
    extern const struct module_file tollgate_module __attribute__((visibility("default")));    \
    const struct module_file tollgate_module = {                                               \
        .version = MODULE_FILE_VERSION,                                                        \
        .size = MODULE_FILE_LAYOUT,                                                            \
        .module = &(brought),                                                                  \
    }

/* Files that a VM has loaded, and the list of modules that came of it. */
struct module_files {
    void *handle[VM_REQUESTS_MAX];
    const struct module *loaded[VM_REQUESTS_MAX];
    unsigned n;
    const struct module **list; /* module_list with the loaded ones in it; ends with NULL */
};

/*
 * Loads the files of config->module_file, "FILE[,before=NAME|,replaces=NAME]", in their order.
 * A module stands at the end of the list, or before another, or in another's place; a later
 * file may name an earlier one's module. `list` is what they join. On failure nothing stays
 * loaded. 0, or -errno with *err set, which names file and fault.
 */
int module_files_open(struct vm *vm, const struct module *const *list, struct error *err);

/* Are all those there that were asked for, and fit for this run? After modules_create. */
int module_files_check(struct vm *vm, struct error *err);

/* Can their state be saved? -EINVAL with *err set when one has state and does not save it. */
int module_files_can_save(const struct vm *vm, struct error *err);

/* After the last use of anything in them. */
void module_files_close(struct vm *vm);

#endif
