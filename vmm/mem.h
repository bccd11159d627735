/* mem.h: guest physical memory, the only way to it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_MEM_H
#define VMM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A guest-physical address. Host pointers and guest-virtual addresses never have this type. */
typedef uint64_t gpa_t;

#define MEM_PAGE_SHIFT 12
#define MEM_PAGE_SIZE  4096u
#define MEM_SLOTS_MAX  32
#define MEM_ROM_MAX    4

/* A contiguous range of guest RAM. gpa and size are multiples of MEM_PAGE_SIZE. */
struct mem_slot {
    gpa_t gpa;
    uint64_t size;
    uint8_t *host; /* first byte in the monitor's address space */
};

/* The memory of one VM. Slots are sorted, never overlap, and are fixed before harts run. */
struct mem {
    struct mem_slot slot[MEM_SLOTS_MAX];
    unsigned nslots;
    void *backing[MEM_SLOTS_MAX + MEM_ROM_MAX]; /* what was mapped, for mem_destroy */
    uint64_t backing_size[MEM_SLOTS_MAX + MEM_ROM_MAX];
    unsigned nbacking;
    struct mem_slot rom[MEM_ROM_MAX]; /* mem_add_rom; not RAM, so not among the slots */
    unsigned nrom;
};

void mem_init(struct mem *mem);
void mem_destroy(struct mem *mem);

/*
 * Adds zeroed RAM at [gpa, gpa+size). Private anonymous memory, huge pages advised, not
 * reserved: an untouched page costs nothing. Returns 0, -EINVAL (not page-aligned, empty,
 * wraps), -EEXIST (overlaps a slot), -ENOSPC (too many slots) or -ENOMEM.
 */
int mem_add(struct mem *mem, gpa_t gpa, uint64_t size);

/*
 * Takes [gpa, gpa+size), page-aligned, out of RAM, so that accesses there reach the bus (a
 * device that watches words inside RAM, as HTIF does). Returns 0, -EINVAL, -ENOENT (not all
 * RAM) or -ENOSPC.
 */
int mem_punch(struct mem *mem, gpa_t gpa, uint64_t size);

/*
 * Adds zeroed pages that the guest can load from, as from RAM and without an exit, and that
 * only the monitor writes, through *host: stores of the guest reach the bus. They are no RAM:
 * code, page tables, buffers of calls and queues of devices cannot lie there, and who puts
 * something into them saves it. Errors as mem_add.
 */
int mem_add_rom(struct mem *mem, gpa_t gpa, uint64_t size, uint8_t **host);

/*
 * Moves the pages that mem_add_rom gave to another address, before harts run: 0, -EINVAL,
 * -ENOENT (none are at `from`) or -EEXIST. The engine must be told (engine.h, rom_moved).
 */
int mem_move_rom(struct mem *mem, gpa_t from, gpa_t to);

/* As mem_ptr, of such pages. For engines' loads. */
const uint8_t *mem_rom(const struct mem *mem, gpa_t gpa, uint64_t len);

/*
 * The host address of guest RAM [gpa, gpa+len), or NULL unless one slot holds all of it. For
 * engines, loaders and bulk I/O; what is parsed is copied with mem_read instead, so that a
 * guest cannot change it between check and use. len 0 is treated as 1.
 */
uint8_t *mem_ptr(const struct mem *mem, gpa_t gpa, uint64_t len);

/* True when all of [gpa, gpa+len) is RAM, over however many adjacent slots. len 0 is true. */
bool mem_valid(const struct mem *mem, gpa_t gpa, uint64_t len);

/* Copies out of or into guest RAM, each byte once. 0, or -EFAULT with nothing copied. */
int mem_read(const struct mem *mem, gpa_t gpa, void *dst, size_t len);
int mem_write(const struct mem *mem, gpa_t gpa, const void *src, size_t len);

/* Zeroes guest RAM; pages that are zero already stay untouched. 0, or -EFAULT: no effect. */
int mem_zero(const struct mem *mem, gpa_t gpa, uint64_t len);

#endif
