/* mem.c: guest RAM as a sorted table of slots. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/mem.h"

#include <errno.h>
#include <string.h>
#include "vmm/host.h"

void mem_init(struct mem *mem)
{
    memset(mem, 0, sizeof(*mem));
}

void mem_destroy(struct mem *mem)
{
    for (unsigned i = 0; i < mem->nbacking; i++)
        host_unmap(mem->backing[i], mem->backing_size[i]);
    mem_init(mem);
}

/* Page-aligned, not empty, and its end is an address too. */
static bool range_ok(gpa_t gpa, uint64_t size)
{
    return (gpa | size) % MEM_PAGE_SIZE == 0 && gpa + size > gpa;
}

static bool slot_overlaps(const struct mem_slot *slot, gpa_t gpa, uint64_t size)
{
    return gpa < slot->gpa + slot->size && slot->gpa < gpa + size;
}

/* Is something else there than `self`? */
static bool range_taken(const struct mem *mem, gpa_t gpa, uint64_t size,
                        const struct mem_slot *self)
{
    for (unsigned i = 0; i < mem->nslots; i++)
        if (slot_overlaps(&mem->slot[i], gpa, size))
            return true;
    for (unsigned i = 0; i < mem->nrom; i++)
        if (&mem->rom[i] != self && slot_overlaps(&mem->rom[i], gpa, size))
            return true;
    return false;
}

/* Memory of the host for a range of the guest. */
static int range_map(struct mem *mem, gpa_t gpa, uint64_t size, uint8_t **host)
{
    if (!range_ok(gpa, size))
        return -EINVAL;
    if (range_taken(mem, gpa, size, NULL))
        return -EEXIST;
    if (mem->nbacking == sizeof(mem->backing) / sizeof(mem->backing[0]))
        return -ENOSPC;
    *host = host_map(size);
    if (!*host)
        return -ENOMEM;
    mem->backing[mem->nbacking] = *host;
    mem->backing_size[mem->nbacking++] = size;
    return 0;
}

int mem_add(struct mem *mem, gpa_t gpa, uint64_t size)
{
    uint8_t *host;
    int rc = mem->nslots == MEM_SLOTS_MAX ? -ENOSPC : range_map(mem, gpa, size, &host);
    if (rc < 0)
        return rc;
    unsigned at = 0;
    while (at < mem->nslots && mem->slot[at].gpa < gpa)
        at++;
    memmove(&mem->slot[at + 1], &mem->slot[at], (mem->nslots - at) * sizeof(mem->slot[0]));
    mem->slot[at] = (struct mem_slot){.gpa = gpa, .size = size, .host = host};
    mem->nslots++;
    return 0;
}

int mem_add_rom(struct mem *mem, gpa_t gpa, uint64_t size, uint8_t **host)
{
    int rc = mem->nrom == MEM_ROM_MAX ? -ENOSPC : range_map(mem, gpa, size, host);
    if (rc < 0)
        return rc;
    mem->rom[mem->nrom++] = (struct mem_slot){.gpa = gpa, .size = size, .host = *host};
    return 0;
}

int mem_move_rom(struct mem *mem, gpa_t from, gpa_t to)
{
    for (unsigned i = 0; i < mem->nrom; i++) {
        struct mem_slot *rom = &mem->rom[i];
        if (rom->gpa != from)
            continue;
        if (!range_ok(to, rom->size))
            return -EINVAL;
        if (range_taken(mem, to, rom->size, rom))
            return -EEXIST;
        rom->gpa = to;
        return 0;
    }
    return -ENOENT;
}

const uint8_t *mem_rom(const struct mem *mem, gpa_t gpa, uint64_t len)
{
    for (unsigned i = 0; i < mem->nrom; i++) {
        const struct mem_slot *rom = &mem->rom[i];
        uint64_t at = gpa - rom->gpa;
        if (at < rom->size && len <= rom->size - at)
            return rom->host + at;
    }
    return NULL;
}

/* What is left of a slot below and above [gpa, end); returns how many parts (0 to 2). */
static unsigned slot_cut(const struct mem_slot *slot, gpa_t gpa, gpa_t end,
                         struct mem_slot part[2])
{
    gpa_t slot_end = slot->gpa + slot->size;
    unsigned n = 0;
    if (slot_end <= gpa || end <= slot->gpa) {
        part[n++] = *slot;
        return n;
    }
    if (slot->gpa < gpa)
        part[n++] = (struct mem_slot){slot->gpa, gpa - slot->gpa, slot->host};
    if (end < slot_end)
        part[n++] = (struct mem_slot){end, slot_end - end, slot->host + (end - slot->gpa)};
    return n;
}

int mem_punch(struct mem *mem, gpa_t gpa, uint64_t size)
{
    if (!range_ok(gpa, size))
        return -EINVAL;
    if (!mem_valid(mem, gpa, size))
        return -ENOENT;
    /* One hole splits at most one slot, so there is at most one more than before. */
    struct mem_slot left[MEM_SLOTS_MAX + 1] = {{0}};
    unsigned n = 0;
    for (unsigned i = 0; i < mem->nslots; i++) {
        struct mem_slot part[2];
        unsigned nparts = slot_cut(&mem->slot[i], gpa, gpa + size, part);
        memcpy(&left[n], part, nparts * sizeof(part[0]));
        n += nparts;
    }
    if (n > MEM_SLOTS_MAX)
        return -ENOSPC;
    memcpy(mem->slot, left, n * sizeof(left[0]));
    mem->nslots = n;
    return 0;
}

/* The host address of gpa and, in *room, how many bytes of its slot follow; NULL: not RAM. */
static uint8_t *slot_at(const struct mem *mem, gpa_t gpa, uint64_t *room)
{
    for (unsigned i = 0; i < mem->nslots; i++) {
        const struct mem_slot *slot = &mem->slot[i];
        if (gpa - slot->gpa < slot->size) {
            *room = slot->size - (gpa - slot->gpa);
            return slot->host + (gpa - slot->gpa);
        }
    }
    return NULL;
}

uint8_t *mem_ptr(const struct mem *mem, gpa_t gpa, uint64_t len)
{
    uint64_t room = 0;
    uint8_t *host = slot_at(mem, gpa, &room);
    return host && len <= room ? host : NULL;
}

bool mem_valid(const struct mem *mem, gpa_t gpa, uint64_t len)
{
    while (len > 0) {
        uint64_t room;
        if (!slot_at(mem, gpa, &room))
            return false;
        if (len <= room)
            return true;
        /* A slot's end never wraps (mem_add), so gpa does not either. */
        gpa += room;
        len -= room;
    }
    return true;
}

int mem_read(const struct mem *mem, gpa_t gpa, void *dst, size_t len)
{
    if (!mem_valid(mem, gpa, len))
        return -EFAULT;
    for (uint8_t *to = dst; len > 0;) {
        uint64_t room = 0;
        const uint8_t *from = slot_at(mem, gpa, &room);
        size_t n = len < room ? len : (size_t)room;
        memcpy(to, from, n);
        to += n;
        gpa += n;
        len -= n;
    }
    return 0;
}

int mem_write(const struct mem *mem, gpa_t gpa, const void *src, size_t len)
{
    if (!mem_valid(mem, gpa, len))
        return -EFAULT;
    for (const uint8_t *from = src; len > 0;) {
        uint64_t room = 0;
        uint8_t *to = slot_at(mem, gpa, &room);
        size_t n = len < room ? len : (size_t)room;
        memcpy(to, from, n);
        from += n;
        gpa += n;
        len -= n;
    }
    return 0;
}

/* Reading an untouched page maps the host's shared zero page; writing it would take memory. */
static void zero_page(uint8_t *p, size_t n)
{
    if (p[0] != 0 || memcmp(p, p + 1, n - 1) != 0)
        memset(p, 0, n);
}

int mem_zero(const struct mem *mem, gpa_t gpa, uint64_t len)
{
    if (!mem_valid(mem, gpa, len))
        return -EFAULT;
    while (len > 0) {
        uint64_t room = 0;
        uint8_t *to = slot_at(mem, gpa, &room);
        uint64_t n = MEM_PAGE_SIZE - gpa % MEM_PAGE_SIZE;
        n = n < len ? n : len; /* slots end at page boundaries, so n <= room */
        zero_page(to, (size_t)n);
        gpa += n;
        len -= n;
    }
    return 0;
}
