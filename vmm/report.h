/* report.h: how the run ended, as JSON for machines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <stddef.h>
#include "vmm/error.h"

struct vm;

/*
 * Writes cause, status, hart, pc, steps and exit counts to `path` ("-": standard output). 0 or
 * -errno with *err set.
 */
int report_write(struct vm *vm, const char *path, struct error *err);

/* Can `path` be written? Asked before the guest runs, so that no run is lost. As above. */
int report_check(const char *path, struct error *err);

/* One line for people about an end that is not the guest's own decision; 0: nothing to say. */
size_t report_line(const struct vm *vm, char *line, size_t size);

#endif
