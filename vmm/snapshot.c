/* snapshot.c: the whole machine as bytes: saved, loaded, hashed. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/snapshot.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"
#include "vmm/module_file.h"
#include "vmm/policy.h"
#include "vmm/vm.h"

/*
 * The file: magic, version, then sections in fixed order: configuration, clock, harts, console,
 * policy, modules (name, length, bytes), memory (address and bytes of each page that is not all
 * zero, ended by an address of all ones), end mark. Where the host's kernel holds the harts
 * (x86-64), what it holds is in their place (engine.h, machine_save).
 */
static const char magic[8] = "TGSTATE";
#define END_MARK   0x444e454554415453ull /* "STATEEND" */
#define NO_MORE    UINT64_MAX
#define MODULE_MAX (1u << 26) /* bytes of one module's state */

/* --- a growing buffer --- */

struct buffer_writer {
    struct state_writer w;
    uint8_t *data;
    size_t len, size;
};

static void buffer_write(struct state_writer *w, const void *data, size_t len)
{
    struct buffer_writer *b = (struct buffer_writer *)w;

    if (b->size - b->len < len) {
        size_t size = b->size * 2 + len + 4096;
        uint8_t *grown = realloc(b->data, size);

        if (!grown) {
            w->error = -ENOMEM;
            return;
        }
        b->data = grown;
        b->size = size;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

/* --- sections --- */

static void put_config(const struct vm *vm, struct state_writer *w)
{
    state_put_u64(w, vm_arch(vm)->bit);
    state_put_u64(w, vm->config->start);
    state_put_u64(w, vm->config->mem_size);
    state_put_u64(w, vm->nharts);
    state_put_u64(w, vm->ninstances);
    state_put_u64(w, vm->det != NULL);
}

static const char *start_name(uint64_t start)
{
    switch (start) {
    case START_KERNEL: return "a kernel";
    case START_FIRMWARE: return "firmware";
    case START_PROGRAM: return "a program";
    default: return "an unknown start";
    }
}

/* What comes next is laid out by it. */
static int check_arch(const struct vm *vm, struct state_reader *r, struct error *err)
{
    uint64_t bit = state_get_u64(r);
    const char *theirs = "an unknown architecture";

    if (r->error != 0 || bit == vm_arch(vm)->bit)
        return 0;
    for (const struct arch *const *arch = arch_list; *arch; arch++)
        if ((*arch)->bit == bit)
            theirs = (*arch)->name;
    return error_set(
        err, STATUS_CONFIG,
        "--load-state: the state is of a machine for %s, and this guest is for %s; "
        "give the options with which it was saved",
        theirs, vm_arch(vm)->name);
}

static int check_config(const struct vm *vm, struct state_reader *r, struct error *err)
{
    uint64_t start = state_get_u64(r), mem = state_get_u64(r), harts = state_get_u64(r);
    uint64_t modules = state_get_u64(r), det = state_get_u64(r);

    if (r->error != 0)
        return 0;
    if (start == vm->config->start && mem == vm->config->mem_size && harts == vm->nharts &&
        modules == vm->ninstances && (det != 0) == (vm->det != NULL))
        return 0;
    return error_set(
        err, STATUS_CONFIG,
        "--load-state: the state is of %s with %llu hart(s), %llu KiB, %llu modules, %s; give "
        "the options with which it was saved",
        start_name(start), (unsigned long long)harts, (unsigned long long)(mem >> 10),
        (unsigned long long)modules, det ? "deterministic" : "free-running");
}

/* The time that the guest saw last. */
static uint64_t guest_ticks(struct vm *vm)
{
    return vm->engine->time ? vm->engine->time(&vm->hart[0]) : clock_ticks(&vm->clock);
}

static void put_clock(struct vm *vm, struct state_writer *w)
{
    state_put_u64(w, atomic_load(&vm->harts_live));
    state_put_u64(w, guest_ticks(vm));
    if (!vm->det)
        return;
    state_put_u64(w, vm->det->random);
    state_put_u64(w, vm->det->now_ns);
    state_put_u64(w, vm->det->console_ns);
    state_put_u64(w, vm->det->next);
    state_put_u64(w, vm->det->cut);
    state_put_u64(w, vm->det->ran);
    state_put_u64(w, vm->det->turn_steps);
}

static void get_clock(struct vm *vm, struct state_reader *r)
{
    struct deterministic *det = vm->det;
    uint64_t ticks;

    atomic_store(&vm->harts_live, (unsigned)state_get_max(r, vm->nharts));
    ticks = state_get_max(r, INT64_MAX / CLOCK_NS_PER_TICK);
    if (!det) {
        clock_set(&vm->clock, ticks);
        if (vm->engine->time_set && vm->engine->time_set(vm, ticks) != 0)
            r->error = -EINVAL;
        return;
    }
    det->random = state_get_u64(r);
    det->now_ns = state_get_max(r, INT64_MAX);
    det->console_ns = state_get_u64(r);
    det->next = (unsigned)state_get_max(r, vm->nharts);
    det->cut = state_get_max(r, 1);
    det->ran = state_get_max(r, 1);
    det->turn_steps = state_get_u64(r);
}

/* The turn that goes on must be one that its hart can be in. */
static void check_turn(const struct vm *vm, struct state_reader *r)
{
    const struct deterministic *det = vm->det;

    if (!det || !det->cut)
        return;
    if (det->next >= vm->nharts ||
        vm->hart[det->next].steps - det->turn_steps >= DETERMINISTIC_QUANTUM)
        r->error = -EINVAL;
}

/* After version and privilege the state is words only. */
#define HART_WORDS ((sizeof(struct hart_state) - offsetof(struct hart_state, pc)) / 8)

static void hart_state_put(const struct hart_state *state, struct state_writer *w)
{
    uint64_t word[HART_WORDS];

    memcpy(word, &state->pc, sizeof(word));
    state_put_u64(w, state->version);
    state_put_u64(w, state->priv);
    for (size_t i = 0; i < HART_WORDS; i++)
        state_put_u64(w, word[i]);
}

static void hart_state_get(struct hart_state *state, struct state_reader *r)
{
    uint64_t word[HART_WORDS] = {0};

    state->version = (uint32_t)state_get_max(r, UINT32_MAX);
    state->priv = (uint32_t)state_get_max(r, PRIV_M);
    for (size_t i = 0; i < HART_WORDS; i++)
        word[i] = state_get_u64(r);
    memcpy(&state->pc, word, sizeof(word));
    if (state->version != HART_STATE_VERSION)
        r->error = -EINVAL;
}

/* Where harts start and stop below us, only the engine knows which are stopped. */
static enum hart_status hart_status(struct hart *hart)
{
    const struct engine *engine = hart->vm->engine;
    bool stopped = engine->caps & ENGINE_HARTS && engine->stopped_get(hart);

    return stopped ? HART_STOPPED : hart->status;
}

static void put_hart(struct hart *hart, struct state_writer *w)
{
    enum hart_status status = hart_status(hart);
    struct hart_state state;

    hart->vm->engine->state_get(hart, &state);
    state_put_u64(w, status);
    state_put_u64(w, hart->boot && status != HART_STOPPED);
    state_put_u64(w, hart->idle);
    state_put_u64(w, hart->idle ? hart->idle_until : 0);
    state_put_u64(w, hart->start_pc);
    state_put_u64(w, hart->start_arg);
    for (unsigned i = 0; i < HART_EVENTS; i++)
        state_put_u64(w, atomic_load(&hart->events[i]));
    hart_state_put(&state, w);
}

/* So many that they can be added up. */
#define STEPS_MAX (UINT64_C(1) << 56)

static enum hart_status get_status(struct state_reader *r)
{
    uint64_t status = state_get_max(r, HART_SUSPENDED);

    if (status == HART_SUSPENDED - 1) /* SBI's "stop pending", which no hart of ours is in */
        r->error = -EINVAL;
    return (enum hart_status)status;
}

/* Such an engine's harts all enter run at once, the stopped ones too. */
static void settle_status(struct hart *hart, struct state_reader *r)
{
    const struct engine *engine = hart->vm->engine;
    bool stopped = hart->status == HART_STOPPED;

    if (!(engine->caps & ENGINE_HARTS))
        return;
    if (r->error == 0 && engine->stopped_set(hart, stopped) != 0)
        r->error = -EINVAL;
    if (stopped)
        hart->status = HART_STARTED;
}

static void get_hart(struct hart *hart, struct hart_state *state, struct state_reader *r)
{
    hart->status = get_status(r);
    hart->boot = state_get_max(r, 1);
    hart->idle = state_get_max(r, 1);
    hart->idle_until = state_get_u64(r);
    hart->start_pc = state_get_u64(r);
    hart->start_arg = state_get_u64(r);
    for (unsigned i = 0; i < HART_EVENTS; i++)
        atomic_store(&hart->events[i], state_get_u64(r));
    hart_state_get(state, r);
    if (state->steps > STEPS_MAX || (hart->idle && !hart->vm->det))
        r->error = -EINVAL;
    if (r->error == 0 && hart->vm->engine->state_set(hart, state) != 0)
        r->error = -EINVAL;
    settle_status(hart, r);
    hart->steps = state->steps;
    hart->instret = state->instret;
}

/* The inputs of a hart that devices hold; those of timers and software are its own. */
#define LINES (1ull << IRQ_S_EXT | 1ull << IRQ_M_EXT | 1ull << IRQ_M_SOFT)

/*
 * The modules have driven their lines again, which must agree with them whatever the file says.
 * A timer that they set again has been compared with the clock, which a hart in the middle of
 * its turn had not done: that is put back.
 */
static int settle_lines(struct hart *hart, uint64_t mip)
{
    const struct engine *engine = hart->vm->engine;
    struct hart_state state;
    int rc = engine->state_get(hart, &state);

    state.mip = (state.mip & LINES) | (mip & ~LINES);
    return rc == 0 ? engine->state_set(hart, &state) : rc;
}

static void put_module(const struct module_instance *inst, struct state_writer *w)
{
    struct buffer_writer b = {.w = {.write = buffer_write}};

    if (inst->module->save)
        inst->module->save(inst->self, &b.w);
    if (b.w.error != 0)
        w->error = b.w.error;
    state_put_u64(w, strlen(inst->module->name));
    state_put(w, inst->module->name, strlen(inst->module->name));
    state_put_u64(w, b.len);
    state_put(w, b.data, b.len);
    free(b.data);
}

/* The name may be anybody's: it is told only when it is that of a module. */
static int other_module(const char *name, const char *here, struct error *err)
{
    if (strcmp(name, "aia") == 0)
        return error_set(err, STATUS_CONFIG,
                         "--load-state: the state has the interrupt controller of the host's "
                         "KVM, aia, and this VM has %s; load it under --engine kvm on a host "
                         "with AIA, or save it from a guest that runs --without aia",
                         here);
    return error_set(err, STATUS_CONFIG,
                     "--load-state: the state has %s where this VM has %s; give the options "
                     "with which it was saved",
                     module_find(name) ? name : "another module", here);
}

static int get_module(const struct module_instance *inst, struct state_reader *r,
                      struct error *err)
{
    char name[64] = "";
    size_t len = state_get_max(r, sizeof(name) - 1);
    struct state_reader part;

    state_get(r, name, len);
    part = (struct state_reader){.len = state_get_max(r, MODULE_MAX)};
    part.data = r->data;
    if (r->error == 0 && part.len > r->len)
        r->error = -EINVAL;
    if (r->error != 0)
        return 0;
    if (strcmp(name, inst->module->name) != 0)
        return other_module(name, inst->module->name, err);
    r->data += part.len;
    r->len -= part.len;
    if (inst->module->load)
        inst->module->load(inst->self, &part);
    if (part.error != 0 || part.len != 0)
        return error_set(err, STATUS_DATA,
                         "--load-state: the state of module %s is damaged, or of other options",
                         inst->module->name);
    return 0;
}

static bool page_is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, MEM_PAGE_SIZE - 1) == 0;
}

static void put_memory(const struct vm *vm, struct state_writer *w)
{
    for (unsigned i = 0; i < vm->mem.nslots; i++) {
        const struct mem_slot *slot = &vm->mem.slot[i];

        for (uint64_t at = 0; at < slot->size && w->error == 0; at += MEM_PAGE_SIZE) {
            if (page_is_zero(slot->host + at))
                continue;
            state_put_u64(w, slot->gpa + at);
            state_put(w, slot->host + at, MEM_PAGE_SIZE);
        }
    }
    state_put_u64(w, NO_MORE);
}

static void get_memory(struct vm *vm, struct state_reader *r)
{
    for (unsigned i = 0; r->error == 0 && i < vm->mem.nslots; i++)
        mem_zero(&vm->mem, vm->mem.slot[i].gpa, vm->mem.slot[i].size);
    while (r->error == 0) {
        gpa_t gpa = state_get_u64(r);
        uint8_t *page;

        if (gpa == NO_MORE)
            return;
        page = gpa % MEM_PAGE_SIZE == 0 ? mem_ptr(&vm->mem, gpa, MEM_PAGE_SIZE) : NULL;
        if (page)
            state_get(r, page, MEM_PAGE_SIZE);
        else
            r->error = -EINVAL;
    }
}

/* The registers of a controller in the host's kernel are known to the engine only. */
static int check_controller(const struct vm *vm, const char *option, struct error *err)
{
    if (!vm->irq.below || vm->engine->irqchip_save)
        return 0;
    return error_set(err, STATUS_UNAVAILABLE,
                     "%s: the interrupt controller is in the host's kernel, and engine %s "
                     "cannot save it",
                     option, vm->engine->name);
}

/* A timebase of the host's own would be another one where the state is loaded. */
static int check_timebase(struct vm *vm, const char *option, struct error *err)
{
    const struct engine *engine = vm->engine;
    uint64_t hz = engine->timebase_hz ? engine->timebase_hz(vm) : PLAT_TIMEBASE_HZ;

    if (hz == PLAT_TIMEBASE_HZ)
        return 0;
    return error_set(err, STATUS_UNAVAILABLE,
                     "%s: under engine %s time has %llu ticks a second on this host, and a "
                     "state %u; use --engine interp",
                     option, engine->name, (unsigned long long)hz, PLAT_TIMEBASE_HZ);
}

static int put_harts(struct vm *vm, struct state_writer *w, struct error *err)
{
    if (vm->engine->machine_save)
        return vm->engine->machine_save(vm, w, err);
    for (unsigned i = 0; i < vm->nharts; i++)
        put_hart(&vm->hart[i], w);
    return 0;
}

static int put_all(struct vm *vm, struct state_writer *w, struct error *err)
{
    int rc;

    state_put(w, magic, sizeof(magic));
    state_put_u64(w, SNAPSHOT_VERSION);
    put_config(vm, w);
    put_clock(vm, w);
    rc = put_harts(vm, w, err);
    if (rc != 0)
        return rc;
    console_save(&vm->console, w);
    policy_save(vm, w);
    for (unsigned i = 0; i < vm->ninstances; i++)
        put_module(&vm->instance[i], w);
    put_memory(vm, w);
    state_put_u64(w, END_MARK);
    return w->error;
}

static int get_header(struct state_reader *r, struct error *err)
{
    char head[sizeof(magic)];
    uint64_t version;

    state_get(r, head, sizeof(head));
    version = state_get_u64(r);
    if (r->error != 0 || memcmp(head, magic, sizeof(magic)) != 0)
        return error_set(err, STATUS_DATA,
                         "--load-state: the file is no saved state of Tollgate");
    if (version != SNAPSHOT_VERSION)
        return error_set(err, STATUS_DATA,
                         "--load-state: the state has version %llu; this Tollgate reads %u",
                         (unsigned long long)version, SNAPSHOT_VERSION);
    return 0;
}

static int get_harts(struct vm *vm, struct state_reader *r, uint64_t mip[PLAT_HARTS_MAX],
                     struct error *err)
{
    if (vm->engine->machine_load)
        return r->error == 0 ? vm->engine->machine_load(vm, r, err) : 0;
    for (unsigned i = 0; i < vm->nharts; i++) {
        struct hart_state state;

        get_hart(&vm->hart[i], &state, r);
        mip[i] = state.mip;
    }
    check_turn(vm, r);
    return 0;
}

/* Harts, console and modules; what is wrong with the bytes sticks in *r. */
static int get_machine(struct vm *vm, struct state_reader *r, struct error *err)
{
    uint64_t mip[PLAT_HARTS_MAX] = {0};
    int rc;

    get_clock(vm, r);
    rc = get_harts(vm, r, mip, err);
    if (rc != 0)
        return rc;
    console_load(&vm->console, r);
    policy_load(vm, r);
    for (unsigned i = 0; rc == 0 && r->error == 0 && i < vm->ninstances; i++)
        rc = get_module(&vm->instance[i], r, err);
    if (vm->engine->machine_load) /* the lines are in the kernel */
        return rc;
    for (unsigned i = 0; rc == 0 && r->error == 0 && i < vm->nharts; i++)
        r->error = settle_lines(&vm->hart[i], mip[i]);
    return rc;
}

static int get_all(struct vm *vm, struct state_reader *r, struct error *err)
{
    int rc = get_header(r, err);

    if (rc == 0)
        rc = check_arch(vm, r, err);
    if (rc == 0)
        rc = check_config(vm, r, err);
    if (rc == 0)
        rc = get_machine(vm, r, err);
    if (rc != 0)
        return rc;
    get_memory(vm, r);
    if (state_get_u64(r) != END_MARK || r->error != 0 || r->len != 0)
        return error_set(err, STATUS_DATA, "--load-state: the state is damaged or cut off");
    if (vm->engine->machine_apply)
        rc = vm->engine->machine_apply(vm, err);
    if (rc == 0)
        irq_edges_deliver(vm);
    return rc;
}

/* --- the uses --- */

int snapshot_save_bytes(struct vm *vm, uint8_t **data, size_t *size, struct error *err)
{
    struct buffer_writer b = {.w = {.write = buffer_write}};
    int rc = put_all(vm, &b.w, err);

    if (rc != 0) {
        free(b.data);
        return error_set(err, STATUS_OS, "--save-state: %s", strerror(-rc));
    }
    *data = b.data;
    *size = b.len;
    return 0;
}

int snapshot_save(struct vm *vm, const char *path, struct error *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    int rc = module_files_can_save(vm, err);

    if (rc == 0)
        rc = check_controller(vm, "--save-state", err);
    if (rc == 0)
        rc = check_timebase(vm, "--save-state", err);
    if (rc == 0)
        rc = snapshot_save_bytes(vm, &data, &size, err);
    if (rc != 0)
        return rc;
    rc = host_file_write("--save-state", path, data, size, err);
    free(data);
    return rc;
}

int snapshot_load_bytes(struct vm *vm, const uint8_t *data, size_t size, struct error *err)
{
    struct state_reader r = {.data = data, .len = size};

    return get_all(vm, &r, err);
}

int snapshot_load(struct vm *vm, const char *path, struct error *err)
{
    struct host_file file;
    int rc = check_controller(vm, "--load-state", err);

    if (rc == 0)
        rc = check_timebase(vm, "--load-state", err);
    if (rc == 0)
        rc = host_file_open(&file, "--load-state", path, UINT64_MAX, err);
    if (rc != 0)
        return rc;
    rc = snapshot_load_bytes(vm, file.data, file.size, err);
    host_file_close(&file);
    return rc;
}

struct hash_writer {
    struct state_writer w;
    crypto_generichash_state hash;
};

static void hash_write(struct state_writer *w, const void *data, size_t len)
{
    crypto_generichash_update(&((struct hash_writer *)w)->hash, data, len);
}

int snapshot_hash(struct vm *vm, uint8_t hash[SNAPSHOT_HASH_SIZE])
{
    struct hash_writer h = {.w = {.write = hash_write}};
    struct error unused = {0};
    int rc;

    if (sodium_init() < 0)
        return -ENOSYS;
    crypto_generichash_init(&h.hash, NULL, 0, SNAPSHOT_HASH_SIZE);
    rc = put_all(vm, &h.w, &unused);
    crypto_generichash_final(&h.hash, hash, SNAPSHOT_HASH_SIZE);
    return rc;
}
