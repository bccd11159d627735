/* virtio_mmio.c: the registers of virtio devices. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/virtio_mmio.h"

#include <endian.h>
#include <errno.h>
#include "guest/abi/platform.h"
#include "vmm/acpi.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/fdt.h"
#include "vmm/irq.h"
#include "vmm/notify.h"
#include "vmm/vm.h"

/* Registers (section 4.2.2). */
enum virtio_reg {
    REG_MAGIC = 0x000,
    REG_VERSION = 0x004,
    REG_DEVICE_ID = 0x008,
    REG_VENDOR_ID = 0x00c,
    REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024,
    REG_QUEUE_SEL = 0x030,
    REG_QUEUE_NUM_MAX = 0x034,
    REG_QUEUE_NUM = 0x038,
    REG_QUEUE_READY = 0x044,
    REG_QUEUE_NOTIFY = 0x050,
    REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064,
    REG_STATUS = 0x070,
    REG_QUEUE_DESC_LOW = 0x080,
    REG_QUEUE_DESC_HIGH = 0x084,
    REG_QUEUE_DRIVER_LOW = 0x090,
    REG_QUEUE_DRIVER_HIGH = 0x094,
    REG_QUEUE_DEVICE_LOW = 0x0a0,
    REG_QUEUE_DEVICE_HIGH = 0x0a4,
    REG_SHM_LEN_LOW = 0x0b0,
    REG_SHM_LEN_HIGH = 0x0b4,
    REG_SHM_BASE_LOW = 0x0b8,
    REG_SHM_BASE_HIGH = 0x0bc,
    REG_CONFIG_GENERATION = 0x0fc,
    REG_CONFIG = 0x100,
};

#define VIRTIO_MAGIC   0x74726976 /* "virt" */
#define VIRTIO_VERSION 2
#define VIRTIO_VENDOR  0x54414754 /* "TGAT" */

/* Device status (section 2.1). */
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u
#define STATUS_BY_DRIVER   0x8fu /* ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, FAILED */

/* Interrupt status. */
#define ISR_QUEUE  0x1u
#define ISR_CONFIG 0x2u

#define VIRTIO_TRANSPORT_FEATURES                                                              \
    (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)

bool virtio_has(const struct virtio_device *dev, uint64_t features)
{
    return (dev->status & STATUS_FEATURES_OK) && (dev->driver_features & features) == features;
}

static unsigned slot_irq(const struct virtio_device *dev)
{
    return vm_arch(dev->vm)->virtio_irq + dev->slot;
}

/*
 * Where the line is an edge: one for each event, also when the driver has not acknowledged the
 * one before: a PC's I/O APIC loses the edges of a line that is masked. On RISC-V it is lowered
 * in either case: Linux 6.12 (arch/riscv/kvm/vm.c, kvm_arch_set_irq_inatomic) leaves the line
 * of an irqfd high, and the next edge would be none.
 */
static void isr_edge(const struct virtio_device *dev)
{
    if (dev->line_fd >= 0)
        notify_raise(dev->line_fd);
    else
        irq_set(dev->vm, slot_irq(dev), true);
    if (dev->line_fd < 0 || !(dev->vm->engine->caps & ENGINE_PC_CHIPS))
        irq_set(dev->vm, slot_irq(dev), false);
}

static void isr_raise(struct virtio_device *dev, uint32_t event)
{
    dev->isr |= event;
    if (dev->vm->irq.edge[slot_irq(dev)])
        isr_edge(dev);
    else
        irq_set(dev->vm, slot_irq(dev), true);
}

/* The driver has seen some of it, or all is as at the start. */
static void isr_update(struct virtio_device *dev, uint32_t isr)
{
    bool changed = isr != dev->isr;

    dev->isr = isr;
    if (!dev->vm->irq.edge[slot_irq(dev)])
        irq_set(dev->vm, slot_irq(dev), isr != 0);
    else if (isr != 0 && changed)
        isr_edge(dev);
}

void virtio_config_changed(struct virtio_device *dev)
{
    dev->generation++;
    if (dev->status & STATUS_DRIVER_OK)
        isr_raise(dev, ISR_CONFIG);
}

/* The device looks at all of its queues. */
static void queues_take(struct virtio_device *dev)
{
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        if (virtq_active(&dev->queue[n]))
            dev->ops->notify(dev, n);
}

/* The driver broke the rules (section 2.1.2). */
static void queue_failed(void *self)
{
    struct virtio_device *dev = self;

    dev->status |= STATUS_NEEDS_RESET;
    virtio_config_changed(dev);
}

static void queue_used(void *self)
{
    isr_raise(self, ISR_QUEUE);
}

/* What the harts asked for, and the stop cut short; they have ended. */
static void device_settle(void *self)
{
    struct virtio_device *dev = self;

    pthread_mutex_lock(&dev->lock);
    queues_take(dev);
    pthread_mutex_unlock(&dev->lock);
}

static void queue_owed(void *self)
{
    struct virtio_device *dev = self;

    notify_owe(dev->vm, &dev->owed, device_settle, dev);
}

static const struct virtq_ops queue_ops = {
    .failed = queue_failed,
    .used = queue_used,
    .owed = queue_owed,
};

/* All queues as at the start. */
static void queues_clear(struct virtio_device *dev)
{
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        dev->queue[n] = (struct virtq){
            .vm = dev->vm, .ops = &queue_ops, .self = dev, .size_max = dev->queue_size[n]};
}

/* Registers. */

static struct virtq *queue_selected(struct virtio_device *dev)
{
    if (dev->queue_sel >= VIRTIO_QUEUES_MAX || dev->queue[dev->queue_sel].size_max == 0)
        return NULL;
    return &dev->queue[dev->queue_sel];
}

static void device_clear(struct virtio_device *dev)
{
    dev->status = 0;
    dev->device_features_sel = dev->driver_features_sel = dev->queue_sel = 0;
    dev->driver_features = 0;
    queues_clear(dev);
    isr_update(dev, 0);
    if (dev->ops->reset)
        dev->ops->reset(dev);
}

static gpa_t slot_base(const struct virtio_device *dev)
{
    return vm_arch(dev->vm)->virtio + (gpa_t)dev->slot * PLAT_VIRTIO_SIZE;
}

static void queue_notify(struct virtio_device *dev, uint32_t n)
{
    if (n < VIRTIO_QUEUES_MAX && virtq_active(&dev->queue[n]))
        dev->ops->notify(dev, n);
}

/* The driver's store of QueueNotify, on the notifier's thread. */
static void queue_notified(void *self, unsigned n)
{
    struct virtio_device *dev = self;

    pthread_mutex_lock(&dev->lock);
    queue_notify(dev, n);
    pthread_mutex_unlock(&dev->lock);
}

/* At the first reset engine and harts are there. What fails here goes the usual way. */
static void device_bind(struct virtio_device *dev)
{
    dev->bound = true;
    if (dev->vm->irq.edge[slot_irq(dev)])
        dev->line_fd = notify_line(dev->vm, slot_irq(dev));
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        if (dev->queue_size[n] != 0)
            (void)notify_claim(dev->vm, slot_base(dev) + REG_QUEUE_NOTIFY, n, queue_notified,
                               dev, n);
}

void virtio_reset(struct virtio_device *dev)
{
    if (!dev->bound)
        device_bind(dev);
    pthread_mutex_lock(&dev->lock);
    device_clear(dev);
    pthread_mutex_unlock(&dev->lock);
}

/* The device accepts a subset of what it offers, and no driver older than VIRTIO 1.0. */
static bool features_acceptable(const struct virtio_device *dev)
{
    return (dev->driver_features & ~dev->features) == 0 &&
           (dev->driver_features & VIRTIO_F_VERSION_1);
}

/* Status bits are only ever added by the driver; 0 resets (section 4.2.2.1). */
static void status_write(struct virtio_device *dev, uint32_t value)
{
    if (value == 0) {
        device_clear(dev);
        return;
    }
    uint32_t added = value & STATUS_BY_DRIVER & ~dev->status;
    if ((added & STATUS_FEATURES_OK) && !features_acceptable(dev))
        added &= ~STATUS_FEATURES_OK;
    if (!((dev->status | added) & STATUS_FEATURES_OK))
        added &= ~STATUS_DRIVER_OK;
    dev->status |= added;
    if (!(added & STATUS_DRIVER_OK))
        return;
    if (dev->status & STATUS_NEEDS_RESET)
        isr_raise(dev, ISR_CONFIG);
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        dev->queue[n].live = true;
    /* Buffers may have been added before the driver was ready. */
    queues_take(dev);
}

static void driver_features_write(struct virtio_device *dev, uint32_t value)
{
    unsigned sel = dev->driver_features_sel;

    /* They are settled by FEATURES_OK (section 3.1.1). */
    if (dev->status & STATUS_FEATURES_OK)
        return;
    if (sel <= 1) {
        dev->driver_features &= ~(UINT64_C(0xffffffff) << (32 * sel));
        dev->driver_features |= (uint64_t)value << (32 * sel);
    } else if (value != 0) {
        /* A bit that was never offered: bit 63 stands for it, so that FEATURES_OK fails. */
        dev->driver_features |= UINT64_C(1) << 63;
    }
}

static void queue_ready_write(struct virtio_device *dev, struct virtq *q, uint32_t value)
{
    if (!(value & 1)) {
        q->ready = false;
        return;
    }
    if (q->ready || q->broken || !(dev->status & STATUS_FEATURES_OK))
        return;
    if (virtq_map(q, dev->driver_features) < 0)
        virtq_fail(q);
}

static void set_low(gpa_t *gpa, uint32_t value)
{
    *gpa = (*gpa & ~(gpa_t)UINT32_MAX) | value;
}

static void set_high(gpa_t *gpa, uint32_t value)
{
    *gpa = (*gpa & UINT32_MAX) | (gpa_t)value << 32;
}

/* Registers of the selected queue. Size and places are fixed while it is ready. */
static void queue_write(struct virtio_device *dev, uint64_t offset, uint32_t value)
{
    struct virtq *q = queue_selected(dev);

    if (!q)
        return;
    if (offset == REG_QUEUE_READY) {
        queue_ready_write(dev, q, value);
        return;
    }
    if (q->ready)
        return;
    switch (offset) {
    case REG_QUEUE_NUM: q->size = value > UINT16_MAX ? 0 : (uint16_t)value; break;
    case REG_QUEUE_DESC_LOW: set_low(&q->desc, value); break;
    case REG_QUEUE_DESC_HIGH: set_high(&q->desc, value); break;
    case REG_QUEUE_DRIVER_LOW: set_low(&q->avail, value); break;
    case REG_QUEUE_DRIVER_HIGH: set_high(&q->avail, value); break;
    case REG_QUEUE_DEVICE_LOW: set_low(&q->used, value); break;
    case REG_QUEUE_DEVICE_HIGH: set_high(&q->used, value); break;
    default: break;
    }
}

static void reg_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                      uint64_t data)
{
    struct virtio_device *dev = self;
    uint32_t value = (uint32_t)data;
    (void)hart;
    (void)size;

    switch (offset) {
    case REG_DEVICE_FEATURES_SEL: dev->device_features_sel = value; break;
    case REG_DRIVER_FEATURES_SEL: dev->driver_features_sel = value; break;
    case REG_DRIVER_FEATURES: driver_features_write(dev, value); break;
    case REG_QUEUE_SEL: dev->queue_sel = value; break;
    case REG_QUEUE_NOTIFY: queue_notify(dev, value); break;
    case REG_INTERRUPT_ACK: isr_update(dev, dev->isr & ~value); break;
    case REG_STATUS: status_write(dev, value); break;
    default: queue_write(dev, offset, value); break;
    }
}

static uint64_t reg_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    struct virtio_device *dev = self;
    const struct virtq *q = queue_selected(dev);
    (void)hart;
    (void)size;

    switch (offset) {
    case REG_MAGIC: return VIRTIO_MAGIC;
    case REG_VERSION: return VIRTIO_VERSION;
    case REG_DEVICE_ID: return dev->ops->device_id;
    case REG_VENDOR_ID: return VIRTIO_VENDOR;
    case REG_DEVICE_FEATURES:
        return dev->device_features_sel <= 1
                   ? (uint32_t)(dev->features >> (32 * dev->device_features_sel))
                   : 0;
    case REG_QUEUE_NUM_MAX: return q ? q->size_max : 0;
    case REG_QUEUE_READY: return q && q->ready;
    case REG_INTERRUPT_STATUS: return dev->isr;
    case REG_STATUS: return dev->status;
    /* No shared memory regions: length -1, and so the base (section 4.2.2.1). */
    case REG_SHM_LEN_LOW:
    case REG_SHM_LEN_HIGH:
    case REG_SHM_BASE_LOW:
    case REG_SHM_BASE_HIGH: return UINT32_MAX;
    case REG_CONFIG_GENERATION: return dev->generation;
    default: return 0; /* write-only or reserved */
    }
}

static uint64_t config_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    struct virtio_device *dev = self;
    uint64_t value = 0;
    (void)hart;

    if (dev->ops->config_read)
        dev->ops->config_read(dev, (unsigned)offset, &value, size);
    return le64toh(value);
}

static void config_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                         uint64_t value)
{
    struct virtio_device *dev = self;
    (void)hart;

    value = htole64(value);
    if (dev->ops->config_write)
        dev->ops->config_write(dev, (unsigned)offset, &value, size);
}

/* Registers take 32-bit accesses only, configuration space any (section 4.2.2.2). */
static const struct bus_ops reg_ops = {.read = reg_read, .write = reg_write, .sizes = 4};
static const struct bus_ops config_ops = {
    .read = config_read,
    .write = config_write,
    .sizes = BUS_ANY_SIZE,
};

/* Life. */

static int slot_choose(struct virtio_device *dev, const struct module_instance *inst,
                       struct error *err)
{
    const char *text = module_option(inst, "slot");

    if (text) {
        if (text[0] < '0' || text[0] > '0' + PLAT_VIRTIO_SLOTS - 1 || text[1] != '\0') {
            error_set(err, STATUS_USAGE, "--device %s: slot='%s' is not 0 to %d", dev->name,
                      text, PLAT_VIRTIO_SLOTS - 1);
            return -EINVAL;
        }
        dev->slot = (unsigned)(text[0] - '0');
        return 0;
    }
    for (dev->slot = 0; dev->slot < PLAT_VIRTIO_SLOTS; dev->slot++)
        if (!dev->vm->irq.owner[slot_irq(dev)])
            return 0;
    error_set(err, STATUS_CONFIG, "%s: all %d virtio-mmio slots are taken", dev->name,
              PLAT_VIRTIO_SLOTS);
    return -ENOSPC;
}

static int slot_claim(struct virtio_device *dev, struct error *err)
{
    struct bus_claim claim = {
        .gpa = slot_base(dev),
        .size = REG_CONFIG,
        .ops = &reg_ops,
        .self = dev,
        .lock = &dev->lock,
        .owner = dev->name,
    };

    int rc = irq_claim(dev->vm, slot_irq(dev), dev->name, err);
    if (rc == 0)
        rc = bus_claim(dev->vm, &claim, err);
    if (rc < 0)
        return rc;
    claim.gpa += REG_CONFIG;
    claim.size = PLAT_VIRTIO_SIZE - REG_CONFIG;
    claim.ops = &config_ops;
    return bus_claim(dev->vm, &claim, err);
}

int virtio_create(struct virtio_device *dev, struct module_instance *inst, struct error *err)
{
    dev->vm = inst->vm;
    dev->name = inst->module->name;
    dev->features |= VIRTIO_TRANSPORT_FEATURES;
    queues_clear(dev);

    dev->line_fd = -1;
    int rc = slot_choose(dev, inst, err);
    if (rc == 0)
        rc = slot_claim(dev, err);
    if (rc == 0)
        irq_edge(dev->vm, slot_irq(dev));
    if (rc == 0)
        pthread_mutex_init(&dev->lock, NULL);
    return rc;
}

void virtio_destroy(struct virtio_device *dev)
{
    if (dev->line_fd >= 0)
        notify_close(dev->line_fd);
    pthread_mutex_destroy(&dev->lock);
}

/* --- State --- */

void virtio_save(struct virtio_device *dev, struct state_writer *w)
{
    pthread_mutex_lock(&dev->lock);
    state_put_u64(w, dev->slot);
    state_put_u64(w, dev->status);
    state_put_u64(w, dev->isr);
    state_put_u64(w, dev->generation);
    state_put_u64(w, dev->device_features_sel);
    state_put_u64(w, dev->driver_features_sel);
    state_put_u64(w, dev->queue_sel);
    state_put_u64(w, dev->driver_features);
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        if (dev->queue[n].size_max != 0)
            virtq_save(&dev->queue[n], w);
    pthread_mutex_unlock(&dev->lock);
}

/* What the driver has settled must be what status_write would have let it settle. */
static bool status_legal(const struct virtio_device *dev)
{
    if (dev->status & ~(STATUS_BY_DRIVER | STATUS_NEEDS_RESET))
        return false;
    if (dev->status & STATUS_FEATURES_OK)
        return features_acceptable(dev);
    return !(dev->status & STATUS_DRIVER_OK);
}

void virtio_load(struct virtio_device *dev, struct state_reader *r)
{
    uint32_t isr;

    pthread_mutex_lock(&dev->lock);
    device_clear(dev);
    if (state_get_u64(r) != dev->slot)
        r->error = -EINVAL;
    dev->status = (uint32_t)state_get_max(r, UINT32_MAX);
    isr = (uint32_t)state_get_max(r, ISR_QUEUE | ISR_CONFIG);
    dev->generation = (uint32_t)state_get_max(r, UINT32_MAX);
    dev->device_features_sel = (uint32_t)state_get_max(r, UINT32_MAX);
    dev->driver_features_sel = (uint32_t)state_get_max(r, UINT32_MAX);
    dev->queue_sel = (uint32_t)state_get_max(r, UINT32_MAX);
    dev->driver_features = state_get_u64(r);
    if (r->error == 0 && !status_legal(dev))
        r->error = -EINVAL;
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++) {
        struct virtq *q = &dev->queue[n];

        if (q->size_max != 0)
            virtq_load(q, dev->driver_features, r);
        q->live = dev->status & STATUS_DRIVER_OK;
        if (q->ready && !(dev->status & STATUS_FEATURES_OK))
            r->error = -EINVAL;
    }
    if (r->error != 0) {
        device_clear(dev);
    } else if (dev->vm->irq.edge[slot_irq(dev)]) {
        dev->isr = isr;
        if (isr != 0)
            irq_edge_due(dev->vm, slot_irq(dev));
    } else {
        isr_update(dev, isr);
    }
    pthread_mutex_unlock(&dev->lock);
}

int virtio_fdt(const struct virtio_device *dev, struct fdt_builder *fdt)
{
    fdtb_begin(fdt, "virtio_mmio@%llx", (unsigned long long)slot_base(dev));
    fdtb_string(fdt, "compatible", "virtio,mmio");
    fdtb_reg(fdt, slot_base(dev), PLAT_VIRTIO_SIZE);
    fdtb_irq(fdt, slot_irq(dev));
    fdtb_end(fdt);
    return 0;
}

/* LNRO0005: a virtio-mmio window (Linux, drivers/virtio/virtio_mmio.c, virtio_mmio_acpi_match).
 */
void virtio_acpi(const struct virtio_device *dev, struct acpi_builder *acpi)
{
    acpi_device(acpi, &(struct acpi_device){.hid = "LNRO0005",
                                            .gpa = slot_base(dev),
                                            .size = PLAT_VIRTIO_SIZE,
                                            .irq = slot_irq(dev),
                                            .level = !dev->vm->irq.edge[slot_irq(dev)]});
}
