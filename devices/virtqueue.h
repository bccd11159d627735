/* virtqueue.h: split virtqueues: what devices take requests from. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTQUEUE_H
#define DEVICES_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "vmm/mem.h"
#include "vmm/module.h"

/* Source: Virtual I/O Device (VIRTIO) Version 1.2, section 2.7. */

struct vm;

#define VIRTQ_SIZE_MAX  256 /* entries; a power of two */
#define VIRTQ_CHAIN_MAX 256 /* buffers of one chain, those of an indirect table included */

/* Features that queues know (section 6). */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)

/* What a queue tells its device. */
struct virtq_ops {
    void (*failed)(void *self); /* the driver broke the rules: the device needs a reset */
    void (*used)(void *self);   /* buffers were given back, and the driver wants to know */
    void (*owed)(void *self);   /* the stop cut the queue short; virtq_pop said false */
};

/* A queue. Only the transport and virtqueue.c look inside. */
struct virtq {
    struct vm *vm;
    const struct virtq_ops *ops;
    void *self;        /* of ops */
    uint16_t size_max; /* what the device takes; 0: the queue does not exist */
    uint16_t size;     /* what the driver chose */
    bool live;         /* the driver is ready (DRIVER_OK) */
    bool ready;
    bool broken; /* was malformed: not looked at again before a reset */
    bool indirect;
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

/* --- for devices, under their lock --- */

/*
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

/* --- for the transport --- */

/*
 * Finds the rings of a queue whose size and places the driver has given; features: what it has
 * accepted. 0, and the queue is ready; or -EINVAL, and virtq_fail is due.
 */
int virtq_map(struct virtq *q, uint64_t features);

/* May requests be taken from it? */
bool virtq_active(const struct virtq *q);

/* The queue is malformed: it is dead until it is made anew. */
void virtq_fail(struct virtq *q);

/* The queue's state. The rings are found and checked again, as when the driver named them. */
void virtq_save(const struct virtq *q, struct state_writer *w);
void virtq_load(struct virtq *q, uint64_t features, struct state_reader *r);

#endif
