/* cache.h: memory for translated code: written through one mapping, executed through another.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_CACHE_H
#define VMM_ENGINE_DBT_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define CACHE_SEGMENTS_MAX 64

/*
 * The same memory mapped twice, writable and executable, never both. A part at the start holds
 * the fixed stubs; the rest is divided into segments, filled one after the other, the oldest
 * one again when all are full.
 */
struct cache {
    uint8_t *write;
    uint8_t *exec;
    uint64_t size;
    uint64_t fixed; /* bytes before the first segment */
    uint64_t segment_size;
    unsigned nsegments;
    unsigned segment; /* being filled */
    uint64_t used;    /* of it */
};

/* Maps it, with its first segment begun. 0 or -errno. */
int cache_create(struct cache *cache, uint64_t fixed, uint64_t segment_size,
                 unsigned nsegments);
void cache_destroy(struct cache *cache);

/* Where the next code may be written, and how much of it. */
uint8_t *cache_room(const struct cache *cache, uint64_t *size);
/* The first `size` bytes of the room are code now. */
void cache_take(struct cache *cache, uint64_t size);

/* Begins the next segment; the code that stood there is no more. */
void cache_next_segment(struct cache *cache);

#endif
