/* policy.c: refuses the calls that the user denied. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy.h"

#include <errno.h>
#include <string.h>
#include "vmm/call.h"
#include "vmm/error.h"
#include "vmm/module.h"
#include "vmm/vm.h"

/* A rule names a call, or everything below a dot. */
static bool rule_matches(const char *rule, const char *name)
{
    size_t len = strlen(rule);

    return name && len > 0 && strncmp(name, rule, len) == 0 &&
           (name[len] == '\0' || name[len] == '.');
}

/* The calls of one module under a rule: how many, or -ENOTSUP when one never reaches the gate.
 */
static int rule_count(struct vm *vm, const struct module *module, const char *rule,
                      struct error *err)
{
    int n = 0;

    for (size_t i = 0; i < module->ncalls; i++) {
        const struct call_desc *desc = &module->calls[i];

        if (!rule_matches(rule, desc->name))
            continue;
        if (desc->personality != CALL_PROGRAM &&
            vm->engine->call_route(vm, desc->ext) == ROUTE_BELOW) {
            error_set(err, STATUS_UNAVAILABLE,
                      "--deny %s: cannot be enforced: engine %s lets %s be answered before it "
                      "reaches the monitor; choose another --engine",
                      rule, vm->engine->name, desc->name);
            return -ENOTSUP;
        }
        n++;
    }
    return n;
}

int policy_freeze(struct vm *vm, struct error *err)
{
    for (unsigned i = 0; i < vm->config->ndeny; i++) {
        const char *rule = vm->config->deny[i];
        int n = 0;

        for (unsigned j = 0; j < vm->ninstances; j++) {
            int rc = rule_count(vm, vm->instance[j].module, rule, err);
            if (rc < 0)
                return rc;
            n += rc;
        }
        if (n == 0) {
            error_set(err, STATUS_CONFIG,
                      "--deny %s: this guest has no such call; name one (sbi.dbcn.write) or a "
                      "group (sbi.dbcn) of a module that is present",
                      rule);
            return -ENOENT;
        }
    }
    return 0;
}

bool policy_allows(const struct vm *vm, const struct call_desc *desc)
{
    for (unsigned i = 0; i < vm->config->ndeny; i++)
        if (rule_matches(vm->config->deny[i], desc->name))
            return false;
    return true;
}
