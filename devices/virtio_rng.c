/* virtio_rng.c: entropy over virtio. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <stdlib.h>
#include "vmm/error.h"
#include "vmm/host.h"
#include "vmm/vm.h"

/* Source: VIRTIO 1.2, section 5.4: one queue of buffers that the device fills. */
#define VIRTIO_ID_ENTROPY 4
#define QUEUE_ENTRIES     8
/*
 * What one request gets at most, so that a huge one does not hold the hart. The device may give
 * less than asked, but not nothing (section 5.4.6.1).
 */
#define RNG_CHUNK 4096u

struct virtio_rng {
    struct virtio_device dev;
    /* Used under dev.lock only. */
    struct virtq_chain chain;
    uint8_t chunk[RNG_CHUNK];
};

static void rng_notify(struct virtio_device *dev, unsigned n)
{
    struct virtio_rng *rng = dev->self;
    struct virtq *q = &dev->queue[n];

    do {
        while (virtq_pop(q, &rng->chain)) {
            uint64_t room = rng->chain.write_len;
            size_t len = room < RNG_CHUNK ? (size_t)room : RNG_CHUNK;

            if (dev->vm->host->random(dev->vm->host, rng->chunk, len) != 0)
                len = 0; /* a buffer of nothing, rather than of what anybody knows */
            len = virtq_write(q, &rng->chain, 0, rng->chunk, len);
            virtq_push(q, &rng->chain, (uint32_t)len);
        }
    } while (virtq_rearm(q));
    virtq_notify(q);
}

static const struct virtio_ops rng_ops = {
    .device_id = VIRTIO_ID_ENTROPY,
    .notify = rng_notify,
};

static int virtio_rng_create(struct module_instance *inst, struct error *err)
{
    struct virtio_rng *rng = calloc(1, sizeof(*rng));
    int rc;

    if (!rng) {
        error_set(err, STATUS_OS, "virtio-rng: out of memory");
        return -ENOMEM;
    }
    rng->dev.ops = &rng_ops;
    rng->dev.self = rng;
    rng->dev.queue_size[0] = QUEUE_ENTRIES;
    rc = virtio_create(&rng->dev, inst, err);
    if (rc < 0) {
        free(rng);
        return rc;
    }
    inst->self = rng;
    return 0;
}

static void virtio_rng_reset(void *self)
{
    struct virtio_rng *rng = self;

    virtio_reset(&rng->dev);
}

static void virtio_rng_destroy(void *self)
{
    struct virtio_rng *rng = self;

    virtio_destroy(&rng->dev);
    free(rng);
}

static void virtio_rng_save(void *self, struct state_writer *w)
{
    struct virtio_rng *rng = self;

    virtio_save(&rng->dev, w);
}

static void virtio_rng_load(void *self, struct state_reader *r)
{
    struct virtio_rng *rng = self;

    virtio_load(&rng->dev, r);
}

static int virtio_rng_fdt(void *self, struct fdt_builder *fdt)
{
    const struct virtio_rng *rng = self;

    return virtio_fdt(&rng->dev, fdt);
}

static void virtio_rng_acpi(void *self, struct acpi_builder *acpi)
{
    const struct virtio_rng *rng = self;

    virtio_acpi(&rng->dev, acpi);
}

static const struct module_key virtio_rng_keys[] = {
    VIRTIO_KEY_SLOT,
    {NULL, NULL},
};

const struct module module_virtio_rng = {
    .name = "virtio-rng",
    .summary = "random numbers of the host over virtio-mmio",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .multiple = true,
    .keys = virtio_rng_keys,
    .create = virtio_rng_create,
    .reset = virtio_rng_reset,
    .destroy = virtio_rng_destroy,
    .save = virtio_rng_save,
    .load = virtio_rng_load,
    .fdt = virtio_rng_fdt,
    .acpi = virtio_rng_acpi,
};
