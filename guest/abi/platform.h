/* platform.h: the machine's physical addresses and interrupt numbers, for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_ABI_PLATFORM_H
#define GUEST_ABI_PLATFORM_H

/* The layout of QEMU's `virt` machine (hw/riscv/virt.c documents it), which kernels assume. */
#define PLAT_ROM_BASE      0x00001000
#define PLAT_ROM_SIZE      0x0000f000
#define PLAT_FINISHER_BASE 0x00100000
#define PLAT_FINISHER_SIZE 0x00001000
#define PLAT_RTC_BASE      0x00101000
#define PLAT_RTC_SIZE      0x00001000
#define PLAT_RTC_IRQ       11
#define PLAT_DOORBELL_BASE 0x00102000 /* guest/abi/tg.h */
#define PLAT_DOORBELL_SIZE 0x00001000
#define PLAT_CLINT_BASE    0x02000000 /* M-mode only: IPIs, mtimecmp, mtime */
#define PLAT_CLINT_SIZE    0x00010000
#define PLAT_PLIC_BASE     0x0c000000
#define PLAT_PLIC_SIZE     0x00600000
#define PLAT_APLIC_BASE    0x0d000000 /* AIA, in the host's kernel, in the PLIC's place */
#define PLAT_APLIC_SIZE    0x00004000
#define PLAT_UART_BASE     0x10000000
#define PLAT_UART_SIZE     0x00000100
#define PLAT_UART_IRQ      10
#define PLAT_VIRTIO_BASE   0x10001000
#define PLAT_VIRTIO_SIZE   0x00001000
#define PLAT_VIRTIO_SLOTS  8
#define PLAT_VIRTIO_IRQ    1
#define PLAT_FLASH_BASE    0x20000000
#define PLAT_FLASH_SIZE    0x02000000
#define PLAT_FLASH_BANKS   2
#define PLAT_IMSIC_BASE    0x24000000 /* of AIA: one page a hart */
#define PLAT_IMSIC_FILE    0x00001000
#define PLAT_IMSIC_IDS     255
#define PLAT_CLOCK_BASE    0x28000000 /* guest/abi/tg.h; one page of it is there */
#define PLAT_CLOCK_SIZE    0x08000000
#define PLAT_DRAM_BASE     0x80000000

#define PLAT_IRQ_SOURCES 96 /* PLIC sources 1..95 */
#define PLAT_TIMEBASE_HZ 10000000
#define PLAT_HARTS_MAX   64
#define PLAT_CACHE_BLOCK                                                                       \
    64 /* bytes that an instruction of Zicbom, Zicbop or Zicboz works on                       \
        */

/* Values written to the finisher; a status in the upper 16 bits goes with FAIL. */
#define PLAT_FINISHER_PASS  0x5555
#define PLAT_FINISHER_FAIL  0x3333
#define PLAT_FINISHER_RESET 0x7777

#endif
