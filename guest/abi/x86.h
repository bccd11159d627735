/* x86.h: what an x86-64 guest finds: addresses, ports, the doorbell; for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_ABI_X86_H
#define GUEST_ABI_X86_H

/*
 * Calls. The numbers, arguments and errors are those of the table (guest/abi/calls.h); the way
 * is a doorbell, a write of 32 bits to an I/O port that no PC device has:
 *
 *     edx = TG_X86_PORT_CALL
 *     eax = extension (a7)       r11 = function (a6)
 *     rdi, rsi, rcx, r8, r9, r10 = a0 to a5
 *     outl %eax, %dx             one byte, 0xef
 *
 * When it is done, rax holds what a0 would and rdx what a1 would; legacy calls leave rdx alone.
 * No other register and no flag changes. Addresses are guest-physical. It is meant for 64-bit
 * mode: others cannot set r8 to r11, which stay what they were. A write of another size that
 * touches the port's four bytes ends the guest as a fault; a read gives ones. outsl is no way
 * to call: what is called is what eax says. vmcall and vmmcall are the host kernel's: no
 * monitor sees them.
 */
#define TG_X86_PORT_CALL 0x5440

/* CPUID leaf that tells of it: ebx, ecx, edx hold the signature, the next leaf's eax the port.
 */
#define TG_X86_CPUID           0x40000100
#define TG_X86_CPUID_SIGNATURE "TollgateTGVM"

/* ACPI fixed hardware: PM1a event block (4 bytes) and control (2 bytes), the reset register. */
#define TG_X86_PORT_PM1_EVENT   0x5420
#define TG_X86_PORT_PM1_CONTROL 0x5424
#define TG_X86_PORT_RESET       0x5428
#define TG_X86_RESET_VALUE      0x01
#define TG_X86_SLEEP_TYPE_OFF   5
#define TG_X86_SCI_IRQ          9

/* The serial port, as COM1 of a PC. */
#define TG_X86_PORT_UART 0x3f8
#define TG_X86_UART_IRQ  4

/* RAM is at 0 up to the hole, and goes on at 4 GiB. In the hole: */
#define TG_X86_HOLE            0xc0000000
#define TG_X86_HOLE_END        0x100000000
#define TG_X86_VIRTIO          0xd0000000 /* 8 virtio-mmio slots of 4 KiB */
#define TG_X86_VIRTIO_IRQ      16
#define TG_X86_DOORBELL        0xd0010000 /* the window of guest/abi/tg.h */
#define TG_X86_CLOCK           0xd8000000 /* the window of the time page */
#define TG_X86_IOAPIC          0xfec00000
#define TG_X86_LOCAL_APIC      0xfee00000
#define TG_X86_KERNEL_MIN      0x100000 /* guests lie above; what they are told lies below */
#define TG_X86_KERNEL_SELECTOR 0x10
#define TG_X86_DATA_SELECTOR   0x18

/*
 * The start of a bare ELF64 guest: 64-bit mode, interrupts off, one-to-one page tables of 2 MiB
 * pages over all memory and the hole, rip = the ELF entry, rdi = a struct hvm_start_info (Xen,
 * public/arch-x86/hvm/start_info.h), cs = 0x10, other segments 0x18, all other registers 0: no
 * stack, no IDT. Offsets in the structure:
 */
#define HVM_START_MAGIC       0x336ec578
#define HVM_START_CMDLINE     24 /* 64 bits: address of the command line, NUL-terminated */
#define HVM_START_RSDP        32 /* 64 bits */
#define HVM_START_MEMMAP      40 /* 64 bits: address of entries of 24 bytes */
#define HVM_START_MEMMAP_SIZE 48 /* 32 bits */
#define HVM_START_SIZE        56

#endif
