/* engine.h: the translator engine, RISC-V to the host's own machine code. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_ENGINE_H
#define VMM_ENGINE_DBT_ENGINE_H

#include "vmm/engine.h"

extern const struct engine engine_dbt;

#endif
