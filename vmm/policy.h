/* policy.h: which calls a guest may make. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POLICY_H
#define VMM_POLICY_H

#include <stdbool.h>

struct vm;
struct call_desc;
struct error;

/*
 * Checks the names given with --deny against the calls this VM has: a call ("sbi.dbcn.write")
 * or a group, which is a prefix up to a dot ("sbi.dbcn"). -ENOENT with *err set when one names
 * nothing: a rule is never ignored silently. Frozen before the first guest instruction.
 */
int policy_freeze(struct vm *vm, struct error *err);

/* May the call be made? A refused one is answered with the personality's DENIED error. */
bool policy_allows(const struct vm *vm, const struct call_desc *desc);

#endif
