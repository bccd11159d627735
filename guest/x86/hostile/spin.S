/* spin.S: a loop that never leaves the guest, when it has printed a line. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/x86/hostile/line.inc"
1:  jmp     1b
    .section .note.GNU-stack, "", @progbits
