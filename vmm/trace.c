/* trace.c: a trace's lines: where they go and how their parts are written. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "vmm/host.h"

/* --- parts of lines --- */

void trace_add(struct trace_line *line, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (line->cut)
        return;
    va_start(ap, fmt);
    n = vsnprintf(line->text + line->len, TRACE_LINE_MAX - line->len, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= TRACE_LINE_MAX - line->len) {
        line->cut = true;
        line->len = TRACE_LINE_MAX - 1;
        memcpy(line->text + line->len, "...", 4);
        line->len += 3;
        return;
    }
    line->len += (size_t)n;
}

static void add_byte(struct trace_line *line, uint8_t byte)
{
    switch (byte) {
    case '\n': trace_add(line, "\\n"); break;
    case '\r': trace_add(line, "\\r"); break;
    case '\t': trace_add(line, "\\t"); break;
    case '"':
    case '\\': trace_add(line, "\\%c", byte); break;
    default:
        if (byte >= 0x20 && byte < 0x7f)
            trace_add(line, "%c", byte);
        else
            trace_add(line, "\\x%02x", byte);
    }
}

void trace_add_string(struct trace_line *line, const uint8_t *data, size_t len, size_t shown)
{
    trace_add(line, "\"");
    for (size_t i = 0; i < len && i < shown; i++)
        add_byte(line, data[i]);
    trace_add(line, len > shown ? "\"..." : "\"");
}

/* Small numbers are told in decimal, addresses and masks in hexadecimal. */
static void add_word(struct trace_line *line, uint64_t value)
{
    if (value < 4096)
        trace_add(line, "%" PRIu64, value);
    else
        trace_add(line, "0x%" PRIx64, value);
}

/* SBI 3.0, table "Standard SBI Errors". */
static const char *sbi_error_name(int64_t error)
{
    static const char *const names[] = {
        "SUCCESS",
        "FAILED",
        "NOT_SUPPORTED",
        "INVALID_PARAM",
        "DENIED",
        "INVALID_ADDRESS",
        "ALREADY_AVAILABLE",
        "ALREADY_STARTED",
        "ALREADY_STOPPED",
        "NO_SHMEM",
        "INVALID_STATE",
        "BAD_RANGE",
        "TIMEOUT",
        "IO",
        "DENIED_LOCKED",
    };

    if (error > 0 || error <= -(int64_t)(sizeof(names) / sizeof(names[0])))
        return NULL;
    return names[-error];
}

void trace_add_result(struct trace_line *line, int64_t result)
{
    if (result < 0 && result > -4096)
        trace_add(line, " = %" PRId64, result);
    else {
        trace_add(line, " = ");
        add_word(line, (uint64_t)result);
    }
}

static void add_arguments(struct trace_line *line, const struct call_desc *desc,
                          const struct call *given, const struct trace_buffer *seen)
{
    unsigned n = CALL_ARGS;

    while (n > 0 && given->arg[n - 1] == 0)
        n--;
    for (unsigned i = 0; i < n; i++) {
        trace_add(line, "%s", i > 0 ? ", " : "");
        if (desc && desc->buf_kind != CALL_BUF_NONE && i == desc->buf_len_arg + 1u &&
            seen->len > 0)
            trace_add_string(line, seen->data, seen->len, TRACE_SHOWN);
        else
            add_word(line, given->arg[i]);
    }
}

static void add_answer(struct trace_line *line, const struct call *answer)
{
    const char *name = sbi_error_name(answer->error);

    if (answer->disp == CALL_TRAP)
        trace_add(line, " = trap %" PRIu64, answer->value);
    else if (answer->disp != CALL_RET1 && answer->disp != CALL_RET2)
        trace_add(line, " = ?");
    else if (answer->personality == CALL_PROGRAM || answer->disp == CALL_RET1)
        trace_add_result(line, answer->error);
    else if (answer->error == 0) {
        trace_add(line, " = ");
        add_word(line, answer->value);
    } else if (name)
        trace_add(line, " = %s", name);
    else
        trace_add(line, " = error %" PRId64, answer->error);
}

void trace_add_call(struct trace_line *line, const struct call_desc *desc,
                    const struct call *given, const struct call *answer,
                    const struct trace_buffer *seen)
{
    if (desc)
        trace_add(line, "%s", desc->name);
    else
        trace_add(line, "call 0x%" PRIx64, given->ext);
    if (!desc || desc->fn == CALL_ANY_FN)
        trace_add(line, "[%" PRIu64 "]", given->fn);
    trace_add(line, "(");
    add_arguments(line, desc, given, seen);
    trace_add(line, ")");
    add_answer(line, answer);
}

/* --- Linux's calls and CSRs --- */

struct linux_call {
    const char *name;
    unsigned args;
};

#define LINUX_CALLS 512u
static const struct linux_call linux_calls[LINUX_CALLS] = {
#define LINUX_CALL(number, name, args) [number] = {#name, args},
#include "vmm/linux_calls.def"
#undef LINUX_CALL
};

const char *trace_linux_name(uint64_t number)
{
    return number < LINUX_CALLS ? linux_calls[number].name : NULL;
}

void trace_add_linux_call(struct trace_line *line, uint64_t number, const uint64_t *args)
{
    const char *name = trace_linux_name(number);
    unsigned n = name ? linux_calls[number].args : CALL_ARGS;

    if (name)
        trace_add(line, "%s(", name);
    else
        trace_add(line, "call %" PRIu64 "(", number);
    for (unsigned i = 0; i < n; i++) {
        trace_add(line, "%s", i > 0 ? ", " : "");
        add_word(line, args[i]);
    }
    trace_add(line, ")");
}

void trace_add_csr(struct trace_line *line, unsigned csr)
{
    static const struct {
        unsigned number;
        const char *name;
    } names[] = {
        {0x001, "fflags"       },
        {0x002, "frm"          },
        {0x003, "fcsr"         },
        {0x100, "sstatus"      },
        {0x104, "sie"          },
        {0x105, "stvec"        },
        {0x106, "scounteren"   },
        {0x10a, "senvcfg"      },
        {0x140, "sscratch"     },
        {0x141, "sepc"         },
        {0x142, "scause"       },
        {0x143, "stval"        },
        {0x144, "sip"          },
        {0x14d, "stimecmp"     },
        {0x180, "satp"         },
        {0xda0, "scountovf"    },
        {0x300, "mstatus"      },
        {0x301, "misa"         },
        {0x302, "medeleg"      },
        {0x303, "mideleg"      },
        {0x304, "mie"          },
        {0x305, "mtvec"        },
        {0x306, "mcounteren"   },
        {0x30a, "menvcfg"      },
        {0x320, "mcountinhibit"},
        {0x340, "mscratch"     },
        {0x341, "mepc"         },
        {0x342, "mcause"       },
        {0x343, "mtval"        },
        {0x344, "mip"          },
        {0xb00, "mcycle"       },
        {0xb02, "minstret"     },
        {0xc00, "cycle"        },
        {0xc01, "time"         },
        {0xc02, "instret"      },
        {0xf11, "mvendorid"    },
        {0xf12, "marchid"      },
        {0xf13, "mimpid"       },
        {0xf14, "mhartid"      },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].number == csr) {
            trace_add(line, "%s", names[i].name);
            return;
        }
    }
    trace_add(line, "csr 0x%x", csr);
}

/* --- the sink --- */

#define SINK_SIZE 65536u

struct trace_sink {
    struct host *host;
    int fd;
    bool owned;           /* the file is ours to close */
    bool at_once;         /* somebody watches: no line is kept back */
    int error;            /* the first failure; what came after it is lost */
    pthread_mutex_t lock; /* the last in every order */
    size_t len;
    char text[SINK_SIZE];
};

/* The descriptor of "fd:N"; -1: that is no descriptor. */
static int descriptor_parse(const char *text)
{
    char *end;
    long n;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    n = strtol(text, &end, 10);
    return *end != '\0' || n > 1 << 20 || fcntl((int)n, F_GETFD) < 0 ? -1 : (int)n;
}

static int sink_open(struct trace_sink *s, const char *path, struct error *err)
{
    s->fd = STDERR_FILENO;
    s->at_once = true;
    if (!path || strcmp(path, "-") == 0)
        return 0;
    if (strncmp(path, "fd:", 3) == 0) {
        s->fd = descriptor_parse(path + 3);
        return s->fd >= 0 ? 0
                          : error_set(err, STATUS_CANT_CREATE,
                                      "--trace-file: '%.80s' is no open descriptor; give a "
                                      "file's name, or fd:N for one that the shell opened",
                                      path);
    }
    s->at_once = false;
    s->owned = true;
    s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return s->fd >= 0
               ? 0
               : error_set(err, STATUS_CANT_CREATE, "--trace-file: cannot write '%.200s': %s",
                           path, strerror(errno));
}

int trace_open(struct trace_sink **sink, struct host *host, const char *path, struct error *err)
{
    struct trace_sink *s = calloc(1, sizeof(*s));
    int rc;

    if (!s) {
        error_set(err, STATUS_OS, "--trace: no memory for its buffer");
        return -ENOMEM;
    }
    s->host = host;
    rc = sink_open(s, path, err);
    if (rc != 0) {
        free(s);
        return rc;
    }
    pthread_mutex_init(&s->lock, NULL);
    *sink = s;
    return 0;
}

/* Under the lock. */
static void sink_flush(struct trace_sink *s)
{
    size_t done = 0;

    while (done < s->len && s->error == 0) {
        ssize_t n = s->host->write(s->host, s->fd, s->text + done, s->len - done);

        if (n > 0)
            done += (size_t)n;
        else if (n == -EAGAIN)
            host_yield(); /* a pipe that somebody else made non-blocking is full */
        else if (n != -EINTR)
            s->error = n == 0 ? -EIO : (int)n;
    }
    s->len = 0;
}

void trace_write(struct trace_sink *sink, const struct trace_line *line)
{
    pthread_mutex_lock(&sink->lock);
    if (sink->len + line->len + 1 > SINK_SIZE)
        sink_flush(sink);
    memcpy(sink->text + sink->len, line->text, line->len);
    sink->text[sink->len + line->len] = '\n';
    sink->len += line->len + 1;
    if (sink->at_once)
        sink_flush(sink);
    pthread_mutex_unlock(&sink->lock);
}

int trace_close(struct trace_sink *sink, struct error *err)
{
    int error;

    sink_flush(sink);
    error = sink->error;
    if (sink->owned && close(sink->fd) != 0 && error == 0)
        error = -errno;
    pthread_mutex_destroy(&sink->lock);
    free(sink);
    if (error != 0)
        error_set(err, STATUS_CANT_CREATE, "--trace: the trace is not complete: %s",
                  strerror(-error));
    return error;
}
