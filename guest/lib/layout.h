/* layout.h: sizes and offsets that the guest library's C and assembly share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_LAYOUT_H
#define GUEST_LIB_LAYOUT_H

#define HARTS_MAX 8

/* A hart's stack, aligned to its size; struct hart_local lies at its lower end. */
#define HART_STACK_SIZE 16384

/* struct trap_frame: x0..x31, then these. */
#define FRAME_SEPC    256
#define FRAME_SSTATUS 264
#define FRAME_SCAUSE  272
#define FRAME_STVAL   280
#define FRAME_SIZE    288

/* struct guard: ra, sp, s0..s11, then the value of the guarded function. */
#define GUARD_RA    0
#define GUARD_SP    8
#define GUARD_S0    16
#define GUARD_VALUE 112

#endif
