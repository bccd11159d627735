/* engine.h: the host's KVM as an engine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_KVM_ENGINE_H
#define VMM_ENGINE_KVM_ENGINE_H

#include "vmm/engine.h"

/* Built where guest and host have the same architecture: riscv64, x86-64 (see the Makefile). */
extern const struct engine engine_kvm;

#endif
