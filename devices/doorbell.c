/* doorbell.c: Tollgate's services for guests whose ecall goes to their own firmware. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <stdlib.h>
#include "guest/abi/platform.h"
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "vmm/bus.h"
#include "vmm/exit.h"
#include "vmm/fdt.h"
#include "vmm/vm.h"

/*
 * The window is described in guest/abi/tg.h. Its registers are banked: each hart sees its own,
 * so that two harts may call at the same time, and only a hart's own thread touches them.
 */
struct doorbell_hart {
    uint64_t arg[CALL_ARGS];
    uint64_t fn, ext;
    bool again;
};

struct doorbell {
    struct vm *vm;
    struct doorbell_hart hart[];
};

/* The register at an offset; NULL: none. */
static uint64_t *bank_register(struct doorbell_hart *bank, uint64_t offset)
{
    if (offset < TG_DOORBELL_FN)
        return &bank->arg[(offset - TG_DOORBELL_ARG0) / 8];
    if (offset < TG_DOORBELL_EXT)
        return &bank->fn;
    return offset < TG_DOORBELL_RING ? &bank->ext : NULL;
}

/*
 * Makes the call. Where an ecall would trap or leave a1 alone, a device can only answer: a trap
 * becomes FAILED. Of a call that stopped the machine nobody sees an answer.
 */
static void doorbell_ring(struct hart *hart, struct doorbell_hart *bank)
{
    struct call call = {.personality = CALL_TG, .ext = bank->ext, .fn = bank->fn};

    for (unsigned i = 0; i < CALL_ARGS; i++)
        call.arg[i] = bank->arg[i];
    bank->again = false;
    if (call.ext < TG_EXT_FIRST || call.ext > TG_EXT_LAST) {
        bank->arg[0] = (uint64_t)SBI_ERR_NOT_SUPPORTED;
        bank->arg[1] = 0;
        return;
    }
    vm_call(hart, &call);
    switch (call.disp) {
    case CALL_RET2: bank->arg[1] = call.value; __attribute__((fallthrough));
    case CALL_RET1: bank->arg[0] = (uint64_t)call.error; break;
    case CALL_PARK: bank->again = true; break;
    case CALL_TRAP:
        bank->arg[0] = (uint64_t)SBI_ERR_FAILED;
        bank->arg[1] = 0;
        break;
    case CALL_REPLACED:
    case CALL_STOPPED:
    case CALL_PASS: break;
    }
}

static uint64_t doorbell_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    struct doorbell *doorbell = self;
    struct doorbell_hart *bank = &doorbell->hart[hart->index];
    const uint64_t *reg = bank_register(bank, offset);
    (void)size;

    if (reg)
        return *reg;
    return offset == TG_DOORBELL_RING && bank->again;
}

static void doorbell_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                           uint64_t value)
{
    struct doorbell *doorbell = self;
    struct doorbell_hart *bank = &doorbell->hart[hart->index];
    uint64_t *reg = bank_register(bank, offset);
    (void)size;

    if (reg)
        *reg = value;
    else if (offset == TG_DOORBELL_RING)
        doorbell_ring(hart, bank);
}

/* No lock: see above. */
static const struct bus_ops doorbell_ops = {
    .read = doorbell_read,
    .write = doorbell_write,
    .sizes = 8,
};

static int doorbell_create(struct module_instance *inst, struct error *err)
{
    unsigned nharts = inst->vm->config->nharts;
    struct doorbell *doorbell =
        calloc(1, sizeof(*doorbell) + nharts * sizeof(doorbell->hart[0]));
    int rc;

    if (!doorbell) {
        error_set(err, STATUS_OS, "doorbell: out of memory");
        return -ENOMEM;
    }
    doorbell->vm = inst->vm;
    const struct bus_claim claim = {
        .gpa = vm_arch(inst->vm)->doorbell,
        .size = PLAT_DOORBELL_SIZE,
        .ops = &doorbell_ops,
        .self = doorbell,
        .owner = "doorbell",
    };
    rc = bus_claim(inst->vm, &claim, err);
    if (rc != 0) {
        free(doorbell);
        return rc;
    }
    inst->self = doorbell;
    return 0;
}

static void doorbell_reset(void *self)
{
    struct doorbell *doorbell = self;

    for (unsigned i = 0; i < doorbell->vm->config->nharts; i++)
        doorbell->hart[i] = (struct doorbell_hart){0};
}

static void doorbell_destroy(void *self)
{
    free(self);
}

static void doorbell_save(void *self, struct state_writer *w)
{
    const struct doorbell *doorbell = self;

    for (unsigned i = 0; i < doorbell->vm->config->nharts; i++) {
        const struct doorbell_hart *bank = &doorbell->hart[i];

        for (unsigned a = 0; a < CALL_ARGS; a++)
            state_put_u64(w, bank->arg[a]);
        state_put_u64(w, bank->fn);
        state_put_u64(w, bank->ext);
        state_put_u64(w, bank->again);
    }
}

static void doorbell_load(void *self, struct state_reader *r)
{
    struct doorbell *doorbell = self;

    for (unsigned i = 0; i < doorbell->vm->config->nharts; i++) {
        struct doorbell_hart *bank = &doorbell->hart[i];

        for (unsigned a = 0; a < CALL_ARGS; a++)
            bank->arg[a] = state_get_u64(r);
        bank->fn = state_get_u64(r);
        bank->ext = state_get_u64(r);
        bank->again = state_get_max(r, 1);
    }
}

static int doorbell_fdt(void *self, struct fdt_builder *fdt)
{
    (void)self;
    fdtb_begin(fdt, "doorbell@%x", PLAT_DOORBELL_BASE);
    fdtb_string(fdt, "compatible", "tollgate,doorbell");
    fdtb_reg(fdt, PLAT_DOORBELL_BASE, PLAT_DOORBELL_SIZE);
    fdtb_end(fdt);
    return 0;
}

const struct module module_doorbell = {
    .name = "doorbell",
    .summary = "Tollgate's services where ecalls go to the guest's own firmware",
    .starts = MODULE_FIRMWARE | MODULE_X86,
    .create = doorbell_create,
    .reset = doorbell_reset,
    .destroy = doorbell_destroy,
    .save = doorbell_save,
    .load = doorbell_load,
    .fdt = doorbell_fdt,
};
