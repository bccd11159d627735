/* test_kvm_x86_state.c: what a state holds of the kernel's part of an x86-64 machine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/suites.h"

#ifdef __x86_64__

#include <stdlib.h>
#include <string.h>
#include "tests/unit/snapshot.h"
#include "vmm/engine/kvm/x86_64_state.h"
#include "vmm/le.h"

#define HARTS  2u
#define LEAVES 3u
#define MSRS   5u

static struct bytes bytes;

/* Every byte of it is something. */
static struct kvm_saved *saved_make(void)
{
    struct kvm_saved *s = kvm_saved_new(HARTS);
    uint32_t chance = 1;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (size_t i = offsetof(struct kvm_saved, hart); i > 0; i--)
        ((uint8_t *)s)[i - 1] = (uint8_t)(chance = chance * 1664525 + 1013904223);
    s->nharts = HARTS;
    s->ncpuid = LEAVES;
    memset(s->cpuid + LEAVES, 0, sizeof(s->cpuid) - LEAVES * sizeof(s->cpuid[0]));
    for (unsigned h = 0; h < HARTS; h++) {
        struct kvm_saved_hart *hart = &s->hart[h];

        for (size_t i = 0; i < offsetof(struct kvm_saved_hart, xsave_size); i++)
            ((uint8_t *)hart)[i] = (uint8_t)(chance = chance * 1664525 + 1013904223);
        hart->xcrs.nr_xcrs = KVM_MAX_XCRS;
        hart->xsave_size = KVM_SAVED_XSAVE_MIN + 8 * h;
        memset(hart->xsave, 0x51, hart->xsave_size);
        hart->nmsrs = MSRS + h;
        memset(hart->msr, 0x52, hart->nmsrs * sizeof(hart->msr[0]));
    }
    return s;
}

static void saved_put(const struct kvm_saved *s)
{
    bytes_init(&bytes);
    kvm_saved_put(s, &bytes.w);
    CU_ASSERT_EQUAL_FATAL(bytes.w.error, 0);
}

/* Loads `len` bytes, which nothing lies behind; whether they were taken, with a reason if not.
 */
static bool loads(const uint8_t *data, size_t len, struct kvm_saved *s)
{
    uint8_t *copy = malloc(len ? len : 1);
    struct state_reader r = {.data = copy, .len = len};
    struct error err = {0};
    int rc;

    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, data, len);
    rc = kvm_saved_get(s, &r, &err);
    CU_ASSERT_EQUAL(rc != 0, err.text[0] != '\0');
    CU_ASSERT_EQUAL(err.status, rc != 0 ? STATUS_DATA : STATUS_OK);
    free(copy);
    return rc == 0 && r.len == 0;
}

static void test_same(void)
{
    struct kvm_saved *s = saved_make(), *again = kvm_saved_new(HARTS);

    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    saved_put(s);
    CU_ASSERT(loads(bytes.data, bytes.len, again));
    struct bytes *first = malloc(sizeof(*first));

    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    *first = bytes;
    saved_put(again);
    CU_ASSERT(bytes_equal(first, &bytes));
    free(first);
    free(s);
    free(again);
}

/* Cut off anywhere. */
static void test_cut(void)
{
    struct kvm_saved *s = saved_make(), *again = kvm_saved_new(HARTS);
    size_t taken = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    saved_put(s);
    for (size_t len = 0; len < bytes.len; len++)
        taken += loads(bytes.data, len, again);
    CU_ASSERT_EQUAL(taken, 0);
    free(s);
    free(again);
}

/* Where the length of the part behind this one is. */
static size_t part_next(size_t at)
{
    return at + 8 + le_get64(bytes.data + at);
}

/* Every part has the length that it can have, and no other. */
static void test_lengths(void)
{
    static const int64_t change[] = {-40, -16, -8, -1, 1, INT32_MAX, INT64_MAX, INT64_MIN};
    struct kvm_saved *s = saved_make(), *again = kvm_saved_new(HARTS);
    unsigned parts = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    saved_put(s);
    for (size_t at = 0; at < bytes.len; at = part_next(at), parts++) {
        uint64_t len = le_get64(bytes.data + at);

        for (size_t i = 0; i < sizeof(change) / sizeof(change[0]); i++) {
            le_put64(bytes.data + at, len + (uint64_t)change[i]);
            CU_ASSERT_FALSE(loads(bytes.data, bytes.len, again));
        }
        le_put64(bytes.data + at, len);
    }
    CU_ASSERT_EQUAL(parts, 1 + 6 + HARTS * 9);
    CU_ASSERT(loads(bytes.data, bytes.len, again));
    free(s);
    free(again);
}

/* More than there is room for. */
static void test_bounds(void)
{
    struct kvm_saved *s = saved_make(), *again = kvm_saved_new(HARTS);

    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    s->ncpuid = KVM_CPUID_MAX;
    s->hart[1].nmsrs = KVM_SAVED_MSRS_MAX;
    s->hart[0].xsave_size = KVM_SAVED_XSAVE_MAX;
    saved_put(s);
    CU_ASSERT(loads(bytes.data, bytes.len, again));
    CU_ASSERT_EQUAL(again->ncpuid, KVM_CPUID_MAX);
    CU_ASSERT_EQUAL(again->hart[1].nmsrs, KVM_SAVED_MSRS_MAX);
    s->hart[1].xcrs.nr_xcrs = KVM_MAX_XCRS + 1;
    saved_put(s);
    CU_ASSERT_FALSE(loads(bytes.data, bytes.len, again));
    s->hart[1].xcrs.nr_xcrs = 0;
    s->ncpuid = 0;
    saved_put(s);
    CU_ASSERT_FALSE(loads(bytes.data, bytes.len, again));
    free(s);
    free(again);
}

/* --- CPUID --- */

static struct kvm_cpuid2 *here; /* of a processor with some features */

static void cpuid_add(uint32_t leaf, uint32_t index, uint32_t a, uint32_t b, uint32_t c,
                      uint32_t d)
{
    here->entries[here->nent++] = (struct kvm_cpuid_entry2){
        .function = leaf,
        .index = index,
        .flags = leaf == 7 || leaf == 0xd ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
        .eax = a,
        .ebx = b,
        .ecx = c,
        .edx = d,
    };
}

static struct kvm_saved *cpuid_make(void)
{
    struct kvm_saved *s = kvm_saved_new(0);

    here = calloc(1, sizeof(*here) + 8 * sizeof(here->entries[0]));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(here);
    cpuid_add(0, 0, 16, 0x756e6547, 0x6c65746e, 0x49656e69); /* GenuineIntel */
    cpuid_add(1, 0, 0x806f8, 0x800, 0x11, 0x21);
    cpuid_add(7, 0, 1, 0x20, 0, 0);
    cpuid_add(7, 1, 0x10, 0, 0, 0);
    cpuid_add(0x80000008, 0, 0x302e, 0, 0, 0);
    s->ncpuid = here->nent;
    memcpy(s->cpuid, here->entries, here->nent * sizeof(here->entries[0]));
    return s;
}

static void cpuid_end(struct kvm_saved *s)
{
    free(s);
    free(here);
}

/* Is it refused with this in the text? NULL: it is taken. */
static bool check_says(const struct kvm_saved *s, const char *text)
{
    struct error err = {0};

    if (kvm_saved_cpuid_check(s, here, &err) == 0)
        return text == NULL;
    return text && err.status == STATUS_UNAVAILABLE && strstr(err.text, text);
}

static void test_cpuid(void)
{
    struct kvm_saved *s = cpuid_make();

    CU_ASSERT(check_says(s, NULL));
    s->cpuid[1].eax++; /* another model of the same maker */
    CU_ASSERT(check_says(s, NULL));
    s->cpuid[1].ecx = 1; /* it needs less */
    CU_ASSERT(check_says(s, NULL));
    s->cpuid[3].eax = 0x30;
    CU_ASSERT(check_says(s, "CPUID leaf 0x7.1, eax bit 5;"));
    s->cpuid[1].ecx |= 1u << 28; /* the first one counts */
    CU_ASSERT(check_says(s, "CPUID leaf 0x1.0, ecx bit 28 (AVX)"));
    s->cpuid[0].edx ^= 0x80;
    CU_ASSERT(check_says(s, "a processor of Genu?neIntel"));
    cpuid_end(s);
    s = cpuid_make();
    here->entries[2].ebx = 0;
    CU_ASSERT(check_says(s, "CPUID leaf 0x7.0, ebx bit 5 (AVX2)"));
    here->entries[2] = (struct kvm_cpuid_entry2){.function = 2}; /* no such leaf here */
    CU_ASSERT(check_says(s, "CPUID leaf 0x7.0, ebx bit 5 (AVX2)"));
    cpuid_end(s);
}

static void test_cpuid_sizes(void)
{
    struct kvm_saved *s = cpuid_make();

    s->cpuid[4].eax = 0x302d;
    CU_ASSERT(check_says(s, NULL));
    s->cpuid[4].eax = 0x302f;
    CU_ASSERT(check_says(s, "physical addresses of 47 bits"));
    s->cpuid[4].eax = 0x392e;
    CU_ASSERT(check_says(s, "linear addresses of 57 bits"));
    cpuid_end(s);
}

/* --- virtual machines of the guest's own --- */

static bool idle(uint16_t format, uint16_t flags, uint64_t vmxon)
{
    struct kvm_nested_state n = {.format = format, .flags = flags};

    n.hdr.vmx.vmxon_pa = vmxon;
    return kvm_nested_idle(&n);
}

static void test_nested(void)
{
    const uint16_t vmx = KVM_STATE_NESTED_FORMAT_VMX, svm = KVM_STATE_NESTED_FORMAT_SVM;

    CU_ASSERT(idle(vmx, 0, UINT64_MAX));
    CU_ASSERT_FALSE(idle(vmx, 0, 0x1000));
    CU_ASSERT_FALSE(idle(vmx, KVM_STATE_NESTED_GUEST_MODE, UINT64_MAX));
    CU_ASSERT(idle(svm, KVM_STATE_NESTED_GIF_SET, 0));
    CU_ASSERT_FALSE(idle(svm, 0, 0));
    CU_ASSERT_FALSE(idle(svm, KVM_STATE_NESTED_GIF_SET | KVM_STATE_NESTED_GUEST_MODE, 0));
    CU_ASSERT_FALSE(idle(svm, KVM_STATE_NESTED_GIF_SET | KVM_STATE_NESTED_RUN_PENDING, 0));
}

void suite_kvm_x86_state(void)
{
    CU_pSuite suite = CU_add_suite("kvm-x86-state", NULL, NULL);

    CU_add_test(suite, "what is put is what is got", test_same);
    CU_add_test(suite, "cut at every byte", test_cut);
    CU_add_test(suite, "every part's length", test_lengths);
    CU_add_test(suite, "as much as there is room for", test_bounds);
    CU_add_test(suite, "features that are missing", test_cpuid);
    CU_add_test(suite, "sizes of addresses", test_cpuid_sizes);
    CU_add_test(suite, "harts that run virtual machines of their own", test_nested);
}

#else

void suite_kvm_x86_state(void)
{
    /* The engine is part of builds for x86-64 hosts only. */
}

#endif
