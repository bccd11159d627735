/* tables.c: the page tables that programs of the hunt run by, and changes of them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hunt/tables.h"

#include <stdlib.h>
#include "tests/unit/pte.h"

#define BASE ((uint64_t)PLAT_DRAM_BASE)
#define HOLE (PLAT_UART_BASE + 0x100000u) /* where no device is */

static const uint64_t view_bases[] = {BASE, SCENE_LOW, SCENE_HIGH};

/* A root's tables: those of three views, and of the UART; see tables_make. */
static unsigned tables_of_a_root(const struct scene *scene)
{
    return 2 * scene->levels + 3;
}

uint64_t scene_root(const struct scene *scene, unsigned root)
{
    return SCENE_TABLES + (uint64_t)root * tables_of_a_root(scene) * MEM_PAGE_SIZE;
}

uint64_t scene_leaf(const struct scene *scene, unsigned root, enum view view)
{
    unsigned at[] = {[VIEW_M] = scene->levels - 1,
                     [VIEW_U] = scene->levels + 1,
                     [VIEW_HIGH] = 2 * scene->levels,
                     [VIEW_S] = scene->levels - 1};

    return scene_root(scene, root) + (uint64_t)at[view] * MEM_PAGE_SIZE;
}

static uint64_t leaf_of(uint64_t gpa, uint64_t bits)
{
    return gpa >> 12 << 10 | bits;
}

/* Where tables are made, and where the next one comes. */
struct maker {
    const struct scene *scene;
    struct vm *vm;
    unsigned root;
    uint64_t next; /* 0: no table is made */
};

/* The entry of an address at a level, in tables that are made on the way. NULL: there is none,
 * the guest has destroyed them. */
static uint64_t *pte_of(struct maker *m, uint64_t va, unsigned last)
{
    uint64_t table = scene_root(m->scene, m->root);

    for (unsigned level = m->scene->levels - 1;; level--) {
        uint64_t *pte;

        if (table < SCENE_TABLES || table >= SCENE_TABLES_END)
            return NULL;
        pte = (uint64_t *)(void *)mem_ptr(&m->vm->mem, BASE + table, MEM_PAGE_SIZE);
        pte += va >> (12 + 9 * level) & 0x1ff;
        if (level == last)
            return pte;
        if (*pte == 0 && m->next) {
            *pte = leaf_of(BASE + m->next, PTE_V);
            m->next += MEM_PAGE_SIZE;
        }
        table = (*pte >> 10 << 12) - BASE;
    }
}

/* What a page lets be done: most often all that it is for. */
static uint64_t page_rights(uint64_t usual)
{
    switch (random_below(16)) {
    case 0: return usual & ~(PTE_A | PTE_D);
    case 1: return usual & ~PTE_D;
    case 2: return usual ^ (PTE_R << random_below(3));
    case 3: return usual | PTE_G;
    default: return usual;
    }
}

/* A page at its three addresses, the same there or others. */
static void map_views(struct maker *m, uint64_t offset, uint64_t gpa, uint64_t usual)
{
    for (unsigned view = 0; view < 3; view++)
        *pte_of(m, view_bases[view] + offset, 0) =
            leaf_of(gpa, page_rights(view == VIEW_U ? usual | PTE_U : usual));
}

/* Eight pages, each of them anywhere; most often in their order. */
static void map_any(struct maker *m, uint64_t first, uint64_t usual)
{
    for (unsigned view = 0; view < 3; view++)
        for (unsigned i = 0; i < 8; i++) {
            unsigned page = random_below(2) ? i : random_below(8);

            *pte_of(m, view_bases[view] + first + i * MEM_PAGE_SIZE, 0) =
                leaf_of(BASE + first + page * MEM_PAGE_SIZE,
                        page_rights(view == VIEW_U ? usual | PTE_U : usual));
        }
}

/* Memory's start by a large leaf, with a page of data before it. */
static void map_big(struct maker *m)
{
    for (unsigned view = 0; view < 3; view++) {
        uint64_t user = view == VIEW_U ? PTE_U : 0, va = view_bases[view] + SCENE_BIG;

        *pte_of(m, va, 1) = leaf_of(BASE, page_rights(PTE_RX | PTE_RW | user));
        *pte_of(m, va - MEM_PAGE_SIZE, 0) =
            leaf_of(BASE + SCENE_DATA + random_below(SCENE_DATA_PAGES) * MEM_PAGE_SIZE,
                    page_rights(PTE_RW | user));
    }
}

static void root_make(const struct scene *scene, struct vm *vm, unsigned root, bool written)
{
    struct maker m = {.scene = scene, .vm = vm, .root = root};
    uint64_t code = written ? PTE_RX | PTE_RW : PTE_RX;

    m.next = scene_root(scene, root) + MEM_PAGE_SIZE;
    for (unsigned i = 0; i < 2; i++)
        map_views(&m, i * MEM_PAGE_SIZE, BASE + i * MEM_PAGE_SIZE, code);
    for (unsigned view = 0; view < 3; view++)
        if (m.next <= scene_leaf(scene, root, (enum view)view))
            abort(); /* what scene_leaf takes for granted about the order of tables */
    for (uint64_t page = SCENE_DATA; page < SCENE_DATA_END; page += MEM_PAGE_SIZE)
        map_views(&m, page, BASE + page, PTE_RW);
    map_views(&m, SCENE_DATA_END, HOLE, PTE_RW);
    map_any(&m, SCENE_FAR, code);
    map_any(&m, SCENE_CHASE, PTE_RW);
    map_big(&m);
    for (uint64_t page = PROGRAM_HANDLER - BASE; page <= SCENE_S_AT; page += MEM_PAGE_SIZE)
        *pte_of(&m, BASE + page, 0) = leaf_of(BASE + page, PTE_RX);
    for (uint64_t page = SCENE_TABLES; page < SCENE_TABLES_END; page += MEM_PAGE_SIZE)
        *pte_of(&m, BASE + page, 0) = leaf_of(BASE + page, PTE_RW);
    *pte_of(&m, PLAT_UART_BASE, 0) = leaf_of(PLAT_UART_BASE, PTE_RW);
}

void tables_make(const struct scene *scene, struct vm *vm)
{
    bool written = random_below(2); /* programs that change themselves under paging too */

    for (unsigned root = 0; root < SCENE_ROOTS; root++)
        root_make(scene, vm, root, written);
}

/* A large leaf and a table of small pages take turns. */
static uint64_t big_change(const struct scene *scene, unsigned root, unsigned view)
{
    uint64_t leaf = leaf_of(BASE, PTE_RX | PTE_RW | (view == VIEW_U ? PTE_U : 0));

    if (random_below(2))
        return PTE_V << random_below(8);
    return leaf ^ leaf_of(BASE + scene_leaf(scene, root, (enum view)view), PTE_V);
}

struct change tables_pick(const struct scene *scene, struct vm *vm)
{
    unsigned root = random_below(SCENE_ROOTS), view = random_below(3), level = 0;
    struct maker m = {.scene = scene, .vm = vm, .root = root};
    struct change change = {.bits = PTE_V << random_below(8)};
    uint64_t offset, other = (uint64_t)(1 + random_below(7)) << 10;

    switch (random_below(8)) {
    case 0:
    case 1:
        offset = SCENE_FAR + random_below(SCENE_FAR_PAGES) * MEM_PAGE_SIZE;
        change.bits = random_below(4) ? other : change.bits;
        break;
    case 2:
    case 3:
        offset = SCENE_CHASE + random_below(SCENE_CHASE_PAGES) * MEM_PAGE_SIZE;
        change.bits = random_below(4) ? other : change.bits;
        break;
    case 4:
        offset = SCENE_BIG + random_below(64) * MEM_PAGE_SIZE;
        change.bits = big_change(scene, root, view);
        level = 1;
        break;
    case 5: offset = random_below(2) * MEM_PAGE_SIZE; break;
    default: offset = SCENE_DATA + random_below(SCENE_DATA_PAGES) * MEM_PAGE_SIZE; break;
    }
    change.va = view_bases[view] + offset;
    change.pte = pte_of(&m, change.va, level);
    return change;
}
