/* rng.h: a driver of virtio's entropy device, one request at a time. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_X86_VIRTIO_RNG_H
#define GUEST_X86_VIRTIO_RNG_H

#include <stdbool.h>
#include <stdint.h>

#define SLOTS      8u
#define RNG_BYTES  64u
#define NOTIFY_REG 0x050

/* Registers of the window of a slot. */
uint32_t rng_read(unsigned slot, unsigned reg);
void rng_write(unsigned slot, unsigned reg, uint32_t value);

/* From nothing to DRIVER_OK: false when that is no entropy device, or it does not want to. */
bool rng_start(unsigned slot);
void rng_reset(unsigned slot);

/* Offers the device its buffer; `quietly`: it is not to interrupt. */
void rng_ask(unsigned slot, bool quietly);
/* Has it given the buffer back that was offered last? */
bool rng_answered(unsigned slot);
/* Is it full, of bytes that are not all the same? Clears it. */
bool rng_filled(unsigned slot);

/* Does it have something to say? */
bool rng_interrupts(unsigned slot);
/* What an interrupt asks for: true when the device had something to say. */
bool rng_acknowledge(unsigned slot);

#endif
