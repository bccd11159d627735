/* guest.S: the probe guest as a part of the program, where it could be built. */
/* SPDX-License-Identifier: BSD-2-Clause */
    .section .rodata, "a"
    .balign 16
    .global bench_guest_start, bench_guest_end
bench_guest_start:
#ifdef BENCH_GUEST
    .incbin BENCH_GUEST
#endif
bench_guest_end:
    .byte 0
    .section .note.GNU-stack, "", @progbits
