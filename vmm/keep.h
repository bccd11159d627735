/* keep.h: what a run leaves in a folder, for `tollgate diff` to compare with another. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_KEEP_H
#define VMM_KEEP_H

#include "vmm/error.h"

struct vm;
struct vm_config;

/* The files of such a folder. */
#define KEEP_REPORT  "report.json"
#define KEEP_TRACE   "trace"
#define KEEP_CONSOLE "console"
#define KEEP_MEMORY  "memory" /* RAM from its start; pages of zeros are holes */

struct keep;

/*
 * Makes the folder, which must not exist or be empty, and sets the configuration so that calls
 * and device accesses are traced into it (beside what --trace asks for) and console output is
 * copied there. 0, or -errno with *err set.
 */
int keep_begin(struct keep **keep, const char *dir, struct vm_config *config,
               struct error *err);

/* After the run: report and memory. 0, or -errno with *err set. */
int keep_end(struct keep *keep, struct vm *vm, struct error *err);

/* Releases it; NULL is none. Harts do not run any more. */
void keep_free(struct keep *keep);

#endif
