/* cache.c: memory for translated code: written through one mapping, executed through another.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/cache.h"

#include <string.h>
#include "vmm/host.h"

int cache_create(struct cache *cache, uint64_t fixed, uint64_t segment_size, unsigned nsegments)
{
    uint64_t size = fixed + segment_size * nsegments;
    void *write, *exec;
    int rc = host_code_map(size, &write, &exec);

    if (rc != 0)
        return rc;
    *cache = (struct cache){.write = write,
                            .exec = exec,
                            .size = size,
                            .fixed = fixed,
                            .segment_size = segment_size,
                            .nsegments = nsegments};
    return 0;
}

void cache_destroy(struct cache *cache)
{
    if (cache->write)
        host_code_unmap(cache->write, cache->exec, cache->size);
    memset(cache, 0, sizeof(*cache));
}

uint8_t *cache_room(const struct cache *cache, uint64_t *size)
{
    *size = cache->segment_size - cache->used;
    return cache->write + cache->fixed + cache->segment * cache->segment_size + cache->used;
}

void cache_take(struct cache *cache, uint64_t size)
{
    cache->used += size;
}

void cache_next_segment(struct cache *cache)
{
    cache->segment = (cache->segment + 1) % cache->nsegments;
    cache->used = 0;
}
