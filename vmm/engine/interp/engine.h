/* engine.h: the interpreter as an engine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_INTERP_ENGINE_H
#define VMM_ENGINE_INTERP_ENGINE_H

#include "vmm/engine.h"

extern const struct engine engine_interp;

#endif
