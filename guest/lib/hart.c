/* hart.c: harts of a kernel guest, its beginning and its end. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/hart.h"

#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"

_Static_assert(sizeof(struct hart_local) < HART_STACK_SIZE / 4, "a stack needs room");

char hart_stack[HARTS_MAX][HART_STACK_SIZE] __attribute__((aligned(HART_STACK_SIZE)));

static uint64_t hart_ids[HARTS_MAX];
static unsigned hart_total;
static uint64_t hart_absent;
static bool timer_is_own; /* stimecmp (Sstc), not SBI's: the boot argument tg.sstc */

/* Harts looked for in the device tree; more than HARTS_MAX only to know what IDs there are. */
#define IDS_MAX 256

static struct hart_local *hart_at(unsigned index)
{
    return (struct hart_local *)hart_stack[index];
}

unsigned hart_count(void)
{
    return hart_total;
}

uint64_t hart_id(unsigned index)
{
    return hart_ids[index];
}

uint64_t hart_id_absent(void)
{
    return hart_absent;
}

int64_t hart_launch(unsigned index, hart_fn *fn, void *arg)
{
    struct hart_local *hart = hart_at(index);

    *hart = (struct hart_local){.id = hart_ids[index], .index = index, .fn = fn, .arg = arg};
    fence_all();
    return sbi_call(SBI_EXT_HSM, SBI_HSM_HART_START, hart->id, (uintptr_t)hart_entry,
                    (uintptr_t)hart)
        .error;
}

int64_t hart_state(unsigned index)
{
    struct sbi_ret ret = sbi_call(SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, hart_ids[index], 0, 0);

    return ret.error ? ret.error : (int64_t)ret.value;
}

void hart_await(unsigned index, int64_t state)
{
    while (hart_state(index) != state)
        time_spin(1000);
}

_Noreturn void hart_begin(uint64_t id)
{
    struct hart_local *self = hart_self();

    if (id != self->id) {
        print("hart %lu was started with a0 = %lu\n", self->id, id);
        system_fail(2);
    }
    self->fn(self->arg);
    sbi_call(SBI_EXT_HSM, SBI_HSM_HART_STOP, 0, 0, 0);
    print("hart %lu could not stop\n", self->id);
    system_fail(3);
}

_Noreturn void guest_begin(uint64_t id, const void *dtb)
{
    struct hart_local *self = hart_self();
    uint64_t ids[IDS_MAX];
    unsigned n = fdt_harts(dtb, ids, IDS_MAX);

    self->id = id;
    hart_ids[0] = id;
    hart_total = 1;
    hart_absent = id + 1;
    for (unsigned i = 0; i < n; i++) {
        if (ids[i] != id && hart_total < HARTS_MAX)
            hart_ids[hart_total++] = ids[i];
        if (ids[i] >= hart_absent)
            hart_absent = ids[i] + 1;
    }
    print_init(dtb);
    timer_is_own = fdt_bootarg(dtb, "tg.sstc");
    system_off(guest_main(dtb) != 0);
}

uint64_t time_now(void)
{
    return csr_read(time);
}

void time_spin(uint64_t ticks)
{
    uint64_t start = time_now();

    while (time_now() - start < ticks)
        ;
}

void timer_set(uint64_t ticks)
{
    if (timer_is_own)
        csr_write(0x14d, ticks); /* stimecmp, whose name the assembler need not know */
    else if (sbi_call(SBI_EXT_TIME, SBI_TIME_SET_TIMER, ticks, 0, 0).error ==
             SBI_ERR_NOT_SUPPORTED)
        sbi_call(SBI_EXT_LEGACY_SET_TIMER, 0, ticks, 0, 0);
}

int64_t ipi_send(unsigned index)
{
    uint64_t mask = 1ul << hart_ids[index];
    int64_t error = sbi_call(SBI_EXT_IPI, SBI_IPI_SEND_IPI, mask, 0, 0).error;

    if (error == SBI_ERR_NOT_SUPPORTED)
        error = sbi_call(SBI_EXT_LEGACY_SEND_IPI, 0, (uintptr_t)&mask, 0, 0).error;
    return error;
}

static _Noreturn void finisher_write(uint32_t value)
{
    print_flush();
    *(volatile uint32_t *)PLAT_FINISHER_BASE = value;
    for (;;)
        wait_for_interrupt();
}

_Noreturn void system_off(bool failed)
{
    print_flush();
    sbi_call(SBI_EXT_SRST, SBI_SRST_SYSTEM_RESET, SBI_SRST_TYPE_SHUTDOWN,
             failed ? SBI_SRST_REASON_SYSTEM_FAILURE : SBI_SRST_REASON_NONE, 0);
    sbi_call(SBI_EXT_LEGACY_SHUTDOWN, 0, 0, 0, 0);
    finisher_write(failed ? 1u << 16 | PLAT_FINISHER_FAIL : PLAT_FINISHER_PASS);
}

_Noreturn void system_pass(void)
{
    finisher_write(PLAT_FINISHER_PASS);
}

_Noreturn void system_fail(unsigned status)
{
    finisher_write(status << 16 | PLAT_FINISHER_FAIL);
}
