/* engines.c: the engines of this build, best first. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine.h"

#include "vmm/engine/interp/engine.h"

const struct engine *const engine_list[] = {
    &engine_interp,
    NULL,
};
