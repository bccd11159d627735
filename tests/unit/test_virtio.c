/* test_virtio.c: the virtio transport, split queues and the console device, as a driver sees
 * them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include "devices/virtio_mmio.h"
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/irq.h"

extern const struct module module_virtio_console;

/* Registers (VIRTIO 1.2, section 4.2.2). */
#define MAGIC        0x000
#define VERSION      0x004
#define DEVICE_ID    0x008
#define FEATURES     0x010
#define FEATURES_SEL 0x014
#define DRIVER       0x020
#define DRIVER_SEL   0x024
#define QUEUE_SEL    0x030
#define QUEUE_MAX    0x034
#define QUEUE_NUM    0x038
#define QUEUE_READY  0x044
#define NOTIFY       0x050
#define ISR          0x060
#define ACK          0x064
#define STATUS       0x070
#define DESC_LOW     0x080
#define AVAIL_LOW    0x090
#define USED_LOW     0x0a0
#define SHM_LEN      0x0b0
#define GENERATION   0x0fc
#define CONFIG       0x100

#define S_ACK         1u
#define S_DRIVER      2u
#define S_DRIVER_OK   4u
#define S_FEATURES_OK 8u
#define S_NEEDS_RESET 0x40u
#define S_READY       (S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK)

#define F_MULTIPORT (UINT64_C(1) << 1)

#define F_NEXT     1u
#define F_WRITE    2u
#define F_INDIRECT 4u

#define BASE  PLAT_VIRTIO_BASE
#define RX    0u
#define TX    1u
#define CRX   2u /* control, to the driver */
#define CTX   3u
#define SIZE  8u
#define DATA  (FIXTURE_RAM + 0x10000)
#define TABLE (FIXTURE_RAM + 0x20000)

static struct fixture f;
static bool line; /* of slot 0 */

/* The driver's side of the queues. */
static uint16_t avail_idx[4];

static gpa_t desc_at(unsigned q)
{
    return FIXTURE_RAM + 0x1000 * (q + 1);
}

static gpa_t avail_at(unsigned q)
{
    return desc_at(q) + 0x400;
}

static gpa_t used_at(unsigned q)
{
    return desc_at(q) + 0x800;
}

static void note_line(void *self, unsigned gsi, bool level)
{
    (void)self;
    if (gsi == PLAT_VIRTIO_IRQ)
        line = level;
}

static uint32_t get(unsigned reg)
{
    return (uint32_t)fixture_read(&f, BASE + reg, 4);
}

static void put(unsigned reg, uint32_t value)
{
    fixture_write(&f, BASE + reg, 4, value);
}

static void poke(gpa_t gpa, uint64_t value, size_t size)
{
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, gpa, &value, size), 0);
}

static uint64_t peek(gpa_t gpa, size_t size)
{
    uint64_t value = 0;

    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, gpa, &value, size), 0);
    return value;
}

static void put_address(unsigned reg, gpa_t gpa)
{
    put(reg, (uint32_t)gpa);
    put(reg + 4, (uint32_t)(gpa >> 32));
}

static void set_features(uint64_t features)
{
    put(DRIVER_SEL, 0);
    put(DRIVER, (uint32_t)features);
    put(DRIVER_SEL, 1);
    put(DRIVER, (uint32_t)(features >> 32));
}

static void set_queue(unsigned q)
{
    for (gpa_t gpa = desc_at(q); gpa < desc_at(q) + 0x1000; gpa += 8)
        poke(gpa, 0, 8);
    avail_idx[q] = 0;
    put(QUEUE_SEL, q);
    put(QUEUE_NUM, SIZE);
    put_address(DESC_LOW, desc_at(q));
    put_address(AVAIL_LOW, avail_at(q));
    put_address(USED_LOW, used_at(q));
    put(QUEUE_READY, 1);
    CU_ASSERT_EQUAL(get(QUEUE_READY), 1);
}

/* Resets the device and makes it ready, as section 3.1.1 has it. */
static void start(uint64_t features)
{
    put(STATUS, 0);
    put(STATUS, S_ACK);
    put(STATUS, S_ACK | S_DRIVER);
    set_features(features | VIRTIO_F_VERSION_1);
    put(STATUS, S_ACK | S_DRIVER | S_FEATURES_OK);
    CU_ASSERT_EQUAL(get(STATUS), S_ACK | S_DRIVER | S_FEATURES_OK);
    set_queue(RX);
    set_queue(TX);
    if (features & F_MULTIPORT) {
        set_queue(CRX);
        set_queue(CTX);
    }
    put(STATUS, S_READY);
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
}

static void setup(uint64_t features)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_VIRTIO);
    line = false;
    CU_ASSERT_EQUAL(irq_controller(&f.vm, note_line, NULL, 1), 0);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_virtio_console, NULL, NULL), 0);
    start(features);
}

static void desc_in(gpa_t table, unsigned i, gpa_t gpa, uint32_t len, unsigned flags,
                    unsigned next)
{
    poke(table + 16 * i, gpa, 8);
    poke(table + 16 * i + 8, len, 4);
    poke(table + 16 * i + 12, flags, 2);
    poke(table + 16 * i + 14, next, 2);
}

static void desc(unsigned q, unsigned i, gpa_t gpa, uint32_t len, unsigned flags, unsigned next)
{
    desc_in(desc_at(q), i, gpa, len, flags, next);
}

static void offer(unsigned q, unsigned head)
{
    poke(avail_at(q) + 4 + 2 * (avail_idx[q] % SIZE), head, 2);
    avail_idx[q]++;
    poke(avail_at(q) + 2, avail_idx[q], 2);
}

static uint16_t used_idx(unsigned q)
{
    return (uint16_t)peek(used_at(q) + 2, 2);
}

/* Entry n of the used ring: head in the lower half, length in the upper. */
static uint64_t used_entry(unsigned q, unsigned n)
{
    return peek(used_at(q) + 4 + 8 * (n % SIZE), 8);
}

static bool acked(uint32_t isr)
{
    bool right = get(ISR) == isr && line == (isr != 0);

    put(ACK, isr);
    return right && get(ISR) == 0 && !line;
}

static void text(gpa_t gpa, const char *s)
{
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, gpa, s, strlen(s)), 0);
}

static void test_registers(void)
{
    setup(0);
    CU_ASSERT_EQUAL(get(MAGIC), 0x74726976);
    CU_ASSERT_EQUAL(get(VERSION), 2);
    CU_ASSERT_EQUAL(get(DEVICE_ID), 3);
    put(FEATURES_SEL, 0);
    CU_ASSERT_EQUAL(get(FEATURES), 3u << 28 | 2);
    put(FEATURES_SEL, 1);
    CU_ASSERT_EQUAL(get(FEATURES), 1);
    put(FEATURES_SEL, 2);
    CU_ASSERT_EQUAL(get(FEATURES), 0);
    put(FEATURES_SEL, UINT32_MAX);
    CU_ASSERT_EQUAL(get(FEATURES), 0);
    put(QUEUE_SEL, TX);
    CU_ASSERT(get(QUEUE_MAX) >= SIZE);
    put(QUEUE_SEL, 4);
    CU_ASSERT_EQUAL(get(QUEUE_MAX), 0);
    put(QUEUE_READY, 1);
    CU_ASSERT_EQUAL(get(QUEUE_READY), 0);
    put(QUEUE_SEL, UINT32_MAX);
    CU_ASSERT_EQUAL(get(QUEUE_MAX), 0);
    for (unsigned reg = SHM_LEN; reg < SHM_LEN + 16; reg += 4)
        CU_ASSERT_EQUAL(get(reg), UINT32_MAX);
    put(NOTIFY, 4);
    put(NOTIFY, UINT32_MAX);
    CU_ASSERT_EQUAL(get(GENERATION), get(GENERATION));

    /* Registers take 32 bits, configuration space any size. */
    CU_ASSERT(fixture_refused(&f, BASE, 1));
    CU_ASSERT(fixture_refused(&f, BASE, 8));
    CU_ASSERT(fixture_refused(&f, BASE + 2, 4));
    for (unsigned size = 1; size <= 8; size *= 2) {
        fixture_write(&f, BASE + CONFIG, size, UINT64_MAX);
        CU_ASSERT_EQUAL(fixture_read(&f, BASE + CONFIG, size),
                        size == 8 ? UINT64_C(1) << 32 : 0);
        CU_ASSERT_EQUAL(fixture_read(&f, BASE + PLAT_VIRTIO_SIZE - size, size), 0);
    }
    CU_ASSERT_EQUAL(fixture_read(&f, BASE + CONFIG + 4, 1), 1); /* one port */
    CU_ASSERT_EQUAL(fixture_read(&f, BASE + CONFIG + 8, 4), 0);
    CU_ASSERT_EQUAL(fixture_read(&f, BASE + CONFIG + 12, 4), 0);
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
    fixture_destroy(&f);
}

static void test_status(void)
{
    setup(0);
    put(STATUS, S_ACK); /* bits are never taken away */
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
    put(STATUS, 0);
    CU_ASSERT_EQUAL(get(STATUS), 0);
    put(QUEUE_SEL, TX);
    CU_ASSERT_EQUAL(get(QUEUE_READY), 0);

    put(STATUS, S_ACK | S_DRIVER | S_DRIVER_OK); /* not before FEATURES_OK */
    CU_ASSERT_EQUAL(get(STATUS), S_ACK | S_DRIVER);
    put(QUEUE_NUM, SIZE);
    put(QUEUE_READY, 1);
    CU_ASSERT_EQUAL(get(QUEUE_READY), 0);
    set_features(0); /* a legacy driver */
    put(STATUS, S_ACK | S_DRIVER | S_FEATURES_OK);
    CU_ASSERT_EQUAL(get(STATUS), S_ACK | S_DRIVER);
    set_features(VIRTIO_F_VERSION_1 | 4); /* never offered */
    put(STATUS, S_ACK | S_DRIVER | S_FEATURES_OK);
    CU_ASSERT_EQUAL(get(STATUS), S_ACK | S_DRIVER);
    set_features(VIRTIO_F_VERSION_1);
    put(DRIVER_SEL, 2);
    put(DRIVER, 1); /* nor this */
    put(STATUS, S_ACK | S_DRIVER | S_FEATURES_OK);
    CU_ASSERT_EQUAL(get(STATUS), S_ACK | S_DRIVER);
    set_features(VIRTIO_F_VERSION_1);
    put(STATUS, S_READY); /* both at once is fine */
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
    put(STATUS, S_READY | S_NEEDS_RESET | 0x80);
    CU_ASSERT_EQUAL(get(STATUS), S_READY | 0x80);
    fixture_destroy(&f);
}

static void test_transmit(void)
{
    setup(0);
    text(DATA, "hello, ");
    text(DATA + 0x100, "world\n");
    desc(TX, 3, DATA, 7, F_NEXT, 5);
    desc(TX, 5, DATA, 0, F_NEXT, 1); /* an empty buffer */
    desc(TX, 1, DATA + 0x100, 6, 0, 0);
    offer(TX, 3);
    CU_ASSERT(fixture_printed(&f, ""));
    put(NOTIFY, TX);
    CU_ASSERT_EQUAL(f.mock.nwrites, 1);
    CU_ASSERT(fixture_printed(&f, "hello, world\n"));
    CU_ASSERT_EQUAL(used_idx(TX), 1);
    CU_ASSERT_EQUAL(used_entry(TX, 0), 3);
    CU_ASSERT(acked(1));
    put(NOTIFY, TX); /* nothing new */
    CU_ASSERT(acked(0));

    /* Around the ring, several at a time, and the driver may ask not to be interrupted. */
    poke(avail_at(TX), 1, 2);
    desc(TX, 0, DATA, 1, 0, 0);
    for (unsigned i = 0; i < 3 * SIZE; i += 3) {
        offer(TX, 0);
        offer(TX, 0);
        offer(TX, 0);
        put(NOTIFY, TX);
    }
    CU_ASSERT(fixture_printed(&f, "hhhhhhhhhhhhhhhhhhhhhhhh"));
    CU_ASSERT_EQUAL(used_idx(TX), 1 + 3 * SIZE);
    CU_ASSERT(acked(0));
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
    fixture_destroy(&f);
}

static void test_receive(void)
{
    uint8_t got[8] = {0};
    setup(0);
    fixture_type(&f, "abcdef"); /* no buffers yet */
    CU_ASSERT(acked(0));
    desc(RX, 0, DATA, 2, F_WRITE | F_NEXT, 1);
    desc(RX, 1, DATA + 0x100, 2, F_WRITE, 0);
    desc(RX, 2, DATA + 0x200, 8, F_WRITE, 0);
    offer(RX, 0);
    put(NOTIFY, RX);
    CU_ASSERT_EQUAL(used_entry(RX, 0), UINT64_C(4) << 32);
    CU_ASSERT(acked(1));
    offer(RX, 2);
    put(NOTIFY, RX);
    CU_ASSERT_EQUAL(used_entry(RX, 1), 2 | UINT64_C(2) << 32);
    CU_ASSERT(acked(1));
    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, DATA, got, 2), 0);
    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, DATA + 0x100, got + 2, 2), 0);
    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, DATA + 0x200, got + 4, 2), 0);
    CU_ASSERT_EQUAL(memcmp(got, "abcdef", 6), 0);

    /* Buffers first, input later. */
    offer(RX, 2);
    put(NOTIFY, RX);
    CU_ASSERT_EQUAL(used_idx(RX), 2);
    CU_ASSERT(acked(0));
    fixture_type(&f, "xyz");
    CU_ASSERT_EQUAL(used_entry(RX, 2), 2 | UINT64_C(3) << 32);
    CU_ASSERT(acked(1));
    CU_ASSERT_EQUAL(peek(DATA + 0x200, 3), 'x' | 'y' << 8 | 'z' << 16);
    fixture_destroy(&f);
}

/* Linux fills the receive queue before it sets DRIVER_OK. */
static void test_buffers_before_ready(void)
{
    setup(0);
    put(STATUS, 0);
    fixture_type(&f, "q");
    put(STATUS, S_ACK | S_DRIVER);
    set_features(VIRTIO_F_VERSION_1);
    put(STATUS, S_ACK | S_DRIVER | S_FEATURES_OK);
    set_queue(RX);
    set_queue(TX);
    desc(RX, 0, DATA, 4, F_WRITE, 0);
    offer(RX, 0);
    text(DATA + 0x100, "t");
    desc(TX, 0, DATA + 0x100, 1, 0, 0);
    offer(TX, 0);
    put(NOTIFY, RX);
    put(NOTIFY, TX);
    CU_ASSERT_EQUAL(used_idx(RX) + used_idx(TX), 0);
    put(STATUS, S_READY);
    CU_ASSERT_EQUAL(used_idx(RX), 1);
    CU_ASSERT_EQUAL(peek(DATA, 1), 'q');
    CU_ASSERT(fixture_printed(&f, "t"));
    CU_ASSERT(acked(1));
    fixture_destroy(&f);
}

/* The driver says something about a port. */
static void control(uint32_t port, unsigned event, unsigned value)
{
    poke(DATA + 0x800, port | (uint64_t)event << 32 | (uint64_t)value << 48, 8);
    desc(CTX, 0, DATA + 0x800, 8, 0, 0);
    offer(CTX, 0);
    put(NOTIFY, CTX);
}

/* With MULTIPORT input waits until the driver opened the port (section 5.3.5). */
static void test_ports(void)
{
    setup(F_MULTIPORT);
    for (unsigned i = 0; i < 4; i++)
        desc(CRX, i, DATA + 16 * i, 8, F_WRITE, 0);
    desc(RX, 0, DATA + 0x400, 8, F_WRITE, 0);
    offer(RX, 0);
    put(NOTIFY, RX);
    fixture_type(&f, "in");
    control(0xffffffff, 0, 1); /* DEVICE_READY; there is no buffer for the answer yet */
    CU_ASSERT_EQUAL(used_idx(CTX), 1);
    offer(CRX, 0);
    put(NOTIFY, CRX);
    CU_ASSERT_EQUAL(used_entry(CRX, 0), UINT64_C(8) << 32);
    CU_ASSERT_EQUAL(peek(DATA, 8), UINT64_C(1) << 32 | UINT64_C(1) << 48); /* PORT_ADD 0 */
    offer(CRX, 1);
    offer(CRX, 2);
    offer(CRX, 3);
    control(1, 3, 1); /* another port's PORT_READY */
    control(0, 3, 0); /* it failed */
    CU_ASSERT_EQUAL(used_idx(CRX), 1);
    control(0, 3, 1);
    CU_ASSERT_EQUAL(used_idx(CRX), 3);
    CU_ASSERT_EQUAL(peek(DATA + 16, 8), UINT64_C(4) << 32 | UINT64_C(1) << 48); /* console */
    CU_ASSERT_EQUAL(peek(DATA + 32, 8), UINT64_C(6) << 32 | UINT64_C(1) << 48); /* open */
    control(1, 6, 1);
    control(0, 99, 1);
    CU_ASSERT_EQUAL(used_idx(RX), 0);
    control(0, 6, 1); /* PORT_OPEN */
    CU_ASSERT_EQUAL(used_entry(RX, 0), UINT64_C(2) << 32);
    CU_ASSERT_EQUAL(peek(DATA + 0x400, 2), 'i' | 'n' << 8);
    offer(RX, 0);
    fixture_type(&f, "x");
    CU_ASSERT_EQUAL(used_idx(RX), 2);
    control(0, 6, 0); /* closed again */
    offer(RX, 0);
    fixture_type(&f, "y");
    CU_ASSERT_EQUAL(used_idx(RX), 2);
    /* Too short to be a message. */
    desc(CTX, 0, DATA + 0x800, 7, 0, 0);
    offer(CTX, 0);
    put(NOTIFY, CTX);
    CU_ASSERT_EQUAL(used_idx(RX), 2);
    CU_ASSERT_EQUAL(get(STATUS), S_READY);

    /* After a reset the port is closed, and without the feature it does not matter. */
    control(0, 6, 1);
    CU_ASSERT_EQUAL(used_idx(RX), 3);
    fixture_type(&f, "z");
    start(F_MULTIPORT);
    desc(RX, 0, DATA + 0x400, 8, F_WRITE, 0);
    offer(RX, 0);
    put(NOTIFY, RX);
    CU_ASSERT_EQUAL(used_idx(RX), 0);
    start(0);
    desc(RX, 0, DATA + 0x400, 8, F_WRITE, 0);
    offer(RX, 0);
    put(NOTIFY, RX);
    CU_ASSERT_EQUAL(used_idx(RX), 1);
    CU_ASSERT_EQUAL(peek(DATA + 0x400, 1), 'z');
    fixture_destroy(&f);
}

static void test_indirect(void)
{
    setup(VIRTIO_F_INDIRECT_DESC);
    text(DATA, "12345678");
    desc_in(TABLE, 0, DATA + 2, 1, F_NEXT, 2);
    desc_in(TABLE, 1, DATA + 7, 1, 0, 0);
    desc_in(TABLE, 2, DATA + 4, 2, F_NEXT, 1);
    desc(TX, 0, TABLE, 48, F_INDIRECT | F_WRITE, 0); /* WRITE is ignored there */
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(fixture_printed(&f, "3568"));
    /* Ordinary buffers may come before the table. */
    desc(TX, 1, DATA, 1, F_NEXT, 0);
    offer(TX, 1);
    put(NOTIFY, TX);
    CU_ASSERT(fixture_printed(&f, "13568"));
    CU_ASSERT_EQUAL(used_entry(TX, 1), 1);
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
    fixture_destroy(&f);
}

/* The device asks for a reset, gives nothing back, and works again after it. */
static void check_broken(const char *what)
{
    uint32_t generation = get(GENERATION);
    uint16_t before = used_idx(TX);

    put(ACK, get(ISR));
    put(NOTIFY, TX);
    if (get(STATUS) != (S_READY | S_NEEDS_RESET))
        printf("\n    not refused: %s", what); /* CU_FAIL prints its own source text only */
    CU_ASSERT_EQUAL(get(STATUS), S_READY | S_NEEDS_RESET);
    CU_ASSERT_EQUAL(used_idx(TX), before);
    CU_ASSERT(get(GENERATION) != generation);
    CU_ASSERT(acked(2));
    put(NOTIFY, TX); /* dead until then, and silent */
    CU_ASSERT(acked(0));
    CU_ASSERT(fixture_printed(&f, ""));

    start(VIRTIO_F_INDIRECT_DESC);
    text(DATA, "ok");
    desc(TX, 0, DATA, 2, 0, 0);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(fixture_printed(&f, "ok"));
    start(VIRTIO_F_INDIRECT_DESC);
}

static void test_malformed_chains(void)
{
    gpa_t end = FIXTURE_RAM + FIXTURE_RAM_SIZE;
    setup(VIRTIO_F_INDIRECT_DESC);

    desc(TX, 0, DATA, 1, F_NEXT, 0);
    offer(TX, 0);
    check_broken("a descriptor that follows itself");
    desc(TX, 0, DATA, 0, F_NEXT, 1);
    desc(TX, 1, DATA, 0, F_NEXT, 0);
    offer(TX, 0);
    check_broken("a loop of empty buffers");
    desc(TX, 0, DATA, 1, F_NEXT, SIZE);
    offer(TX, 0);
    check_broken("next out of range");
    offer(TX, SIZE);
    check_broken("head out of range");
    offer(TX, 0xffff);
    check_broken("head far out of range");
    desc(TX, 0, DATA, 1, 0, 0);
    avail_idx[TX] = SIZE;
    offer(TX, 0);
    check_broken("more than the queue holds");
    desc(TX, 0, end - 1, 2, 0, 0);
    offer(TX, 0);
    check_broken("the end of RAM");
    desc(TX, 0, 0, 1, 0, 0);
    offer(TX, 0);
    check_broken("no RAM");
    desc(TX, 0, UINT64_MAX, 2, 0, 0);
    offer(TX, 0);
    check_broken("an address that wraps");
    desc(TX, 0, DATA, UINT32_MAX, 0, 0);
    offer(TX, 0);
    check_broken("a length that leaves RAM");
    desc(TX, 0, DATA, 1, F_WRITE | F_NEXT, 1);
    desc(TX, 1, DATA, 1, 0, 0);
    offer(TX, 0);
    check_broken("readable after writable");
    fixture_destroy(&f);
}

static void test_malformed_tables(void)
{
    gpa_t end = FIXTURE_RAM + FIXTURE_RAM_SIZE;
    setup(VIRTIO_F_INDIRECT_DESC);

    desc_in(TABLE, 0, TABLE + 16, 16, F_INDIRECT, 0);
    desc_in(TABLE, 1, DATA, 1, 0, 0);
    desc(TX, 0, TABLE, 16, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("a table in a table");
    desc(TX, 0, TABLE, 16, F_INDIRECT | F_NEXT, 1);
    offer(TX, 0);
    check_broken("a table that goes on");
    desc(TX, 0, TABLE, 17, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("an odd length");
    desc(TX, 0, TABLE, 0, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("an empty table");
    desc(TX, 0, end - 16, 32, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("a table outside RAM");
    desc(TX, 0, UINT64_C(0) - 16, 32, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("a table that wraps");
    desc_in(TABLE, 0, DATA, 1, F_NEXT, 1);
    desc(TX, 0, TABLE, 16, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("next outside the table");
    desc_in(TABLE, 0, DATA, 1, F_NEXT, 0);
    desc(TX, 0, TABLE, 16, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("a loop in the table");
    for (unsigned i = 0; i <= VIRTQ_CHAIN_MAX; i++)
        desc_in(TABLE, i, DATA, 1, i < VIRTQ_CHAIN_MAX ? F_NEXT : 0, i + 1);
    desc(TX, 0, TABLE, 16 * (VIRTQ_CHAIN_MAX + 1), F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("one buffer too many");
    /* The longest that is allowed. */
    desc_in(TABLE, VIRTQ_CHAIN_MAX - 1, DATA, 1, 0, 0);
    desc(TX, 0, TABLE, 16 * VIRTQ_CHAIN_MAX, F_INDIRECT, 0);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT_EQUAL(f.mock.out_len, VIRTQ_CHAIN_MAX);
    CU_ASSERT_EQUAL(get(STATUS), S_READY);

    start(0);
    f.mock.out_len = 0;
    desc_in(TABLE, 0, DATA, 1, 0, 0);
    desc(TX, 0, TABLE, 16, F_INDIRECT, 0);
    offer(TX, 0);
    check_broken("a table that was not negotiated");
    fixture_destroy(&f);
}

/* A queue set up badly asks for a reset when it is made ready. */
static void check_bad_queue(uint32_t num, gpa_t table, gpa_t avail, gpa_t used)
{
    put(STATUS, 0);
    put(STATUS, S_ACK | S_DRIVER);
    set_features(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
    put(STATUS, S_ACK | S_DRIVER | S_FEATURES_OK);
    put(QUEUE_SEL, TX);
    put(QUEUE_NUM, num);
    put_address(DESC_LOW, table);
    put_address(AVAIL_LOW, avail);
    put_address(USED_LOW, used);
    put(QUEUE_READY, 1);
    CU_ASSERT_EQUAL(get(QUEUE_READY), 0);
    CU_ASSERT_EQUAL(get(STATUS), S_ACK | S_DRIVER | S_FEATURES_OK | S_NEEDS_RESET);
    CU_ASSERT_EQUAL(get(ISR), 0); /* the driver is not there to be told */
    put(STATUS, S_READY);
    CU_ASSERT(acked(2));
    put(NOTIFY, TX);
}

static void test_malformed_queues(void)
{
    gpa_t d = desc_at(TX), a = avail_at(TX), u = used_at(TX);
    gpa_t end = FIXTURE_RAM + FIXTURE_RAM_SIZE;
    setup(0);
    check_bad_queue(0, d, a, u);
    check_bad_queue(3, d, a, u);
    check_bad_queue(0x10000, d, a, u);
    check_bad_queue(0x10008, d, a, u);
    check_bad_queue(1024, d, a, u);
    check_bad_queue(SIZE, d + 8, a, u);
    check_bad_queue(SIZE, d, a + 1, u);
    check_bad_queue(SIZE, d, a, u + 2);
    check_bad_queue(SIZE, end - 16 * SIZE + 16, a, u);
    check_bad_queue(SIZE, UINT64_C(0) - 64, a, u);
    check_bad_queue(SIZE, d, 0, u);
    check_bad_queue(SIZE, d, UINT64_MAX - 1, u);
    check_bad_queue(SIZE, d, a, UINT64_MAX - 3);
    /* The event words count: 4 + 2 * 8 + 2 and 4 + 8 * 8 + 2 bytes. */
    check_bad_queue(SIZE, d, end - 20, u);
    check_bad_queue(SIZE, d, a, end - 68);

    /* Size and places of a ready queue do not move. */
    start(0);
    put(QUEUE_SEL, TX);
    put(QUEUE_NUM, 3);
    put_address(DESC_LOW, 1);
    put(QUEUE_READY, 1);
    text(DATA, "still");
    desc(TX, 0, DATA, 5, 0, 0);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(fixture_printed(&f, "still"));
    /* Not ready: not looked at. */
    put(QUEUE_READY, 0);
    CU_ASSERT_EQUAL(get(QUEUE_READY), 0);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(fixture_printed(&f, ""));
    fixture_destroy(&f);
}

static void test_event_index(void)
{
    gpa_t used_event = avail_at(TX) + 4 + 2 * SIZE;
    gpa_t avail_event = used_at(TX) + 4 + 8 * SIZE;
    setup(VIRTIO_F_EVENT_IDX);
    text(DATA, ".");
    desc(TX, 0, DATA, 1, 0, 0);

    poke(avail_at(TX), 1, 2); /* NO_INTERRUPT means nothing now */
    poke(used_event, 0, 2);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT_EQUAL(peek(avail_event, 2), 1);
    CU_ASSERT(acked(1));

    poke(used_event, 2, 2); /* only when the third is used */
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(acked(0));
    offer(TX, 0);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(acked(1)); /* passed it in one go */
    CU_ASSERT_EQUAL(peek(avail_event, 2), 4);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(acked(0));

    /* Indices wrap at 65536. */
    for (unsigned i = used_idx(TX); i < 0xfffe; i++) {
        offer(TX, 0);
        if (i % SIZE == 0)
            put(NOTIFY, TX);
        f.mock.out_len = 0;
    }
    put(NOTIFY, TX);
    put(ACK, 1);
    CU_ASSERT_EQUAL(used_idx(TX), 0xfffe);
    poke(used_event, 0, 2);
    offer(TX, 0);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(acked(0));
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT(acked(1));
    CU_ASSERT_EQUAL(used_idx(TX), 1);
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
    fixture_destroy(&f);
}

static void test_reset(void)
{
    setup(0);
    text(DATA, "x");
    desc(TX, 0, DATA, 1, 0, 0);
    offer(TX, 0);
    put(NOTIFY, TX);
    CU_ASSERT_TRUE(line);
    put(STATUS, 0);
    CU_ASSERT_FALSE(line);
    CU_ASSERT_EQUAL(get(ISR), 0);
    put(NOTIFY, TX);
    put(STATUS, S_ACK | S_DRIVER);
    put(STATUS, S_ACK | S_DRIVER | S_FEATURES_OK); /* the features are forgotten */
    CU_ASSERT_EQUAL(get(STATUS), S_ACK | S_DRIVER);
    start(0);
    offer(TX, 0);
    module_virtio_console.reset(f.inst[0].self);
    CU_ASSERT_EQUAL(get(STATUS), 0);
    fixture_destroy(&f);
}

/* A guest that never stops adding requests must not keep its hart in the device. */
static void test_stopping(void)
{
    setup(0);
    desc(TX, 0, DATA, 1, 0, 0);
    offer(TX, 0);
    atomic_store(&f.vm.stopping, true);
    put(NOTIFY, TX);
    CU_ASSERT_EQUAL(used_idx(TX), 0);
    CU_ASSERT_EQUAL(get(STATUS), S_READY);
    fixture_destroy(&f);
}

/* Chains as other devices use them, over two slots of RAM that are apart on the host. */
static void test_chain_access(void)
{
    gpa_t end = FIXTURE_RAM + FIXTURE_RAM_SIZE;
    uint8_t buf[64];
    struct iovec iov[8];
    setup(0);
    CU_ASSERT_EQUAL(mem_add(&f.vm.mem, end, 0x1000), 0);
    struct virtio_device *dev = f.inst[0].self; /* its first member */
    struct virtq *q = &dev->queue[TX];
    static struct virtq_chain chain;
    desc(TX, 0, DATA, 4, F_NEXT, 1);
    desc(TX, 1, DATA, 0, F_NEXT, 2);
    desc(TX, 2, end - 3, 8, F_NEXT, 3);
    desc(TX, 3, DATA + 0x100, 5, F_WRITE | F_NEXT, 4);
    desc(TX, 4, DATA + 0x200, 5, F_WRITE, 0);
    offer(TX, 0);
    text(DATA, "abcd");
    text(end - 3, "efghijkl");
    CU_ASSERT_TRUE_FATAL(virtq_pop(q, &chain));
    CU_ASSERT_FALSE(virtq_pop(q, &chain));
    CU_ASSERT_EQUAL(chain.nread, 3);
    CU_ASSERT_EQUAL(chain.nwrite, 2);
    CU_ASSERT_EQUAL(chain.read_len, 12);
    CU_ASSERT_EQUAL(chain.write_len, 10);
    CU_ASSERT_EQUAL(virtq_read(q, &chain, 0, buf, sizeof(buf)), 12);
    CU_ASSERT_EQUAL(memcmp(buf, "abcdefghijkl", 12), 0);
    CU_ASSERT_EQUAL(virtq_read(q, &chain, 3, buf, 3), 3);
    CU_ASSERT_EQUAL(memcmp(buf, "def", 3), 0);
    CU_ASSERT_EQUAL(virtq_read(q, &chain, 12, buf, 1), 0);
    CU_ASSERT_EQUAL(virtq_write(q, &chain, 4, "1234567", 7), 6);
    CU_ASSERT_EQUAL(peek(DATA + 0x104, 1), '1');
    CU_ASSERT_EQUAL(peek(DATA + 0x200, 4), '2' | '3' << 8 | '4' << 16 | (uint64_t)'5' << 24);
    CU_ASSERT_EQUAL(peek(DATA + 0x204, 2), '6');

    CU_ASSERT_EQUAL(virtq_iov(q, &chain, false, 1, iov, 8), 3);
    CU_ASSERT_EQUAL(iov[0].iov_len, 3);
    CU_ASSERT_EQUAL(memcmp(iov[0].iov_base, "bcd", 3), 0);
    CU_ASSERT_EQUAL(iov[1].iov_len, 3);
    CU_ASSERT_EQUAL(memcmp(iov[1].iov_base, "efg", 3), 0);
    CU_ASSERT_EQUAL(iov[2].iov_len, 5);
    CU_ASSERT_EQUAL(memcmp(iov[2].iov_base, "hijkl", 5), 0);
    CU_ASSERT_EQUAL(virtq_iov(q, &chain, false, 1, iov, 2), 2);
    CU_ASSERT_EQUAL(virtq_iov(q, &chain, true, 7, iov, 8), 1);
    CU_ASSERT_EQUAL(iov[0].iov_len, 3);
    CU_ASSERT_PTR_EQUAL(iov[0].iov_base, mem_ptr(&f.vm.mem, DATA + 0x202, 3));
    virtq_push(q, &chain, 10);
    virtq_notify(q);
    CU_ASSERT_EQUAL(used_entry(TX, 0), UINT64_C(10) << 32);
    CU_ASSERT(acked(1));
    fixture_destroy(&f);
}

static void check_slot(const char *slot, int rc)
{
    int got = fixture_add(&f, &module_virtio_console, slot ? "slot" : NULL, slot);
    CU_ASSERT_EQUAL(got, rc);
    if (got < 0)
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "virtio-console"));
}

static void test_slots(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_VIRTIO);
    check_slot("8", -EINVAL);
    check_slot("-1", -EINVAL);
    check_slot("", -EINVAL);
    check_slot("1x", -EINVAL);
    check_slot("1", 0);
    check_slot("1", -EEXIST);
    check_slot(NULL, 0); /* 0 */
    check_slot(NULL, 0); /* 2 */
    CU_ASSERT_EQUAL(fixture_read(&f, PLAT_VIRTIO_BASE + 2 * PLAT_VIRTIO_SIZE, 4), 0x74726976);
    CU_ASSERT(fixture_refused(&f, PLAT_VIRTIO_BASE + 3 * PLAT_VIRTIO_SIZE, 4));
    for (unsigned i = 3; i < PLAT_VIRTIO_SLOTS; i++)
        check_slot(NULL, 0);
    check_slot(NULL, -ENOSPC);
    fixture_destroy(&f);
}

static void test_tree(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_VIRTIO);
    check_slot("6", 0);
    const void *tree = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    int node = fdt_path_offset(tree, "/virtio_mmio@10007000");
    CU_ASSERT_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(tree, node, "virtio,mmio"), 0);
    CU_ASSERT_PTR_NULL(fdt_getprop(tree, node, "interrupts", NULL)); /* no controller here */
    CU_ASSERT(fdt_path_offset(tree, "/virtio_mmio@10001000") < 0);
    fixture_destroy(&f);
}

void suite_virtio(void)
{
    CU_pSuite suite = CU_add_suite("virtio", NULL, NULL);

    CU_add_test(suite, "registers", test_registers);
    CU_add_test(suite, "device status and features", test_status);
    CU_add_test(suite, "console: output", test_transmit);
    CU_add_test(suite, "console: input", test_receive);
    CU_add_test(suite, "console: ports", test_ports);
    CU_add_test(suite, "buffers before DRIVER_OK", test_buffers_before_ready);
    CU_add_test(suite, "indirect descriptors", test_indirect);
    CU_add_test(suite, "malformed chains", test_malformed_chains);
    CU_add_test(suite, "malformed indirect tables", test_malformed_tables);
    CU_add_test(suite, "malformed queues", test_malformed_queues);
    CU_add_test(suite, "event index", test_event_index);
    CU_add_test(suite, "reset", test_reset);
    CU_add_test(suite, "a VM that stops", test_stopping);
    CU_add_test(suite, "reading and writing chains", test_chain_access);
    CU_add_test(suite, "slots", test_slots);
    CU_add_test(suite, "device tree", test_tree);
}
