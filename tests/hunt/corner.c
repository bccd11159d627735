/* corner.c: snippets at ends of memory, on devices, over traps, and where rights change. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hunt/snippet.h"

enum { MENVCFG = 0x30a, SENVCFG = 0x10a, STIMECMP = 0x14d };
enum { UART_SCRATCH = 7 };

/* Any load or store of a value at an offset from a register, of x and of f. */
static void put_access(struct pen *p, unsigned reg, int at)
{
    unsigned x = A0 + random_below(6), f = random_below(32);

    switch (random_below(16)) {
    case 0: put(p, AS_I(lh, x, reg, at)); break;
    case 1: put(p, AS_I(lhu, x, reg, at)); break;
    case 2: put(p, AS_I(lw, x, reg, at)); break;
    case 3: put(p, AS_I(lwu, x, reg, at)); break;
    case 4: put(p, AS_I(ld, x, reg, at)); break;
    case 5: put(p, AS_I(flh, f, reg, at)); break;
    case 6: put(p, AS_I(flw, f, reg, at)); break;
    case 7: put(p, AS_I(fld, f, reg, at)); break;
    case 8: put(p, AS_S(sb, x, reg, at)); break;
    case 9: put(p, AS_S(sh, x, reg, at)); break;
    case 10: put(p, AS_S(sw, x, reg, at)); break;
    case 11: put(p, AS_S(sd, x, reg, at)); break;
    case 12: put(p, AS_S(fsh, f, reg, at)); break;
    case 13: put(p, AS_S(fsw, f, reg, at)); break;
    case 14: put(p, AS_S(fsd, f, reg, at)); break;
    default: put(p, AS_I(lb, x, reg, at)); break;
    }
}

static void put_atomic(struct pen *p, unsigned reg)
{
    unsigned rd = A0 + random_below(6), rs = A0 + random_below(6);

    switch (random_below(10)) {
    case 0: put(p, AS_R(amoadd_w, rd, reg, rs)); break;
    case 1: put(p, AS_R(amoswap_d, rd, reg, rs)); break;
    case 2: put(p, AS_R(amomax_w, rd, reg, rs)); break;
    case 3: put(p, AS_R(amominu_d, rd, reg, rs)); break;
    case 4: put(p, AS_R(amocas_w, rd, reg, rs)); break;
    case 5: put(p, AS_R(amocas_d, rd, reg, rs)); break;
    case 6: put(p, AS_R(amocas_q, A0, reg, A2)); break;
    case 7: put(p, AS_R(lr_w, rd, reg, ZERO)); break;
    case 8: put(p, AS_R(lr_d, rd, reg, ZERO)); break;
    default: put(p, AS_R(sc_d, rd, reg, rs)); break;
    }
}

/* An address in a program's own view: s1 and what lies behind the code. */
static void put_address(struct pen *p, unsigned reg, uint32_t offset)
{
    put(p, AS_U(lui, reg, (offset + 0x800) >> 12));
    put(p, AS_R(add, reg, reg, S1));
    if (offset & 0xfff)
        put(p, AS_I(addi, reg, reg, (int)(offset << 20) >> 20));
}

/*
 * Around the ends of the data's pages: an unmapped one before them, nobody's device behind; and
 * where small pages meet a large one.
 */
static void put_edge(struct pen *p)
{
    static const uint32_t edges[] = {SCENE_DATA,
                                     SCENE_DATA_END,
                                     SCENE_DATA_END,
                                     SCENE_BIG,
                                     SCENE_BIG + SCENE_DATA_END,
                                     SCENE_BIG + SCENE_DATA + MEM_PAGE_SIZE};

    put_address(p, T0, edges[random_below(6)]);
    for (unsigned i = 2 + random_below(6); i-- > 0;)
        put_access(p, T0, (int)random_below(9) - 8);
    if (random_below(2)) {
        put(p, AS_I(addi, T0, T0, -(int)random_below(2) * 8));
        put_atomic(p, T0);
    }
}

/* A loop over a page's end and on, so that what is predicted is wrong all at once. */
static void put_edge_loop(struct pen *p)
{
    uint32_t *head;

    put_address(p, T0, random_below(2) ? SCENE_DATA_END - 64 : SCENE_DATA + MEM_PAGE_SIZE - 64);
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(30))));
    head = p->at;
    put_access(p, T0, (int)random_below(4));
    put_access(p, T0, (int)random_below(4));
    put(p, AS_I(addi, T0, T0, (int)random_below(8)));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(blt, ZERO, T2, 4 * (int)(head - p->at)));
}

/* Every kind of access to a device where it is found; stores reach only what says nothing. */
static void put_device(struct pen *p)
{
    put(p, AS_U(lui, T0, PLAT_UART_BASE >> 12));
    put_access(p, T0, -1 - (int)random_below(8) / 2);
    put_atomic(p, T0);
    put(p, AS_I(addi, T0, T0, UART_SCRATCH));
    for (unsigned i = 1 + random_below(4); i-- > 0;)
        put_access(p, T0, 0);
    put(p, random_below(2) ? AS_R(cbo_flush, ZERO, T0, ZERO) : AS_R(cbo_zero, ZERO, T0, ZERO));
}

/* f registers to and from memory while FS is changed, as a kernel does it. */
static void put_float_state(struct pen *p)
{
    unsigned csr = random_below(3) ? SSTATUS : MSTATUS;

    put(p, AS_U(lui, T1, 6));
    put(p, AS_U(lui, T2, 2));
    for (unsigned i = 0; i < 4; i++) {
        put_access(p, S0, (int)random_below(64));
        switch (random_below(4)) {
        case 0: put(p, AS_CSR(csrrc, ZERO, csr, T1)); break;
        case 1: put(p, AS_CSR(csrrs, ZERO, csr, T2)); break;
        default: put(p, AS_CSR(csrrs, ZERO, csr, T1)); break;
        }
        put(p, AS_I(fld, random_below(32), S0, (int)random_below(64)));
        put(p, AS_S(fsd, random_below(32), S0, (int)random_below(64)));
    }
    put(p, AS_CSRR(A0, csr));
}

/* What may come between lr and sc: traps of all kinds, returns, another page there. */
static void put_reservation(struct pen *p)
{
    bool word = random_below(2);
    uint32_t from = random_below(2) ? SCENE_DATA : SCENE_CHASE, to = from;

    if (random_below(4) == 0)
        to = from ^ (random_below(2) ? 8 : MEM_PAGE_SIZE);
    put_address(p, T0, from);
    put_address(p, T1, to);
    put(p, word ? AS_R(lr_w, T2, T0, ZERO) : AS_R(lr_d, T2, T0, ZERO));
    switch (random_below(8)) {
    case 0: put(p, AS_N(ecall)); break;
    case 1: put(p, 0); break;
    case 2: put(p, AS_I(ld, A0, ZERO, 8)); break;
    case 3: put(p, AS_CSR(csrrsi, ZERO, SIP, 2)); break;
    case 4: put(p, AS_N(ebreak)); break;
    case 5: put_atomic(p, T0); break;
    case 6: put(p, AS_R(cbo_zero, ZERO, T0, ZERO)); break;
    default: put(p, AS_N(sret)); break;
    }
    put(p, random_below(4) ? AS_NOP : AS_S(sb, A1, T1, 1));
    put(p, word ? AS_R(sc_w, A2, T1, T2) : AS_R(sc_d, A2, T1, T2));
    put(p, word ? AS_R(sc_w, A3, T1, A1) : AS_R(sc_d, A3, T1, A1));
}

/* S-mode at U-mode's pages with SUM and without, or code read with MXR and without. */
static void put_user_access(struct pen *p)
{
    bool user = random_below(4) != 0;

    if (user)
        put(p, AS_U(lui, T0, (SCENE_LOW + SCENE_DATA) >> 12));
    else
        put_address(p, T0, SCENE_FAR);
    put(p, AS_U(lui, T1, user ? 0x40 : 0x80)); /* SUM, MXR */
    for (unsigned i = 0; i < 4; i++) {
        put_access(p, T0, (int)random_below(64));
        put(p, random_below(2) ? AS_CSR(csrrs, ZERO, SSTATUS, T1)
                               : AS_CSR(csrrc, ZERO, SSTATUS, T1));
        put_access(p, T0, (int)random_below(64));
        if (random_below(3) == 0)
            put_atomic(p, T0);
    }
}

/* M-mode with the rights of another level, by whose tables it then loads and stores. */
static void put_previous(struct pen *p)
{
    put(p, AS_U(lui, T0, 2));
    put(p, AS_I(addi, T0, T0, -2048)); /* MPP */
    put(p, AS_CSR(csrrc, ZERO, MSTATUS, T0));
    if (random_below(2)) {
        put(p, AS_U(lui, T0, 1));
        put(p, AS_I(addi, T0, T0, -2048)); /* of S-mode */
        put(p, AS_CSR(csrrs, ZERO, MSTATUS, T0));
    }
    put(p, AS_U(lui, T1, 0x20)); /* MPRV */
    if (random_below(2))
        put(p, AS_U(lui, T2, (SCENE_LOW + SCENE_DATA) >> 12));
    else
        put(p, AS_I(addi, T2, S0, 0));
    put(p, AS_CSR(csrrs, ZERO, MSTATUS, T1));
    for (unsigned i = 1 + random_below(4); i-- > 0;)
        put_access(p, T2, (int)random_below(64));
    put(p, random_below(2) ? AS_R(lr_d, A0, T2, ZERO) : AS_NOP);
    put(p, random_below(4) ? AS_CSR(csrrc, ZERO, MSTATUS, T1) : AS_NOP);
    put_access(p, T2, 0);
}

/* Blocks of the cache, and what says whether they and others may be touched. */
static void put_block(struct pen *p)
{
    unsigned csr = random_below(2) ? MENVCFG : SENVCFG;

    put(p, AS_I(addi, T0, ZERO, (int)random_below(16) << 4)); /* CBIE, CBCFE, CBZE */
    if (random_below(4) == 0) {
        put(p, AS_I(addi, T0, ZERO, 1));
        put(p, AS_I(slli, T0, T0, random_below(2) ? 61 : 63)); /* ADUE, STCE */
    }
    put(p, random_below(2) ? AS_CSR(csrrs, ZERO, csr, T0) : AS_CSR(csrrc, ZERO, csr, T0));
    if (random_below(3))
        put(p, AS_I(addi, T1, S0, (int)random_below(4096) - 2048));
    else
        put_address(p, T1, SCENE_DATA_END - (uint32_t)random_below(2));
    for (unsigned i = 1 + random_below(5); i-- > 0;)
        switch (random_below(6)) {
        case 0: put(p, AS_R(cbo_inval, ZERO, T1, ZERO)); break;
        case 1: put(p, AS_R(cbo_clean, ZERO, T1, ZERO)); break;
        case 2: put(p, AS_R(cbo_flush, ZERO, T1, ZERO)); break;
        case 3: put(p, AS_I(ori, ZERO, T1, (int)random_below(2))); break; /* prefetch */
        default: put(p, AS_R(cbo_zero, ZERO, T1, ZERO)); break;
        }
    put(p, AS_CSRR(A0, csr));
}

/* Protection of some bytes comes and goes: a region of four, of a power of two, or a range. */
static void put_protection(struct pen *p)
{
    static const uint32_t places[] = {SCENE_DATA + 0x1800, SCENE_DATA + 0x1ff8, SCENE_CHASE,
                                      SCENE_FAR + 0xfe0, SCENE_DATA_END - 4};
    static const uint8_t kinds[] = {0x08, 0x10, 0x18}; /* TOR, NA4, NAPOT */
    unsigned kind = kinds[random_below(3)], rights = random_below(2) * 4 + random_below(2);
    uint32_t place = places[random_below(5)];

    put_address(p, T0, place);
    put(p, AS_I(srli, T1, T0, 2));
    if (random_below(2))
        put(p, AS_I(ori, T1, T1, (1 << random_below(6)) - 1));
    put(p, AS_CSRW(PMPADDR0, T1));
    put(p, AS_I(addi, T1, T1, (int)(1 + random_below(8))));
    put(p, AS_CSRW(PMPADDR0 + 1, T1));
    put(p, AS_I(addi, T1, ZERO, 1));
    put_access(p, T0, -4);
    put(p, AS_I(addi, T1, ZERO, (int)(kind | rights)));
    if (kind == 0x08)
        put(p, AS_I(slli, T1, T1, 8));
    put(p, AS_CSRW(PMPCFG0, T1));
    for (unsigned i = 1 + random_below(4); i-- > 0;)
        put_access(p, T0, (int)random_below(16) - 8);
    if (random_below(2))
        put(p, AS_CSRW(PMPCFG0, ZERO));
    put_access(p, T0, 0);
}

static void put_hints(struct pen *p)
{
    for (unsigned i = 0; i < 6; i++)
        switch (random_below(5)) {
        case 0: put(p, AS_PAUSE); break;
        case 1: put(p, AS_N(wrs_nto)); break;
        case 2: put(p, AS_N(wrs_sto)); break;
        case 3: put(p, AS_R(lr_w, T0, S0, ZERO)); break;
        default: put(p, AS_CSRR(A0 + random_below(6), INSTRET)); break;
        }
}

/* A timer that is due in some steps, within a loop that it interrupts. */
static void put_timer(struct pen *p)
{
    uint32_t *head;

    put(p, AS_I(addi, T0, ZERO, 32));
    put(p, AS_CSR(csrrs, ZERO, SIE, T0));
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(30))));
    head = p->at;
    put(p, AS_CSRR(T0, TIME));
    put(p, AS_I(addi, T0, T0, (int)random_below(5) - 1));
    put(p, AS_CSRW(STIMECMP, T0));
    put(p, random_below(2) ? AS_CSR(csrrsi, ZERO, SSTATUS, 2) : AS_NOP);
    for (unsigned i = random_below(6); i-- > 0;)
        put(p, random_below(3) ? AS_I(addi, A0, A0, 1) : AS_CSRR(A1, INSTRET));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(blt, ZERO, T2, 4 * (int)(head - p->at)));
}

/* SBI FWFT: what the hart does about A and D, and others that may not be had. */
static void put_feature(struct pen *p)
{
    put(p, AS_U(lui, A7, 0x46574));
    put(p, AS_I(addi, A7, A7, 0x654));
    put(p, AS_I(addi, A6, ZERO, (int)random_below(2)));
    put(p, AS_I(addi, A0, ZERO, random_below(2) ? 4 : (int)random_below(8)));
    put(p, AS_I(addi, A1, ZERO, (int)random_below(2)));
    put(p, AS_I(addi, A2, ZERO, 0));
    put(p, AS_N(ecall));
    put_access(p, S0, 0);
}

void corner_put(struct pen *p)
{
    static void (*const kinds[])(struct pen *) = {
        put_edge,        put_edge,        put_edge_loop,   put_device,   put_float_state,
        put_reservation, put_reservation, put_user_access, put_previous, put_block,
        put_block,       put_protection,  put_hints,       put_timer,    put_feature,
    };

    kinds[random_below(sizeof(kinds) / sizeof(kinds[0]))](p);
}
