/* virtio_console.c: a console over virtio: one port, two queues. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "vmm/console.h"
#include "vmm/error.h"
#include "vmm/vm.h"

/* Source: VIRTIO 1.2, section 5.3. No size, no multiple ports, no emergency write. */
#define VIRTIO_ID_CONSOLE 3

#define QUEUE_RECEIVE  0 /* port 0, to the guest */
#define QUEUE_TRANSMIT 1 /* port 0, from the guest */
#define QUEUE_ENTRIES  64

#define CONSOLE_CHUNK 4096u

struct virtio_console {
    struct virtio_device dev;
    struct console *console;
    /* Used under dev.lock only. */
    struct virtq_chain chain;
    uint8_t chunk[CONSOLE_CHUNK];
};

static void console_transmit(struct virtio_console *vc)
{
    struct virtq *q = &vc->dev.queue[QUEUE_TRANSMIT];

    do {
        while (virtq_pop(q, &vc->chain)) {
            uint64_t done = 0;
            size_t n;
            /* A request may be as large as memory: the end of the VM must not wait for it. */
            while (!atomic_load(&vc->dev.vm->stopping) &&
                   (n = virtq_read(q, &vc->chain, done, vc->chunk, sizeof(vc->chunk))) > 0) {
                console_write(vc->console, vc->chunk, n);
                done += n;
            }
            virtq_push(q, &vc->chain, 0);
        }
    } while (virtq_rearm(q));
    virtq_notify(q);
}

/* Fills one request with input; returns how much. */
static uint32_t console_fill(struct virtio_console *vc, struct virtq *q)
{
    uint64_t done = 0;

    while (done < vc->chain.write_len) {
        uint64_t rest = vc->chain.write_len - done;
        size_t n = rest < sizeof(vc->chunk) ? (size_t)rest : sizeof(vc->chunk);
        n = console_read(vc->console, CONSOLE_VIRTIO, vc->chunk, n);
        if (n == 0)
            break;
        virtq_write(q, &vc->chain, done, vc->chunk, n);
        done += n;
    }
    return (uint32_t)done;
}

static void console_receive(struct virtio_console *vc)
{
    struct virtq *q = &vc->dev.queue[QUEUE_RECEIVE];

    /* A request that was taken must be given back filled, so look for input first. */
    do {
        while (console_pending(vc->console, CONSOLE_VIRTIO) > 0 && virtq_pop(q, &vc->chain))
            virtq_push(q, &vc->chain, console_fill(vc, q));
    } while (console_pending(vc->console, CONSOLE_VIRTIO) > 0 && virtq_rearm(q));
    virtq_notify(q);
}

static void console_notify(struct virtio_device *dev, unsigned n)
{
    struct virtio_console *vc = dev->self;

    if (n == QUEUE_RECEIVE)
        console_receive(vc);
    else
        console_transmit(vc);
}

/* Input has arrived. */
static void console_ready(void *self, uint64_t arg)
{
    struct virtio_console *vc = self;
    (void)arg;

    pthread_mutex_lock(&vc->dev.lock);
    console_receive(vc);
    pthread_mutex_unlock(&vc->dev.lock);
}

static const struct virtio_ops console_ops = {
    .device_id = VIRTIO_ID_CONSOLE,
    .notify = console_notify,
};

static int virtio_console_create(struct module_instance *inst, struct error *err)
{
    struct virtio_console *vc = calloc(1, sizeof(*vc));
    if (!vc) {
        error_set(err, STATUS_OS, "virtio-console: out of memory");
        return -ENOMEM;
    }
    vc->console = &inst->vm->console;
    vc->dev.ops = &console_ops;
    vc->dev.self = vc;
    vc->dev.queue_size[QUEUE_RECEIVE] = QUEUE_ENTRIES;
    vc->dev.queue_size[QUEUE_TRANSMIT] = QUEUE_ENTRIES;
    int rc = virtio_create(&vc->dev, inst, err);
    if (rc < 0) {
        free(vc);
        return rc;
    }
    console_on_ready(vc->console, CONSOLE_VIRTIO, console_ready, vc);
    inst->self = vc;
    return 0;
}

static void virtio_console_reset(void *self)
{
    struct virtio_console *vc = self;

    virtio_reset(&vc->dev);
}

static void virtio_console_destroy(void *self)
{
    struct virtio_console *vc = self;

    console_on_ready(vc->console, CONSOLE_VIRTIO, NULL, NULL);
    virtio_destroy(&vc->dev);
    free(vc);
}

static int virtio_console_fdt(void *self, struct fdt_builder *fdt)
{
    const struct virtio_console *vc = self;

    return virtio_fdt(&vc->dev, fdt);
}

static const struct module_key virtio_console_keys[] = {
    VIRTIO_KEY_SLOT,
    {NULL, NULL},
};

const struct module module_virtio_console = {
    .name = "virtio-console",
    .summary = "console over virtio-mmio (hvc0 in Linux)",
    .starts = MODULE_KERNEL,
    .keys = virtio_console_keys,
    .create = virtio_console_create,
    .reset = virtio_console_reset,
    .destroy = virtio_console_destroy,
    .fdt = virtio_console_fdt,
};
