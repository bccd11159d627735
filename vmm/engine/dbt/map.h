/* map.h: a file that says where the translated code of each instruction stands. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_MAP_H
#define VMM_ENGINE_DBT_MAP_H

#include "vmm/engine/dbt/dbt.h"

/*
 * With --code-map, a line "ADDRESS SIZE KIND PC" for each part of the code cache that is
 * written, in hexadecimal: where it is executed, its bytes, the guest's instruction by its
 * name, or what else it is ("cold-" and the way out of a block, "stub-"), and the guest's pc.
 * Code that was given up stays in the file; a later line for the same place is the one that
 * counts. Without the option dbt.map is NULL, and none of this is called.
 */

/* Opens it; *map is the stream, or NULL without the option. 0, or -errno with *err set.
 * map_close: NULL is fine. */
int map_open(const struct vm *vm, FILE **map, struct error *err);
void map_close(FILE *map);

/* What was written from begin on, up to end, both in the writable mapping. */
void map_part(const struct dbt *d, const uint8_t *begin, const uint8_t *end, const char *kind,
              uint64_t pc);

/* The same for an instruction's own code. */
void map_op(const struct dbt *d, const uint8_t *begin, const uint8_t *end,
            const struct rv_op *op, uint64_t pc);

/* The stubs at the cache's start. */
void map_stubs(const struct dbt *d);

#endif
