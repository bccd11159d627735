/* riscv64_regs.c: a riscv64 vCPU's registers, and what the kernel offers its guests. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/riscv64.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define KVM_REG_ISA(id)      KVM_REG64(KVM_REG_RISCV_ISA_EXT | KVM_REG_RISCV_ISA_SINGLE, id)
#define KVM_REG_CONFIG(name) KVM_REG64(KVM_REG_RISCV_CONFIG, KVM_REG_RISCV_CONFIG_REG(name))
#define KVM_REG_TIME(name)   KVM_REG64(KVM_REG_RISCV_TIMER, KVM_REG_RISCV_TIMER_REG(name))
#define KVM_REG_F(i)         KVM_REG64(KVM_REG_RISCV_FP_D, i)
#define KVM_REG_FCSR                                                                           \
    ((uint64_t)KVM_REG_RISCV | KVM_REG_SIZE_U32 | KVM_REG_RISCV_FP_D |                         \
     KVM_REG_RISCV_FP_D_REG(fcsr))

/* The part of mstatus that sstatus shows, less what is read-only. */
#define SSTATUS (RV_SIE | RV_SPIE | RV_SPP | RV_FS | RV_SUM | RV_MXR | RV_UXL)

/* Newer kernels have more extensions than the headers that this was built with. */
#define ISA_IDS 128
#define SBI_IDS 64

int kvm_reg_get(int fd, uint64_t id, uint64_t *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

    *value = 0; /* a 32-bit register fills the lower half only */
    return kvm_ioctl(fd, KVM_GET_ONE_REG, &reg) < 0 ? -errno : 0;
}

int kvm_reg_set(int fd, uint64_t id, uint64_t value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

    return kvm_ioctl(fd, KVM_SET_ONE_REG, &reg) < 0 ? -errno : 0;
}

uint64_t kvm_reg(const struct kvm_hart *k, uint64_t id)
{
    uint64_t value;

    kvm_reg_get(k->fd, id, &value);
    return value;
}

/* --- what there is --- */

/*
 * Extensions that a guest may have, in the order of an ISA string (unprivileged specification,
 * "Subset Naming Convention"). Not here, and so taken away where the kernel allows it: V, whose
 * registers struct hart_state does not hold; those whose block sizes the device tree does not
 * tell; AIA, where the machine has a PLIC; H.
 */
static const struct isa_ext {
    unsigned id;
    const char *name;
} isa_exts[] = {
    {KVM_RISCV_ISA_EXT_I,           "i"          },
    {KVM_RISCV_ISA_EXT_M,           "m"          },
    {KVM_RISCV_ISA_EXT_A,           "a"          },
    {KVM_RISCV_ISA_EXT_F,           "f"          },
    {KVM_RISCV_ISA_EXT_D,           "d"          },
    {KVM_RISCV_ISA_EXT_C,           "c"          },
    {KVM_RISCV_ISA_EXT_ZICNTR,      "zicntr"     },
    {KVM_RISCV_ISA_EXT_ZICOND,      "zicond"     },
    {KVM_RISCV_ISA_EXT_ZICSR,       "zicsr"      },
    {KVM_RISCV_ISA_EXT_ZIFENCEI,    "zifencei"   },
    {KVM_RISCV_ISA_EXT_ZIHINTNTL,   "zihintntl"  },
    {KVM_RISCV_ISA_EXT_ZIHINTPAUSE, "zihintpause"},
    {KVM_RISCV_ISA_EXT_ZIMOP,       "zimop"      },
    {KVM_RISCV_ISA_EXT_ZACAS,       "zacas"      },
    {KVM_RISCV_ISA_EXT_ZAWRS,       "zawrs"      },
    {KVM_RISCV_ISA_EXT_ZFA,         "zfa"        },
    {KVM_RISCV_ISA_EXT_ZFH,         "zfh"        },
    {KVM_RISCV_ISA_EXT_ZFHMIN,      "zfhmin"     },
    {KVM_RISCV_ISA_EXT_ZCA,         "zca"        },
    {KVM_RISCV_ISA_EXT_ZCB,         "zcb"        },
    {KVM_RISCV_ISA_EXT_ZCD,         "zcd"        },
    {KVM_RISCV_ISA_EXT_ZCMOP,       "zcmop"      },
    {KVM_RISCV_ISA_EXT_ZBA,         "zba"        },
    {KVM_RISCV_ISA_EXT_ZBB,         "zbb"        },
    {KVM_RISCV_ISA_EXT_ZBC,         "zbc"        },
    {KVM_RISCV_ISA_EXT_ZBKB,        "zbkb"       },
    {KVM_RISCV_ISA_EXT_ZBKC,        "zbkc"       },
    {KVM_RISCV_ISA_EXT_ZBKX,        "zbkx"       },
    {KVM_RISCV_ISA_EXT_ZBS,         "zbs"        },
    {KVM_RISCV_ISA_EXT_ZKND,        "zknd"       },
    {KVM_RISCV_ISA_EXT_ZKNE,        "zkne"       },
    {KVM_RISCV_ISA_EXT_ZKNH,        "zknh"       },
    {KVM_RISCV_ISA_EXT_ZKSED,       "zksed"      },
    {KVM_RISCV_ISA_EXT_ZKSH,        "zksh"       },
    {KVM_RISCV_ISA_EXT_ZKT,         "zkt"        },
    {KVM_RISCV_ISA_EXT_SSAIA,       "ssaia"      },
    {KVM_RISCV_ISA_EXT_SSTC,        "sstc"       },
    {KVM_RISCV_ISA_EXT_SVINVAL,     "svinval"    },
    {KVM_RISCV_ISA_EXT_SVNAPOT,     "svnapot"    },
    {KVM_RISCV_ISA_EXT_SVPBMT,      "svpbmt"     },
};
#define ISA_EXTS (sizeof(isa_exts) / sizeof(isa_exts[0]))

_Static_assert(ISA_EXTS <= KVM_ISA_NAMES, "every name has its place");

static bool isa_wanted(const struct kvm_vm *kv, unsigned id)
{
    for (size_t i = 0; i < ISA_EXTS; i++)
        if (isa_exts[i].id == id)
            return id != KVM_RISCV_ISA_EXT_SSAIA || kv->aia_fd >= 0;
    return false;
}

void kvm_isa_restrict(const struct kvm_vm *kv, int fd)
{
    uint64_t on;

    for (unsigned id = 0; id < ISA_IDS; id++)
        if (!isa_wanted(kv, id) && kvm_reg_get(fd, KVM_REG_ISA(id), &on) == 0 && on)
            kvm_reg_set(fd, KVM_REG_ISA(id), 0); /* some stay: then nobody tells the guest */
}

static void isa_read(struct kvm_vm *kv)
{
    size_t len = (size_t)snprintf(kv->isa, sizeof(kv->isa), "rv64");
    size_t n = 0;

    for (size_t i = 0; i < ISA_EXTS; i++) {
        const char *name = isa_exts[i].name;
        uint64_t on;

        if (!isa_wanted(kv, isa_exts[i].id) ||
            kvm_reg_get(kv->vcpu0_fd, KVM_REG_ISA(isa_exts[i].id), &on) != 0 || !on)
            continue;
        len += (size_t)snprintf(kv->isa + len, sizeof(kv->isa) - len, "%s%s",
                                name[1] ? "_" : "", name);
        kv->isa_names[n++] = name;
    }
}

static const char *mmu_read(int fd)
{
    uint64_t mode;

    if (kvm_reg_get(fd, KVM_REG_CONFIG(satp_mode), &mode) != 0)
        return "riscv,sv39"; /* kernels before 6.5 do not tell; all hosts with KVM have it */
    return mode >= 10 ? "riscv,sv57" : mode == 9 ? "riscv,sv48" : "riscv,sv39";
}

/* M-mode is the kernel's; a state that is loaded elsewhere needs what firmware would leave. */
static int reset_read(struct kvm_vm *kv, struct vm *vm)
{
    struct rv_hart *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->vm = vm;
    rv_reset(h, PRIV_S, 0);
    rv_state_get(h, &kv->reset);
    free(h);
    return 0;
}

int kvm_features_read(struct kvm_vm *kv, struct vm *vm)
{
    uint64_t unused;

    for (unsigned id = 0; id < SBI_IDS; id++)
        if (kvm_reg_get(kv->vcpu0_fd, KVM_REG_SBI(id), &unused) == 0)
            kv->sbi_offered |= 1ull << id;
    kvm_isa_restrict(kv, kv->vcpu0_fd);
    isa_read(kv);
    kv->mmu = mmu_read(kv->vcpu0_fd);
    int rc = kvm_reg_get(kv->vcpu0_fd, KVM_REG_TIME(frequency), &kv->timebase_hz);
    return rc < 0 ? rc : reset_read(kv, vm);
}

/* --- state --- */

/* The register `state` tells of the kernel's own timer only, which with Sstc runs while a vCPU
 * sleeps. */
uint64_t kvm_timer_read(const struct kvm_hart *k)
{
    return kvm_reg(k, KVM_REG_TIME(compare));
}

uint64_t kvm_time_read(const struct kvm_hart *k)
{
    return kvm_reg(k, KVM_REG_TIME(time));
}

int kvm_time_write(struct kvm_hart *k, uint64_t ticks)
{
    return kvm_reg_set(k->fd, KVM_REG_TIME(time), ticks);
}

/* Linux 6.12 takes the value 1 (ON) for the time when the timer is switched on, so that the
 * time has to be written after it, too. */
void kvm_timer_write(struct kvm_hart *k, uint64_t ticks)
{
    kvm_reg_set(k->fd, KVM_REG_TIME(compare), ticks);
    if (ticks == UINT64_MAX) {
        kvm_reg_set(k->fd, KVM_REG_TIME(state), KVM_RISCV_TIMER_STATE_OFF);
        return;
    }
    kvm_reg_set(k->fd, KVM_REG_TIME(state), KVM_RISCV_TIMER_STATE_ON);
    kvm_reg_set(k->fd, KVM_REG_TIME(compare), ticks);
}

/* The CSRs that KVM knows, beside sstatus. */
static const struct csr_field {
    uint64_t reg;
    size_t offset;
} csr_fields[] = {
    {KVM_REG_CSR(sie),        offsetof(struct hart_state, mie)       },
    {KVM_REG_CSR(sip),        offsetof(struct hart_state, mip)       },
    {KVM_REG_CSR(stvec),      offsetof(struct hart_state, stvec)     },
    {KVM_REG_CSR(sscratch),   offsetof(struct hart_state, sscratch)  },
    {KVM_REG_CSR(sepc),       offsetof(struct hart_state, sepc)      },
    {KVM_REG_CSR(scause),     offsetof(struct hart_state, scause)    },
    {KVM_REG_CSR(stval),      offsetof(struct hart_state, stval)     },
    {KVM_REG_CSR(satp),       offsetof(struct hart_state, satp)      },
    {KVM_REG_CSR(scounteren), offsetof(struct hart_state, scounteren)},
    {KVM_REG_CSR(senvcfg),    offsetof(struct hart_state, senvcfg)   },
};
#define CSR_FIELDS (sizeof(csr_fields) / sizeof(csr_fields[0]))

void kvm_state_read(struct kvm_hart *k, struct hart_state *state)
{
    *state = k->vm->reset;
    state->pc = kvm_reg(k, KVM_REG_PC);
    for (unsigned i = 1; i < 32; i++)
        state->x[i] = kvm_reg(k, KVM_REG_X(i));
    for (unsigned i = 0; i < 32; i++)
        state->f[i] = kvm_reg(k, KVM_REG_F(i));
    state->fcsr = kvm_reg(k, KVM_REG_FCSR);
    state->priv = kvm_reg(k, KVM_REG_MODE) == KVM_RISCV_MODE_S ? PRIV_S : PRIV_U;
    state->mstatus =
        (k->vm->reset.mstatus & ~SSTATUS) | (kvm_reg(k, KVM_REG_CSR(sstatus)) & SSTATUS);
    for (size_t i = 0; i < CSR_FIELDS; i++) {
        uint64_t value = kvm_reg(k, csr_fields[i].reg);
        memcpy((uint8_t *)state + csr_fields[i].offset, &value, sizeof(value));
    }
    state->timer = kvm_timer_read(k);
}

int kvm_state_write(struct kvm_hart *k, const struct hart_state *state)
{
    int rc = kvm_reg_set(k->fd, KVM_REG_PC, state->pc);

    for (unsigned i = 1; rc == 0 && i < 32; i++)
        rc = kvm_reg_set(k->fd, KVM_REG_X(i), state->x[i]);
    for (unsigned i = 0; rc == 0 && i < 32; i++)
        rc = kvm_reg_set(k->fd, KVM_REG_F(i), state->f[i]);
    if (rc == 0)
        rc = kvm_reg_set(k->fd, KVM_REG_FCSR, state->fcsr);
    if (rc == 0)
        rc = kvm_reg_set(k->fd, KVM_REG_MODE,
                         state->priv == PRIV_U ? KVM_RISCV_MODE_U : KVM_RISCV_MODE_S);
    if (rc == 0)
        rc = kvm_reg_set(k->fd, KVM_REG_CSR(sstatus), state->mstatus & SSTATUS);
    for (size_t i = 0; rc == 0 && i < CSR_FIELDS; i++) {
        uint64_t value;
        memcpy(&value, (const uint8_t *)state + csr_fields[i].offset, sizeof(value));
        if (csr_fields[i].reg == KVM_REG_CSR(sip))
            value &= ~(1ull << IRQ_S_TIMER); /* follows from the timer; here it would stick */
        rc = kvm_reg_set(k->fd, csr_fields[i].reg, value);
    }
    if (rc == 0)
        kvm_timer_write(k, state->timer);
    return rc;
}
