/* vm.c: making, running, stopping and destroying a virtual machine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/boot.h"
#include "vmm/host.h"
#include "vmm/module_file.h"
#include "vmm/notify.h"
#include "vmm/observe.h"
#include "vmm/policy.h"
#include "vmm/snapshot.h"

const char *stop_cause_name(enum stop_cause cause)
{
    static const char *const names[] = {
        [CAUSE_NONE] = "none",
        [CAUSE_EXIT] = "exit",
        [CAUSE_FINISHER] = "finisher",
        [CAUSE_RESET] = "reset",
        [CAUSE_INVALID_ECALL] = "InvalidEcall",
        [CAUSE_FAULT] = "fault",
        [CAUSE_BUDGET] = "budget",
        [CAUSE_KILLED] = "killed",
        [CAUSE_QUIT] = "quit",
        [CAUSE_ENGINE] = "engine",
        [CAUSE_POLICY] = "policy",
    };

    return cause <= CAUSE_POLICY ? names[cause] : "unknown";
}

/* The pc of a hart that asks from its own thread; others' move while we look. */
static bool hart_pc(struct vm *vm, const struct hart *hart, uint64_t *pc)
{
    struct hart_state state;

    if (hart && vm->engine->registers && vm->engine->pc) {
        *pc = vm->engine->pc(&vm->hart[hart->index]);
        return true;
    }
    if (!hart || !vm->engine->state_get ||
        vm->engine->state_get(&vm->hart[hart->index], &state) != 0)
        return false;
    *pc = state.pc;
    return true;
}

/* The registers of a hart that asks from its own thread: on RISC-V x1 to x31. */
static unsigned hart_registers(struct vm *vm, const struct hart *hart,
                               struct hart_register list[HART_REGISTERS_MAX])
{
    struct hart *own = hart ? &vm->hart[hart->index] : NULL;
    struct hart_state state;

    if (own && vm->engine->registers)
        return vm->engine->registers(own, list);
    if (!own || !vm->engine->state_get || vm->engine->state_get(own, &state) != 0)
        return 0;
    for (unsigned i = 1; i < 32; i++) {
        snprintf(list[i - 1].name, sizeof(list[0].name), "x%u", i);
        list[i - 1].value = state.x[i];
    }
    return 31;
}

static void stop_record(struct vm *vm, const struct vm_stop *stop)
{
    pthread_mutex_lock(&vm->stop_lock);
    if (vm->stop.cause == CAUSE_NONE) {
        vm->stop = *stop;
        atomic_store(&vm->stopping, true);
        pthread_cond_broadcast(&vm->stop_cond);
    }
    pthread_mutex_unlock(&vm->stop_lock);
    for (unsigned i = 0; i < vm->nharts; i++)
        hart_request(&vm->hart[i], HART_REQ_STOP);
}

void vm_stop(struct vm *vm, enum stop_cause cause, int status, const struct hart *hart,
             const char *fmt, ...)
{
    struct vm_stop stop = {
        .cause = cause, .status = status, .hart = hart ? (int)hart->index : -1};
    va_list ap;

    stop.has_pc = hart_pc(vm, hart, &stop.pc);
    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(stop.text, sizeof(stop.text), fmt, ap);
        va_end(ap);
    }
    stop_record(vm, &stop);
}

void vm_stop_at(struct vm *vm, enum stop_cause cause, int status, const struct hart *hart,
                uint64_t pc, const char *fmt, ...)
{
    struct vm_stop stop = {.cause = cause,
                           .status = status,
                           .hart = hart ? (int)hart->index : -1,
                           .has_pc = true,
                           .pc = pc};
    va_list ap;

    stop.nregisters = hart_registers(vm, hart, stop.registers);
    va_start(ap, fmt);
    vsnprintf(stop.text, sizeof(stop.text), fmt, ap);
    va_end(ap);
    stop_record(vm, &stop);
}

static int harts_create(struct vm *vm, struct error *err)
{
    unsigned n = vm->config->nharts;

    vm->hart = calloc(n, sizeof(*vm->hart));
    if (!vm->hart)
        return error_set(err, STATUS_OS, "--cpus: no memory for %u harts", n);
    for (unsigned i = 0; i < n; i++) {
        int rc = hart_init(&vm->hart[i], vm, i);
        if (rc != 0)
            return error_set(err, STATUS_OS, "--cpus: engine %s cannot make hart %u of %u: %s",
                             vm->engine->name, i + 1, n, strerror(-rc));
        vm->nharts = i + 1;
    }
    return 0;
}

/* Devices of the guest's choice of console follow from what was loaded. */
static enum console_input console_choice(const struct vm *vm)
{
    if (vm->config->console != CONSOLE_AUTO)
        return vm->config->console;
    if (vm->config->start == START_PROGRAM)
        return CONSOLE_NONE;
    if (vm->config->start == START_FIRMWARE)
        return vm->payload.kind == IMAGE_LINUX ? CONSOLE_VIRTIO : CONSOLE_SERIAL;
    if (vm->image.kind != IMAGE_LINUX)
        return CONSOLE_SBI;
    /* Distributions' kernels for x86 have the serial port built in, and no other. */
    return vm_arch(vm) == &arch_x86_64 ? CONSOLE_SERIAL : CONSOLE_VIRTIO;
}

/* What a user types comes at no moment that a second run could repeat. */
static int console_in(const struct vm *vm)
{
    int fd = vm->config->in_fd;

    return vm->det && fd >= 0 && host_terminal_is(fd) ? -1 : fd;
}

static int capabilities_check(const struct vm_config *config, struct error *err)
{
    const struct engine *engine = config->engine;

    if (config->start == START_FIRMWARE && !(engine->caps & ENGINE_M_MODE))
        return error_set(err, STATUS_UNAVAILABLE,
                         "--firmware: engine %s has no M-mode; use --engine interp",
                         engine->name);
    if (config->start == START_PROGRAM && !(engine->caps & ENGINE_U_MODE))
        return error_set(err, STATUS_UNAVAILABLE,
                         "--program: engine %s runs no bare programs; use --engine interp",
                         engine->name);
    if (config->misaligned_traps && !(engine->caps & ENGINE_MISALIGNED))
        return error_set(err, STATUS_UNAVAILABLE,
                         "--misaligned: engine %s leaves it to its host; use --engine interp",
                         engine->name);
    if (config->code_map && !(engine->caps & ENGINE_CODE_MAP))
        return error_set(err, STATUS_UNAVAILABLE,
                         "--code-map: engine %s translates nothing; use --engine dbt",
                         engine->name);
    if (config->max_steps != UINT64_MAX && !(engine->caps & ENGINE_EXACT_STEPS))
        return error_set(err, STATUS_UNAVAILABLE,
                         "--max-steps: engine %s does not count steps; use --engine interp",
                         engine->name);
    return 0;
}

static void locks_init(struct vm *vm)
{
    pthread_mutex_init(&vm->stop_lock, NULL);
    host_cond_init(&vm->stop_cond);
    pthread_mutex_init(&vm->fence_lock, NULL);
    host_cond_init(&vm->fence_cond);
}

int vm_create(struct vm *vm, const struct vm_config *config, struct error *err)
{
    int rc;

    memset(vm, 0, sizeof(*vm));
    vm->config = config;
    vm->host = config->host;
    vm->engine = config->engine;
    vm->stop.hart = -1;
    locks_init(vm);
    mem_init(&vm->mem);
    rc = capabilities_check(config, err);
    if (rc == 0)
        rc = deterministic_create(vm, err);
    clock_init(&vm->clock, vm->host);
    if (rc == 0)
        rc = vm_arch(vm)->memory_create(vm, err);
    if (rc == 0)
        rc = vm_arch(vm)->load(vm, err);
    if (rc == 0)
        rc = console_init(&vm->console, vm, vm->host, console_choice(vm), console_in(vm),
                          config->out_fd) != 0
                 ? error_set(err, STATUS_OS, "cannot set up the console")
                 : 0;
    if (rc == 0) {
        vm->console_made = true;
        rc = modules_create(vm, err);
    }
    if (rc == 0 && vm->engine->vm_create)
        rc = vm->engine->vm_create(vm, err);
    if (rc == 0)
        rc = policy_freeze(vm, err);
    if (rc == 0)
        rc = call_index_build(vm, err);
    if (rc == 0)
        rc = modules_ready(vm, err);
    if (rc == 0)
        rc = harts_create(vm, err);
    if (rc == 0)
        rc = observer_create(vm, err);
    if (rc == 0)
        rc = vm_arch(vm)->prepare(vm, err);
    if (rc == 0)
        modules_reset(vm);
    if (rc == 0 && config->load_state)
        rc = snapshot_load(vm, config->load_state, err);
    if (rc != 0)
        vm_destroy(vm);
    return rc;
}

static int harts_start(struct vm *vm, struct error *err)
{
    for (unsigned i = 0; i < vm->nharts; i++) {
        struct hart *hart = &vm->hart[i];

        if (pthread_create(&hart->thread, NULL, hart_thread, hart) != 0)
            return error_set(err, STATUS_OS, "--cpus: the host gives no thread for hart %u", i);
        hart->thread_started = true;
    }
    return 0;
}

static void harts_join(struct vm *vm)
{
    for (unsigned i = 0; i < vm->nharts; i++) {
        if (vm->hart[i].thread_started)
            pthread_join(vm->hart[i].thread, NULL);
        vm->hart[i].thread_started = false;
    }
}

int vm_run(struct vm *vm, struct error *err)
{
    int rc = 0;

    if (vm->det) {
        deterministic_run(vm);
        console_stop(&vm->console);
        return 0;
    }
    if (console_start(&vm->console) != 0)
        rc = error_set(err, STATUS_OS, "the host gives no thread for the console");
    if (rc == 0 && notify_start(vm) != 0)
        rc = error_set(err, STATUS_OS, "the host gives no thread for the devices");
    if (rc == 0)
        rc = harts_start(vm, err);
    if (rc != 0)
        vm_stop(vm, CAUSE_ENGINE, err->status, NULL, "%s", err->text);
    pthread_mutex_lock(&vm->stop_lock);
    while (vm->stop.cause == CAUSE_NONE)
        host_cond_wait(&vm->stop_cond, &vm->stop_lock, UINT64_MAX);
    pthread_mutex_unlock(&vm->stop_lock);
    harts_join(vm);
    atomic_store(&vm->quiet, true);
    notify_stop(vm);
    console_stop(&vm->console);
    return rc;
}

void vm_destroy(struct vm *vm)
{
    observer_destroy(vm);
    call_index_destroy(vm);
    policy_release(vm);
    notify_destroy(vm);
    modules_destroy(vm); /* before the harts, which a module's thread may still address */
    module_files_close(vm);
    for (unsigned i = 0; i < vm->nharts; i++)
        hart_destroy(&vm->hart[i]);
    free(vm->hart);
    vm->hart = NULL;
    vm->nharts = 0;
    if (vm->engine && vm->engine->vm_destroy && vm->engine_state)
        vm->engine->vm_destroy(vm);
    if (vm->console_made)
        console_destroy(&vm->console);
    vm->console_made = false;
    free(vm->dtb);
    vm->dtb = NULL;
    mem_destroy(&vm->mem);
    deterministic_destroy(vm);
    pthread_cond_destroy(&vm->fence_cond);
    pthread_mutex_destroy(&vm->fence_lock);
    pthread_cond_destroy(&vm->stop_cond);
    pthread_mutex_destroy(&vm->stop_lock);
}
