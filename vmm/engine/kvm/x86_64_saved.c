/* x86_64_saved.c: the kernel's part of an x86-64 machine as bytes, and who can take it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/x86_64_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Every part is a length and its bytes, in the order of the tables below. */

struct kvm_saved *kvm_saved_new(unsigned nharts)
{
    struct kvm_saved *s = calloc(1, sizeof(*s) + nharts * sizeof(s->hart[0]));

    if (s)
        s->nharts = nharts;
    return s;
}

struct part {
    const char *name;
    size_t offset, size;
};

#define MACHINE(name, field)                                                                   \
    {                                                                                          \
        name, offsetof(struct kvm_saved, field), sizeof(((struct kvm_saved *)0)->field)        \
    }
#define HART(name, field)                                                                      \
    {                                                                                          \
        name, offsetof(struct kvm_saved_hart, field),                                          \
            sizeof(((struct kvm_saved_hart *)0)->field)                                        \
    }

static const struct part machine_parts[] = {
    MACHINE("the TSC's rate", tsc_khz), MACHINE("the clock", clock_ns),
    MACHINE("the first 8259", chip[0]), MACHINE("the second 8259", chip[1]),
    MACHINE("the I/O APIC", chip[2]),   MACHINE("the i8254", pit),
};

static const struct part hart_parts[] = {
    HART("run state", mp),           HART("registers", regs),
    HART("system registers", sregs), HART("extended control registers", xcrs),
    HART("debug registers", debug),  HART("local APIC", lapic),
    HART("events", events),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- put --- */

static void part_put(struct state_writer *w, const void *data, size_t size)
{
    state_put_u64(w, size);
    state_put(w, data, size);
}

static void parts_put(struct state_writer *w, const struct part *part, size_t n,
                      const void *from)
{
    for (size_t i = 0; i < n; i++)
        part_put(w, (const uint8_t *)from + part[i].offset, part[i].size);
}

void kvm_saved_put(const struct kvm_saved *s, struct state_writer *w)
{
    part_put(w, s->cpuid, s->ncpuid * sizeof(s->cpuid[0]));
    parts_put(w, machine_parts, COUNT(machine_parts), s);
    for (unsigned i = 0; i < s->nharts; i++) {
        const struct kvm_saved_hart *h = &s->hart[i];

        parts_put(w, hart_parts, COUNT(hart_parts), h);
        part_put(w, h->xsave, h->xsave_size);
        part_put(w, h->msr, h->nmsrs * sizeof(h->msr[0]));
    }
}

/* --- get --- */

/* A part of min to max bytes, and a whole number of units. Its size; 0 and an error: unfit. */
static size_t part_get(struct state_reader *r, void *data, size_t min, size_t max, size_t unit)
{
    size_t size = state_get_max(r, max);

    if (size < min || size % unit != 0)
        r->error = -EINVAL;
    if (r->error != 0)
        return 0;
    state_get(r, data, size);
    return r->error == 0 ? size : 0;
}

/* The name of the first part that is unfit; NULL: none. */
static const char *parts_get(struct state_reader *r, const struct part *part, size_t n,
                             void *to)
{
    for (size_t i = 0; i < n; i++) {
        part_get(r, (uint8_t *)to + part[i].offset, part[i].size, part[i].size, 1);
        if (r->error != 0)
            return part[i].name;
    }
    return NULL;
}

static const char *machine_get(struct kvm_saved *s, struct state_reader *r)
{
    size_t unit = sizeof(s->cpuid[0]);

    s->ncpuid = (uint32_t)(part_get(r, s->cpuid, unit, sizeof(s->cpuid), unit) / unit);
    return r->error != 0 ? "CPUID" : parts_get(r, machine_parts, COUNT(machine_parts), s);
}

static const char *hart_get(struct kvm_saved_hart *h, struct state_reader *r)
{
    const char *bad = parts_get(r, hart_parts, COUNT(hart_parts), h);

    if (bad)
        return bad;
    if (h->xcrs.nr_xcrs > KVM_MAX_XCRS)
        return "extended control registers";
    h->xsave_size =
        (uint32_t)part_get(r, h->xsave, KVM_SAVED_XSAVE_MIN, KVM_SAVED_XSAVE_MAX, 8);
    if (r->error != 0)
        return "floating-point registers";
    h->nmsrs = (uint32_t)(part_get(r, h->msr, 0, sizeof(h->msr), sizeof(h->msr[0])) /
                          sizeof(h->msr[0]));
    return r->error != 0 ? "model-specific registers" : NULL;
}

int kvm_saved_get(struct kvm_saved *s, struct state_reader *r, struct error *err)
{
    const char *bad = machine_get(s, r);

    if (bad)
        return error_set(err, STATUS_DATA,
                         "--load-state: the state is damaged or cut off in %s", bad);
    for (unsigned i = 0; i < s->nharts; i++) {
        bad = hart_get(&s->hart[i], r);
        if (bad)
            return error_set(err, STATUS_DATA,
                             "--load-state: the state is damaged or cut off in hart %u's %s", i,
                             bad);
    }
    return 0;
}

/* --- CPUID --- */

enum cpuid_register { EAX, EBX, ECX, EDX };

static const char *const register_names[] = {"eax", "ebx", "ecx", "edx"};

/* Words whose bits are features (Intel SDM, CPUID; AMD APM, volume 3, appendix E). */
static const struct feature_word {
    uint32_t leaf, index;
    enum cpuid_register reg;
} feature_words[] = {
    {0x1,        0, ECX},
    {0x1,        0, EDX},
    {0x7,        0, EBX},
    {0x7,        0, ECX},
    {0x7,        0, EDX},
    {0x7,        1, EAX},
    {0x7,        1, EBX},
    {0x7,        1, ECX},
    {0x7,        1, EDX},
    {0x7,        2, EDX},
    {0xd,        0, EAX},
    {0xd,        0, EDX},
    {0xd,        1, EAX},
    {0xd,        1, ECX},
    {0xd,        1, EDX},
    {0x40000001, 0, EAX},
    {0x80000001, 0, ECX},
    {0x80000001, 0, EDX},
    {0x80000007, 0, EDX},
    {0x80000008, 0, EBX},
    {0x8000000a, 0, EDX},
    {0x80000021, 0, EAX},
};

/* Those that one may have heard of. */
static const struct feature_name {
    struct feature_word word;
    unsigned bit;
    const char *name;
} feature_names[] = {
    {{0x1, 0, ECX},        0,  "SSE3"        },
    {{0x1, 0, ECX},        12, "FMA"         },
    {{0x1, 0, ECX},        20, "SSE4.2"      },
    {{0x1, 0, ECX},        21, "x2APIC"      },
    {{0x1, 0, ECX},        24, "TSC-deadline"},
    {{0x1, 0, ECX},        25, "AES"         },
    {{0x1, 0, ECX},        26, "XSAVE"       },
    {{0x1, 0, ECX},        28, "AVX"         },
    {{0x1, 0, ECX},        30, "RDRAND"      },
    {{0x7, 0, EBX},        0,  "FSGSBASE"    },
    {{0x7, 0, EBX},        3,  "BMI1"        },
    {{0x7, 0, EBX},        5,  "AVX2"        },
    {{0x7, 0, EBX},        7,  "SMEP"        },
    {{0x7, 0, EBX},        16, "AVX512F"     },
    {{0x7, 0, EBX},        20, "SMAP"        },
    {{0x7, 0, ECX},        16, "LA57"        },
    {{0x80000001, 0, EDX}, 26, "1 GiB pages" },
    {{0x80000001, 0, EDX}, 27, "RDTSCP"      },
};

static const struct kvm_cpuid_entry2 *leaf_find(const struct kvm_cpuid_entry2 *entry, size_t n,
                                                uint32_t leaf, uint32_t index)
{
    for (size_t i = 0; i < n; i++)
        if (entry[i].function == leaf &&
            (!(entry[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry[i].index == index))
            return &entry[i];
    return NULL;
}

static uint32_t word_of(const struct kvm_cpuid_entry2 *entry, size_t n,
                        const struct feature_word *word)
{
    const struct kvm_cpuid_entry2 *e = leaf_find(entry, n, word->leaf, word->index);

    if (!e)
        return 0;
    return word->reg == EAX   ? e->eax
           : word->reg == EBX ? e->ebx
           : word->reg == ECX ? e->ecx
                              : e->edx;
}

static int feature_missing(const struct feature_word *word, unsigned bit, struct error *err)
{
    const char *name = "";

    for (size_t i = 0; i < COUNT(feature_names); i++) {
        const struct feature_name *f = &feature_names[i];

        if (f->word.leaf == word->leaf && f->word.index == word->index &&
            f->word.reg == word->reg && f->bit == bit)
            name = f->name;
    }
    return error_set(err, STATUS_UNAVAILABLE,
                     "--load-state: the guest was told of a feature that this host has not: "
                     "CPUID leaf 0x%x.%u, %s bit %u%s%s%s; load it where it is",
                     word->leaf, word->index, register_names[word->reg], bit,
                     name[0] ? " (" : "", name, name[0] ? ")" : "");
}

#define LEAF_SIZES 0x80000008u /* eax: bits of addresses, physical and, from 8 on, linear */

static int sizes_check(uint32_t saved, uint32_t here, struct error *err)
{
    for (unsigned shift = 0; shift <= 8; shift += 8)
        if ((saved >> shift & 0xff) > (here >> shift & 0xff))
            return error_set(err, STATUS_UNAVAILABLE,
                             "--load-state: the guest was told of %s addresses of %u bits "
                             "(CPUID leaf 0x%x, eax); this host's have %u",
                             shift == 0 ? "physical" : "linear", saved >> shift & 0xff,
                             LEAF_SIZES, here >> shift & 0xff);
    return 0;
}

/* The twelve letters of the maker's name; those of a file may be anything. */
static void vendor_get(const struct kvm_cpuid_entry2 *entry, size_t n, char name[13])
{
    static const enum cpuid_register order[] = {EBX, EDX, ECX};

    for (unsigned i = 0; i < 12; i++) {
        uint32_t word = word_of(entry, n, &(struct feature_word){0, 0, order[i / 4]});
        unsigned c = word >> 8 * (i % 4) & 0xff;

        name[i] = c > ' ' && c < 0x7f ? (char)c : '?';
    }
    name[12] = '\0';
}

int kvm_saved_cpuid_check(const struct kvm_saved *saved, const struct kvm_cpuid2 *here,
                          struct error *err)
{
    const struct feature_word sizes = {LEAF_SIZES, 0, EAX};
    char theirs[13], ours[13];

    vendor_get(saved->cpuid, saved->ncpuid, theirs);
    vendor_get(here->entries, here->nent, ours);
    if (memcmp(theirs, ours, sizeof(ours)) != 0)
        return error_set(
            err, STATUS_UNAVAILABLE,
            "--load-state: the guest began on a processor of %s (CPUID leaf 0), and "
            "this host's is of %s",
            theirs, ours);
    for (size_t i = 0; i < COUNT(feature_words); i++) {
        const struct feature_word *word = &feature_words[i];
        uint32_t missing = word_of(saved->cpuid, saved->ncpuid, word) &
                           ~word_of(here->entries, here->nent, word);

        if (missing)
            return feature_missing(word, (unsigned)__builtin_ctz(missing), err);
    }
    return sizes_check(word_of(saved->cpuid, saved->ncpuid, &sizes),
                       word_of(here->entries, here->nent, &sizes), err);
}

/* --- virtual machines of the guest's own --- */

bool kvm_nested_idle(const struct kvm_nested_state *n)
{
    if (n->flags & (KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING))
        return false;
    if (n->format == KVM_STATE_NESTED_FORMAT_VMX)
        return n->hdr.vmx.vmxon_pa == UINT64_MAX;
    return n->flags & KVM_STATE_NESTED_GIF_SET;
}
