/* call.h: descriptors of calls, the index that finds them, and the wrapper they pass. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CALL_H
#define VMM_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/mem.h"

struct hart;
struct vm;
struct module_instance;

/* Whose numbering a call belongs to. The same number in two personalities is two calls. */
enum personality {
    CALL_SBI,     /* a7 = EID, a6 = FID; legacy extensions 0-8 included */
    CALL_PROGRAM, /* a7 = number, Linux convention */
    CALL_TG,      /* Tollgate's services, in the SBI experimental range */
    PERSONALITIES,
};

/* What becomes of the calling hart. The handler returns one; the engine commits it. */
enum call_disp {
    CALL_RET2,     /* a0 = error, a1 = value */
    CALL_RET1,     /* a0 = error only, a1 is preserved (legacy SBI, programs) */
    CALL_TRAP,     /* an exception into the guest: cause in value, its tval in error */
    CALL_REPLACED, /* the handler replaced the hart's state: commit nothing */
    CALL_PARK,     /* no effect yet: pc stays on the ecall, it is tried again */
    CALL_STOPPED,  /* the hart or the VM stops: commit nothing, do not come back */
    CALL_PASS,     /* not mine: the next handler in the chain is asked */
};

/* Effects of a call (call_desc.effects). */
#define CALL_WRITES_MEM  0x01 /* guest memory */
#define CALL_HART_STATE  0x02 /* state of this or other harts */
#define CALL_READS_HOST  0x04
#define CALL_WRITES_HOST 0x08
#define CALL_BLOCKS      0x10
#define CALL_STOPS       0x20

#define CALL_ARGS    6
#define CALL_ANY_FN  UINT64_MAX /* the descriptor answers every function of its extension */
#define CALL_BUF_MAX 65536u     /* bytes copied a crossing; a longer request is cut to this */

/* One call in flight. */
struct call {
    enum personality personality; /* exit.c classifies before call_dispatch() */
    uint64_t ext;                 /* EID, or 0 for programs */
    uint64_t fn;                  /* FID, or the number for programs */
    uint64_t arg[CALL_ARGS];
    /* The buffer named by the descriptor: copied in before the handler, out after it. */
    uint8_t *buf;
    size_t buf_len;
    /* The reply. error is the ABI's a0 (SBI error, legacy value, program result). */
    int64_t error;
    uint64_t value;
    enum call_disp disp;
};

/*
 * Answers a call. Runs on the calling hart's thread; several harts may be in it at once. Sets
 * c->error and c->value (both 0 on entry), returns the disposition. Never touches guest
 * registers.
 */
typedef enum call_disp call_handler(void *self, struct hart *hart, struct call *c);

enum call_buf_kind { CALL_BUF_NONE, CALL_BUF_IN, CALL_BUF_OUT };

/*
 * What an argument or a result means, for whoever prints, checks or invents one. The names are
 * those of the table (hypercalls/abi.tbl), without KIND_ and in small letters.
 */
enum call_kind {
    KIND_NONE,     /* a call without a result */
    KIND_WORD,     /* any number */
    KIND_INT,      /* the same, with a sign */
    KIND_FLAGS,    /* bits */
    KIND_HART,     /* a hart's number */
    KIND_HARTMASK, /* harts: bit 0 is the hart of the argument behind it */
    KIND_LENGTH,   /* of the buffer behind it, in bytes */
    KIND_IN,       /* low half of a buffer's guest-physical address; the wrapper copies it in */
    KIND_OUT,      /* the same; the wrapper copies the result's count of bytes out */
    KIND_HIGH,     /* high half of the address before it */
    KIND_STRING,   /* low half of the address of a NUL-terminated string */
    KIND_MEMORY,   /* low half of the address of memory that the handler looks after itself */
    KIND_ADDRESS,  /* a guest-physical address, in one word */
    KIND_VIRTUAL,  /* a guest-virtual address */
    KIND_FD,       /* a file that the service has opened */
    KIND_LEVEL,    /* how important a message is */
    KIND_TIME,     /* nanoseconds, or ticks of the time CSR */
    KIND_MODE,     /* permissions of a file, octal */
    KIND_ID,       /* a thing that an earlier call has named */
    CALL_KINDS,
};

struct call_arg {
    const char *name;
    enum call_kind kind;
};

/* Bits of call_desc.errors. */
#define CALL_CONTRACT    0x1u            /* the row lists its errors: any other is a bug */
#define CALL_ERROR(code) (1u << -(code)) /* an SBI error of the list */

/* A row of the table of calls. */
struct call_desc {
    const char *name; /* "sbi.dbcn.write" */
    enum personality personality;
    uint64_t ext;
    uint64_t fn; /* or CALL_ANY_FN */
    call_handler *handler;
    uint16_t effects;
    bool legacy; /* an error made by the wrapper is committed as RET1 */
    /*
     * A buffer: length in arg[buf_len], guest-physical address in arg[buf_len + 1] (low) and
     * arg[buf_len + 2] (high), as DBCN has it. For CALL_BUF_OUT the wrapper copies out
     * c->value bytes when the handler reports success. An address outside RAM is answered
     * SBI_ERR_INVALID_PARAM before the handler sees it.
     */
    enum call_buf_kind buf_kind;
    uint8_t buf_len_arg;

    /*
     * The rest of the contract. The build fills it in from the table; a descriptor written by
     * hand may leave it out, and is then neither checked nor charged.
     */
    uint8_t nargs;
    uint32_t errors; /* CALL_CONTRACT and the errors that the handler may answer; 0: unknown */
    uint32_t cycles; /* charged in deterministic runs, and for each KiB of the buffer begun */
    uint32_t cycles_per_kib;
    const struct call_arg *args; /* nargs of them: a0, a1, ... */
    struct call_arg result;      /* KIND_NONE: the value says nothing */
    const char *since;           /* version of the table that has had the call first: "1.0" */
    const char *contract;        /* a paragraph for people */
};

/* Where a call leads, by (personality, extension, function). Built once, before harts run. */
struct call_index;

/*
 * Builds vm->calls from the modules in order. The chain of a call holds its handlers in module
 * order. -EEXIST with *why filled when a handler could never be reached (two descriptors of one
 * module claim the same call).
 */
struct error;
int call_index_build(struct vm *vm, struct error *err);
void call_index_destroy(struct vm *vm);

/* The descriptor that answers a call first, or NULL: nobody's. */
const struct call_desc *call_find(const struct vm *vm, enum personality personality,
                                  uint64_t ext, uint64_t fn);

/*
 * The effects of all handlers that a call can reach (CALL_*); CALL_STOPS for the core's own
 * exit; 0 too when nobody answers.
 */
unsigned call_effects(const struct vm *vm, enum personality personality, uint64_t ext,
                      uint64_t fn);

/* True when some module answers the extension. */
bool call_ext_present(const struct vm *vm, enum personality personality, uint64_t ext);

/*
 * True when some module, or the core, answers the function. A call that policy refuses is there
 * all the same: the refusal says more than its absence would.
 */
bool call_present(const struct vm *vm, enum personality personality, uint64_t ext, uint64_t fn);

/*
 * The wrapper: look up, policy, copy in, handler, the error against the contract, copy out,
 * cycles (deterministic runs). Fills c->error, value and disp. An error that the call's row
 * does not list is a bug of its module: the guest gets FAILED, vm->breaches counts it, and a
 * build with CALL_STRICT (SAN=1, DEBUG=1) ends the machine.
 */
void call_dispatch(struct hart *hart, struct call *c);

/*
 * Fills *c with an error of the wrapper's own: the SBI's, or the same meaning in a program's
 * numbers. legacy: a1 stays.
 */
void call_fail(struct call *c, bool legacy, int sbi_error, int program_error);

/*
 * The handler of a plain call, for generated code that calls it without the gate. Plain: no
 * buffer, no effect on harts or the VM (CALL_HART_STATE, CALL_BLOCKS, CALL_STOPS), allowed
 * outright by policy (no check), and nobody watches it or counts its cycles.
 *
 * The epoch rule. Whoever changes what a call leads to (modules, policy, trace, record) makes
 * the change and then calls call_epoch_bump(). A way may be used while vm->call_epoch, loaded
 * with acquire order before each call, equals way->epoch; otherwise the call takes the gate,
 * and call_fast() is asked again. A hart that loaded the epoch just before a bump makes that
 * one call the old way; who must rule that out, quiesces the harts first.
 *
 * Who uses a way does what the gate would: counts hart->exits[EXIT_CALL], fills ext, fn, arg
 * and personality, sets error, value, buf and buf_len to 0. A handler that answers CALL_PASS
 * had no effect: the call then takes the gate, uncounted so far. An error that is not 0 passes
 * call_error_check(). Another disposition than
 * CALL_RET1 and CALL_RET2 is committed as if the gate had answered it.
 */
struct call_way {
    call_handler *handler;
    void *self;
    const struct call_desc *desc;
    uint64_t epoch;
};

/*
 * Fills *way and returns true when (personality, ext, fn) is a plain call; false when it must
 * take the gate, as all do with vm->config->slow_calls. way->epoch is filled either way, so
 * that a refusal can be kept as long. Any thread.
 */
bool call_fast(struct vm *vm, enum personality personality, uint64_t ext, uint64_t fn,
               struct call_way *way);

/* Holds a handler's answer against its row, as call_dispatch says. */
void call_error_check(struct hart *hart, const struct call_desc *desc, struct call *c);

/* Ends the use of every way that call_fast() has given. Any thread. */
void call_epoch_bump(struct vm *vm);

#endif
