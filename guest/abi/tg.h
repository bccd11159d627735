/* tg.h: numbers of Tollgate's own services, for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_ABI_TG_H
#define GUEST_ABI_TG_H

/*
 * The services use the SBI calling convention in the experimental range 0x08000000-0x08ffffff
 * (SBI 2.0, section 3.2), which KVM hands to user space: service n is 0x08544700 + n ("TG").
 */
#define TG_EXT_FIRST   0x08544700
#define TG_EXT_LAST    0x085447ff
#define TG_EXT_BASE    0x08544700
#define TG_EXT_EXIT    0x08544701
#define TG_EXT_CONSOLE 0x08544702
#define TG_EXT_CLOCK   0x08544703
#define TG_EXT_ENTROPY 0x08544707

/*
 * A host's failure comes with a Linux errno: a0 is the SBI error nearest to it, a1 the errno.
 * Errors that have no host behind them leave a1 at 0.
 *
 * A buffer is three arguments: its length, and the low and high half of its guest-physical
 * address. All of it must be RAM, else the call is refused with INVALID_PARAM and does nothing.
 * At most 64 KiB go over in one call; the value says how many bytes did.
 */

/*
 * What sbi_get_impl_id and sbi_get_impl_version answer (SBI 2.0, section 4). The ID is "TG"; it
 * is not registered, and far above the registered ones (0-11). The version is
 * major << 16 | minor << 8 | patch.
 */
#define TG_SBI_IMPL_ID      0x5447
#define TG_SBI_IMPL_VERSION 0x000100

/*
 * Base. NULL does nothing, for measuring. VERSION is that of these services, major << 16 |
 * minor: the minor number grows with what is added, the major one when something else changes.
 * SUPPORTS(eid, fid) is 1 where the call is answered, any SBI extension's too, else 0.
 * NAME(length, address) writes the monitor's name and version, without a terminator. FEATURES
 * is a mask.
 */
#define TG_BASE_NULL     0
#define TG_BASE_VERSION  1
#define TG_BASE_SUPPORTS 2
#define TG_BASE_NAME     3
#define TG_BASE_FEATURES 4

#define TG_ABI_VERSION 0x00010000

/* Bit n: the service TG_EXT_FIRST + n is there. Bit 32: time and chance repeat in every run. */
#define TG_FEATURE_SERVICES      0xffffffff
#define TG_FEATURE_DETERMINISTIC 0x100000000

/* Exit: a0 = status. The virtual machine ends with it; the call does not return. */
#define TG_EXIT_STOP 0

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

/*
 * Programs (U-mode, `tollgate run --program`) use the Linux RISC-V convention: a7 = number,
 * result or -errno in a0. The core answers these two.
 */
#define TG_PROGRAM_EXIT       93
#define TG_PROGRAM_EXIT_GROUP 94

#endif
