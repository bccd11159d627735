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

/* Bits of tg.base.features. Bit n: the service TG_EXT_FIRST + n is there. Bit 32: time and
 * chance repeat in every run. */
#define TG_FEATURE_SERVICES      0xffffffff
#define TG_FEATURE_DETERMINISTIC 0x100000000

/* Bytes that tg.console.print and tg.console.log take at most. */
#define TG_PRINT_MAX 4096
#define TG_LOG_MAX   1024

/* Levels, the most urgent first; the numbers of RFC 5424. */
#define TG_LOG_EMERG   0
#define TG_LOG_ALERT   1
#define TG_LOG_CRIT    2
#define TG_LOG_ERR     3
#define TG_LOG_WARNING 4
#define TG_LOG_NOTICE  5
#define TG_LOG_INFO    6
#define TG_LOG_DEBUG   7
#define TG_LOG_LEVELS  8

/*
 * The page of tg.clock.page, from which a guest computes what tg.clock.now would answer,
 * without a call. It lies in the window of the device tree's "tollgate,clock", at a place that
 * differs from machine to machine. It can only be loaded from: a store is an access fault.
 * Jumps and atomics there are faults too, some of them of the machine (engine kvm).
 *
 * SEQUENCE is odd while the page is being written. A reader loads it (until it is even), then
 * the fields, then SEQUENCE again, with fences between, and begins anew when it has changed.
 * Where SOURCE is RDTIME,
 *
 *     ns = BASE_NS + ((rdtime - BASE_TICKS) * MULTIPLIER >> SHIFT)
 *
 * with a product of 128 bits and 0 <= SHIFT < 64. With any other source: make the call.
 */
#define TG_CLOCK_PAGE_SEQUENCE   0  /* 32 bits */
#define TG_CLOCK_PAGE_VERSION    4  /* 32 bits: TG_CLOCK_LAYOUT */
#define TG_CLOCK_PAGE_SOURCE     8  /* 32 bits */
#define TG_CLOCK_PAGE_SHIFT      12 /* 32 bits */
#define TG_CLOCK_PAGE_MULTIPLIER 16
#define TG_CLOCK_PAGE_BASE_TICKS 24
#define TG_CLOCK_PAGE_BASE_NS    32

#define TG_CLOCK_LAYOUT        1
#define TG_CLOCK_SOURCE_CALL   0
#define TG_CLOCK_SOURCE_RDTIME 1

/* Subscriptions to events that a machine has at most; and a wait without a limit. */
#define TG_EVENT_MAX     32
#define TG_EVENT_FOREVER 0xffffffffffffffff

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
