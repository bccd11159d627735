/* fixture.c: a virtual machine without an engine, for tests of devices. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fixture.h"

#include <libfdt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/bus.h"
#include "vmm/fdt.h"
#include "vmm/observe.h"
#include "vmm/host.h"

static struct fixture *fixture_of(struct vm *vm)
{
    return (struct fixture *)((char *)vm - offsetof(struct fixture, vm));
}

static void engine_irq(struct hart *hart, unsigned irq, bool level)
{
    struct fixture *f = fixture_of(hart->vm);

    if (irq >= 16)
        abort();
    f->irq[hart->index][irq] = level;
    f->irq_calls[hart->index]++;
}

static void engine_set_mtimer(struct hart *hart, uint64_t ticks)
{
    fixture_of(hart->vm)->mtimer[hart->index] = ticks;
}

static void engine_nothing(struct hart *hart)
{
    (void)hart;
}

static int engine_hart_create(struct hart *hart)
{
    (void)hart;
    return 0;
}

static enum call_route engine_route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

void fixture_init(struct fixture *f, enum start_kind start, unsigned nharts,
                  enum console_input input)
{
    memset(f, 0, sizeof(*f));
    mock_host_init(&f->mock);
    f->engine = (struct engine){
        .name = "none",
        .hart_create = engine_hart_create,
        .hart_destroy = engine_nothing,
        .kick = engine_nothing,
        .hart_irq = engine_irq,
        .call_route = engine_route,
        .set_mtimer = engine_set_mtimer,
    };
    f->config = (struct vm_config){
        .host = &f->mock.host,
        .engine = &f->engine,
        .start = start,
        .mem_size = FIXTURE_RAM_SIZE,
        .nharts = nharts,
        .console = input,
        .in_fd = -1,
        .out_fd = 1,
    };
    struct vm *vm = &f->vm;
    vm->config = &f->config;
    vm->host = &f->mock.host;
    vm->engine = &f->engine;
    vm->instance = f->inst;
    vm->hart = f->hart;
    vm->nharts = nharts;
    pthread_mutex_init(&vm->stop_lock, NULL);
    host_cond_init(&vm->stop_cond);
    pthread_mutex_init(&vm->fence_lock, NULL);
    host_cond_init(&vm->fence_cond);
    clock_init(&vm->clock, vm->host);
    mem_init(&vm->mem);
    if (nharts > FIXTURE_HARTS_MAX || mem_add(&vm->mem, FIXTURE_RAM, FIXTURE_RAM_SIZE) < 0)
        abort();
    for (unsigned i = 0; i < nharts; i++)
        if (hart_init(&f->hart[i], vm, i) < 0)
            abort();
    /* The mock reads from any descriptor; this one is never a terminal. */
    if (console_init(&vm->console, vm, vm->host, input, 1000, 1) < 0)
        abort();
}

void fixture_destroy(struct fixture *f)
{
    struct vm *vm = &f->vm;

    if (vm->breaches != 0) { /* a module's bug, whichever test or fuzzer came across it */
        fprintf(stderr, "%s answered outside its contract\n",
                ((const struct call_desc *)vm->breach)->name);
        abort();
    }
    console_stop(&vm->console);
    observer_destroy(vm);
    call_index_destroy(vm);
    while (vm->ninstances > 0) {
        struct module_instance *inst = &f->inst[--vm->ninstances];
        if (inst->module->destroy)
            inst->module->destroy(inst->self);
    }
    console_destroy(&vm->console);
    for (unsigned i = 0; i < vm->nharts; i++)
        hart_destroy(&f->hart[i]);
    mem_destroy(&vm->mem);
    pthread_cond_destroy(&vm->fence_cond);
    pthread_mutex_destroy(&vm->fence_lock);
    pthread_cond_destroy(&vm->stop_cond);
    pthread_mutex_destroy(&vm->stop_lock);
    mock_host_destroy(&f->mock);
}

int fixture_add(struct fixture *f, const struct module *module, const char *key,
                const char *value)
{
    unsigned at = f->vm.ninstances;
    if (at == FIXTURE_MODULES_MAX)
        abort();
    f->option[at][0] = (struct module_option){.key = key, .value = value};
    f->inst[at] = (struct module_instance){
        .module = module,
        .vm = &f->vm,
        .options = f->option[at],
        .noptions = key ? 1 : 0,
    };
    f->err = (struct error){.status = STATUS_OK};
    int rc = module->create ? module->create(&f->inst[at], &f->err) : 0;
    if (rc == 0)
        f->vm.ninstances++;
    return rc;
}

uint64_t fixture_read(struct fixture *f, gpa_t gpa, unsigned size)
{
    uint64_t data = 0;

    if (bus_access(&f->vm, &f->hart[0], gpa, size, false, &data) < 0)
        abort();
    return data;
}

void fixture_write(struct fixture *f, gpa_t gpa, unsigned size, uint64_t value)
{
    if (bus_access(&f->vm, &f->hart[0], gpa, size, true, &value) < 0)
        abort();
}

bool fixture_refused(struct fixture *f, gpa_t gpa, unsigned size)
{
    uint64_t data = 0;

    return bus_access(&f->vm, &f->hart[0], gpa, size, false, &data) < 0 &&
           bus_access(&f->vm, &f->hart[0], gpa, size, true, &data) < 0;
}

void fixture_type(struct fixture *f, const char *text)
{
    size_t len = strlen(text);

    if (console_feed(&f->vm.console, (const uint8_t *)text, len) != len)
        abort();
}

bool fixture_printed(struct fixture *f, const char *text)
{
    bool same = f->mock.out_len == strlen(text) && memcmp(f->mock.out, text, strlen(text)) == 0;

    f->mock.out_len = 0;
    return same;
}

const void *fixture_fdt(struct fixture *f)
{
    struct fdt_builder b = {.vm = &f->vm, .blob = f->fdt};

    if (fdt_create(f->fdt, sizeof(f->fdt)) < 0 || fdt_finish_reservemap(f->fdt) < 0)
        return NULL;
    fdtb_begin(&b, "%s", "");
    for (unsigned i = 0; i < f->vm.ninstances; i++) {
        const struct module_instance *inst = &f->inst[i];
        if (inst->module->fdt && inst->module->fdt(inst->self, &b) < 0)
            return NULL;
    }
    fdtb_end(&b);
    return b.error == 0 && fdt_finish(f->fdt) == 0 ? f->fdt : NULL;
}
