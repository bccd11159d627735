/* test_snapshot_file.c: states of other machines, damaged states, and their file. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/snapshot.h"
#include "tests/unit/snapshot_rig.h"
#include "vmm/engine/interp/engine.h"

/* --- of another machine --- */

static void check_refused(const struct blob *blob, const struct program *p, const char *words,
                          void (*change)(struct vm_config *config))
{
    struct rig *rig = malloc(sizeof(*rig));

    rig_config(rig, p);
    change(&rig->config);
    rig_create(rig, p);
    CU_ASSERT(rig_load(rig, blob, blob->size) < 0);
    CU_ASSERT_EQUAL(rig->err.status, STATUS_CONFIG);
    if (!strstr(rig->err.text, words))
        CU_FAIL("the message lacks what differs");
    rig_destroy(rig);
    free(rig);
}

static void change_harts(struct vm_config *config)
{
    config->nharts = 2;
}

static void change_memory(struct vm_config *config)
{
    config->mem_size += MEM_PAGE_SIZE;
}

static void change_time(struct vm_config *config)
{
    config->deterministic = false;
}

static void change_start(struct vm_config *config)
{
    config->start = START_FIRMWARE;
}

static void change_modules(struct vm_config *config)
{
    config->without[config->nwithout++] = "sbi-legacy";
}

/* As many modules, but not the same ones. */
static void change_module_names(struct vm_config *config)
{
    change_modules(config);
    config->request[config->nrequests++] = (struct module_request){.name = "clint"};
}

static void test_wrong_configuration(void)
{
    struct program p;
    struct rig *rig = malloc(sizeof(*rig));
    struct blob blob;

    program_reservations(&p);
    rig_make(rig, &p, 10);
    vm_run(&rig->vm, &rig->err);
    blob = rig_save(rig);
    check_refused(&blob, &p, "1 hart(s)", change_harts);
    check_refused(&blob, &p, "3072 KiB", change_memory);
    check_refused(&blob, &p, "deterministic", change_time);
    check_refused(&blob, &p, "a kernel", change_start);
    check_refused(&blob, &p, "modules", change_modules);
    check_refused(&blob, &p, "where this VM has clint", change_module_names);

    /* No state at all, and one of a later version. */
    blob.data[8]++;
    CU_ASSERT(rig_load(rig, &blob, blob.size) < 0);
    CU_ASSERT_EQUAL(rig->err.status, STATUS_DATA);
    CU_ASSERT(strstr(rig->err.text, "version") != NULL);
    blob.data[0]++;
    CU_ASSERT(rig_load(rig, &blob, blob.size) < 0);
    CU_ASSERT(strstr(rig->err.text, "no saved state") != NULL);
    free(blob.data);
    rig_destroy(rig);
    free(rig);
}

/* Bytes before the memory's. */
static size_t blob_head(const struct rig *rig, const struct blob *blob)
{
    static const uint8_t zero[MEM_PAGE_SIZE];
    size_t memory = 2 * 8; /* the two marks at the end */

    for (unsigned i = 0; i < rig->vm.mem.nslots; i++)
        for (uint64_t at = 0; at < rig->vm.mem.slot[i].size; at += MEM_PAGE_SIZE)
            if (memcmp(rig->vm.mem.slot[i].host + at, zero, MEM_PAGE_SIZE) != 0)
                memory += 8 + MEM_PAGE_SIZE;
    return blob->size - memory;
}

/* A machine in a state that the program has made interesting. */
static struct blob blob_make(struct rig *rig, const struct program *p)
{
    rig_make(rig, p, 40);
    vm_run(&rig->vm, &rig->err);
    return rig_save(rig);
}

static void test_truncated(void)
{
    struct program p;
    struct rig *rig = malloc(sizeof(*rig));
    struct blob blob;
    size_t head, refused = 0, tried = 0;

    program_two_harts(&p);
    blob = blob_make(rig, &p);
    head = blob_head(rig, &blob);
    for (size_t size = 0; size < blob.size; size += size < head ? 1 : 509) {
        uint8_t *copy = malloc(size + 1); /* so that a sanitizer sees a byte too far */
        struct blob cut = {copy, size};

        memcpy(copy, blob.data, size);
        tried++;
        refused += rig_load(rig, &cut, size) < 0;
        free(copy);
    }
    CU_ASSERT_EQUAL(refused, tried);
    CU_ASSERT(tried > 2000);
    CU_ASSERT_EQUAL(rig_load(rig, &blob, blob.size), 0);
    free(blob.data);
    rig_destroy(rig);
    free(rig);
}

/* What was loaded may be nonsense, but it is a machine: it can be saved, and it runs. */
static void check_well_formed(struct rig *rig)
{
    struct hart *hart = &rig->vm.hart[0];
    struct blob blob = rig_save(rig);

    rig->vm.stop = (struct vm_stop){.cause = CAUSE_NONE, .hart = -1};
    atomic_store(&rig->vm.stopping, false);
    atomic_store(&hart->requests, 0);
    rig->vm.engine->set_step_limit(hart, rig->vm.engine->steps(hart) + 50);
    if (hart_ready(hart))
        hart_run(hart);
    free(blob.data);
}

static void test_flipped(void)
{
    struct program p;
    struct rig *rig = malloc(sizeof(*rig));
    struct blob blob;
    size_t head, loaded = 0;

    program_two_harts(&p);
    blob = blob_make(rig, &p);
    head = blob_head(rig, &blob);
    for (size_t i = 0; i < head; i++) {
        blob.data[i] ^= (uint8_t)(1u << i * 5 % 8);
        if (rig_load(rig, &blob, blob.size) == 0) {
            check_well_formed(rig);
            loaded++;
        } else {
            CU_ASSERT_NOT_EQUAL(rig->err.text[0], '\0');
        }
        blob.data[i] ^= (uint8_t)(1u << i * 5 % 8);
    }
    CU_ASSERT(loaded > 100 && loaded < head);
    free(blob.data);
    rig_destroy(rig);
    free(rig);
}

/* States that would lead the engine astray are refused whatever the checks before it say. */
static void test_illegal_hart(void)
{
    struct machine *m = malloc(sizeof(*m));
    const struct engine *engine = &engine_interp;
    struct hart_state state;

    machine_init(m, START_FIRMWARE, 1);
    state = m->s;
    CU_ASSERT_EQUAL(engine->state_set(&m->vm.hart[0], &state), 0);
    state.priv = 2;
    CU_ASSERT_EQUAL(engine->state_set(&m->vm.hart[0], &state), -EINVAL);
    state = m->s;
    state.mstatus |= 2ull << RV_MPP_SHIFT;
    CU_ASSERT_EQUAL(engine->state_set(&m->vm.hart[0], &state), -EINVAL);
    for (uint64_t mode = 0; mode < 16; mode++) {
        state = m->s;
        state.satp = mode << 60;
        CU_ASSERT_EQUAL(engine->state_set(&m->vm.hart[0], &state),
                        mode == 0 || (mode >= 8 && mode <= 10) ? 0 : -EINVAL);
    }
    state = m->s;
    state.pc |= 1;
    state.stvec |= 3;
    CU_ASSERT_EQUAL(engine->state_set(&m->vm.hart[0], &state), 0);
    engine->state_get(&m->vm.hart[0], &state);
    CU_ASSERT_EQUAL(state.pc, m->s.pc);
    CU_ASSERT_EQUAL(state.stvec, m->s.stvec);
    machine_destroy(m);
    free(m);
}

/* --- the file --- */

static void test_file(void)
{
    struct program p;
    struct rig *rig = malloc(sizeof(*rig));
    char path[] = "/tmp/tollgate-state-XXXXXX";
    struct blob before, after;
    int fd = mkstemp(path);

    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    program_reservations(&p);
    rig_make(rig, &p, 10);
    before = rig_save(rig);
    CU_ASSERT_EQUAL(snapshot_save(&rig->vm, path, &rig->err), 0);
    vm_run(&rig->vm, &rig->err);
    CU_ASSERT_EQUAL(snapshot_load(&rig->vm, path, &rig->err), 0);
    after = rig_save(rig);
    CU_ASSERT(blob_equal(&before, &after));
    unlink(path);
    CU_ASSERT(snapshot_load(&rig->vm, path, &rig->err) < 0);
    CU_ASSERT_EQUAL(rig->err.status, STATUS_NO_INPUT);
    rig->err = (struct error){.status = STATUS_OK};
    CU_ASSERT(snapshot_save(&rig->vm, "/nonexistent/state", &rig->err) < 0);
    CU_ASSERT_EQUAL(rig->err.status, STATUS_CANT_CREATE);
    free(before.data);
    free(after.data);
    rig_destroy(rig);
    free(rig);
}

void snapshot_file_tests(CU_pSuite suite)
{
    CU_add_test(suite, "a wrong configuration is named", test_wrong_configuration);
    CU_add_test(suite, "cut-off files are refused", test_truncated);
    CU_add_test(suite, "damaged files: an error or a machine", test_flipped);
    CU_add_test(suite, "harts that cannot be", test_illegal_hart);
    CU_add_test(suite, "files", test_file);
}
