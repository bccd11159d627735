/* x86.h: x86-64 guests: how a hart begins, and what lies below 1 MiB. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_X86_X86_H
#define VMM_X86_X86_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/mem.h"

/*
 * How the first hart begins: interrupts off, flat segments from a GDT at X86_GDT. long_mode:
 * 64-bit mode with the page tables at X86_PAGE_TABLES, else 32-bit protected mode without
 * paging. Registers that are not named are 0.
 */
struct x86_start {
    bool long_mode;
    uint64_t rip, rdi, rsi, rbx;
};

/* What the monitor puts into low memory; guests may use it again when they have read it. */
#define X86_GDT         0x0500 /* null, null, code, data, TSS */
#define X86_GDT_ENTRIES 5
#define X86_START_INFO  0x6000  /* struct hvm_start_info, its memory map and module list */
#define X86_ZERO_PAGE   0x7000  /* Linux: struct boot_params */
#define X86_COMMAND     0x20000 /* the command line */
#define X86_COMMAND_MAX 0x10000
#define X86_PAGE_TABLES 0x30000 /* up to 70 pages */
#define X86_ACPI        0xe0000 /* where BIOSes have the RSDP */
#define X86_ACPI_MAX    0x10000

/* Segment descriptors of the GDT (Intel SDM, volume 3, section 3.4.5). */
#define X86_DESC_CODE64  UINT64_C(0x00af9b000000ffff)
#define X86_DESC_CODE32  UINT64_C(0x00cf9b000000ffff)
#define X86_DESC_DATA    UINT64_C(0x00cf93000000ffff)
#define X86_DESC_TSS     UINT64_C(0x00008b0000000067)
#define X86_TSS_SELECTOR 0x20

#endif
