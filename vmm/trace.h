/* trace.h: a trace's lines: where they go and how their parts are written. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/call.h"
#include "vmm/error.h"

struct host;

/* A line that is being made. What does not fit is left out, and "..." says so. */
#define TRACE_LINE_MAX 1000u
struct trace_line {
    size_t len;
    bool cut;
    char text[TRACE_LINE_MAX + 8];
};

void trace_add(struct trace_line *line, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "text\n": quoted as in C, at most `shown` bytes of the `len` that are there. */
void trace_add_string(struct trace_line *line, const uint8_t *data, size_t len, size_t shown);

/* What the wrapper copied for a call: the beginning, and how much it was. */
#define TRACE_SHOWN 48u
struct trace_buffer {
    uint8_t data[TRACE_SHOWN];
    size_t len; /* all of it; 0: nothing was copied */
};

/*
 * `tg.console.write("hello\n", 6) = 6`: the call as it was made and its answer. desc NULL:
 * nobody answers such a call.
 */
void trace_add_call(struct trace_line *line, const struct call_desc *desc,
                    const struct call *given, const struct call *answer,
                    const struct trace_buffer *seen);

/* `openat(0xffffff9c, 0x3fa0, 0x0, 0x0)`: a system call of a Linux guest. */
void trace_add_linux_call(struct trace_line *line, uint64_t number, const uint64_t *args);
/* Its name; NULL: Linux has none of that number. */
const char *trace_linux_name(uint64_t number);

/* ` = 3`: what a call gave back; a word, or a small negative number. */
void trace_add_result(struct trace_line *line, int64_t result);

/* "stvec", or "csr 0x7c0". */
void trace_add_csr(struct trace_line *line, unsigned csr);

/* Where lines go. Several threads may write; a line is never torn. */
struct trace_sink;

/*
 * path: a file, which is replaced; "fd:N", a descriptor that our parent left open; NULL or "-":
 * standard error. 0, or -errno with *err set.
 */
int trace_open(struct trace_sink **sink, struct host *host, const char *path,
               struct error *err);
/* Takes the line, with a new line added. */
void trace_write(struct trace_sink *sink, const struct trace_line *line);
/* Writes what is left and closes. 0, or -errno with *err set when anything was lost. */
int trace_close(struct trace_sink *sink, struct error *err);

#endif
