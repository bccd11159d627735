/* virtio_transport.h: what a virtio device's registers and its queues know of each other. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_TRANSPORT_H
#define DEVICES_VIRTIO_TRANSPORT_H

#include "devices/virtio_mmio.h"
#include "vmm/state.h"

/* Device status (section 2.1). */
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u
#define STATUS_BY_DRIVER   0x8fu /* ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, FAILED */

/* --- virtio_mmio.c, for the queues --- */

/* The driver broke the rules (section 2.1.2): the device needs a reset, and says so. */
void virtio_fail(struct virtio_device *dev);

/* Buffers were given back, and the driver wants to know. */
void virtio_used(struct virtio_device *dev);

/* The stop cut a queue short: what is left in it is done when the harts have ended. */
void virtio_owe(struct virtio_device *dev);

/* --- virtqueue.c, for the registers --- */

/* Finds the rings of a queue that the driver makes ready. 0 or -EINVAL. */
int virtq_map(struct virtq *q);

/* May requests be taken from it? */
bool virtq_active(const struct virtq *q);

/* The queue is malformed; it is dead until the device is reset. */
void virtq_fail(struct virtq *q);

/*
 * The queue's state. dev->status is loaded before. The rings are found and checked again, as
 * when the driver named them.
 */
void virtq_save(const struct virtq *q, struct state_writer *w);
void virtq_load(struct virtq *q, struct state_reader *r);

#endif
