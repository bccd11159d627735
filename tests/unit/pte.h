/* pte.h: page table entries, for tests that make them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_PTE_H
#define TESTS_UNIT_PTE_H

/* Bits (privileged specification, "Sv39: Addressing and Memory Protection"). */
#define PTE_V (1ull << 0)
#define PTE_R (1ull << 1)
#define PTE_W (1ull << 2)
#define PTE_X (1ull << 3)
#define PTE_U (1ull << 4)
#define PTE_G (1ull << 5)
#define PTE_A (1ull << 6)
#define PTE_D (1ull << 7)

#define PTE_RW             (PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)
#define PTE_RX             (PTE_V | PTE_R | PTE_X | PTE_A)
#define PTE_OF(gpa, flags) (((gpa) >> 12 << 10) | (flags))

#endif
