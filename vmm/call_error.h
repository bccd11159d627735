/* call_error.h: what a guest is told when its host failed, the same for every service. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CALL_ERROR_H
#define VMM_CALL_ERROR_H

#include "vmm/call.h"

/* What a failure of the host means, whichever service met it. */
enum call_error_kind {
    CALL_ACCESS_DENIED,
    CALL_INVALID_ARGUMENT,
    CALL_INTERRUPTED,
    CALL_WOULD_BLOCK,
    CALL_NOT_SUPPORTED,
    CALL_FAULT,
    CALL_UNKNOWN, /* everything else: the errno alone says what */
    CALL_ERROR_KINDS,
};

/*
 * Of a failure of the host: error is -errno. What is no errno (0, above 0, below -4095) counts
 * as -EIO, so that a guest never takes a failure for a success.
 */
enum call_error_kind call_error_kind(int error);

/* The SBI error that comes nearest (SBI 3.0, section 3); never SBI_SUCCESS. */
int call_error_sbi(int error);

/* "AccessDenied", as traces and records print it. */
const char *call_error_name(enum call_error_kind kind);

/*
 * Ends a call by a failure of the host: a0 is the SBI error and a1 the errno (above 0); for a
 * program, a0 is -errno.
 */
enum call_disp call_host_failed(struct call *c, int error);

#endif
