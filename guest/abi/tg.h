/* tg.h: numbers of Tollgate's own services, for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_ABI_TG_H
#define GUEST_ABI_TG_H

/*
 * The services use the SBI calling convention in the experimental range 0x08000000-0x08ffffff
 * (SBI 2.0, section 3.2), which KVM hands to user space: service n is 0x08544700 + n ("TG").
 */
#define TG_EXT_FIRST 0x08544700
#define TG_EXT_LAST  0x085447ff

/* The numbers of the calls: TG_EXT_*, and one for each function. */
#include "guest/abi/calls.h"

/*
 * What sbi_get_impl_id and sbi_get_impl_version answer (SBI 2.0, section 4). The ID is "TG"; it
 * is not registered, and far above the registered ones (0-11). The version is
 * major << 16 | minor << 8 | patch.
 */
#define TG_SBI_IMPL_ID      0x5447
#define TG_SBI_IMPL_VERSION 0x000100

/*
 * Under firmware of its own (`--firmware`) a guest's ecall does not reach Tollgate. There the
 * services are behind a window at PLAT_DOORBELL_BASE (device tree: "tollgate,doorbell"), with
 * 64-bit registers that each hart has for itself. Write a0-a5, the function (a6) and the
 * extension (a7), then anything to RING: when that store is done, ARG0 and ARG1 hold what a0
 * and a1 would. RING then reads 0; or 1: nothing has happened yet, write to it again.
 */
#define TG_DOORBELL_ARG0 0x00
#define TG_DOORBELL_ARG1 0x08
#define TG_DOORBELL_FN   0x30
#define TG_DOORBELL_EXT  0x38
#define TG_DOORBELL_RING 0x40

#endif
