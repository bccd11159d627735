/* tg_multicall.h: a batch of calls in one crossing, for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_ABI_TG_MULTICALL_H
#define GUEST_ABI_TG_MULTICALL_H

/*
 * An entry: 64-bit little-endian words at these offsets. The guest fills in the numbers and the
 * arguments; ERROR and VALUE are what a0 and a1 would be, and nothing else is written. An entry
 * that cannot be made in a batch (a batch, a call that waits, stops or concerns harts' state)
 * has the error NOT_SUPPORTED and no effect.
 */
#define TG_MULTICALL_EXT   0
#define TG_MULTICALL_FN    8
#define TG_MULTICALL_ARG   16 /* six of them */
#define TG_MULTICALL_ERROR 64
#define TG_MULTICALL_VALUE 72
#define TG_MULTICALL_BYTES 80

#define TG_MULTICALL_MAX 4096 /* entries */

#endif
