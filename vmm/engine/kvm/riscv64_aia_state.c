/* riscv64_aia_state.c: the registers of the interrupt controller in the kernel, saved and
 * loaded.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/riscv64.h"

#include <errno.h>
#include <string.h>
#include "vmm/snapshot.h"

/*
 * Source: RISC-V Advanced Interrupt Architecture, chapters 3 (IMSIC) and 4 (APLIC). The kernel
 * takes both chips' registers as device attributes; writes act as the guest's would.
 */

/* APLIC: offsets of registers, which are also their attributes (section 4.5). */
#define APLIC_DOMAINCFG    0x0000u
#define APLIC_DOMAINCFG_IE 0x100u
#define APLIC_SOURCECFG(i) (0x0004u + 4 * ((i)-1))
#define APLIC_SETIP(word)  (0x1c00u + 4 * (word))
#define APLIC_CLRIP(word)  (0x1d00u + 4 * (word))
#define APLIC_SETIE(word)  (0x1e00u + 4 * (word))
#define APLIC_CLRIE(word)  (0x1f00u + 4 * (word))
#define APLIC_TARGET(i)    (0x3004u + 4 * ((i)-1))

/* Source modes (section 4.5.2). */
#define SM_INACTIVE   0u
#define SM_EDGE_RISE  4u
#define SM_LEVEL_HIGH 6u
#define SM_LEVEL_LOW  7u

#define SOURCES PLAT_IRQ_SOURCES
#define WORDS   ((SOURCES + 31) / 32)

/* IMSIC: eidelivery, eithreshold; eip and eie of 64 IDs each, which have even numbers only. */
static const uint16_t imsic_select[] = {0x70, 0x72, 0x80, 0x82, 0x84,
                                        0x86, 0xc0, 0xc2, 0xc4, 0xc6};
#define IMSIC_REGS (sizeof(imsic_select) / sizeof(imsic_select[0]))

_Static_assert(IMSIC_REGS == 2 + 2 * (PLAT_IMSIC_IDS + 1) / 64, "every ID has its bits");

static const uint64_t aia_csr[] = {
#define AIA_CSR(name)                                                                          \
    KVM_REG64(KVM_REG_RISCV_CSR | KVM_REG_RISCV_CSR_AIA, KVM_REG_RISCV_CSR_AIA_REG(name))
    AIA_CSR(siselect),
    AIA_CSR(iprio1),
    AIA_CSR(iprio2),
};
#define AIA_CSRS (sizeof(aia_csr) / sizeof(aia_csr[0]))

struct aplic_state {
    uint32_t domaincfg;
    uint32_t source[SOURCES], target[SOURCES]; /* [0] does not exist */
    uint32_t pending[WORDS], enabled[WORDS], level[WORDS];
};

static bool bit_of(const uint32_t *words, unsigned i)
{
    return words[i / 32] >> i % 32 & 1;
}

/* --- access to attributes; the first failure sticks in *error --- */

static void attr_access(const struct kvm_vm *kv, unsigned long request, uint32_t group,
                        uint64_t attr, void *value, int *error)
{
    struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};

    if (*error == 0 && kvm_ioctl(kv->aia_fd, request, &a) < 0)
        *error = -errno;
}

static uint32_t aplic_get(const struct kvm_vm *kv, uint64_t offset, int *error)
{
    uint32_t value = 0;

    attr_access(kv, KVM_GET_DEVICE_ATTR, KVM_DEV_RISCV_AIA_GRP_APLIC, offset, &value, error);
    return value;
}

static void aplic_set(const struct kvm_vm *kv, uint64_t offset, uint32_t value, int *error)
{
    attr_access(kv, KVM_SET_DEVICE_ATTR, KVM_DEV_RISCV_AIA_GRP_APLIC, offset, &value, error);
}

static void imsic_access(const struct kvm_vm *kv, unsigned long request, unsigned hart,
                         unsigned select, uint64_t *value, int *error)
{
    attr_access(kv, request, KVM_DEV_RISCV_AIA_GRP_IMSIC,
                KVM_DEV_RISCV_AIA_IMSIC_MKATTR((uint64_t)hart, select), value, error);
}

/* --- save --- */

static void words_put(struct state_writer *w, const uint32_t *word, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        state_put_u64(w, word[i]);
}

static void aplic_read(struct kvm_vm *kv, struct aplic_state *s, int *error)
{
    s->domaincfg = aplic_get(kv, APLIC_DOMAINCFG, error) & APLIC_DOMAINCFG_IE;
    for (unsigned i = 1; i < SOURCES; i++) {
        s->source[i] = aplic_get(kv, APLIC_SOURCECFG(i), error);
        s->target[i] = aplic_get(kv, APLIC_TARGET(i), error);
        s->level[i / 32] |= (uint32_t)atomic_load(&kv->line[i]) << i % 32;
    }
    for (unsigned i = 0; i < WORDS; i++) {
        s->pending[i] = aplic_get(kv, APLIC_SETIP(i), error);
        s->enabled[i] = aplic_get(kv, APLIC_SETIE(i), error);
    }
}

void kvm_aia_save(struct vm *vm, struct state_writer *w)
{
    struct kvm_vm *kv = vm->engine_state;
    struct aplic_state s = {0};
    int error = 0;

    aplic_read(kv, &s, &error);
    state_put_u64(w, s.domaincfg);
    words_put(w, s.source, SOURCES);
    words_put(w, s.target, SOURCES);
    words_put(w, s.pending, WORDS);
    words_put(w, s.enabled, WORDS);
    words_put(w, s.level, WORDS);
    for (unsigned h = 0; h < vm->nharts; h++) {
        uint64_t value = 0;

        for (unsigned i = 0; i < IMSIC_REGS; i++, value = 0) {
            imsic_access(kv, KVM_GET_DEVICE_ATTR, h, imsic_select[i], &value, &error);
            state_put_u64(w, value);
        }
        for (unsigned i = 0; i < AIA_CSRS; i++)
            state_put_u64(w, kvm_reg(kvm_hart_of(&vm->hart[h]), aia_csr[i]));
    }
    if (error != 0)
        w->error = error;
}

/* --- load --- */

static void line_drive(const struct kvm_vm *kv, unsigned gsi, bool level)
{
    struct kvm_irq_level line = {.irq = gsi, .level = level};

    kvm_ioctl(kv->vm_fd, KVM_IRQ_LINE, &line);
}

/* Nothing is pending, enabled or passed on, and no line is looked at. */
static void aplic_clear(const struct kvm_vm *kv, int *error)
{
    aplic_set(kv, APLIC_DOMAINCFG, 0, error);
    for (unsigned i = 1; i < SOURCES; i++)
        aplic_set(kv, APLIC_SOURCECFG(i), SM_EDGE_RISE, error); /* others keep their bit */
    for (unsigned i = 0; i < WORDS; i++) {
        aplic_set(kv, APLIC_CLRIP(i), UINT32_MAX, error);
        aplic_set(kv, APLIC_CLRIE(i), UINT32_MAX, error);
    }
    for (unsigned i = 1; i < SOURCES; i++)
        aplic_set(kv, APLIC_SOURCECFG(i), SM_INACTIVE, error);
}

/*
 * A level's interrupt can be made pending only while its line is active, and may have stayed so
 * since: it is active until that is done.
 */
static void aplic_write(struct kvm_vm *kv, const struct aplic_state *s, int *error)
{
    aplic_clear(kv, error);
    for (unsigned i = 1; i < SOURCES; i++) {
        bool level = bit_of(s->level, i);

        atomic_store(&kv->line[i], level);
        line_drive(kv, i,
                   s->source[i] == SM_LEVEL_HIGH || (s->source[i] != SM_LEVEL_LOW && level));
        aplic_set(kv, APLIC_SOURCECFG(i), s->source[i], error);
        aplic_set(kv, APLIC_TARGET(i), s->target[i], error);
    }
    for (unsigned i = 0; i < WORDS; i++)
        aplic_set(kv, APLIC_SETIP(i), s->pending[i], error);
    for (unsigned i = 1; i < SOURCES; i++)
        if ((s->source[i] == SM_LEVEL_HIGH && !bit_of(s->level, i)) ||
            (s->source[i] == SM_LEVEL_LOW && bit_of(s->level, i)))
            line_drive(kv, i, s->source[i] == SM_LEVEL_LOW);
    for (unsigned i = 0; i < WORDS; i++)
        aplic_set(kv, APLIC_SETIE(i), s->enabled[i], error);
}

static void words_get(struct state_reader *r, uint32_t *word, unsigned n)
{
    for (unsigned i = 0; r && i < n; i++)
        word[i] = (uint32_t)state_get_max(r, UINT32_MAX);
}

/* The targets must hear of it only when all is as it was. */
void kvm_aia_load(struct vm *vm, struct state_reader *r)
{
    struct kvm_vm *kv = vm->engine_state;
    struct aplic_state s = {0};
    int error = 0;

    words_get(r, &s.domaincfg, 1);
    words_get(r, s.source, SOURCES);
    words_get(r, s.target, SOURCES);
    words_get(r, s.pending, WORDS);
    words_get(r, s.enabled, WORDS);
    words_get(r, s.level, WORDS);
    aplic_write(kv, &s, &error);
    for (unsigned h = 0; h < vm->nharts; h++) {
        const struct kvm_hart *k = kvm_hart_of(&vm->hart[h]);

        for (unsigned i = 0; i < IMSIC_REGS; i++) {
            uint64_t value = r ? state_get_u64(r) : 0;
            imsic_access(kv, KVM_SET_DEVICE_ATTR, h, imsic_select[i], &value, &error);
        }
        for (unsigned i = 0; i < AIA_CSRS; i++) {
            uint64_t value = r ? state_get_u64(r) : 0;
            int rc = kvm_reg_set(k->fd, aia_csr[i], value);

            error = error == 0 ? rc : error;
        }
    }
    aplic_set(kv, APLIC_DOMAINCFG, s.domaincfg, &error);
    if (r && error != 0)
        r->error = error;
}
