/* riscv64.h: what the files of the riscv64 KVM engine share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_KVM_RISCV64_H
#define VMM_ENGINE_KVM_RISCV64_H

#include "guest/abi/platform.h"
#include "vmm/engine/kvm/common.h"
#include "vmm/engine/riscv/decode.h"
#include "vmm/engine/riscv/rv.h"

#define KVM_ISA_NAMES 64

struct kvm_debug;

/* A VM. vcpu0 is made with it, since only a vCPU tells what the kernel offers. */
struct kvm_vm {
    int kvm_fd, vm_fd;
    int aia_fd;                          /* -1: the interrupt controller is a module's */
    int vcpu0_fd;                        /* -1: hart 0 has it */
    _Atomic bool line[PLAT_IRQ_SOURCES]; /* what the AIA's lines were set to */
    size_t run_size;
    uint64_t sbi_offered; /* bit i: the kernel has SBI extension KVM_RISCV_SBI_EXT i */
    char isa[512];
    const char *isa_names[KVM_ISA_NAMES + 1];
    const char *mmu;
    uint64_t timebase_hz;
    struct kvm_debug *debug; /* or NULL: not enabled */
    struct hart_state reset; /* what KVM keeps no registers for, as a kernel start finds it */
};

/* What the kernel still does at the next KVM_RUN for the exit before it. */
enum kvm_pending {
    PENDING_NONE,
    PENDING_CALL, /* writes ret to a0 and a1, pc += 4 */
    PENDING_MMIO, /* writes a load's register, pc to the next instruction */
};

struct kvm_hart {
    struct hart *hart;
    struct kvm_vm *vm;
    int fd;
    struct kvm_run *run;
    _Atomic int thread; /* inside run: host_thread_self(); else 0 */
    enum kvm_pending pending;
    bool step;       /* debug_step */
    bool stepped;    /* an instruction was executed since the last EXIT_DEBUG */
    bool past_break; /* the breakpoint at break_pc was told: go over it */
    uint64_t break_pc;
    unsigned wild_fetches;  /* from where no memory is; the kernel logs each */
    struct rv_hart *walker; /* walks the guest's page tables; holds no state of the guest's */
};

static inline struct kvm_hart *kvm_hart_of(struct hart *hart)
{
    return hart->engine_state;
}

/* --- riscv64_regs.c --- */

/* IDs of 64-bit ONE_REG registers. */
#define KVM_REG64(type, index)                                                                 \
    ((uint64_t)KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)(type) | (uint64_t)(index))
#define KVM_REG_X(i)      KVM_REG64(KVM_REG_RISCV_CORE, i) /* 0: the pc */
#define KVM_REG_PC        KVM_REG_X(0)
#define KVM_REG_MODE      KVM_REG64(KVM_REG_RISCV_CORE, KVM_REG_RISCV_CORE_REG(mode))
#define KVM_REG_CSR(name) KVM_REG64(KVM_REG_RISCV_CSR, KVM_REG_RISCV_CSR_REG(name))
#define KVM_REG_SBI(id)   KVM_REG64(KVM_REG_RISCV_SBI_EXT | KVM_REG_RISCV_SBI_SINGLE, id)

int kvm_reg_get(int fd, uint64_t id, uint64_t *value);
int kvm_reg_set(int fd, uint64_t id, uint64_t value);
/* A register that every kernel has; 0 if it should not. */
uint64_t kvm_reg(const struct kvm_hart *k, uint64_t id);

/* Asks vcpu0 for what the VM's harts will have. 0 or -errno. */
int kvm_features_read(struct kvm_vm *kv, struct vm *vm);
/* Takes from a vCPU the ISA extensions whose state struct hart_state does not hold. */
void kvm_isa_restrict(const struct kvm_vm *kv, int fd);
void kvm_state_read(struct kvm_hart *k, struct hart_state *state);
int kvm_state_write(struct kvm_hart *k, const struct hart_state *state);
void kvm_timer_write(struct kvm_hart *k, uint64_t ticks);
uint64_t kvm_timer_read(const struct kvm_hart *k);
/* The guest's `time`, which is the VM's. */
uint64_t kvm_time_read(const struct kvm_hart *k);
int kvm_time_write(struct kvm_hart *k, uint64_t ticks);

/* --- riscv64_aia.c --- */

/* Has this host's KVM an interrupt controller (AIA)? */
bool kvm_aia_there(void);
/* Before the vCPUs; after them. 0 or -errno. */
int kvm_aia_create(struct kvm_vm *kv);
int kvm_aia_init(struct kvm_vm *kv, unsigned nharts);
/* engine.h */
void kvm_line_set(struct vm *vm, unsigned gsi, bool level);
int kvm_line_fd(struct vm *vm, unsigned gsi, int fd);

/* --- riscv64_aia_state.c: irqchip_save, irqchip_load --- */

void kvm_aia_save(struct vm *vm, struct state_writer *w);
void kvm_aia_load(struct vm *vm, struct state_reader *r);

/* --- riscv64_exit.c --- */

/* Delivers the exit that KVM_RUN returned with (error 0), or its failure, and commits the
 * reply.
 */
enum gate kvm_exit_deliver(struct kvm_hart *k, int error);

/* Lets the kernel do what is pending, without running the guest. */
void kvm_finish(struct kvm_hart *k);

/* The same, with no effect: registers and pc are as before the instruction that exited. */
void kvm_undo(struct kvm_hart *k);

/* The instruction at pc, a compressed one expanded; its own bits in *raw. 0: cannot be told. */
uint32_t kvm_insn_fetch(struct kvm_hart *k, uint64_t pc, uint32_t *raw);

/* Enters the guest's trap handler (privileged specification, "Supervisor Trap Handling"). */
void kvm_trap_inject(struct kvm_hart *k, uint64_t cause, uint64_t tval, uint64_t pc);

/* Makes the walker translate as the hart does now. */
void kvm_walker_prepare(struct kvm_hart *k);

/* --- riscv64_debug.c --- */

int kvm_debug_enable(struct vm *vm);
void kvm_debug_destroy(struct kvm_vm *kv);
int kvm_debug_break(struct vm *vm, gpa_t gpa, bool set);
void kvm_debug_step(struct hart *hart, bool on);

/* KVM_RUN while debugging: over one instruction where that is due. 0 or errno. */
int kvm_debug_run(struct kvm_hart *k);
/* After what kvm_debug_run left for was delivered: tells of a step. */
enum gate kvm_debug_stepped(struct kvm_hart *k, enum gate gate);
/* KVM_EXIT_DEBUG. */
enum gate kvm_debug_deliver(struct kvm_hart *k);

#endif
