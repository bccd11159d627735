/* test_kvm_x86.c: exits of an x86-64 vCPU, as the kernel would leave them, without a kernel. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/suites.h"

#ifdef __x86_64__

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/abi/x86.h"
#include "tests/unit/fixture.h"
#include "vmm/engine/kvm/x86_64.h"

#define RUN_SIZE 12288u /* of Linux 6.12 */
#define IO_DATA  4096u
#define PC       0x200010u

extern const struct module module_tg_base, module_uart16550a, module_doorbell;

static struct fixture f;
static struct kvm_vm kv = {.kvm_fd = -1, .vm_fd = -1};
static struct kvm_hart k;

/* The machine, and a vCPU without a descriptor: what asks the kernel is refused. */
static void vcpu_make(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    f.config.arch = &arch_x86_64;
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_uart16550a, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_doorbell, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_tg_base, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    k = (struct kvm_hart){.hart = &f.hart[0], .vm = &kv, .fd = -1};
    k.run = calloc(1, RUN_SIZE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(k.run);
    f.hart[0].engine_state = &k;
    kvm_regs(&k)->rip = PC;
    kvm_regs(&k)->rdx = TG_X86_PORT_CALL;
}

static void vcpu_end(void)
{
    f.hart[0].engine_state = NULL;
    free(k.run);
    fixture_destroy(&f);
}

static uint8_t *io_set(uint8_t direction, uint16_t port, uint8_t size, uint32_t count)
{
    k.run->exit_reason = KVM_EXIT_IO;
    k.run->io.direction = direction;
    k.run->io.port = port;
    k.run->io.size = size;
    k.run->io.count = count;
    k.run->io.data_offset = IO_DATA;
    return (uint8_t *)k.run + IO_DATA;
}

static void test_call(void)
{
    struct kvm_regs *regs;

    vcpu_make();
    regs = kvm_regs(&k);
    io_set(KVM_EXIT_IO_OUT, TG_X86_PORT_CALL, 4, 1);
    regs->rax = UINT64_C(0xffffffff00000000) | TG_EXT_BASE; /* 32 bits are written */
    regs->r11 = TG_BASE_VERSION;
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    CU_ASSERT_EQUAL(regs->rax, 0);
    CU_ASSERT_EQUAL(regs->rdx, TG_ABI_VERSION);
    CU_ASSERT_EQUAL(regs->rip, PC);
    CU_ASSERT_EQUAL(k.run->kvm_dirty_regs, KVM_SYNC_X86_REGS);
    CU_ASSERT_EQUAL(f.hart[0].exits[EXIT_CALL], 1);
    regs->rax = 0x12345678; /* nobody's, of the SBI's numbers */
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    CU_ASSERT_EQUAL((int64_t)regs->rax, SBI_ERR_NOT_SUPPORTED);
    /* The core's own: the machine ends, and the hart is where it would make the call again. */
    regs->rax = TG_EXT_EXIT;
    regs->r11 = TG_EXIT_STOP;
    regs->rdi = 42;
    regs->rdx = TG_X86_PORT_CALL;
    regs->rip = PC + 1; /* the kernel moves it when it comes back: it has done so */
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_LEAVE);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(f.vm.stop.status, 42);
    CU_ASSERT_EQUAL(regs->rax, TG_EXT_EXIT);
    CU_ASSERT_EQUAL(regs->rdx, TG_X86_PORT_CALL);
    CU_ASSERT_EQUAL(regs->rip, PC);
    CU_ASSERT_EQUAL(k.pending, PENDING_NONE);
    vcpu_end();
}

/* --- calls without the gate --- */

#define EXT 0x7700u

static enum call_disp answer; /* of the handler below */
static int64_t answer_error;
static unsigned handled;

static enum call_disp test_handler(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    CU_ASSERT_EQUAL(c->personality, CALL_SBI);
    CU_ASSERT_EQUAL(c->ext, EXT);
    CU_ASSERT_EQUAL(c->error, 0);
    CU_ASSERT_EQUAL(c->value, 0);
    CU_ASSERT_PTR_NULL(c->buf);
    handled++;
    c->value = c->arg[0] + 10 * c->arg[1] + 100 * c->arg[2] + 1000 * c->arg[3] +
               10000 * c->arg[4] + 100000 * c->arg[5];
    c->error = answer_error;
    return answer;
}

static const struct call_desc test_calls[] = {
    {.name = "test.call",
     .personality = CALL_SBI,
     .ext = EXT,
     .handler = test_handler,
     .errors = CALL_CONTRACT | CALL_ERROR(SBI_ERR_DENIED)},
};
static const struct module test_module = {.name = "test", .calls = test_calls, .ncalls = 1};

static void test_call_make(void)
{
    vcpu_make();
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &test_module, NULL, NULL), 0);
    call_index_destroy(&f.vm);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    answer = CALL_RET2;
    answer_error = 0;
    handled = 0;
}

static enum gate test_call_ring(void)
{
    struct kvm_regs *regs = kvm_regs(&k);

    io_set(KVM_EXIT_IO_OUT, TG_X86_PORT_CALL, 4, 1);
    k.run->kvm_dirty_regs = 0;
    regs->rax = EXT;
    regs->r11 = 0;
    regs->rdi = 1;
    regs->rsi = 2;
    regs->rcx = 3;
    regs->r8 = 4;
    regs->r9 = 5;
    regs->r10 = 6;
    regs->rdx = 7;
    return kvm_exit_deliver(&k, 0);
}

/* Whatever the handler answers, a plain call ends as it does by the gate. */
static void test_call_plain(void)
{
    static const struct {
        enum call_disp answer;
        int64_t error;
        enum gate gate;
        int64_t rax;
        uint64_t rdx;
    } rows[] = {
        {CALL_RET2,    0,              GATE_CONTINUE, 0,                     654321},
        {CALL_RET1,    0,              GATE_CONTINUE, 0,                     7     },
        {CALL_RET2,    SBI_ERR_DENIED, GATE_CONTINUE, SBI_ERR_DENIED,        654321},
        {CALL_PASS,    0,              GATE_CONTINUE, SBI_ERR_NOT_SUPPORTED, 0     },
        {CALL_TRAP,    0,              GATE_CONTINUE, SBI_ERR_FAILED,        0     },
        {CALL_PARK,    0,              GATE_PARK,     EXT,                   7     },
        {CALL_STOPPED, 0,              GATE_LEAVE,    EXT,                   7     },
    };

    for (unsigned slow = 0; slow < 2; slow++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            test_call_make();
            f.config.slow_calls = slow;
            answer = rows[i].answer;
            answer_error = rows[i].error;
            CU_ASSERT_EQUAL(test_call_ring(), rows[i].gate);
            CU_ASSERT_EQUAL(k.call[EXT % KVM_CALLS].plain, !slow);
            CU_ASSERT_EQUAL((int64_t)kvm_regs(&k)->rax, rows[i].rax);
            CU_ASSERT_EQUAL(kvm_regs(&k)->rdx, rows[i].rdx);
            CU_ASSERT_EQUAL(f.hart[0].exits[EXIT_CALL], 1);
            CU_ASSERT_EQUAL(f.vm.breaches, 0);
            vcpu_end();
        }
}

/* Where a call leads is asked again when that may have changed, and calls do not mix. */
static void test_call_epoch(void)
{
    struct kvm_call *known = &k.call[EXT % KVM_CALLS];

    test_call_make();
    CU_ASSERT_EQUAL(test_call_ring(), GATE_CONTINUE);
    CU_ASSERT_TRUE(known->plain);
    f.config.slow_calls = true;
    CU_ASSERT_EQUAL(test_call_ring(), GATE_CONTINUE);
    CU_ASSERT_TRUE(known->plain); /* nobody has said that something changed */
    call_epoch_bump(&f.vm);
    CU_ASSERT_EQUAL(test_call_ring(), GATE_CONTINUE);
    CU_ASSERT_FALSE(known->plain);
    CU_ASSERT_EQUAL(handled, 3);
    /* Another call of the same slot, then the first again. */
    kvm_regs(&k)->rax = EXT + KVM_CALLS;
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    CU_ASSERT_EQUAL((int64_t)kvm_regs(&k)->rax, SBI_ERR_NOT_SUPPORTED);
    CU_ASSERT_EQUAL(test_call_ring(), GATE_CONTINUE);
    CU_ASSERT_EQUAL(kvm_regs(&k)->rdx, 654321);
    CU_ASSERT_EQUAL(handled, 4);
    CU_ASSERT_EQUAL(f.hart[0].exits[EXIT_CALL], 5);
    vcpu_end();
}

#ifndef CALL_STRICT
/* An error that the row does not list is the module's bug, here too. */
static void test_call_breach(void)
{
    test_call_make();
    answer_error = SBI_ERR_INVALID_ADDRESS;
    CU_ASSERT_EQUAL(test_call_ring(), GATE_CONTINUE);
    CU_ASSERT_EQUAL((int64_t)kvm_regs(&k)->rax, SBI_ERR_FAILED);
    CU_ASSERT_EQUAL(f.vm.breaches, 1);
    f.vm.breaches = 0; /* or the fixture would end the test */
    vcpu_end();
}
#endif

static void test_ports(void)
{
    uint8_t *data;

    vcpu_make();
    data = io_set(KVM_EXIT_IO_IN, 0x5500, 4, 3); /* nobody's: ones, and no byte behind them */
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    for (unsigned i = 0; i < 13; i++)
        CU_ASSERT_EQUAL(data[i], i < 12 ? 0xff : 0);
    data = io_set(KVM_EXIT_IO_IN, TG_X86_PORT_UART + 5, 1, 1);
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    CU_ASSERT_EQUAL(data[0], 0x60);
    data = io_set(KVM_EXIT_IO_OUT, TG_X86_PORT_UART, 1, 5);
    memcpy(data, "bytes", 5);
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    CU_ASSERT(fixture_printed(&f, "bytes"));
    vcpu_end();
}

/* What touches the doorbell and is no call ends the guest, at the OUT; reads are nobody's. */
static void test_malformed(void)
{
    static const struct {
        uint16_t port;
        uint8_t size;
        uint32_t count;
    } wrong[] = {
        {TG_X86_PORT_CALL,     1, 1},
        {TG_X86_PORT_CALL,     2, 1},
        {TG_X86_PORT_CALL,     4, 2},
        {TG_X86_PORT_CALL - 1, 2, 1},
        {TG_X86_PORT_CALL - 3, 4, 1},
        {TG_X86_PORT_CALL + 3, 1, 1},
    };

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        vcpu_make();
        kvm_regs(&k)->rax = TG_EXT_EXIT;
        kvm_regs(&k)->r11 = TG_EXIT_STOP;
        io_set(KVM_EXIT_IO_OUT, wrong[i].port, wrong[i].size, wrong[i].count);
        CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_LEAVE);
        CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_FAULT);
        CU_ASSERT_EQUAL(f.vm.stop.status, STATUS_GUEST_FAULT);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.vm.stop.text, "a call is an out of 4 bytes"));
        CU_ASSERT_EQUAL(kvm_regs(&k)->rip, PC - 1); /* it had been moved behind the OUT */
        CU_ASSERT_EQUAL(f.hart[0].exits[EXIT_CALL], 0);
        vcpu_end();
    }
    vcpu_make();
    io_set(KVM_EXIT_IO_IN, TG_X86_PORT_CALL, 4, 1);
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    io_set(KVM_EXIT_IO_OUT, TG_X86_PORT_CALL - 2, 2, 1); /* its neighbours are another's */
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    io_set(KVM_EXIT_IO_OUT, TG_X86_PORT_CALL + 4, 4, 1);
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    vcpu_end();
}

static void mmio_set(uint64_t gpa, uint32_t len, bool write)
{
    k.run->exit_reason = KVM_EXIT_MMIO;
    k.run->mmio.phys_addr = gpa;
    k.run->mmio.len = len;
    k.run->mmio.is_write = write;
}

static void test_mmio(void)
{
    vcpu_make();
    mmio_set(TG_X86_DOORBELL, 8, true);
    memset(k.run->mmio.data, 0x5a, 8);
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    mmio_set(TG_X86_DOORBELL, 8, false);
    memset(k.run->mmio.data, 0, 8);
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_CONTINUE);
    CU_ASSERT_EQUAL(k.run->mmio.data[7], 0x5a);
    mmio_set(TG_X86_DOORBELL + 4, 8, false);
    CU_ASSERT_EQUAL(kvm_exit_deliver(&k, 0), GATE_LEAVE);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_FAULT);
    CU_ASSERT_EQUAL(f.vm.stop.status, STATUS_GUEST_FAULT);
    CU_ASSERT_EQUAL(f.vm.stop.pc, PC);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.vm.stop.text, "load of 8 bytes at 0xd0010004"));
    vcpu_end();
}

/* Each ends the machine as the guest's fault; what is no guest's doing, as the engine's. */
static void test_faults(void)
{
    static const struct {
        uint32_t reason;
        uint64_t rip;
        int error;
        enum stop_cause cause;
        const char *words;
    } rows[] = {
        {KVM_EXIT_SHUTDOWN,       PC,     0,      CAUSE_FAULT,  "triple fault"             },
        {KVM_EXIT_SHUTDOWN,       0xfff0, 0,      CAUSE_FAULT,  "registers lost"           },
        {KVM_EXIT_INTERNAL_ERROR, PC,     0,      CAUSE_FAULT,  "where no memory is"       },
        {KVM_EXIT_FAIL_ENTRY,     PC,     0,      CAUSE_FAULT,  "does not take the guest's"},
        {KVM_EXIT_HYPERV,         PC,     0,      CAUSE_ENGINE, "does not know (27)"       },
        {0,                       PC,     EFAULT, CAUSE_ENGINE, "Bad address"              },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        vcpu_make();
        k.run->exit_reason = rows[i].reason;
        kvm_regs(&k)->rip = rows[i].rip;
        CU_ASSERT_EQUAL(kvm_exit_deliver(&k, rows[i].error), GATE_LEAVE);
        CU_ASSERT_EQUAL(f.vm.stop.cause, rows[i].cause);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.vm.stop.text, rows[i].words));
        vcpu_end();
    }
}

/* Signals, as many as there may be, change nothing. */
static void test_interrupted(void)
{
    vcpu_make();
    k.run->exit_reason = KVM_EXIT_IO; /* of an earlier exit */
    for (unsigned i = 0; i < 10000; i++)
        CU_ASSERT_EQUAL(kvm_exit_deliver(&k, i % 2 ? EINTR : EAGAIN), GATE_CONTINUE);
    CU_ASSERT_EQUAL(f.hart[0].exits[EXIT_INTR], 10000);
    CU_ASSERT_EQUAL(f.hart[0].exits[EXIT_PIO], 0);
    vcpu_end();
}

/* --- limits of the host --- */

/* The machine is refused, with this number and these words. */
static void limit_is(int fd, const struct vm *vm, unsigned number, const char *what)
{
    struct error err = {.status = STATUS_OK};
    char words[60];

    snprintf(words, sizeof(words), " %u%s", number, what);
    CU_ASSERT_NOT_EQUAL(kvm_limits_check(fd, vm, "give less", &err), 0);
    CU_ASSERT_EQUAL(err.status, STATUS_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
}

/* A machine as large as the kernel takes it, and larger; only its sizes are looked at. */
static void limits_test(int fd, unsigned harts, unsigned slots)
{
    struct vm_config config = {.nharts = harts};
    struct vm vm = {.config = &config, .mem = {.nslots = slots}};
    struct error err = {.status = STATUS_OK};

    CU_ASSERT_EQUAL(kvm_limits_check(fd, &vm, "give less", &err), 0);
    config.nharts = harts + 1;
    limit_is(fd, &vm, harts, " harts at most");
    limit_is(fd, &vm, harts + 1, "; give less");
    config.nharts = harts;
    if (slots == UINT32_MAX)
        return;
    vm.mem.nslots = slots + 1;
    limit_is(fd, &vm, slots, " memory slots");
    /* Read-only memory has numbers of its own, behind all others. */
    vm.mem.nslots = 1;
    vm.mem.nrom = slots - MEM_SLOTS_MAX;
    CU_ASSERT_EQUAL(kvm_limits_check(fd, &vm, "give less", &err), 0);
    vm.mem.nrom++;
    limit_is(fd, &vm, slots + 1, " are needed");
}

static void test_limits(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    /* A kernel that does not tell: 4 harts are all that can be hoped for. */
    limits_test(-1, 4, UINT32_MAX);
    if (fd < 0)
        return;
    int harts = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    int slots = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);

    if (harts > 0 && slots > MEM_SLOTS_MAX)
        limits_test(fd, (unsigned)harts, (unsigned)slots);
    close(fd);
}

void suite_kvm_x86(void)
{
    CU_pSuite suite = CU_add_suite("kvm-x86", NULL, NULL);

    CU_add_test(suite, "a call by the doorbell", test_call);
    CU_add_test(suite, "plain calls end as they do by the gate", test_call_plain);
    CU_add_test(suite, "where calls lead is asked again when it may have changed",
                test_call_epoch);
#ifndef CALL_STRICT
    CU_add_test(suite, "a plain call that breaks its contract", test_call_breach);
#endif
    CU_add_test(suite, "ports", test_ports);
    CU_add_test(suite, "what is no call", test_malformed);
    CU_add_test(suite, "MMIO", test_mmio);
    CU_add_test(suite, "faults", test_faults);
    CU_add_test(suite, "interrupted runs", test_interrupted);
    CU_add_test(suite, "limits of the host", test_limits);
}

#else

void suite_kvm_x86(void)
{
    /* The engine is part of builds for x86-64 hosts only. */
}

#endif
