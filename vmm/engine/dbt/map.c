/* map.c: writes down where translated code stands, for profiles. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/map.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const names[OP_IDS] = {
    [RV_INSN_ILLEGAL] = "illegal",
#define INSN(name, format, mask, match) [RV_INSN_##name] = #name,
#include "vmm/engine/riscv/insn.def"
#undef INSN
#define INTERNAL_OP(name) [OP_##name] = #name,
#include "vmm/engine/interp/internal.def"
#undef INTERNAL_OP
};

int map_open(const struct vm *vm, FILE **map, struct error *err)
{
    const char *path = vm->config->code_map;
    int fd;

    *map = NULL;
    if (!path)
        return 0;
    fd = host_output_open("--code-map", path, err);
    if (fd < 0)
        return fd;
    *map = fdopen(fd, "w");
    if (*map)
        return 0;
    host_output_close(fd);
    return error_set(err, STATUS_OS, "--code-map: no memory for a stream");
}

void map_close(FILE *map)
{
    if (map)
        fclose(map);
}

/* One call of stdio, which locks the stream: harts translate at the same time. */
void map_part(const struct dbt *d, const uint8_t *begin, const uint8_t *end, const char *kind,
              uint64_t pc)
{
    uint64_t address = (uintptr_t)d->cache.exec + (uint64_t)(begin - d->cache.write);

    if (end > begin)
        fprintf(d->map, "%" PRIx64 " %" PRIx64 " %s %" PRIx64 "\n", address,
                (uint64_t)(end - begin), kind, pc);
}

void map_op(const struct dbt *d, const uint8_t *begin, const uint8_t *end,
            const struct rv_op *op, uint64_t pc)
{
    map_part(d, begin, end, names[op->code >> 1], pc);
}

/* Each reaches to the end of all: who reads the file takes the one that begins last. */
void map_stubs(const struct dbt *d)
{
    const uint8_t *start = d->cache.write, *end = start + TARGET_STUBS;

    map_part(d, start, end, "stub", 0);
    map_part(d, start + d->stub_enter, end, "stub-enter", 0);
    map_part(d, start + d->stub_leave, end, "stub-leave", 0);
    map_part(d, start + d->stub_step, end, "stub-step", 0);
    map_part(d, start + d->stub_empty, end, "stub-empty", 0);
    map_part(d, start + d->stub_find, end, "stub-find", 0);
    map_part(d, start + d->stub_even, end, "stub-even", 0);
    map_part(d, start + d->stub_fp, end, "stub-fp", 0);
    map_part(d, start + d->stub_set, end, "stub-sstatus", 0);
    map_part(d, start + d->stub_clear, end, "stub-sstatus", 0);
    map_part(d, start + d->stub_write, end, "stub-sstatus", 0);
    map_part(d, start + d->stub_ecall, end, "stub-ecall", 0);
    map_part(d, start + d->stub_ebreak, end, "stub-ebreak", 0);
    map_part(d, start + d->stub_sret, end, "stub-sret", 0);
}
