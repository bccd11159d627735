/* traps.c: exceptions taken in S-mode with paging off. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel/kernel.h"

#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

static uint64_t run_unimp(uint64_t a, uint64_t b)
{
    __asm__ volatile(".option push\n.option norvc\n.4byte 0xc0001073\n.option pop");
    return a + b;
}

static uint64_t run_zeros(uint64_t a, uint64_t b)
{
    __asm__ volatile(".2byte 0");
    return a + b;
}

static uint64_t run_ebreak(uint64_t a, uint64_t b)
{
    __asm__ volatile(".option push\n.option norvc\nebreak\n.option pop");
    return a + b;
}

static uint64_t run_c_ebreak(uint64_t a, uint64_t b)
{
    __asm__ volatile("c.ebreak");
    return a + b;
}

static uint64_t run_m_csr(uint64_t a, uint64_t b)
{
    uint64_t value;

    __asm__ volatile("csrr %0, mstatus" : "=r"(value));
    return value + a + b;
}

static uint64_t run_mret(uint64_t a, uint64_t b)
{
    __asm__ volatile("mret");
    return a + b;
}

/* QEMU 10.0 leaves an older instruction in stval here, so that stval is not judged. */
static void mret_test(void)
{
    struct guard g;
    bool back = guard_call(&g, run_mret, 0, 0);

    tap_ok(!back && g.cause == CAUSE_ILLEGAL && g.epc == (uintptr_t)run_mret,
           "illegal instruction: mret");
}

static uint64_t read_only_csr(uint64_t a, uint64_t b)
{
    __asm__ volatile("csrw time, zero");
    return a + b;
}

static uint64_t wide_at(uint64_t epc)
{
    const uint16_t *code = (const uint16_t *)epc;

    return (uint64_t)code[1] << 16 | code[0];
}

/* stval holds the instruction, or 0 where the machine does not say (privileged spec., stval).
 */
static void illegal_test(const char *what, guard_fn *fn, bool compressed)
{
    struct guard g;
    bool back = guard_call(&g, fn, 0, 0);
    uint64_t code = back ? 0 : wide_at(g.epc) & (compressed ? 0xffff : 0xffffffff);

    if (back || g.cause != CAUSE_ILLEGAL || (g.tval && g.tval != code))
        print("# returned %d, scause %lx, sepc %lx: %lx, stval %lx\n", back, g.cause, g.epc,
              code, g.tval);
    tap_ok(!back && g.cause == CAUSE_ILLEGAL && (g.tval == 0 || g.tval == code),
           "illegal instruction: %s", what);
}

static void ebreak_test(const char *what, guard_fn *fn, uint64_t code, uint64_t mask)
{
    struct guard g;
    bool back = guard_call(&g, fn, 0, 0);

    tap_ok(!back && g.cause == CAUSE_BREAKPOINT && (wide_at(g.epc) & mask) == code &&
               (g.tval == 0 || g.tval == g.epc),
           "breakpoint: %s, sepc on the instruction", what);
}

/* Nothing answers past the end of memory. */
static void access_test(const void *dtb)
{
    uint64_t base = 0, size = 0, end;
    struct guard g;

    tap_ok(fdt_memory(dtb, &base, &size) && size, "the device tree names memory");
    end = base + size;
    tap_ok(guard_load(&g, end - 8, 8) == 0, "the last word of memory is there");
    tap_ok(guard_load(&g, end, 8) == CAUSE_LOAD_ACCESS && g.tval == end,
           "load past memory: access fault, stval the address");
    tap_ok(guard_store(&g, end, 4, 1) == CAUSE_STORE_ACCESS && g.tval == end,
           "store past memory: access fault, stval the address");
    tap_ok(guard_jump(&g, end) == CAUSE_FETCH_ACCESS && g.epc == end && g.tval == end,
           "jump past memory: access fault, sepc and stval the address");
    tap_ok(guard_load(&g, 0, 4) == CAUSE_LOAD_ACCESS && g.tval == 0,
           "load from address 0: access fault");
}

/* A misaligned access either works as bytes do or traps as misaligned. */
static void misaligned_test(void)
{
    static uint64_t words[2];
    uint64_t at = (uintptr_t)words + 5, cause;
    struct guard g;

    cause = guard_store(&g, at, 4, 0x11223344);
    tap_ok(cause == CAUSE_STORE_MISALIGNED ||
               (cause == 0 && words[0] == 0x2233440000000000 && words[1] == 0x11),
           "misaligned store: the bytes, or a trap");
    cause = guard_load(&g, at, 4);
    tap_ok(cause == CAUSE_LOAD_MISALIGNED || (cause == 0 && g.value == 0x11223344),
           "misaligned load: the bytes, or a trap");
}

/* sstatus in a handler and after it (privileged specification, trap entry and sret). */
static uint64_t entry_sstatus;

static void entry_irq(struct trap_frame *frame)
{
    entry_sstatus = csr_read(sstatus);
    frame->x[10] = 77;
    csr_clear(sip, SIP_SSIP);
}

static uint64_t soft_interrupt(void)
{
    register uint64_t a0 __asm__("a0") = 0;

    __asm__ volatile("csrsi sstatus, 2\n\tcsrsi sip, 2\n\tnop\n\tnop\n\tcsrci sstatus, 2"
                     : "+r"(a0)
                     :
                     : "memory");
    return a0;
}

static void entry_test(void)
{
    uint64_t seen;

    trap_set_irq(entry_irq);
    csr_write(sie, SIP_SSIP);
    seen = soft_interrupt();
    csr_write(sie, 0);
    tap_ok(seen == 77,
           "an interrupt set in sip is taken, and its handler may change registers");
    tap_ok((entry_sstatus & (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)) ==
               (SSTATUS_SPIE | SSTATUS_SPP),
           "a handler runs with SIE clear, SPIE and SPP set");
    tap_ok(!(csr_read(sip) & SIP_SSIP), "SSIP was cleared");
}

void traps_test(const void *dtb)
{
    illegal_test("unimp", run_unimp, false);
    illegal_test("sixteen zero bits", run_zeros, true);
    illegal_test("an M-mode register", run_m_csr, false);
    mret_test();
    illegal_test("writing a read-only register", read_only_csr, false);
    ebreak_test("ebreak", run_ebreak, 0x00100073, 0xffffffff);
    ebreak_test("c.ebreak", run_c_ebreak, 0x9002, 0xffff);
    access_test(dtb);
    misaligned_test();
    entry_test();
}
