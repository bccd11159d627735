/* mmode.c: what firmware in M-mode would do for SBI: fixed counters, features of S-mode. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/rv.h"

#include <errno.h>
#include "vmm/vm.h"

/* Numbers: privileged specification, chapter "CSR Listing". */
#define CSR_MENVCFG       0x30au
#define CSR_MCOUNTINHIBIT 0x320u
#define CSR_MCYCLE        0xb00u /* plus HART_COUNTER_* */

/* Fields of menvcfg (privileged specification, section 3.1.18, and the extensions' own). */
#define MENVCFG_LPE   (1ull << 2)  /* "Zicfilp" */
#define MENVCFG_SSE   (1ull << 3)  /* "Zicfiss" */
#define MENVCFG_PMM   (3ull << 32) /* "Smnpm" */
#define MENVCFG_PMM_7 (2ull << 32)
#define MENVCFG_DTE   (1ull << 59) /* "Ssdbltrp" */
#define MENVCFG_ADUE  (1ull << 61) /* "Svadu" */

/* Reads and writes a CSR as M-mode does: with its rights, and with all effects of a write. */
static uint64_t machine_read(struct rv_hart *h, unsigned csr)
{
    uint8_t priv = h->priv;
    uint64_t value = 0;

    h->priv = PRIV_M;
    rv_csr_read(h, csr, false, &value);
    h->priv = priv;
    return value;
}

static void machine_write(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t mask)
{
    uint8_t priv = h->priv;

    h->priv = PRIV_M;
    rv_csr_write(h, csr, value, mask);
    h->priv = priv;
    rv_hpm_resort(h);
    rv_context_update(h);
}

uint64_t rv_counter_get(struct rv_hart *h, unsigned counter)
{
    return counter < RV_HPM_FIRST ? machine_read(h, CSR_MCYCLE + counter)
                                  : rv_hpm_read(h, counter);
}

/*
 * A written counter leaves out the increment of the instruction that writes it. The one that
 * makes a call does not retire, so the value must be one ahead of it.
 */
void rv_counter_set(struct rv_hart *h, unsigned counter, uint64_t value, bool counts)
{
    uint64_t bit = 1ull << counter;

    if (counter >= RV_HPM_FIRST) {
        rv_hpm_set(h, counter, value, counts);
        return;
    }
    uint64_t inhibit = machine_read(h, CSR_MCOUNTINHIBIT) & ~bit;

    machine_write(h, CSR_MCOUNTINHIBIT, inhibit | (counts ? 0 : bit), UINT64_MAX);
    machine_write(h, CSR_MCYCLE + counter, value + counts, UINT64_MAX);
}

void rv_cycles_add(struct rv_hart *h, uint64_t cycles)
{
    if (!(h->mcountinhibit & 1ull << HART_COUNTER_CYCLE))
        h->cycle_base += cycles;
}

/* Writes a field; what comes back is what the hart made of it (WARL). */
static uint64_t menvcfg_set(struct rv_hart *h, uint64_t field, uint64_t value)
{
    machine_write(h, CSR_MENVCFG, (h->menvcfg & ~field) | value, field);
    return h->menvcfg & field;
}

/* A field that nothing but zero can be written to belongs to an extension that is not there. */
static int field_set(struct rv_hart *h, uint64_t field, uint64_t most, uint64_t value)
{
    uint64_t old = h->menvcfg & field;

    if (menvcfg_set(h, field, most) == 0 && menvcfg_set(h, field, field) == 0) {
        menvcfg_set(h, field, old);
        return -EOPNOTSUPP;
    }
    if (menvcfg_set(h, field, value) == value)
        return 0;
    menvcfg_set(h, field, old);
    return -EINVAL;
}

/* A value that no such field can have: the answer tells whether there is the field. */
static int field_refuse(struct rv_hart *h, uint64_t field, uint64_t most)
{
    return field_set(h, field, most, h->menvcfg & field) == 0 ? -EINVAL : -EOPNOTSUPP;
}

static int flag_set(struct rv_hart *h, uint64_t field, uint64_t value)
{
    if (value > 1)
        return field_refuse(h, field, field);
    return field_set(h, field, field, value ? field : 0);
}

static int pointer_mask_set(struct rv_hart *h, uint64_t bits)
{
    switch (bits) {
    case 0: return field_set(h, MENVCFG_PMM, MENVCFG_PMM_7, 0);
    case 7: return field_set(h, MENVCFG_PMM, MENVCFG_PMM_7, MENVCFG_PMM_7);
    case 16: return field_set(h, MENVCFG_PMM, MENVCFG_PMM_7, MENVCFG_PMM);
    default: return field_refuse(h, MENVCFG_PMM, MENVCFG_PMM_7);
    }
}

int rv_feature_set(struct rv_hart *h, unsigned feature, uint64_t value)
{
    switch (feature) {
    /*
     * This hart resolves misaligned loads and stores by itself, and what it cannot (atomics)
     * would be handed on to S-mode by any firmware: both values mean the same.
     */
    case SBI_FWFT_MISALIGNED_EXC_DELEG: return value > 1 ? -EINVAL : 0;
    case SBI_FWFT_LANDING_PAD: return flag_set(h, MENVCFG_LPE, value);
    case SBI_FWFT_SHADOW_STACK: return flag_set(h, MENVCFG_SSE, value);
    case SBI_FWFT_DOUBLE_TRAP: return flag_set(h, MENVCFG_DTE, value);
    case SBI_FWFT_PTE_AD_HW_UPDATING: return flag_set(h, MENVCFG_ADUE, value);
    case SBI_FWFT_POINTER_MASKING_PMLEN: return pointer_mask_set(h, value);
    default: return -EOPNOTSUPP;
    }
}
