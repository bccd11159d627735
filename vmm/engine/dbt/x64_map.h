/* x64_map.h: blocks of x86-64 code, for the map of map.h. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_X64_MAP_H
#define VMM_ENGINE_DBT_X64_MAP_H

#include "vmm/engine/dbt/x64_block.h"

/*
 * What was emitted from `begin` on is that instruction's code in line, or that cold part. Both
 * do nothing without --code-map.
 */
void x64_map_op(const struct target_block *b, const uint8_t *begin, const struct rv_op *op,
                unsigned slot);
void x64_map_cold(const struct target_block *b, const uint8_t *begin, const struct cold *cold);

#endif
