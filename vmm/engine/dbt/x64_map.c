/* x64_map.c: tells the map of translated code what a block is made of. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_map.h"

#include "vmm/engine/dbt/map.h"

static uint64_t pc_of(const struct target_block *b, unsigned slot)
{
    return b->dbt->map_va + 2 * slot;
}

void x64_map_op(const struct target_block *b, const uint8_t *begin, const struct rv_op *op,
                unsigned slot)
{
    if (UNLIKELY(b->dbt->map))
        map_op(b->dbt, begin, b->code.at, op, pc_of(b, slot));
}

static const char *cold_name(enum cold_kind kind)
{
    switch (kind) {
    case COLD_STEP: return "cold-step";
    case COLD_JUMP: return "cold-jump";
    case COLD_GUESS: return "cold-guess";
    case COLD_GROUP: return "cold-group";
    case COLD_FP: return "cold-fp";
    case COLD_EXIT: return "cold-exit";
    case COLD_CHAIN: return "cold-chain";
    default: return "cold";
    }
}

void x64_map_cold(const struct target_block *b, const uint8_t *begin, const struct cold *cold)
{
    if (UNLIKELY(b->dbt->map))
        map_part(b->dbt, begin, b->code.at, cold_name(cold->kind), pc_of(b, cold->slot));
}
