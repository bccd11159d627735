/* snapshot_rig.c: small guests in machines that are saved and loaded. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/snapshot_rig.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "vmm/engine/interp/engine.h"
#include "vmm/snapshot.h"

/* --- programs --- */

void emit(struct program *p, uint32_t word)
{
    if (p->n == CODE_MAX)
        abort();
    p->code[p->n++] = word;
}

void emit_li(struct program *p, unsigned rd, uint32_t value)
{
    emit(p, AS_U(lui, rd, (value + 0x800) >> 12));
    emit(p, AS_I(addiw, rd, rd, (int)(value << 20) >> 20));
}

void emit_la(struct program *p, unsigned rd, int offset)
{
    int from = (int)(4 * p->n), distance = offset - from;

    emit(p, AS_U(auipc, rd, (uint32_t)(distance + 0x800) >> 12));
    emit(p, AS_I(addi, rd, rd, (int)((uint32_t)distance << 20) >> 20));
}

void emit_call(struct program *p, uint32_t ext, unsigned fn)
{
    emit_li(p, A7, ext);
    emit_li(p, A6, fn);
    emit(p, AS_N(ecall));
}

void emit_exit(struct program *p, unsigned status)
{
    emit_li(p, A0, status);
    emit_call(p, TG_EXT_EXIT, TG_EXIT_STOP);
}

void emit_while(struct program *p, unsigned reg, unsigned to)
{
    emit(p, AS_B(bne, reg, ZERO, 4 * ((int)to - (int)p->n)));
}

void emit_increments(struct program *p, unsigned times)
{
    unsigned loop;

    emit_la(p, S0, RIG_DATA - RIG_CODE);
    emit_li(p, T2, times);
    loop = p->n;
    emit(p, AS_R(lr_d, T0, S0, 0));
    emit(p, AS_I(addi, T0, T0, 1));
    emit(p, AS_NOP);
    emit(p, AS_R(sc_d, T1, S0, T0));
    emit_while(p, T1, loop);
    emit(p, AS_I(addi, T2, T2, -1));
    emit_while(p, T2, loop);
}

void program_reservations(struct program *p)
{
    *p = (struct program){.nharts = 1};
    emit_increments(p, 3);
    /* The last word of memory, where a doubleword has no room. */
    emit_la(p, S1, RIG_RAM - 0x200000 - 4);
    emit(p, AS_R(lr_w, T0, S1, 0));
    emit(p, AS_I(addi, T0, T0, 1));
    emit(p, AS_R(sc_w, T1, S1, T0));
    emit_exit(p, 7);
}

void program_two_harts(struct program *p)
{
    unsigned start_at, spin;

    *p = (struct program){.nharts = 2};
    emit_li(p, A0, 1);
    start_at = p->n;
    emit_la(p, A1, 0); /* mended below */
    emit_li(p, A2, 5);
    emit_call(p, SBI_EXT_HSM, SBI_HSM_HART_START);
    emit_increments(p, 2);
    spin = p->n;
    emit(p, AS_I(ld, T0, S0, 8));
    emit(p, AS_B(beq, T0, ZERO, 4 * ((int)spin - (int)p->n)));
    emit_exit(p, 9);

    struct program head = {.n = start_at};
    emit_la(&head, A1, (int)(4 * p->n));
    memcpy(&p->code[start_at], &head.code[start_at], 8);
    emit_increments(p, 2);
    emit(p, AS_S(sd, A1, S0, 8));
    emit_call(p, SBI_EXT_HSM, SBI_HSM_HART_STOP);
}

/* --- rigs --- */

/* As a module of the build's list would be, behind all others. */
static void rig_add(struct rig *rig, const struct module *module)
{
    struct vm *vm = &rig->vm;
    struct module_instance *grown =
        realloc(vm->instance, (vm->ninstances + 1) * sizeof(*vm->instance));

    if (!grown)
        abort();
    vm->instance = grown;
    grown[vm->ninstances] = (struct module_instance){.module = module, .vm = vm};
    if (module->create(&grown[vm->ninstances], &rig->err) != 0)
        abort();
    vm->ninstances++;
    call_index_destroy(vm);
    if (call_index_build(vm, &rig->err) != 0)
        abort();
}

void rig_config(struct rig *rig, const struct program *p)
{
    size_t size = p->n * sizeof(p->code[0]);

    memset(rig, 0, sizeof(*rig));
    mock_host_init(&rig->mock);
    rig->fd = memfd_create("rig", MFD_CLOEXEC);
    if (rig->fd < 0 || write(rig->fd, p->code, size) != (ssize_t)size)
        abort();
    snprintf(rig->path, sizeof(rig->path), "/proc/self/fd/%d", rig->fd);
    rig->config = (struct vm_config){
        .host = &rig->mock.host,
        .engine = &engine_interp,
        .start = p->start,
        .image = rig->path,
        .raw = true,
        .mem_size = RIG_RAM,
        .nharts = p->nharts,
        .max_steps = UINT64_MAX,
        .deterministic = true,
        .console = p->input ? CONSOLE_SBI : CONSOLE_NONE,
        .in_fd = p->input ? 1000 : -1, /* the mock reads from any; this is no terminal */
        .out_fd = 1000,
    };
}

void rig_create(struct rig *rig, const struct program *p)
{
    if (vm_create(&rig->vm, &rig->config, &rig->err) != 0) {
        fprintf(stderr, "rig: %s\n", rig->err.text);
        abort();
    }
    if (p->module)
        rig_add(rig, p->module);
}

void rig_make(struct rig *rig, const struct program *p, uint64_t max_steps)
{
    rig_config(rig, p);
    rig->config.max_steps = max_steps;
    rig_create(rig, p);
    if (p->input) {
        mock_read_text(&rig->mock, p->input);
        for (unsigned i = 0; i < 3; i++) /* an end stays one, however often it is read */
            mock_read_result(&rig->mock, 0);
    }
}

void rig_destroy(struct rig *rig)
{
    vm_destroy(&rig->vm);
    close(rig->fd);
    mock_host_destroy(&rig->mock);
}

uint64_t rig_steps(const struct rig *rig)
{
    uint64_t steps = 0;

    for (unsigned i = 0; i < rig->vm.nharts; i++)
        steps += rig->vm.hart[i].steps;
    return steps;
}

struct blob rig_save(struct rig *rig)
{
    struct blob blob = {NULL, 0};

    CU_ASSERT_EQUAL_FATAL(snapshot_save_bytes(&rig->vm, &blob.data, &blob.size, &rig->err), 0);
    return blob;
}

bool blob_equal(const struct blob *a, const struct blob *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

int rig_load(struct rig *rig, const struct blob *blob, size_t size)
{
    rig->err = (struct error){.status = STATUS_OK};
    return snapshot_load_bytes(&rig->vm, blob->data, size, &rig->err);
}
