/* virtio_console.c: a console over virtio: one port, two queues. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/console.h"
#include "vmm/error.h"
#include "vmm/le.h"
#include "vmm/vm.h"

/*
 * Source: VIRTIO 1.2, section 5.3. No size, no emergency write.
 *
 * There is one port, and yet MULTIPORT is offered: with it the driver says when the port is
 * open. Without, Linux fills the receive queue first and connects the port later, and throws
 * away what arrives in between, which is what was piped in.
 */
#define VIRTIO_ID_CONSOLE          3
#define VIRTIO_CONSOLE_F_MULTIPORT (UINT64_C(1) << 1)

/* The queues (section 5.3.2): port 0 and, with MULTIPORT, control; to and from the guest. */
enum { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUE_CONTROL_RECEIVE, QUEUE_CONTROL_TRANSMIT, QUEUES };
#define QUEUE_ENTRIES 64

/* Control messages (section 5.3.6.2): port, event, value. */
#define CONTROL_SIZE  8u
#define CONFIG_SIZE   12u
#define CONFIG_NPORTS 4u /* offset of max_nr_ports (section 5.3.4) */

enum control_event {
    CONTROL_DEVICE_READY = 0,
    CONTROL_PORT_ADD = 1,
    CONTROL_PORT_READY = 3,
    CONTROL_CONSOLE_PORT = 4,
    CONTROL_PORT_OPEN = 6,
};

#define CONSOLE_CHUNK 4096u

struct virtio_console {
    struct virtio_device dev;
    struct console *console;
    bool open;         /* the driver opened the port */
    unsigned messages; /* control events for the driver that wait for buffers, a mask */
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
            /*
             * A request may be as large as memory: the end of the VM must not wait for it. What
             * is usual fits into one chunk, and is said though the VM has stopped meanwhile.
             */
            do {
                n = virtq_read(q, &vc->chain, done, vc->chunk, sizeof(vc->chunk));
                console_write(vc->console, vc->chunk, n);
                done += n;
            } while (n > 0 && !atomic_load(&vc->dev.vm->stopping));
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

static bool console_connected(const struct virtio_console *vc)
{
    return vc->open || !virtio_has(&vc->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

static void console_receive(struct virtio_console *vc)
{
    struct virtq *q = &vc->dev.queue[QUEUE_RECEIVE];

    if (!console_connected(vc))
        return;
    /* A request that was taken must be given back filled, so look for input first. */
    do {
        while (console_pending(vc->console, CONSOLE_VIRTIO) > 0 && virtq_pop(q, &vc->chain))
            virtq_push(q, &vc->chain, console_fill(vc, q));
    } while (console_pending(vc->console, CONSOLE_VIRTIO) > 0 && virtq_rearm(q));
    virtq_notify(q);
}

/* Sends the driver what waits for it, in the order of the events' numbers. */
static void control_send(struct virtio_console *vc)
{
    struct virtq *q = &vc->dev.queue[QUEUE_CONTROL_RECEIVE];

    do {
        while (vc->messages != 0 && virtq_pop(q, &vc->chain)) {
            unsigned event = (unsigned)__builtin_ctz(vc->messages);
            const uint8_t message[CONTROL_SIZE] = {[4] = (uint8_t)event, [6] = 1};
            vc->messages &= vc->messages - 1;
            size_t n = virtq_write(q, &vc->chain, 0, message, sizeof(message));
            virtq_push(q, &vc->chain, (uint32_t)n);
        }
    } while (vc->messages != 0 && virtq_rearm(q));
    virtq_notify(q);
}

/* The handshake of section 5.3.5: the port is added, is a console, is open on both sides. */
static void control_message(struct virtio_console *vc, const uint8_t *message)
{
    uint32_t port = le_get32(message);
    uint16_t value = le_get16(message + 6);

    switch (le_get16(message + 4)) {
    case CONTROL_DEVICE_READY:
        if (value == 1)
            vc->messages |= 1u << CONTROL_PORT_ADD;
        break;
    case CONTROL_PORT_READY:
        if (port == 0 && value == 1)
            vc->messages |= 1u << CONTROL_CONSOLE_PORT | 1u << CONTROL_PORT_OPEN;
        break;
    case CONTROL_PORT_OPEN:
        if (port == 0)
            vc->open = value == 1;
        break;
    default: break;
    }
}

static void control_receive(struct virtio_console *vc)
{
    struct virtq *q = &vc->dev.queue[QUEUE_CONTROL_TRANSMIT];
    uint8_t message[CONTROL_SIZE];

    do {
        while (virtq_pop(q, &vc->chain)) {
            if (virtq_read(q, &vc->chain, 0, message, sizeof(message)) == sizeof(message))
                control_message(vc, message);
            virtq_push(q, &vc->chain, 0);
        }
    } while (virtq_rearm(q));
    virtq_notify(q);
    control_send(vc);
    console_receive(vc);
}

static void console_notify(struct virtio_device *dev, unsigned n)
{
    struct virtio_console *vc = dev->self;

    if (n == QUEUE_RECEIVE)
        console_receive(vc);
    else if (n == QUEUE_TRANSMIT)
        console_transmit(vc);
    else if (!virtio_has(dev, VIRTIO_CONSOLE_F_MULTIPORT))
        return;
    else if (n == QUEUE_CONTROL_RECEIVE)
        control_send(vc);
    else
        control_receive(vc);
}

static void console_config_read(struct virtio_device *dev, unsigned offset, void *buf,
                                unsigned size)
{
    static const uint8_t config[CONFIG_SIZE] = {[CONFIG_NPORTS] = 1};
    (void)dev;

    if (offset + size <= CONFIG_SIZE)
        memcpy(buf, config + offset, size);
}

static void console_reset(struct virtio_device *dev)
{
    struct virtio_console *vc = dev->self;

    vc->open = false;
    vc->messages = 0;
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
    .config_read = console_config_read,
    .reset = console_reset,
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
    vc->dev.features = VIRTIO_CONSOLE_F_MULTIPORT;
    for (unsigned n = 0; n < QUEUES; n++)
        vc->dev.queue_size[n] = QUEUE_ENTRIES;
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

static void virtio_console_save(void *self, struct state_writer *w)
{
    struct virtio_console *vc = self;

    virtio_save(&vc->dev, w);
    pthread_mutex_lock(&vc->dev.lock);
    state_put_u64(w, vc->open);
    state_put_u64(w, vc->messages);
    pthread_mutex_unlock(&vc->dev.lock);
}

static void virtio_console_load(void *self, struct state_reader *r)
{
    const unsigned events =
        1u << CONTROL_PORT_ADD | 1u << CONTROL_CONSOLE_PORT | 1u << CONTROL_PORT_OPEN;
    struct virtio_console *vc = self;

    virtio_load(&vc->dev, r);
    pthread_mutex_lock(&vc->dev.lock);
    vc->open = state_get_max(r, 1);
    vc->messages = (unsigned)state_get_max(r, events);
    if (vc->messages & ~events) {
        vc->messages = 0;
        r->error = -EINVAL;
    }
    pthread_mutex_unlock(&vc->dev.lock);
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

static void virtio_console_acpi(void *self, struct acpi_builder *acpi)
{
    const struct virtio_console *vc = self;

    virtio_acpi(&vc->dev, acpi);
}

static const struct module_key virtio_console_keys[] = {
    VIRTIO_KEY_SLOT,
    {NULL, NULL},
};

const struct module module_virtio_console = {
    .name = "virtio-console",
    .summary = "console over virtio-mmio (hvc0 in Linux)",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .keys = virtio_console_keys,
    .create = virtio_console_create,
    .reset = virtio_console_reset,
    .destroy = virtio_console_destroy,
    .save = virtio_console_save,
    .load = virtio_console_load,
    .fdt = virtio_console_fdt,
    .acpi = virtio_console_acpi,
};
