/* machine.h: a virtual machine on interpreter or translator, run step by step. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_MACHINE_H
#define TESTS_UNIT_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/unit/assembler.h"
#include "tests/unit/mock_host.h"
#include "tests/unit/pte.h"
#include "vmm/engine/interp/interp.h"
#include "vmm/vm.h"

/* Where tests put what; code of more than 4 KiB may grow into what follows. */
#define MACHINE_RAM (32u << 20)
#define NOWHERE     0x50000000ull /* no memory and no device is there */
#define CODE        ((gpa_t)PLAT_DRAM_BASE)
#define HANDLER     (CODE + 0x10000) /* M-mode traps: mtvec */
#define S_HANDLER   (CODE + 0x11000) /* delegated ones: stvec */
#define DATA        (CODE + 0x20000)
#define TABLES      (CODE + 0x40000) /* page tables, up to TABLES_END */
#define TABLES_END  (CODE + 0x80000)

/* How machine_paging() maps them. V_CODE, V_USER and V_DATA have two pages each. */
#define V_CODE UINT64_C(0x40000000) /* CODE, for S-mode */
#define V_USER UINT64_C(0x40100000) /* CODE, for U-mode */
#define V_DATA UINT64_C(0x40200000) /* DATA, for S-mode */

/* A VM whose host is a mock. s is the state of hart 0, brought up to date by machine_run(). */
struct machine {
    struct vm vm;
    struct vm_config config;
    struct mock_host mock;
    struct error err;
    char path[32];
    char *argv[2];
    int fd;
    struct rv_hart *h;
    struct hart_state s;
    unsigned levels; /* of the page tables */
    gpa_t next_table;
};

/* Makes it: firmware starts in M-mode, a kernel in S-mode, a program in U-mode. Aborts when it
 * cannot. mtvec and stvec are set, pc is CODE, all memory is open to S and U (PMP entry 15). */
void machine_init(struct machine *m, enum start_kind start, unsigned nharts);
void machine_destroy(struct machine *m);

/* Which engine machines are made with from here on; all of the translator translate what they
 * can. */
enum machine_engine {
    MACHINE_INTERP,
    MACHINE_DBT,        /* the translator */
    MACHINE_DBT_SINGLE, /* with one instruction a block, so that all stops are exact */
    MACHINE_DBT_SMALL,  /* with a code cache of two small segments */
    MACHINE_DBT_PLAIN,  /* with steps of the interpreter for all that has no code */
};
void machine_use(enum machine_engine engine);
/* The interpreter again, when a suite ends: 0. */
int machine_back(void);
/* The translator of hart 0, or NULL. */
struct dbt *machine_dbt(const struct machine *m);

/* Writes words of code, with a fence.i; what was decoded there is forgotten. */
void machine_put(struct machine *m, gpa_t gpa, const uint32_t *words, size_t n);
#define PUT(m, gpa, ...)                                                                       \
    machine_put(m, gpa, (const uint32_t[]){__VA_ARGS__},                                       \
                sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* A doubleword of memory. */
uint64_t machine_peek(struct machine *m, gpa_t gpa);
void machine_poke(struct machine *m, gpa_t gpa, uint64_t value);

/* Makes m->s the state of hart 0, with nothing left in the TLB. */
void machine_set(struct machine *m);

/* Runs hart 0 for exactly `steps` steps more, unless the guest ends before; fills m->s. */
void machine_run(struct machine *m, uint64_t steps);

/* Sets priv and pc, puts m->s into the hart, runs. */
void machine_go(struct machine *m, unsigned priv, uint64_t pc, uint64_t steps);

/* True when the last step entered the M-mode handler with these. */
bool machine_trapped(const struct machine *m, uint64_t cause, uint64_t tval, uint64_t epc);

/*
 * Page tables of 3, 4 or 5 levels with the pages above, in m->s.satp. machine_pte: the entry of
 * va at `level` (0: 4 KiB), its tables made where they are missing.
 */
void machine_paging(struct machine *m, unsigned levels);
uint64_t *machine_pte(struct machine *m, uint64_t va, unsigned level);

/* The suite `interp`, which the translator passes too, and its parts with files of their own.
 */
struct CU_Suite;
void interp_tests(struct CU_Suite *suite); /* all of them */
void interp_memory_tests(struct CU_Suite *suite);
void interp_trap_tests(struct CU_Suite *suite);
void interp_space_tests(struct CU_Suite *suite);

#endif
