/* virtqueue.c: split virtqueues: the rings, the chains in them, and their state. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/virtqueue.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include "vmm/le.h"
#include "vmm/vm.h"

/* Split virtqueues (section 2.7). */
#define DESC_SIZE            16u
#define DESC_F_NEXT          0x1u
#define DESC_F_WRITE         0x2u
#define DESC_F_INDIRECT      0x4u
#define RING_HEADER          4u /* flags and idx, before the entries of both rings */
#define AVAIL_ENTRY          2u
#define USED_ENTRY           8u
#define AVAIL_F_NO_INTERRUPT 0x1u

void virtq_fail(struct virtq *q)
{
    q->broken = true;
    q->ops->failed(q->self);
}

bool virtq_active(const struct virtq *q)
{
    return q->live && q->ready && !q->broken;
}

/*
 * The words that are shared with running harts. Acquire and release order them against the
 * rings' entries (section 2.7.13: "suitable memory barrier"); an index that is published before
 * an event of the other side is looked at, and the reverse there, needs sequential consistency.
 */
static uint16_t word_acquire(const uint16_t *word)
{
    return le16toh(__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

static uint16_t word_load(const uint16_t *word)
{
    return le16toh(__atomic_load_n(word, __ATOMIC_SEQ_CST));
}

static void word_store(uint16_t *word, uint16_t value)
{
    __atomic_store_n(word, htole16(value), __ATOMIC_SEQ_CST);
}

/* A word of a ring in host memory; pages are aligned there as in the guest. */
static uint16_t *ring_word(uint8_t *ring, size_t offset)
{
    return (uint16_t *)(void *)(ring + offset);
}

int virtq_map(struct virtq *q, uint64_t features)
{
    const struct mem *mem = &q->vm->mem;
    bool events = features & VIRTIO_F_EVENT_IDX;
    size_t avail_event_at = RING_HEADER + (size_t)USED_ENTRY * q->size;
    size_t used_event_at = RING_HEADER + (size_t)AVAIL_ENTRY * q->size;

    if (q->size == 0 || q->size > q->size_max || (q->size & (q->size - 1)) != 0)
        return -EINVAL;
    if (q->desc % 16 != 0 || q->avail % 2 != 0 || q->used % 4 != 0)
        return -EINVAL;
    if (q->desc + DESC_SIZE * q->size < q->desc ||
        !mem_valid(mem, q->desc, (uint64_t)DESC_SIZE * q->size))
        return -EINVAL;
    uint8_t *avail = mem_ptr(mem, q->avail, used_event_at + (events ? 2 : 0));
    uint8_t *used = mem_ptr(mem, q->used, avail_event_at + (events ? 2 : 0));
    if (!avail || !used)
        return -EINVAL;

    q->avail_flags = ring_word(avail, 0);
    q->avail_idx = ring_word(avail, 2);
    q->used_event = events ? ring_word(avail, used_event_at) : NULL;
    q->used_idx = ring_word(used, 2);
    q->avail_event = events ? ring_word(used, avail_event_at) : NULL;
    q->indirect = features & VIRTIO_F_INDIRECT_DESC;
    q->next_avail = q->next_used = q->told_used = 0;
    q->ready = true;
    return 0;
}

/* A descriptor as the device works with it. */
struct desc {
    gpa_t gpa;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct desc_table {
    gpa_t gpa;
    uint32_t count;
};

static int desc_read(const struct virtq *q, const struct desc_table *table, uint32_t index,
                     struct desc *desc)
{
    uint8_t raw[DESC_SIZE];

    if (index >= table->count)
        return -EINVAL;
    int rc = mem_read(&q->vm->mem, table->gpa + (uint64_t)index * DESC_SIZE, raw, sizeof(raw));
    if (rc < 0)
        return rc;
    *desc = (struct desc){
        .gpa = le_get64(raw),
        .len = le_get32(raw + 8),
        .flags = le_get16(raw + 12),
        .next = le_get16(raw + 14),
    };
    return 0;
}

/* Goes over to an indirect table (section 2.7.5.3). Tables do not nest. */
static int desc_indirect(const struct virtq *q, const struct desc *desc,
                         struct desc_table *table, bool *indirect)
{
    if (*indirect || !q->indirect)
        return -EINVAL;
    if ((desc->flags & DESC_F_NEXT) || desc->len == 0 || desc->len % DESC_SIZE != 0)
        return -EINVAL;
    if (!mem_valid(&q->vm->mem, desc->gpa, desc->len))
        return -EINVAL;
    *table = (struct desc_table){.gpa = desc->gpa, .count = desc->len / DESC_SIZE};
    *indirect = true;
    return 0;
}

/* Adds a buffer. Those that the device reads come first (section 2.7.4.2). */
static int chain_add(const struct virtq *q, struct virtq_chain *chain, const struct desc *desc)
{
    bool writable = desc->flags & DESC_F_WRITE;

    if (chain->nread + chain->nwrite == VIRTQ_CHAIN_MAX || (!writable && chain->nwrite > 0))
        return -EINVAL;
    if (!mem_valid(&q->vm->mem, desc->gpa, desc->len))
        return -EINVAL;
    if (chain->read_len + chain->write_len + desc->len > UINT32_MAX)
        return -EINVAL;
    chain->seg[chain->nread + chain->nwrite] =
        (struct virtq_seg){.gpa = desc->gpa, .len = desc->len};
    if (writable) {
        chain->nwrite++;
        chain->write_len += desc->len;
    } else {
        chain->nread++;
        chain->read_len += desc->len;
    }
    return 0;
}

static int chain_collect(const struct virtq *q, struct virtq_chain *chain)
{
    struct desc_table table = {.gpa = q->desc, .count = q->size};
    uint32_t next = chain->head;
    bool indirect = false;
    struct desc desc;

    /* A chain that takes more steps than there are buffers, and a table's own, has a loop. */
    for (unsigned steps = 0; steps <= VIRTQ_CHAIN_MAX; steps++) {
        if (desc_read(q, &table, next, &desc) < 0)
            return -EINVAL;
        if (desc.flags & DESC_F_INDIRECT) {
            if (desc_indirect(q, &desc, &table, &indirect) < 0)
                return -EINVAL;
            next = 0;
            continue;
        }
        if (chain_add(q, chain, &desc) < 0)
            return -EINVAL;
        if (!(desc.flags & DESC_F_NEXT))
            return 0;
        next = desc.next;
    }
    return -EINVAL;
}

/* What its harts have asked for before they ended is still done. */
static bool guest_stops(const struct vm *vm)
{
    return atomic_load(&vm->stopping) && !atomic_load(&vm->quiet);
}

bool virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
    if (!virtq_active(q))
        return false;
    uint16_t waiting = (uint16_t)(word_acquire(q->avail_idx) - q->next_avail);
    if (waiting == 0)
        return false;
    /* A guest that adds requests for ever must not keep a hart from stopping. */
    if (guest_stops(q->vm)) {
        q->ops->owed(q->self);
        return false;
    }

    gpa_t entry = q->avail + RING_HEADER + (gpa_t)AVAIL_ENTRY * (q->next_avail % q->size);
    uint8_t head[AVAIL_ENTRY];
    if (waiting > q->size || mem_read(&q->vm->mem, entry, head, sizeof(head)) < 0) {
        virtq_fail(q);
        return false;
    }
    chain->head = le_get16(head);
    chain->nread = chain->nwrite = 0;
    chain->read_len = chain->write_len = 0;
    if (chain_collect(q, chain) < 0) {
        virtq_fail(q);
        return false;
    }
    q->next_avail++;
    return true;
}

bool virtq_rearm(struct virtq *q)
{
    if (!virtq_active(q) || guest_stops(q->vm))
        return false;
    if (q->avail_event)
        word_store(q->avail_event, q->next_avail);
    return word_load(q->avail_idx) != q->next_avail;
}

void virtq_push(struct virtq *q, const struct virtq_chain *chain, uint32_t written)
{
    if (!virtq_active(q))
        return;
    uint32_t entry[2] = {htole32(chain->head), htole32(written)};
    gpa_t at = q->used + RING_HEADER + (gpa_t)USED_ENTRY * (q->next_used % q->size);
    (void)mem_write(&q->vm->mem, at, entry, sizeof(entry));
    q->next_used++;
    word_store(q->used_idx, q->next_used);
}

/* Does the driver want an interrupt for the entries from told_used to next_used (2.7.7.2)? */
static bool virtq_wanted(const struct virtq *q)
{
    if (!q->used_event)
        return !(word_load(q->avail_flags) & AVAIL_F_NO_INTERRUPT);
    uint16_t event = word_load(q->used_event);
    return (uint16_t)(q->next_used - event - 1) < (uint16_t)(q->next_used - q->told_used);
}

void virtq_notify(struct virtq *q)
{
    if (!virtq_active(q) || q->told_used == q->next_used)
        return;
    bool wanted = virtq_wanted(q);
    q->told_used = q->next_used;
    if (wanted)
        q->ops->used(q->self);
}

/* Chains. */

/* A position in one part of a chain. */
struct chain_cursor {
    const struct virtq_seg *seg, *end;
    uint64_t offset; /* in *seg, below its length */
};

/* Skips empty buffers too. */
static void cursor_settle(struct chain_cursor *at)
{
    while (at->seg < at->end && at->offset >= at->seg->len) {
        at->offset -= at->seg->len;
        at->seg++;
    }
}

static struct chain_cursor cursor_begin(const struct virtq_chain *chain, bool writable,
                                        uint64_t offset)
{
    const struct virtq_seg *middle = chain->seg + chain->nread;
    struct chain_cursor at = {
        .seg = writable ? middle : chain->seg,
        .end = writable ? middle + chain->nwrite : middle,
        .offset = offset,
    };

    cursor_settle(&at);
    return at;
}

/* Up to len bytes at the cursor, all in one buffer; moves it on. 0 at the end. */
static size_t cursor_take(struct chain_cursor *at, size_t len, gpa_t *gpa)
{
    if (at->seg == at->end)
        return 0;
    uint64_t rest = at->seg->len - at->offset;
    size_t n = len < rest ? len : (size_t)rest;
    *gpa = at->seg->gpa + at->offset;
    at->offset += n;
    cursor_settle(at);
    return n;
}

size_t virtq_read(const struct virtq *q, const struct virtq_chain *chain, uint64_t offset,
                  void *buf, size_t len)
{
    struct chain_cursor at = cursor_begin(chain, false, offset);
    size_t done = 0;
    gpa_t gpa;

    while (done < len) {
        size_t n = cursor_take(&at, len - done, &gpa);
        if (n == 0 || mem_read(&q->vm->mem, gpa, (uint8_t *)buf + done, n) < 0)
            break;
        done += n;
    }
    return done;
}

size_t virtq_write(const struct virtq *q, const struct virtq_chain *chain, uint64_t offset,
                   const void *buf, size_t len)
{
    struct chain_cursor at = cursor_begin(chain, true, offset);
    size_t done = 0;
    gpa_t gpa;

    while (done < len) {
        size_t n = cursor_take(&at, len - done, &gpa);
        if (n == 0 || mem_write(&q->vm->mem, gpa, (const uint8_t *)buf + done, n) < 0)
            break;
        done += n;
    }
    return done;
}

unsigned virtq_iov(const struct virtq *q, const struct virtq_chain *chain, bool writable,
                   uint64_t offset, struct iovec *iov, unsigned max)
{
    const struct mem *mem = &q->vm->mem;
    struct chain_cursor at = cursor_begin(chain, writable, offset);
    unsigned n = 0;
    gpa_t gpa;
    size_t len;

    while (n < max && (len = cursor_take(&at, SIZE_MAX, &gpa)) > 0) {
        /* A buffer may lie over two slots of RAM, which are apart on the host. */
        while (len > 0 && n < max) {
            size_t part = len;
            if (!mem_ptr(mem, gpa, part)) {
                size_t page = MEM_PAGE_SIZE - gpa % MEM_PAGE_SIZE;
                part = page < len ? page : len;
            }
            iov[n++] = (struct iovec){.iov_base = mem_ptr(mem, gpa, part), .iov_len = part};
            gpa += part;
            len -= part;
        }
    }
    return n;
}

/* State. */

void virtq_save(const struct virtq *q, struct state_writer *w)
{
    state_put_u64(w, q->size);
    state_put_u64(w, q->ready);
    state_put_u64(w, q->broken);
    state_put_u64(w, q->desc);
    state_put_u64(w, q->avail);
    state_put_u64(w, q->used);
    state_put_u64(w, q->next_avail);
    state_put_u64(w, q->next_used);
    state_put_u64(w, q->told_used);
}

void virtq_load(struct virtq *q, uint64_t features, struct state_reader *r)
{
    bool ready;

    q->size = (uint16_t)state_get_max(r, UINT16_MAX);
    ready = state_get_max(r, 1);
    q->broken = state_get_max(r, 1);
    q->desc = state_get_u64(r);
    q->avail = state_get_u64(r);
    q->used = state_get_u64(r);
    if (ready && (r->error != 0 || virtq_map(q, features) < 0))
        r->error = -EINVAL;
    q->next_avail = (uint16_t)state_get_max(r, UINT16_MAX);
    q->next_used = (uint16_t)state_get_max(r, UINT16_MAX);
    q->told_used = (uint16_t)state_get_max(r, UINT16_MAX);
    q->ready = ready && r->error == 0;
}
