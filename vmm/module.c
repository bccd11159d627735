/* module.c: which modules a VM has, in which order they come and go. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/module_file.h"
#include "vmm/vm.h"

#define MODULE(symbol) extern const struct module module_##symbol;
#include "vmm/modules.def"
#undef MODULE

const struct module *const module_list[] = {
#define MODULE(symbol) &module_##symbol,
#include "vmm/modules.def"
#undef MODULE
    NULL,
};

static const struct module *list_find(const struct module *const *list, const char *name)
{
    for (const struct module *const *m = list; *m; m++)
        if (strcmp((*m)->name, name) == 0)
            return *m;
    return NULL;
}

const struct module *module_find(const char *name)
{
    return list_find(module_list, name);
}

const char *module_option(const struct module_instance *inst, const char *key)
{
    for (unsigned i = 0; i < inst->noptions; i++)
        if (strcmp(inst->options[i].key, key) == 0)
            return inst->options[i].value;
    return NULL;
}

bool module_present(const struct vm *vm, const char *name)
{
    for (unsigned i = 0; i < vm->ninstances; i++)
        if (strcmp(vm->instance[i].module->name, name) == 0)
            return true;
    return false;
}

int module_request_parse(char *text, struct module_request *req, struct error *err)
{
    const size_t max = sizeof(req->options) / sizeof(req->options[0]);
    char *rest = text;
    char *word = strsep(&rest, ",");

    memset(req, 0, sizeof(*req));
    req->name = word;
    if (!*word)
        return error_set(err, STATUS_USAGE, "--device: no name; give NAME[,key=value...]");
    while ((word = strsep(&rest, ","))) {
        char *value = strchr(word, '=');

        if (value)
            *value++ = '\0';
        if (!*word)
            return error_set(err, STATUS_USAGE,
                             "--device: '%s' has an empty key; give key=value", req->name);
        if (req->noptions == max)
            return error_set(err, STATUS_USAGE, "--device: '%s' has more than %zu options",
                             req->name, max);
        req->options[req->noptions++] =
            (struct module_option){.key = word, .value = value ? value : ""};
    }
    return 0;
}

static bool key_known(const struct module *m, const char *key)
{
    for (const struct module_key *k = m->keys; k && k->key; k++)
        if (strcmp(k->key, key) == 0)
            return true;
    return false;
}

/* Lists a module's keys for a message. */
static void keys_text(const struct module *m, char *text, size_t size)
{
    text[0] = '\0';
    for (const struct module_key *k = m->keys; k && k->key; k++) {
        strncat(text, k == m->keys ? "" : ", ", size - strlen(text) - 1);
        strncat(text, k->key, size - strlen(text) - 1);
    }
}

static int request_check(const struct module *const *list, const struct module_request *req,
                         struct error *err)
{
    const struct module *m = list_find(list, req->name);
    char keys[160];

    if (!m)
        return error_set(err, STATUS_CONFIG,
                         "--device: there is no module '%s'; --list-modules lists them",
                         req->name);
    keys_text(m, keys, sizeof(keys));
    for (unsigned i = 0; i < req->noptions; i++)
        if (!key_known(m, req->options[i].key))
            return error_set(err, STATUS_CONFIG, "--device: %s has no key '%s'; it has: %s",
                             req->name, req->options[i].key, keys[0] ? keys : "none");
    return 0;
}

static bool is_without(const struct vm_config *config, const char *name)
{
    for (unsigned i = 0; i < config->nwithout; i++)
        if (strcmp(config->without[i], name) == 0)
            return true;
    return false;
}

/* Contradictions and names that mean nothing. */
static int requests_check(const struct module *const *list, const struct vm_config *config,
                          struct error *err)
{
    for (unsigned i = 0; i < config->nwithout; i++)
        if (!list_find(list, config->without[i]))
            return error_set(err, STATUS_CONFIG,
                             "--without: there is no module '%s'; --list-modules lists them",
                             config->without[i]);
    for (unsigned i = 0; i < config->nrequests; i++) {
        int rc = request_check(list, &config->request[i], err);

        if (rc != 0)
            return rc;
        if (is_without(config, config->request[i].name))
            return error_set(err, STATUS_CONFIG,
                             "--device and --without both name '%s'; give one of them",
                             config->request[i].name);
    }
    return 0;
}

static unsigned start_mask(const struct vm *vm)
{
    switch (vm->config->start) {
    case START_KERNEL:
        return MODULE_KERNEL | (vm_arch(vm) == &arch_x86_64 ? (unsigned)MODULE_X86 : 0);
    case START_FIRMWARE: return MODULE_FIRMWARE;
    default: return MODULE_PROGRAM;
    }
}

static bool arch_has(const struct vm *vm, const struct module *m)
{
    return m->archs == 0 || (m->archs & vm_arch(vm)->bit);
}

static int instance_create(struct vm *vm, const struct module *m, unsigned index,
                           const struct module_request *req, struct error *err)
{
    struct module_instance *inst = &vm->instance[vm->ninstances];
    int rc = 0;

    *inst = (struct module_instance){.module = m, .vm = vm, .index = index};
    if (req) {
        inst->options = req->options;
        inst->noptions = req->noptions;
    }
    for (const char *const *name = m->after; name && *name; name++)
        if (!module_present(vm, *name))
            return error_set(err, STATUS_CONFIG,
                             "module %s needs module %s; do not leave it out", m->name, *name);
    if (m->create)
        rc = m->create(inst, err);
    for (const struct module_mmio *r = m->mmio; rc == 0 && r && r->size; r++) {
        const struct bus_claim claim = {.gpa = r->gpa,
                                        .size = r->size,
                                        .ops = r->ops,
                                        .self = inst->self,
                                        .owner = m->name};

        rc = bus_claim(vm, &claim, err);
        if (rc != 0 && m->destroy)
            m->destroy(inst->self);
    }
    if (rc == -ENODEV && !req) { /* nobody asked for it: absent, and no error */
        *err = (struct error){.status = STATUS_OK};
        return 0;
    }
    if (rc == 0)
        vm->ninstances++;
    else
        error_set(err, STATUS_CONFIG, "module %s: %s", m->name, strerror(-rc));
    return rc;
}

/* All instances of one module: those asked for, or the one of its start. */
static int module_create(struct vm *vm, const struct module *m, struct error *err)
{
    const struct vm_config *config = vm->config;
    unsigned count = 0;

    if (is_without(config, m->name))
        return 0;
    for (unsigned i = 0; i < config->nrequests; i++) {
        int rc;

        if (strcmp(config->request[i].name, m->name) != 0)
            continue;
        if (!arch_has(vm, m))
            return error_set(err, STATUS_CONFIG, "--device: %s is not for %s guests", m->name,
                             vm_arch(vm)->name);
        if (count > 0 && !m->multiple)
            return error_set(err, STATUS_CONFIG, "--device: %s can be given only once",
                             m->name);
        rc = instance_create(vm, m, count++, &config->request[i], err);
        if (rc != 0)
            return rc;
    }
    if (count == 0 && arch_has(vm, m) && (m->starts & start_mask(vm)))
        return instance_create(vm, m, 0, NULL, err);
    return 0;
}

int modules_create_from(struct vm *vm, const struct module *const *list, struct error *err)
{
    size_t max = vm->config->nrequests;
    int rc = requests_check(list, vm->config, err);

    for (const struct module *const *m = list; *m; m++)
        max++;
    vm->ninstances = 0;
    vm->instance = calloc(max, sizeof(*vm->instance));
    if (!vm->instance)
        return error_set(err, STATUS_OS, "no memory for modules");
    for (const struct module *const *m = list; rc == 0 && *m; m++)
        rc = module_create(vm, *m, err);
    if (rc != 0)
        modules_destroy(vm);
    return rc;
}

int modules_create(struct vm *vm, struct error *err)
{
    int rc;

    if (vm->config->nmodule_files == 0)
        return modules_create_from(vm, module_list, err);
    rc = module_files_open(vm, module_list, err);
    if (rc == 0)
        rc = modules_create_from(vm, vm->module_files->list, err);
    return rc == 0 ? module_files_check(vm, err) : rc;
}

int modules_ready(struct vm *vm, struct error *err)
{
    int rc = 0;

    for (unsigned i = 0; i < vm->ninstances && rc == 0; i++) {
        const struct module *module = vm->instance[i].module;

        if (!module->ready)
            continue;
        rc = module->ready(vm->instance[i].self, err);
        if (rc != 0)
            error_set(err, STATUS_OS, "module %s is not ready: %s", module->name,
                      strerror(-rc));
    }
    return rc;
}

void modules_reset(struct vm *vm)
{
    for (unsigned i = 0; i < vm->ninstances; i++)
        if (vm->instance[i].module->reset)
            vm->instance[i].module->reset(vm->instance[i].self);
}

void modules_hart_reset(struct hart *hart)
{
    const struct vm *vm = hart->vm;

    for (unsigned i = 0; i < vm->ninstances; i++)
        if (vm->instance[i].module->hart_reset)
            vm->instance[i].module->hart_reset(vm->instance[i].self, hart);
}

void modules_hart_enter(struct hart *hart)
{
    const struct vm *vm = hart->vm;

    for (unsigned i = 0; i < vm->ninstances; i++)
        if (vm->instance[i].module->hart_enter)
            vm->instance[i].module->hart_enter(vm->instance[i].self, hart);
}

void modules_destroy(struct vm *vm)
{
    while (vm->instance && vm->ninstances > 0) {
        struct module_instance *inst = &vm->instance[--vm->ninstances];

        if (inst->module && inst->module->destroy)
            inst->module->destroy(inst->self);
    }
    free(vm->instance);
    vm->instance = NULL;
}
