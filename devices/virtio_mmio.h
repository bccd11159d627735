/* virtio_mmio.h: what all virtio devices share: the register window and the queues. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "vmm/mem.h"
#include "vmm/module.h"
#include "vmm/notify.h"

/*
 * Source: Virtual I/O Device (VIRTIO) Version 1.2: section 4.2 (MMIO, device version 2), 2.7
 * (split virtqueues), 2.1 (device status). No legacy interface, no packed queues.
 */

#define VIRTIO_QUEUES_MAX 8   /* of one device */
#define VIRTQ_SIZE_MAX    256 /* entries; a power of two */
#define VIRTQ_CHAIN_MAX   256 /* buffers of one chain, those of an indirect table included */

/* Feature bits of every device (section 6). The transport offers them and does what they ask.
 */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

struct virtio_device;

/* A split virtqueue. Only virtio_mmio.c and virtqueue.c look inside. */
struct virtq {
    struct virtio_device *dev;
    uint16_t size_max; /* what the device takes; 0: the queue does not exist */
    uint16_t size;     /* what the driver chose */
    bool ready;
    bool broken; /* was malformed: not looked at again before a reset */
    gpa_t desc, avail, used;
    /* The words that driver and device share, in host memory; the events only with EVENT_IDX.
     */
    uint16_t *avail_flags, *avail_idx, *used_event;
    uint16_t *used_idx, *avail_event;
    uint16_t next_avail; /* the next entry to take */
    uint16_t next_used;  /* the next entry to give back */
    uint16_t told_used;  /* next_used when the driver was last considered for an interrupt */
};

/* A buffer in guest memory; all of it is RAM. */
struct virtq_seg {
    gpa_t gpa;
    uint32_t len;
};

/*
 * A request: first nread buffers that the device reads, then nwrite that it writes. A copy,
 * which the guest cannot change any more. It stays the device's until it is pushed, in any
 * order.
 */
struct virtq_chain {
    uint16_t head;
    unsigned nread, nwrite;
    uint64_t read_len, write_len; /* sums; below 4 GiB together */
    struct virtq_seg seg[VIRTQ_CHAIN_MAX];
};

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

/*
 * The rest is for devices, under the lock.
 *
 * Takes the next request into *chain. False when there is none: the queue is empty, not ready,
 * the VM is stopping, or the driver broke the rules (a loop, a ring or buffer outside RAM,
 * ...). Then the device needs a reset, has said so, and the queue is dead until it gets one.
 */
bool virtq_pop(struct virtq *q, struct virtq_chain *chain);

/*
 * After virtq_pop said false: asks the driver to notify again. True when requests came in
 * between, so that the device must go on: while (...) { while (virtq_pop(...)) ...; } do it as
 *     do { while (virtq_pop(q, &chain)) ...; } while (virtq_rearm(q));
 */
bool virtq_rearm(struct virtq *q);

/* Gives a request back, `written` bytes of its writable part filled from its beginning. */
void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written);

/* Interrupts the driver if it wants to know of what was pushed since the last time. */
void virtq_notify(struct virtq *q);

/*
 * Copies between buf and the readable (writable) part of a chain, from `offset` on. Returns how
 * many bytes there were.
 */
size_t virtq_read(const struct virtq *q, const struct virtq_chain *chain, uint64_t offset,
                  void *buf, size_t len);
size_t virtq_write(const struct virtq *q, const struct virtq_chain *chain, uint64_t offset,
                   const void *buf, size_t len);

/*
 * Host addresses of the readable (writable) part from `offset` on, for bulk I/O: what a host
 * call moves, not what is parsed. Fills at most max entries; returns how many.
 */
unsigned virtq_iov(const struct virtq *q, const struct virtq_chain *chain, bool writable,
                   uint64_t offset, struct iovec *iov, unsigned max);

#endif
