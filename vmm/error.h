/* error.h: start-up errors and the process's exit statuses. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ERROR_H
#define VMM_ERROR_H

/*
 * Exit statuses of `tollgate`. A guest that ends with a status of its own is passed on as it
 * is; these are the monitor's. 64-78 follow <sysexits.h>; 100-109 say how a guest ended when it
 * gave no status itself. --report tells the two apart.
 */
enum tg_status {
    STATUS_OK = 0,
    STATUS_USAGE = 64,        /* the command line is wrong */
    STATUS_DATA = 65,         /* a file's content is unfit: not RISC-V, truncated, too large */
    STATUS_NO_INPUT = 66,     /* a file is missing or unreadable */
    STATUS_UNAVAILABLE = 69,  /* this host cannot do what was asked (engine, facility) */
    STATUS_INTERNAL = 70,     /* an internal error */
    STATUS_OS = 71,           /* the host refused memory, threads, descriptors */
    STATUS_CANT_CREATE = 73,  /* an output file cannot be written */
    STATUS_VERSION = 76,      /* a file is of another version of its format */
    STATUS_CONFIG = 78,       /* options contradict each other: modules, addresses */
    STATUS_GUEST_FAULT = 100, /* the guest did what no machine can continue from */
    STATUS_INVALID_ECALL = 101,
    STATUS_BUDGET = 103,
    STATUS_POLICY = 104, /* the guest broke a rule of its policy that stops it */
};

/* A start-up error: one line for the user, and the status to exit with. */
struct error {
    enum tg_status status;
    char text[400];
};

/*
 * Fills *err, first error wins (a later call leaves it alone), and returns -EINVAL, so that a
 * failing function may `return error_set(...)`. The text names the option or file, says what
 * was wrong and what would be right; no newline at its end.
 */
int error_set(struct error *err, enum tg_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
