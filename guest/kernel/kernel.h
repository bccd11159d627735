/* kernel.h: the parts of the small kernel; each reports TAP lines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_KERNEL_KERNEL_H
#define GUEST_KERNEL_KERNEL_H

#include <stdint.h>

void traps_test(const void *dtb);
void paging_test(void);
void timer_test(void);
void smp_test(void);

/* Commands from the console until poweroff or the end of input. */
void shell_run(void);

/* The three-level (or deeper) tree of paging.c, for smp.c: Sv39 on, with one page at `va`. */
void paging_on(uint64_t va, const void *page);
/* Has `va` name another page. The caller fences. */
void paging_move(const void *page);
/* Turns paging on with the same tree on another hart; off on any. */
void paging_join(void);
void paging_off(void);

/* user.S: one page of code that runs in U-mode, wherever it is mapped. */
extern const char user_code[], user_ecall[], user_load[], user_store[], user_jump[], user_csr[],
    user_sret[], user_cycle[], user_time[], user_spin[];

#endif
