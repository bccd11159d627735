/* csr.h: control and status registers of S-mode, by name. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_CSR_H
#define GUEST_LIB_CSR_H

#include <stdint.h>

/* sstatus (privileged specification, section on the supervisor status register). */
#define SSTATUS_SIE  (1ul << 1)
#define SSTATUS_SPIE (1ul << 5)
#define SSTATUS_SPP  (1ul << 8)
#define SSTATUS_SUM  (1ul << 18)
#define SSTATUS_MXR  (1ul << 19)

/* sie and sip. */
#define SIP_SSIP (1ul << 1)
#define SIP_STIP (1ul << 5)
#define SIP_SEIP (1ul << 9)

/* scause. */
#define CAUSE_INTERRUPT        (1ul << 63)
#define CAUSE_SOFT             (CAUSE_INTERRUPT | 1)
#define CAUSE_TIMER            (CAUSE_INTERRUPT | 5)
#define CAUSE_FETCH_ACCESS     1
#define CAUSE_ILLEGAL          2
#define CAUSE_BREAKPOINT       3
#define CAUSE_LOAD_MISALIGNED  4
#define CAUSE_LOAD_ACCESS      5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS     7
#define CAUSE_USER_ECALL       8
#define CAUSE_FETCH_PAGE       12
#define CAUSE_LOAD_PAGE        13
#define CAUSE_STORE_PAGE       15

#define csr_read(csr)                                                                          \
    (__extension__({                                                                           \
        uint64_t read_;                                                                        \
        __asm__ volatile("csrr %0, " #csr : "=r"(read_) : : "memory");                         \
        read_;                                                                                 \
    }))

#define csr_write(csr, value)                                                                  \
    do {                                                                                       \
        uint64_t write_ = (value);                                                             \
        __asm__ volatile("csrw " #csr ", %0" : : "r"(write_) : "memory");                      \
    } while (0)

#define csr_set(csr, bits)                                                                     \
    do {                                                                                       \
        uint64_t set_ = (bits);                                                                \
        __asm__ volatile("csrs " #csr ", %0" : : "r"(set_) : "memory");                        \
    } while (0)

#define csr_clear(csr, bits)                                                                   \
    do {                                                                                       \
        uint64_t clear_ = (bits);                                                              \
        __asm__ volatile("csrc " #csr ", %0" : : "r"(clear_) : "memory");                      \
    } while (0)

static inline void wait_for_interrupt(void)
{
    __asm__ volatile("wfi" : : : "memory");
}

static inline void fence_all(void)
{
    __asm__ volatile("fence rw, rw" : : : "memory");
}

static inline void fence_code(void)
{
    __asm__ volatile("fence.i" : : : "memory");
}

static inline void fence_pages(void)
{
    __asm__ volatile("sfence.vma" : : : "memory");
}

static inline void fence_page(uintptr_t va)
{
    __asm__ volatile("sfence.vma %0, zero" : : "r"(va) : "memory");
}

#endif
