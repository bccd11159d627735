/* virtio_mmio.h: what all virtio devices share: the register window. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "devices/virtqueue.h"
#include "vmm/module.h"
#include "vmm/notify.h"

/*
 * Source: Virtual I/O Device (VIRTIO) Version 1.2: section 4.2 (MMIO, device version 2), 2.1
 * (device status). No legacy interface; queues are split ones (virtqueue.h).
 */

#define VIRTIO_QUEUES_MAX 8 /* of one device */

/* Offered by every device, beside those of the queues (section 6). */
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)

struct virtio_device;

/*
 * What makes a device of the transport. All run with dev->lock held. Only `notify` is needed.
 */
struct virtio_ops {
    uint32_t device_id; /* section 5 */
    /* The driver added buffers to queue n, or became ready: take them. */
    void (*notify)(struct virtio_device *dev, unsigned n);
    /* Configuration space (section 4.2.2, offset 0x100); absent: it reads as zeros. */
    void (*config_read)(struct virtio_device *dev, unsigned offset, void *buf, unsigned size);
    void (*config_write)(struct virtio_device *dev, unsigned offset, const void *buf,
                         unsigned size);
    /* The driver reset the device; the queues are gone already. */
    void (*reset)(struct virtio_device *dev);
};

/* A device and its registers. A device module embeds it. */
struct virtio_device {
    /* Set by the module before virtio_create. */
    const struct virtio_ops *ops;
    void *self;
    uint64_t features;                      /* offered; the transport adds its own */
    uint16_t queue_size[VIRTIO_QUEUES_MAX]; /* powers of two, up to VIRTQ_SIZE_MAX; 0: none */

    struct vm *vm;
    const char *name; /* the module's */
    unsigned slot;
    bool bound;  /* what the engine can do without exits is set up */
    int line_fd; /* raises the interrupt; -1: irq_set does */
    struct notify_owed owed;
    pthread_mutex_t lock; /* order: a claim's lock; before the console's and the PLIC's */
    uint32_t status, isr, generation;
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint64_t driver_features; /* accepted, once FEATURES_OK is set */
    struct virtq queue[VIRTIO_QUEUES_MAX];
};

/* The module key that every virtio device takes; goes into its table of keys. */
#define VIRTIO_KEY_SLOT                                                                        \
    {                                                                                          \
        "slot", "virtio-mmio slot, 0 to 7 (default: the first free one)"                       \
    }

/*
 * Claims a slot (option `slot`, or the first free one) with its window and interrupt. 0, or
 * -errno with *err set and nothing to destroy. Only after success: virtio_destroy, virtio_reset
 * (as a whole-machine reset does; takes the lock) and virtio_fdt.
 */
int virtio_create(struct virtio_device *dev, struct module_instance *inst, struct error *err);
void virtio_destroy(struct virtio_device *dev);
void virtio_reset(struct virtio_device *dev);
/*
 * The transport's part of a device's state, registers and queues. Both take the lock. After a
 * load that failed (r->error) the device is as after a reset.
 */
void virtio_save(struct virtio_device *dev, struct state_writer *w);
void virtio_load(struct virtio_device *dev, struct state_reader *r);
int virtio_fdt(const struct virtio_device *dev, struct fdt_builder *fdt);
void virtio_acpi(const struct virtio_device *dev, struct acpi_builder *acpi);

/* True when the driver accepted all of the features. */
bool virtio_has(const struct virtio_device *dev, uint64_t features);

/* The configuration space changed: new generation, interrupt. Under the lock. */
void virtio_config_changed(struct virtio_device *dev);

#endif
