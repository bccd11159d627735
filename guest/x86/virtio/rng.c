/* rng.c: a driver of virtio's entropy device, one request at a time. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/x86/virtio/rng.h"

#include "guest/abi/platform.h"
#include "guest/abi/x86.h"
#include "guest/lib/string.h"

/* VIRTIO 1.2: sections 4.2.2 (registers), 2.1 (status), 2.7 (split queues), 5.4 (entropy). */
#define REG_MAGIC               0x000
#define REG_DEVICE_ID           0x008
#define REG_DRIVER_FEATURES     0x020
#define REG_DRIVER_FEATURES_SEL 0x024
#define REG_QUEUE_SEL           0x030
#define REG_QUEUE_NUM           0x038
#define REG_QUEUE_READY         0x044
#define REG_INTERRUPT_STATUS    0x060
#define REG_INTERRUPT_ACK       0x064
#define REG_STATUS              0x070
#define REG_QUEUE_DESC          0x080
#define REG_QUEUE_DRIVER        0x090
#define REG_QUEUE_DEVICE        0x0a0
#define MAGIC                   0x74726976
#define DEVICE_ENTROPY          4
#define ACKNOWLEDGE             1
#define DRIVER                  2
#define DRIVER_OK               4
#define FEATURES_OK             8
#define DESC_WRITE              2
#define NO_INTERRUPT            1
#define ENTRIES                 4u

struct queue {
    struct {
        uint64_t address;
        uint32_t len;
        uint16_t flags, next;
    } desc[ENTRIES];
    struct {
        uint16_t flags, index, ring[ENTRIES];
    } avail;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, len;
        } ring[ENTRIES];
    } used __attribute__((aligned(4)));
    uint8_t buffer[RNG_BYTES];
} __attribute__((aligned(64)));

static struct queue queue[SLOTS];

static volatile uint32_t *reg_of(unsigned slot, unsigned reg)
{
    return (volatile uint32_t *)(TG_X86_VIRTIO + (uintptr_t)slot * PLAT_VIRTIO_SIZE + reg);
}

uint32_t rng_read(unsigned slot, unsigned reg)
{
    return *reg_of(slot, reg);
}

void rng_write(unsigned slot, unsigned reg, uint32_t value)
{
    *reg_of(slot, reg) = value;
}

static void place_write(unsigned slot, unsigned reg, const void *place)
{
    rng_write(slot, reg, (uint32_t)(uintptr_t)place);
    rng_write(slot, reg + 4, (uint32_t)((uintptr_t)place >> 32));
}

void rng_reset(unsigned slot)
{
    rng_write(slot, REG_STATUS, 0);
}

bool rng_start(unsigned slot)
{
    struct queue *q = &queue[slot];

    if (rng_read(slot, REG_MAGIC) != MAGIC || rng_read(slot, REG_DEVICE_ID) != DEVICE_ENTROPY)
        return false;
    memset(q, 0, sizeof(*q));
    rng_reset(slot);
    rng_write(slot, REG_STATUS, ACKNOWLEDGE | DRIVER);
    rng_write(slot, REG_DRIVER_FEATURES_SEL, 1);
    rng_write(slot, REG_DRIVER_FEATURES, 1); /* VERSION_1 alone */
    rng_write(slot, REG_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    rng_write(slot, REG_QUEUE_SEL, 0);
    rng_write(slot, REG_QUEUE_NUM, ENTRIES);
    place_write(slot, REG_QUEUE_DESC, q->desc);
    place_write(slot, REG_QUEUE_DRIVER, &q->avail);
    place_write(slot, REG_QUEUE_DEVICE, &q->used);
    rng_write(slot, REG_QUEUE_READY, 1);
    rng_write(slot, REG_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    return rng_read(slot, REG_STATUS) == (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

void rng_ask(unsigned slot, bool quietly)
{
    struct queue *q = &queue[slot];
    uint16_t index = q->avail.index;

    q->desc[0].address = (uintptr_t)q->buffer;
    q->desc[0].len = sizeof(q->buffer);
    q->desc[0].flags = DESC_WRITE;
    q->avail.ring[index % ENTRIES] = 0;
    __atomic_store_n(&q->avail.flags, quietly ? NO_INTERRUPT : 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&q->avail.index, (uint16_t)(index + 1), __ATOMIC_SEQ_CST);
    rng_write(slot, NOTIFY_REG, 0);
}

bool rng_answered(unsigned slot)
{
    const struct queue *q = &queue[slot];

    return __atomic_load_n(&q->used.index, __ATOMIC_ACQUIRE) == q->avail.index;
}

bool rng_filled(unsigned slot)
{
    struct queue *q = &queue[slot];
    bool differ = false;

    for (unsigned i = 1; i < RNG_BYTES; i++)
        differ |= q->buffer[i] != q->buffer[0];
    memset(q->buffer, 0, sizeof(q->buffer));
    return differ && q->used.ring[(uint16_t)(q->used.index - 1) % ENTRIES].len == RNG_BYTES;
}

bool rng_interrupts(unsigned slot)
{
    return rng_read(slot, REG_INTERRUPT_STATUS) != 0;
}

bool rng_acknowledge(unsigned slot)
{
    uint32_t status = rng_read(slot, REG_INTERRUPT_STATUS);

    if (status != 0)
        rng_write(slot, REG_INTERRUPT_ACK, status);
    return status != 0;
}
