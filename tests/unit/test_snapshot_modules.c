/* test_snapshot_modules.c: what each module saves, loaded into another instance of it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "devices/virtio_mmio.h"
#include "guest/abi/sbi.h"
#include "tests/unit/fixture.h"
#include "tests/unit/machine.h"
#include "tests/unit/snapshot.h"
#include "vmm/irq.h"

extern const struct module module_plic, module_uart16550a, module_virtio_console, module_clint,
    module_htif, module_finisher, module_cfi_flash, module_goldfish_rtc, module_doorbell,
    module_tg_console;

/* --- bytes --- */

static void bytes_write(struct state_writer *w, const void *data, size_t len)
{
    struct bytes *b = (struct bytes *)w;

    if (BYTES_MAX - b->len < len)
        abort();
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_init(struct bytes *b)
{
    memset(b, 0, sizeof(*b));
    b->w.write = bytes_write;
}

void bytes_save(struct bytes *b, const struct module_instance *inst)
{
    bytes_init(b);
    inst->module->save(inst->self, &b->w);
    CU_ASSERT_EQUAL(b->w.error, 0);
}

bool bytes_load(const struct bytes *b, size_t len, const struct module_instance *inst)
{
    uint8_t *copy = malloc(len + 1); /* so that a sanitizer sees a byte too far */
    struct state_reader r = {.data = copy, .len = len};

    memcpy(copy, b->data, len);
    inst->module->load(inst->self, &r);
    free(copy);
    return r.error == 0 && r.len == 0;
}

bool bytes_equal(const struct bytes *a, const struct bytes *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void fail_write(struct state_writer *w, const void *data, size_t len)
{
    (void)data;
    (void)len;
    w->error = -ENOSPC;
}

static void test_writer(void)
{
    static const uint8_t little[8] = {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
    struct state_writer w = {.write = fail_write};
    struct bytes *b = malloc(sizeof(*b));

    bytes_init(b);
    state_put_u64(&b->w, 0x0123456789abcdef);
    state_put(&b->w, NULL, 0);
    CU_ASSERT_EQUAL(b->len, 8);
    CU_ASSERT_EQUAL(memcmp(b->data, little, 8), 0);

    state_put_u64(&w, 1);
    CU_ASSERT_EQUAL(w.error, -ENOSPC);
    w.write = NULL; /* nothing is written after a failure */
    state_put_u64(&w, 1);
    CU_ASSERT_EQUAL(w.error, -ENOSPC);
    free(b);
}

static void test_reader(void)
{
    static const uint8_t data[17] = {1, 0, 0, 0, 0, 0, 0, 0x80, 7};
    struct state_reader r = {.data = data, .len = sizeof(data)};
    uint8_t got[4] = {9, 9, 9, 9};

    CU_ASSERT_EQUAL(state_get_u64(&r), 0x8000000000000001);
    CU_ASSERT_EQUAL(state_get_max(&r, 7), 7);
    CU_ASSERT_EQUAL(r.len, 1);
    state_get(&r, got, 0);
    CU_ASSERT_EQUAL(r.error, 0);
    state_get(&r, got, 2); /* one byte too many: none is given */
    CU_ASSERT_EQUAL(r.error, -EINVAL);
    CU_ASSERT_EQUAL(got[0] + got[1], 0);
    CU_ASSERT_EQUAL(r.len, 1);
    state_get(&r, got, 1);
    CU_ASSERT_EQUAL(state_get_u64(&r), 0);
    CU_ASSERT_EQUAL(state_get_max(&r, 5), 0);

    r = (struct state_reader){.data = data, .len = sizeof(data)};
    CU_ASSERT_EQUAL(state_get_max(&r, 0x8000000000000000), 0);
    CU_ASSERT_EQUAL(r.error, -EINVAL);
    r = (struct state_reader){.data = NULL, .len = 0};
    CU_ASSERT_EQUAL(state_get_u64(&r), 0);
    CU_ASSERT_EQUAL(r.error, -EINVAL);
}

/* --- two VMs with the same modules --- */

static struct fixture fix[2];
static struct bytes saved, again;

static void fix_init(enum start_kind start, enum console_input input,
                     const struct module *const *modules, size_t n)
{
    for (unsigned i = 0; i < 2; i++) {
        fixture_init(&fix[i], start, 2, input);
        for (size_t m = 0; m < n; m++)
            CU_ASSERT_EQUAL_FATAL(fixture_add(&fix[i], modules[m], NULL, NULL), 0);
    }
}

#define FIX_INIT(start, input, ...)                                                            \
    fix_init(start, input, (const struct module *const[]){__VA_ARGS__},                        \
             sizeof((const struct module *const[]){__VA_ARGS__}) / sizeof(struct module *))

static void fix_destroy(void)
{
    for (unsigned i = 0; i < 2; i++)
        fixture_destroy(&fix[i]);
}

static void both_write(gpa_t gpa, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < 2; i++)
        fixture_write(&fix[i], gpa, size, value);
}

static uint64_t both_read(gpa_t gpa, unsigned size)
{
    uint64_t a = fixture_read(&fix[0], gpa, size), b = fixture_read(&fix[1], gpa, size);

    CU_ASSERT_EQUAL(a, b);
    return a;
}

/* Saves module `at` of the first VM, loads it in the second; a second save is the same. */
static void carry(unsigned at)
{
    bytes_save(&saved, &fix[0].inst[at]);
    CU_ASSERT(bytes_load(&saved, saved.len, &fix[1].inst[at]));
    bytes_save(&again, &fix[1].inst[at]);
    CU_ASSERT(bytes_equal(&saved, &again));
}

/*
 * Whatever is missing is noticed; whatever is changed gives an error or an instance that can be
 * saved, and the right bytes bring it back. `use` touches the instance as a guest would.
 */
static void damage(unsigned at, void (*use)(struct fixture *f))
{
    const struct module_instance *inst = &fix[1].inst[at];
    size_t refused = 0;

    bytes_save(&saved, &fix[0].inst[at]);
    for (size_t len = 0; len < saved.len; len++)
        refused += !bytes_load(&saved, len, inst);
    CU_ASSERT_EQUAL(refused, saved.len);
    for (size_t bit = 0; bit < 8 * saved.len; bit += 1 + (saved.len > 1000) * 12) {
        saved.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)bytes_load(&saved, saved.len, inst);
        bytes_save(&again, inst);
        use(&fix[1]);
        saved.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CU_ASSERT(bytes_load(&saved, saved.len, inst));
    bytes_save(&again, inst);
    CU_ASSERT(bytes_equal(&saved, &again));
}

/* --- PLIC --- */

#define PRIORITY(n)  (PLAT_PLIC_BASE + 4 * (n))
#define PENDING      (PLAT_PLIC_BASE + 0x1000)
#define ENABLE(ctx)  (PLAT_PLIC_BASE + 0x2000 + 0x80 * (ctx))
#define CONTEXT(ctx) (PLAT_PLIC_BASE + 0x200000 + 0x1000 * (ctx))
#define CLAIM(ctx)   (CONTEXT(ctx) + 4)

static void use_plic(struct fixture *f)
{
    (void)fixture_read(f, CLAIM(1), 4);
    fixture_write(f, CLAIM(1), 4, 3);
    irq_set(&f->vm, 40, true);
    irq_set(&f->vm, 40, false);
}

static void test_plic_state(void)
{
    FIX_INIT(START_FIRMWARE, CONSOLE_NONE, &module_plic);
    struct vm *vm = &fix[0].vm;
    fixture_write(&fix[0], PRIORITY(3), 4, 2);
    fixture_write(&fix[0], PRIORITY(40), 4, 7);
    fixture_write(&fix[0], PRIORITY(95), 4, 5);
    for (unsigned ctx = 0; ctx < 4; ctx++) {
        fixture_write(&fix[0], ENABLE(ctx), 4, 1u << 3);
        fixture_write(&fix[0], ENABLE(ctx) + 4, 4, 1u << 8);
        fixture_write(&fix[0], ENABLE(ctx) + 8, 4, ctx < 3 ? 1u << 31 : 0);
    }
    fixture_write(&fix[0], CONTEXT(2), 4, 6);
    irq_set(vm, 3, true);
    irq_set(vm, 40, true);
    CU_ASSERT_EQUAL(fixture_read(&fix[0], CLAIM(1), 4), 40); /* claimed, and still high */
    irq_set(vm, 95, true);
    irq_set(vm, 95, false); /* pending all the same */

    /* The other one's outputs are all wrong before. */
    fixture_write(&fix[1], PRIORITY(1), 4, 7);
    fixture_write(&fix[1], ENABLE(2), 4, 2);
    irq_set(&fix[1].vm, 1, true);
    CU_ASSERT(fix[1].irq[1][IRQ_M_EXT]);
    carry(0);
    for (unsigned hart = 0; hart < 2; hart++)
        CU_ASSERT_EQUAL(memcmp(fix[0].irq[hart], fix[1].irq[hart], sizeof(fix[0].irq[0])), 0);
    CU_ASSERT(fix[1].irq[0][IRQ_S_EXT] && !fix[1].irq[1][IRQ_M_EXT]);
    for (unsigned word = 0; word < 3; word++)
        (void)both_read(PENDING + 4 * word, 4);
    CU_ASSERT_EQUAL(both_read(CONTEXT(2), 4), 6);
    CU_ASSERT_EQUAL(both_read(CLAIM(0), 4), 95);
    CU_ASSERT_EQUAL(both_read(CLAIM(0), 4), 3);
    CU_ASSERT_EQUAL(both_read(CLAIM(0), 4), 0);
    both_write(CLAIM(1), 4, 40); /* the wire is still up: again */
    CU_ASSERT_EQUAL(both_read(CLAIM(1), 4), 40);
    damage(0, use_plic);
    fix_destroy();
}

/* --- UART --- */

#define UART(reg) (PLAT_UART_BASE + (reg))

static void use_uart(struct fixture *f)
{
    for (unsigned reg = 0; reg < 8; reg++)
        (void)fixture_read(f, UART(reg), 1);
    fixture_write(f, UART(0), 1, 'x');
    f->mock.out_len = 0;
}

static void test_uart_state(void)
{
    FIX_INIT(START_KERNEL, CONSOLE_SERIAL, &module_plic, &module_uart16550a);
    fixture_write(&fix[0], UART(3), 1, 0x83);
    fixture_write(&fix[0], UART(0), 1, 2); /* divisor latch */
    fixture_write(&fix[0], UART(1), 1, 1);
    fixture_write(&fix[0], UART(3), 1, 0x03);
    fixture_write(&fix[0], UART(7), 1, 0x5a);
    fixture_write(&fix[0], UART(2), 1, 0x81); /* FIFOs on, trigger 8 */
    fixture_write(&fix[0], UART(4), 1, 0x1b); /* loopback */
    for (unsigned i = 0; i < 20; i++)         /* around the FIFO, then more than it holds */
        fixture_write(&fix[0], UART(0), 1, 'a' + i);
    for (unsigned i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(fixture_read(&fix[0], UART(0), 1), 'a' + i);
    for (unsigned i = 0; i < 2; i++)
        fixture_write(&fix[0], UART(0), 1, 'A' + i);
    fixture_write(&fix[0], UART(1), 1, 0x0f);
    carry(0); /* as a whole machine would be loaded, in order */
    carry(1);
    for (unsigned i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(fixture_read(&fix[i], PENDING, 4), 1u << PLAT_UART_IRQ);
    CU_ASSERT_EQUAL(both_read(UART(5), 1) & 0x03, 0x03); /* data, and the overrun */
    for (unsigned i = 0; i < 16; i++)
        for (unsigned reg = 7; reg != UINT32_MAX; reg--) /* the receive register last */
            (void)both_read(UART(reg), 1);
    CU_ASSERT_EQUAL(both_read(UART(5), 1) & 0x01, 0);
    both_write(UART(3), 1, 0x80);
    CU_ASSERT_EQUAL(both_read(UART(0), 1), 2);
    CU_ASSERT_EQUAL(both_read(UART(1), 1), 1);
    damage(1, use_uart);
    fix_destroy();
}

/* A port whose interrupt is up because of what was typed. */
static void test_uart_input(void)
{
    struct bytes *con = malloc(sizeof(*con));

    FIX_INIT(START_KERNEL, CONSOLE_SERIAL, &module_plic, &module_uart16550a);
    fixture_write(&fix[0], UART(1), 1, 1);
    fixture_type(&fix[0], "typed");
    CU_ASSERT_EQUAL(fixture_read(&fix[0], UART(0), 1), 't');
    bytes_init(con);
    console_save(&fix[0].vm.console, &con->w);
    struct state_reader r = {.data = con->data, .len = con->len};
    console_load(&fix[1].vm.console, &r);
    CU_ASSERT_EQUAL(r.error, 0);
    CU_ASSERT_EQUAL(r.len, 0);
    carry(0);
    carry(1);
    for (const char *c = "yped"; *c; c++)
        CU_ASSERT_EQUAL(both_read(UART(0), 1), (uint64_t)*c);
    CU_ASSERT_EQUAL(both_read(PENDING, 4), 1u << PLAT_UART_IRQ); /* rose once, not claimed */
    CU_ASSERT_EQUAL(both_read(UART(5), 1) & 1, 0);
    free(con);
    fix_destroy();
}

/* --- console --- */

/* The next Ctrl-D comes as long after the load as it would have come after the save. */
static void test_console_state(void)
{
    FIX_INIT(START_KERNEL, CONSOLE_SBI, &module_finisher);
    struct console *a = &fix[0].vm.console, *b = &fix[1].vm.console;
    struct bytes *bytes = malloc(sizeof(*bytes));
    uint8_t byte = 0;

    mock_advance(&fix[1].mock, 5000000000u); /* another host's clock */
    CU_ASSERT(console_poll(a));              /* the end of the input, and Ctrl-D */
    CU_ASSERT_EQUAL(console_read(a, CONSOLE_SBI, &byte, 1), 1);
    CU_ASSERT_EQUAL(byte, 4);
    mock_advance(&fix[0].mock, CONSOLE_EOF_NS / 4);
    bytes_init(bytes);
    console_save(a, &bytes->w);
    struct state_reader r = {.data = bytes->data, .len = bytes->len};
    console_load(b, &r);
    CU_ASSERT_EQUAL(r.error, 0);
    CU_ASSERT_EQUAL(console_due(a) - fix[0].mock.now_ns, CONSOLE_EOF_NS * 3 / 4);
    b->in_fd = a->in_fd;
    CU_ASSERT_EQUAL(console_due(b) - fix[1].mock.now_ns, CONSOLE_EOF_NS * 3 / 4);
    for (size_t len = 0; len < bytes->len; len++) {
        r = (struct state_reader){.data = bytes->data, .len = len};
        console_load(b, &r);
        CU_ASSERT_EQUAL(r.error, -EINVAL);
    }
    memset(bytes->data, 0xff, 8); /* more input than there is room for */
    r = (struct state_reader){.data = bytes->data, .len = bytes->len};
    console_load(b, &r);
    CU_ASSERT_EQUAL(r.error, -EINVAL);
    CU_ASSERT_EQUAL(console_pending(b, CONSOLE_SBI), 0);
    free(bytes);
    fix_destroy();
}

/* --- CLINT --- */

static void use_clint(struct fixture *f)
{
    (void)fixture_read(f, PLAT_CLINT_BASE + 0x4000, 8);
}

static uint64_t mtimer[2][FIXTURE_HARTS_MAX];

static void note_mtimer(struct hart *hart, uint64_t ticks)
{
    mtimer[hart->vm == &fix[1].vm][hart->index] = ticks;
}

static void test_clint_state(void)
{
    FIX_INIT(START_FIRMWARE, CONSOLE_NONE, &module_clint);
    for (unsigned i = 0; i < 2; i++)
        fix[i].engine.set_mtimer = note_mtimer;
    fixture_write(&fix[0], PLAT_CLINT_BASE + 4, 4, 1);
    fixture_write(&fix[0], PLAT_CLINT_BASE + 0x4008, 8, 0x123456789abc);
    fixture_write(&fix[1], PLAT_CLINT_BASE, 4, 1);
    carry(0);
    CU_ASSERT(!fix[1].irq[0][IRQ_M_SOFT] && fix[1].irq[1][IRQ_M_SOFT]);
    CU_ASSERT_EQUAL(both_read(PLAT_CLINT_BASE + 4, 4), 1);
    CU_ASSERT_EQUAL(both_read(PLAT_CLINT_BASE + 0x4008, 8), 0x123456789abc);
    CU_ASSERT_EQUAL(mtimer[1][1], 0x123456789abc);
    CU_ASSERT_EQUAL(mtimer[1][0], UINT64_MAX);
    damage(0, use_clint);
    fix_destroy();
}

/* --- HTIF --- */

#define TOHOST (FIXTURE_RAM + 0x3040)

static void use_htif(struct fixture *f)
{
    (void)fixture_read(f, TOHOST, 8);
}

static void test_htif_state(void)
{
    for (unsigned i = 0; i < 2; i++) {
        fixture_init(&fix[i], START_FIRMWARE, 2, CONSOLE_NONE);
        fix[i].vm.image.tohost = TOHOST;
        CU_ASSERT_EQUAL(fixture_add(&fix[i], &module_htif, NULL, NULL), 0);
    }
    fixture_write(&fix[0], TOHOST, 8, UINT64_C(0x0101) << 48 | 'h');
    fixture_write(&fix[0], TOHOST + 0x40, 8, 77); /* fromhost */
    fixture_write(&fix[0], TOHOST, 4, 0x20);      /* half a command */
    fixture_write(&fix[0], TOHOST + 0x800, 8, 99);
    carry(0);
    CU_ASSERT_EQUAL(both_read(TOHOST, 8), 0x20);
    CU_ASSERT_EQUAL(both_read(TOHOST + 0x40, 8), 77);
    CU_ASSERT_EQUAL(both_read(TOHOST + 0x800, 8), 99);
    both_write(TOHOST + 4, 4, 0x01010000); /* completes it */
    CU_ASSERT(fixture_printed(&fix[0], "h "));
    CU_ASSERT(fixture_printed(&fix[1], " "));
    damage(0, use_htif);
    fixture_destroy(&fix[1]);

    /* Another image's tohost; and none at all. */
    for (unsigned i = 0; i < 2; i++) {
        fixture_init(&fix[1], START_FIRMWARE, 2, CONSOLE_NONE);
        fix[1].vm.image.tohost = i * (TOHOST + 8);
        CU_ASSERT_EQUAL(fixture_add(&fix[1], &module_htif, NULL, NULL), 0);
        bytes_save(&saved, &fix[0].inst[0]);
        CU_ASSERT_FALSE(bytes_load(&saved, saved.len, &fix[1].inst[0]));
        bytes_save(&saved, &fix[1].inst[0]);
        CU_ASSERT(bytes_load(&saved, saved.len, &fix[1].inst[0]));
        if (i == 0)
            fixture_destroy(&fix[1]);
    }
    fix_destroy();
}

/* --- virtio console --- */

#define VREG(reg)  (PLAT_VIRTIO_BASE + (reg))
#define V_NUM      0x038
#define V_READY    0x044
#define V_NOTIFY   0x050
#define V_ISR      0x060
#define V_STATUS   0x070
#define V_SEL      0x030
#define V_ENTRIES  8u
#define RING(q)    (FIXTURE_RAM + 0x1000 * ((q) + 1))
#define BUFFER     (FIXTURE_RAM + 0x20000)
#define V_FEATURES (UINT64_C(2) | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX)

static void vpoke(struct fixture *f, gpa_t gpa, uint64_t value, size_t size)
{
    CU_ASSERT_EQUAL(mem_write(&f->vm.mem, gpa, &value, size), 0);
}

static uint64_t vpeek(struct fixture *f, gpa_t gpa, size_t size)
{
    uint64_t value = 0;

    CU_ASSERT_EQUAL(mem_read(&f->vm.mem, gpa, &value, size), 0);
    return value;
}

static void vput(struct fixture *f, unsigned reg, uint32_t value)
{
    fixture_write(f, VREG(reg), 4, value);
}

/* Four queues, MULTIPORT and EVENT_IDX accepted, as a driver does it. */
static void virtio_start(struct fixture *f)
{
    vput(f, V_STATUS, 3);
    vput(f, 0x024, 0);
    vput(f, 0x020, (uint32_t)V_FEATURES);
    vput(f, 0x024, 1);
    vput(f, 0x020, (uint32_t)(V_FEATURES >> 32));
    vput(f, V_STATUS, 3 | 8);
    for (unsigned q = 0; q < 4; q++) {
        vput(f, V_SEL, q);
        vput(f, V_NUM, V_ENTRIES);
        vput(f, 0x080, (uint32_t)RING(q));
        vput(f, 0x090, (uint32_t)RING(q) + 0x400);
        vput(f, 0x0a0, (uint32_t)RING(q) + 0x800);
        vput(f, V_READY, 1);
    }
    vput(f, V_STATUS, 3 | 8 | 4);
}

/* Offers buffer `n` of queue q, 64 bytes of memory, as entry `idx` of the ring. */
static void virtio_offer(struct fixture *f, unsigned q, unsigned n, uint16_t idx, uint32_t len,
                         bool write)
{
    vpoke(f, RING(q) + 16 * n, BUFFER + 0x1000 * q + 64 * n, 8);
    vpoke(f, RING(q) + 16 * n + 8, len, 4);
    vpoke(f, RING(q) + 16 * n + 12, write ? 2 : 0, 4);
    vpoke(f, RING(q) + 0x404 + 2 * (idx % V_ENTRIES), n, 2);
    vpoke(f, RING(q) + 0x402, (uint16_t)(idx + 1), 2);
}

static void virtio_send(struct fixture *f, unsigned q, uint16_t idx, const void *data,
                        uint32_t len)
{
    CU_ASSERT_EQUAL(mem_write(&f->vm.mem, BUFFER + 0x1000 * q, data, len), 0);
    virtio_offer(f, q, 0, idx, len, false);
    vput(f, V_NOTIFY, q);
}

static void use_virtio(struct fixture *f)
{
    for (unsigned reg = 0; reg < 0x100; reg += 4)
        (void)fixture_read(f, VREG(reg), 4);
    for (unsigned q = 0; q < 4; q++)
        vput(f, V_NOTIFY, q);
    fixture_type(f, "z");
    uint8_t byte;
    while (console_read(&f->vm.console, CONSOLE_VIRTIO, &byte, 1) > 0)
        ;
    f->mock.out_len = 0;
}

static void test_virtio_state(void)
{
    static const uint8_t port_ready[8] = {[4] = 3, [6] = 1};
    static const uint8_t port_open[8] = {[4] = 6, [6] = 1};

    FIX_INIT(START_KERNEL, CONSOLE_VIRTIO, &module_plic, &module_virtio_console);
    virtio_start(&fix[0]);
    virtio_send(&fix[0], 3, 0, port_ready, 8); /* two answers wait for buffers */
    virtio_offer(&fix[0], 2, 1, 0, 64, true);  /* there is one */
    vput(&fix[0], V_NOTIFY, 2);
    virtio_send(&fix[0], 3, 1, port_open, 8);
    virtio_send(&fix[0], 1, 0, "early ", 6);
    CU_ASSERT(fixture_printed(&fix[0], "early "));
    virtio_offer(&fix[0], 0, 2, 0, 64, true); /* a buffer waits for input */
    vput(&fix[0], V_NOTIFY, 0);
    vput(&fix[0], V_SEL, 2);

    memcpy(mem_ptr(&fix[1].vm.mem, FIXTURE_RAM, FIXTURE_RAM_SIZE),
           mem_ptr(&fix[0].vm.mem, FIXTURE_RAM, FIXTURE_RAM_SIZE), FIXTURE_RAM_SIZE);
    carry(0);
    carry(1);
    CU_ASSERT_EQUAL(both_read(VREG(V_ISR), 4), 1);
    CU_ASSERT_EQUAL(both_read(VREG(V_STATUS), 4), 15);
    CU_ASSERT_EQUAL(both_read(VREG(V_READY), 4), 1);
    both_write(VREG(0x064), 4, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct fixture *f = &fix[i];

        /* Input into the buffer that waited, output, and the second answer. */
        fixture_type(f, "input");
        CU_ASSERT_EQUAL(vpeek(f, BUFFER + 64 * 2, 5), 0x7475706e69);
        CU_ASSERT_EQUAL(vpeek(f, RING(0) + 0x802, 2), 1);
        virtio_send(f, 1, 1, "late", 4);
        CU_ASSERT(fixture_printed(f, "late"));
        CU_ASSERT_EQUAL(vpeek(f, RING(1) + 0x802, 2), 2);
        virtio_offer(f, 2, 3, 1, 64, true);
        vput(f, V_NOTIFY, 2);
        CU_ASSERT_EQUAL(vpeek(f, RING(2) + 0x802, 2), 2);
        CU_ASSERT_EQUAL(vpeek(f, BUFFER + 0x2000 + 64 * 3 + 4, 1), 6);
    }
    CU_ASSERT_EQUAL(memcmp(mem_ptr(&fix[1].vm.mem, FIXTURE_RAM, FIXTURE_RAM_SIZE),
                           mem_ptr(&fix[0].vm.mem, FIXTURE_RAM, FIXTURE_RAM_SIZE),
                           FIXTURE_RAM_SIZE),
                    0);
    damage(1, use_virtio);
    fix_destroy();
}

/* A driver that broke the rules stays broken until it resets the device. */
static void test_virtio_broken(void)
{
    FIX_INIT(START_KERNEL, CONSOLE_VIRTIO, &module_plic, &module_virtio_console);
    virtio_start(&fix[0]);
    vpoke(&fix[0], RING(1) + 0x402, V_ENTRIES + 1, 2); /* more entries than there are */
    vput(&fix[0], V_NOTIFY, 1);
    CU_ASSERT_EQUAL(fixture_read(&fix[0], VREG(V_STATUS), 4), 15 | 0x40);
    carry(1);
    CU_ASSERT_EQUAL(both_read(VREG(V_STATUS), 4), 15 | 0x40);
    CU_ASSERT_EQUAL(both_read(VREG(V_ISR), 4), 2);
    virtio_send(&fix[1], 1, 0, "x", 1);
    CU_ASSERT(fixture_printed(&fix[1], ""));
    damage(1, use_virtio);
    fix_destroy();
}

/* Another slot is another machine. */
static void test_virtio_slot(void)
{
    for (unsigned i = 0; i < 2; i++) {
        fixture_init(&fix[i], START_KERNEL, 1, CONSOLE_VIRTIO);
        CU_ASSERT_EQUAL(
            fixture_add(&fix[i], &module_virtio_console, "slot", i == 0 ? "2" : "3"), 0);
    }
    bytes_save(&saved, &fix[0].inst[0]);
    CU_ASSERT_FALSE(bytes_load(&saved, saved.len, &fix[1].inst[0]));
    fix_destroy();
}

/* --- flash, clock, doorbell --- */

/* Half a buffered write: the rest of it, and what was stored before, go on in the other. */
static void test_flash_state(void)
{
    FIX_INIT(START_FIRMWARE, CONSOLE_NONE, &module_cfi_flash);
    struct fixture *f = &fix[0];
    fixture_write(f, PLAT_FLASH_BASE + 0x5000, 4, 0x40);
    fixture_write(f, PLAT_FLASH_BASE + 0x5000, 4, 0x12345678);
    fixture_write(f, PLAT_FLASH_BASE + 0x40, 4, 0xe8);
    fixture_write(f, PLAT_FLASH_BASE + 0x40, 4, 1); /* two words */
    fixture_write(f, PLAT_FLASH_BASE + 0x40, 4, 0x11111111);
    fixture_write(&fix[1], PLAT_FLASH_BASE + 0x9000, 4, 0x40); /* stored here only: gone */
    fixture_write(&fix[1], PLAT_FLASH_BASE + 0x9000, 4, 0);
    carry(0);
    both_write(PLAT_FLASH_BASE + 0x44, 4, 0x22222222);
    both_write(PLAT_FLASH_BASE + 0x40, 4, 0xd0);
    CU_ASSERT_EQUAL(both_read(PLAT_FLASH_BASE, 4), 0x00800080);
    both_write(PLAT_FLASH_BASE, 4, 0xff);
    CU_ASSERT_EQUAL(both_read(PLAT_FLASH_BASE + 0x40, 4), 0x11111111);
    CU_ASSERT_EQUAL(both_read(PLAT_FLASH_BASE + 0x44, 4), 0x22222222);
    CU_ASSERT_EQUAL(both_read(PLAT_FLASH_BASE + 0x5000, 4), 0x12345678);
    CU_ASSERT_EQUAL(both_read(PLAT_FLASH_BASE + 0x9000, 4), 0xffffffff);
    bytes_save(&saved, &f->inst[0]);
    for (size_t len = 0; len < saved.len; len += 641)
        CU_ASSERT_FALSE(bytes_load(&saved, len, &fix[1].inst[0]));
    fix_destroy();
}

static void use_rtc(struct fixture *f)
{
    for (unsigned reg = 0; reg < 0x20; reg += 4)
        (void)fixture_read(f, PLAT_RTC_BASE + reg, 4);
    fixture_write(f, PLAT_RTC_BASE + 0x14, 4, 1); /* no alarm: nothing waits for it */
}

static void test_rtc_state(void)
{
    FIX_INIT(START_KERNEL, CONSOLE_NONE, &module_plic, &module_goldfish_rtc);
    struct fixture *f = &fix[0];
    fixture_write(f, PLAT_RTC_BASE + 0x04, 4, 1000); /* the time, far ahead */
    (void)fixture_read(f, PLAT_RTC_BASE, 4);
    fixture_write(f, PLAT_RTC_BASE + 0x0c, 4, 7);
    fixture_write(f, PLAT_RTC_BASE + 0x08, 4, 8); /* long past: it rings */
    fixture_write(f, PLAT_RTC_BASE + 0x10, 4, 1);
    carry(1);
    CU_ASSERT_EQUAL(both_read(PENDING, 4), 1u << PLAT_RTC_IRQ);
    CU_ASSERT_EQUAL(both_read(PLAT_RTC_BASE + 0x04, 4), 1000);
    CU_ASSERT_EQUAL(both_read(PLAT_RTC_BASE + 0x08, 4), 8);
    CU_ASSERT_EQUAL(both_read(PLAT_RTC_BASE + 0x0c, 4), 7);
    CU_ASSERT_EQUAL(both_read(PLAT_RTC_BASE + 0x10, 4), 1);
    damage(1, use_rtc);
    fix_destroy();
}

static void use_doorbell(struct fixture *f)
{
    (void)fixture_read(f, PLAT_DOORBELL_BASE, 8);
}

static void test_doorbell_state(void)
{
    FIX_INIT(START_FIRMWARE, CONSOLE_NONE, &module_doorbell);
    for (unsigned i = 0; i < 8; i++)
        fixture_write(&fix[0], PLAT_DOORBELL_BASE + 8 * i, 8, UINT64_MAX - i);
    carry(0);
    for (unsigned i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(both_read(PLAT_DOORBELL_BASE + 8 * i, 8), UINT64_MAX - i);
    damage(0, use_doorbell);
    fix_destroy();
}

/* --- all of them --- */

/* What is taken down at the end was made to hold something: a module must not forget it. What
 * tg-console holds is the user's choice of a level and a file, which may change over a load. */
static void test_all_save(void)
{
    for (const struct module *const *m = module_list; *m; m++)
        if ((*m)->destroy && *m != &module_tg_console && (!(*m)->save || !(*m)->load)) {
            printf("\n    %s has no save or no load", (*m)->name);
            CU_FAIL("a module with state");
        }
}

/* --- SBI extensions --- */

static struct call sbi(struct machine *m, uint64_t ext, uint64_t fn, uint64_t a0, uint64_t a1,
                       uint64_t a2, uint64_t a3)
{
    struct call c = {
        .personality = CALL_SBI, .ext = ext, .fn = fn, .arg = {a0, a1, a2, a3}
    };

    call_dispatch(&m->vm.hart[0], &c);
    CU_ASSERT_EQUAL(c.disp, CALL_RET2);
    return c;
}

static const struct module_instance *instance(struct machine *m, const char *name)
{
    for (unsigned i = 0; i < m->vm.ninstances; i++)
        if (strcmp(m->vm.instance[i].module->name, name) == 0)
            return &m->vm.instance[i];
    abort();
}

static void carry_machine(struct machine *m)
{
    uint8_t *data, *second;
    size_t size, second_size;

    CU_ASSERT_EQUAL(snapshot_save_bytes(&m[0].vm, &data, &size, &m[0].err), 0);
    CU_ASSERT_EQUAL(snapshot_load_bytes(&m[1].vm, data, size, &m[1].err), 0);
    CU_ASSERT_EQUAL(snapshot_save_bytes(&m[1].vm, &second, &second_size, &m[1].err), 0);
    CU_ASSERT(size == second_size && memcmp(data, second, size) == 0);
    free(data);
    free(second);
}

/* Firmware counters go on counting, features stay locked. */
static void test_sbi_state(void)
{
    const uint64_t event = SBI_PMU_EVENT(SBI_PMU_TYPE_FW, SBI_PMU_FW_SET_TIMER);
    struct machine *m = calloc(2, sizeof(*m));
    uint64_t counter, value = 0;
    size_t refused = 0;

    for (unsigned i = 0; i < 2; i++)
        machine_init(&m[i], START_KERNEL, 2);
    counter = sbi(m, SBI_EXT_PMU, SBI_PMU_COUNTER_CONFIG_MATCHING, 3, 0xffff,
                  SBI_PMU_CFG_AUTO_START, event)
                  .value;
    sbi(m, SBI_EXT_TIME, 0, UINT64_MAX, 0, 0, 0);
    sbi(m, SBI_EXT_TIME, 0, UINT64_MAX, 0, 0, 0);
    CU_ASSERT_EQUAL(
        sbi(m, SBI_EXT_FWFT, SBI_FWFT_SET, SBI_FWFT_MISALIGNED_EXC_DELEG, 0, SBI_FWFT_LOCK, 0)
            .error,
        0);
    carry_machine(m);
    for (unsigned i = 0; i < 2; i++) {
        sbi(&m[i], SBI_EXT_TIME, 0, UINT64_MAX, 0, 0, 0);
        value = sbi(&m[i], SBI_EXT_PMU, SBI_PMU_COUNTER_FW_READ, counter, 0, 0, 0).value;
        CU_ASSERT_EQUAL(value, 3);
        CU_ASSERT_EQUAL(
            sbi(&m[i], SBI_EXT_FWFT, SBI_FWFT_SET, SBI_FWFT_MISALIGNED_EXC_DELEG, 1, 0, 0)
                .error,
            SBI_ERR_DENIED_LOCKED);
    }

    /* An event that no counter of the other machine could count. */
    const struct module_instance *inst = instance(&m[1], "sbi-pmu");
    bytes_save(&saved, inst);
    for (size_t len = 0; len < saved.len; len++)
        refused += !bytes_load(&saved, len, inst);
    CU_ASSERT_EQUAL(refused, saved.len);
    for (size_t i = 0; i < saved.len; i++) {
        saved.data[i] ^= 0x40;
        (void)bytes_load(&saved, saved.len, inst);
        for (uint64_t n = 3; n < 19; n++)
            (void)sbi(&m[1], SBI_EXT_PMU, SBI_PMU_COUNTER_FW_READ, n, 0, 0, 0);
        saved.data[i] ^= 0x40;
    }
    for (unsigned i = 0; i < 2; i++)
        machine_destroy(&m[i]);
    free(m);
}

void snapshot_module_tests(struct CU_Suite *suite)
{
    CU_add_test(suite, "writer", test_writer);
    CU_add_test(suite, "reader", test_reader);
    CU_add_test(suite, "plic", test_plic_state);
    CU_add_test(suite, "uart16550a", test_uart_state);
    CU_add_test(suite, "uart16550a: input that waits", test_uart_input);
    CU_add_test(suite, "console: the end of input", test_console_state);
    CU_add_test(suite, "clint", test_clint_state);
    CU_add_test(suite, "htif", test_htif_state);
    CU_add_test(suite, "virtio-console", test_virtio_state);
    CU_add_test(suite, "virtio-console: a broken driver", test_virtio_broken);
    CU_add_test(suite, "virtio-console: another slot", test_virtio_slot);
    CU_add_test(suite, "cfi-flash", test_flash_state);
    CU_add_test(suite, "goldfish-rtc", test_rtc_state);
    CU_add_test(suite, "doorbell", test_doorbell_state);
    CU_add_test(suite, "sbi-pmu, sbi-fwft", test_sbi_state);
    CU_add_test(suite, "every module with state saves it", test_all_save);
}
