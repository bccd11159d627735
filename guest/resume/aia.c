/* aia.c: registers of the interrupt controller (APLIC, IMSIC) that a saved machine must keep.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/tap.h"
#include "guest/resume/resume.h"

/* RISC-V Advanced Interrupt Architecture, sections 4.5 and 3.8. */
#define DOMAINCFG    0x0000
#define DOMAINCFG_IE 0x100u
#define SOURCECFG(i) (0x0004 + 4 * ((i)-1))
#define SETIP        0x1c00
#define SETIPNUM     0x1cdc
#define SETIE        0x1e00
#define SETIENUM     0x1edc
#define TARGET(i)    (0x3004 + 4 * ((i)-1))
#define EDGE_RISE    4u

#define EIDELIVERY 0x70
#define EITHRESH   0x72
#define EIP(id)    (0x80 + (id) / 64 * 2)
#define EIE(id)    (0xc0 + (id) / 64 * 2)

/* Of the last lines, which no device of a small guest has. */
#define WAITING 90u /* pending and not enabled: stays in the APLIC */
#define SENT    91u /* goes to the IMSIC, as ID_SENT */
#define ID_SENT 77u
#define ID_LATE 201u /* where WAITING goes when it is enabled */

static volatile uint32_t *aplic(unsigned offset)
{
    return (volatile uint32_t *)((uintptr_t)PLAT_APLIC_BASE + offset);
}

static uint64_t imsic_read(unsigned select)
{
    uint64_t value;

    csr_write(0x150, select);
    __asm__ volatile("csrr %0, 0x151" : "=r"(value) : : "memory");
    return value;
}

static void imsic_write(unsigned select, uint64_t value)
{
    csr_write(0x150, select);
    csr_write(0x151, value);
}

static bool there;

static uint64_t bit_of_id(unsigned id)
{
    return 1ull << id % 64;
}

void aia_keep(const void *dtb)
{
    there = fdt_device(dtb, "riscv,aplic") != 0;
    if (!there)
        return;
    imsic_write(EIDELIVERY, 1);
    imsic_write(EITHRESH, 250);
    imsic_write(EIE(ID_SENT), bit_of_id(ID_SENT));
    imsic_write(EIE(ID_LATE), bit_of_id(ID_LATE));
    *aplic(SOURCECFG(WAITING)) = EDGE_RISE;
    *aplic(SOURCECFG(SENT)) = EDGE_RISE;
    *aplic(TARGET(WAITING)) = ID_LATE;
    *aplic(TARGET(SENT)) = ID_SENT;
    *aplic(DOMAINCFG) = DOMAINCFG_IE;
    *aplic(SETIENUM) = SENT;
    *aplic(SETIPNUM) = WAITING;
    *aplic(SETIPNUM) = SENT;
    csr_write(0x150, EITHRESH);
}

void aia_check(void)
{
    uint64_t select;

    if (!there)
        return;
    __asm__ volatile("csrr %0, 0x150" : "=r"(select));
    tap_ok(select == EITHRESH && imsic_read(EITHRESH) == 250 && imsic_read(EIDELIVERY) == 1 &&
               imsic_read(EIE(ID_SENT)) == bit_of_id(ID_SENT) &&
               imsic_read(EIE(ID_LATE)) == bit_of_id(ID_LATE),
           "the IMSIC is as it was");
    tap_ok(imsic_read(EIP(ID_SENT)) == bit_of_id(ID_SENT) && imsic_read(EIP(ID_LATE)) == 0,
           "an interrupt that had come is pending there");
    tap_ok(*aplic(SOURCECFG(WAITING)) == EDGE_RISE && *aplic(TARGET(WAITING)) == ID_LATE &&
               *aplic(TARGET(SENT)) == ID_SENT &&
               *aplic(SETIE + 4 * (SENT / 32)) == 1u << SENT % 32 &&
               *aplic(SETIP + 4 * (WAITING / 32)) == 1u << WAITING % 32 &&
               (*aplic(DOMAINCFG) & DOMAINCFG_IE),
           "the APLIC is as it was");
    *aplic(SETIENUM) = WAITING;
    tap_ok(imsic_read(EIP(ID_LATE)) == bit_of_id(ID_LATE), "one that waited comes");
}
