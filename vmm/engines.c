/* engines.c: the engines of this build, best first. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine.h"

#ifdef TOLLGATE_DBT
#include "vmm/engine/dbt/engine.h"
#endif
#include "vmm/engine/interp/engine.h"
#include "vmm/engine/kvm/engine.h"

const struct engine *const engine_list[] = {
#if (defined(__riscv) && __riscv_xlen == 64) || (defined(__x86_64__) && defined(__linux__))
    &engine_kvm,
#endif
#ifdef TOLLGATE_DBT
    &engine_dbt,
#endif
    &engine_interp,
    NULL,
};
