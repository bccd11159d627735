/* probe.h: SBI calls, right and wrong, and what every correct SBI answers. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_PROBE_PROBE_H
#define GUEST_PROBE_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include "guest/lib/sbi.h"

/* Errors that a call may return, as a set. */
#define MAY(error) (1u << -(error))
#define OK         MAY(SBI_SUCCESS)
#define BAD_PARAM  MAY(SBI_ERR_INVALID_PARAM)
#define ABSENT     MAY(SBI_ERR_NOT_SUPPORTED)
#define FAILED     MAY(SBI_ERR_FAILED)
#define BAD_ADDR   MAY(SBI_ERR_INVALID_ADDRESS)
#define AVAILABLE  MAY(SBI_ERR_ALREADY_AVAILABLE)
#define DENIED     MAY(SBI_ERR_DENIED)
#define STARTED    MAY(SBI_ERR_ALREADY_STARTED)
#define STOPPED    MAY(SBI_ERR_ALREADY_STOPPED)
#define NO_SHMEM   MAY(SBI_ERR_NO_SHMEM)
#define LOCKED     MAY(SBI_ERR_DENIED_LOCKED)

/* Legacy: a byte in place of the error. */
#define A_BYTE (1u << 31)

struct regs {
    uint64_t before[32], after[32];
    uint64_t sp; /* at 512, for regs.S */
};

void regs_ecall(struct regs *regs);

/* A call to make. Arguments that are not named are garbage for the callee to ignore. */
struct attempt {
    const char *name;
    uint32_t may;
    uint64_t ext, fn;
    uint64_t arg[6];
};

/*
 * Makes the call with all registers checked, and reports two facts in one line: the error is
 * one that it may return, and a2-a7 and all others (a1 too for legacy calls) are preserved.
 */
struct sbi_ret attempt_make(const struct attempt *a);
bool error_in_set(int64_t error, uint32_t set);
void attempts_make(const struct attempt *list, unsigned n);

/*
 * The same for a call with which OpenSBI hangs, crashes or does something else than the
 * specification says: skipped there.
 */
struct sbi_ret attempt_risky(const struct attempt *a);

/* True when the extension is there; otherwise reports that its function 0 is absent. */
bool extension_begin(const char *name, uint64_t ext);

/*
 * What not every correct SBI has, an extension or a function of one. optional_begin reports
 * that an extension is there or says that it is not. Each fact that follows is skipped where it
 * is absent, so that the lines stay the same; optional_end ends that.
 */
bool optional_begin(const char *name, uint64_t ext);
bool optional_function(bool there);
void optional_end(void);
bool fact(bool holds, const char *name);
struct sbi_ret fact_call(const struct attempt *a);
void fact_calls(const struct attempt *list, unsigned n);
/* As attempt_risky. */
struct sbi_ret fact_risky(const struct attempt *a);
bool fact_strict(bool holds, const char *name);

/* Waits for a bit of sip, with interrupts off; false when it does not come within 10 s. */
bool pending_wait(uint64_t bit);

/* The device whose registers no SBI takes for memory; the first address past memory. */
extern uint64_t device_addr, memory_end;

void probe_base(void);
void probe_time(void);
void probe_ipi(void);
void probe_rfence(void);
void probe_hsm(void);
void probe_hsm_second(void);
void probe_dbcn(void);
void probe_legacy(void);
void probe_unknown(void);
void probe_srst(void);
void probe_pmu(void);
void probe_susp(void);
void probe_fwft(void);
void probe_sta(void);
void probe_tg_base(void);
void probe_tg_console(void);
void probe_tg_clock(void);
void probe_tg_entropy(void);

/* What suspend.S keeps, and what the hart found when it came back. */
struct resumed {
    uint64_t kept[16];
    uint64_t id, satp, sstatus;
};

#define SUSPEND_CAME_BACK 77

/* A suspend by HSM, or by SUSP, that loses all registers. SUSPEND_CAME_BACK, or the error. */
int64_t suspend_lose(uint64_t type, struct resumed *at);
int64_t suspend_system(uint64_t type, struct resumed *at);

#endif
