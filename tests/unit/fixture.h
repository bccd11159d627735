/* fixture.h: a virtual machine without an engine, for tests of devices. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/unit/mock_host.h"
#include "vmm/vm.h"

#define FIXTURE_RAM         UINT64_C(0x80000000)
#define FIXTURE_RAM_SIZE    UINT64_C(0x100000)
#define FIXTURE_HARTS_MAX   8
#define FIXTURE_MODULES_MAX 12
#define FIXTURE_FDT_SIZE    8192

/*
 * Harts never run; the engine only notes the interrupt inputs that are driven. The host is a
 * mock. Everything else is real.
 */
struct fixture {
    struct vm vm;
    struct vm_config config;
    struct engine engine;
    struct mock_host mock;
    struct hart hart[FIXTURE_HARTS_MAX];
    bool irq[FIXTURE_HARTS_MAX][16];       /* level of each input */
    unsigned irq_calls[FIXTURE_HARTS_MAX]; /* how often one was driven */
    uint64_t mtimer[FIXTURE_HARTS_MAX];    /* mtimecmp as the engine was told it */
    struct module_instance inst[FIXTURE_MODULES_MAX];
    struct module_option option[FIXTURE_MODULES_MAX][2];
    struct error err;                          /* of the last call that failed */
    _Alignas(8) uint8_t fdt[FIXTURE_FDT_SIZE]; /* as libfdt wants it */
};

/* Makes the VM with FIXTURE_RAM. Aborts when the host has no memory. */
void fixture_init(struct fixture *f, enum start_kind start, unsigned nharts,
                  enum console_input input);
void fixture_destroy(struct fixture *f);

/*
 * Creates a module, with an option when key is not NULL. Its result; f->err says why it failed.
 * The instance is f->inst[f->vm.ninstances - 1].
 */
int fixture_add(struct fixture *f, const struct module *module, const char *key,
                const char *value);

/* An access by hart 0 that must be answered; one that must be refused. */
uint64_t fixture_read(struct fixture *f, gpa_t gpa, unsigned size);
void fixture_write(struct fixture *f, gpa_t gpa, unsigned size, uint64_t value);
bool fixture_refused(struct fixture *f, gpa_t gpa, unsigned size);

/* Types text at the console; all of it must be taken. */
void fixture_type(struct fixture *f, const char *text);

/* True when the output so far is `text`; forgets it. */
bool fixture_printed(struct fixture *f, const char *text);

/* The device tree of the modules alone, below /. NULL when one failed. Valid until the next
 * call. */
const void *fixture_fdt(struct fixture *f);

#endif
