/* tg.h: calling Tollgate's services in a machine without an engine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_TG_H
#define TESTS_UNIT_TG_H

#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "tests/unit/fixture.h"

extern const struct module module_tg_base, module_tg_console, module_tg_clock,
    module_tg_entropy, module_sbi_base, module_doorbell;

/* A service on two harts, with an option when key is not NULL. Its result; 0: calls work. */
static inline int tg_start(struct fixture *f, const struct module *module, const char *key,
                           const char *value)
{
    int rc;

    fixture_init(f, START_KERNEL, 2, CONSOLE_SBI);
    if (module->create) {
        rc = fixture_add(f, module, key, value);
        if (rc != 0)
            return rc;
    } else {
        f->inst[f->vm.ninstances++] = (struct module_instance){.module = module, .vm = &f->vm};
    }
    return call_index_build(&f->vm, &f->err);
}

static inline void tg_end(struct fixture *f)
{
    call_index_destroy(&f->vm);
    fixture_destroy(f);
}

/* One call by a hart, through the wrapper. */
static inline struct call tg_call_by(struct fixture *f, unsigned hart, uint64_t ext,
                                     uint64_t fn, uint64_t a, uint64_t b, uint64_t c,
                                     uint64_t d)
{
    struct call call = {
        .personality = CALL_TG, .ext = ext, .fn = fn, .arg = {a, b, c, d}
    };

    call_dispatch(&f->hart[hart], &call);
    return call;
}

static inline struct call tg_call(struct fixture *f, uint64_t ext, uint64_t fn, uint64_t a,
                                  uint64_t b, uint64_t c, uint64_t d)
{
    return tg_call_by(f, 0, ext, fn, a, b, c, d);
}

#endif
