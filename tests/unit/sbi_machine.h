/* sbi_machine.h: a machine for tests of SBI modules: a fake engine and host, and harts that
 * never run. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_SBI_MACHINE_H
#define TESTS_UNIT_SBI_MACHINE_H

#include "guest/abi/sbi.h"
#include "hypercalls/sbi.h"
#include "vmm/call.h"
#include "vmm/host.h"
#include "vmm/module.h"
#include "vmm/snapshot.h"
#include "vmm/vm.h"

#define HARTS       3
#define RAM         UINT64_C(0x80000000)
#define RAM_SIZE    UINT64_C(0x40000)
#define ALL         UINT64_MAX
#define OUT_FD      77 /* of the fake host; nothing real is written to */
#define MODULES_MAX 16

/* The fake engine's counters that there are. */
#define CYCLE   0
#define INSTRET 2

/* The first two harts have started, the third is stopped. */
struct sbi_machine {
    struct vm vm;
    struct vm_config config;
    struct host host;
    struct engine engine;
    struct hart hart[HARTS];
    struct module_instance instance[MODULES_MAX];
    struct call c;
    unsigned self; /* the hart that calls */

    /* What the engine and the host were asked for. */
    unsigned raised[HARTS], lowered[HARTS];
    unsigned last_irq;
    uint64_t timer[HARTS];
    unsigned ntimers;
    unsigned waits;
    struct hart_fence fence[HARTS]; /* the last one executed */
    unsigned nfences[HARTS];
    uint8_t out[2 * CALL_BUF_MAX];
    size_t out_len;
    unsigned nrandom;

    /* The fake engine's answer to read_virt. */
    uint64_t virt_va, virt_word;
    int virt_result;

    /* The fake engine's counters, and its features as a mask. */
    uint64_t counter[3];
    bool counts[3];
    unsigned features;
    uint64_t feature[HARTS][SBI_FWFT_FEATURES];
    int feature_error;

    /* The fake host's count of a thread's waiting, in ns. */
    _Atomic uint64_t delay;
    int delay_error;
    unsigned nopened, nclosed;
};
extern struct sbi_machine sm;

/* A machine without modules. now: the host's clock. */
void sbi_machine_begin(uint64_t (*now)(struct host *host));

/* Adds a module; then sbi_machine_start makes the calls of all. */
void sbi_machine_add(const struct module *module, const struct module_option *options,
                     unsigned noptions);
void sbi_machine_start(void);

/* Also of one that was not started. */
void sbi_machine_end(void);

/* A call of hart sm.self; its results are in sm.c. */
#define CALL(eid, fid, ...) sbi_machine_call(eid, fid, (const uint64_t[CALL_ARGS]){__VA_ARGS__})
void sbi_machine_call(uint64_t ext, uint64_t fn, const uint64_t arg[CALL_ARGS]);

/* The call went on with these results. */
void sbi_machine_expect(int64_t error, uint64_t value);

/* A call, and its error; its value is 0. */
#define EXPECT_CALL(wanted, ...)                                                               \
    do {                                                                                       \
        CALL(__VA_ARGS__);                                                                     \
        sbi_machine_expect(wanted, 0);                                                         \
    } while (0)

/* A word of the guest's memory. */
uint64_t sbi_machine_word(gpa_t gpa);
void sbi_machine_set_word(gpa_t gpa, uint64_t value);

/* Saves a module's state, and loads what was saved last; 0 or the reader's error. */
struct sbi_machine_saved {
    struct state_writer w;
    uint8_t bytes[4096];
    size_t len;
};
extern struct sbi_machine_saved sbi_saved;
void sbi_machine_save(const char *module);
int sbi_machine_load(const char *module);

#endif
