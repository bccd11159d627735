/* pool.c: decoded pages, each once for all the harts that share a pool. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include <stdlib.h>
#include <string.h>

static void page_clear(struct code_page *page)
{
    const struct rv_op undecoded = {.code = OP_CODE(OP_undecoded, 4)};
    const struct rv_op end = {.code = OP_CODE(OP_page_end, 4)};

    for (unsigned i = 0; i < PAGE_SLOTS; i++)
        page->op[i] = undecoded;
    page->op[PAGE_SLOTS] = end;
    page->op[PAGE_SLOTS + 1] = end;
    /* All that stands behind them. */
    memset((uint8_t *)page + offsetof(struct code_page, bytes), 0,
           sizeof(*page) - offsetof(struct code_page, bytes));
}

/*
 * Not rounded up to the alignment: the allocator keeps a header before each piece, for which a
 * whole one would leave no room, and every other 32 KiB would lie idle.
 */
struct code_page *code_page_new(void)
{
    void *page;

    if (posix_memalign(&page, CODE_PAGE_ALIGN, sizeof(struct code_page)) != 0)
        return NULL;
    page_clear(page);
    return page;
}

struct code_pool *code_pool_create(void)
{
    struct code_pool *pool = aligned_alloc(_Alignof(struct code_pool), sizeof(*pool));

    if (!pool)
        return NULL;
    memset(pool, 0, sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    pool->limit = CODE_PAGES_MAX;
    return pool;
}

/* One is kept for the next: a guest that rewrites its code takes and drops all the time. */
static void page_drop(struct code_pool *pool, struct code_page *page)
{
    if (pool->spare)
        free(page);
    else
        pool->spare = page;
}

static struct code_page *page_new(struct code_pool *pool)
{
    struct code_page *page = pool->spare;

    if (!page)
        return code_page_new();
    pool->spare = NULL;
    page_clear(page);
    return page;
}

/* Takes a page out of its chain. */
static void unlink_page(struct code_pool *pool, struct code_page **at)
{
    struct code_page *page = *at;

    *at = page->next;
    page->next = NULL;
    page->dead = true;
    pool->npages--;
    if (page->refs == 0)
        page_drop(pool, page);
}

/* Takes out of the pool what nobody has, or what has translations in one of the segments. How
 * many of these somebody has. */
static unsigned sweep(struct code_pool *pool, bool unused, uint64_t segments)
{
    unsigned held = 0;

    for (unsigned i = 0; i < CODE_CHAINS; i++) {
        struct code_page **at = &pool->chain[i];

        while (*at) {
            bool goes = (unused && (*at)->refs == 0) || ((*at)->segments & segments);

            if (!goes) {
                at = &(*at)->next;
                continue;
            }
            held += (*at)->refs != 0;
            unlink_page(pool, at);
        }
    }
    return held;
}

void code_pool_destroy(struct code_pool *pool)
{
    if (!pool)
        return;
    sweep(pool, true, 0);
    free(pool->spare);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void code_pool_retire(struct code_pool *pool, uint64_t segments)
{
    if (sweep(pool, false, segments) != 0)
        atomic_fetch_add(&pool->retired, 1);
}

/* Where the chain of a key begins. */
static struct code_page **chain_of(struct code_pool *pool, uint64_t key)
{
    return &pool->chain[(key >> MEM_PAGE_SHIFT) % CODE_CHAINS];
}

/* The page of a key that has those bytes, or NULL. Those with others that nobody has are
 * dropped: it is unlikely that the bytes come back. */
static struct code_page *find(struct code_pool *pool, uint64_t key, const uint8_t *bytes)
{
    struct code_page **at = chain_of(pool, key);

    while (*at) {
        struct code_page *page = *at;

        if (page->key == key && memcmp(page->bytes, bytes, MEM_PAGE_SIZE) == 0)
            return page;
        if (page->key == key && page->refs == 0)
            unlink_page(pool, at);
        else
            at = &page->next;
    }
    return NULL;
}

static struct code_page *make(struct code_pool *pool, uint64_t key, const uint8_t *bytes)
{
    struct code_page *page, **chain = chain_of(pool, key);

    if (pool->npages >= pool->limit) {
        sweep(pool, true, 0);
        pool->limit = pool->npages + pool->npages / 2;
        if (pool->limit < CODE_PAGES_MAX)
            pool->limit = CODE_PAGES_MAX;
    }
    page = page_new(pool);
    if (!page)
        return NULL;
    page->key = key;
    page->gpa = key & RV_PAGE_MASK;
    page->guarded = key & 1;
    page->stamp = pool->stamp < STAMP_LAST ? ++pool->stamp : 0;
    memcpy(page->bytes, bytes, MEM_PAGE_SIZE);
    page->next = *chain;
    *chain = page;
    pool->npages++;
    return page;
}

struct code_page *code_pool_take(struct code_pool *pool, uint64_t key, const uint8_t *bytes)
{
    struct code_page *page = find(pool, key, bytes);

    if (!page)
        page = make(pool, key, bytes);
    if (page)
        page->refs++;
    return page;
}

void code_pool_give(struct code_pool *pool, struct code_page *page)
{
    if (--page->refs == 0 && page->dead)
        page_drop(pool, page);
}
